package upstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script answers one connection after another; each gets what it reads up to
// the blank line, and may go on reading.
type script struct {
	t        *testing.T
	listener net.Listener
	accepted atomic.Int32
	heads    chan string
}

// serve starts a backend that calls handle for each request head.
func serve(t *testing.T, handle func(conn net.Conn, r *bufio.Reader, head string) (goOn bool)) *script {
	t.Helper()
	return serveOn(t, func(l net.Listener) net.Listener { return l }, handle)
}

// serveOn is serve on what wrap makes of the listener.
func serveOn(t *testing.T, wrap func(net.Listener) net.Listener, handle func(conn net.Conn, r *bufio.Reader, head string) (goOn bool)) *script {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l = wrap(l)
	s := &script{t: t, listener: l, heads: make(chan string, 100)}
	var all sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	all.Add(1)
	go func() {
		defer all.Done()
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.accepted.Add(1)
			mu.Lock()
			open[conn] = true
			mu.Unlock()
			all.Add(1)
			go func() {
				defer all.Done()
				defer conn.Close()
				r := bufio.NewReader(conn)
				for {
					head := readHead(r)
					if head == "" {
						return
					}
					s.heads <- head
					if !handle(conn, r, head) {
						return
					}
				}
			}()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for conn := range open {
			conn.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return s
}

func readHead(r *bufio.Reader) string {
	var head strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return ""
		}
		head.WriteString(line)
		if line == "\r\n" {
			return head.String()
		}
	}
}

func (s *script) url() string { return "http://" + s.listener.Addr().String() }

// text is a body for tests; gate, if there, is waited for before each read.
type text struct {
	*strings.Reader
	gate chan struct{}
}

func (b text) Read(p []byte) (int, error) {
	if b.gate != nil {
		if _, ok := <-b.gate; !ok {
			return 0, errors.New("aborted")
		}
	}
	return b.Reader.Read(p)
}

func (text) Trailers() http1.Fields { return nil }

// gone is a client that left.
type gone struct{}

func (gone) Inform(int, http1.Fields) error { return nil }
func (gone) Gone() bool                     { return true }

func open(t testing.TB, url string, o *config.Backend) (proxy.Backend, *Set) {
	t.Helper()
	set := NewSet(Options{Poison: true})
	t.Cleanup(set.Close)
	g := set.Begin()
	b, err := g.Backend(url, o)
	if err != nil {
		t.Fatal(err)
	}
	g.Commit()
	return b, set
}

func request(method string, content string) *proxy.Exchange {
	ex := new(proxy.Exchange)
	ex.Begin(time.Now(), nil)
	ex.Out = proxy.Outgoing{Method: method, Target: "/x", Host: "pets.example", Timeout: time.Minute}
	if content != "" {
		ex.Out.Content = []byte(content)
	}
	return ex
}

func body(t testing.TB, ex *proxy.Exchange) string {
	t.Helper()
	if ex.Back.Body == nil {
		return ""
	}
	var b strings.Builder
	if _, err := io.Copy(&b, ex.Back.Body); err != nil {
		t.Fatalf("body: %v", err)
	}
	return b.String()
}

// Each framing of an answer gives its content, and connections are used again
// only where the content's end is certain.
func TestFraming(t *testing.T) {
	f := func(answer, method, want string, wantStatus int, wantReuse bool) {
		t.Helper()
		s := serve(t, func(conn net.Conn, _ *bufio.Reader, _ string) bool {
			io.WriteString(conn, answer)
			return !strings.Contains(answer, "close")
		})
		b, _ := open(t, s.url(), nil)
		for range 2 {
			ex := request(method, "")
			if err := b.Send(context.Background(), ex); err != nil {
				t.Fatalf("%q: %v", answer, err)
			}
			if ex.Back.Status != wantStatus {
				t.Errorf("%q: got status %d, want %d", answer, ex.Back.Status, wantStatus)
			}
			if method == "HEAD" && ex.Back.Length != 5 {
				t.Errorf("%q: got length %d, want 5", answer, ex.Back.Length)
			}
			if got := body(t, ex); got != want {
				t.Errorf("%q: got body %q, want %q", answer, got, want)
			}
			ex.End()
		}
		if reused := s.accepted.Load() == 1; reused != wantReuse {
			t.Errorf("%q: got reuse %v, want %v", answer, reused, wantReuse)
		}
	}
	f("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "GET", "hello", 200, true)
	f("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", "GET", "hello", 200, true)
	f("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", "GET", "hello", 200, false)
	f("HTTP/1.1 204 No Content\r\n\r\n", "GET", "", 204, true)
	f("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD", "", 200, true)
	f("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "GET", "", 304, true)
	f("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "GET", "", 200, true)
	f("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "POST", "ok", 200, true)
	// More bytes than the length says: never taken for the next answer.
	f("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad", "GET", "ok", 200, false)
}

// Answers that can't be trusted are 502 and cost the connection.
func TestBadAnswers(t *testing.T) {
	f := func(answer string, want proxy.FaultKind) {
		t.Helper()
		s := serve(t, func(conn net.Conn, _ *bufio.Reader, _ string) bool {
			io.WriteString(conn, answer)
			return false
		})
		b, set := open(t, s.url(), nil)
		ex := request("POST", "x")
		err := b.Send(context.Background(), ex)
		if err == nil {
			_, err = io.ReadAll(ex.Back.Body)
		}
		var got proxy.Fault
		errors.As(err, &got)
		if got.Kind != want {
			t.Errorf("%.60q: got %v, want %v", answer, err, want)
		}
		ex.End()
		if idle := set.all()[0].all[0].take(netip.AddrPort{}); idle != nil {
			t.Errorf("%.60q: the connection was kept", answer)
		}
	}
	f("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhel", proxy.BadIntegration)
	f("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", proxy.BadIntegration)
	f("HTTP/1.1 200 OK\nContent-Length: 2\n\nok", proxy.BadIntegration)
	f("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", proxy.BadIntegration)
	f("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", proxy.BadIntegration)
	f("SSH-2.0-OpenSSH_9.2\r\n", proxy.BadIntegration)
	f(strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 1000), proxy.BadIntegration)
	f("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1<<20)+"\r\n\r\n", proxy.BadIntegration)
	f("HTTP/1.1 200 OK\r\n"+strings.Repeat("X: y\r\n", 10000)+"\r\n", proxy.BadIntegration)
	f("", proxy.IntegrationFailure)
	f("HTTP/1.1 200 OK\r\nContent-Le", proxy.IntegrationFailure)
}

// An answer that is shorter than it says is an error, never a clean end.
func TestTruncated(t *testing.T) {
	f := func(answer string) {
		t.Helper()
		s := serve(t, func(conn net.Conn, _ *bufio.Reader, _ string) bool {
			io.WriteString(conn, answer)
			return false
		})
		b, _ := open(t, s.url(), nil)
		ex := request("GET", "")
		if err := b.Send(context.Background(), ex); err != nil {
			t.Fatal(err)
		}
		defer ex.End()
		if got, err := io.ReadAll(ex.Back.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q: got %q and %v, want io.ErrUnexpectedEOF", answer, got, err)
		}
	}
	f("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
	f("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
	f("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")
}

// A kept connection that the backend closes as we write: GET is sent again,
// POST is not, once the request may have arrived.
func TestStaleConnection(t *testing.T) {
	var requests atomic.Int32
	s := serve(t, func(conn net.Conn, r *bufio.Reader, head string) bool {
		if requests.Add(1) == 2 {
			return false // took the request and closed
		}
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		return true
	})
	f := func(method string, wantErr bool, wantRetries int) {
		t.Helper()
		requests.Store(0)
		b, _ := open(t, s.url(), nil)
		for i := range 2 {
			ex := request(method, "")
			err := b.Send(context.Background(), ex)
			if i == 1 && (err != nil) != wantErr {
				t.Errorf("%s: got error %v, want one: %v", method, err, wantErr)
			}
			if i == 1 && ex.Notes.Retries != wantRetries {
				t.Errorf("%s: got %d retries, want %d", method, ex.Notes.Retries, wantRetries)
			}
			if err == nil {
				body(t, ex)
			}
			ex.End()
		}
	}
	f("GET", false, 1)
	f("POST", true, 0)
}

// A POST doesn't even go to a connection that was closed while it was idle.
func TestClosedWhileIdle(t *testing.T) {
	s := serve(t, func(conn net.Conn, _ *bufio.Reader, _ string) bool {
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		return false // the connection ends, unannounced
	})
	b, set := open(t, s.url(), nil)
	for range 3 {
		ex := request("POST", "x")
		if err := b.Send(context.Background(), ex); err != nil {
			t.Fatal(err)
		}
		body(t, ex)
		ex.End()
		idle := set.all()[0].all[0].idle[0]
		for !idle.wire.Gone() { // the FIN is on its way
			time.Sleep(time.Millisecond)
		}
	}
	if got := s.accepted.Load(); got != 3 {
		t.Errorf("got %d connections, want 3", got)
	}
}

func TestTimeouts(t *testing.T) {
	s := serve(t, func(conn net.Conn, r *bufio.Reader, head string) bool {
		if strings.HasPrefix(head, "POST") {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
		}
		io.Copy(io.Discard, r) // until the gateway hangs up
		return false
	})
	b, _ := open(t, s.url(), &config.Backend{ConnectTimeout: config.Duration(time.Minute), IdleTimeout: config.Duration(100 * time.Millisecond), Header: 4096})
	ex := request("GET", "")
	ex.Out.Timeout = 200 * time.Millisecond
	begin := time.Now()
	err := b.Send(context.Background(), ex)
	if !errors.Is(err, proxy.Fault{Kind: proxy.IntegrationTimeout}) {
		t.Errorf("head: got %v, want %v", err, proxy.IntegrationTimeout)
	}
	if took := time.Since(begin); took < 200*time.Millisecond {
		t.Errorf("head: gave up after %s, before the limit", took)
	}
	ex.End()
	ex = request("POST", "x")
	if err := b.Send(context.Background(), ex); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(ex.Back.Body); err == nil {
		t.Error("content: got a clean end, want the idle limit")
	}
	ex.End()
}

// A client that leaves while the backend works ends the backend's request.
func TestClientGone(t *testing.T) {
	left := make(chan struct{})
	s := serve(t, func(conn net.Conn, r *bufio.Reader, _ string) bool {
		io.Copy(io.Discard, r)
		close(left)
		return false
	})
	b, _ := open(t, s.url(), nil)
	ex := request("GET", "")
	ex.Begin(time.Now(), gone{})
	ex.Out = proxy.Outgoing{Method: "GET", Target: "/", Host: "h", Timeout: time.Minute}
	if err := b.Send(context.Background(), ex); !errors.Is(err, proxy.Fault{Kind: proxy.ClientGone}) {
		t.Errorf("got %v, want %v", err, proxy.ClientGone)
	}
	ex.End()
	<-left
}

// A client that leaves while a connection is opened is no failure of the backend.
func TestClientGoneWhileConnecting(t *testing.T) {
	s := serve(t, func(net.Conn, *bufio.Reader, string) bool { return false })
	b, _ := open(t, s.url(), nil)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var f proxy.Fault
	if err := b.Send(ctx, request("GET", "")); !errors.As(err, &f) || f.Kind != proxy.ClientGone {
		t.Errorf("got %v, want the fault %v", err, proxy.ClientGone)
	}
}

// Content that streams goes out as it comes, and an answer that comes early is
// passed on before the content's end.
func TestUpload(t *testing.T) {
	f := func(length int64, content string, early bool) {
		t.Helper()
		got := make(chan string, 1)
		s := serve(t, func(conn net.Conn, r *bufio.Reader, head string) bool {
			if early {
				io.WriteString(conn, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
				return false
			}
			b, _ := io.ReadAll(io.LimitReader(r, int64(len(head)*0)+wireLength(length, content)))
			got <- string(b)
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			return true
		})
		b, _ := open(t, s.url(), nil)
		ex := request("POST", "")
		gate := make(chan struct{}, 100)
		for range 100 {
			gate <- struct{}{}
		}
		ex.Out.Body, ex.Out.Length = text{strings.NewReader(content), gate}, length
		if early {
			ex.Out.Body = &stuck{stop: make(chan struct{})}
		}
		if err := b.Send(context.Background(), ex); err != nil {
			t.Fatal(err)
		}
		want := "ok"
		if early {
			want = "no"
		}
		if answer := body(t, ex); answer != want {
			t.Errorf("got answer %q, want %q", answer, want)
		}
		ex.End()
		if early {
			return
		}
		sent := <-got
		if length == http1.Unknown {
			sent = unchunk(t, sent)
		}
		if sent != content {
			t.Errorf("backend got %d bytes, want %d", len(sent), len(content))
		}
	}
	long := strings.Repeat("0123456789", 30000)
	f(int64(len(long)), long, false)
	f(5, "hello", false)
	f(http1.Unknown, "hello", false)
	f(http1.Unknown, "", true)
}

// An upload that is stopped just as it ends leaves no connection for others, and none
// that the backend may have closed is taken for content that can't be sent twice.
func TestUploadStopped(t *testing.T) {
	over := make(chan struct{}, 1)
	s := serve(t, func(conn net.Conn, r *bufio.Reader, head string) bool {
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") // early
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return false
			}
			if line == "0\r\n" {
				r.ReadString('\n')
				over <- struct{}{}
				return true
			}
		}
	})
	b, set := open(t, s.url(), nil)
	for i := range 20 {
		ex := request("PUT", "")
		ex.Out.Length = http1.Unknown
		ex.Out.Body = &late{stuck: stuck{stop: make(chan struct{})}, over: over}
		if err := b.Send(context.Background(), ex); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		if got := body(t, ex); got != "ok" {
			t.Errorf("got answer %q", got)
		}
		ex.End()
	}
	if open, idle := set.all()[0].all[0].figures(); open != idle || idle > 1 {
		t.Errorf("%d connections are counted, %d are there", open, idle)
	}
}

// late is content that ends when it is told to stop, and is stopped no sooner than
// its end has arrived.
type late struct {
	stuck
	over chan struct{}
}

func (l *late) Read([]byte) (int, error) { <-l.stop; return 0, io.EOF }

func (l *late) Abort() {
	l.stuck.Abort()
	select {
	case <-l.over:
	case <-time.After(20 * time.Second): // nothing arrived: the request has failed
	}
}

// stuck is content that never comes.
type stuck struct {
	stop chan struct{}
	once sync.Once
}

func (s *stuck) Read([]byte) (int, error) { <-s.stop; return 0, errors.New("aborted") }
func (s *stuck) Trailers() http1.Fields   { return nil }
func (s *stuck) Abort()                   { s.once.Do(func() { close(s.stop) }) }

func wireLength(length int64, content string) int64 {
	if length != http1.Unknown {
		return int64(len(content))
	}
	return int64(len(fmt.Sprintf("%x\r\n", len(content)))) + int64(len(content)) + 2 + 5
}

func unchunk(t *testing.T, s string) string {
	t.Helper()
	var c http1.Chunked
	c.Reset(&http1.Limits{Line: 100, Head: 1000, Fields: 10})
	out := make([]byte, len(s))
	n := 0
	for {
		nd, ns, err := c.Decode(out[n:], []byte(s))
		n, s = n+nd, s[ns:]
		if err == io.EOF {
			return string(out[:n])
		}
		if err != nil || ns == 0 && nd == 0 {
			t.Fatalf("bad chunks: %v", err)
		}
	}
}

// Names that stop resolving keep their last addresses for a while; a name that
// never did fails fast.
func TestNames(t *testing.T) {
	s := serve(t, func(conn net.Conn, _ *bufio.Reader, _ string) bool {
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		return true
	})
	port := netip.MustParseAddrPort(s.listener.Addr().String()).Port()
	var calls atomic.Int32
	resolve := func(_ context.Context, host string) ([]netip.Addr, error) {
		if host == "good.test" && calls.Add(1) == 1 {
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		}
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	set := NewSet(Options{Resolve: resolve})
	t.Cleanup(set.Close)
	send := func(host string) error {
		g := set.Begin()
		b, err := g.Backend(fmt.Sprintf("http://%s:%d", host, port), &config.Backend{ConnectTimeout: config.Duration(time.Minute), IdleTimeout: config.Duration(time.Minute), Header: 4096})
		if err != nil {
			t.Fatal(err)
		}
		g.Commit()
		ex := request("GET", "")
		defer ex.End()
		return b.Send(context.Background(), ex)
	}
	if err := send("good.test"); err != nil {
		t.Errorf("first: %v", err)
	}
	if err := send("bad.test"); !errors.Is(err, proxy.Fault{Kind: proxy.IntegrationFailure}) {
		t.Errorf("unknown name: got %v, want %v", err, proxy.IntegrationFailure)
	}
	var n names
	answer := []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	n.good.Store(&known{answer, time.Now().Add(-time.Minute)})
	if got, err := n.lookUp(context.Background(), "bad.test", resolve); err != nil || len(got) != 1 {
		t.Errorf("stale: got %v, %v, want the last good answer", got, err)
	}
	n.good.Store(&known{answer, time.Now().Add(-time.Hour)})
	if _, err := n.lookUp(context.Background(), "bad.test", resolve); err == nil {
		t.Error("stale for an hour: got an answer, want the failure")
	}
}

// A backend that the next generation names again keeps its connections.
func TestGenerations(t *testing.T) {
	s := serve(t, func(conn net.Conn, _ *bufio.Reader, _ string) bool {
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		return true
	})
	set := NewSet(Options{Poison: true})
	defer set.Close()
	for range 3 {
		g := set.Begin()
		b, err := g.Backend(s.url(), nil)
		if err != nil {
			t.Fatal(err)
		}
		g.Commit()
		ex := request("GET", "")
		if err := b.Send(context.Background(), ex); err != nil {
			t.Fatal(err)
		}
		body(t, ex)
		ex.End()
	}
	if got := s.accepted.Load(); got != 1 {
		t.Errorf("got %d connections over three generations, want 1", got)
	}
	set.Begin().Commit()
	if n := len(set.all()); n != 0 {
		t.Errorf("got %d backends after an empty generation, want 0", n)
	}
}

// answering starts a backend that answers each read with 1 KiB.
func answering(b *testing.B) (address string) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n" + strings.Repeat("x", 1024))
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				buf := make([]byte, 4096)
				for {
					if _, err := conn.Read(buf); err != nil {
						return
					}
					if _, err := conn.Write(answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

func BenchmarkSend(b *testing.B) {
	address := answering(b)
	benchmarkSend(b, address, nil)
}

// With every option that a request meets on its way.
func BenchmarkSendOptions(b *testing.B) {
	for _, policy := range []string{"round_robin", "least_requests", "hash"} {
		b.Run(policy, func(b *testing.B) {
			benchmarkSend(b, "pets.internal", options(func(o *config.Backend) {
				o.Balance, o.SlowStart, o.MaxConnections, o.MaxRequests = policy, seconds(1), 10, 10
				o.Targets[0].Weight, o.Targets[2].Backup = 3, true
				if policy == "hash" {
					o.Hash = "method.request.header.X-User"
				}
			}, answering(b), answering(b), answering(b)))
		})
	}
}

func benchmarkSend(b *testing.B, address string, o *config.Backend) {
	set := NewSet(Options{Poison: true})
	defer set.Close()
	g := set.Begin()
	backend, err := g.Backend("http://"+address, o)
	if err != nil {
		b.Fatal(err)
	}
	g.Commit()
	ex := new(proxy.Exchange)
	user := http1.NewField("X-User", "ann")
	buf := make([]byte, 4096)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		ex.Begin(time.Now(), nil)
		ex.In.Fields = append(ex.In.Fields, user)
		ex.Out.Method, ex.Out.Target, ex.Out.Host, ex.Out.Timeout = "GET", "/", "h", 29*time.Second
		if err := backend.Send(ctx, ex); err != nil {
			b.Fatal(err)
		}
		for {
			if _, err := ex.Back.Body.Read(buf); err == io.EOF {
				break
			}
		}
		ex.End()
	}
}

// A URL without a [backend.x] has the defaults that the configuration documents.
func TestDefaults(t *testing.T) {
	got, err := newSettings("http://pets.internal", nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := newSettings("http://pets.internal", options(nil))
	if err != nil {
		t.Fatal(err)
	}
	f := func(s *settings) string {
		return fmt.Sprint(s.connect, s.idle, s.content, s.keepAlive, s.maxIdle, s.minIdle, s.retries, s.headerBytes, s.limits, s.requests, s.perOne)
	}
	if f(got) != f(want) {
		t.Errorf("got  %s\nwant %s", f(got), f(want))
	}
}
