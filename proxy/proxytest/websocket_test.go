package proxytest

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
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

// socketRaw is a client of the stage prod of chat that sends exactly what it is told.
type socketRaw struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

// rawJoin connects; fields are those of the handshake besides what it has to have.
func rawJoin(t testing.TB, gateway Gateway, fields string) *socketRaw {
	t.Helper()
	c, err := net.Dial("tcp", gateway.Addr("public"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(socketPatience)); err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "GET /prod HTTP/1.1\r\nHost: chat.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"+fields+"\r\n")
	r := bufio.NewReader(c)
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != 101 || response.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" { // RFC 6455, 1.3
		t.Fatal(response)
	}
	return &socketRaw{t, c, r}
}

// frame sends one with a mask of zeros.
func (c *socketRaw) frame(first byte, content string) {
	b := []byte{first, 0x80 | byte(len(content))}
	if len(content) > 125 {
		b[1] = 0xff
		b = binary.BigEndian.AppendUint64(b, uint64(len(content)))
		if len(content) <= 0xffff {
			b = binary.BigEndian.AppendUint16([]byte{first, 0xfe}, uint16(len(content)))
		}
	}
	c.Write(append(append(b, 0, 0, 0, 0), content...)) // the gateway may have closed
}

// read returns the next frame's first byte and content; 0 for the end.
func (c *socketRaw) read() (first byte, content string) {
	c.t.Helper()
	var head [2]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			c.t.Fatal("nothing came")
		}
		return 0, ""
	}
	n := uint64(head[1])
	switch n {
	case 126:
		var b [2]byte
		io.ReadFull(c.r, b[:])
		n = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		var b [8]byte
		io.ReadFull(c.r, b[:])
		n = binary.BigEndian.Uint64(b[:])
	}
	b := make([]byte, n)
	io.ReadFull(c.r, b)
	return head[0], string(b)
}

// ends checks that the gateway's next frame is a Close frame with the code, and the last.
func (c *socketRaw) ends(code int) {
	c.t.Helper()
	first, content := c.read()
	if first != 0x88 || len(content) < 2 || int(binary.BigEndian.Uint16([]byte(content))) != code {
		c.t.Fatalf("got frame %x %q, want a Close frame with %d", first, content, code)
	}
	c.frame(0x88, content[:2])
	if first, content = c.read(); first != 0 {
		c.t.Errorf("after the Close frame came %x %q", first, content)
	}
}

const echo = `
[api.chat]
type = "websocket"
[api.chat.stage.prod]
[api.chat.route."$default"]
integration = { type = "http_proxy", url = "$BACKEND/echo" }
route_response = true
[api.chat.route."$disconnect"]
integration = { type = "http_proxy", url = "$BACKEND/disconnect", parameters = { "integration.request.header.Code" = "context.disconnectStatusCode", "integration.request.header.Reason" = "context.disconnectReason" } }
`

// echoes answers with what it gets, and tells of ends: code and reason.
func echoes(ends chan string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/disconnect" {
			ends <- strings.TrimSpace(r.Header.Get("Code") + " " + r.Header.Get("Reason"))
			return
		}
		body, _ := io.ReadAll(r.Body)
		w.Write(body)
	}
}

// What clients send that they may not ends their connection with the right code, and
// $disconnect is told of it, once.
func TestWebSocketViolations(t *testing.T) {
	ends := make(chan string, 100)
	gateway, _ := serveSockets(t, echoes(ends), echo)
	f := func(code int, send func(c *socketRaw)) {
		t.Helper()
		c := rawJoin(t, gateway, "")
		send(c)
		c.ends(code)
		select {
		case end := <-ends:
			if got, _, _ := strings.Cut(end, " "); got != strconv.Itoa(code) {
				t.Errorf("$disconnect was told %q, want %d", end, code)
			}
		case <-time.After(socketPatience):
			t.Fatal("$disconnect didn't run")
		}
	}
	f(1009, func(c *socketRaw) { c.frame(0x81, strings.Repeat("x", 32<<10+1)) })
	f(1009, func(c *socketRaw) {
		c.frame(0x01, strings.Repeat("x", 32<<10))
		for range 4 {
			c.frame(0x00, strings.Repeat("x", 32<<10))
		}
	})
	f(1003, func(c *socketRaw) { c.frame(0x82, "binary") })
	f(1007, func(c *socketRaw) { c.frame(0x81, "\xff\xfe") })
	f(1002, func(c *socketRaw) { io.WriteString(c, "\x81\x02hi") })
	f(1002, func(c *socketRaw) { c.frame(0xc1, "compressed") })
	f(1002, func(c *socketRaw) { c.frame(0x83, "") })
	f(1002, func(c *socketRaw) { c.frame(0x80, "of nothing") })
	f(1008, func(c *socketRaw) {
		for range 2000 {
			c.frame(0x8a, "")
		}
	})
	select {
	case end := <-ends:
		t.Errorf("$disconnect ran once more: %q", end)
	default:
	}
}

// Close frames are answered with their code; a client that just leaves is 1006.
func TestWebSocketClose(t *testing.T) {
	ends := make(chan string, 100)
	gateway, _ := serveSockets(t, echoes(ends), echo)
	told := func(want string) {
		t.Helper()
		select {
		case got := <-ends:
			if got != want {
				t.Errorf("$disconnect was told %q, want %q", got, want)
			}
		case <-time.After(socketPatience):
			t.Fatal("$disconnect didn't run")
		}
	}
	c := rawJoin(t, gateway, "")
	c.frame(0x88, "\x0f\xa0done")
	if first, content := c.read(); first != 0x88 || content != "\x0f\xa0" {
		t.Errorf("got %x %q", first, content)
	}
	told("4000 done")
	c = rawJoin(t, gateway, "")
	c.frame(0x88, "")
	if first, content := c.read(); first != 0x88 || content != "" {
		t.Errorf("got %x %q", first, content)
	}
	told("1005")
	c = rawJoin(t, gateway, "")
	c.Close()
	told("1006")
}

// Messages up to the limit pass, whole or in pieces, with pings in between; they are
// answered in order.
func TestWebSocketMessages(t *testing.T) {
	gateway, _ := serveSockets(t, echoes(make(chan string, 10)), echo)
	c := rawJoin(t, gateway, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n")
	long := strings.Repeat("0123456789abcdef", 2<<10) // 32 KiB
	c.frame(0x01, long)
	c.frame(0x89, "are you there?")
	for range 2 {
		c.frame(0x00, long)
	}
	if first, content := c.read(); first != 0x8a || content != "are you there?" {
		t.Fatalf("got %x %q, want a pong", first, content)
	}
	c.frame(0x80, long)
	if first, content := c.read(); first != 0x81 || content != strings.Repeat(long, 4) {
		t.Fatalf("got %x, %d bytes", first, len(content))
	}
	for i := range 100 {
		c.frame(0x81, strconv.Itoa(i)+" é")
	}
	for i := range 100 {
		if first, content := c.read(); first != 0x81 || content != strconv.Itoa(i)+" é" {
			t.Fatalf("got %x %q, want %d", first, content, i)
		}
	}
}
