package http3

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"

	"github.com/postern-gateway/postern/proxy/http2"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is an endpoint whose requests are answered with what they were.
type rig struct {
	t        *testing.T
	endpoint *Endpoint
	address  net.Addr
	tls      *tls.Config
	serving  sync.WaitGroup
	conns    chan *Conn
}

func newRig(t *testing.T, s Settings) *rig {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, address: socket.LocalAddr(), tls: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, conns: make(chan *Conn, 100)}
	r.endpoint, err = Listen(socket, Options{
		TLS:      func(*tls.ClientHelloInfo) (*tls.Config, error) { return r.tls, nil },
		Settings: func() Settings { return s },
		Enter:    func(netip.AddrPort) (func(), bool) { return func() {}, true },
		Wary:     func(int) bool { return false },
	})
	if err != nil {
		t.Fatal(err)
	}
	r.serving.Go(func() {
		for {
			c, err := r.endpoint.Accept()
			if err != nil {
				return
			}
			r.conns <- c
			r.serving.Go(func() { c.Serve(echo) })
		}
	})
	t.Cleanup(func() {
		r.endpoint.Stop()
		r.endpoint.Close()
		r.serving.Wait()
	})
	return r
}

// echo answers with what the request was.
func echo(s *Stream) {
	h := s.Head()
	status, text := 200, fmt.Sprintf("%s %s length=%d", h.Method, h.Path, h.Length)
	switch {
	case h.TooLarge:
		status, text = 431, ""
	case h.Malformed != nil:
		status, text = 400, h.Malformed.Error()
	case h.Method == "HUGE":
		if s.WriteHead(AppendStatus(nil, 200), false) == nil {
			for range 128 {
				if _, err := s.Write(make([]byte, 8<<10), false); err != nil {
					return
				}
			}
			s.Write(nil, true)
		}
		return
	default:
		content, err := io.ReadAll(readerOf{s})
		text += " body=" + string(content)
		if err != nil {
			<-s.Done() // nobody waits for an answer
			return
		}
		for _, f := range s.Trailers() {
			text += " " + f.Name + "=" + f.Value
		}
	}
	b := AppendField(AppendStatus(nil, status), "Content-Type", "text/plain")
	if s.WriteHead(b, false) == nil {
		s.Write([]byte(text), true)
	}
}

type readerOf struct{ *Stream }

func (r readerOf) Read(p []byte) (int, error) { return r.Stream.Read(p) }

func defaults() Settings {
	return Settings{Streams: 4, Header: 2000, StreamWindow: 64 << 10, ConnWindow: 256 << 10,
		HeaderTimeout: time.Minute, IdleTimeout: time.Minute, WriteTimeout: time.Minute}
}

// dial connects as a client that says nothing of HTTP/3 by itself.
func (r *rig) dial() *quic.Conn {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	c, err := quic.DialAddr(ctx, r.address.String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{Protocol}}, &quic.Config{})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.CloseWithError(0, "") })
	return c
}

// frame is a frame with any payload.
func frame(kind uint64, payload string) string {
	return string(quicvarint.Append(quicvarint.Append(nil, kind), uint64(len(payload)))) + payload
}

// fields is a HEADERS frame of names and values in turn.
func fields(pairs ...string) string {
	var b strings.Builder
	e := qpack.NewEncoder(&b)
	for i := 0; i < len(pairs); i += 2 {
		e.WriteField(qpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	return frame(frameHeaders, b.String())
}

// head is a good request's HEADERS and what is added.
func head(method string, more ...string) string {
	return fields(append([]string{":method", method, ":scheme", "https", ":authority", "localhost", ":path", "/a"}, more...)...)
}

const settings = "\x00\x04\x00" // the control stream's type, and empty SETTINGS

// ask sends bytes on a stream, ends it, and returns the status and the content of the
// answer, or what the stream failed with.
func ask(t *testing.T, c *quic.Conn, raw string) string {
	t.Helper()
	s, err := c.OpenStreamSync(t.Context())
	if err != nil {
		return fate(err)
	}
	s.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(s, raw) // who doesn't want all of it answers all the same
	s.Close()
	return answer(s)
}

// answer reads the answer on a stream.
func answer(s *quic.Stream) string {
	r := bufio.NewReader(s)
	out := ""
	for {
		kind, length, err := readFrameHead(r)
		if err == io.EOF {
			return out
		}
		if err != nil {
			return fate(err)
		}
		b := make([]byte, length)
		if _, err := io.ReadFull(r, b); err != nil {
			return fate(err)
		}
		switch kind {
		case frameHeaders:
			next := qpack.NewDecoder().Decode(b)
			for f, err := next(); err == nil; f, err = next() {
				if f.Name == ":status" {
					out += f.Value + " "
				}
			}
		case frameData:
			out += string(b)
		}
	}
}

// fate says how a stream or a connection ended.
func fate(err error) string {
	var reset *quic.StreamError
	var ended *quic.ApplicationError
	switch {
	case errors.As(err, &reset):
		return fmt.Sprintf("reset %#x", uint64(reset.ErrorCode))
	case errors.As(err, &ended):
		return fmt.Sprintf("ended %#x", uint64(ended.ErrorCode))
	}
	return err.Error()
}

// What clients send on a request's stream, and what becomes of it.
func TestRequests(t *testing.T) {
	r := newRig(t, defaults())
	f := func(raw, want string) {
		t.Helper()
		c := r.dial()
		if got := ask(t, c, raw); got != want {
			t.Errorf("%.60q: got %q, want %q", raw, got, want)
		}
		c.CloseWithError(0, "")
	}
	// The end of a stream may arrive with its head or after it, as packets come: both
	// are right, and the former is to be seen.
	ends := func(raw, together, apart string) {
		t.Helper()
		got := ""
		for until := time.Now().Add(time.Minute); got != together && time.Now().Before(until); {
			c := r.dial()
			if got = ask(t, c, raw); got != together && got != apart {
				t.Fatalf("%.60q: got %q, want %q or %q", raw, got, together, apart)
			}
			c.CloseWithError(0, "")
		}
		if got != together {
			t.Errorf("%.60q: got %q, want %q", raw, got, together)
		}
	}
	grease := frame(0x21, "grease")
	ends(head("GET"), "200 GET /a length=0 body=", "200 GET /a length=-1 body=")
	f(head("POST")+frame(frameData, "one ")+frame(frameData, "two"), "200 POST /a length=-1 body=one two")
	f(head("POST", "content-length", "3")+frame(frameData, "abc"), "200 POST /a length=3 body=abc")
	f(grease+head("POST")+grease+frame(frameData, "x")+grease+fields("x-sum", "17"), "200 POST /a length=-1 body=x x-sum=17")
	f(head("GET")+frame(frameData, ""), "200 GET /a length=-1 body=")

	// The client's mistakes in a request. RFC 9114, 4.1.2.
	f(head("GET", "x-a", "1", ":path", "/b"), "400 pseudo-field :path behind fields")
	f(head("GET", "X-A", "1"), "400 field name in upper case")
	f(head("GET", "connection", "close"), "400 field connection, which belongs to one connection")
	f(head("GET", "transfer-encoding", "chunked"), "400 field transfer-encoding, which belongs to one connection")
	f(head("GET", "x-a", "1\r\nx: y"), "400 malformed field value")
	f(fields(":method", "GET", ":scheme", "https", ":authority", "localhost"), "400 a pseudo-field is missing")
	f(head("GET", ":protocol", "websocket"), `400 pseudo-field ":protocol"`)
	ends(head("POST", "content-length", "3"), "400 content-length without content", "reset 0x10e")
	f(head("GET", "x-a", strings.Repeat("a", 3000)), "431 ")
	f(fields("x-a", strings.Repeat("\x00", 30000)), "431 ")
	f(head("POST", "content-length", "2")+frame(frameData, "abc"), "reset 0x10e")
	f(head("POST", "content-length", "4")+frame(frameData, "abc"), "reset 0x10e")
	f(head("POST")+frame(frameData, "abc")+fields(":path", "/"), "reset 0x10e")
	f("", "reset 0x10d")

	// And in the protocol, which end the connection.
	f(frame(frameData, "x"), "ended 0x105")
	f(frame(frameSettings, ""), "ended 0x105")
	f(frame(0x8, "\x00"), "ended 0x105")
	f(head("POST")+frame(frameSettings, ""), "ended 0x105")
	f(head("POST")+frame(frameData, "x")+fields("x-sum", "1")+frame(frameData, "y"), "ended 0x105")
	f(head("GET")[:10], "ended 0x106")
	f(head("POST")+frame(frameData, "abcdef")[:4], "ended 0x106")
	f(frame(frameHeaders, "\x00\x00\x80"), "ended 0x200") // the dynamic table, which has no room
	f(frame(frameHeaders, "\x02\x00\xd1"), "ended 0x200")
	f(frame(frameHeaders, "\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "ended 0x200")
	f(strings.Repeat(grease, 20)+head("GET"), "ended 0x107")
	f(head("POST")+strings.Repeat(frame(frameData, ""), 20), "ended 0x107")
}

// What clients send on streams that go one way.
func TestUnidirectional(t *testing.T) {
	r := newRig(t, defaults())
	f := func(want string, streams ...string) {
		t.Helper()
		c := r.dial()
		defer c.CloseWithError(0, "")
		var open []*quic.SendStream
		for _, raw := range streams {
			s, err := c.OpenUniStreamSync(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			raw, end := strings.CutSuffix(raw, "END")
			io.WriteString(s, raw)
			if end {
				s.Close()
			}
			open = append(open, s)
		}
		if want == "" {
			if got := ask(t, c, head("GET")); !strings.HasPrefix(got, "200 ") {
				t.Errorf("%q: got %q, want an answer", streams, got)
			}
			return
		}
		select {
		case <-c.Context().Done():
		case <-time.After(time.Minute):
		}
		if got := fate(context.Cause(c.Context())); got != want {
			t.Errorf("%q: got %q, want %q", streams, got, want)
		}
	}
	f("", settings)
	f("", settings+frame(0x21, "grease")+frame(frameMaxPushID, "\x08")+frame(0xf0700, "\x00u=1"), "\x02", "\x03", "\x21grease")
	f("", settings, "\x02\x20", "\x03\x40")
	f("ended 0x10a", "\x00"+frame(0x21, ""))
	f("ended 0x103", "\x01\x00")
	f("ended 0x103", settings, settings)
	f("ended 0x104", settings+"END")
	f("ended 0x104", settings, "\x02END")
	f("ended 0x105", settings+frame(frameSettings, ""))
	f("ended 0x105", settings+frame(frameData, ""))
	f("ended 0x105", settings+frame(0x6, ""))
	f("ended 0x106", "\x00"+frame(frameSettings, "\x06"))
	f("ended 0x107", "\x00"+frame(frameSettings, strings.Repeat("a", 5000)))
	f("ended 0x107", settings+strings.Repeat(frame(0x21, ""), 3000))
	f("ended 0x108", settings+frame(frameCancelPush, "\x00"))
	f("ended 0x109", "\x00"+frame(frameSettings, "\x06\x01\x06\x01"))
	f("ended 0x109", "\x00"+frame(frameSettings, "\x03\x01"))
	f("ended 0x201", settings, "\x02\x3f\xe1\x1f")
}

// A client that resets its streams can't have more served than it may have open.
func TestResets(t *testing.T) {
	r := newRig(t, defaults())
	c := r.dial()
	for range 50 {
		s, err := c.OpenStreamSync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(s, head("POST")+frame(frameData, "x"))
		s.CancelWrite(quic.StreamErrorCode(0x10c))
		s.CancelRead(quic.StreamErrorCode(0x10c))
	}
	conn := <-r.conns
	conn.mu.Lock()
	open := conn.open
	conn.mu.Unlock()
	if open > defaults().Streams {
		t.Errorf("%d are served, at most %d may be open", open, defaults().Streams)
	}
	if got := ask(t, c, head("GET")); !strings.HasPrefix(got, "200 ") {
		t.Errorf("then: %q", got)
	}
}

// GOAWAY comes twice, what came before the second is answered, later streams aren't,
// and then the connection ends.
func TestShutdown(t *testing.T) {
	r := newRig(t, defaults())
	c := r.dial()
	control, err := c.AcceptUniStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(control)
	if kind, err := quicvarint.Read(in); err != nil || kind != streamControl {
		t.Fatalf("a stream of type %d, %v", kind, err)
	}
	next := func() (kind, value uint64) {
		t.Helper()
		kind, length, err := readFrameHead(in)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, length)
		io.ReadFull(in, b)
		value, _, _ = quicvarint.Parse(b)
		return kind, value
	}
	if kind, _ := next(); kind != frameSettings {
		t.Errorf("the first frame is %d", kind)
	}
	held, err := c.OpenStreamSync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(held, head("POST")+frame(frameData, "x"))
	(<-r.conns).Shutdown()
	if kind, id := next(); kind != frameGoAway || id != lastStream {
		t.Errorf("frame %d, %d; want the first GOAWAY", kind, id)
	}
	if got := ask(t, c, head("GET")); !strings.HasPrefix(got, "200 ") {
		t.Errorf("between the two: %q", got)
	}
	if kind, id := next(); kind != frameGoAway || id != 8 {
		t.Errorf("frame %d, %d; want GOAWAY 8", kind, id)
	}
	if got := ask(t, c, head("GET")); got != "reset 0x10b" {
		t.Errorf("after the second: %q", got)
	}
	held.Close()
	if got := answer(held); got != "200 POST /a length=-1 body=x" {
		t.Errorf("what was under way: %q", got)
	}
	<-c.Context().Done()
	if got := fate(context.Cause(c.Context())); got != "ended 0x100" {
		t.Errorf("the end: %s", got)
	}
}

// A head that doesn't come, and a connection that nobody uses, end.
func TestPatience(t *testing.T) {
	s := defaults()
	s.HeaderTimeout, s.IdleTimeout = 300*time.Millisecond, 600*time.Millisecond
	r := newRig(t, s)
	c := r.dial()
	slow, err := c.OpenStreamSync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(slow, head("GET")[:8])
	if got := answer(slow); got != "reset 0x10d" {
		t.Errorf("a slow head: %q", got)
	}
	begun := time.Now()
	<-c.Context().Done()
	if got := fate(context.Cause(c.Context())); got != "ended 0x100" || time.Since(begun) > 8*time.Second {
		t.Errorf("an idle connection: %s after %v", got, time.Since(begun))
	}
}

// A client that takes too little of a reply has its stream reset.
func TestPace(t *testing.T) {
	s := defaults()
	s.Pace = http2.PaceLimits{Rate: 1 << 30, Patience: 50 * time.Millisecond}
	r := newRig(t, s)
	c, err := quic.DialAddr(t.Context(), r.address.String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{Protocol}},
		&quic.Config{InitialStreamReceiveWindow: 2 << 10, MaxStreamReceiveWindow: 2 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseWithError(0, "")
	slow, err := c.OpenStreamSync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(slow, head("HUGE"))
	slow.Close()
	buf := make([]byte, 1<<10)
	for {
		if _, err = slow.Read(buf); err != nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if got := fate(err); got != "reset 0x107" {
		t.Errorf("got %s", got)
	}
}

// What is encoded is what QPACK's decoder reads.
func TestEncode(t *testing.T) {
	b := []byte{0, 0}
	want := ""
	for status := 100; status < 600; status++ {
		b = AppendStatus(b, status)
		want += fmt.Sprintf(":status=%d\n", status)
	}
	names := []string{"Accept-Ranges", "Access-Control-Allow-Credentials", "Access-Control-Allow-Headers", "Access-Control-Allow-Methods",
		"Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Age", "Alt-Svc", "Cache-Control", "Content-Disposition", "Content-Encoding",
		"Content-Length", "Content-Security-Policy", "Content-Type", "Date", "ETag", "Last-Modified", "Link", "Location", "Server", "Set-Cookie",
		"Strict-Transport-Security", "Vary", "X-Content-Type-Options", "X-Frame-Options", "X", "X-Amzn-RequestId", strings.Repeat("Long-", 40) + "Name"}
	for _, name := range names {
		for _, value := range []string{"", "a", strings.Repeat("~\x80", 200), "max-age=31536000"} {
			b = AppendField(b, name, value)
			want += strings.ToLower(name) + "=" + value + "\n"
		}
	}
	for _, n := range []int64{0, 9, 1 << 40} {
		b = AppendLength(b, n)
		want += fmt.Sprintf("content-length=%d\n", n)
	}
	got := ""
	next := qpack.NewDecoder().Decode(b)
	for {
		f, err := next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got += f.Name + "=" + f.Value + "\n"
	}
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func BenchmarkEncode(b *testing.B) {
	var block []byte
	b.ReportAllocs()
	for b.Loop() {
		block = AppendStatus(block[:0], 200)
		block = AppendField(block, "Date", "Sun, 22 Nov 2026 06:58:16 GMT")
		block = AppendField(block, "Content-Type", "application/json")
		block = AppendField(block, "x-amzn-RequestId", "191a1784-d389-4b8e-ba73-cf40accefa46")
		block = AppendLength(block, 1024)
	}
}
