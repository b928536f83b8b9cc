package integration

import (
	"errors"
	"strings"
	"testing"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

func newPlain(t testing.TB, in config.Integration, responses map[string]config.Response) *setup {
	in.URL = "http://backend.example/a?own=1"
	if responses == nil {
		responses = map[string]config.Response{"default": {}}
	}
	return newSetup(t, HTTP(), "/", in, responses)
}

// What was recorded of AWS's HTTP integrations: only what is mapped, and the gateway's own.
func TestHTTPRequestHeaders(t *testing.T) {
	s := newPlain(t, config.Integration{Forwarded: "off"}, nil).compile()
	f := func(request, want string, fields ...string) {
		t.Helper()
		ex := s.do(request, append(fields, "Host: pets.localhost", "Accept: text/html", "User-Agent: curl/8", "Cookie: a=b",
			"X-Custom: 1", "Authorization: Bearer x", "Via: 1.1 x", "X-Forwarded-For: 6.6.6.6")...)
		got := strings.Replace(withoutOurs(s.backend.sent.Fields), ex.TraceID(), "T", 1)
		want = "Accept: application/json\nUser-Agent: AmazonAPIGateway_a1b2c3\n" + want + "X-Amzn-Apigateway-Api-Id: a1b2c3\nX-Amzn-Trace-Id: T"
		if got != want || s.backend.sent.Host != "backend.example" || s.backend.sent.Target != "/a?own=1" {
			t.Errorf("%s: got %s on %s\n%s\nwant\n%s", request, s.backend.sent.Target, s.backend.sent.Host, got, want)
		}
	}
	f("POST /?client=1", "Content-Type: text/plain; charset=utf-8\n", "Content-Type: text/plain; charset=utf-8")
	f("DELETE /", "Content-Type: text/plain\n", "content-length: 3", "Content-Type: text/plain")
	f("PUT /", "")
	for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
		f(method+" /", "", "Content-Type: text/plain")
	}
	// Without content, it has no coding.
	f("POST /", "", "Content-Encoding: gzip")
	ex := s.begin(&proxy.Exchange{}, "POST /", "Content-Encoding: gzip")
	ex.In.Content, ex.In.Whole = []byte("\x1f\x8b"), true
	s.run(ex)
	if got := s.backend.sent.Fields.Get("Content-Encoding"); got != "gzip" || string(s.backend.sent.Content) != "\x1f\x8b" {
		t.Errorf("content passes, but Content-Encoding is %q", got)
	}
	s = newPlain(t, config.Integration{}, nil).compile()
	s.do("GET /", "X-Forwarded-For: 6.6.6.6")
	if got := s.backend.sent.Fields.Get("X-Forwarded-For"); got != "192.0.2.60" {
		t.Errorf("forwarded = set: X-Forwarded-For %q", got)
	}
}

// Which response a status gets. AWS: "Setting up REST API integration responses".
func TestHTTPChoice(t *testing.T) {
	f := func(responses map[string]config.Response, want map[int]int) {
		t.Helper()
		s := newPlain(t, config.Integration{}, responses).compile()
		for status, reply := range want {
			s.backend.answer = func(back *proxy.Response) { back.Status = status }
			if got := s.do("GET /").Reply.Status; got != reply {
				t.Errorf("backend's %d: got %d, want %d", status, got, reply)
			}
		}
	}
	f(map[string]config.Response{"default": {}}, map[int]int{200: 200, 404: 200, 599: 200})
	f(map[string]config.Response{"default": {Status: 201}, "gone": {Pattern: "404|410", Status: 410}},
		map[int]int{200: 201, 404: 410, 410: 410, 411: 201})
	// The whole status must match.
	f(map[string]config.Response{"default": {}, "four": {Pattern: "40|407", Status: 400}, "any4": {Pattern: "4.*", Status: 499}, "five": {Pattern: "5|503", Status: 500}},
		map[int]int{200: 200, 404: 499, 407: 499, 503: 500, 500: 200})
	// First in the order of names …
	f(map[string]config.Response{"a": {Pattern: `4\d\d`, Status: 400}, "b": {Pattern: `.*`, Status: 202}}, map[int]int{404: 400, 200: 202})
	// … but the one that has the backend's status goes first.
	f(map[string]config.Response{"a": {Pattern: `4\d\d`, Status: 400}, "b": {Pattern: `404`, Status: 404}, "c": {Pattern: `40.`, Status: 404}},
		map[int]int{404: 404, 405: 400, 400: 400})
	// A response without a pattern is the default, whatever its name; it doesn't
	// go before a pattern though it has the status.
	f(map[string]config.Response{"all": {Status: 404}, "err": {Pattern: `4\d\d`, Status: 400}}, map[int]int{200: 404, 404: 400})
	// Patterns are Java's, look-ahead and all.
	f(map[string]config.Response{"default": {}, "five": {Pattern: `5(?!03)\d++`, Status: 500}}, map[int]int{500: 500, 503: 200, 504: 500})
	// No match and no default. AWS: API_CONFIGURATION_ERROR.
	s := newPlain(t, config.Integration{}, map[string]config.Response{"err": {Pattern: "500"}}).compile()
	if ex := s.do("GET /"); ex.Reply.Status != 500 || !errors.Is(*ex.Fault, proxy.Fault{Kind: proxy.APIConfigurationError}) {
		t.Errorf("no response: got %d, %v", ex.Reply.Status, ex.Fault)
	}
}

func TestHTTPReply(t *testing.T) {
	f := func(r config.Response, request string, change func(back *proxy.Response), wantFields, wantContent string) *proxy.Exchange {
		t.Helper()
		s := newPlain(t, config.Integration{}, map[string]config.Response{"default": r}).compile()
		s.backend.answer = change
		ex := s.do(request, "Accept: text/xml;q=1, text/html")
		got := strings.Replace(withoutOurs(ex.Reply.Fields), ex.TraceID(), "T", 1)
		if got != wantFields || string(ex.Reply.Content) != wantContent {
			t.Errorf("got\n%s\n\n%s\nwant\n%s\n\n%s", got, ex.Reply.Content, wantFields, wantContent)
		}
		return ex
	}
	backend := func(back *proxy.Response) {
		back.Content = []byte("theirs")
		for _, name := range []string{"Content-Type", "Set-Cookie", "Location", "Server", "Date", "WWW-Authenticate"} {
			back.Fields.Add(name, "x/"+strings.ToLower(name))
		}
	}
	// Content passes with its type; other fields of the backend's don't.
	f(config.Response{}, "GET /", backend, "Content-Type: x/content-type\nX-Amzn-Trace-Id: T", "theirs")
	f(config.Response{Headers: map[string]string{"content-type": "text/css"}}, "GET /", backend, "content-type: text/css\nX-Amzn-Trace-Id: T", "theirs")
	f(config.Response{}, "GET /", nil, "X-Amzn-Trace-Id: T\nContent-Type: application/json", "")
	// Differs from AWS: content that is coded says so.
	f(config.Response{}, "GET /", func(back *proxy.Response) {
		back.Content = []byte("gz")
		back.Fields.Add("content-encoding", "gzip")
	}, "content-encoding: gzip\nX-Amzn-Trace-Id: T\nContent-Type: application/json", "gz")
	// Content of our own has nothing to do with the backend's fields.
	own := config.Response{Template: texts(map[string]string{"application/json": "\n {} \n", "text/xml": "<x/>"})}
	f(own, "GET /", func(back *proxy.Response) {
		backend(back)
		back.Fields.Add("Content-Encoding", "gzip")
	}, "Content-Type: text/xml\nX-Amzn-Trace-Id: T", "<x/>")
	delete(own.Template, "text/xml")
	f(own, "GET /", backend, "Content-Type: application/json\nX-Amzn-Trace-Id: T", "\n {} \n")
	// A stream stays one.
	stream := bodyText{strings.NewReader("s")}
	ex := f(config.Response{}, "GET /", func(back *proxy.Response) { back.Body, back.Length = stream, http1.Unknown },
		"X-Amzn-Trace-Id: T\nContent-Type: application/json", "")
	if ex.Reply.Body != proxy.Body(stream) || ex.Reply.Length != http1.Unknown {
		t.Errorf("reply %+v", ex.Reply)
	}
	// 204 takes no content along.
	ex = f(config.Response{Status: 204}, "GET /", func(back *proxy.Response) { back.Body, back.Length = stream, 1 }, "X-Amzn-Trace-Id: T", "")
	if ex.Reply.Body != nil || ex.Reply.Length != 0 {
		t.Errorf("reply %+v", ex.Reply)
	}
	// 101 isn't an answer here.
	s := newPlain(t, config.Integration{}, nil).compile()
	s.backend.answer = func(back *proxy.Response) { back.Status, back.Tunnel = 101, fakeTunnel{} }
	if ex := s.do("GET /"); ex.Reply.Status != 502 {
		t.Errorf("backend's 101: got %d", ex.Reply.Status)
	}
}

// The table of mapped headers that are renamed, one a call.
func TestHTTPMappedHeaders(t *testing.T) {
	for _, name := range []string{"Connection", "Content-Length", "Date", "Server", "Authorization", "Content-MD5", "Expect", "Host", "Max-Forwards",
		"Proxy-Authenticate", "Trailer", "Upgrade", "User-Agent", "WWW-Authenticate"} {
		s := newPlain(t, config.Integration{}, map[string]config.Response{"default": {Headers: map[string]string{strings.ToLower(name): "v"}}}).compile()
		ex := s.do("GET /")
		if got := ex.Reply.Fields[0]; got.Name != "x-amzn-Remapped-"+name || got.Value != "v" || ex.Reply.Fields.Get(name) != "" {
			t.Errorf("%s: got %s: %s", name, got.Name, got.Value)
		}
	}
	s := newPlain(t, config.Integration{}, map[string]config.Response{"default": {Headers: map[string]string{"X-B": "2", "X-A": "1", "Content-Encoding": "br", "Via": "x"}}}).compile()
	ex := s.do("GET /")
	if got := withoutOurs(ex.Reply.Fields); !strings.HasPrefix(got, "Content-Encoding: br\nVia: x\nX-A: 1\nX-B: 2\n") {
		t.Errorf("got\n%s", got)
	}
}

func TestHTTPErrors(t *testing.T) {
	f := func(responses map[string]config.Response, want ...string) {
		t.Helper()
		_, err := newPlain(t, config.Integration{}, responses).steps()
		wantErrors(t, err, want...)
	}
	one := func(r config.Response) map[string]config.Response { return map[string]config.Response{"default": r} }
	f(map[string]config.Response{}, `response: at least one response | type = "http_proxy"`)
	f(map[string]config.Response{"a": {Pattern: "4("}}, "response.a.pattern: the group isn't closed | java.util.regex")
	f(map[string]config.Response{"a": {Pattern: "4)|(5"}}, "response.a.pattern: a parenthesis that nothing opened | java.util.regex")
	f(map[string]config.Response{"a": {Pattern: "4xx"}}, `response.a.pattern: matches no status | "4\\d\\d"`)
	f(map[string]config.Response{"a": {}, "b": {}}, `response.b: "a" has no pattern either | give one`)
	f(one(config.Response{Pattern: "200"}), "response.default.pattern: no pattern chooses | ")
	f(one(config.Response{Status: 101}), "response.default.status: 101 isn't | 200 to 599")
	f(one(config.Response{Status: 204, Template: texts(map[string]string{"a/b": "x"})}), "response.default.template: 204 has no content | ")
	// Headers.
	h := func(name, value, want string) {
		t.Helper()
		f(one(config.Response{Headers: map[string]string{name: value}}), "response.default.headers."+name+": "+want)
	}
	h("X A", "1", "isn't a header name | ")
	h("", "1", "isn't a header name | ")
	h("X", "a\r\nSet-Cookie: b", "control character | ")
	h("X", " a", "white space | ")
	h("X", "'*'", "quoted as in an AWS | write * without")
	h("X", "integration.response.header.X", `is a parameter mapping | "method.response.header.X" = "integration.response.header.X"`)
	h("X", "context.requestId", "is a parameter mapping | ")
	for _, name := range []string{"Transfer-Encoding", "TE", "Keep-Alive", "Proxy-Connection"} {
		h(name, "x", "belongs to the connection | remove")
	}
	h("X-Amzn-RequestId", "x", "the gateway's own | remove")
	f(one(config.Response{Headers: map[string]string{"X-A": "1", "x-a": "2"}}), "response.default.headers.x-a: is there twice | ")
	// Templates.
	f(one(config.Response{Template: texts(map[string]string{"json": "{}", "text/html; charset=utf-8": "", "a/b": "x", "A/B": ""})}),
		"response.default.template.a/b: is there twice",
		"response.default.template.json: isn't a media type | application/json", "response.default.template.text/html; charset=utf-8: isn't a media type")
}
