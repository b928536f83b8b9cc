package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/http2"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/explain"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/overload"
	"github.com/postern-gateway/postern/proxy/pausetest"
	"github.com/postern-gateway/postern/proxy/snapshot"
	"github.com/postern-gateway/postern/proxy/wire"
)

func TestMain(m *testing.M) {
	if args := strings.Fields(os.Getenv("POSTERN_IDLE")); len(args) == 3 {
		idleClients(args[0], args[1], args[2])
		return
	}
	goleak.VerifyTestMain(m)
}

// actor is an integration that does what the path says.
type actor struct {
	gate  chan struct{}
	owner *owner
}

func (a *actor) Run(ctx context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	reply := &ex.Reply
	reply.Status = 200
	switch ex.Path {
	case "/echo":
		content, err := io.ReadAll(readerOf(ex.In.Body))
		if err != nil {
			return proxy.Continue, err
		}
		reply.Content = fmt.Appendf(nil, "%s %s host=%s proto=%s trailers=%v body=%s", ex.Method, ex.FullPath, ex.In.Host, ex.In.Proto, trailers(ex.In.Body), content)
	case "/ignore":
		reply.Content = []byte("ignored")
	case "/panic":
		panic("a mistake of ours")
	case "/stream":
		reply.Body, reply.Length = &feed{gate: a.gate, parts: []string{"one ", "two ", "three"}}, http1.Unknown
	case "/cut":
		reply.Body, reply.Length = &feed{parts: []string{"one "}, fail: errors.New("backend reset")}, http1.Unknown
	case "/cutlength":
		reply.Body, reply.Length = &feed{parts: []string{"one "}, fail: errors.New("backend reset")}, 100
	case "/hold":
		<-a.gate
		reply.Content = []byte("held")
	case "/big":
		reply.Content = bytes.Repeat([]byte("0123456789"), 100_000)
	case "/huge":
		reply.Body, reply.Length = new(flood), flooded
	case "/flood":
		reply.Content = make([]byte, flooded)
	case "/wait":
		<-ctx.Done()
		return proxy.Continue, proxy.Fault{Kind: proxy.ClientGone, Cause: ctx.Err()}
	case "/hints":
		if err := ex.Inform(103, http1.Fields{http1.NewField("Link", "</a.css>")}); err != nil {
			return proxy.Continue, err
		}
		reply.Content = []byte("done")
	case "/upgrade":
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			io.Copy(far, far)
		}()
		reply.Status, reply.Tunnel = 101, &pipe{Conn: near}
	case "/upgradeonce": // the backend ends as soon as it got something
		near, far := net.Pipe()
		go func() {
			io.ReadFull(far, make([]byte, 1))
			far.Close()
		}()
		reply.Status, reply.Tunnel = 101, &pipe{Conn: near}
	case "/takeover":
		reply.Status, reply.Takeover = 101, a.owner
	case "/nothing":
		reply.Status = 204
	case "/field": // a string of the exchange, as a backend's are
		reply.Fields.Add("X-Value", ex.Text.Concat(ex.In.RawQuery))
	case "/teapot":
		return proxy.Continue, proxy.Fault{Kind: proxy.Throttled}
	}
	return proxy.Answered, nil
}

func readerOf(b proxy.Body) io.Reader {
	if b == nil {
		return strings.NewReader("")
	}
	return b
}

func trailers(b proxy.Body) string {
	if b == nil {
		return ""
	}
	var s []string
	for _, f := range b.Trailers() {
		s = append(s, f.Name+"="+f.Value)
	}
	return strings.Join(s, ",")
}

type pipe struct {
	net.Conn
	buf [1 << 10]byte
}

func (p *pipe) CloseWrite() error { return p.Close() }

func (p *pipe) Next() ([]byte, error) {
	n, err := p.Read(p.buf[:])
	return p.buf[:n], err
}

// feed is a body that comes part by part.
type feed struct {
	gate  chan struct{}
	parts []string
	fail  error
}

func (f *feed) Read(p []byte) (int, error) {
	if len(f.parts) == 0 {
		if f.fail != nil {
			return 0, f.fail
		}
		return 0, io.EOF
	}
	if f.gate != nil {
		<-f.gate
	}
	n := copy(p, f.parts[0])
	f.parts = f.parts[1:]
	return n, nil
}

func (*feed) Trailers() http1.Fields {
	return http1.Fields{http1.NewField("X-Sum", "abc")}
}

// flooded is more content than the kernel buffers.
const flooded = 64 << 20

// flood is a body of zeros.
type flood struct{ sent int }

func (f *flood) Read(p []byte) (int, error) {
	n := min(len(p), flooded-f.sent)
	f.sent += n
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (*flood) Trailers() http1.Fields { return nil }

// records keeps what was recorded.
type records struct {
	mute bool // for benchmarks, which measure the server and not this
	mu   sync.Mutex
	all  []record
}

type record struct {
	path     string
	status   int
	fault    proxy.FaultKind
	in, out  int64
	cut, off bool
}

func (r *records) Record(ex *proxy.Exchange) {
	if r.mute {
		return
	}
	one := record{path: ex.In.Path, status: ex.Reply.Status, in: ex.Notes.BytesIn, out: ex.Notes.BytesOut, cut: ex.Notes.Truncated, off: ex.Notes.ClientGone}
	one.path = strings.Clone(one.path)
	if ex.Fault != nil {
		one.fault = ex.Fault.Kind
	}
	r.mu.Lock()
	r.all = append(r.all, one)
	r.mu.Unlock()
}

// wait returns the nth record.
func (r *records) wait(n int) record {
	for {
		r.mu.Lock()
		if len(r.all) > n {
			defer r.mu.Unlock()
			return r.all[n]
		}
		r.mu.Unlock()
		time.Sleep(time.Millisecond)
	}
}

type gateway struct {
	*Server
	t       testing.TB
	gate    chan struct{}
	once    sync.Once
	records *records
	desk    *explain.Desk
	owner   *owner
}

const plain = `
[listen.public]
address = "127.0.0.1:0"
%s
[api.a]
type = "rest"
[api.a.route."ANY /{proxy+}"]
integration = { type = "mock" }
response.default.status = 200
[api.a.stage.s]
[domain."*.example.com".map]
"/" = "a:s"
[domain."localhost".map]
"/" = "a:s"
`

func start(t testing.TB, limits string) *gateway {
	t.Helper()
	return startUnder(t, nil, limits)
}

// startUnder is start with a monitor of memory and file descriptors.
func startUnder(t testing.TB, m *overload.Monitor, limits string) *gateway {
	t.Helper()
	g := &gateway{t: t, gate: make(chan struct{}), records: new(records), desk: new(explain.Desk), owner: newOwner()}
	_, measured := t.(*testing.B)
	g.Server = New(Options{Recorder: g.records, Poison: !measured, Overload: m, Traces: g.desk})
	g.apply(fmt.Sprintf(plain, limits))
	t.Cleanup(func() {
		g.release()
		g.Close()
	})
	return g
}

// release lets everything go on that waits at the gate.
func (g *gateway) release() { g.once.Do(func() { close(g.gate) }) }

func (g *gateway) apply(text string) {
	g.t.Helper()
	cfg, findings := config.Parse("postern.toml", []byte(text))
	if cfg == nil || findings.Failed() {
		g.t.Fatal(findings.Text())
	}
	snap, findings := snapshot.Compile(cfg, snapshot.Options{
		Kinds: []proxy.Kind{{Name: "mock", Role: proxy.IntegrationKind, New: func(proxy.Build, proxy.Options) (proxy.Steps, error) {
			return proxy.Steps{proxy.Integration: &actor{g.gate, g.owner}}, nil
		}}},
		Recorder: func(api, stage string) proxy.Recorder { return g.records },
	})
	if findings.Failed() {
		g.t.Fatal(findings.Text())
	}
	if err := g.Apply(cfg, snap); err != nil {
		g.t.Fatal(err)
	}
}

func (g *gateway) dial() net.Conn {
	g.t.Helper()
	c, err := net.Dial("tcp", g.Addrs()["public"].String())
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return c
}

// talk sends raw and returns everything up to the connection's end.
func (g *gateway) talk(raw string) string {
	g.t.Helper()
	c := g.dial()
	go io.WriteString(c, raw)
	answer, err := io.ReadAll(c)
	if err != nil {
		g.t.Fatalf("%.60q: %v after %q", raw, err, answer)
	}
	return string(answer)
}

// get is a request with Host and Connection: close.
func get(target string, more ...string) string {
	return "GET " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + strings.Join(more, "") + "\r\n"
}

func TestExchange(t *testing.T) {
	g := start(t, "")
	g.release()
	f := func(raw string, wants ...string) {
		t.Helper()
		got := g.talk(raw)
		for _, want := range wants {
			if !strings.Contains(got, want) {
				t.Errorf("%.80q: got %q, want %q in it", raw, got, want)
			}
		}
	}
	f(get("/echo"), "HTTP/1.1 200 OK\r\n", "Connection: close\r\n", "GET /echo host=localhost", "x-amzn-RequestId: ", "x-amz-apigw-id: ", "\r\nDate: ")
	// HTTP/1.0 closes without being told.
	f("GET /echo HTTP/1.0\r\nHost: localhost\r\n\r\n", "proto=HTTP/1.0")
	f("POST /echo HTTP/1.1\r\nHost: LocalHost:80\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello", "host=localhost", "body=hello")
	f("POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\nX-T: v\r\n\r\n", "body=hello", "trailers=X-T=v")
	// Pipelined requests are answered in order.
	f("GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n"+get("/ignore"), "GET /echo", "ignored")
	f(get("/stream"), "Transfer-Encoding: chunked", "0004\r\none \r\n", "0\r\nX-Sum: abc\r\n\r\n")
	f("GET /stream HTTP/1.0\r\nHost: localhost\r\n\r\n", "Connection: close", "\r\n\r\none two three")
	f(get("/panic"), "HTTP/1.1 500 ", `{"message":"Internal server error"}`, "x-amzn-ErrorType: InternalServerErrorException")
	f(get("/teapot"), "HTTP/1.1 429 ", `{"message":"Too Many Requests"}`)
	f(get("/hints"), "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK")
	f("HEAD /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "Content-Length: ")
	f(get("/nothing"), "HTTP/1.1 204 No Content\r\n")
	f("GET /echo HTTP/1.1\r\nHost: nobody.test\r\nConnection: close\r\n\r\n", "HTTP/1.1 404 ")
	f("GET http://localhost/echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "GET /echo host=localhost")
	id := "0f8fad5b-d9cb-469f-a165-70867728950e"
	f(get("/echo", "x-amzn-RequestId: "+id+"\r\n"), "x-amzn-RequestId: "+id)
}

// What isn't HTTP as we read it gets its status, and the connection ends.
func TestRefused(t *testing.T) {
	g := start(t, "[listen.public.limits]\nline = \"1KiB\"\nheader = \"2KiB\"\nbody = \"1KiB\"")
	f := func(raw, want string) {
		t.Helper()
		got := g.talk(raw)
		if !strings.HasPrefix(got, "HTTP/1.1 "+want+" ") || !strings.Contains(got, "Connection: close\r\n") || strings.Count(got, "HTTP/1.1 ") != 1 {
			t.Errorf("%.80q: got %q, want %s and the end", raw, got, want)
		}
	}
	const behind = "GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n"
	f("GET / HTTP/1.1\n\n"+behind, "400")
	f("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"+behind, "400")
	f("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+behind, "400")
	f("GET / HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n"+behind, "400")
	f("GET / HTTP/1.1\r\nHost : localhost\r\n\r\n"+behind, "400")
	f("GET / HTTP/1.1\r\n\r\n"+behind, "400")
	f("GET http://other.test/ HTTP/1.1\r\nHost: localhost\r\n\r\n"+behind, "400")
	f("GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"+behind, "501")
	f("GET / HTTP/2.5\r\nHost: localhost\r\n\r\n"+behind, "505")
	f("GET /"+strings.Repeat("x", 2000)+" HTTP/1.1\r\nHost: localhost\r\n\r\n", "414")
	f("GET / HTTP/1.1\r\nHost: localhost\r\nX: "+strings.Repeat("x", 9000)+"\r\n\r\n", "431")
	f("CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n", "400")
	f("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000\r\n\r\n"+strings.Repeat("x", 100), "413")
	f("POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"+strings.Repeat("100\r\n"+strings.Repeat("x", 256)+"\r\n", 10), "413")
	f("POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400")
}

// 100 (Continue) is sent when the content is read, and not when it never is.
func TestExpect(t *testing.T) {
	g := start(t, "")
	c := g.dial()
	r := bufio.NewReader(c)
	io.WriteString(c, "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
	if line, err := r.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	r.ReadString('\n')
	io.WriteString(c, "ok")
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(response.Body); !strings.Contains(string(b), "body=ok") {
		t.Errorf("got %q", b)
	}
	io.WriteString(c, "POST /ignore HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
	got, err := io.ReadAll(r)
	if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 200 OK") || !strings.Contains(string(got), "Connection: close") {
		t.Errorf("got %q, %v, want the answer at once and the end", got, err)
	}
}

// Content of a reply goes out as soon as it is there.
func TestStreamsAtOnce(t *testing.T) {
	g := start(t, "")
	c := g.dial()
	r := bufio.NewReader(c)
	io.WriteString(c, get("/stream"))
	g.gate <- struct{}{}
	for _, part := range []string{"one ", "two ", "three"} {
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if strings.TrimSuffix(line, "\r\n") == part {
				break
			}
		}
		if part != "three" {
			g.gate <- struct{}{} // the next part exists only now
		}
	}
}

// A reply that breaks off is cut, and never looks complete.
func TestCut(t *testing.T) {
	g := start(t, "")
	for i, path := range []string{"/cut", "/cutlength"} {
		got := g.talk(get(path))
		if strings.Contains(got, "\r\n0\r\n\r\n") || !strings.Contains(got, "one ") {
			t.Errorf("%s: got %q", path, got)
		}
		if r := g.records.wait(i); !r.cut || r.fault != proxy.IntegrationFailure {
			t.Errorf("%s: got record %+v, want truncated", path, r)
		}
	}
}

func TestUpgrade(t *testing.T) {
	g := start(t, "")
	c := g.dial()
	r := bufio.NewReader(c)
	io.WriteString(c, "GET /upgrade HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nearly")
	response, err := http.ReadResponse(r, nil)
	if err != nil || response.StatusCode != 101 || response.Header.Get("Upgrade") != "echo" {
		t.Fatalf("got %v, %v", response, err)
	}
	buf := make([]byte, 5)
	if _, err := io.ReadFull(r, buf); err != nil || string(buf) != "early" {
		t.Fatalf("got %q, %v", buf, err)
	}
	io.WriteString(c, "later")
	if _, err := io.ReadFull(r, buf); err != nil || string(buf) != "later" {
		t.Fatalf("got %q, %v", buf, err)
	}
	c.(*net.TCPConn).CloseWrite()
	if rest, err := io.ReadAll(r); err != nil || len(rest) != 0 {
		t.Errorf("got %q, %v, want the end", rest, err)
	}
	if rec := g.records.wait(0); rec.status != 101 || rec.in != 10 || rec.out != 10 {
		t.Errorf("got record %+v", rec)
	}
}

// A tunnel ends with its backend, also when the client has just sent something
// and the gateway is about to wait for more.
func TestTunnelEndsWithBackend(t *testing.T) {
	g := start(t, "")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 500 {
				c, err := net.Dial("tcp", g.addr())
				if err != nil {
					t.Error(err)
					return
				}
				c.SetDeadline(time.Now().Add(time.Minute))
				io.WriteString(c, "GET /upgradeonce HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nx")
				_, err = io.ReadAll(c)
				c.Close()
				if wire.TimedOut(err) {
					t.Error("the client's connection is still open")
					return
				}
			}
		})
	}
	all.Wait()
}

// A slow head, a slow body and an idle connection are ended.
func TestSlowClients(t *testing.T) {
	pausetest.Run(t, 100*time.Millisecond, func(t testing.TB) {
		g := start(t, "[listen.public.limits]\nheader_timeout = \"200ms\"\nidle_timeout = \"200ms\"\nbody_timeout = \"200ms\"")
		f := func(raw, want string) {
			t.Helper()
			c := g.dial()
			io.WriteString(c, raw)
			got, err := io.ReadAll(c)
			if err != nil || want == "" && len(got) > 0 || !strings.HasPrefix(string(got), want) {
				t.Errorf("%q: got %q, %v, want %q and the end", raw, got, err, want)
			}
		}
		f("", "")
		f("GET /echo HT", "HTTP/1.1 408 ")
		f("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc", "HTTP/1.1 408 ")
		f("GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 204 ")
	})
}

// A drain answers what is in flight and what still comes, and then ends.
func TestDrain(t *testing.T) {
	g := start(t, "")
	held, idle := g.dial(), g.dial()
	io.WriteString(held, "GET /hold HTTP/1.1\r\nHost: localhost\r\n\r\n")
	io.WriteString(idle, "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")
	r := bufio.NewReader(idle)
	if response, err := http.ReadResponse(r, nil); err != nil || response.StatusCode != 204 {
		t.Fatal(err)
	}
	for g.Stats().InFlight != 1 {
		time.Sleep(time.Millisecond)
	}
	ended := make(chan error)
	go func() { ended <- g.Drain(context.Background()) }()
	for !g.draining.Load() {
		time.Sleep(time.Millisecond)
	}
	io.WriteString(idle, "GET /ignore HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if got, err := io.ReadAll(r); err != nil || !strings.Contains(string(got), "Connection: close\r\n") || !strings.HasSuffix(string(got), "ignored") {
		t.Errorf("kept connection: got %q, %v", got, err)
	}
	g.release()
	if got, err := io.ReadAll(held); err != nil || !strings.HasSuffix(string(got), "held") {
		t.Errorf("in flight: got %q, %v", got, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", g.addr()); err == nil {
		t.Error("a new connection was accepted")
	}
}

func (g *gateway) addr() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.listeners["public"].socket.Addr().String()
}

// Reloads under load lose no request and no connection.
func TestReloadUnderLoad(t *testing.T) {
	g := start(t, "")
	var stop atomic.Bool
	var all sync.WaitGroup
	var done atomic.Int64
	for range 8 {
		c := g.dial()
		all.Add(1)
		go func() {
			defer all.Done()
			r := bufio.NewReader(c)
			for !stop.Load() {
				io.WriteString(c, "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello")
				response, err := http.ReadResponse(r, nil)
				if err != nil || response.StatusCode != 200 {
					t.Errorf("got %v, %v", response, err)
					return
				}
				io.Copy(io.Discard, response.Body)
				done.Add(1)
			}
		}()
	}
	for i := range 50 {
		g.apply(fmt.Sprintf(plain, fmt.Sprintf("[listen.public.limits]\nbody = \"%dMiB\"", i+1)))
	}
	for done.Load() < 100 {
		time.Sleep(time.Millisecond)
	}
	stop.Store(true)
	all.Wait()
}

func TestHTTP2(t *testing.T) {
	cert, key := selfSigned(t)
	g := start(t, fmt.Sprintf("tls = { certificates = [{ cert = %q, key = %q }] }", cert, key))
	g.release()
	transport := &http2.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	url := "https://localhost:" + strings.Split(g.addr(), ":")[1]
	f := func(method, path, body, want string, status int) {
		t.Helper()
		r, _ := http.NewRequest(method, url+path, strings.NewReader(body))
		r.Close = false
		response, err := client.Do(r)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		defer response.Body.Close()
		got, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != status || !strings.Contains(string(got), want) {
			t.Errorf("%s: got %d %q, %v, want %d %q", path, response.StatusCode, got, err, status, want)
		}
		if path == "/stream" && response.Trailer.Get("X-Sum") != "abc" {
			t.Errorf("got trailers %v", response.Trailer)
		}
	}
	f("POST", "/echo", "hello", "POST /echo host=localhost proto=HTTP/2.0 trailers= body=hello", 200)
	f("GET", "/stream", "", "one two three", 200)
	f("GET", "/panic", "", "Internal server error", 500)
	f("GET", "/big", "", strings.Repeat("0123456789", 100_000), 200)
	f("HEAD", "/echo", "", "", 200)
	f("GET", "/nothing", "", "", 204)
	if _, err := client.Get(url + "/cutlength"); err == nil {
		r, _ := client.Get(url + "/cut")
		if _, err := io.ReadAll(r.Body); err == nil {
			t.Error("a reply that broke off looks complete")
		}
		r.Body.Close()
	}
}

// selfSigned writes a self-signed certificate for localhost and its key.
func selfSigned(t testing.TB) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// One request through the whole server, without a backend.
func BenchmarkExchange(b *testing.B) {
	g := start(b, "[listen.public.limits]\nrequests = 1000000000")
	c := g.dial()
	c.SetDeadline(time.Time{})
	request := []byte("GET /nothing HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench/1.0\r\nAccept: */*\r\n\r\n")
	buf := make([]byte, 4096)
	g.records.mute = true
	b.ReportAllocs()
	for b.Loop() {
		c.Write(request)
		if _, err := c.Read(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkExchangeTLS(b *testing.B) {
	cert, key := selfSigned(b)
	g := start(b, fmt.Sprintf("limits = { requests = 1000000000 }\ntls = { certificates = [{ cert = %q, key = %q }] }", cert, key))
	c := tls.Client(g.dial(), &tls.Config{InsecureSkipVerify: true})
	c.SetDeadline(time.Time{})
	request := []byte("GET /nothing HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench/1.0\r\nAccept: */*\r\n\r\n")
	buf := make([]byte, 4096)
	g.records.mute = true
	b.ReportAllocs()
	for b.Loop() {
		c.Write(request)
		if _, err := c.Read(buf); err != nil {
			b.Fatal(err)
		}
	}
}
