package proxytest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// serveTraffic starts a gateway whose every route leads to handler, with
// further lines for the listener.
func serveTraffic(t *testing.T, handler http.Handler, listen string) (gateway Gateway, url string) {
	t.Helper()
	backend := httptest.NewServer(handler)
	t.Cleanup(backend.Close)
	file := filepath.Join(t.TempDir(), "postern.toml")
	text := fmt.Sprintf(`
[listen.public]
address = "127.0.0.1:0"
%s
[api.x]
type = "rest"
[api.x.route."ANY /x/{proxy+}"]
integration = { type = "http_proxy", url = "%s/{proxy}" }
[api.x.route."ANY /{any+}"]
integration = { type = "http_proxy", url = "%s/{any}" }
[api.x.route."ANY /"]
integration = { type = "http_proxy", url = "%s/" }
[api.x.stage.prod]
[domain."127.0.0.1".map]
"/" = "x:prod"
`, listen, backend.URL, backend.URL, backend.URL)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	gateway = Start(t)
	t.Cleanup(gateway.Close)
	if problem := gateway.Apply(file); problem != "" {
		t.Fatal(problem)
	}
	return gateway, "http://" + gateway.Addr("public") + "/x"
}

// zeros is n bytes of nothing.
type zeros struct{ n int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.n == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), z.n)
	z.n -= n
	clear(p[:n])
	return int(n), nil
}

// A gibibyte each way passes through with flat memory.
func TestStreamGibibyte(t *testing.T) {
	size := int64(1 << 30)
	if testing.Short() || raceEnabled {
		size = 64 << 20
	}
	_, url := serveTraffic(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			n, err := io.Copy(io.Discard, r.Body)
			fmt.Fprintf(w, "%d of %d %v", n, r.ContentLength, err)
			return
		}
		if r.URL.Path == "/known" {
			w.Header().Set("Content-Length", fmt.Sprint(size))
		}
		io.Copy(w, &zeros{size})
	}), "limits = { body = \"2GiB\" }")
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	var peak atomic.Uint64
	stop := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var m runtime.MemStats
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				runtime.ReadMemStats(&m)
				peak.Store(max(peak.Load(), m.HeapInuse))
			}
		}
	}()
	for _, length := range []int64{size, -1} {
		r, _ := http.NewRequest(http.MethodPost, url+"/up", &zeros{size})
		r.ContentLength = length
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if want := fmt.Sprintf("%d of %d <nil>", size, length); string(got) != want {
			t.Errorf("upload with length %d: backend got %s, want %s", length, got, want)
		}
	}
	for _, path := range []string{"/known", "/chunked"} {
		response, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if n != size || err != nil {
			t.Errorf("download %s: got %d bytes, %v, want %d", path, n, err, size)
		}
	}
	close(stop)
	<-ended
	if got := int64(peak.Load()) - int64(before.HeapInuse); got > 64<<20 {
		t.Errorf("heap grew by %d MiB, want it flat", got>>20)
	}
	http.DefaultClient.CloseIdleConnections()
}

// A real WebSocket client talks to a real WebSocket backend through http_proxy,
// also across a reload.
func TestWebSocket(t *testing.T) {
	gateway, url := serveTraffic(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"echo"}})
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(1 << 20)
		for {
			kind, message, err := c.Read(r.Context())
			if err != nil {
				return
			}
			if c.Write(r.Context(), kind, bytes.ToUpper(message)) != nil {
				return
			}
		}
	}), "")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, response, err := websocket.Dial(ctx, url+"/ws", &websocket.DialOptions{Subprotocols: []string{"echo"}})
	if err != nil {
		t.Fatalf("%v (%v)", err, response)
	}
	defer c.CloseNow()
	c.SetReadLimit(1 << 20)
	for i, message := range []string{"hello", strings.Repeat("long ", 50_000), ""} {
		if err := c.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
			t.Fatal(err)
		}
		_, got, err := c.Read(ctx)
		if err != nil || string(got) != strings.ToUpper(message) {
			t.Fatalf("message %d: got %d bytes, %v", i, len(got), err)
		}
		if i == 0 { // a configuration that knows nothing of the tunnel
			file := filepath.Join(t.TempDir(), "postern.toml")
			text := "[listen.public]\naddress = \"127.0.0.1:0\"\n[api.y]\ntype = \"rest\"\n[api.y.route.\"GET /y\"]\nintegration = { type = \"mock\" }\nresponse.default.status = 200\n[api.y.stage.prod]\n"
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if problem := gateway.Apply(file); problem != "" {
				t.Fatal(problem)
			}
		}
	}
	if err := c.Close(websocket.StatusNormalClosure, "done"); err != nil {
		t.Errorf("close: %v", err)
	}
}

// A client that leaves ends the backend's request, also in the middle of an upload.
func TestClientLeaves(t *testing.T) {
	arrived, left := make(chan struct{}, 2), make(chan struct{}, 2)
	gateway, _ := serveTraffic(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		left <- struct{}{}
	}), "")
	for _, request := range []string{
		"GET /x/slow HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
		"POST /x/slow HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
	} {
		c, err := net.Dial("tcp", gateway.Addr("public"))
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, request)
		<-arrived
		c.Close()
		select {
		case <-left:
		case <-time.After(patience):
			t.Fatalf("%.20q: the backend still works for a client that left", request)
		}
	}
}

// Server-sent events pass at once: each event exists only after the client got
// the one before.
func TestServerSentEvents(t *testing.T) {
	next := make(chan struct{})
	_, url := serveTraffic(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
			<-next
		}
	}), "")
	response, err := http.Get(url + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	buf := make([]byte, 100)
	for i := range 3 {
		n, err := response.Body.Read(buf)
		if want := fmt.Sprintf("data: %d\n\n", i); string(buf[:n]) != want {
			t.Fatalf("got %q, %v, want %q", buf[:n], err, want)
		}
		next <- struct{}{}
	}
}
