package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/postern-gateway/postern/proxy/pausetest"
)

// knowing returns a client that speaks HTTP/2 in the clear without asking.
func knowing(t testing.TB) *http.Client {
	transport := &http2.Transport{AllowHTTP: true, DialTLSContext: func(ctx context.Context, network, address string, _ *tls.Config) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// A listener with h2c serves both: HTTP/2 to those that begin with its preface,
// in however many pieces, and HTTP/1.1 to all others.
func TestCleartextHTTP2(t *testing.T) {
	pausetest.Run(t, 100*time.Millisecond, func(t testing.TB) {
		g := start(t, "h2c = true\nlimits = { header_timeout = \"300ms\" }")
		g.release()
		response, err := knowing(t).Get("http://" + strings.Replace(g.addr(), "127.0.0.1", "localhost", 1) + "/echo")
		if err != nil {
			t.Fatal(err)
		}
		content, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.Proto != "HTTP/2.0" || !strings.Contains(string(content), "proto=HTTP/2.0") {
			t.Errorf("got %s %q", response.Proto, content)
		}
		// Methods that begin like the preface, and a head that dribbles.
		for _, raw := range []string{"GET", "POST", "PUT", "PROPFIND", "PRI", "PR", "P"} {
			raw += " /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
			if got := g.talk(raw); !strings.HasPrefix(got, "HTTP/1.1 ") {
				t.Errorf("%q: got %q", raw, got)
			}
		}
		c := g.dial()
		for _, b := range []byte("PUT /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n") {
			c.Write([]byte{b})
		}
		if line, err := bufio.NewReader(c).ReadString('\n'); line != "HTTP/1.1 200 OK\r\n" {
			t.Errorf("got %q, %v", line, err)
		}
		c = g.dial()
		for _, b := range []byte(http2.ClientPreface) {
			c.Write([]byte{b})
		}
		f := http2.NewFramer(c, c)
		f.WriteSettings()
		if frame, err := f.ReadFrame(); err != nil || frame.Header().Type != http2.FrameSettings {
			t.Errorf("got %v, %v", frame, err)
		}
		// What doesn't come in time is ended, in whatever piece.
		for _, raw := range []string{"", "P", "PRI * HT"} {
			c := g.dial()
			io.WriteString(c, raw)
			begin := time.Now()
			io.ReadAll(c)
			if took := time.Since(begin); took < 200*time.Millisecond || took > 30*time.Second {
				t.Errorf("%q: ended after %s, want 300ms", raw, took)
			}
		}
		// Without the key the preface is a bad request.
		plain := start(t, "")
		plain.release()
		if got := plain.talk(http2.ClientPreface); !strings.HasPrefix(got, "HTTP/1.1 505 ") && !strings.HasPrefix(got, "HTTP/1.1 400 ") {
			t.Errorf("got %q", got)
		}
	})
}

// A tunnel can't be opened over HTTP/2. RFC 8441 isn't offered, and CONNECT is
// refused.
func TestHTTP2NoTunnel(t *testing.T) {
	g := start(t, "h2c = true")
	g.release()
	c := g.dial()
	io.WriteString(c, http2.ClientPreface)
	f := http2.NewFramer(c, c)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.WriteSettings()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	request := func(stream uint32, fields ...string) {
		block.Reset()
		for i := 0; i < len(fields); i += 2 {
			encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
		}
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true})
	}
	request(1, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/upgrade", ":authority", "localhost")
	request(3, ":method", "CONNECT", ":authority", "localhost")
	refused := map[uint32]string{}
	for refused[1] == "400" || refused[1] == "" || refused[3] == "" {
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatalf("%v after %v", err, refused)
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if v, ok := frame.Value(http2.SettingEnableConnectProtocol); ok && v != 0 {
				t.Error("extended CONNECT is offered")
			}
		case *http2.RSTStreamFrame:
			refused[frame.StreamID] += " " + frame.ErrCode.String()
		case *http2.MetaHeadersFrame:
			refused[frame.StreamID] += frame.PseudoValue("status")
		}
	}
	if refused[1] != "400 PROTOCOL_ERROR" || !strings.HasPrefix(refused[3], "400") {
		t.Errorf("got %v", refused)
	}
}

// After limits.requests requests a connection takes no more, and loses none: frame by
// frame, and for clients that go on on further connections.
func TestHTTP2Requests(t *testing.T) {
	g := start(t, "h2c = true\nlimits = { requests = 3 }")
	c := g.dial()
	io.WriteString(c, http2.ClientPreface)
	f := http2.NewFramer(c, c)
	f.WriteSettings()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	ask := func(stream uint32, path string) {
		block.Reset()
		for _, h := range []hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: path}, {Name: ":authority", Value: "localhost"}} {
			encoder.WriteField(h)
		}
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
	}
	for stream := uint32(1); stream <= 5; stream += 2 {
		ask(stream, "/hold")
	}
	var said []string
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			break
		}
		switch frame := frame.(type) {
		case *http2.PingFrame:
			ask(7, "/nothing") // on its way before the client knew
			f.WritePing(true, frame.Data)
		case *http2.GoAwayFrame:
			said = append(said, fmt.Sprint("GOAWAY ", frame.LastStreamID, " ", frame.ErrCode))
			if frame.LastStreamID == 7 {
				ask(9, "/nothing")
			}
		case *http2.RSTStreamFrame:
			said = append(said, fmt.Sprint("RST ", frame.StreamID, " ", frame.ErrCode))
			g.release()
		case *http2.HeadersFrame:
			if frame.StreamID < 7 {
				said = append(said, "held")
			}
		}
	}
	if got := strings.Join(said, ", "); got != "GOAWAY 2147483647 NO_ERROR, GOAWAY 7 NO_ERROR, RST 9 REFUSED_STREAM, held, held, held" {
		t.Errorf("the server said %s", got)
	}
	client := knowing(t)
	url := "http://" + strings.Replace(g.addr(), "127.0.0.1", "localhost", 1) + "/nothing"
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			response, err := client.Get(url)
			if err != nil {
				t.Errorf("lost: %v", err)
				return
			}
			response.Body.Close()
		})
	}
	all.Wait()
}

// No request is lost when the server drains while clients keep on asking over
// connections that were open before, and over some that begin just then.
func TestHTTP2Drain(t *testing.T) {
	for range 5 {
		g := start(t, "h2c = true")
		g.release()
		url := "http://" + strings.Replace(g.addr(), "127.0.0.1", "localhost", 1) + "/echo"
		var workers sync.WaitGroup
		var answered, failed atomic.Int32
		stop := make(chan struct{})
		for range 8 {
			client := knowing(t)
			workers.Go(func() {
				for {
					r, err := client.Post(url, "text/plain", strings.NewReader("x"))
					if err != nil {
						// The listener is closed: a new connection can't be had. Anything else
						// is a request that was lost.
						var dial *net.OpError
						if !errors.As(err, &dial) || dial.Op != "dial" {
							failed.Add(1)
							t.Errorf("lost: %v", err)
						}
						return
					}
					if _, err := io.Copy(io.Discard, r.Body); err != nil {
						failed.Add(1)
						t.Errorf("cut: %v", err)
					}
					r.Body.Close()
					answered.Add(1)
					select {
					case <-stop:
						return
					default:
					}
				}
			})
		}
		for answered.Load() < 100 {
			time.Sleep(time.Millisecond)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		if err := g.Drain(ctx); err != nil {
			t.Errorf("%v; a connection wasn't told", err)
		}
		cancel()
		close(stop)
		workers.Wait()
	}
}

// A connection whose handshake ends after the drain began is told to go, too.
func TestHTTP2DrainBegun(t *testing.T) {
	g := start(t, "h2c = true")
	g.release()
	c := g.dial()
	io.WriteString(c, http2.ClientPreface[:10])    // it's accepted, and not yet known for what it is
	for g.listeners["public"].active.count() < 2 { // the accept loop counts the next one ahead
		time.Sleep(time.Millisecond)
	}
	drained := make(chan error)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		drained <- g.Drain(ctx)
	}()
	for !g.draining.Load() {
		time.Sleep(time.Millisecond)
	}
	io.WriteString(c, http2.ClientPreface[10:])
	f := http2.NewFramer(c, c)
	f.WriteSettings()
	goaway := false
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			break
		}
		goaway = goaway || frame.Header().Type == http2.FrameGoAway
	}
	c.Close()
	if err := <-drained; err != nil || !goaway {
		t.Errorf("GOAWAY: %v, drain: %v", goaway, err)
	}
}

// processor returns how long this process has computed.
func processor() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // its arguments are right
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// heap returns the bytes that are in use, those of the tests before included.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what pools kept goes with the second
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Floods of frames end with the connection or cost next to nothing; the memory
// they take is bounded and others are served meanwhile.
func TestHTTP2Floods(t *testing.T) {
	g := start(t, "h2c = true")
	g.release()
	client := knowing(t)
	url := "http://" + strings.Replace(g.addr(), "127.0.0.1", "localhost", 1) + "/echo"
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range []hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: "/hold"}, {Name: ":authority", Value: "localhost"}} {
		encoder.WriteField(field)
	}
	head := block.Bytes()
	filler := bytes.Repeat([]byte{0x00, 0x01, 'a', 0x01, 'b'}, 3000) // literal fields that aren't remembered
	before := heap()
	f := func(name string, each func(f *http2.Framer, i int) error) {
		t.Helper()
		c := g.dial()
		defer c.Close()
		io.WriteString(c, http2.ClientPreface)
		out := bufio.NewWriterSize(c, 64<<10)
		framer := http2.NewFramer(out, nil)
		framer.AllowIllegalWrites = true
		framer.WriteSettings()
		c.SetWriteDeadline(time.Now().Add(700 * time.Millisecond)) // what isn't taken waits in the attacker's socket
		var err error
		sent := 0
		for ; err == nil && sent < 300_000; sent++ {
			err = each(framer, sent)
		}
		if grown := heap() - before; grown > 64<<20 {
			t.Errorf("%s: %d MiB more of heap after %d frames", name, grown>>20, sent)
		}
		begin := processor()
		response, err := client.Get(url)
		if err != nil {
			t.Fatalf("%s: %v for another client", name, err)
		}
		response.Body.Close()
		if took := processor() - begin; took > 4*time.Second {
			t.Errorf("%s: another client waited while %s were computed for", name, took)
		}
	}
	f("RST_STREAM", func(f *http2.Framer, i int) error {
		stream := uint32(2*i + 1)
		if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: head, EndHeaders: true, EndStream: true}); err != nil {
			return err
		}
		return f.WriteRSTStream(stream, http2.ErrCodeCancel)
	})
	f("SETTINGS", func(f *http2.Framer, i int) error {
		return f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(i)})
	})
	f("PING", func(f *http2.Framer, i int) error { return f.WritePing(false, [8]byte{byte(i)}) })
	f("CONTINUATION", func(f *http2.Framer, i int) error {
		if i == 0 {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head})
		}
		return f.WriteContinuation(1, false, filler)
	})
	f("empty CONTINUATION", func(f *http2.Framer, i int) error {
		if i == 0 {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head})
		}
		return f.WriteContinuation(1, false, nil)
	})
	f("empty DATA", func(f *http2.Framer, i int) error {
		if i == 0 {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head, EndHeaders: true})
		}
		return f.WriteData(1, false, nil)
	})
	f("WINDOW_UPDATE", func(f *http2.Framer, i int) error { return f.WriteWindowUpdate(0, 1) })
	f("PRIORITY", func(f *http2.Framer, i int) error {
		return f.WritePriority(uint32(2*i+1), http2.PriorityParam{StreamDep: 0, Weight: 1})
	})
	f("unknown", func(f *http2.Framer, i int) error { return f.WriteRawFrame(0x0c, 0, uint32(i), nil) })
	f("streams that nobody reads", func(f *http2.Framer, i int) error {
		return f.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: head, EndHeaders: true, EndStream: true})
	})
}

func BenchmarkHTTP2(b *testing.B) {
	g := start(b, "h2c = true")
	g.release()
	url := "http://" + strings.Replace(g.addr(), "127.0.0.1", "localhost", 1) + "/nothing"
	conn, err := net.Dial("tcp", g.addr())
	if err != nil {
		b.Fatal(err)
	}
	client, err := new(http2.Transport).NewClientConn(conn)
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	r, _ := http.NewRequest("GET", url, nil)
	b.ReportAllocs()
	for b.Loop() {
		response, err := client.RoundTrip(r)
		if err != nil {
			b.Fatal(err)
		}
		response.Body.Close()
	}
}
