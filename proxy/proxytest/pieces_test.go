package proxytest

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/postern-gateway/postern/sdk/guests"
)

// piecesGateway serves plugins that have content in pieces, in front of a backend.
func piecesGateway(t *testing.T, backend string) (client *http.Client, url string, host string) {
	t.Helper()
	gateway := Start(t)
	t.Cleanup(gateway.Close)
	apply(t, gateway, fmt.Sprintf(`
[listen.public]
address = "127.0.0.1:0"
h2c = true
limits = { body = "8GiB" }
[plugin.filter]
module = %q
[plugin.answer]
module = %q
max_instances = 2
timeout = "1400ms" # one of its calls has to end by it
[api.a]
type = "rest"
[api.a.route."POST /filter"]
filters = ["filter"]
integration = { type = "http_proxy", url = %q }
[api.a.route."POST /answer"]
integration = { type = "wasm", plugin = "answer" }
[api.a.stage.s]
`, guests.Build(t, "testdata/wasm/pieces/pieces.c"), guests.Build(t, "testdata/wasm/pieces/answer.c"), backend))
	addr := gateway.Addr("public")
	transport := &http2.Transport{AllowHTTP: true, DialTLSContext: func(ctx context.Context, _, _ string, _ *tls.Config) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}, "http://a.localhost/s", addr
}

// oneDial is a client of HTTP/1.1 that goes to addr, whatever the URL says.
func oneDial(t *testing.T, addr string) *http.Client {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// askPieces sends a request that says what the guest shall do.
func askPieces(t *testing.T, client *http.Client, url, do string, body io.Reader) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "POST", url, body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Do", do)
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}

// patterned is content of a length, of which nothing is stored.
type patterned struct{ at, size int64 }

func (p *patterned) Read(b []byte) (int, error) {
	n := min(int64(len(b)), p.size-p.at)
	for i := range b[:n] {
		b[i] = 'a' + byte((p.at+int64(i))%26)
	}
	p.at += n
	if n == 0 {
		return 0, io.EOF
	}
	return int(n), nil
}

// Much content goes through a filter in both directions, and in and out of an
// integration, in little memory. POSTERN_MIB is how much, 64 by default.
func TestPiecesOfMuch(t *testing.T) {
	size := int64(64)
	if text := os.Getenv("POSTERN_MIB"); text != "" {
		size, _ = strconv.ParseInt(text, 10, 64)
	}
	size <<= 20
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r.Body}, make([]byte, 32<<10))
	}))
	defer backend.Close()
	second, url, addr := piecesGateway(t, backend.URL)
	want := sha256.New()
	io.Copy(want, &patterned{size: size})
	loud := sha256.New()
	io.Copy(writerFunc(func(b []byte) (int, error) { return loud.Write([]byte(strings.ToUpper(string(b)))) }), &patterned{size: size})
	for _, c := range []struct {
		name   string
		client *http.Client
		path   string
		do     string
		sum    []byte
	}{
		{"filter, HTTP/1.1", oneDial(t, addr), "/filter", "", want.Sum(nil)},
		{"filter that changes, HTTP/2", second, "/filter", "capitals", loud.Sum(nil)},
		{"integration, HTTP/1.1", oneDial(t, addr), "/answer", "echo", want.Sum(nil)},
		{"integration, HTTP/2", second, "/answer", "echo", want.Sum(nil)},
	} {
		t.Run(c.name, func(t *testing.T) {
			runtime.GC()
			var before, now runtime.MemStats
			runtime.ReadMemStats(&before)
			response := askPieces(t, c.client, url+c.path, c.do, &patterned{size: size})
			got := sha256.New()
			n, err := io.CopyBuffer(writerFunc(func(b []byte) (int, error) {
				got.Write(b)
				return len(b), nil
			}), struct{ io.Reader }{response.Body}, make([]byte, 64<<10))
			runtime.ReadMemStats(&now)
			most := max(now.HeapInuse, before.HeapInuse) - before.HeapInuse
			if err != nil || n != size || string(got.Sum(nil)) != string(c.sum) {
				t.Errorf("%d of %d bytes, %v, the same: %t", n, size, err, string(got.Sum(nil)) == string(c.sum))
			}
			if most > 32<<20 {
				t.Errorf("the heap has grown by %d MiB", most>>20)
			}
		})
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// An integration's answer is there while the request still comes, piece for piece.
func TestAnswerWhileAsking(t *testing.T) {
	second, url, addr := piecesGateway(t, "http://127.0.0.1:1")
	for name, client := range map[string]*http.Client{"HTTP/1.1": oneDial(t, addr), "HTTP/2": second} {
		t.Run(name, func(t *testing.T) {
			out, in := io.Pipe()
			go io.WriteString(in, "piece 0")
			response := askPieces(t, client, url+"/answer", "echo", out)
			b := make([]byte, 7)
			for i := range 5 {
				if _, err := io.ReadFull(response.Body, b); err != nil || string(b) != fmt.Sprintf("piece %d", i) {
					t.Fatalf("got %q, %v", b, err)
				}
				if i < 4 {
					fmt.Fprintf(in, "piece %d", i+1) // sent when the one before has come back
				}
			}
			in.Close()
			if rest, err := io.ReadAll(response.Body); err != nil || len(rest) > 0 {
				t.Errorf("the end: %q, %v", rest, err)
			}
		})
	}
}

// What fails in the middle is never taken for complete, and who leaves costs nothing.
func TestPiecesBreakOff(t *testing.T) {
	var broken atomic.Int32
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			broken.Add(1)
		}
		for _, part := range []string{"one ", "two ", "three"} {
			io.WriteString(w, part)
			w.(http.Flusher).Flush()
			time.Sleep(20 * time.Millisecond) // so that they are likely to be pieces of their own
		}
	}))
	defer backend.Close()
	second, url, addr := piecesGateway(t, backend.URL)
	for name, client := range map[string]*http.Client{"HTTP/1.1": oneDial(t, addr), "HTTP/2": second} {
		for _, c := range [][2]string{{"/answer", "trap"}, {"/answer", "loop"}} {
			response := askPieces(t, client, url+c[0], c[1], http.NoBody)
			if content, err := io.ReadAll(response.Body); err == nil || string(content) != "half" || response.StatusCode != 200 {
				t.Errorf("%s, %v: got %d %q, %v", name, c, response.StatusCode, content, err)
			}
		}
		// The response's second piece traps, if there are two.
		response := askPieces(t, client, url+"/filter", "trap", http.NoBody)
		if content, err := io.ReadAll(response.Body); err == nil && string(content) != "one two three" || !strings.HasPrefix("one two three", string(content)) {
			t.Errorf("%s, a filter: got %q, %v", name, content, err)
		}
	}
	// A request's is a fault, for the client has no answer yet; the backend sees no end.
	if response := askPieces(t, second, url+"/filter", "trap", &patterned{size: 1 << 40}); response.StatusCode != 500 {
		t.Errorf("HTTP/2, a request: got %d", response.StatusCode)
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	go func() {
		io.WriteString(c, "POST /s/filter HTTP/1.1\r\nHost: a.localhost\r\nX-Do: trap\r\nContent-Length: 1000000000\r\n\r\n")
		io.Copy(c, &patterned{size: 1_000_000_000})
	}()
	if line, err := bufio.NewReader(c).ReadString('\n'); !strings.Contains(line, " 500 ") {
		t.Errorf("HTTP/1.1, a request: got %q, %v", line, err)
	}
	for until := time.Now().Add(time.Minute); broken.Load() < 2 && time.Now().Before(until); time.Sleep(time.Millisecond) {
	}
	if n := broken.Load(); n < 2 {
		t.Errorf("the backend saw %d requests break off, want 2", n)
	}
	// Who leaves: the two instances are free again for the next.
	for range 6 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(patience))
		io.WriteString(c, "POST /s/answer HTTP/1.1\r\nHost: a.localhost\r\nX-Do: forever\r\nContent-Length: 0\r\n\r\n")
		if line, err := bufio.NewReader(c).ReadString('\n'); !strings.Contains(line, " 200 ") {
			t.Fatalf("got %q, %v", line, err)
		}
		c.Close()
	}
	if response := askPieces(t, second, url+"/answer", "count", strings.NewReader("12345")); response.StatusCode != 201 {
		t.Errorf("afterwards: %d", response.StatusCode)
	}
}
