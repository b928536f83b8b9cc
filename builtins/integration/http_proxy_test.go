package integration

import (
	"context"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

func newProxy(t testing.TB, in config.Integration) *setup {
	in.URL = "http://backend.example:9000/a"
	return newSetup(t, HTTPProxy(), "/", in, nil).compile()
}

// One row of what was recorded of AWS a call: what becomes of a client's field.
func TestHTTPProxyRequestHeaders(t *testing.T) {
	s := newProxy(t, config.Integration{Forwarded: "off"})
	f := func(name, value, want string) {
		t.Helper()
		s.do("POST /", name+": "+value)
		got, _ := s.backend.sent.Fields.Lookup(name)
		if got != want {
			t.Errorf("%s: %s: backend got %q, want %q", name, value, got, want)
		}
	}
	// Dropped before anything sees them.
	for _, name := range []string{"Connection", "Content-Length", "Content-MD5", "Expect", "Max-Forwards", "Proxy-Authenticate",
		"Server", "TE", "Transfer-Encoding", "Trailer", "Upgrade", "WWW-Authenticate"} {
		f(name, "1", "")
	}
	// Not passed by HTTP_PROXY.
	f("Via", "1.1 other", "")
	f("Host", "pets.localhost", "")
	// Differs from AWS: kept, because the content is.
	f("Content-Encoding", "gzip", "gzip")
	// The client's.
	f("Accept", "text/html", "text/html")
	f("User-Agent", "curl/8", "curl/8")
	f("Content-Type", "text/plain; charset=utf-8", "text/plain; charset=utf-8")
	f("Cookie", "a=b", "a=b")
	f("X-Custom", "x", "x")
	f("Referer", "http://a/", "http://a/")
	f("Authorization", "Bearer abc", "Bearer abc")
	// Ended here.
	f("Authorization", "AWS4-HMAC-SHA256 Credential=AKID/20260101/x/execute-api/aws4_request, SignedHeaders=host, Signature=0", "")
	f("X-HTTP-Method-Override", "DELETE", "")
	f("Proxy", "evil.test:3128", "")
	f("x-amzn-RequestId", "forged", "")
	f("x-amz-apigw-id", "forged", "")
	f("Keep-Alive", "timeout=5", "")
	f("Proxy-Connection", "keep-alive", "")
	f("Proxy-Authorization", "Basic eA==", "")
	f("HTTP2-Settings", "AAMAAABkAAQAAP__", "")
	// Added.
	f("X-Amzn-Apigateway-Api-Id", "forged", "a1b2c3")
	f("X_Amzn_Apigateway_Api_Id", "forged", "")
	if got := s.backend.sent.Host; got != "backend.example:9000" {
		t.Errorf("Host %q", got)
	}
	trace := s.backend.sent.Fields.Get("X-Amzn-Trace-Id")
	if !regexp.MustCompile(`^Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=[01]$`).MatchString(trace) {
		t.Errorf("X-Amzn-Trace-Id %q", trace)
	}
	s.do("GET /", "x-amzn-trace-id: Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1")
	if trace = s.backend.sent.Fields.Get("X-Amzn-Trace-Id"); !strings.HasPrefix(trace, "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=") || strings.Contains(trace, "53995c3f42cd8ad8") {
		t.Errorf("X-Amzn-Trace-Id %q: the root must be the client's, the parent new", trace)
	}
}

// Order, spelling and repetition are the client's; what Connection names isn't sent.
func TestHTTPProxyRequestOrder(t *testing.T) {
	s := newProxy(t, config.Integration{Forwarded: "off"})
	s.do("GET /", "X-B: 1", "x-a: 2", "Connection: close, X-Secret", "X-B: 3", "x-secret: s")
	if got := withoutOurs(s.backend.sent.Fields); !strings.HasPrefix(got, "X-B: 1\nx-a: 2\nX-B: 3\nX-Amzn-Apigateway-Api-Id: a1b2c3\nX-Amzn-Trace-Id: Root=") || len(s.backend.sent.Fields) != 5 {
		t.Errorf("got\n%s", got)
	}
}

func TestHTTPProxyForwarded(t *testing.T) {
	spoofed := []string{"X-Forwarded-For: 6.6.6.6", "x-forwarded-for: 6.6.6.7", "X_Forwarded_For: 6.6.6.8", "X-Forwarded_For: 6.6.6.9",
		"X-Forwarded-Host: evil", "X-Forwarded-Port: 1", "X-Forwarded-Proto: gopher", "X-Forwarded-Prefix: /evil", "X-Forwarded-Server: evil",
		"Forwarded: for=6.6.6.6", "X-Real-IP: 6.6.6.6", "X_REAL_IP: 6.6.6.6"}
	const own = "X-Amzn-Apigateway-Api-Id: a1b2c3\nX-Amzn-Trace-Id: T\n"
	f := func(forwarded string, change func(in *proxy.Request), want string) {
		t.Helper()
		s := newProxy(t, config.Integration{Forwarded: forwarded})
		ex := s.begin(&proxy.Exchange{}, "GET /", spoofed...)
		// Connection can't make the gateway's own fields go away.
		ex.In.Fields.Add("Connection", "X-Forwarded-For, X-Forwarded-Host, Forwarded, X-Amzn-Apigateway-Api-Id")
		if change != nil {
			change(&ex.In)
		}
		s.run(ex)
		got := strings.Replace(withoutOurs(s.backend.sent.Fields), ex.TraceID(), "T", 1) + "\n"
		if got != own+want {
			t.Errorf("forwarded = %q: got\n%swant\n%s", forwarded, got, own+want)
		}
	}
	const set = "X-Forwarded-For: 192.0.2.60\nX-Forwarded-Host: pets.localhost:8443\nX-Forwarded-Port: 8443\nX-Forwarded-Proto: https\n" +
		"Forwarded: for=192.0.2.60;host=\"pets.localhost:8443\";proto=https\n"
	f("set", nil, set)
	f("", nil, set)
	f("off", nil, "")
	f("set", func(in *proxy.Request) {
		in.Client = mustAddrPort("[2001:db8::1]:1")
		in.Local = mustAddrPort("[2001:db8::2]:60123")
		in.Host, in.Port = "2001:db8::2", ""
		in.Scheme = "http"
	}, "X-Forwarded-For: 2001:db8::1\nX-Forwarded-Host: [2001:db8::2]\nX-Forwarded-Port: 60123\nX-Forwarded-Proto: http\n"+
		"Forwarded: for=\"[2001:db8::1]\";host=\"[2001:db8::2]\";proto=http\n")
	// A dual-stack socket's view of an IPv4 client; an HTTP/1.0 client that names no host.
	f("set", func(in *proxy.Request) {
		in.Client, in.Host, in.Port = mustAddrPort("[::ffff:192.0.2.7]:1"), "", ""
	}, "X-Forwarded-For: 192.0.2.7\nX-Forwarded-Port: 8443\nX-Forwarded-Proto: https\nForwarded: for=192.0.2.7;proto=https\n")
	// A listener on a unix socket knows no addresses.
	f("set", func(in *proxy.Request) {
		in.Client, in.Local, in.Port, in.Host = mustAddrPort(""), mustAddrPort(""), "", "::1"
	}, "X-Forwarded-Host: [::1]\nX-Forwarded-Proto: https\nForwarded: for=unknown;host=\"[::1]\";proto=https\n")
}

func TestHTTPProxyMethod(t *testing.T) {
	f := func(configured, client, want string) {
		t.Helper()
		s := newProxy(t, config.Integration{Method: configured})
		s.do(client + " /")
		if s.backend.sent.Method != want {
			t.Errorf("method %q, client %s: got %s, want %s", configured, client, s.backend.sent.Method, want)
		}
	}
	f("", "PATCH", "PATCH")
	f("ANY", "DELETE", "DELETE")
	f("POST", "GET", "POST")
}

// One row of what was recorded of AWS a call: what becomes of a backend's field.
func TestHTTPProxyResponseHeaders(t *testing.T) {
	s := newProxy(t, config.Integration{})
	f := func(field, want string) {
		t.Helper()
		s.backend.answer = func(back *proxy.Response) {
			name, value, _ := strings.Cut(field, ": ")
			back.Fields.Add("Content-Type", "text/plain")
			back.Fields.Add(name, value)
		}
		if want != "" {
			want = "\n" + want
		}
		if got := withoutOurs(s.do("GET /").Reply.Fields); got != "Content-Type: text/plain"+want {
			t.Errorf("%s: client got\n%s", field, got)
		}
	}
	f("Connection: keep-alive", "x-amzn-Remapped-Connection: keep-alive")
	f("Content-Length: 5", "x-amzn-Remapped-Content-Length: 5")
	f("date: Tue, 15 Nov 1994 08:12:31 GMT", "x-amzn-Remapped-Date: Tue, 15 Nov 1994 08:12:31 GMT")
	f("Server: nginx", "x-amzn-Remapped-Server: nginx")
	f("Transfer-Encoding: chunked", "")
	f("Via: 1.1 x", "")
	// Differs from AWS: kept, because the content is.
	f("Content-Encoding: gzip", "Content-Encoding: gzip")
	// Renamed only when they are mapped.
	for _, line := range []string{"Authorization: x", "Content-MD5: x", "Expect: x", "Host: x", "Max-Forwards: x", "Proxy-Authenticate: x",
		"User-Agent: x", "WWW-Authenticate: Basic realm=\"x\""} {
		f(line, line)
	}
	f("Set-Cookie: a=b", "Set-Cookie: a=b")
	f("x-custom: 1", "x-custom: 1")
	// Hop by hop.
	f("Keep-Alive: timeout=5", "")
	f("Proxy-Connection: close", "")
	f("Upgrade: h2c", "")
	f("Trailer: X-Sum", "")
	f("TE: trailers", "")
	f("Connection: x-hop", "x-amzn-Remapped-Connection: x-hop")
	// The gateway's own take their place.
	f("X-Amzn-RequestId: theirs", "")
	f("x-amz-apigw-id: theirs", "")
}

func TestHTTPProxyResponseListedByConnection(t *testing.T) {
	s := newProxy(t, config.Integration{})
	s.backend.answer = func(back *proxy.Response) {
		back.Fields.Add("Connection", "close, x-hop")
		back.Fields.Add("X-Hop", "1")
	}
	ex := s.do("GET /")
	// A backend that says nothing of the content's type gets AWS's default.
	if got, want := withoutOurs(ex.Reply.Fields), "x-amzn-Remapped-Connection: close, x-hop\nContent-Type: application/json"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := ex.Reply.Fields.Get("x-amzn-requestid"); got != ex.ID {
		t.Errorf("x-amzn-RequestId %q, want %q", got, ex.ID)
	}
}

func TestHTTPProxyStreams(t *testing.T) {
	s := newProxy(t, config.Integration{Timeout: config.Duration(time.Second), ContentTimeout: config.Duration(time.Minute)})
	request, response := bodyText{strings.NewReader("up")}, bodyText{strings.NewReader("down")}
	s.backend.answer = func(back *proxy.Response) {
		back.Status, back.Body, back.Length = 206, response, http1.Unknown
	}
	ex := s.begin(&proxy.Exchange{}, "PUT /")
	ex.In.Body, ex.In.Length = request, 2
	s.run(ex)
	if s.backend.sent.Body != proxy.Body(request) || s.backend.sent.Length != 2 || s.backend.sent.Timeout != time.Second || s.backend.sent.ContentTimeout != time.Minute {
		t.Errorf("sent %+v", s.backend.sent)
	}
	if ex.Reply.Status != 206 || ex.Reply.Body != proxy.Body(response) || ex.Reply.Length != http1.Unknown {
		t.Errorf("reply %+v", ex.Reply)
	}
	// Content that a step had read whole.
	ex = s.begin(&proxy.Exchange{}, "PUT /")
	ex.In.Body, ex.In.Length = request, 2
	ex.In.Content, ex.In.Whole = []byte("up"), true
	s.run(ex)
	if s.backend.sent.Body != nil || string(s.backend.sent.Content) != "up" {
		t.Errorf("sent %+v", s.backend.sent)
	}
	if s = newProxy(t, config.Integration{}); s.do("GET /").Fault != nil || s.backend.sent.Timeout != 29*time.Second {
		t.Errorf("timeout %v, want AWS's 29s", s.backend.sent.Timeout)
	}
}

// A length without content is for those who ask for no content.
func TestHTTPProxyLength(t *testing.T) {
	f := func(client, configured string, status int, want int64) {
		t.Helper()
		s := newProxy(t, config.Integration{Method: configured})
		s.backend.answer = func(back *proxy.Response) { back.Status, back.Length = status, 1234 }
		ex := s.do(client + " /")
		if ex.Reply.Length != want || ex.Reply.Status != status {
			t.Errorf("%s as %s, %d: got length %d, want %d", client, configured, status, ex.Reply.Length, want)
		}
	}
	f("HEAD", "", 200, 1234)
	f("GET", "HEAD", 200, 0)
	f("GET", "", 304, 1234)
	f("GET", "", 204, 0)
}

type fakeTunnel struct{ proxy.Tunnel }

func TestHTTPProxyUpgrade(t *testing.T) {
	f := func(enabled bool, asked, sent string, fields ...string) *proxy.Exchange {
		t.Helper()
		s := newProxy(t, config.Integration{Upgrade: enabled})
		s.backend.answer = func(back *proxy.Response) {
			back.Status, back.Tunnel = 101, fakeTunnel{}
			back.Fields.Add("Connection", "Upgrade")
			back.Fields.Add("upgrade", "websocket")
			back.Fields.Add("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
		}
		ex := s.begin(&proxy.Exchange{}, "GET /", "Connection: Upgrade", "Upgrade: "+asked, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
		ex.In.Upgrade = asked
		s.run(ex)
		if s.backend.sent.Upgrade != sent {
			t.Errorf("asked for %q: sent %q, want %q", asked, s.backend.sent.Upgrade, sent)
		}
		if s.backend.sent.Fields.Get("Sec-WebSocket-Key") == "" || s.backend.sent.Fields.HasKnown(http1.Upgrade) || s.backend.sent.Fields.HasKnown(http1.Connection) {
			t.Errorf("asked for %q: fields %v", asked, s.backend.sent.Fields)
		}
		return ex
	}
	ex := f(true, "websocket", "websocket")
	if got, want := withoutOurs(ex.Reply.Fields), "upgrade: websocket\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="; got != want ||
		ex.Reply.Status != 101 || ex.Reply.Tunnel == nil {
		t.Errorf("reply %d with %s", ex.Reply.Status, got)
	}
	f(true, "SPDY/3.1", "SPDY/3.1")
	// 101 that nobody asked for: 502.
	for _, asked := range []string{"h2c", "H2C", "HTTP/2.0", "TLS/1.2", "h2c, websocket", "web socket", ""} {
		if ex := f(true, asked, ""); ex.Reply.Status != 502 || ex.Reply.Tunnel != nil {
			t.Errorf("asked for %q: reply %d", asked, ex.Reply.Status)
		}
	}
	if ex := f(false, "websocket", ""); ex.Reply.Status != 502 || ex.Reply.Tunnel != nil {
		t.Errorf("upgrade = false: reply %d", ex.Reply.Status)
	}
	// With content in front, where the tunnel begins would be a matter of opinion.
	s := newProxy(t, config.Integration{Upgrade: true})
	ex = s.begin(&proxy.Exchange{}, "POST /")
	ex.In.Upgrade, ex.In.Body = "websocket", bodyText{strings.NewReader("x")}
	if s.run(ex); s.backend.sent.Upgrade != "" {
		t.Error("an upgrade with content was passed on")
	}
}

func TestHTTPProxyFaults(t *testing.T) {
	s := newProxy(t, config.Integration{})
	s.backend.err = proxy.Fault{Kind: proxy.IntegrationTimeout}
	if ex := s.do("GET /"); ex.Reply.Status != 504 || !errors.Is(*ex.Fault, proxy.Fault{Kind: proxy.IntegrationTimeout}) {
		t.Errorf("got %d, %v", ex.Reply.Status, ex.Fault)
	}
	s.backend.err = nil
	for _, status := range []int{0, 100, 102, 199, 600, 999} {
		s.backend.answer = func(back *proxy.Response) { back.Status = status }
		if ex := s.do("GET /"); ex.Reply.Status != 502 {
			t.Errorf("backend's status %d: got %d, want 502", status, ex.Reply.Status)
		}
	}
}

func TestHTTPProxyOptionErrors(t *testing.T) {
	f := func(in config.Integration, responses map[string]config.Response, want ...string) {
		t.Helper()
		_, err := newSetup(t, HTTPProxy(), "/", in, responses).steps()
		wantErrors(t, err, want...)
	}
	f(config.Integration{URL: "http://h/", Backend: "grop"}, nil, `backend: no backend "grop" | backends: group`)
	f(config.Integration{URL: "http://h/", Forwarded: "on"}, nil, `forwarded: "on" is neither`)
	// All of them at once.
	f(config.Integration{URL: "h", Forwarded: "on"}, map[string]config.Response{"default": {}},
		`forwarded: "on"`, "url: isn't absolute", `response: passes the backend's answer | type = "http"`)
	s := newSetup(t, HTTPProxy(), "/", config.Integration{URL: "http://h/", Backend: "group"}, nil).compile()
	if s.backend.options == nil || s.backend.options.MaxIdle != 7 {
		t.Errorf("backend options %+v", s.backend.options)
	}
	s.kind.New = func(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
		b.Backend = func(string, *config.Backend) (proxy.Backend, error) { return nil, io.ErrUnexpectedEOF }
		return newHTTPProxy(b, o)
	}
	_, err := s.steps()
	wantErrors(t, err, "url: unexpected EOF")
}

// typical is a browser's request.
func typical() []string {
	return []string{"Host: pets.localhost:8443", "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
		"Accept: text/html,application/xhtml+xml", "Accept-Language: en", "Accept-Encoding: gzip, deflate, br", "Connection: keep-alive",
		"Cookie: session=8d7f6a5b4c3d2e1f", "X-Forwarded-For: 10.0.0.1"}
}

// steady returns a function that takes one exchange of http_proxy through all
// phases but the making of the request.
func steady(s *setup) func() {
	bare := &bareBackend{http1.Fields{http1.NewField("Server", "nginx"), http1.NewField("Date", "Tue, 15 Nov 1994 08:12:31 GMT"),
		http1.NewField("Content-Type", "text/html"), http1.NewField("Content-Length", "1024"), http1.NewField("Connection", "keep-alive"),
		http1.NewField("ETag", `"abc"`)}, bodyText{strings.NewReader("")}}
	s.kind.New = func(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
		b.Backend = func(string, *config.Backend) (proxy.Backend, error) { return bare, nil }
		return newHTTPProxy(b, o)
	}
	s.compile()
	made := s.begin(&proxy.Exchange{}, "GET /pets/7/photos/a.jpg?size=l", typical()...)
	in, ex, ctx := made.In, &proxy.Exchange{}, context.Background()
	params := []proxy.Param{{Name: "id", Value: "7"}, {Name: "rest", Value: "photos/a.jpg"}}
	return func() {
		ex.Begin(made.Start, nil)
		ex.ID, ex.ExtendedID, ex.Route = made.ID, made.ExtendedID, made.Route
		ex.Method, ex.Path, ex.FullPath = made.Method, made.Path, made.FullPath
		fields := append(ex.In.Fields[:0], in.Fields...)
		ex.In = in
		ex.In.Fields = fields
		ex.Params = append(ex.Params, params...)
		s.line.Run(ctx, ex, 1<<20)
		ex.End()
	}
}

// bareBackend answers without any bookkeeping.
type bareBackend struct {
	fields http1.Fields
	body   proxy.Body
}

func (b *bareBackend) Send(_ context.Context, ex *proxy.Exchange) error {
	ex.Back.Status, ex.Back.Body, ex.Back.Length = 200, b.body, 1024
	ex.Back.Fields = append(ex.Back.Fields[:0], b.fields...)
	return nil
}

func steadySetup(t testing.TB) *setup {
	return newSetup(t, HTTPProxy(), "/pets/{id}/{rest+}", config.Integration{URL: "http://h/v1/{id}/{rest}", Upgrade: true}, nil)
}

func TestHTTPProxyNeedsNoMemory(t *testing.T) {
	round := steady(steadySetup(t))
	round()
	if n := testing.AllocsPerRun(200, round); n != 0 {
		t.Errorf("%v allocations an exchange, want 0", n)
	}
}

func BenchmarkHTTPProxy(b *testing.B) {
	round := steady(steadySetup(b))
	b.ReportAllocs()
	for b.Loop() {
		round()
	}
}
