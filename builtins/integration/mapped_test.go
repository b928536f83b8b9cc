package integration

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/uri"
)

// mappedTo is a route of type http with parameters, and its URL.
func mappedTo(t testing.TB, kind proxy.Kind, resource, url string, parameters map[string]string) *setup {
	in := config.Integration{URL: url, Parameters: parameters, Forwarded: "off"}
	var responses map[string]config.Response
	if kind.Name == "http" {
		responses = map[string]config.Response{"default": {}}
	}
	return newSetup(t, kind, resource, in, responses)
}

// sent returns what the backend got: target and fields.
func (s *setup) sent(ex *proxy.Exchange) string {
	if ex.Fault != nil {
		return ex.Fault.Error()
	}
	var b strings.Builder
	b.WriteString(s.backend.sent.Target)
	for _, f := range s.backend.sent.Fields {
		if f.Known() != http1.XAmznTraceID && f.Known() != http1.XAmznAPIGatewayAPIID {
			b.WriteString(" | " + f.Name + ": " + f.Value)
		}
	}
	return b.String()
}

func TestMappedURL(t *testing.T) {
	f := func(kind proxy.Kind, url, request, want string, parameters map[string]string, fields ...string) {
		t.Helper()
		s := mappedTo(t, kind, "/a/{id}", url, parameters).compile()
		ex := s.begin(&proxy.Exchange{}, request, fields...)
		path, _, _ := strings.Cut(strings.TrimPrefix(request, "GET /a/"), "?")
		ex.Params = append(ex.Params, proxy.Param{Name: "id", Value: path})
		s.run(ex)
		got := s.backend.sent.Target
		if ex.Fault != nil {
			got = ex.Fault.Error()
		}
		if got != want {
			t.Errorf("%s %v: got %s, want %s", request, parameters, got, want)
		}
	}
	one := func(target, source string) map[string]string { return map[string]string{target: source} }
	// Query parameters go behind the URL's own; those of a missing source nowhere.
	f(HTTP(), "http://b/x", "GET /a/1?q=a+b", "/x?search=a%20b", one("integration.request.querystring.search", "method.request.querystring.q"))
	f(HTTP(), "http://b/x?own=1", "GET /a/1?q=2", "/x?own=1&search=2", one("integration.request.querystring.search", "method.request.querystring.q"))
	f(HTTP(), "http://b/x", "GET /a/1", "/x", one("integration.request.querystring.search", "method.request.querystring.q"))
	f(HTTP(), "http://b/x", "GET /a/1?q=1&q=2", "/x?a%20b=1&a%20b=2", one("integration.request.querystring.a b", "method.request.multivaluequerystring.q"))
	f(HTTP(), "http://b/x", "GET /a/1", "/x?stage=dev&v=v2", map[string]string{
		"integration.request.querystring.stage": "context.stage", "integration.request.querystring.v": "stageVariables.v"})
	// AWS, recorded of HTTP_PROXY: they are added to what the client sent.
	f(HTTPProxy(), "http://b/x", "GET /a/1?q=1", "/x?q=1&q=v2", one("integration.request.querystring.q", "stageVariables.v"))
	// Differs from AWS: the gateway's own word is the only one.
	f(HTTPProxy(), "http://b/x", "GET /a/1?q=1&r=2&%71=3", "/x?r=2&q=dev", one("integration.request.querystring.q", "context.stage"))
	f(HTTPProxy(), "http://b/x", "GET /a/1?q=1;q&r", "/x?r", one("integration.request.querystring.q", "context.authorizer.q"))
	f(HTTPProxy(), "http://b/x", "GET /a/1", "/x?q=dev", one("integration.request.querystring.q", "context.stage"))
	f(HTTPProxy(), "http://b/x", "GET /a/1?", "/x?q=dev", one("integration.request.querystring.q", "context.stage"))
	f(HTTPProxy(), "http://b/x", "GET /a/1?", "/x?", one("integration.request.querystring.q", "method.request.querystring.none"))
	// Path parameters of the URL.
	f(HTTP(), "http://b/{id}/{tail}", "GET /a/7%2e5", "/7%2e5/dev", one("integration.request.path.tail", "context.stage"))
	f(HTTP(), "http://b/{id}", "GET /a/7", "/x%2Fy%3Fz", one("integration.request.path.id", "method.request.header.X-Id"), "X-Id: x/y?z")
	f(HTTP(), "http://b/{tail}", "GET /a/7%20b", "/7%20b", one("integration.request.path.tail", "method.request.path.id"))
	f(HTTP(), "http://b/{tail}", "GET /a/7", "/x/y%20z", one("integration.request.path.tail", "'x/y%20z'"))
	f(HTTP(), "http://b/s?p={tail}", "GET /a/7", "/s?p=x%26y", one("integration.request.path.tail", "method.request.header.X-Id"), "X-Id: x&y")
	// What ends paths in many backends doesn't come in by a value either.
	f(HTTP(), "http://b/p/{id}/q", "GET /a/7?n=x%00", "BAD_REQUEST: url: a path parameter holds a character that ends a path", one("integration.request.path.id", "method.request.querystring.n"))
	// None can climb, and a URL without a hole can't come of a missing one.
	f(HTTP(), "http://b/p/{id}/q", "GET /a/7", "BAD_REQUEST: url: a path parameter makes a segment \".\" or \"..\"", one("integration.request.path.id", "method.request.header.X-Id"), "X-Id: ..")
	f(HTTP(), "http://b/p/{id}/q", "GET /a/7", "BAD_REQUEST: url: a path parameter makes a segment \".\" or \"..\"", one("integration.request.path.id", "method.request.header.X-Id"), "X-Id: ../admin")
	f(HTTP(), "http://b/p/{id}/q", "GET /a/7", "BAD_REQUEST: integration.request.path.id: the request has no value for it", one("integration.request.path.id", "method.request.header.X-Id"))
}

func TestMappedHeaders(t *testing.T) {
	f := func(kind proxy.Kind, want string, parameters map[string]string, fields ...string) *setup {
		t.Helper()
		s := mappedTo(t, kind, "/", "http://b/x", parameters).compile()
		ex := s.begin(&proxy.Exchange{}, "POST /?q=%0d%0aX:y&ok=1", fields...)
		ex.In.Content, ex.In.Whole = []byte(`{"user":{"id":7}}`), true
		if got := s.sent(s.run(ex)); got != want {
			t.Errorf("%v:\ngot  %s\nwant %s", parameters, got, want)
		}
		return s
	}
	one := func(target, source string) map[string]string { return map[string]string{target: source} }
	const base = "/x | Accept: application/json | User-Agent: AmazonAPIGateway_a1b2c3"
	f(HTTP(), base+" | X-Id: 7", one("integration.request.header.X-Id", "method.request.body.user.id"))
	f(HTTP(), base+" | X-Lit: a b", one("integration.request.header.X-Lit", "'a b'"))
	f(HTTP(), base+" | X-All: 1,2", one("integration.request.header.X-All", "method.request.multivalueheader.X-A"), "X-A: 1", "X-A: 2")
	f(HTTP(), base, one("integration.request.header.X-Id", "method.request.header.X-None"))
	// The gateway's defaults give way.
	f(HTTP(), "/x | Accept: text/html | User-Agent: AmazonAPIGateway_a1b2c3", one("integration.request.header.Accept", "method.request.header.Accept"), "Accept: text/html")
	f(HTTP(), "/x | Accept: application/json | user-agent: mine", one("integration.request.header.user-agent", "'mine'"))
	f(HTTP(), base+" | Content-Type: text/xml", one("integration.request.header.Content-Type", "'text/xml'"), "Content-Type: text/plain")
	s := f(HTTP(), base, one("integration.request.header.Host", "'other.example:81'"))
	if s.backend.sent.Host != "other.example:81" {
		t.Errorf("Host is %s", s.backend.sent.Host)
	}
	// Behind http_proxy a mapped one takes the place of the client's.
	f(HTTPProxy(), "/x?q=%0d%0aX:y&ok=1 | x-a: 9 | X-B: b", one("integration.request.header.x-a", "'9'"), "X-A: 1", "X-B: b", "x-A: 2")
	f(HTTPProxy(), "/x?q=%0d%0aX:y&ok=1 | X-B: b | X-Q: 1", one("integration.request.header.X-Q", "method.request.querystring.ok"), "X-B: b")
	// No value splits a head.
	f(HTTP(), "BAD_REQUEST: integration.request.header.X-Q: the value holds a control character", one("integration.request.header.X-Q", "method.request.querystring.q"))
	f(HTTP(), `BAD_REQUEST: integration.request.header.Host: "a b" isn't a host`, one("integration.request.header.Host", "method.request.header.X-A"), "X-A: a b")

	s = mappedTo(t, HTTP(), "/", "http://b/x", one("integration.request.header.X-Id", "method.request.body.user")).compile()
	ex := s.begin(&proxy.Exchange{}, "POST /")
	ex.In.Body, ex.In.Length = bodyText{strings.NewReader("{no")}, 3
	if s.run(ex); ex.Reply.Status != 400 || !strings.Contains(string(ex.Reply.Content), "Invalid JSON in request body") {
		t.Errorf("content that isn't JSON: %d %s", ex.Reply.Status, ex.Reply.Content)
	}
	// The content still goes on when a mapping has looked into it.
	ex = s.begin(&proxy.Exchange{}, "POST /")
	ex.In.Body, ex.In.Length = bodyText{strings.NewReader(`{"user":1}`)}, http1.Unknown
	if s.run(ex); ex.Fault != nil || string(s.backend.sent.Content) != `{"user":1}` || s.backend.sent.Fields.Get("X-Id") != "1" {
		t.Errorf("sent %+v, %v", s.backend.sent, ex.Fault)
	}
}

// The recorded table of headers that can't be mapped, and what else is wrong.
func TestMappedErrors(t *testing.T) {
	f := func(target, source string, want ...string) {
		t.Helper()
		for i := range want {
			want[i] = "parameters." + target + ": " + want[i]
		}
		_, err := mappedTo(t, HTTP(), "/{id}", "http://b/", map[string]string{target: source}).steps()
		wantErrors(t, err, want...)
	}
	for _, name := range []string{"Content-Length", "Transfer-Encoding", "X-Amzn-Trace-Id", "x-amzn-apigateway-api-id"} {
		f("integration.request.header."+name, "'x'", "the gateway's own | 500")
	}
	for _, name := range []string{"Expect", "Proxy-Authenticate", "TE", "Via", "Connection", "Keep-Alive", "Upgrade"} {
		f("integration.request.header."+name, "'x'", "isn't passed to backends | drops it")
	}
	f("integration.request.header.Authorization", "'x'")
	f("integration.request.header.a b", "'x'", "isn't a header name | ")
	f("integration.request.header.X", "' x'", "white space | ")
	f("integration.request.header.X", "nothing", "isn't a mapping expression | ")
	f("integration.request.querystring.x", "'a b'", "can't stand in a query string | percent-encoded")
	f("integration.request.path.x", "'a?b'", "can't stand in a path | percent-encoded")
	for _, target := range []string{"header.X", "integration.request.cookie.x", "integration.request.header", "method.response.header.X"} {
		f(target, "'x'", "isn't something that | integration.request.header.NAME")
	}
	_, err := mappedTo(t, HTTP(), "/", "http://b/", map[string]string{"integration.request.header.X-A": "'1'", "integration.request.header.x-a": "'2'"}).steps()
	wantErrors(t, err, "parameters.integration.request.header.x-a: is mapped twice | ")
}

// Content that had a coding when it was looked into has none any more.
func TestDecodedAnswer(t *testing.T) {
	packed := "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\x4a\x54\xb2\x32\xac\x05\x00\xaf\xac\x1b\x56\x07\x00\x00\x00"
	for _, kind := range []proxy.Kind{HTTP(), HTTPProxy()} {
		s := mappedTo(t, kind, "/", "http://b/", nil)
		if kind.Name == "http" {
			s.options.Responses = map[string]config.Response{"default": {Parameters: map[string]string{"method.response.header.X-A": "integration.response.body.a"}}}
		} else {
			s.route.Stage.API.Binary = proxy.NewMediaTypes([]string{"application/json"}) // so it becomes base64
		}
		s.backend.answer = func(back *proxy.Response) {
			back.Fields.Add("Content-Encoding", "gzip")
			back.Fields.Add("Content-Type", "application/json")
			back.Content = []byte(packed)
		}
		want := map[string]string{"http": `{"a":1}`, "http_proxy": "eyJhIjoxfQ=="}[kind.Name]
		ex := s.compile().do("GET /", "Accept: text/html")
		if string(ex.Reply.Content) != want || ex.Reply.Fields.HasKnown(http1.ContentEncoding) || kind.Name == "http" && ex.Reply.Fields.Get("X-A") != "1" {
			t.Errorf("%s: got %q %v, %v", kind.Name, ex.Reply.Content, ex.Reply.Fields, ex.Fault)
		}
	}
}

// Overridden path parameters keep their slashes where the route's own may have some.
func TestOverriddenPath(t *testing.T) {
	for resource, want := range map[string]string{"/{p+}": "/a/b%20c", "/{p}": "/a%2Fb%20c", "/{xp+}": "/a%2Fb%20c"} {
		in := config.Integration{URL: "http://b/{p}", Parameters: map[string]string{"integration.request.path.p": "'x'"},
			Template: texts(map[string]string{"application/json": `#set($context.requestOverride.path.p = "a/b c")`})}
		s := newSetup(t, HTTP(), resource, in, map[string]config.Response{"default": {}}).compile()
		if s.do("GET /"); s.backend.sent.Target != want {
			t.Errorf("%s: got %s, want %s", resource, s.backend.sent.Target, want)
		}
	}
}

// Content handling of requests: what the backend gets.
func TestRequestConversion(t *testing.T) {
	f := func(handling, contentType, content, want string) {
		t.Helper()
		for _, kind := range []proxy.Kind{HTTP(), HTTPProxy()} {
			s := mappedTo(t, kind, "/", "http://b/", nil)
			s.options.Integration.ContentHandling = handling
			s.route.Stage.API.Binary = proxy.NewMediaTypes([]string{"image/*"})
			s.compile()
			ex := s.begin(&proxy.Exchange{}, "POST /", "Content-Type: "+contentType)
			ex.In.Body, ex.In.Length = bodyText{strings.NewReader(content)}, int64(len(content))
			s.run(ex)
			got := string(s.backend.sent.Content)
			if s.backend.sent.Body != nil {
				all, err := io.ReadAll(s.backend.sent.Body)
				if got = string(all); err != nil || handling != "" && got != content {
					t.Errorf("%s: streams %q, %v", kind.Name, got, err)
				}
			}
			if ex.Fault != nil {
				got = ex.Fault.Kind.String()
			}
			if got != want {
				t.Errorf("%s, %s of %s: got %q, want %q", kind.Name, handling, contentType, got, want)
			}
		}
	}
	f("", "text/plain", "text", "text")
	f("convert_to_text", "text/plain", "text", "text")
	f("convert_to_binary", "text/plain", "/wA=", "\xff\x00")
	f("", "image/png", "\xff\x00", "\xff\x00")
	f("convert_to_binary", "image/png", "\xff\x00", "\xff\x00")
	f("convert_to_text", "image/png", "\xff\x00", "/wA=")
	f("convert_to_binary", "text/plain", "no base64!", "API_CONFIGURATION_ERROR")
}

func TestResponseConversion(t *testing.T) {
	f := func(kind proxy.Kind, handling, contentType, accept, content, want string) {
		t.Helper()
		s := mappedTo(t, kind, "/", "http://b/", nil)
		if kind.Name == "http" {
			s.options.Responses = map[string]config.Response{"default": {ContentHandling: handling}}
		}
		s.route.Stage.API.Binary = proxy.NewMediaTypes([]string{"image/png"})
		s.backend.answer = func(back *proxy.Response) {
			back.Fields.Add("Content-Type", contentType)
			back.Body, back.Length = bodyText{strings.NewReader(content)}, int64(len(content))
		}
		ex := s.compile().do("GET /", "Accept: "+accept)
		got := string(ex.Reply.Content)
		if ex.Reply.Body != nil {
			all, _ := io.ReadAll(ex.Reply.Body)
			got = string(all)
		}
		if ex.Fault != nil {
			got = ex.Fault.Kind.String()
		} else if ex.Reply.Length != int64(len(want)) || ex.Reply.Fields.Get("Content-Type") != contentType {
			t.Errorf("%s: reply %+v", kind.Name, ex.Reply)
		}
		if got != want {
			t.Errorf("%s, %s of %s for %s: got %q, want %q", kind.Name, handling, contentType, accept, got, want)
		}
	}
	const bytes, encoded = "\x89PNG", "iVBORw=="
	for _, kind := range []proxy.Kind{HTTP(), HTTPProxy()} {
		f(kind, "", "text/plain", "text/html", "text", "text")
		f(kind, "", "text/plain", "image/png", encoded, bytes)
		f(kind, "", "image/png", "*/*", bytes, encoded)
		f(kind, "", "image/png", "image/png, */*", bytes, bytes)
		f(kind, "", "text/plain", "image/png", "no base64!", "API_CONFIGURATION_ERROR")
	}
	f(HTTP(), "convert_to_text", "image/png", "image/png", bytes, encoded)
	f(HTTP(), "convert_to_text", "text/plain", "image/png", "text", "text")
	f(HTTP(), "convert_to_binary", "image/png", "*/*", bytes, bytes)
	f(HTTP(), "convert_to_binary", "text/plain", "*/*", encoded, bytes)
}

func TestReplyParameters(t *testing.T) {
	f := func(parameters map[string]string, content, want string) *proxy.Exchange {
		t.Helper()
		s := newPlain(t, config.Integration{}, map[string]config.Response{"default": {Parameters: parameters}})
		s.backend.answer = func(back *proxy.Response) {
			back.Content = []byte(content)
			for _, f := range []string{"Content-Type: text/x", "X-A: 1", "Set-Cookie: a=1", "Set-Cookie: b=2"} {
				name, value, _ := strings.Cut(f, ": ")
				back.Fields.Add(name, value)
			}
		}
		ex := s.compile().do("GET /")
		got := strings.ReplaceAll(strings.Replace(withoutOurs(ex.Reply.Fields), ex.TraceID(), "T", 1), "\n", " | ")
		if ex.Fault != nil {
			got = ex.Fault.Error()
		} else if string(ex.Reply.Content) != content {
			t.Errorf("%v: content %q", parameters, ex.Reply.Content)
		}
		if got != want {
			t.Errorf("%v:\ngot  %s\nwant %s", parameters, got, want)
		}
		return ex
	}
	one := func(target, source string) map[string]string {
		return map[string]string{"method.response.header." + target: source}
	}
	const rest = "Content-Type: text/x | X-Amzn-Trace-Id: T"
	f(one("X-B", "integration.response.header.x-a"), "x", "X-B: 1 | "+rest)
	f(one("X-B", "integration.response.header.none"), "x", rest)
	f(one("Set-Cookie", "integration.response.multivalueheader.Set-Cookie"), "x", "Set-Cookie: a=1 | Set-Cookie: b=2 | "+rest)
	f(one("X-B", "integration.response.header.Set-Cookie"), "x", "X-B: b=2 | "+rest)
	f(one("X-B", "integration.response.body.a[0]"), `{"a":[5]}`, "X-B: 5 | "+rest)
	f(one("X-B", "integration.response.body"), `plain`, "X-B: plain | "+rest)
	f(one("X-B", "'lit'"), "x", "X-B: lit | "+rest)
	f(one("X-B", "context.stage"), "x", "X-B: dev | "+rest)
	f(one("Content-Type", "context.stage"), "x", "Content-Type: dev | X-Amzn-Trace-Id: T")
	f(one("Content-Type", "'text/css'"), "x", "Content-Type: text/css | X-Amzn-Trace-Id: T")
	// AWS, recorded: names that a reply can't have.
	f(one("Server", "context.stage"), "x", "x-amzn-Remapped-Server: dev | "+rest)
	f(one("WWW-Authenticate", "'Basic'"), "x", "x-amzn-Remapped-WWW-Authenticate: Basic | "+rest)
	f(one("X-B", "integration.response.body.a"), "{no", "API_CONFIGURATION_ERROR: parameter mapping: X-B: the content isn't JSON")
	f(one("X-B", "integration.response.body"), "two\nlines", "API_CONFIGURATION_ERROR: parameter mapping: X-B: the value holds a control character")
}

func TestReplyErrors(t *testing.T) {
	f := func(r config.Response, declared map[string]config.MethodResponse, want ...string) {
		t.Helper()
		s := newPlain(t, config.Integration{}, map[string]config.Response{"default": r})
		s.options.Config.API = map[string]config.API{"pets": {Route: map[string]config.Route{"ANY /": {MethodResponse: declared}}}}
		_, err := s.steps()
		wantErrors(t, err, want...)
	}
	one := func(target, source string) config.Response {
		return config.Response{Parameters: map[string]string{target: source}}
	}
	f(one("X-A", "'x'"), nil, "response.default.parameters.X-A: isn't something that | method.response.header.NAME")
	f(one("method.response.header.Transfer-Encoding", "'x'"), nil, "response.default.parameters.method.response.header.Transfer-Encoding: belongs to the connection | ")
	f(one("method.response.header.X", "method.request.header.X"), nil, "response.default.parameters.method.response.header.X: can't be used here | ")
	f(config.Response{Headers: map[string]string{"X-A": "1"}, Parameters: map[string]string{"method.response.header.x-a": "'2'"}}, nil,
		"response.default.parameters.method.response.header.x-a: is there twice | ")
	// What the method declares. AWS: mappings may use only that.
	declared := map[string]config.MethodResponse{"200": {Headers: []string{"X-A"}}}
	f(one("method.response.header.x-a", "'x'"), declared)
	f(one("method.response.header.X-B", "'x'"), declared, "response.default.parameters.method.response.header.X-B: doesn't declare the header X-B | method_response.200")
	f(config.Response{Headers: map[string]string{"X-B": "1"}}, declared, "response.default.headers.X-B: doesn't declare | ")
	f(config.Response{Status: 404}, declared, "response.default.status: declares no response of status 404 | 200")
}

// An answer that is too long to be mapped, and one that breaks off.
func TestReplyContentFails(t *testing.T) {
	f := func(body proxy.Body, length int64, coding string, want proxy.FaultKind) {
		t.Helper()
		s := newPlain(t, config.Integration{}, map[string]config.Response{"default": {Parameters: map[string]string{"method.response.header.X": "integration.response.body.a"}}})
		s.backend.answer = func(back *proxy.Response) {
			back.Body, back.Length = body, length
			if coding != "" {
				back.Fields.Add("Content-Encoding", coding)
			}
		}
		ex := s.compile().do("GET /")
		if ex.Fault == nil || ex.Fault.Kind != want {
			t.Errorf("got %v, want %v", ex.Fault, want)
		}
	}
	f(bodyText{strings.NewReader("")}, maxAnswer+1, "", proxy.APIConfigurationError)
	f(bodyText{io.LimitReader(endless{}, maxAnswer+1)}, http1.Unknown, "", proxy.APIConfigurationError)
	f(bodyText{io.MultiReader(strings.NewReader("{"), broken{})}, http1.Unknown, "", proxy.IntegrationFailure)
	f(bodyText{strings.NewReader("x")}, 1, "gzip", proxy.APIConfigurationError)
	f(bodyText{strings.NewReader("x")}, 1, "br", proxy.APIConfigurationError)
}

type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("broken") }

func BenchmarkMappedHTTP(b *testing.B) {
	s := mappedTo(b, HTTP(), "/pets/{id}", "http://b/{id}", map[string]string{
		"integration.request.header.X-Stage":    "context.stage",
		"integration.request.header.X-User":     "method.request.header.X-User",
		"integration.request.querystring.limit": "method.request.querystring.max",
		"integration.request.path.id":           "method.request.path.id",
	}).compile()
	ex, start := &proxy.Exchange{}, time.Now()
	made := s.begin(&proxy.Exchange{}, "GET /pets/7?max=10", "Host: a", "X-User: ann", "Accept: */*", "User-Agent: curl/8")
	b.ReportAllocs()
	for b.Loop() {
		ex.Begin(start, nil)
		ex.ID, ex.ExtendedID, ex.Route, ex.Method = made.ID, made.ExtendedID, made.Route, made.Method
		ex.In.RawQuery, ex.In.HasQuery, ex.In.Method = made.In.RawQuery, true, "GET"
		ex.In.Fields = append(ex.In.Fields, made.In.Fields...)
		ex.Params = append(ex.Params, proxy.Param{Name: "id", Value: "7"})
		s.line.Run(b.Context(), ex, 1<<20)
		if ex.Fault != nil {
			b.Fatal(ex.Fault)
		}
		ex.End()
	}
}

// Whatever a client sends, what is mapped stays where it is mapped to.
func FuzzMapped(f *testing.F) {
	s := mappedTo(f, HTTP(), "/", "http://b/p/{x}/end?own=1", map[string]string{
		"integration.request.path.x":        "method.request.header.X-V",
		"integration.request.querystring.q": "method.request.multivaluequerystring.q",
		"integration.request.querystring.b": "method.request.body.v",
		"integration.request.header.X-Q":    "method.request.querystring.q",
		"integration.request.header.X-B":    "method.request.body.v",
	}).compile()
	f.Add("a/../b", "q=1%0d%0aX:1&q=%26", `{"v":"x y"}`)
	f.Add("..", "q", "{")
	f.Add("%2e%2e", "q=+", `{"v":{"a":[1]}}`)
	f.Add(`.\`, ";q=;", ``)
	f.Fuzz(func(t *testing.T, value, query, content string) {
		ex := s.begin(&proxy.Exchange{}, "POST /", "X-V: "+value)
		ex.In.RawQuery, ex.In.HasQuery = query, true
		ex.In.Content, ex.In.Whole = []byte(content), true
		s.backend.sent = proxy.Outgoing{}
		if s.run(ex); ex.Fault != nil {
			if ex.Reply.Status != 400 {
				t.Errorf("%q, %q, %q: %v", value, query, content, ex.Fault)
			}
			return
		}
		path, rest, _ := strings.Cut(s.backend.sent.Target, "?")
		if strings.Count(path, "/") != 3 || !strings.HasPrefix(path, "/p/") || !strings.HasSuffix(path, "/end") || uri.HasDotSegment(path) || !strings.HasPrefix(rest, "own=1") {
			t.Errorf("%q, %q, %q: target %q", value, query, content, s.backend.sent.Target)
		}
		for i := 0; i < len(s.backend.sent.Target); i++ {
			if c := s.backend.sent.Target[i]; c <= ' ' || c >= 0x7f || c == '#' {
				t.Errorf("target %q", s.backend.sent.Target)
			}
		}
		for {
			name, _, after, ok := uri.NextParam(rest)
			if !ok {
				break
			}
			if name != "own" && name != "q" && name != "b" {
				t.Errorf("%q: parameter %q of %q", query, name, s.backend.sent.Target)
			}
			rest = after
		}
		for _, h := range s.backend.sent.Fields {
			if !http1.ValidFieldValue(h.Value) || !http1.ValidFieldName(h.Name) {
				t.Errorf("header %q: %q", h.Name, h.Value)
			}
		}
	})
}
