package proxytest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// managed is a WebSocket API whose $connect tells who has connected, and whose
// connections principals manage.
const managed = `
[api.chat]
type = "websocket"
connections = { authorizer = "signed" }
[api.chat.stage.prod]
[api.chat.stage.other]
[api.chat.route."$connect"]
integration = { type = "http_proxy", url = "$BACKEND/connect", parameters = { "integration.request.header.Id" = "context.connectionId" } }
[api.chat.route."$disconnect"]
integration = { type = "http_proxy", url = "$BACKEND/disconnect", parameters = { "integration.request.header.Id" = "context.connectionId" } }
[api.chat.route."$default"]
integration = { type = "mock" }
response.default.template."application/json" = "ok"
[authorizer.signed]
type = "iam"
[principal.backend]
access_keys = [{ id = "AKIDBACKEND", secret = "backend-secret-0123456789" }]
policies = ['{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"execute-api:ManageConnections","Resource":"arn:aws:execute-api:*:*:chat/*/*/@connections/*"}}']
[principal.stranger]
access_keys = [{ id = "AKIDSTRANGER", secret = "stranger-secret-0123456789" }]
policies = ['{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"*"}}']
`

// ids is a backend that tells the ids of connections.
func ids(connected, gone chan string) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/connect":
			connected <- r.Header.Get("Id")
		case "/disconnect":
			gone <- r.Header.Get("Id")
		}
	}
}

func next(t *testing.T, from chan string) string {
	t.Helper()
	select {
	case s := <-from:
		return s
	case <-time.After(socketPatience):
		t.Fatal("nothing happened")
	}
	return ""
}

// manage sends a command as who signs it; "" doesn't.
func manage(t *testing.T, gateway Gateway, verb, target, content, who string) (*message, string) {
	t.Helper()
	r := &request{verb: verb, target: target, content: content}
	if who != "" {
		s := signing{id: "AKID" + strings.ToUpper(who), secret: who + "-secret-0123456789", region: "local", service: "execute-api", at: time.Now().UTC()}
		s.apply(r, "chat.localhost")
	}
	c, err := dial(gateway.Addr("public"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if err := c.send(r.bytes("chat.localhost")); err != nil {
		t.Fatal(err)
	}
	m, _, err := c.receive(verb)
	if err != nil {
		t.Fatal(err)
	}
	return m, string(m.body)
}

// Backends post to connections, look at them and end them, if their policies say so.
func TestWebSocketConnections(t *testing.T) {
	connected, gone := make(chan string, 10), make(chan string, 10)
	gateway, _ := serveSockets(t, ids(connected, gone), managed)
	c := join(t, gateway, &websocket.DialOptions{HTTPHeader: http.Header{"User-Agent": {"Tester/1.0"}}})
	id := next(t, connected)
	path := "/prod/@connections/" + url.PathEscape(id)
	f := func(verb, target, content, who string, status int, want string) {
		t.Helper()
		m, got := manage(t, gateway, verb, target, content, who)
		if m.status() != status || !strings.Contains(got, want) {
			t.Errorf("%s %s: got %d %s, want %d %s", verb, target, m.status(), got, status, want)
		}
	}
	f("POST", path, "hello", "backend", 200, "")
	if got := hear(t, c); got != "hello" {
		t.Errorf("got %q", got)
	}
	// AWS's clients encode the "@", and ours needn't encode the "=".
	f("POST", "/prod/%40connections/"+url.QueryEscape(id), "again", "backend", 200, "")
	f("POST", "/prod/@connections/"+id, "and again", "backend", 200, "")
	for _, want := range []string{"again", "and again"} {
		if got := hear(t, c); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	_, text := manage(t, gateway, "GET", path, "", "backend")
	var about struct {
		ConnectedAt, LastActiveAt time.Time
		Identity                  struct{ SourceIP, UserAgent string }
	}
	if err := json.Unmarshal([]byte(text), &about); err != nil || about.ConnectedAt.IsZero() || about.LastActiveAt.Before(about.ConnectedAt) ||
		about.Identity.SourceIP != "127.0.0.1" || about.Identity.UserAgent != "Tester/1.0" {
		t.Errorf("got %s, %v", text, err)
	}
	f("POST", path, "hello", "", 403, "Missing Authentication Token")
	f("POST", path, "hello", "stranger", 403, "execute-api:ManageConnections")
	f("POST", path, "\xff", "backend", 400, "UTF-8")
	f("POST", path, strings.Repeat("x", 128<<10+1), "backend", 413, "More than 131072 bytes")
	f("POST", "/prod/@connections/nobody", "hello", "backend", 400, "Invalid connectionId")
	f("POST", "/prod/@connections/AAAAAAAAAAAAAAA=", "hello", "backend", 410, "Gone")
	f("GET", "/other/@connections/"+id, "", "backend", 410, "Gone") // another stage's
	f("PUT", path, "hello", "backend", 403, "Missing Authentication Token")

	f("DELETE", path, "", "backend", 204, "")
	_, _, err := c.Read(t.Context())
	if websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Errorf("got %v", err)
	}
	if got := next(t, gone); got != id {
		t.Errorf("%q has disconnected, want %q", got, id)
	}
	m, _ := manage(t, gateway, "POST", path, "hello", "backend")
	if m.status() != 410 || m.get("x-amzn-ErrorType") != "GoneException" {
		t.Errorf("got %v", m)
	}
}

// Nobody manages connections of an API that doesn't say who may.
func TestWebSocketConnectionsClosed(t *testing.T) {
	connected := make(chan string, 10)
	gateway, _ := serveSockets(t, ids(connected, make(chan string, 10)), strings.Replace(managed, "connections = ", "description = \"x\" #", 1))
	join(t, gateway, nil)
	m, got := manage(t, gateway, "POST", "/prod/@connections/"+next(t, connected), "hello", "backend")
	if m.status() != 403 || !strings.Contains(got, "Missing Authentication Token") {
		t.Errorf("got %d %s", m.status(), got)
	}
}

// A client that leaves unread what is posted to it costs no more than its bound: who
// posts more gets 429.
func TestWebSocketSlowReader(t *testing.T) {
	connected := make(chan string, 10)
	gateway, _ := serveSockets(t, ids(connected, make(chan string, 10)), managed)
	rawJoin(t, gateway, "") // and never reads
	path := "/prod/@connections/" + next(t, connected)
	text := strings.Repeat("x", 100<<10)
	refused := 0 // in a row: the kernel's buffers take a few, and may grow
	post := func() {
		t.Helper()
		m, got := manage(t, gateway, "POST", path, text, "backend")
		switch {
		case m.status() == 429 && m.get("x-amzn-ErrorType") == "LimitExceededException":
			refused++
		case m.status() == 200:
			refused = 0
		default:
			t.Fatalf("%d %s", m.status(), got)
		}
	}
	deadline := time.Now().Add(socketPatience)
	for refused < 10 {
		if post(); time.Now().After(deadline) {
			t.Fatal("whatever is posted is taken")
		}
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 50 {
		post()
	}
	runtime.GC()
	if runtime.ReadMemStats(&after); after.HeapAlloc > before.HeapAlloc+1<<20 {
		t.Errorf("%d bytes more are in use", after.HeapAlloc-before.HeapAlloc)
	}
}

// Connections outlast a reload, and new messages take the new routes; those of an API
// that is gone end with 1001.
func TestWebSocketReload(t *testing.T) {
	connected, gone := make(chan string, 10), make(chan string, 10)
	gateway, file := serveSockets(t, ids(connected, gone), managed)
	c := join(t, gateway, nil)
	id := next(t, connected)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	apply := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if problem := gateway.Apply(file); problem != "" {
			t.Fatal(problem)
		}
	}
	apply(strings.Replace(string(text), "[api.chat.route.\"$default\"]\n", "[api.chat.route.\"$default\"]\nroute_response = true\n", 1))
	say(t, c, "anything")
	if got := hear(t, c); got != "ok" {
		t.Errorf("got %q", got)
	}
	if m, _ := manage(t, gateway, "POST", "/prod/@connections/"+id, "hello", "backend"); m.status() != 200 || hear(t, c) != "hello" {
		t.Error(m)
	}
	apply("[listen.public]\naddress = \"127.0.0.1:0\"\n[api.y]\ntype = \"rest\"\n[api.y.route.\"GET /y\"]\nintegration = { type = \"mock\" }\nresponse.default.status = 200\n[api.y.stage.prod]\n")
	_, _, err = c.Read(t.Context())
	if websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("got %v", err)
	}
}

// A gateway that stops answers the messages that it has, then tells clients: 1001. Each
// $disconnect runs.
func TestWebSocketDrain(t *testing.T) {
	connected, gone, release := make(chan string, 100), make(chan string, 100), make(chan struct{})
	gateway, _ := serveSockets(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			connected <- "slow"
			<-release
			io.WriteString(w, "done")
			return
		}
		ids(connected, gone)(w, r)
	}, strings.Replace(managed, `integration = { type = "mock" }
response.default.template."application/json" = "ok"`, `integration = { type = "http_proxy", url = "$BACKEND/slow" }
route_response = true`, 1))
	var conns []*websocket.Conn
	for range 10 {
		conns = append(conns, join(t, gateway, nil))
		next(t, connected)
	}
	say(t, conns[0], "hello")
	next(t, connected)
	var all sync.WaitGroup
	for i, c := range conns {
		all.Add(1)
		go func() {
			defer all.Done()
			kind, text, err := c.Read(t.Context())
			if i == 0 {
				if err != nil || kind != websocket.MessageText || string(text) != "done" {
					t.Errorf("got %q, %v", text, err)
				}
				_, _, err = c.Read(t.Context())
			}
			if websocket.CloseStatus(err) != websocket.StatusGoingAway {
				t.Errorf("connection %d: %v", i, err)
			}
		}()
	}
	drained := make(chan error)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), socketPatience)
		defer cancel()
		drained <- gateway.(*assembly).server.Drain(ctx)
	}()
	for range 9 { // the others don't wait for it
		next(t, gone)
	}
	close(release)
	next(t, gone)
	all.Wait()
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

// Connections end when nothing goes by for too long, and when they are too old.
func TestWebSocketTimes(t *testing.T) {
	ends := make(chan string, 10)
	gateway, _ := serveSockets(t, echoes(ends), strings.Replace(echo, "[api.chat.stage.prod]", "socket.idle = \"1s\"\n[api.chat.stage.prod]", 1))
	rawJoin(t, gateway, "").ends(1001)
	if got := next(t, ends); got != "1001 Idle timeout" {
		t.Errorf("got %q", got)
	}
	gateway, _ = serveSockets(t, echoes(ends), strings.Replace(echo, "[api.chat.stage.prod]", "socket.life = \"1s\"\n[api.chat.stage.prod]", 1))
	rawJoin(t, gateway, "").ends(1001)
	if got := next(t, ends); got != "1001 Going away" {
		t.Errorf("got %q", got)
	}
}
