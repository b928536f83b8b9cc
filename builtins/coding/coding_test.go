package coding

import (
	"bytes"
	stdflate "compress/flate"
	stdgzip "compress/gzip"
	stdzlib "compress/zlib"
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

func TestAccepted(t *testing.T) {
	f := func(value string, want coding) {
		t.Helper()
		if got := accepted(value); got != want {
			t.Errorf("%q: got %s, want %s", value, got.name(), want.name())
		}
	}
	f("gzip", gzipCoding)
	f("x-gzip", gzipCoding)
	f("deflate", deflateCoding)
	f("br", brotliCoding)
	f("ZSTD", zstandard)
	// A browser.
	f("gzip, deflate, br, zstd", zstandard)
	f("gzip, deflate, br", brotliCoding)
	f("gzip,deflate", gzipCoding)
	// Weights.
	f("gzip;q=0.5, deflate;q=0.8", deflateCoding)
	f("gzip;q=1.0, zstd;q=0.999", gzipCoding)
	f("gzip;q=0, deflate;q=0.000", identity)
	f("gzip; q=0.001", gzipCoding)
	f("identity, gzip;q=0.5", identity)
	f("identity;q=0.5, gzip", gzipCoding)
	f("gzip, identity", gzipCoding)
	f("gzip;q=x, deflate;level=3", identity)
	// It must be named.
	f("", identity)
	f("*", identity)
	f("compress, exi, pack200-gzip", identity)
}

// pack compresses as others do.
func pack(t testing.TB, coding, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "gzip":
		w = stdgzip.NewWriter(&b)
	case "deflate":
		w = stdzlib.NewWriter(&b)
	case "raw":
		w, _ = stdflate.NewWriter(&b, 5)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// unpack reads what the gateway compressed.
func unpack(t testing.TB, coding string, content []byte) string {
	t.Helper()
	var r io.Reader = bytes.NewReader(content)
	var err error
	switch coding {
	case "gzip":
		r, err = stdgzip.NewReader(r)
	case "deflate":
		r, err = stdzlib.NewReader(r)
	case "br":
		r = brotli.NewReader(r)
	case "zstd":
		r, err = zstd.NewReader(r)
	}
	if err != nil {
		t.Fatalf("%s: %v", coding, err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Errorf("%s: %v", coding, err)
	}
	return string(text)
}

func TestDecode(t *testing.T) {
	const text = "some text, some text, some text"
	f := func(content []byte, coding, want string) {
		t.Helper()
		got, err := Decode(content, coding, 100)
		if err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v", coding, got, err)
		}
	}
	f(pack(t, "gzip", text), "gzip", text)
	f(pack(t, "gzip", text), "identity, X-GZip", text)
	f(append(pack(t, "gzip", text), pack(t, "gzip", "more")...), "gzip", text+"more")
	f(pack(t, "deflate", text), "deflate", text)
	f(pack(t, "raw", text), "deflate", text)
	f([]byte(text), "identity", text)
	f([]byte(text), "", text)
	f(pack(t, "gzip", strings.Repeat("x", 100)), "gzip", strings.Repeat("x", 100))
	f(pack(t, "gzip", ""), "gzip", "")

	bad := func(content []byte, coding string, want error) {
		t.Helper()
		if _, err := Decode(content, coding, 100); err == nil || want != nil && err != want {
			t.Errorf("%.20q as %s: got %v, want %v", content, coding, err, want)
		}
	}
	bad(pack(t, "gzip", strings.Repeat("x", 101)), "gzip", ErrTooLarge)
	bad(pack(t, "gzip", strings.Repeat("x", 10<<20)), "gzip", ErrTooLarge)
	for _, coding := range []string{"br", "zstd", "compress", "gzip, gzip", "gzip, deflate", "x"} {
		bad(nil, coding, ErrUnknown)
	}
	bad([]byte("no gzip"), "gzip", nil)
	bad(pack(t, "gzip", text)[:20], "gzip", io.ErrUnexpectedEOF)
	bad(nil, "gzip", io.ErrUnexpectedEOF)
	bad(pack(t, "deflate", text)[:20], "deflate", io.ErrUnexpectedEOF)
	bad(append(pack(t, "deflate", text), 'x'), "deflate", errMore)
	bad(append(pack(t, "raw", text), 'x'), "deflate", errMore)
	bad(append(pack(t, "gzip", text), "junk of some length"...), "gzip", nil)
}

// A coding can be anything, and costs no more than the limit.
func FuzzDecode(f *testing.F) {
	f.Add(pack(f, "gzip", "text"), false)
	f.Add(pack(f, "deflate", "text"), true)
	f.Add(pack(f, "raw", "text"), true)
	f.Fuzz(func(t *testing.T, content []byte, deflate bool) {
		coding := "gzip"
		if deflate {
			coding = "deflate"
		}
		if got, err := Decode(content, coding, 1000); err == nil && len(got) > 1000 {
			t.Errorf("%d bytes", len(got))
		}
	})
}

// bodyText is a proxy.Body that gives one part a call.
type bodyText struct {
	parts []string
	err   error // instead of the end
}

func (b *bodyText) Read(to []byte) (int, error) {
	if len(b.parts) == 0 {
		if b.err != nil {
			return 0, b.err
		}
		return 0, io.EOF
	}
	n := copy(to, b.parts[0])
	if b.parts[0] = b.parts[0][n:]; b.parts[0] == "" {
		b.parts = b.parts[1:]
	}
	return n, nil
}

func (*bodyText) Trailers() http1.Fields { return http1.Fields{http1.NewField("X-Sum", "7")} }

type stepFunc func(ex *proxy.Exchange) error

func (f stepFunc) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	return proxy.Continue, f(ex)
}

// pipeline returns one with the kind's steps and the integration's.
func pipeline(t testing.TB, minimum config.Size, integrate stepFunc) *proxy.Pipeline {
	t.Helper()
	route := &proxy.Route{Stage: &proxy.Stage{API: &proxy.API{Name: "a"}}}
	cfg := &config.Config{API: map[string]config.API{"a": {MinimumCompressionSize: &minimum}}}
	steps, err := Kind().New(proxy.Build{Route: route}, proxy.Options{Config: cfg})
	if err != nil {
		t.Fatal(err)
	}
	return proxy.NewPipeline(steps, proxy.Steps{proxy.Integration: integrate})
}

func TestRequest(t *testing.T) {
	var content string
	var readErr error
	line := pipeline(t, 0, func(ex *proxy.Exchange) error {
		if readErr = ex.ReadWhole(100); readErr != nil {
			return readErr
		}
		content = string(ex.In.Content)
		ex.Reply.Status = 200
		return nil
	})
	f := func(ex *proxy.Exchange, coding string, wantStatus int, want string) {
		t.Helper()
		content = ""
		ex.In.Method = "POST"
		ex.In.Fields.Add("Content-Length", "7")
		ex.In.Fields.Add("content-encoding", coding)
		ex.In.Fields.Add("X-A", "1")
		line.Run(t.Context(), ex, 100)
		if content != want || ex.Reply.Status != wantStatus {
			t.Errorf("%s: got %d, %q, %v", coding, ex.Reply.Status, content, ex.Fault)
		}
		if wantStatus == 200 && (ex.In.Fields.HasKnown(http1.ContentEncoding) || ex.In.Fields.Get("X-A") != "1") {
			t.Errorf("%s: fields %v", coding, ex.In.Fields)
		}
		ex.End()
	}
	whole := func(content []byte) *proxy.Exchange {
		ex := &proxy.Exchange{}
		ex.In.Content, ex.In.Whole = content, true
		return ex
	}
	stream := func(content []byte) *proxy.Exchange {
		ex := &proxy.Exchange{}
		half := len(content) / 2
		ex.In.Body, ex.In.Length = &bodyText{parts: []string{string(content[:half]), string(content[half:])}}, int64(len(content))
		return ex
	}
	for _, make := range []func([]byte) *proxy.Exchange{whole, stream} {
		f(make(pack(t, "gzip", "hello")), "gzip", 200, "hello")
		f(make(pack(t, "deflate", "hello")), "deflate", 200, "hello")
		f(make([]byte("hello")), "identity", 200, "hello")
		// AWS: 415.
		f(make([]byte("hello")), "br", 415, "")
		f(make([]byte("hello")), "gzip", 415, "")
		f(make(pack(t, "gzip", "hello")[:15]), "gzip", 415, "")
		// A bomb.
		f(make(pack(t, "gzip", strings.Repeat("x", 1<<20))), "gzip", 413, "")
	}
	f(&proxy.Exchange{}, "gzip", 200, "") // no content
	// A client that breaks off is no mistake of the coding.
	ex := stream(pack(t, "gzip", strings.Repeat("hello", 10)))
	ex.In.Body.(*bodyText).parts = ex.In.Body.(*bodyText).parts[:1]
	ex.In.Body.(*bodyText).err = proxy.Fault{Kind: proxy.BadRequest}
	f(ex, "gzip", 400, "")
}

func TestReply(t *testing.T) {
	text := strings.Repeat("some text ", 100)
	run := func(method, accept string, minimum config.Size, reply proxy.Response) *proxy.Exchange {
		line := pipeline(t, minimum, func(ex *proxy.Exchange) error {
			if reply.Status == 0 {
				reply.Status = 200
			}
			if reply.Body == nil {
				reply.Length = int64(len(reply.Content))
			}
			ex.Reply = reply
			return nil
		})
		ex := &proxy.Exchange{Start: time.Now()}
		ex.In.Method = method
		if accept != "" {
			ex.In.Fields.Add("accept-encoding", accept)
		}
		line.Run(t.Context(), ex, 100)
		return ex
	}
	fields := func(pairs ...string) (fs http1.Fields) {
		for i := 0; i < len(pairs); i += 2 {
			fs.Add(pairs[i], pairs[i+1])
		}
		return fs
	}
	for _, coding := range []string{"gzip", "deflate", "br", "zstd"} {
		ex := run("GET", coding, 1000, proxy.Response{Content: []byte(text), Fields: fields("ETag", `"v1"`, "Accept-Ranges", "bytes", "Content-Length", "1000")})
		r := &ex.Reply
		if r.Fields.Get("Content-Encoding") != coding || r.Fields.Get("Vary") != "Accept-Encoding" || r.Fields.Get("ETag") != `W/"v1"` ||
			r.Fields.Get("Accept-Ranges") != "" || r.Length != int64(len(r.Content)) || len(r.Content) > 200 {
			t.Errorf("%s: %v, %d bytes, length %d", coding, r.Fields, len(r.Content), r.Length)
		}
		if got := unpack(t, coding, r.Content); got != text {
			t.Errorf("%s: got %.50q", coding, got)
		}
		ex.End()
		// A stream, every part of which is there when it came.
		parts := []string{text[:10], text[10:500], text[500:]}
		ex = run("GET", coding, 1000, proxy.Response{Body: &bodyText{parts: append([]string{}, parts...)}, Length: http1.Unknown})
		if r = &ex.Reply; r.Length != http1.Unknown || r.Fields.Get("Content-Encoding") != coding || r.Body.Trailers().Get("X-Sum") != "7" {
			t.Errorf("%s: stream %+v", coding, r)
		}
		var all []byte
		buf := make([]byte, 1<<16)
		for range parts {
			n, err := r.Body.Read(buf)
			if all = append(all, buf[:n]...); err != nil || n == 0 {
				t.Errorf("%s: stream: %d, %v", coding, n, err)
			}
		}
		rest, err := io.ReadAll(r.Body)
		if got := unpack(t, coding, append(all, rest...)); got != text || err != nil {
			t.Errorf("%s: stream: got %.50q, %v", coding, got, err)
		}
		ex.End()
	}
	// One that breaks off doesn't look whole.
	ex := run("GET", "gzip", 0, proxy.Response{Body: &bodyText{parts: []string{text}, err: io.ErrUnexpectedEOF}, Length: http1.Unknown})
	if got, err := io.ReadAll(ex.Reply.Body); err != io.ErrUnexpectedEOF {
		t.Errorf("broken stream: %d bytes, %v", len(got), err)
	}
	ex.End()

	plain := func(why, accept string, minimum config.Size, vary string, reply proxy.Response) {
		t.Helper()
		before := reply.Fields.Get("Content-Encoding")
		ex := run("GET", accept, minimum, reply)
		if ex.Reply.Fields.Get("Content-Encoding") != before || ex.Reply.Fields.Get("Vary") != vary || string(ex.Reply.Content) != string(reply.Content) {
			t.Errorf("%s: %v, %d bytes", why, ex.Reply.Fields, len(ex.Reply.Content))
		}
		ex.End()
	}
	plain("not asked for", "", 0, "Accept-Encoding", proxy.Response{Content: []byte(text)})
	plain("anything", "*", 0, "Accept-Encoding", proxy.Response{Content: []byte(text)})
	plain("varies already", "", 0, "Origin, accept-encoding", proxy.Response{Content: []byte(text), Fields: fields("Vary", "Origin, accept-encoding")})
	plain("varies with everything", "", 0, "*", proxy.Response{Content: []byte(text), Fields: fields("Vary", "*")})
	plain("small", "gzip", 1001, "", proxy.Response{Content: []byte(text)})
	plain("small stream", "gzip", 1001, "", proxy.Response{Body: &bodyText{parts: []string{text}}, Length: 1000})
	plain("nothing", "gzip", 0, "", proxy.Response{})
	plain("no gain", "gzip", 0, "Accept-Encoding", proxy.Response{Content: []byte("x")})
	plain("coded", "gzip", 0, "", proxy.Response{Content: []byte(text), Fields: fields("content-encoding", "br")})
	plain("no-transform", "gzip", 0, "", proxy.Response{Content: []byte(text), Fields: fields("Cache-Control", "max-age=1, No-Transform")})
	plain("range", "gzip", 0, "", proxy.Response{Status: 206, Content: []byte(text)})
	plain("range not there", "gzip", 0, "", proxy.Response{Status: 416, Content: []byte(text), Fields: fields("Content-Range", "bytes */7")})
	plain("digest", "gzip", 0, "", proxy.Response{Content: []byte(text), Fields: fields("Repr-Digest", "x")})
	plain("no content", "gzip", 0, "", proxy.Response{Status: 204})
	plain("not modified", "gzip", 0, "Accept-Encoding", proxy.Response{Status: 304})
	plain("upgrade", "gzip", 0, "", proxy.Response{Status: 101})
	for _, mediaType := range []string{"image/png", "Video/mp4", "audio/ogg", "application/zip", "application/grpc", "font/woff2"} {
		plain(mediaType, "gzip", 0, "", proxy.Response{Content: []byte(text), Fields: fields("Content-Type", mediaType)})
	}
	for _, mediaType := range []string{"image/svg+xml", "application/json", "font/ttf", "text/html; charset=utf-8", "x"} {
		if ex := run("GET", "gzip", 0, proxy.Response{Content: []byte(text), Fields: fields("Content-Type", mediaType)}); ex.Reply.Fields.Get("Content-Encoding") != "gzip" {
			t.Errorf("%s isn't compressed", mediaType)
		}
	}
	// HEAD tells what GET would, but not its length, which nobody knows.
	line := pipeline(t, 10, func(ex *proxy.Exchange) error { ex.Reply = proxy.Response{Status: 200, Length: 1000}; return nil })
	ex = &proxy.Exchange{}
	ex.In.Method = "HEAD"
	ex.In.Fields.Add("Accept-Encoding", "deflate;q=0.1")
	ex.In.Fields.Add("Accept-Encoding", "gzip")
	line.Run(t.Context(), ex, 100)
	if r := &ex.Reply; r.Fields.Get("Content-Encoding") != "gzip" || r.Length != 0 || r.Fields.Get("Vary") != "Accept-Encoding" {
		t.Errorf("HEAD: %+v", r)
	}
}

// Without the setting replies stay as they are, and a request is decoded all the
// same: the compiler puts that step in where it is needed.
func TestOff(t *testing.T) {
	route := &proxy.Route{Stage: &proxy.Stage{API: &proxy.API{Name: "a"}}}
	steps, err := Kind().New(proxy.Build{Route: route}, proxy.Options{Config: &config.Config{API: map[string]config.API{"a": {}}}})
	if err != nil || steps[proxy.MethodResponse] != nil || steps[proxy.MethodRequest] == nil {
		t.Errorf("got %v, %v", steps, err)
	}
}

// Exchanges don't see one another's encoders.
func TestManyAtOnce(t *testing.T) {
	var mu sync.Mutex
	i := 0
	line := pipeline(t, 0, func(ex *proxy.Exchange) error {
		mu.Lock()
		i++
		text := strings.Repeat(strconv.Itoa(i), 1000)
		mu.Unlock()
		ex.In.Host = text
		ex.Reply = proxy.Response{Status: 200, Content: []byte(text)}
		if len(text)%2 == 0 {
			ex.Reply = proxy.Response{Status: 200, Body: &bodyText{parts: []string{text}}, Length: http1.Unknown}
		}
		return nil
	})
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			coding := []string{"gzip", "br", "zstd", "deflate"}[n%4]
			ex := &proxy.Exchange{}
			for range 50 {
				ex.Begin(time.Now(), nil)
				ex.In.Fields.Add("Accept-Encoding", coding)
				line.Run(context.Background(), ex, 100)
				content := ex.Reply.Content
				if ex.Reply.Body != nil {
					var err error
					if content, err = io.ReadAll(ex.Reply.Body); err != nil {
						t.Error(err)
					}
				}
				if got := unpack(t, coding, content); got != ex.In.Host {
					t.Errorf("%s: got %.20q, want %.20q", coding, got, ex.In.Host)
				}
				ex.End()
			}
		})
	}
	all.Wait()
}

func TestErrorsAreFaults(t *testing.T) {
	if err := unsupported(ErrUnknown); !errors.Is(err, ErrUnknown) || err.Kind != proxy.UnsupportedMediaType {
		t.Error(err)
	}
}

func BenchmarkReply(b *testing.B) {
	content := []byte(strings.Repeat(`{"name":"cat","age":7,"tags":["a","b"]},`, 256)) // 10 KiB
	for _, coding := range []string{"", "gzip", "deflate", "br", "zstd"} {
		b.Run("coding="+coding, func(b *testing.B) {
			line := pipeline(b, 1024, func(ex *proxy.Exchange) error {
				ex.Reply.Status, ex.Reply.Content = 200, content
				return nil
			})
			ex, start := &proxy.Exchange{}, time.Now()
			b.ReportAllocs()
			for b.Loop() {
				ex.Begin(start, nil)
				ex.In.Fields.Add("Accept-Encoding", coding)
				line.Run(b.Context(), ex, 100)
				ex.End()
			}
		})
	}
}
