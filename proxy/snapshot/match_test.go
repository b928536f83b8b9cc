package snapshot

import (
	"fmt"
	"strings"
	"testing"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// matched describes what Match made of ex: "KEY name=value …" or the fault.
func matched(s *Snapshot, ex *proxy.Exchange) string {
	f, ok := s.Match(ex)
	if !ok {
		if ex.Route != nil || len(ex.Params) != 0 {
			return fmt.Sprintf("%v with route %v and params %v", f.Kind, ex.Route, ex.Params)
		}
		return f.Kind.String()
	}
	text := ex.Route.Key
	for _, p := range ex.Params {
		text += " " + p.Name + "=" + p.Value
	}
	return text
}

const missing = "MISSING_AUTHENTICATION_TOKEN"

func TestMatchResource(t *testing.T) {
	f := func(keys, request1, want string) {
		t.Helper()
		s := compiled(t, oneAPI(strings.Split(keys, ", ")...))
		method, path, _ := strings.Cut(request1, " ")
		if got := matched(s, request(method, "a.localhost", "/s"+path)); got != want {
			t.Errorf("%s to %s: got %q, want %q", request1, keys, got, want)
		}
	}
	// The root, with and without its slash.
	f("GET /", "GET ", "GET /")
	f("GET /", "GET /", "GET /")
	f("GET /a", "GET /", missing)
	f("GET /", "GET /a", missing)
	// A slash at the end doesn't change which resource matches; a second does.
	f("GET /a, GET /a/{b}", "GET /a/", "GET /a")
	f("GET /a/b", "GET /a/b/", "GET /a/b")
	f("GET /a/{b}", "GET /a/x/", "GET /a/{b} b=x")
	f("GET /a", "GET /a//", missing)
	// Literal, then {param}, then {param+}.
	f("GET /p/mine, GET /p/{id}, GET /p/{rest+}", "GET /p/mine", "GET /p/mine")
	f("GET /p/mine, GET /p/{id}, GET /p/{rest+}", "GET /p/other", "GET /p/{id} id=other")
	f("GET /p/mine, GET /p/{id}, GET /p/{rest+}", "GET /p/other/x", "GET /p/{rest+} rest=other/x")
	// The first segment that differs decides.
	f("GET /a/{x}/c/d, GET /a/b/{y+}", "GET /a/b/c/d", "GET /a/b/{y+} y=c/d")
	f("GET /{x}/b, GET /a/{y+}", "GET /a/b", "GET /a/{y+} y=b")
	// Back-tracking out of a literal and of a parameter.
	f("GET /a/b/c, GET /a/{x}/d", "GET /a/b/d", "GET /a/{x}/d x=b")
	f("GET /a/{x}/c, GET /a/{y+}", "GET /a/b/d", "GET /a/{y+} y=b/d")
	f("GET /a/b/c/d, GET /{p+}", "GET /a/b/c/e", "GET /{p+} p=a/b/c/e")
	f("GET /{a}/{b}/x, GET /{a}/y/{c}, GET /{p+}", "GET /1/y/x", "GET /{a}/y/{c} a=1 c=x")
	// Several greedy levels.
	f("GET /{p+}, GET /a/{q+}, GET /a/b/{r+}", "GET /a/b/c", "GET /a/b/{r+} r=c")
	f("GET /{p+}, GET /a/{q+}, GET /a/b/{r+}", "GET /a/b", "GET /a/{q+} q=b")
	f("GET /{p+}, GET /a/{q+}, GET /a/b/{r+}", "GET /a", "GET /{p+} p=a")
	// Greedy needs a segment.
	f("GET /{p+}", "GET /", missing)
	f("GET /a/{p+}", "GET /a", missing)
	f("GET /a/{p+}", "GET /a/", missing)
	f("GET /a/{p+}", "GET /a//", missing)
	f("GET /a/{p+}", "GET /a/b", "GET /a/{p+} p=b")
	// {param} needs a segment that isn't empty.
	f("GET /a/{x}/b", "GET /a//b", missing)
	f("GET /a/{x}", "GET /a/x/y", missing)
	// A segment as a whole: a parameter holds dots and dashes.
	f("GET /a/{x}", "GET /a/v1.2-rc", "GET /a/{x} x=v1.2-rc")
	// Letters count.
	f("GET /a", "GET /A", missing)
}

func TestMatchVerb(t *testing.T) {
	f := func(keys, request1, want string) {
		t.Helper()
		s := compiled(t, oneAPI(strings.Split(keys, ", ")...))
		method, path, _ := strings.Cut(request1, " ")
		if got := matched(s, request(method, "a.localhost", "/s"+path)); got != want {
			t.Errorf("%s to %s: got %q, want %q", request1, keys, got, want)
		}
	}
	// AWS, recorded: test_proxy_routing_with_hardcoded_resource_sibling.
	recorded := "POST /test, ANY /test/any, OPTIONS /{proxy+}"
	f(recorded, "POST /test", "POST /test")
	f(recorded, "OPTIONS /test", "OPTIONS /{proxy+} proxy=test")
	f(recorded, "OPTIONS /test/any", "ANY /test/any")
	f(recorded, "GET /test", missing)
	f(recorded, "OPTIONS /random", "OPTIONS /{proxy+} proxy=random")
	f(recorded, "GET /random", missing)
	// AWS, recorded: test_routing_with_hardcoded_resource_sibling_order.
	order := "GET /{param+}, GET /part1/hardcoded-value"
	f(order, "GET /part1/random-value", "GET /{param+} param=part1/random-value")
	f(order, "GET /part1/hardcoded-value", "GET /part1/hardcoded-value")
	f(order, "GET /part1", "GET /{param+} param=part1")
	// ANY is the seven verbs; an explicit verb beats it on the same resource.
	for _, verb := range []string{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"} {
		f("ANY /a", verb+" /a", "ANY /a")
		f("ANY /a, "+verb+" /a", verb+" /a", verb+" /a")
	}
	f("ANY /a", "TRACE /a", missing)
	f("ANY /a", "PROPFIND /a", missing)
	f("ANY /a", "get /a", missing)
	f("ANY /a", "ANY /a", missing)
	// ANY of a better resource beats the explicit verb of a worse one.
	f("ANY /a/{x}, GET /{p+}", "GET /a/b", "ANY /a/{x} x=b")
	// HEAD isn't answered by GET.
	f("GET /a", "HEAD /a", missing)
	f("GET /a, HEAD /{p+}", "HEAD /a", "HEAD /{p+} p=a")
	// A verb that {param} lacks falls through as well.
	f("GET /a/{x}, POST /a/{p+}", "POST /a/b", "POST /a/{p+} p=b")
	f("GET /a/{x}/c, POST /{p+}", "POST /a/b/c", "POST /{p+} p=a/b/c")
}

// The rows that were recorded on AWS with the resource /{proxy+}.
func TestMatchRecordedPaths(t *testing.T) {
	s := compiled(t, oneAPI("ANY /{proxy+}"))
	f := func(sent, path, proxyParam string) {
		t.Helper()
		ex := request("GET", "a.localhost", "/s"+sent)
		if f, ok := s.Match(ex); !ok {
			t.Errorf("%s: %v", sent, f)
			return
		}
		if ex.Path != path {
			t.Errorf("%s: path %q, want %q", sent, ex.Path, path)
		}
		if value, _ := ex.Param("proxy"); value != proxyParam {
			t.Errorf("%s: proxy %q, want %q", sent, value, proxyParam)
		}
		if ex.FullPath != "/s"+sent {
			t.Errorf("%s: full path %q, want %q", sent, ex.FullPath, "/s"+sent)
		}
	}
	f("/proxy-value", "/proxy-value", "proxy-value")
	f("/proxy-value/", "/proxy-value/", "proxy-value")
	f("/proxy-value//double-slash", "/proxy-value//double-slash", "proxy-value//double-slash")
	f("//proxy-value", "/proxy-value", "proxy-value")
	f("/x/test%2Balias@h/plus/test+alias@h", "/x/test%2Balias@h/plus/test+alias@h", "x/test%2Balias@h/plus/test+alias@h")
	// Not recorded, by the same rules.
	f("///proxy-value//", "/proxy-value//", "proxy-value/")
	f("/a;v=1/b;w", "/a;v=1/b;w", "a;v=1/b;w")
	f("/%7Ejoe/%E2%82%AC", "/%7Ejoe/%E2%82%AC", "%7Ejoe/%E2%82%AC")
}

func TestMatchEscapes(t *testing.T) {
	s := compiled(t, oneAPI("GET /abc", "GET /v1/orders:batch", "GET /caf%C3%A9", "GET /v1/{x}", "GET /v1/{x}/y~z", "GET /a%25b"))
	f := func(path, want string) {
		t.Helper()
		if got := matched(s, request("GET", "a.localhost", path)); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	// One decoding, for literals; values stay as they came.
	f("/s/%61bc", "GET /abc")
	f("/s/%61%62%63/", "GET /abc")
	f("/%73/abc", "GET /abc")
	f("/s/v1/orders%3Abatch", "GET /v1/orders:batch")
	f("/s/v1/orders%3abatch", "GET /v1/orders:batch")
	f("/s/v1/%6frders", "GET /v1/{x} x=%6frders")
	f("/s/v1/a%20b/y%7ez", "GET /v1/{x}/y~z x=a%20b")
	f("/s/caf%c3%A9", "GET /caf%C3%A9")
	f("/s/a%25b", "GET /a%25b")
	f("/s/%2561bc", missing) // decodes to %61bc, not to abc
	f("/s/%41bc", missing)
	f("/s/"+strings.Repeat("%61", 300), missing)
	f("/s/v1/"+strings.Repeat("%61", 300), "GET /v1/{x} x="+strings.Repeat("%61", 300))
}

func TestMatchRefusesPaths(t *testing.T) {
	closed := compiled(t, oneAPI("ANY /{proxy+}"))
	cfg := oneAPI("ANY /{proxy+}")
	a := cfg.API["a"]
	a.AllowEncodedSlash = true
	cfg.API["a"] = a
	open := compiled(t, cfg)
	const bad, good = "BAD_REQUEST", "ANY /{proxy+}"
	f := func(path, wantClosed, wantOpen string) {
		t.Helper()
		for _, c := range []struct {
			s    *Snapshot
			want string
		}{{closed, wantClosed}, {open, wantOpen}} {
			got, _, _ := strings.Cut(matched(c.s, request("GET", "a.localhost", path)), " proxy=")
			if got != c.want {
				t.Errorf("%q (allowed: %v): got %q, want %q", path, c.s == open, got, c.want)
			}
		}
	}
	// Separators in disguise.
	f("/s/a%2Fb", bad, good)
	f("/s/a%2fb", bad, good)
	f("/s/a%5Cb", bad, good)
	f("/s/a%3Bb", bad, good)
	f("/s/a%3b", bad, good)
	f("/s/a;b", good, good)
	f("/s/a%252Fb", good, good) // one decoding: %2F as text
	// Never.
	f("/s/a\\b", bad, bad)
	f("/s/a\x00b", bad, bad)
	f("/s/a%00b", bad, bad)
	f("/s/a\tb", bad, bad)
	f("/s/a\r\nb", bad, bad)
	f("/s/a b", bad, bad)
	f("/s/a\x7fb", bad, bad)
	f("/s/a?b", bad, bad)
	f("/s/a#b", bad, bad)
	f("/s/a%", bad, bad)
	f("/s/a%2", bad, bad)
	f("/s/a%zz", bad, bad)
	f("/s/a%2g", bad, bad)
	f("/s/%%61", bad, bad)
	f("/s/%u0061", bad, bad)
	// Dot segments, however they are written.
	f("/s/.", bad, bad)
	f("/s/..", bad, bad)
	f("/s/../s/a", bad, bad)
	f("/../s/a", bad, bad)
	f("/s/a/./b", bad, bad)
	f("/s/a/../b", bad, bad)
	f("/s/a/..", bad, bad)
	f("/s/a/../", bad, bad)
	f("/s/a/%2e%2E/b", bad, bad)
	f("/s/a/.%2e/b", bad, bad)
	f("/s/a/%2e./b", bad, bad)
	f("/s/%2e/b", bad, bad)
	f("/s/..;/b", bad, bad)
	f("/s/..;x=1/b", bad, bad)
	f("/s/.;/b", bad, bad)
	f("/s/%2e%2e;/b", bad, bad)
	f("/s/..%3B/b", bad, bad)
	f("/s/a%2F..%2Fb", bad, bad)
	f("/s/..%2Fb", bad, bad)
	f("/s/a%2F..", bad, bad)
	f("/s/a%5C..%5Cb", bad, bad)
	f("/s/a%2F%2e%2e/b", bad, bad)
	// What only looks like them.
	f("/s/...", good, good)
	f("/s/.../b", good, good)
	f("/s/.well-known/x", good, good)
	f("/s/a./b", good, good)
	f("/s/a../b", good, good)
	f("/s/..a/b", good, good)
	f("/s/a;..", good, good)
	f("/s/%252e%252e/b", good, good)
	f("/s/a.tar.gz", good, good)
	// What isn't a path.
	f("", bad, bad)
	f("s/a", bad, bad)
	f("*", missing, missing)
}

func TestMatchQuery(t *testing.T) {
	s := compiled(t, oneAPI("GET /a"))
	f := func(query, want string) {
		t.Helper()
		ex := request("GET", "a.localhost", "/s/a")
		ex.In.RawQuery, ex.In.HasQuery = query, true
		if got := matched(s, ex); got != want {
			t.Errorf("?%s: got %q, want %q", query, got, want)
		}
	}
	const bad, good = "BAD_REQUEST", "GET /a"
	f("", good)
	f("email=test%2Balias@h&plus=test+alias@h", good)
	f("category=electronics&category=books;x", good)
	f("a=%7C%7B%7D", good)
	f("u=http://x/../y\\z&d=%2e%2e", good)
	f("a=b?c=d", good)
	f("a=|", bad)
	f("a={b", bad)
	f("}", bad)
	f("a=#f", bad)
	f("a=\x00", bad)
	f("a=b c", bad)
	f("a=\n", bad)
}

func TestMatchMethodOverride(t *testing.T) {
	s := compiled(t, oneAPI("GET /a", "PATCH /a"))
	f := func(want, wantMethod string, values ...string) {
		t.Helper()
		ex := request("GET", "a.localhost", "/s/a")
		for _, v := range values {
			ex.In.Fields = append(ex.In.Fields, http1.NewField("x-http-method-override", v))
		}
		if got := matched(s, ex); got != want || ex.Method != wantMethod {
			t.Errorf("override %q: got %q as %q, want %q as %q", values, got, ex.Method, want, wantMethod)
		}
		if ex.In.Method != "GET" {
			t.Errorf("override %q changed In.Method to %q", values, ex.In.Method)
		}
	}
	f("GET /a", "GET")
	f("PATCH /a", "PATCH", "PATCH")
	f("PATCH /a", "PATCH", "Patch") // a backend that is less strict would obey it
	f(missing, "DELETE", "DELETE")
	f("BAD_REQUEST", "GET", "TRACE")
	f("BAD_REQUEST", "GET", "ANY")
	f("BAD_REQUEST", "GET", "")
	f("BAD_REQUEST", "PATCH", "PATCH", "PATCH")
}

// Whatever an earlier request left behind is gone.
func TestMatchReusesExchange(t *testing.T) {
	s := compiled(t, oneAPI("GET /a/{x}/{y}", "GET /b"))
	ex := request("GET", "a.localhost", "/s/a/1/2")
	if got := matched(s, ex); got != "GET /a/{x}/{y} x=1 y=2" {
		t.Fatal(got)
	}
	ex.In.Path = "/s/b"
	if got := matched(s, ex); got != "GET /b" {
		t.Error(got)
	}
	ex.In.Path = "/s/c"
	if got := matched(s, ex); got != missing {
		t.Error(got)
	}
	ex.In.Host = "nobody.test"
	if got := matched(s, ex); got != "UNKNOWN_API" || ex.Domain != (proxy.Domain{Name: "nobody.test"}) {
		t.Error(got, ex.Domain)
	}
}

// domains is a configuration of two APIs and several domains.
func domains() *config.Config {
	api := config.API{
		Type:  "rest",
		Route: routes("ANY /", "ANY /{proxy+}"),
		Stage: map[string]config.Stage{"prod": {}, "test": {}, "v1": {}},
	}
	return &config.Config{
		Gateway: config.Gateway{Suffix: "gw.test", Region: "r", AccountID: "000000000001"},
		API:     map[string]config.API{"pets": api, "orders": api, "hidden": api},
		Domain: map[string]config.Domain{
			"api.example.com": {Map: map[string]string{
				"/": "pets:prod", "orders": "orders:prod", "/orders/v1": "orders:v1", "a/b/c/": "orders:test"}},
			"*.example.com":    {Map: map[string]string{"/": "pets:test"}},
			"Only.Example.org": {Map: map[string]string{"/shop/v1": "orders:v1", "(x)": "pets:v1"}},
			"hidden.gw.test":   {Map: map[string]string{"/": "pets:v1"}},
			"127.0.0.1":        {Map: map[string]string{"/": "pets:v1"}},
			"::1":              {Map: map[string]string{"/": "pets:v1"}},
		},
	}
}

func TestMatchHost(t *testing.T) {
	s := compiled(t, domains())
	f := func(host, path, want string) {
		t.Helper()
		ex := request("GET", host, path)
		fault, ok := s.Match(ex)
		got := fault.Kind.String()
		if ok {
			st := ex.Route.Stage
			got = fmt.Sprintf("%s:%s %s base %q", st.API.Name, st.Name, ex.Path, ex.Domain.BasePath)
			if ex.FullPath != path {
				t.Errorf("%s%s: full path %q", host, path, ex.FullPath)
			}
		}
		if got != want {
			t.Errorf("%s%s: got %s, want %s", host, path, got, want)
		}
	}
	// The default host: the first segment is the stage.
	f("pets.gw.test", "/prod", `pets:prod / base ""`)
	f("pets.gw.test", "/prod/", `pets:prod / base ""`)
	f("pets.gw.test", "/prod/dogs/1", `pets:prod /dogs/1 base ""`)
	f("orders.gw.test", "/v1/prod/", `orders:v1 /prod/ base ""`)
	f("pets.gw.test", "/none/x", "FORBIDDEN")
	f("pets.gw.test", "/Prod/x", "FORBIDDEN")
	f("pets.gw.test", "/", "FORBIDDEN")
	f("pets.gw.test", "//prod/x", "FORBIDDEN")
	f("pets.gw.test", "/ping", "FORBIDDEN")
	f("other.gw.test", "/prod/x", "UNKNOWN_API")
	f("gw.test", "/prod/x", "UNKNOWN_API")
	f("x.pets.gw.test", "/prod/x", "UNKNOWN_API")
	f("", "/prod/x", "UNKNOWN_API")
	// A domain that has a default host's name replaces it.
	f("hidden.gw.test", "/prod/x", `pets:v1 /prod/x base ""`)
	// The longest base path by whole segments, and the rest to "/".
	f("api.example.com", "/", `pets:prod / base ""`)
	f("api.example.com", "/x", `pets:prod /x base ""`)
	f("api.example.com", "/orders", `orders:prod / base "orders"`)
	f("api.example.com", "/orders/", `orders:prod / base "orders"`)
	f("api.example.com", "/orders/7", `orders:prod /7 base "orders"`)
	f("api.example.com", "/orders//7", `orders:prod /7 base "orders"`)
	f("api.example.com", "/ordersx/7", `pets:prod /ordersx/7 base ""`)
	f("api.example.com", "/Orders/7", `pets:prod /Orders/7 base ""`)
	f("api.example.com", "/orders/v1", `orders:v1 / base "orders/v1"`)
	f("api.example.com", "/orders/v1/7/", `orders:v1 /7/ base "orders/v1"`)
	f("api.example.com", "/orders/v2/7", `orders:prod /v2/7 base "orders"`)
	f("api.example.com", "/a/b/c/d", `orders:test /d base "a/b/c"`)
	f("api.example.com", "/a/b/d", `pets:prod /a/b/d base ""`)
	f("api.example.com", "//x/7", `pets:prod /x/7 base ""`)
	// Who reads past a doubled slash or ";" finds another mapping.
	f("api.example.com", "//orders/7", "BAD_REQUEST")
	f("api.example.com", "/orders;x/7", "BAD_REQUEST")
	f("api.example.com", "/orders/v1;x/7", "BAD_REQUEST")
	f("api.example.com", "/x;y/orders//7", `pets:prod /x;y/orders//7 base ""`)
	f("api.example.com", "/%6frders/v%31/7", `orders:v1 /7 base "orders/v1"`)
	f("api.example.com", "/orders%2Fv1/7", "BAD_REQUEST")
	// No mapping takes it.
	f("only.example.org", "/", "FORBIDDEN")
	f("only.example.org", "/shop", "FORBIDDEN")
	f("only.example.org", "/shop/v2", "FORBIDDEN")
	f("only.example.org", "/shop/v1/x", `orders:v1 /x base "shop/v1"`)
	f("only.example.org", "/(x)/y", `pets:v1 /y base "(x)"`)
	f("only.example.org", "/%28x%29/y", `pets:v1 /y base "(x)"`)
	// An exact domain beats a wildcard, which stands for one label.
	f("www.example.com", "/x", `pets:test /x base ""`)
	f("a.www.example.com", "/x", "UNKNOWN_API")
	f("example.com", "/x", "UNKNOWN_API")
	f(".example.com", "/x", "UNKNOWN_API")
	f("*.example.com", "/x", "UNKNOWN_API")
	// The dot of the root, once; addresses.
	f("www.example.com.", "/x", `pets:test /x base ""`)
	f("pets.gw.test.", "/prod/x", `pets:prod /x base ""`)
	f("www.example.com..", "/x", "UNKNOWN_API")
	f("127.0.0.1", "/x", `pets:v1 /x base ""`)
	f("::1", "/x", `pets:v1 /x base ""`)
}

func TestMatchDomain(t *testing.T) {
	s := compiled(t, domains())
	f := func(host, path string, want proxy.Domain) {
		t.Helper()
		ex := request("GET", host, path)
		s.Match(ex)
		if ex.Domain != want {
			t.Errorf("%s%s: got %+v, want %+v", host, path, ex.Domain, want)
		}
	}
	f("api.example.com", "/orders/v1/x", proxy.Domain{Name: "api.example.com", Prefix: "api", BasePath: "orders/v1"})
	f("www.example.com.", "/x", proxy.Domain{Name: "www.example.com", Prefix: "www"})
	f("pets.gw.test", "/prod/x", proxy.Domain{Name: "pets.gw.test", Prefix: "pets", Default: true})
	f("pets.gw.test", "/none/x", proxy.Domain{Name: "pets.gw.test", Prefix: "pets", Default: true})
}

// A wildcard domain over the suffix hides the default hosts.
func TestMatchWildcardHidesDefaultHosts(t *testing.T) {
	cfg := domains()
	cfg.Domain["*.gw.test"] = config.Domain{Map: map[string]string{"/": "orders:v1"}}
	s := compiled(t, cfg)
	ex := request("GET", "pets.gw.test", "/prod/x")
	if _, ok := s.Match(ex); !ok || ex.Route.Stage.API.Name != "orders" || ex.Path != "/prod/x" {
		t.Errorf("got %+v, path %s", ex.Route, ex.Path)
	}
}
