package mapping

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
)

func testRoute(resource string) *proxy.Route {
	return &proxy.Route{
		Stage: &proxy.Stage{
			API:       &proxy.API{Name: "pets", ID: "a1b2c3", AccountID: "012345678901"},
			Name:      "dev",
			Variables: map[string]string{"version": "1.4", "empty": ""},
		},
		Key: "ANY " + resource, Resource: resource, ResourceID: "r3s0ur",
	}
}

// begin makes an exchange for "METHOD /path?query" with the fields "Name: value".
func begin(ex *proxy.Exchange, route *proxy.Route, request string, fields ...string) *proxy.Exchange {
	ex.Begin(time.Unix(1589522469, 693e6), nil)
	ex.ID, ex.ExtendedID, ex.Route = "3b241101-e2bb-4255-8caf-4136c566a962", "Mc7UVioPPHcEKPA=", route
	method, target, _ := strings.Cut(request, " ")
	path, query, _ := strings.Cut(target, "?")
	ex.Method, ex.Path, ex.FullPath, ex.In.RawQuery = method, path, "/dev"+path, query
	ex.In.Scheme, ex.In.Host = "https", "pets.localhost"
	ex.In.Client, ex.In.Local = netip.MustParseAddrPort("192.0.2.60:5555"), netip.MustParseAddrPort("198.51.100.1:8443")
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		ex.In.Fields.Add(name, value)
	}
	return ex
}

func TestRequestSource(t *testing.T) {
	route := testRoute("/pets/{id}/{rest+}")
	ex := begin(&proxy.Exchange{}, route, "POST /pets/a%20b/c/d?n=1&q=x%2By+z&n=2&N=3&e=&m=%26", "X-One: a", "x-one: b", "X-One: c", "x-lower: l", "Connection: X-Hop", "X-Hop: h",
		"X-Forwarded-For: 6.6.6.6", "Content-Length: 3", "User-Agent: curl/8", "Authorization: Bearer t")
	ex.Params = append(ex.Params, proxy.Param{Name: "id", Value: "a%20b"}, proxy.Param{Name: "rest", Value: "c/d+e"})
	ex.Caller.Principal = "user|7"
	ex.Caller.Context = append(ex.Caller.Context, proxy.Param{Name: "tier", Value: "gold"}, proxy.Param{Name: "claims.sub", Value: "s"})
	ex.Domain = proxy.Domain{Name: "api.example.com", Prefix: "api"}
	body := &Document{Content: []byte(`{"order":{"id":17,"who":"ann","tags":["a","b"],"none":null},"f":1.50}`)}
	f := func(expression, want string, found bool) {
		t.Helper()
		s, bad := ParseSource(expression, Request, route)
		if bad != nil {
			t.Errorf("%s: %s", expression, bad.Text)
			return
		}
		got, has, err := s.RequestText(ex, body)
		if got != want || has != found || err != nil {
			t.Errorf("%s: got %q, %v, %v", expression, got, has, err)
		}
	}
	f("'literal'", "literal", true)
	f("''", "", true)
	f("'it''s'", "it''s", true)
	f("stageVariables.version", "1.4", true)
	// Headers: the last value, the exact name before any other.
	f("method.request.header.X-One", "c", true)
	f("method.request.header.x-one", "b", true)
	f("method.request.header.X-ONE", "c", true)
	f("method.request.header.X-Lower", "l", true)
	f("method.request.header.X-None", "", false)
	f("method.request.multivalueheader.X-One", "a,b,c", true)
	f("method.request.multivalueheader.X-Lower", "l", true)
	f("method.request.multivalueheader.X-None", "", false)
	// What ends at the gateway isn't there, and what a client says of itself neither.
	f("method.request.header.X-Hop", "", false)
	f("method.request.header.Content-Length", "", false)
	f("method.request.header.X-Forwarded-For", "192.0.2.60", true)
	f("method.request.multivalueheader.X-Forwarded-For", "192.0.2.60", true)
	f("method.request.header.x-forwarded-port", "8443", true)
	f("method.request.header.X-Forwarded-Proto", "https", true)
	f("method.request.header.X-Amzn-Trace-Id", ex.TraceID(), true)
	f("method.request.header.Host", "pets.localhost", true)
	f("method.request.header.Authorization", "Bearer t", true)
	// Query: the last value, decoded, names with case.
	f("method.request.querystring.n", "2", true)
	f("method.request.querystring.N", "3", true)
	f("method.request.querystring.q", "x+y z", true)
	f("method.request.querystring.e", "", true)
	f("method.request.querystring.none", "", false)
	f("method.request.multivaluequerystring.n", "1,2", true)
	f("method.request.multivaluequerystring.m", "&", true)
	f("method.request.multivaluequerystring.none", "", false)
	f("method.request.path.id", "a b", true)
	f("method.request.path.rest", "c/d+e", true)
	f("method.request.body", string(body.Content), true)
	f("method.request.body.order.id", "17", true)
	f("method.request.body.$.order.who", "ann", true)
	f("method.request.body.order.tags", `["a","b"]`, true)
	f("method.request.body.order.tags[1]", "b", true)
	f("method.request.body.order", `{"id":17,"who":"ann","tags":["a","b"],"none":null}`, true)
	f("method.request.body.f", "1.5", true)
	f("method.request.body.order.none", "", false)
	f("method.request.body.nowhere.at.all", "", false)

	for name, want := range map[string]string{
		"accountId": "012345678901", "apiId": "a1b2c3", "authorizer.principalId": "user|7", "authorizer.tier": "gold", "authorizer.claims.sub": "s",
		"domainName": "api.example.com", "domainPrefix": "api", "extendedRequestId": "Mc7UVioPPHcEKPA=", "httpMethod": "POST",
		"identity.sourceIp": "192.0.2.60", "identity.userAgent": "curl/8", "path": "/dev/pets/a%20b/c/d", "protocol": "HTTP/1.1",
		"requestId": "3b241101-e2bb-4255-8caf-4136c566a962", "requestTime": "15/May/2020:06:01:09 +0000", "requestTimeEpoch": "1589522469693",
		"resourceId": "r3s0ur", "resourcePath": "/pets/{id}/{rest+}", "stage": "dev",
	} {
		f("context."+name, want, true)
	}
	for _, name := range []string{"authorizer.none", "identity.user", "identity.clientCert.subjectDN", "webaclArn"} {
		f("context."+name, "", false)
	}

	// Content that isn't JSON, and none.
	s, _ := ParseSource("method.request.body.a", Request, route)
	if _, _, err := s.RequestText(ex, &Document{Content: []byte("{")}); !errors.Is(err, ErrNotJSON) {
		t.Errorf("not JSON: %v", err)
	}
	if _, found, err := s.RequestText(ex, &Document{}); found || err != nil {
		t.Errorf("no content: %v, %v", found, err)
	}
	whole, _ := ParseSource("method.request.body", Request, route)
	if _, found, err := whole.RequestText(ex, &Document{}); found || err != nil {
		t.Errorf("no content: %v, %v", found, err)
	}
}

func TestResponseSource(t *testing.T) {
	route := testRoute("/")
	ex := begin(&proxy.Exchange{}, route, "GET /")
	for _, f := range []string{"X-One: a", "x-one: b", "Set-Cookie: c=1", "Set-Cookie: d=2"} {
		name, value, _ := strings.Cut(f, ": ")
		ex.Back.Fields.Add(name, value)
	}
	body := &Document{Content: []byte(`{"a":{"b":true}}`)}
	f := func(expression, want string, found bool) {
		t.Helper()
		s, bad := ParseSource(expression, Response, route)
		if bad != nil {
			t.Errorf("%s: %s", expression, bad.Text)
			return
		}
		if got, has, err := s.ResponseText(ex, body); got != want || has != found || err != nil {
			t.Errorf("%s: got %q, %v, %v", expression, got, has, err)
		}
	}
	f("integration.response.header.X-ONE", "b", true)
	f("integration.response.header.X-Two", "", false)
	f("integration.response.body", `{"a":{"b":true}}`, true)
	f("integration.response.body.a.b", "true", true)
	f("context.stage", "dev", true)
	f("stageVariables.empty", "", true)
	f("'x'", "x", true)
	s, _ := ParseSource("integration.response.multivalueheader.set-cookie", Response, route)
	var all []string
	for value, next := s.ResponseValue(ex, 0); next >= 0; value, next = s.ResponseValue(ex, next) {
		all = append(all, value)
	}
	if strings.Join(all, " ") != "c=1 d=2" || !s.Multiple() {
		t.Errorf("got %v", all)
	}
}

func TestWrongSource(t *testing.T) {
	route := testRoute("/pets/{id}")
	f := func(expression string, side Side, want string) {
		t.Helper()
		_, bad := ParseSource(expression, side, route)
		if bad == nil {
			t.Errorf("%s is taken", expression)
			return
		}
		text, hint, _ := strings.Cut(want, " | ")
		if !strings.Contains(bad.Text, text) || !strings.Contains(bad.Hint, hint) {
			t.Errorf("%s: got %s | %s", expression, bad.Text, bad.Hint)
		}
	}
	f("", Request, "isn't a mapping expression | write one of 'literal'")
	f("literal", Request, "isn't a mapping expression | 'literal'")
	f("'open", Request, "isn't a mapping expression | ")
	f("method.request.cookie.x", Request, "isn't a mapping expression | method.request.header.NAME")
	f("method.request.header.", Request, "isn't a header name | ")
	f("method.request.header.a b", Request, "isn't a header name | ")
	f("method.request.querystring.", Request, "name of the query parameter is missing | ")
	f("method.request.path.name", Request, `has no path parameter "name" | `)
	f("method.request.body.a[", Request, "JSONPath | body.order")
	f("integration.response.header.X", Request, "can't be used here | before there is a response")
	f("method.request.header.X", Response, "can't be used here | requestOverride")
	f("$context.stage", Request, "isn't a mapping expression | without the $")
	f("${stageVariables.version}", Request, "isn't a mapping expression | without ${}")
	f("stageVariables.other", Request, `has no variable "other" | `)
	f("context.nope", Request, `no context variable "nope" | requestTimeEpoch`)
	f("context.identity", Request, "no context variable | ")
	f("context.authorizer.", Request, "no context variable | ")
	f("integration.response.trailer.X", Response, "isn't a mapping expression | integration.response.header.NAME")
}

func TestAppendQuery(t *testing.T) {
	route := testRoute("/{p}")
	ex := begin(&proxy.Exchange{}, route, "GET /?a=1+2&a=%26&b=", "X-A: x&y", "X-A: z")
	ex.Params = append(ex.Params, proxy.Param{Name: "p", Value: "a%2fb"})
	f := func(expression, want string) {
		t.Helper()
		s, bad := ParseSource(expression, Request, route)
		if bad != nil {
			t.Fatal(bad)
		}
		got, err := s.AppendQuery(nil, "n", ex, &Document{Content: []byte(`{"v":"é="}`)})
		again, _ := s.AppendQuery([]byte("x=y"), "n", ex, &Document{Content: []byte(`{"v":"é="}`)})
		if string(got) != want || err != nil || want != "" && string(again) != "x=y&"+want {
			t.Errorf("%s: got %q and %q, %v", expression, got, again, err)
		}
	}
	f("'a%20b&c=d'", "n=a%20b&c=d")
	f("method.request.querystring.a", "n=%26")
	f("method.request.querystring.b", "n=")
	f("method.request.querystring.c", "")
	f("method.request.multivaluequerystring.a", "n=1%202&n=%26")
	f("method.request.header.X-A", "n=z")
	f("method.request.multivalueheader.X-A", "n=x%26y&n=z")
	f("method.request.path.p", "n=a%2Fb")
	f("method.request.body.v", "n=%C3%A9%3D")
	f("context.stage", "n=dev")
	f("context.identity.user", "")
}

// What the request path does with expressions needs no memory of its own.
func TestSourcesNeedNoMemory(t *testing.T) {
	route := testRoute("/{p}")
	var all []Source
	for _, expression := range []string{"'x'", "stageVariables.version", "context.identity.sourceIp", "context.requestTime", "method.request.header.X-A",
		"method.request.multivalueheader.X-A", "method.request.querystring.a", "method.request.multivaluequerystring.a", "method.request.path.p"} {
		s, bad := ParseSource(expression, Request, route)
		if bad != nil {
			t.Fatal(bad)
		}
		all = append(all, s)
	}
	ex := &proxy.Exchange{}
	fields := http1.Fields{http1.NewField("X-A", "1"), http1.NewField("X-A", "2")}
	buf := make([]byte, 0, 512)
	round := func() {
		ex.Begin(time.Unix(1589522469, 0), nil)
		ex.Route, ex.In.RawQuery = route, "a=%20&a=b"
		ex.In.Client = netip.MustParseAddrPort("192.0.2.60:5555")
		ex.In.Fields = append(ex.In.Fields, fields...)
		ex.Params = append(ex.Params, proxy.Param{Name: "p", Value: "a%20b"})
		for i := range all {
			if _, found, err := all[i].RequestText(ex, nil); !found || err != nil {
				t.Fatal(i, err)
			}
			if _, err := all[i].AppendQuery(buf, "n", ex, nil); err != nil {
				t.Fatal(err)
			}
		}
		ex.End()
	}
	for range 10 {
		round()
	}
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkSources(b *testing.B) {
	route := testRoute("/{p}")
	ex := begin(&proxy.Exchange{}, route, "GET /x?a=1&b=2&c=3", "Host: a", "Accept: */*", "User-Agent: curl/8", "X-A: v", "Cookie: x=y")
	for _, expression := range []string{"context.requestId", "method.request.header.X-A", "method.request.querystring.c"} {
		s, bad := ParseSource(expression, Request, route)
		if bad != nil {
			b.Fatal(bad)
		}
		b.Run(expression, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, found, _ := s.RequestText(ex, nil); !found {
					b.Fatal("nothing")
				}
			}
		})
	}
}
