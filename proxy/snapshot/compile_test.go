package snapshot

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// trail is a step that writes into ex.Reply in which order it ran.
type trail string

func (s trail) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	ex.Reply.Content = append(ex.Reply.Content, s...)
	return proxy.Continue, nil
}

type recorder string

func (recorder) Record(*proxy.Exchange) {}

type backend struct{ proxy.Backend }

// A route's pipeline runs the authorizer, then the integration, both built for
// that route and stage.
func TestCompileBuildsRoutes(t *testing.T) {
	cfg := oneAPI("GET /pets/{id}")
	api := cfg.API["a"]
	api.ID, api.Stage = "x1", map[string]config.Stage{"s": {Variables: map[string]string{"v": "1"}}, "t": {}}
	r := api.Route["GET /pets/{id}"]
	r.Authorizer = "own"
	r.Response = map[string]config.Response{"default": {Status: 201}}
	api.Route["GET /pets/{id}"] = r
	api.Route["ANY /open"] = config.Route{Authorizer: "none", Integration: config.Integration{Type: "mock"}}
	api.Route["ANY /wide"] = config.Route{Authorizer: "wide", Integration: config.Integration{Type: "mock"}}
	api.Authorizer = map[string]config.Authorizer{"own": {Type: "wasm", Plugin: "of-api"}}
	cfg.API["a"] = api
	cfg.Authorizer = map[string]config.Authorizer{"own": {Type: "wasm", Plugin: "hidden"}, "wide": {Type: "wasm", Plugin: "of-all"}}
	cfg.Gateway.Region, cfg.Gateway.AccountID = "eu-west-1", "123456789012"

	var asked []string
	kinds := []proxy.Kind{{
		Name: "mock", Role: proxy.IntegrationKind,
		New: func(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
			if b.Route.Pipeline != nil || b.Logger == nil || o.Config != cfg || o.Authorizer != nil {
				t.Errorf("integration built with %+v, %+v", b, o)
			}
			if b.Route.Key == "GET /pets/{id}" && o.Responses["default"].Status != 201 {
				t.Errorf("responses: %+v", o.Responses)
			}
			got, err := b.Backend("http://x", nil)
			if _, ours := got.(backend); !ours || err != nil {
				t.Errorf("backend: %v, %v", got, err)
			}
			return proxy.Steps{proxy.MethodRequest: trail("2"), proxy.Integration: trail("3")}, nil
		},
	}, {
		Name: "wasm", Role: proxy.AuthorizerKind,
		New: func(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
			asked = append(asked, fmt.Sprintf("%s %s %s %s", b.Route.Stage.Name, b.Route.Key, o.Name, o.Authorizer.Plugin))
			return proxy.Steps{proxy.MethodRequest: trail("1")}, nil
		},
	}}
	s, findings := Compile(cfg, Options{
		Kinds:    kinds,
		Backend:  func(string, *config.Backend) (proxy.Backend, error) { return backend{}, nil },
		Recorder: func(api, stage string) proxy.Recorder { return recorder(api + ":" + stage) },
	})
	if len(findings) > 0 {
		t.Fatal(findings.Text())
	}
	defer s.Close()
	want := []string{
		"s ANY /wide wide of-all", "s GET /pets/{id} own of-api",
		"t ANY /wide wide of-all", "t GET /pets/{id} own of-api",
	}
	if !slices.Equal(asked, want) {
		t.Errorf("authorizers built: %q, want %q", asked, want)
	}

	f := func(path, wantRun string) *proxy.Exchange {
		t.Helper()
		ex := request("GET", "a.localhost", path)
		if fault, ok := s.Match(ex); !ok {
			t.Fatalf("%s: %v", path, fault)
		}
		ex.Route.Pipeline.Run(context.Background(), ex, 1)
		if got := string(ex.Reply.Content); got != wantRun {
			t.Errorf("%s ran %q, want %q", path, got, wantRun)
		}
		return ex
	}
	f("/s/open", "23")
	f("/t/wide", "123")
	r1 := f("/s/pets/7", "123").Route
	r2 := f("/t/pets/7", "123").Route
	if r1 == r2 || r1.Stage.API != r2.Stage.API || r1.ResourceID != r2.ResourceID {
		t.Errorf("stages: %+v, %+v", r1, r2)
	}
	if got := *r1.Stage.API; !reflect.DeepEqual(got, proxy.API{Name: "a", ID: "x1", Type: "rest", Region: "eu-west-1", AccountID: "123456789012"}) {
		t.Errorf("API: %+v", got)
	}
	if r1.Stage.Recorder != recorder("a:s") || r2.Stage.Recorder != recorder("a:t") || r1.Stage.Variables["v"] != "1" {
		t.Errorf("stages: %+v, %+v", r1.Stage, r2.Stage)
	}
	if r1.Key != "GET /pets/{id}" || r1.Verb != "GET" || r1.Resource != "/pets/{id}" || r1.Kind != "mock" {
		t.Errorf("route: %+v", r1)
	}
}

// found lists findings as "key: text (hint)".
func found(fs config.Findings) []string {
	var list []string
	for _, f := range fs {
		text := f.Key + ": " + f.Text
		if f.Hint != "" {
			text += " (" + f.Hint + ")"
		}
		list = append(list, text)
	}
	return list
}

// key is how config writes the path of a key.
func key(path ...string) string { return new(config.Config).Finding(path, "", "").Key }

func TestCompileKindFindings(t *testing.T) {
	cfg := oneAPI("GET /one", "GET /several", "GET /plain", "GET /type", "GET /nobody", "GET /guarded", "POST /guarded", "PUT /guarded", "GET /good")
	api := cfg.API["a"]
	change := func(route string, f func(*config.Route)) {
		r := api.Route[route]
		f(&r)
		api.Route[route] = r
	}
	change("GET /type", func(r *config.Route) { r.Integration.Type = "moc" })
	change("GET /nobody", func(r *config.Route) { r.Authorizer = "corp" })
	change("GET /guarded", func(r *config.Route) { r.Authorizer = "own" })
	change("POST /guarded", func(r *config.Route) { r.Authorizer = "wide" })
	change("PUT /guarded", func(r *config.Route) { r.Authorizer = "odd" })
	api.Stage = map[string]config.Stage{"s": {}, "t": {}} // the mistakes of both are the same ones
	api.Authorizer = map[string]config.Authorizer{"own": {Type: "wasm"}}
	cfg.API["a"] = api
	cfg.Authorizer = map[string]config.Authorizer{"wide": {Type: "wasm"}, "odd": {Type: "jwtt"}}

	closed := 0
	kinds := []proxy.Kind{{
		Name: "mock", Role: proxy.IntegrationKind,
		New: func(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
			b.OnClose(func() { closed++ })
			switch b.Route.Key {
			case "GET /one":
				return proxy.Steps{}, &config.KeyError{Path: []string{"url"}, Text: "no scheme", Hint: "http://…"}
			case "GET /several":
				return proxy.Steps{}, errors.Join(
					&config.KeyError{Path: []string{"method"}, Text: "bad"},
					fmt.Errorf("wrapped: %w", &config.KeyError{Path: []string{"response", "default", "template", "text/plain"}, Text: "references"}))
			case "GET /plain":
				return proxy.Steps{}, errors.New("no luck")
			}
			return proxy.Steps{}, nil
		},
	}, {
		Name: "wasm", Role: proxy.AuthorizerKind,
		New: func(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
			return proxy.Steps{}, &config.KeyError{Path: []string{"identity_source", "0"}, Text: "bad " + o.Name}
		},
	}}
	s, findings := Compile(cfg, Options{Kinds: kinds})
	if s != nil {
		t.Error("a snapshot in spite of findings")
	}
	if want := 2 * 8; closed != want { // all but the unknown type, in two stages
		t.Errorf("%d OnClose functions ran, want %d", closed, want)
	}
	got := found(findings)
	want := []string{
		key("api", "a", "authorizer", "own", "identity_source", "0") + ": bad own",
		key("api", "a", "route", "GET /nobody", "authorizer") + `: no authorizer "corp" (authorizers: odd, own, wide)`,
		key("api", "a", "route", "GET /one", "integration", "url") + ": no scheme (http://…)",
		key("api", "a", "route", "GET /plain", "integration") + ": no luck",
		key("api", "a", "route", "GET /several", "integration", "method") + ": bad",
		key("api", "a", "route", "GET /several", "response", "default", "template", "text/plain") + ": references",
		key("api", "a", "route", "GET /type", "integration", "type") + `: no type "moc" (types: mock)`,
		key("authorizer", "odd", "type") + `: no type "jwtt" (types: wasm)`,
		key("authorizer", "wide", "identity_source", "0") + ": bad wide",
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// With a configuration that was read from a file, findings have places.
func TestCompileFindingPlaces(t *testing.T) {
	cfg, findings := config.Parse("postern.toml", []byte(`
[listen.public]
address = "127.0.0.1:0"

[api.pets]
type = "rest"

[api.pets.route."GET /b/{id}"]
integration = { type = "mock" }
[api.pets.route."GET /a"]
integration = { type = "mock" }

[api.pets.stage.prod]

[domain."pets.test".map]
"/" = "pets:prod"
`))
	if cfg == nil || len(findings) > 0 {
		t.Fatal(findings.Text())
	}
	kinds := []proxy.Kind{{
		Name: "mock", Role: proxy.IntegrationKind,
		New: func(b proxy.Build, _ proxy.Options) (proxy.Steps, error) {
			return proxy.Steps{}, &config.KeyError{Path: []string{"type"}, Text: "no " + b.Route.Key}
		},
	}}
	_, findings = Compile(cfg, Options{Kinds: kinds})
	if len(findings) != 2 || findings[0].Line != 9 || findings[1].Line != 11 || findings[0].Column == 0 {
		t.Errorf("got %+v", findings)
	}
	s, findings := Compile(cfg, Options{Kinds: fixed()})
	if len(findings) > 0 {
		t.Fatal(findings.Text())
	}
	defer s.Close()
	if got := matched(s, request("GET", "pets.test", "/b/7")); got != "GET /b/{id} id=7" {
		t.Error(got)
	}
	if got := matched(s, request("GET", "pets.localhost", "/prod/a")); got != "GET /a" {
		t.Error(got)
	}
}

func TestCompileRouteKeys(t *testing.T) {
	f := func(keys string, want ...string) {
		t.Helper()
		s, findings := Compile(oneAPI(strings.Split(keys, ", ")...), Options{Kinds: fixed()})
		if (s == nil) != (len(findings) > 0) {
			t.Errorf("%s: snapshot %v with %d findings", keys, s != nil, len(findings))
		}
		if s != nil {
			s.Close()
		}
		got := findings
		if len(got) != len(want) {
			t.Errorf("%s: got %q, want %q", keys, found(got), want)
			return
		}
		for i := range got {
			if !strings.Contains(found(got)[i], want[i]) {
				t.Errorf("%s: got %q, want %q", keys, found(got)[i], want[i])
			}
		}
	}
	f("GET /, ANY /, GET /a-b_c.d/{e}/f:g/{h+}, POST /a~b/x@y")
	f("GET", "a verb, one space and a path")
	f("GET a", "a verb, one space and a path")
	f("GET  /a", "a verb, one space and a path")
	f("/a", "a verb, one space and a path")
	f("get /a", `no verb "get"`)
	f("TRACE /a", `no verb "TRACE"`)
	f("GET /a/", `write "GET /a"`)
	f("GET //", `write "GET `)
	f("GET /a//b", "empty segment")
	f("GET /a/*", "{proxy+}")
	f("GET /a/./b", "'.' or '..'")
	f("GET /a/..", "'.' or '..'")
	f("GET /a/%2e%2E", "'.' or '..'")
	f("GET /a%2Fb", "an encoded '/'")
	f("GET /a%zz", "two hex digits")
	f("GET /a b", "the character ' '")
	f("GET /café", "percent-encoded")
	f("GET /a{b}", "a whole segment")
	f("GET /{a}{b}", "the character '}'")
	f("GET /{}", "no name")
	f("GET /{+}", "no name")
	f("GET /{a b}", "the character ' '")
	f("GET /{a+}/b", "nothing can follow")
	f("GET /{a}/{a}", `two parameters called "a"`)
	f("GET /"+strings.Repeat("x", 257), "more than 256")
	// Clashes are found at the later key.
	f("GET /{a}, POST /{b}/c", "{b} stands where the route for /{a} has {a}")
	f("GET /x/{a+}, POST /x/{b+}", "{b} stands where")
	f("GET /x/{a}, POST /x/{b+}")
	f("GET /a, GET /%61", "the same verb and path")
	f("GET /{a}/c, GET /{a}/d, PUT /{a}")
}

func TestCompileDomainFindings(t *testing.T) {
	f := func(domain, basePath, target, want string) {
		t.Helper()
		cfg := oneAPI("GET /")
		cfg.Domain = map[string]config.Domain{
			"taken.test": {Map: map[string]string{"/": "a:s"}},
			domain:       {Map: map[string]string{basePath: target}},
		}
		s, findings := Compile(cfg, Options{Kinds: fixed()})
		if s != nil {
			s.Close()
		}
		if want == "" && len(findings) == 0 {
			return
		}
		if len(findings) != 1 || !strings.Contains(found(findings)[0], want) {
			t.Errorf("%s%s to %s: got %q, want %q", domain, basePath, target, found(findings), want)
		}
	}
	f("x.test", "/", "a:s", "")
	f("*.x.test", "/a/b", "a:s", "")
	f("localhost", "", "a:s", "")
	f("fe80::1", "", "a:s", "")
	f("x_y.test", "/$-_.+!*'()", "a:s", "")
	f("x.test", "/", "a", key("domain", "x.test", "map", "/")+`: "a" names no stage`)
	f("x.test", "/", "b:s", `no API "b" (APIs: a)`)
	f("x.test", "/", "a:t", `no stage "t" of API "a" (stages: s)`)
	f("x.test", "/a//b", "a:s", "can't be requested")
	f("x.test", "/a/../b", "a:s", "can't be requested")
	f("x.test", "/a%20b", "a:s", "the character '%'")
	f("Taken.TEST.", "/", "a:s", "the same name")
	f("x.*.test", "/", "a:s", "the whole first label")
	f("*", "/", "a:s", "the whole first label")
	f("*.*.test", "/", "a:s", "the whole first label")
	f("*x.test", "/", "a:s", "the whole first label")
	f("http://x.test", "/", "a:s", "without scheme, port and path")
	f("x.test:80", "/", "a:s", "without scheme, port and path")
	f("x..test", "/", "a:s", "1 to 63")
	f("", "/", "a:s", "1 to 63")
	f(strings.Repeat("x", 64)+".test", "/", "a:s", "1 to 63")
	f(strings.Repeat("x.", 130)+"test", "/", "a:s", "at most 253")

	cfg := oneAPI("GET /")
	cfg.Domain = map[string]config.Domain{"x.test": {Map: map[string]string{"a/b": "a:s", "/a/b/": "a:s"}}}
	if _, findings := Compile(cfg, Options{Kinds: fixed()}); len(findings) != 1 || !strings.Contains(findings[0].Text, "same base path") {
		t.Errorf("got %q", found(findings))
	}
}

func TestResourceIDs(t *testing.T) {
	var paths []string
	for i := range 5000 {
		paths = append(paths, fmt.Sprintf("/a/%d", i))
	}
	paths = append(paths, "/", "/")
	ids := resourceIDs("x", paths)
	if len(ids) != 5001 {
		t.Fatalf("%d ids", len(ids))
	}
	seen := map[string]string{}
	for path, id := range ids {
		length := 6
		if path == "/" {
			length = 10
		}
		if len(id) != length || strings.Trim(id, "0123456789abcdefghijklmnopqrstuvwxyz") != "" {
			t.Errorf("%s: id %q", path, id)
		}
		if other, taken := seen[id]; taken {
			t.Errorf("%s and %s: id %q", path, other, id)
		}
		seen[id] = path
	}
	// The same next time, whatever else there is; other ones in another API.
	if alone := resourceIDs("x", []string{"/a/7"}); alone["/a/7"] != ids["/a/7"] {
		t.Errorf("id %q alone, %q among others", alone["/a/7"], ids["/a/7"])
	}
	if other := resourceIDs("y", []string{"/a/7"}); other["/a/7"] == ids["/a/7"] {
		t.Errorf("two APIs share the id %q", ids["/a/7"])
	}
	// Written down, because clients and policies may hold on to it.
	if got := resourceIDs("petstore", []string{"/", "/pets/{id}"}); got["/"] != "u6wwjm3b3p" || got["/pets/{id}"] != "kmbmcz" {
		t.Errorf("ids changed: %q", got)
	}
}
