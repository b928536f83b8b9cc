package proxytest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// socketPatience is how long a test of WebSocket APIs waits for anything.
const socketPatience = time.Minute

// serveSockets starts a gateway with a WebSocket API, chat, whose configuration is text;
// $BACKEND in it is the address of handler.
func serveSockets(t *testing.T, handler http.HandlerFunc, text string) (gateway Gateway, file string) {
	t.Helper()
	backend := httptest.NewServer(handler)
	t.Cleanup(backend.Close)
	file = filepath.Join(t.TempDir(), "postern.toml")
	text = "[listen.public]\naddress = \"127.0.0.1:0\"\n" + strings.ReplaceAll(text, "$BACKEND", backend.URL)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	gateway = Start(t)
	t.Cleanup(gateway.Close)
	if problem := gateway.Apply(file); problem != "" {
		t.Fatal(problem)
	}
	return gateway, file
}

// join connects to the stage prod of chat.
func join(t *testing.T, gateway Gateway, o *websocket.DialOptions) *websocket.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), socketPatience)
	defer cancel()
	if o == nil {
		o = &websocket.DialOptions{}
	}
	o.Host = "chat.localhost"
	c, response, err := websocket.Dial(ctx, "ws://"+gateway.Addr("public")+"/prod", o)
	if err != nil {
		t.Fatalf("%v (%v)", err, response)
	}
	t.Cleanup(func() { c.CloseNow() })
	return c
}

func say(t *testing.T, c *websocket.Conn, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), socketPatience)
	defer cancel()
	if err := c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, c *websocket.Conn) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), socketPatience)
	defer cancel()
	kind, text, err := c.Read(ctx)
	if err != nil || kind != websocket.MessageText {
		t.Fatalf("%v, %v", kind, err)
	}
	return string(text)
}

const chat = `
[api.chat]
type = "websocket"
[api.chat.stage.prod]
[api.chat.route."$connect"]
integration = { type = "http_proxy", url = "$BACKEND/connect", parameters = { "integration.request.header.Id" = "context.connectionId" } }
[api.chat.route."$disconnect"]
integration = { type = "http_proxy", url = "$BACKEND/disconnect", parameters = { "integration.request.header.Id" = "context.connectionId" } }
[api.chat.route.echo]
integration = { type = "http_proxy", url = "$BACKEND/echo" }
route_response = true
[api.chat.route.quiet]
integration = { type = "http_proxy", url = "$BACKEND/quiet" }
[api.chat.route.broken]
integration = { type = "http_proxy", url = "http://127.0.0.1:1/" }
`

// Clients connect, their messages find routes and are answered, and their end is told.
func TestWebSocketAPI(t *testing.T) {
	calls := make(chan string, 100)
	gateway, _ := serveSockets(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		calls <- r.URL.Path + " " + string(body)
		if r.URL.Path == "/connect" && r.Header.Get("Id") == "" {
			t.Error("$connect has no connectionId")
		}
		w.Write([]byte(strings.ToUpper(string(body))))
	}, chat)
	c := join(t, gateway, nil)
	called := func(want string) {
		t.Helper()
		select {
		case got := <-calls:
			if got != want {
				t.Errorf("the backend was asked %q, want %q", got, want)
			}
		case <-time.After(socketPatience):
			t.Fatalf("nobody asked %q", want)
		}
	}
	called("/connect ")
	for i := range 3 {
		message := fmt.Sprintf(`{"action":"echo","n":%d}`, i)
		say(t, c, message)
		called("/echo " + message)
		if got := hear(t, c); got != strings.ToUpper(message) {
			t.Errorf("got %q", got)
		}
	}
	say(t, c, `{"action":"quiet"}`)
	called(`/quiet {"action":"quiet"}`)
	problem := func(message, want string) {
		t.Helper()
		say(t, c, message)
		var told struct{ Message, ConnectionID, RequestID string }
		if err := json.Unmarshal([]byte(hear(t, c)), &told); err != nil || told.Message != want || len(told.ConnectionID) != 16 || told.RequestID == "" {
			t.Errorf("got %+v, %v, want %q", told, err, want)
		}
	}
	problem("no JSON", "Forbidden")
	problem(`{"action":"$disconnect"}`, "Forbidden")
	problem(`{"action":"broken"}`, "Internal server error")
	if err := c.Close(websocket.StatusNormalClosure, "done"); err != nil {
		t.Errorf("close: %v", err)
	}
	called("/disconnect ")
}
