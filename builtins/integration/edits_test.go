package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/uri"
)

// inHTTPAPI is a route "ANY resource" of an HTTP API with parameters for the request, and for
// the answers 200.
func inHTTPAPI(t testing.TB, resource, url string, request, answer map[string]string) *setup {
	var responses map[string]config.Response
	if answer != nil {
		responses = map[string]config.Response{"200": {Parameters: answer}}
	}
	s := newSetup(t, HTTPProxy(), resource, config.Integration{URL: url, Parameters: request}, responses)
	s.route.Stage.API.Type = config.HTTPType
	if resource == config.DefaultName {
		s.route.Key = resource
	}
	return s
}

// through takes a request for such a route through it.
func (s *setup) through(request string, fields ...string) *proxy.Exchange {
	ex := s.begin(&proxy.Exchange{}, request, fields...)
	ex.HTTP = true
	return s.run(ex)
}

func TestEditsRefused(t *testing.T) {
	f := func(request, answer map[string]string, want ...string) {
		t.Helper()
		_, err := inHTTPAPI(t, "/{id}", "http://b/", request, answer).steps()
		wantErrors(t, err, want...)
	}
	one := func(target, value string) map[string]string { return map[string]string{target: value} }
	for _, name := range []string{"Authorization", "access-control-allow-origin", "X-Amz-Date", "x-amzn-trace-id", "Apigw-Requestid", "Connection", "Content-Length",
		"Via", "X-Forwarded-For", "Forwarded", "te", "Trailers", "Origin", "Upgrade", "Keep-Alive", "Content-Encoding"} {
		f(one("overwrite:header."+name, "x"), nil, "parameters.overwrite:header."+name+": is reserved")
		f(nil, one("remove:header."+name, ""), "response.200.parameters.remove:header."+name+": is reserved")
	}
	f(one("set:header.X", "1"), nil, "parameters.set:header.X: isn't something | append, overwrite or remove:header.NAME or")
	f(one("append:path", "/"), nil, "parameters.append:path: isn't something")
	f(one("overwrite:header.", "1"), nil, "parameters.overwrite:header.: isn't something")
	f(one("overwrite:statuscode", "200"), nil, "parameters.overwrite:statuscode: isn't something")
	f(nil, one("overwrite:querystring.x", "1"), "response.200.parameters.overwrite:querystring.x: isn't something | overwrite:statuscode")
	f(one("integration.request.header.X", "method.request.header.Y"), nil, "parameters.integration.request.header.X: isn't something | that is how REST APIs write it")
	f(one("overwrite:header.X Y", "1"), nil, "parameters.overwrite:header.X Y: isn't a header name")
	f(one("overwrite:header.X", "a\nb"), nil, "parameters.overwrite:header.X: control character")
	f(one("remove:header.X", "1"), nil, "parameters.remove:header.X: no value")
	f(one("overwrite:path", "x"), nil, "parameters.overwrite:path: isn't a path")
	f(one("overwrite:path", "/a b"), nil, "parameters.overwrite:path: isn't a path")
	f(nil, one("overwrite:statuscode", "99"), "response.200.parameters.overwrite:statuscode: isn't the status")
	// Values.
	f(one("overwrite:header.X", "$request.header.a b"), nil, "parameters.overwrite:header.X: isn't a header name")
	f(one("overwrite:header.X", "$request.path.other"), nil, "parameters.overwrite:header.X: no path parameter")
	f(one("overwrite:header.X", "a ${request.path.other}"), nil, "parameters.overwrite:header.X: no path parameter")
	f(one("overwrite:header.X", "$request.body..a"), nil, "parameters.overwrite:header.X: neither")
	f(one("overwrite:header.X", "$request.body.a[?(@.b)]"), nil, "parameters.overwrite:header.X: neither")
	f(one("overwrite:header.X", "$request.querystring."), nil, "parameters.overwrite:header.X: stands for nothing")
	f(one("overwrite:header.X", "$request.nothing"), nil, "parameters.overwrite:header.X: stands for nothing")
	f(one("overwrite:header.X", "$response.header.Y"), nil, "parameters.overwrite:header.X: can't be used here | ${request.header.NAME}")
	f(one("overwrite:header.X", "$method.request.header.Y"), nil, "parameters.overwrite:header.X: can't be used here")
	f(nil, one("overwrite:header.X", "$request.header.Y"), "response.200.parameters.overwrite:header.X: can't be used here | ${response.header.NAME}")
	f(one("overwrite:header.X", "$stageVariables.absent"), nil, "parameters.overwrite:header.X: has no variable")
	f(one("overwrite:header.X", "$context.absent"), nil, "parameters.overwrite:header.X: no context variable")
	f(one("overwrite:header.X", "${other}"), nil, "parameters.overwrite:header.X: stands for nothing")
	f(one("overwrite:header.X", "a ${request.path"), nil, `parameters.overwrite:header.X: without "}"`)
	f(one("overwrite:header.X", "costs $5"), nil)
}

// What follows the URL of $default is the request's path, as it came.
func TestDefaultRouteURL(t *testing.T) {
	f := func(url, request, want string) {
		t.Helper()
		s := inHTTPAPI(t, config.DefaultName, url, nil, nil).compile()
		if ex := s.through(request); ex.Fault != nil || s.backend.sent.Target != want {
			t.Errorf("%s to %s: %q, %v; want %q", request, url, s.backend.sent.Target, ex.Fault, want)
		}
	}
	f("http://b", "GET /a/b", "/a/b")
	f("http://b/", "GET /a%2Fb/", "/a%2Fb/")
	f("http://b/base", "GET /", "/base/")
	f("http://b/base/", "GET /a?x=1", "/base/a?x=1")
	f("http://b/base?own=1", "GET /a?x=1", "/base/a?own=1&x=1")
	f("http://${stageVariables.host}/${stageVariables.v}", "GET /a", "/v2/a")
	s := inHTTPAPI(t, config.DefaultName, "http://b/x", nil, nil).compile()
	if ex := s.through("GET /../a"); ex.Reply.Status != 400 {
		t.Errorf("status %d for a path that climbs", ex.Reply.Status)
	}
	s = inHTTPAPI(t, "/a", "http://b/x", map[string]string{"overwrite:path": "/p/${request.querystring.n}/q"}, nil).compile()
	if ex := s.through("GET /a?n=x%00"); ex.Reply.Status != 400 {
		t.Errorf("status %d for a path with NUL", ex.Reply.Status)
	}
	// What a WebSocket API calls $default has no path.
	s = inHTTPAPI(t, config.DefaultName, "http://b/x", nil, nil)
	s.route.Stage.API.Type = config.WebSocketType
	if s.compile().do("POST /"); s.backend.sent.Target != "/x" {
		t.Errorf("a message goes to %q", s.backend.sent.Target)
	}
}

func BenchmarkEdits(b *testing.B) {
	s := inHTTPAPI(b, "/{id}", "http://b/", map[string]string{
		"overwrite:path":          "/pets/${request.path.id}",
		"append:querystring.more": "$request.header.X-User",
		"overwrite:header.X-User": "${request.header.x-user} of ${stageVariables.v}",
		"remove:header.Accept":    "",
	}, map[string]string{"append:header.X-Id": "$context.requestId"}).compile()
	ex, start := &proxy.Exchange{}, time.Now()
	made := s.begin(&proxy.Exchange{}, "GET /7?max=10", "Host: a", "X-User: ann", "Accept: */*", "User-Agent: curl/8")
	b.ReportAllocs()
	for b.Loop() {
		ex.Begin(start, nil)
		ex.ID, ex.Route, ex.Method, ex.Path, ex.HTTP = made.ID, made.Route, made.Method, made.Path, true
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
func FuzzEdits(f *testing.F) {
	s := inHTTPAPI(f, "/{id}", "http://b/p", map[string]string{
		"overwrite:path":          "/p/${request.path.id}/${request.header.X-V}/${request.body.v}/end",
		"append:querystring.q":    "$request.querystring.q",
		"overwrite:querystring.b": "$request.body.v",
		"overwrite:header.X-Q":    "a${request.querystring.q}b",
		"append:header.X-B":       "$request.body",
	}, nil).compile()
	f.Add("a/../b", "q=1%0d%0aX:1&q=%26", `{"v":"x y"}`)
	f.Add("..", "q", "{")
	f.Add("%2e%2e", "b=+", `{"v":{"a":[1]}}`)
	f.Fuzz(func(t *testing.T, value, query, content string) {
		ex := s.begin(&proxy.Exchange{}, "POST /1", "X-V: "+value)
		ex.HTTP = true
		ex.Params = append(ex.Params, proxy.Param{Name: "id", Value: "1"})
		ex.In.RawQuery, ex.In.HasQuery = query, true
		ex.In.Content, ex.In.Whole = []byte(content), true
		if s.run(ex); ex.Fault != nil {
			if ex.Reply.Status != 400 {
				t.Errorf("%q, %q, %q: %v", value, query, content, ex.Fault)
			}
			return
		}
		path, _, _ := strings.Cut(s.backend.sent.Target, "?")
		if strings.Count(path, "/") != 5 || !strings.HasPrefix(path, "/p/1/") || !strings.HasSuffix(path, "/end") || uri.HasDotSegment(path) {
			t.Errorf("%q, %q, %q: target %q", value, query, content, s.backend.sent.Target)
		}
		for _, h := range s.backend.sent.Fields {
			if h.Name != "X-V" && (!http1.ValidFieldValue(h.Value) || !http1.ValidFieldName(h.Name)) { // which passes as it came
				t.Errorf("header %q: %q", h.Name, h.Value)
			}
		}
	})
}
