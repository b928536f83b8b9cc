package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/coder/websocket"
)

// talk is a WebSocket API of the gateway.
const talk = `
listen.public.address = "127.0.0.1:0"
log.access = "stdout"
[api.talk]
type = "websocket"
[api.talk.stage.prod]
[api.talk.route."$default"]
integration = { type = "mock" }
response.default.template."application/json" = '{"id":"$context.connectionId"}'
route_response = true
`

// managed sends a command to the admin socket's path of connections.
func (r *running) managed(method, path, content string) (status int, text string) {
	r.t.Helper()
	socket := filepath.Join(filepath.Dir(r.file), "state", "admin.sock")
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	request, err := http.NewRequestWithContext(r.t.Context(), method, "http://localhost/connections"+path, strings.NewReader(content))
	if err != nil {
		r.t.Fatal(err)
	}
	answer, err := client.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer.StatusCode, string(b)
}

// The admin socket posts to connections, which metrics and access lines tell of; a signal
// ends them with 1001, and nobody waits for drain.timeout.
func TestWebSocketConnections(t *testing.T) {
	r := startChild(t, write(t, "drain.timeout = \"10m\"\n"+talk), nil)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, _, err := websocket.Dial(ctx, "ws://"+r.addr+"/prod", &websocket.DialOptions{Host: "talk.localhost"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if err := c.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	_, text, err := c.Read(ctx)
	var told struct{ ID string }
	if err != nil || json.Unmarshal(text, &told) != nil || told.ID == "" {
		t.Fatalf("%s, %v", text, err)
	}
	path := "/talk/prod/" + told.ID
	if status, text := r.managed("POST", path, "from the operator"); status != 200 {
		t.Errorf("post: %d %s", status, text)
	}
	if _, text, err := c.Read(ctx); err != nil || string(text) != "from the operator" {
		t.Errorf("got %q, %v", text, err)
	}
	if status, text := r.managed("GET", path, ""); status != 200 || !strings.Contains(text, `"sourceIp":"127.0.0.1"`) {
		t.Errorf("get: %d %s", status, text)
	}
	if status, text := r.managed("GET", "", ""); status != 200 || !strings.Contains(text, `"open": 1`) {
		t.Errorf("list: %d %s", status, text)
	}
	if status, text := r.managed("POST", "/talk/test/"+told.ID, "hello"); status != 410 {
		t.Errorf("another stage: %d %s", status, text)
	}
	_, metrics := r.admin("/metrics")
	for _, want := range []string{`postern_websocket_connections{api="talk",stage="prod"} 1`, `postern_websocket_messages_total{api="talk",stage="prod"} 1`} {
		if !strings.Contains(metrics, "\n"+want+"\n") {
			t.Errorf("the metrics haven't %s", want)
		}
	}
	r.await("the message's line", func() bool {
		return strings.Contains(r.stdout.String(), fmt.Sprintf(`"event":"MESSAGE","connection_id":%q`, told.ID))
	})
	if err := r.child.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Read(ctx); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("got %v", err)
	}
	if code := r.ended(); code != exitOK {
		t.Errorf("exit code %d: %s", code, r.stderr.String())
	}
}

// Tables of policies have the routes of WebSocket APIs, whose callers $connect knows.
func TestPolicyWebSocket(t *testing.T) {
	aside(t)
	lay(t, "postern.toml", `
listen.public.address = "127.0.0.1:0"
authorizer.signed.type = "iam"
principal.ann.access_keys = [{ id = "AKIDANN", secret = "0123456789abcdef" }]
principal.ann.policies = ['{"Statement":{"Effect":"Allow","Action":"execute-api:Invoke","Resource":["arn:aws:execute-api:*:*:talk/prod/$connect","arn:aws:execute-api:*:*:talk/prod/say"]}}']
[api.talk]
type = "websocket"
stage.prod = {}
route."$connect" = { authorizer = "signed" }
route.say = { integration = { type = "http_proxy", url = "http://127.0.0.1:9/" } }
route.shout = { integration = { type = "http_proxy", url = "http://127.0.0.1:9/" } }
`)
	code, stdout, stderr := command(t, "policy", "explain")
	want := `API   STAGE  ROUTE     anonymous  ann
talk  prod   $connect  denied     allowed
talk  prod   say       denied     allowed
talk  prod   shout     denied     denied
`
	if code != exitOK || stdout != want {
		t.Errorf("exit code %d, %s\n%s", code, stderr, stdout)
	}
}
