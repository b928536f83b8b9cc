package upstream

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
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/pausetest"
)

// peer is a backend that speaks cleartext HTTP/2.
type peer struct {
	listener net.Listener
	accepted atomic.Int32
}

func (p *peer) url() string { return "http://" + p.listener.Addr().String() }

// listen starts a peer that serves each connection with serve.
func listen(t testing.TB, serve func(conn net.Conn)) *peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{listener: l}
	var all sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.accepted.Add(1)
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			all.Go(func() {
				defer conn.Close()
				serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, conn := range open {
			conn.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return p
}

// serveH2 starts a peer that answers with handler.
func serveH2(t testing.TB, server *http2.Server, handler http.HandlerFunc) *peer {
	t.Helper()
	return listen(t, func(conn net.Conn) {
		server.ServeConn(conn, &http2.ServeConnOpts{Handler: handler, BaseConfig: new(http.Server)})
	})
}

// h2c are a backend's options with the usual defaults.
func h2c() *config.Backend {
	return &config.Backend{
		Protocol: "h2c", ConnectTimeout: config.Duration(time.Minute), IdleTimeout: config.Duration(time.Minute),
		MaxIdle: 64, KeepAlive: config.Duration(time.Minute), Retries: 1, Header: 64 << 10,
		RetryBudget: 20, RetryMinimum: 10, Queue: 100, QueueTimeout: config.Duration(time.Minute),
	}
}

// streaming returns an exchange with content of unknown length.
func streaming(content proxy.Body) *proxy.Exchange {
	ex := request("POST", "")
	ex.Out.Body, ex.Out.Length = content, http1.Unknown
	return ex
}

// trailed is content with trailer fields behind it.
type trailed struct {
	io.Reader
	trailers http1.Fields
}

func (b trailed) Trailers() http1.Fields { return b.trailers }

// pipe is content that can be aborted.
type pipe struct {
	*io.PipeReader
	aborted atomic.Bool
}

func (p *pipe) Trailers() http1.Fields { return nil }
func (p *pipe) Abort() {
	p.aborted.Store(true)
	p.CloseWithError(errors.New("aborted"))
}

// What ex.Out holds arrives, once, under the right names; what HTTP/2 doesn't
// have doesn't; and the answer comes back with all it has.
func TestH2Message(t *testing.T) {
	p := serveH2(t, new(http2.Server), func(w http.ResponseWriter, r *http.Request) {
		var names bytes.Buffer
		fmt.Fprintf(&names, "%s %s %s te=%q ua=%q x=%q cookie=%q length=%d", r.Method, r.RequestURI, r.Host,
			r.Header["Te"], r.Header["User-Agent"], r.Header["X-Twice"], r.Header["Cookie"], r.ContentLength)
		for _, name := range []string{"Connection", "Upgrade", "Keep-Alive", "Accept-Encoding", "Expect"} {
			if r.Header.Get(name) != "" {
				fmt.Fprintf(&names, " %s", name)
			}
		}
		content, _ := io.ReadAll(r.Body)
		w.Header().Set("Trailer", "X-Sum")
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2")
		w.Header().Set("X-Sum", "42")
		w.Header().Set(http.TrailerPrefix+"X-Late", r.Trailer.Get("X-Client"))
		fmt.Fprintf(w, "%s %q", names.String(), content)
	})
	b, _ := open(t, p.url(), h2c())
	f := func(target, want string, fields http1.Fields, content string) {
		t.Helper()
		ex := request("POST", content)
		ex.Out.Target, ex.Out.Fields = target, fields
		if err := b.Send(context.Background(), ex); err != nil {
			t.Fatal(err)
		}
		got := body(t, ex)
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if cookies := fmt.Sprint(ex.Back.Fields); !strings.Contains(cookies, "a=1") || !strings.Contains(cookies, "b=2") {
			t.Errorf("got fields %s", cookies)
		}
		if trailers := ex.Back.Body.Trailers(); trailers.Get("X-Sum") != "42" {
			t.Errorf("got trailers %v", trailers)
		}
		ex.End()
	}
	many := http1.Fields{}
	many.Add("X-Twice", "1")
	many.Add("x-twice", "2")
	many.Add("TE", "trailers")
	many.Add("User-Agent", "tests")
	many.Add("Cookie", "a=1; b=2")
	many.Add("Connection", "keep-alive")
	many.Add("Upgrade", "websocket")
	many.Add("Keep-Alive", "5")
	many.Add("Expect", "100-continue")
	f("/a?b=%20", `POST /a?b=%20 pets.example te=["trailers"] ua=["tests"] x=["1" "2"] cookie=["a=1; b=2"] length=2 "hi"`, many, "hi")
	f("//a//b|{}?", `POST //a//b|{}? pets.example te=[] ua=[] x=[] cookie=[] length=0 ""`, http1.Fields{http1.NewField("TE", "gzip")}, "")
	f("/?", `POST /? pets.example te=[] ua=[] x=[] cookie=[] length=0 ""`, nil, "")
	if n := p.accepted.Load(); n != 1 {
		t.Errorf("got %d connections, want 1", n)
	}
}

// Content streams up, and down, with trailers both ways.
func TestH2Trailers(t *testing.T) {
	p := serveH2(t, new(http2.Server), func(w http.ResponseWriter, r *http.Request) {
		content, _ := io.ReadAll(r.Body)
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
		fmt.Fprintf(w, "%s", content)
	})
	b, _ := open(t, p.url(), h2c())
	ex := streaming(trailed{strings.NewReader("hello"), http1.Fields{http1.NewField("X-Check", "1"), http1.NewField("Content-Length", "7")}})
	if err := b.Send(context.Background(), ex); err != nil {
		t.Fatal(err)
	}
	if got := body(t, ex); got != "hello" {
		t.Errorf("got %q", got)
	}
	if got := ex.Back.Body.Trailers().Get("grpc-status"); got != "0" {
		t.Errorf("got trailer %q", got)
	}
	ex.End()
}

// The trailer fields of a request go behind its content. Go's server shows only
// those that were announced, so this one reads frames.
func TestH2RequestTrailers(t *testing.T) {
	got := make(chan string, 10)
	p := listen(t, func(conn net.Conn) {
		f := greet(conn)
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			switch frame := frame.(type) {
			case *http2.MetaHeadersFrame:
				if frame.StreamEnded() {
					got <- fmt.Sprint(frame.RegularFields())
					f.answer(frame.StreamID, true, ":status", "200")
				}
			case *http2.PingFrame:
				f.WritePing(true, frame.Data)
			}
		}
	})
	b, _ := open(t, p.url(), h2c())
	ex := streaming(trailed{strings.NewReader("hello"), http1.Fields{http1.NewField("X-Check", "1")}})
	if err := b.Send(context.Background(), ex); err != nil {
		t.Fatal(err)
	}
	if fields := <-got; !strings.Contains(fields, `header field "x-check" = "1"`) {
		t.Errorf("got %s", fields)
	}
	if ex.Back.Body != nil || ex.Back.Status != 200 {
		t.Errorf("got %+v", ex.Back)
	}
	ex.End()
}

// framer speaks HTTP/2 frame by frame, from the server's side.
type framer struct {
	*http2.Framer
	hpack *hpack.Encoder
	block bytes.Buffer
}

// greet reads the preface and sends settings.
func greet(conn net.Conn, settings ...http2.Setting) *framer {
	r := bufio.NewReader(conn)
	r.Discard(len(http2.ClientPreface))
	f := &framer{Framer: http2.NewFramer(conn, r)}
	f.hpack = hpack.NewEncoder(&f.block)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.WriteSettings(settings...)
	f.WriteSettingsAck()
	return f
}

func (f *framer) answer(stream uint32, end bool, fields ...string) {
	f.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		f.hpack.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: f.block.Bytes(), EndHeaders: true, EndStream: end})
}

// frames starts a peer that calls each for every request head, with the number
// of the connection (from 1) and of the request on it; false ends the connection.
func frames(t *testing.T, each func(f *framer, conn, n int, stream uint32) bool, settings ...http2.Setting) *peer {
	t.Helper()
	var conns atomic.Int32
	return listen(t, func(conn net.Conn) {
		number, n := int(conns.Add(1)), 0
		f := greet(conn, settings...)
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			switch frame := frame.(type) {
			case *http2.MetaHeadersFrame:
				n++
				if !each(f, number, n, frame.StreamID) {
					return
				}
			case *http2.PingFrame:
				if !frame.IsAck() {
					f.WritePing(true, frame.Data)
				}
			}
		}
	})
}

// What happens to a request when the backend fails in the ways that HTTP/2 has.
func TestH2Faults(t *testing.T) {
	ok := func(f *framer, stream uint32) bool { f.answer(stream, true, ":status", "204"); return true }
	const failure, timeout, bad = "failure", "timeout", "bad"
	kinds := map[proxy.FaultKind]string{proxy.IntegrationFailure: failure, proxy.IntegrationTimeout: timeout, proxy.BadIntegration: bad}
	// wantConns 0: it depends on time
	f := func(name, method string, want string, wantConns int32, each func(f *framer, conn, n int, stream uint32) bool) {
		t.Helper()
		p := frames(t, each)
		b, _ := open(t, p.url(), h2c())
		got := ""
		for range 2 {
			ex := request(method, "content")
			if strings.Contains(want, timeout) {
				ex.Out.Timeout = 300 * time.Millisecond
			}
			err := b.Send(context.Background(), ex)
			var fault proxy.Fault
			switch {
			case err == nil:
				got += fmt.Sprint(ex.Back.Status, " ")
				if ex.Back.Body != nil {
					if _, err := io.Copy(io.Discard, ex.Back.Body); err != nil {
						got += "cut "
					}
				}
			case errors.As(err, &fault):
				got += kinds[fault.Kind] + " "
			default:
				t.Errorf("%s: got the error %v, which is no fault", name, err)
			}
			ex.End()
		}
		if got = strings.TrimSpace(got); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
		if n := p.accepted.Load(); n != wantConns && wantConns != 0 {
			t.Errorf("%s: got %d connections, want %d", name, n, wantConns)
		}
	}
	reset := func(code http2.ErrCode) func(f *framer, conn, n int, stream uint32) bool {
		return func(f *framer, conn, n int, stream uint32) bool { f.WriteRSTStream(stream, code); return true }
	}
	f("reset", "GET", failure+" "+failure, 1, reset(http2.ErrCodeInternal))
	f("refused once", "POST", "204 204", 1, func(f *framer, conn, n int, stream uint32) bool {
		if n == 1 {
			f.WriteRSTStream(stream, http2.ErrCodeRefusedStream)
			return true
		}
		return ok(f, stream)
	})
	f("refused always", "POST", failure+" "+failure, 1, reset(http2.ErrCodeRefusedStream))
	f("GOAWAY before the request counts", "POST", "204 204", 2, func(f *framer, conn, n int, stream uint32) bool {
		if conn == 1 {
			f.WriteGoAway(0, http2.ErrCodeNo, nil)
			return true
		}
		return ok(f, stream)
	})
	f("GOAWAY after the request counts", "POST", "204 204", 2, func(f *framer, conn, n int, stream uint32) bool {
		if conn == 1 {
			f.WriteGoAway(stream, http2.ErrCodeNo, nil)
		}
		return ok(f, stream)
	})
	f("connection lost on its first request", "GET", failure+" 204", 2, func(f *framer, conn, n int, stream uint32) bool {
		return conn > 1 && ok(f, stream)
	})
	f("kept connection lost, safe to repeat", "GET", "204 204", 2, func(f *framer, conn, n int, stream uint32) bool {
		return (conn > 1 || n == 1) && ok(f, stream)
	})
	f("kept connection lost, not safe", "POST", "204 "+failure, 1, func(f *framer, conn, n int, stream uint32) bool {
		return n == 1 && ok(f, stream)
	})
	f("no answer", "GET", timeout+" "+timeout, 0, func(*framer, int, int, uint32) bool { return true })
	f("status 99", "GET", bad+" "+bad, 1, func(f *framer, conn, n int, stream uint32) bool {
		f.answer(stream, true, ":status", "99")
		return true
	})
	f("status 101", "GET", bad+" "+bad, 1, func(f *framer, conn, n int, stream uint32) bool {
		f.answer(stream, false, ":status", "101")
		return true
	})
	f("header too large", "GET", bad+" "+bad, 1, func(f *framer, conn, n int, stream uint32) bool {
		many := []string{":status", "200"}
		for range 20 {
			many = append(many, "x-long", strings.Repeat("x", 600))
		}
		for range 6 {
			many = append(many, many[2:]...)[:len(many)*2-2]
		}
		f.block.Reset()
		for i := 0; i < len(many); i += 2 {
			f.hpack.WriteField(hpack.HeaderField{Name: many[i], Value: many[i+1]})
		}
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: f.block.Bytes(), EndHeaders: true, EndStream: true})
		return true
	})
	f("1000 informational answers", "GET", bad+" "+bad, 1, func(f *framer, conn, n int, stream uint32) bool {
		for range 1000 {
			f.answer(stream, false, ":status", "103", "link", "</a>")
		}
		return true
	})
	f("content shorter than its length", "GET", "200 cut 200 cut", 1, func(f *framer, conn, n int, stream uint32) bool {
		f.answer(stream, false, ":status", "200", "content-length", "10")
		f.WriteData(stream, true, []byte("short"))
		return true
	})
	f("content longer than its length", "GET", "200 cut 200 cut", 1, func(f *framer, conn, n int, stream uint32) bool {
		f.answer(stream, false, ":status", "200", "content-length", "2")
		f.WriteData(stream, true, []byte("longer"))
		return true
	})
	f("reset in mid content", "GET", "200 cut 200 cut", 1, func(f *framer, conn, n int, stream uint32) bool {
		f.answer(stream, false, ":status", "200")
		f.WriteData(stream, false, []byte("half"))
		f.WriteRSTStream(stream, http2.ErrCodeInternal)
		return true
	})
	f("reset without an error behind the answer", "POST", "204 204", 1, func(f *framer, conn, n int, stream uint32) bool {
		f.answer(stream, true, ":status", "204")
		f.WriteRSTStream(stream, http2.ErrCodeNo)
		return true
	})
}

// A peer that speaks something else is found out before a request is sent.
func TestH2NotSpoken(t *testing.T) {
	p := listen(t, func(conn net.Conn) {
		bufio.NewReader(conn).ReadString('\n')
		io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	})
	b, _ := open(t, p.url(), h2c())
	ex := request("POST", "x")
	err := b.Send(context.Background(), ex)
	ex.End()
	if !errors.Is(err, proxy.Fault{Kind: proxy.IntegrationFailure}) || !strings.Contains(err.Error(), "HTTP/1.1") {
		t.Errorf("got %v, want an IntegrationFailure that tells of HTTP/1.1", err)
	}
	for _, c := range []struct{ url, protocol string }{{"http://127.0.0.1:1", "h2"}, {"https://127.0.0.1:1", "h2c"}} {
		o := h2c()
		o.Protocol = c.protocol
		set := NewSet(Options{})
		if _, err := set.Begin().Backend(c.url, o); err == nil {
			t.Errorf("%s with %s was accepted", c.protocol, c.url)
		}
		set.Close()
	}
}

// Requests share a connection up to the peer's limit of streams; then there is
// another one. Nobody waits for a place.
func TestH2Streams(t *testing.T) {
	release := make(chan struct{})
	p := serveH2(t, &http2.Server{MaxConcurrentStreams: 3}, func(w http.ResponseWriter, r *http.Request) { <-release })
	b, set := open(t, p.url(), h2c())
	var all sync.WaitGroup
	var began, failed atomic.Int32
	for range 10 {
		all.Go(func() {
			ex := request("GET", "")
			began.Add(1)
			if err := b.Send(context.Background(), ex); err != nil {
				failed.Add(1)
			}
			ex.End()
		})
	}
	for p.accepted.Load() < 4 {
		time.Sleep(time.Millisecond)
	}
	close(release)
	all.Wait()
	if n := p.accepted.Load(); n != 4 || failed.Load() != 0 {
		t.Errorf("got %d connections and %d failures for 10 requests of 3 streams each, want 4 and 0", n, failed.Load())
	}
	// Unused connections end like those of HTTP/1.1.
	sessions := set.all()[0].all[0].sessions
	sessions.sweep(time.Now().Add(time.Minute))
	sessions.mu.Lock()
	defer sessions.mu.Unlock()
	if n := len(sessions.all); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

// Both directions move at the same time: each message of the client is answered
// before it sends the next, long after the answer's head.
func TestH2Bidirectional(t *testing.T) {
	p := serveH2(t, new(http2.Server), func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		buf := make([]byte, 100)
		for {
			n, err := r.Body.Read(buf)
			if n > 0 {
				w.Write(bytes.ToUpper(buf[:n]))
				w.(http.Flusher).Flush()
			}
			if err != nil {
				return
			}
		}
	})
	b, _ := open(t, p.url(), h2c())
	r, w := io.Pipe()
	ex := streaming(&pipe{PipeReader: r})
	if err := b.Send(context.Background(), ex); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	for i := range 100 {
		message := fmt.Sprintf("message %d", i)
		io.WriteString(w, message)
		n, err := ex.Back.Body.Read(buf)
		if got := string(buf[:n]); err != nil || got != strings.ToUpper(message) {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	w.Close()
	if n, err := ex.Back.Body.Read(buf); n != 0 || err != io.EOF {
		t.Errorf("got %d, %v at the end", n, err)
	}
	ex.End()
}

// An exchange that ends early leaves nobody reading its content, and resets the
// stream; the connection goes on.
func TestH2Abandoned(t *testing.T) {
	codes := make(chan http2.ErrCode, 10)
	p := listen(t, func(conn net.Conn) {
		f := greet(conn)
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			switch frame := frame.(type) {
			case *http2.MetaHeadersFrame:
				f.answer(frame.StreamID, false, ":status", "200")
			case *http2.RSTStreamFrame:
				codes <- frame.ErrCode
			case *http2.PingFrame:
				f.WritePing(true, frame.Data)
			}
		}
	})
	b, _ := open(t, p.url(), h2c())
	for range 3 {
		r, w := io.Pipe()
		content := &pipe{PipeReader: r}
		ex := streaming(content)
		if err := b.Send(context.Background(), ex); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, "some") // the stream reads on: it waits for more by now
		ex.End()
		if _, err := w.Write([]byte("x")); err == nil {
			t.Error("content was read after the exchange's end")
		}
		if code := <-codes; code != http2.ErrCodeCancel {
			t.Errorf("got RST_STREAM with %v, want CANCEL", code)
		}
	}
	// A client that leaves while the answer is waited for.
	p2 := frames(t, func(*framer, int, int, uint32) bool { return true })
	b, _ = open(t, p2.url(), h2c())
	ctx, cancel := context.WithCancel(context.Background())
	ex := request("GET", "")
	time.AfterFunc(50*time.Millisecond, cancel)
	if err := b.Send(ctx, ex); !errors.Is(err, proxy.Fault{Kind: proxy.ClientGone}) {
		t.Errorf("got %v, want ClientGone", err)
	}
	ex.End()
	ex = new(proxy.Exchange)
	ex.Begin(time.Now(), gone{})
	ex.Out = proxy.Outgoing{Method: "GET", Target: "/", Host: "x", Timeout: time.Minute}
	if err := b.Send(context.Background(), ex); !errors.Is(err, proxy.Fault{Kind: proxy.ClientGone}) {
		t.Errorf("got %v, want ClientGone", err)
	}
	ex.End()
}

// An answer that falls silent is cut at the idle limit; one whose request still
// moves isn't.
func TestH2Silence(t *testing.T) {
	pausetest.Run(t, 100*time.Millisecond, func(t testing.TB) {
		p := serveH2(t, new(http2.Server), func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			io.Copy(io.Discard, r.Body)
			if r.Header.Get("X-Then") == "end" {
				io.WriteString(w, "done")
				return
			}
			<-r.Context().Done()
		})
		o := h2c()
		o.IdleTimeout = config.Duration(600 * time.Millisecond)
		b, _ := open(t, p.url(), o)
		ex := request("GET", "")
		if err := b.Send(context.Background(), ex); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err := ex.Back.Body.Read(make([]byte, 1))
		if took := time.Since(start); err == nil || err == io.EOF || took < 550*time.Millisecond || took > 2*time.Second {
			t.Errorf("got %v after %s, want a failure after 600ms", err, took)
		}
		ex.End()

		r, w := io.Pipe()
		ex = streaming(&pipe{PipeReader: r})
		ex.Out.Fields.Add("X-Then", "end")
		if err := b.Send(context.Background(), ex); err != nil {
			t.Fatal(err)
		}
		go func() {
			for range 20 {
				time.Sleep(50 * time.Millisecond)
				io.WriteString(w, "x")
			}
			w.Close()
		}()
		if got := body(t, ex); got != "done" {
			t.Errorf("got %q", got)
		}
		ex.End()
	})
}

// An answer that drips for ever is cut when its pauses add up to its time. The
// stream is reset, the connection stays, and nobody is blamed.
func TestH2DripInAll(t *testing.T) {
	pausetest.Run(t, 50*time.Millisecond, func(t testing.TB) {
		reset := make(chan struct{}, 1)
		p := serveH2(t, new(http2.Server), func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				io.WriteString(w, "x")
				w.(http.Flusher).Flush()
				time.Sleep(5 * time.Millisecond)
			}
			reset <- struct{}{}
		})
		o := h2c()
		o.ContentTimeout = config.Duration(300 * time.Millisecond)
		b, set := open(t, p.url(), o)
		for range 2 {
			ex := request("GET", "")
			if err := b.Send(context.Background(), ex); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			got, err := io.ReadAll(ex.Back.Body)
			took := time.Since(start)
			if !errors.Is(err, proxy.Fault{Kind: proxy.IntegrationTimeout}) || !strings.Contains(err.Error(), "300ms in all") || len(got) == 0 {
				t.Errorf("got %d bytes and %v, want some and the end", len(got), err)
			}
			if took < 250*time.Millisecond || took > 5*time.Second {
				t.Errorf("took %s, want 300ms", took)
			}
			ex.End()
			<-reset
		}
		if n := p.accepted.Load(); n != 1 {
			t.Errorf("got %d connections, want 1", n)
		}
		if x := set.Stats()[0].Targets[0]; x.Failures != 0 || x.Active != 0 {
			t.Errorf("got %+v, want no failure", x)
		}
	})
}

// A stream that nobody reads doesn't hold up another one on its connection, nor
// does an upload that the backend doesn't take.
func TestH2Stalls(t *testing.T) {
	pausetest.Run(t, 300*time.Millisecond, func(t testing.TB) {
		// The window of the connection is the backend's to choose: one that is no larger
		// than a stream's would stall them all.
		p := serveH2(t, &http2.Server{MaxUploadBufferPerConnection: 16 << 20}, func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/flood":
				for chunk := make([]byte, 64<<10); r.Context().Err() == nil; {
					w.Write(chunk)
				}
			case "/deaf":
				<-r.Context().Done()
			default:
				io.Copy(w, r.Body)
			}
		})
		o := h2c()
		o.IdleTimeout = config.Duration(time.Second)
		b, _ := open(t, p.url(), o)
		var stalled []*proxy.Exchange
		for range 3 {
			ex := request("GET", "")
			ex.Out.Target = "/flood"
			if err := b.Send(context.Background(), ex); err != nil {
				t.Fatal(err)
			}
			stalled = append(stalled, ex)
		}
		deaf := make(chan error)
		go func() {
			ex := streaming(trailed{Reader: endless{}})
			ex.Out.Target = "/deaf"
			deaf <- b.Send(context.Background(), ex)
			ex.End()
		}()
		big := strings.Repeat("0123456789abcdef", 1<<18) // 4 MiB, more than any window
		for range 3 {
			ex := streaming(trailed{Reader: strings.NewReader(big)})
			if err := b.Send(context.Background(), ex); err != nil {
				t.Fatal(err)
			}
			if got := body(t, ex); got != big {
				t.Errorf("got %d bytes, want %d", len(got), len(big))
			}
			ex.End()
		}
		if err := <-deaf; !errors.Is(err, proxy.Fault{Kind: proxy.IntegrationTimeout}) {
			t.Errorf("got %v, want IntegrationTimeout", err)
		}
		for _, ex := range stalled {
			ex.End()
		}
		if n := p.accepted.Load(); n != 1 {
			t.Errorf("got %d connections, want 1", n)
		}
	})
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// Each connection tells the client that it is for, and serves that one only.
func TestAnnounce(t *testing.T) {
	local := netip.MustParseAddrPort("192.0.2.9:443")
	from := func(client string) *proxy.Exchange {
		ex := request("GET", "")
		ex.In.Client, ex.In.Local = netip.MustParseAddrPort(client), local
		return ex
	}
	for _, c := range []struct{ version, protocol string }{{"v1", "http/1.1"}, {"v2", "http/1.1"}, {"v1", "h2c"}, {"v2", "h2c"}} {
		p := listen(t, func(conn net.Conn) {
			wrapped := proxyproto.NewConn(conn)
			handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprintf(w, "%s %s", wrapped.RemoteAddr(), wrapped.LocalAddr())
			})
			if c.protocol == "h2c" {
				new(http2.Server).ServeConn(wrapped, &http2.ServeConnOpts{Handler: handler, BaseConfig: new(http.Server)})
				return
			}
			r := bufio.NewReader(wrapped)
			for readHead(r) != "" {
				answer := fmt.Sprintf("%s %s", wrapped.RemoteAddr(), wrapped.LocalAddr())
				fmt.Fprintf(wrapped, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(answer), answer)
			}
		})
		o := h2c()
		o.Protocol, o.ProxyProtocol, o.MaxIdle = c.protocol, c.version, 2
		b, _ := open(t, p.url(), o)
		send := func(client, want string, conns int32) {
			t.Helper()
			ex := from(client)
			if err := b.Send(context.Background(), ex); err != nil {
				t.Fatal(err)
			}
			if got := body(t, ex); got != want {
				t.Errorf("%v: got %q, want %q", c, got, want)
			}
			ex.End()
			if n := p.accepted.Load(); n != conns {
				t.Errorf("%v: got %d connections, want %d", c, n, conns)
			}
		}
		send("203.0.113.1:1000", "203.0.113.1:1000 192.0.2.9:443", 1)
		send("203.0.113.1:1000", "203.0.113.1:1000 192.0.2.9:443", 1)
		send("203.0.113.2:1000", "203.0.113.2:1000 192.0.2.9:443", 2)
		send("203.0.113.1:1000", "203.0.113.1:1000 192.0.2.9:443", 2)
		send("[2001:db8::1]:7", "[2001:db8::1]:7 192.0.2.9:443", 3)
		// max_idle is 2: the one that was unused for longest made room.
		send("203.0.113.1:1000", "203.0.113.1:1000 192.0.2.9:443", 3)
		send("203.0.113.2:1000", "203.0.113.2:1000 192.0.2.9:443", 4)
	}
}

func BenchmarkH2(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go new(http2.Server).ServeConn(conn, &http2.ServeConnOpts{BaseConfig: new(http.Server), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, "hello")
			})})
		}
	}()
	set := NewSet(Options{})
	defer set.Close()
	g := set.Begin()
	backend, err := g.Backend("http://"+l.Addr().String(), h2c())
	if err != nil {
		b.Fatal(err)
	}
	g.Commit()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		ex := new(proxy.Exchange)
		buf := make([]byte, 4096)
		for pb.Next() {
			ex.Begin(time.Now(), nil)
			ex.Out.Method, ex.Out.Target, ex.Out.Host, ex.Out.Timeout = "GET", "/x", "pets.example", time.Second
			for _, name := range []string{"Accept", "User-Agent", "X-Forwarded-For", "X-Amzn-Trace-Id"} {
				ex.Out.Fields.Add(name, "some value")
			}
			if err := backend.Send(context.Background(), ex); err != nil {
				b.Fatal(err)
			}
			for {
				if _, err := ex.Back.Body.Read(buf); err != nil {
					break
				}
			}
			ex.End()
		}
	})
}

// Over TLS both sides agree on HTTP/2 by ALPN; one that doesn't is told so.
func TestH2ALPN(t *testing.T) {
	certificate, roots := selfSigned(t)
	f := func(offer []string, want string) {
		t.Helper()
		p := listen(t, func(conn net.Conn) {
			session := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: offer})
			if session.Handshake() != nil || session.ConnectionState().NegotiatedProtocol != "h2" {
				return
			}
			new(http2.Server).ServeConn(session, &http2.ServeConnOpts{BaseConfig: new(http.Server), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, r.Proto, " ", r.TLS.ServerName)
			})})
		})
		o := h2c()
		o.Protocol, o.TLS.CA, o.TLS.ServerName = "h2", roots, "pets.example"
		b, _ := open(t, "https://"+p.listener.Addr().String(), o)
		ex := request("GET", "")
		defer ex.End()
		got := ""
		if err := b.Send(context.Background(), ex); err != nil {
			got = err.Error()
		} else {
			got = body(t, ex)
		}
		if !strings.Contains(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f([]string{"h2", "http/1.1"}, "HTTP/2.0 pets.example")
	f(nil, "didn't agree on HTTP/2 in the TLS handshake")
	f([]string{"http/1.1"}, "no application protocol")
}

// selfSigned returns a certificate for pets.example, and a file that holds it.
func selfSigned(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"pets.example"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}
