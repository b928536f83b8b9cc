package http2

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/postern-gateway/postern/proxy/wire"
)

// peer is a client that sends and sees single frames.
type peer struct {
	t       testing.TB
	conn    *Conn
	socket  net.Conn
	framer  *http2.Framer
	block   bytes.Buffer
	encoder *hpack.Encoder
	frames  chan string // what the server sent, in short
	ended   chan error  // what Serve returned
	workers Workers
}

func limits() Settings {
	return Settings{Streams: 4, Header: 1000, StreamWindow: 64 << 10, ConnWindow: 128 << 10,
		HeaderTimeout: time.Second, IdleTimeout: time.Minute, WriteTimeout: 5 * time.Second}
}

// connect starts a server and a client that has greeted it.
func connect(t testing.TB, s Settings, serve func(*Stream)) *peer {
	near, far := net.Pipe()
	p := &peer{t: t, socket: far, frames: make(chan string, 1000), ended: make(chan error, 1)}
	buffers := &wire.Buffers{Poison: true}
	p.conn = NewConn(wire.NewConn(near, near, buffers), near, buffers, &p.workers, s, serve)
	p.encoder = hpack.NewEncoder(&p.block)
	p.framer = http2.NewFramer(far, far)
	p.framer.AllowIllegalWrites = true
	p.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	go func() { p.ended <- p.conn.Serve() }()
	go p.read()
	t.Cleanup(func() {
		far.Close()
		p.workers.Close()
	})
	io.WriteString(far, Preface)
	p.framer.WriteSettings()
	p.want("SETTINGS", "WINDOW_UPDATE 0 65", "SETTINGS ack")
	return p
}

func (p *peer) read() {
	defer close(p.frames)
	for {
		f, err := p.framer.ReadFrame()
		if err != nil {
			return
		}
		id := f.Header().StreamID
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			text := fmt.Sprintf("HEADERS %d", id)
			for _, field := range f.Fields {
				text += " " + field.Name + "=" + field.Value
			}
			p.frames <- text + map[bool]string{true: " end"}[f.StreamEnded()]
		case *http2.DataFrame:
			p.frames <- fmt.Sprintf("DATA %d %d", id, len(f.Data())) + map[bool]string{true: " end"}[f.StreamEnded()]
		case *http2.SettingsFrame:
			p.frames <- "SETTINGS" + map[bool]string{true: " ack"}[f.IsAck()]
		case *http2.PingFrame:
			p.frames <- fmt.Sprintf("PING %q", f.Data) + map[bool]string{true: " ack"}[f.IsAck()]
		case *http2.GoAwayFrame:
			p.frames <- fmt.Sprintf("GOAWAY %d %v", f.LastStreamID, f.ErrCode)
		case *http2.RSTStreamFrame:
			p.frames <- fmt.Sprintf("RST_STREAM %d %v", id, f.ErrCode)
		case *http2.WindowUpdateFrame:
			p.frames <- fmt.Sprintf("WINDOW_UPDATE %d %d", id, f.Increment)
		}
	}
}

// want takes the next frames, which have to begin so.
func (p *peer) want(all ...string) {
	p.t.Helper()
	for _, want := range all {
		got, ok := <-p.frames
		if !ok {
			got = "the end"
		}
		if !strings.HasPrefix(got, want) {
			p.t.Fatalf("got %s, want %s", got, want)
		}
	}
}

// ask sends a request of fields besides the usual ones.
func (p *peer) ask(stream uint32, end bool, fields ...string) {
	p.headers(stream, end, append([]string{":method", "POST", ":scheme", "http", ":path", "/", ":authority", "a"}, fields...)...)
}

func (p *peer) headers(stream uint32, end bool, fields ...string) {
	p.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		p.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	p.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: p.block.Bytes(), EndHeaders: true, EndStream: end})
}

// echo answers with what it got.
func echo(s *Stream) {
	content, err := io.ReadAll(s)
	if err != nil {
		return
	}
	if s.WriteHead(AppendStatus(nil, 200), false) == nil {
		s.Write(content, true)
	}
}

func inBubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// Content goes no further than the client's windows, and a client that opens them
// too late has its stream reset.
func TestWindowsOut(t *testing.T) {
	inBubble(t, "both windows", func(t *testing.T) {
		p := connect(t, limits(), func(s *Stream) {
			s.WriteHead(AppendStatus(nil, 200), false)
			s.Write(make([]byte, 100_000), true)
		})
		p.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 10})
		p.want("SETTINGS ack")
		p.ask(1, true)
		p.want("HEADERS 1 :status=200", "DATA 1 10")
		p.framer.WriteWindowUpdate(1, 90_000)
		p.want("DATA 1 16384", "DATA 1 16384", "DATA 1 16384", "DATA 1 16373") // 65,535 in all
		p.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 20_000})
		p.want("SETTINGS ack")
		p.framer.WriteWindowUpdate(0, 1000)
		p.want("DATA 1 1000")
		p.framer.WriteWindowUpdate(0, 1000_000)
		p.want("DATA 1 16384", "DATA 1 16384", "DATA 1 697 end")
	})
	inBubble(t, "too late", func(t *testing.T) {
		began := time.Now()
		p := connect(t, limits(), func(s *Stream) {
			s.WriteHead(AppendStatus(nil, 200), false)
			if n, err := s.Write(make([]byte, 100_000), true); n != firstWindow || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("wrote %d, %v", n, err)
			}
		})
		p.ask(1, true)
		p.want("HEADERS 1", "DATA 1 16384", "DATA 1 16384", "DATA 1 16384", "DATA 1 16383", "RST_STREAM 1 INTERNAL_ERROR")
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("after %s", took)
		}
	})
}

// A client that takes too little of a reply has its stream reset, and others' replies go
// on; one whose line is slow for all of them isn't cut for that.
func TestPaceOut(t *testing.T) {
	paced := func(t *testing.T, size int) *peer {
		s := limits()
		s.Pace, s.WriteTimeout = PaceLimits{Rate: 100, Patience: 10 * time.Second}, time.Hour
		p := connect(t, s, func(s *Stream) {
			n := size
			if s.Head().Path == "/small" {
				n = 3
			}
			if s.WriteHead(AppendStatus(nil, 200), false) == nil {
				s.Write(make([]byte, n), true)
			}
		})
		return p
	}
	// drip gives room on some streams, and on the connection, each second.
	var framing sync.Mutex
	drip := func(p *peer, room uint32, streams ...uint32) (stop func()) {
		done := make(chan struct{})
		go func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(time.Second):
				}
				framing.Lock()
				for _, s := range streams {
					p.framer.WriteWindowUpdate(s, room)
				}
				p.framer.WriteWindowUpdate(0, room)
				framing.Unlock()
			}
		}()
		return func() { close(done) }
	}
	ends := func(p *peer, streams int) (ended map[string]int) {
		ended = map[string]int{}
		for n := 0; n < streams; {
			f := <-p.frames
			switch {
			case strings.HasPrefix(f, "DATA") && strings.HasSuffix(f, " end"):
				ended["complete"]++
				n++
			case strings.HasPrefix(f, "RST_STREAM"):
				ended[f[strings.LastIndexByte(f, ' ')+1:]]++
				n++
			}
		}
		return ended
	}
	inBubble(t, "one stream", func(t *testing.T) {
		p := paced(t, 100_000)
		began := time.Now()
		p.framer.WriteWindowUpdate(0, 1<<20)
		p.ask(1, true)
		p.want("HEADERS 1", "DATA 1 16384", "DATA 1 16384", "DATA 1 16384", "DATA 1 16383")
		defer drip(p, 99, 1)()
		time.Sleep(5500 * time.Millisecond)
		p.want("DATA 1 99", "DATA 1 99", "DATA 1 99", "DATA 1 99", "DATA 1 99")
		framing.Lock()
		p.headers(3, true, ":method", "GET", ":scheme", "http", ":path", "/small", ":authority", "a")
		framing.Unlock()
		p.want("HEADERS 3", "DATA 3 3 end", "DATA 1 99", "DATA 1 99", "DATA 1 99", "DATA 1 99", "DATA 1 99", "RST_STREAM 1 ENHANCE_YOUR_CALM")
		if took := time.Since(began); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("after %s", took)
		}
	})
	inBubble(t, "fast enough", func(t *testing.T) {
		p := paced(t, 70_000)
		p.framer.WriteWindowUpdate(0, 1<<20)
		p.ask(1, true)
		defer drip(p, 101, 1)()
		if got := ends(p, 1); got["complete"] != 1 {
			t.Errorf("got %v", got)
		}
	})
	inBubble(t, "a slow line", func(t *testing.T) {
		p := paced(t, 16_384+800)
		for id := range uint32(4) {
			p.ask(1+2*id, true)
		}
		defer drip(p, 200)()
		if got := ends(p, 4); got["complete"] != 4 {
			t.Errorf("got %v", got)
		}
	})
	inBubble(t, "too slow a line", func(t *testing.T) {
		p := paced(t, 30_000)
		for id := range uint32(4) {
			p.ask(1+2*id, true)
		}
		defer drip(p, 80)()
		if got := ends(p, 4); got["complete"] > 2 || got["ENHANCE_YOUR_CALM"]+got["complete"] != 4 { // two fit into the first window
			t.Errorf("got %v", got)
		}
	})
}

// A client gets room for what was read, and for what nobody will read; more than
// it has room for ends the connection.
func TestWindowsIn(t *testing.T) {
	inBubble(t, "credit", func(t *testing.T) {
		p := connect(t, limits(), func(s *Stream) {
			if s.Head().Path == "/" {
				n, err := io.Copy(io.Discard, s)
				if n != 20*10_000 || err != nil {
					t.Errorf("read %d, %v", n, err)
				}
			}
			s.WriteHead(AppendStatus(nil, 204), true)
		})
		p.ask(1, false)
		for i := range 20 {
			p.framer.WriteDataPadded(1, i == 19, make([]byte, 10_000), make([]byte, 100))
			synctest.Wait() // it is read, and there is room for more
		}
		stream, all, done := 0, 0, false
		for !done {
			var id uint32
			var n int
			f, ok := <-p.frames
			if !ok {
				t.Fatal("the connection has ended")
			}
			done = strings.HasPrefix(f, "HEADERS")
			if _, err := fmt.Sscanf(f, "WINDOW_UPDATE %d %d", &id, &n); err == nil && id == 1 {
				stream += n
			} else if err == nil {
				all += n
			}
		}
		if stream < 20*10_101-64<<10 || all < 20*10_101-128<<10 {
			t.Errorf("%d for the stream, %d for all", stream, all)
		}
		// What nobody reads counts for the connection only.
		p.headers(3, false, ":method", "POST", ":scheme", "http", ":path", "/no", ":authority", "a")
		p.want("HEADERS 3 :status=204 end", "RST_STREAM 3 NO_ERROR")
		for range 40 {
			p.framer.WriteData(3, false, make([]byte, 10_000)) // on their way before it knew
			synctest.Wait()
		}
		for range len(p.frames) {
			p.want("WINDOW_UPDATE 0")
		}
		if p.conn.received+p.conn.unread != 128<<10 {
			t.Errorf("%d + %d bytes of the window are left", p.conn.received, p.conn.unread)
		}
	})
	inBubble(t, "more than the stream's", func(t *testing.T) {
		p := connect(t, limits(), func(s *Stream) { <-s.Done() })
		p.ask(1, false)
		for range 7 {
			p.framer.WriteData(1, false, make([]byte, 10_000))
		}
		p.want("RST_STREAM 1 FLOW_CONTROL_ERROR")
	})
	inBubble(t, "more than the connection's", func(t *testing.T) {
		p := connect(t, limits(), func(s *Stream) { <-s.Done() })
		for i := range 3 {
			p.ask(uint32(2*i+1), false)
		}
		for i := range 14 {
			p.framer.WriteData(uint32(i%3*2+1), false, make([]byte, 10_000))
		}
		p.want("GOAWAY 5 FLOW_CONTROL_ERROR", "the end")
	})
}

// What isn't a request, and what is none of ours, is told from what is.
func TestMalformed(t *testing.T) {
	usual := []string{":method", "GET", ":scheme", "https", ":path", "/", ":authority", "a"}
	f := func(good bool, fields ...string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			p := connect(t, limits(), func(s *Stream) {
				status := 200
				if s.Head().Malformed != nil {
					status = 400
				}
				s.WriteHead(AppendStatus(nil, status), true)
			})
			p.headers(1, true, fields...)
			if good {
				p.want("HEADERS 1 :status=200 end")
			} else {
				p.want("HEADERS 1 :status=400 end", "RST_STREAM 1 PROTOCOL_ERROR")
			}
			p.ask(3, true)
			p.want("HEADERS 3 :status=200 end")
		})
	}
	with := func(fields ...string) []string { return append(append([]string(nil), usual...), fields...) }
	f(true, usual...)
	f(true, ":method", "OPTIONS", ":scheme", "https", ":path", "*")
	f(true, ":method", "CONNECT", ":authority", "a:1")
	f(true, with("te", "trailers", "cookie", "a=b", "cookie", "c=d")...)
	f(false, usual[2:]...)
	f(false, usual[:4]...)
	f(false, with(":method", "GET")...)
	f(false, with(":protocol", "websocket")...)
	f(false, append([]string{"accept", "*/*"}, usual...)...)
	f(false, ":method", "GET", ":scheme", "https", ":path", "", ":authority", "a")
	f(false, ":method", "GET", ":scheme", "https", ":path", "*", ":authority", "a")
	f(false, ":method", "GET", ":scheme", "https", ":path", "https://a/", ":authority", "a")
	f(false, ":method", "GET", ":scheme", "ftp", ":path", "/", ":authority", "a")
	f(false, ":method", "G T", ":scheme", "https", ":path", "/", ":authority", "a")
	f(false, ":method", "CONNECT", ":scheme", "https", ":path", "/", ":authority", "a")
	f(false, with("Accept", "*/*")...)
	f(false, with("", "x")...)
	f(false, with("x", "a\r\nb: c")...)
	f(false, with("x", " a")...)
	f(false, with("connection", "close")...)
	f(false, with("transfer-encoding", "chunked")...)
	f(false, with("upgrade", "h2c")...)
	f(false, with("te", "gzip")...)
	f(false, with("content-length", "1")...)
	f(false, with("content-length", "0", "content-length", "0")...)
	f(false, with("content-length", "+0")...)
}

// The head is what the client sent, cookies in one piece; too much of it is known
// as such, and the connection goes on.
func TestHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heads := make(chan string, 1)
		p := connect(t, limits(), func(s *Stream) {
			h := s.Head()
			text := fmt.Sprint(h.Method, " ", h.Scheme, " ", h.Authority, " ", h.Path, " ", h.Length, " ", h.TooLarge)
			for _, f := range h.Fields {
				text += " " + f.Name + "=" + f.Value
			}
			heads <- text
			s.WriteHead(AppendStatus(nil, 200), true)
		})
		f := func(stream uint32, want string, fields ...string) {
			t.Helper()
			p.ask(stream, true, fields...)
			p.want("HEADERS")
			if got := <-heads; !strings.HasPrefix(got, want) {
				t.Errorf("got %s, want %s", got, want)
			}
		}
		f(1, "POST http a / 0 false b=1 cookie=a=b; c=d; e a=2 b=3", "b", "1", "cookie", "a=b", "a", "2", "cookie", "c=d", "b", "3", "cookie", "e")
		f(3, "POST http a / -1 true", "x", strings.Repeat("x", 2000))
		f(5, "POST http a / 0 false b=1", "b", "1")
	})
}

// Floods end the connection; the same frames beside requests that explain them
// don't.
func TestFloods(t *testing.T) {
	reset := func(p *peer, i int) {
		p.ask(uint32(2*i+1), true)
		p.framer.WriteRSTStream(uint32(2*i+1), http2.ErrCodeCancel)
	}
	for name, each := range map[string]func(p *peer, i int){
		"RST_STREAM":         reset,
		"PING":               func(p *peer, i int) { p.framer.WritePing(false, [8]byte{}) },
		"SETTINGS":           func(p *peer, i int) { p.framer.WriteSettings() },
		"WINDOW_UPDATE":      func(p *peer, i int) { p.framer.WriteWindowUpdate(0, 1) },
		"unknown":            func(p *peer, i int) { p.framer.WriteRawFrame(0x77, 0, 0, nil) },
		"empty DATA":         func(p *peer, i int) { p.ask(1, false); p.framer.WriteData(1, false, nil) },
		"empty CONTINUATION": func(p *peer, i int) { p.framer.WriteContinuation(1, false, nil) },
	} {
		inBubble(t, name, func(t *testing.T) {
			p := connect(t, limits(), func(s *Stream) { <-s.Done() })
			go func() {
				for range p.frames { // or nothing could be answered
				}
			}()
			switch name {
			case "empty DATA":
				p.ask(1, false)
				each = func(p *peer, i int) { p.framer.WriteData(1, false, nil) }
			case "empty CONTINUATION":
				p.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1})
			}
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				for i := range 5000 {
					each(p, i)
				}
			}()
			var mistake connError
			if err := <-p.ended; !errors.As(err, &mistake) || mistake.code != enhanceYourCalm {
				t.Errorf("got %v", err)
			}
			p.socket.Close()
			<-sent
		})
	}
	inBubble(t, "explained", func(t *testing.T) {
		p := connect(t, limits(), echo)
		for i := range 3000 {
			p.ask(uint32(4*i+1), true)
			p.want(fmt.Sprintf("HEADERS %d", 4*i+1), fmt.Sprintf("DATA %d 0 end", 4*i+1))
			p.ask(uint32(4*i+3), false)
			p.framer.WriteRSTStream(uint32(4*i+3), http2.ErrCodeCancel)
			synctest.Wait()
		}
	})
}

// A client that is asked to go has all answered that it sent before it knew.
func TestShutdown(t *testing.T) {
	inBubble(t, "answered", func(t *testing.T) {
		p := connect(t, limits(), echo)
		p.ask(1, false)
		p.conn.Shutdown()
		p.conn.Shutdown()
		p.want("GOAWAY 2147483647 NO_ERROR", `PING "farewell"`)
		p.ask(3, true)
		p.want("HEADERS 3", "DATA 3 0 end")
		p.framer.WritePing(true, [8]byte([]byte(farewell)))
		p.want("GOAWAY 3 NO_ERROR")
		p.ask(5, true)
		p.want("RST_STREAM 5 REFUSED_STREAM")
		p.framer.WriteData(1, true, []byte("abc"))
		p.want("HEADERS 1", "DATA 1 3 end", "the end")
		if err := <-p.ended; err != nil {
			t.Error(err)
		}
	})
	inBubble(t, "not answered", func(t *testing.T) {
		p := connect(t, limits(), echo)
		began := time.Now()
		p.conn.Shutdown()
		p.want("GOAWAY 2147483647 NO_ERROR", `PING "farewell"`, "GOAWAY 0 NO_ERROR", "the end")
		if took := time.Since(began); took < leaveWait || took > 3*leaveWait {
			t.Errorf("after %s", took)
		}
	})
}

// A connection without streams ends after IdleTimeout whatever comes by; one with
// a stream is asked whether it stands.
func TestSilence(t *testing.T) {
	inBubble(t, "idle", func(t *testing.T) {
		p := connect(t, limits(), echo)
		began := time.Now()
		for range 11 {
			time.Sleep(5 * time.Second)
			p.framer.WritePing(false, [8]byte{})
			p.want("PING")
		}
		p.want("GOAWAY 0 NO_ERROR")
		if took := time.Since(began); took < time.Minute || took > 64*time.Second {
			t.Errorf("after %s", took)
		}
	})
	inBubble(t, "open", func(t *testing.T) {
		p := connect(t, limits(), func(s *Stream) { <-s.Done() })
		p.ask(1, true)
		began := time.Now()
		p.want("PING")
		p.framer.WritePing(true, [8]byte{})
		p.want("PING", "the end")
		if took := time.Since(began); took < 2*time.Minute+pingWait || took > 2*time.Minute+4*pingWait {
			t.Errorf("after %s", took)
		}
	})
	inBubble(t, "half a head", func(t *testing.T) {
		p := connect(t, limits(), echo)
		p.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1})
		p.want("GOAWAY 1 NO_ERROR")
	})
}

// The context ends with the stream, for children too.
func TestContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		called := make(chan bool, 1)
		p := connect(t, limits(), func(s *Stream) {
			stop := s.AfterFunc(func() { t.Error("called after it was stopped") })
			if !stop() || stop() {
				t.Error("stop lies")
			}
			s.AfterFunc(func() { called <- true })
			<-s.Done()
			if s.Err() == nil || !s.Gone() {
				t.Error("no error")
			}
			if _, err := s.Read(make([]byte, 1)); err != errReset {
				t.Errorf("read: %v", err)
			}
			if err := s.WriteHead(nil, true); err != errReset {
				t.Errorf("write: %v", err)
			}
		})
		p.ask(1, false)
		synctest.Wait()
		p.framer.WriteRSTStream(1, http2.ErrCodeCancel)
		<-called
	})
}

// Whatever a client sends, the connection ends with it, and so do its requests.
func FuzzConn(f *testing.F) {
	settings := "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	f.Add([]byte(settings + "\x00\x00\x04\x01\x05\x00\x00\x00\x01\x83\x86\x84\x41"))
	f.Add([]byte(settings + "\x00\x00\x03\x01\x04\x00\x00\x00\x01\x83\x86\x84\x00\x00\x02\x00\x01\x00\x00\x00\x01hi"))
	f.Add([]byte(settings + "\x00\x00\x03\x01\x00\x00\x00\x00\x01\x83\x86\x84\x00\x00\x01\x09\x04\x00\x00\x00\x01\x88\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x08"))
	f.Add([]byte(settings + "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x01\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			var workers Workers
			buffers := &wire.Buffers{Poison: true}
			c := NewConn(wire.NewConn(near, near, buffers), near, buffers, &workers, limits(), echo)
			go io.Copy(io.Discard, far)
			go func() {
				io.WriteString(far, Preface)
				far.Write(sent)
				far.Close()
			}()
			_ = c.Serve()
			workers.Close()
			if len(c.streams) > 0 || c.serving > 0 || c.blocked > 0 {
				t.Errorf("%d streams, %d served, %d blocked", len(c.streams), c.serving, c.blocked)
			}
		})
	})
}
