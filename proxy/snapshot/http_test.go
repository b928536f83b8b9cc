package snapshot

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/postern-gateway/postern/proxy/config"
)

// oneHTTPAPI is oneAPI of type http.
func oneHTTPAPI(keys ...string) *config.Config {
	cfg := oneAPI(keys...)
	api := cfg.API["a"]
	api.Type = config.HTTPType
	cfg.API["a"] = api
	return cfg
}

const notFound = "RESOURCE_NOT_FOUND"

// naiveHTTPMatch is the plain reading of AWS's rules for HTTP APIs: of all routes that fit,
// one with the whole path, else the longest greedy one, else $default.
func naiveHTTPMatch(keys []string, method, path string) string {
	var whole, greedy []string
	depth := 0
	for _, key := range keys {
		switch _, pattern, _ := strings.Cut(key, " "); {
		case key == config.DefaultName, naiveMatch([]string{key}, method, path) == missing:
		case !strings.HasSuffix(pattern, "+}"):
			whole = append(whole, key)
		case len(naiveSegments(pattern)) > depth:
			greedy, depth = []string{key}, len(naiveSegments(pattern))
		case len(naiveSegments(pattern)) == depth:
			greedy = append(greedy, key)
		}
	}
	switch {
	case len(whole) > 0:
		return naiveMatch(whole, method, path)
	case len(greedy) > 0:
		return naiveMatch(greedy, method, path)
	case slices.Contains(keys, config.DefaultName) && naiveMatch([]string{"ANY /", "ANY /{x+}"}, method, "/x") != missing:
		return config.DefaultName
	}
	return notFound
}

func compareHTTP(t *testing.T, keys, methods, paths []string) {
	t.Helper()
	cfg := oneHTTPAPI(keys...)
	api := cfg.API["a"]
	api.AmbiguousPaths = config.PassAmbiguous
	cfg.API["a"] = api
	s, findings := Compile(cfg, Options{Kinds: fixed()})
	if len(findings) > 0 {
		t.Fatalf("%q:\n%s", keys, findings.Text())
	}
	defer s.Close()
	for _, path := range paths {
		if v, why := checkPath("/s" + path); why != acceptable || v.separators || path != "" && path[0] != '/' {
			continue
		}
		for _, method := range methods {
			if got, want := matched(s, request(method, "a.localhost", "/s"+path)), naiveHTTPMatch(keys, method, path); got != want {
				t.Fatalf("%s %s to %q: got %q, want %q", method, path, keys, got, want)
			}
		}
	}
}

func TestHTTPMatchIsNaiveMatch(t *testing.T) {
	hits, greedy := 0, 0
	for seed := range uint64(1500) {
		r := rand.New(rand.NewPCG(seed, 2))
		keys := inventRoutes(r)
		var paths []string
		for range 30 {
			paths = append(paths, inventPath(r, keys))
		}
		if r.IntN(2) == 0 {
			keys = append(keys, config.DefaultName)
		}
		for _, path := range paths {
			if match := naiveHTTPMatch(keys, "GET", path); match != notFound && match != config.DefaultName {
				hits++
				if strings.Contains(match, "+}") {
					greedy++
				}
			}
		}
		compareHTTP(t, keys, []string{"GET", "POST", "HEAD", "DELETE", "TRACE"}, paths)
	}
	if hits < 10000 || greedy < 1000 {
		t.Errorf("only %d of the invented paths meet a route, %d a greedy one", hits, greedy)
	}
}

// FuzzHTTPMatch looks for a path that the tree and the naive matcher see differently.
func FuzzHTTPMatch(f *testing.F) {
	f.Add(uint64(1), "GET", "/a/b/c")
	f.Add(uint64(2), "OPTIONS", "//a//b/")
	f.Add(uint64(3), "POST", "/%61/x%7Ey;v=1/")
	f.Fuzz(func(t *testing.T, seed uint64, method, path string) {
		r := rand.New(rand.NewPCG(seed, 2))
		keys := inventRoutes(r)
		paths := []string{path, inventPath(r, keys), inventPath(r, keys) + path}
		if seed%2 == 0 {
			keys = append(keys, config.DefaultName)
		}
		compareHTTP(t, keys, []string{method}, paths)
	})
}

// Each route has names of its own for the parameters of a path.
func TestHTTPNames(t *testing.T) {
	s := compiled(t, oneHTTPAPI("GET /{a}/x/{b}", "PUT /{c}/x/{d+}", "GET /{e}/y"))
	f := func(method, path, want string) {
		t.Helper()
		if got := matched(s, request(method, "a.localhost", "/s"+path)); got != want {
			t.Errorf("%s %s: got %q, want %q", method, path, got, want)
		}
	}
	f("GET", "/1/x/2", "GET /{a}/x/{b} a=1 b=2")
	f("PUT", "/1/x/2/3", "PUT /{c}/x/{d+} c=1 d=2/3")
	f("GET", "/1/y", "GET /{e}/y e=1")
	if _, findings := Compile(oneHTTPAPI("GET /{a}", "GET /{b}"), Options{Kinds: fixed()}); !findings.Failed() {
		t.Error("two routes for one path and verb")
	}
}

// The stage that is in no path takes what no other takes; its own name means nothing.
func TestDefaultStage(t *testing.T) {
	cfg := oneHTTPAPI("GET /x", "GET /s/x")
	cfg.API["a"].Stage[config.DefaultName] = config.Stage{}
	s := compiled(t, cfg)
	f := func(path, stage, want string) {
		t.Helper()
		ex := request("GET", "a.localhost", path)
		if got := matched(s, ex); got != want || ex.Stage == nil || ex.Stage.Name != stage {
			t.Errorf("%s: got %q in %v, want %q in %q", path, got, ex.Stage, want, stage)
		}
	}
	f("/s/x", "s", "GET /x")
	f("/s/s/x", "s", "GET /s/x")
	f("/x", config.DefaultName, "GET /x")
	f("/$default/x", config.DefaultName, notFound)
	ex := request("GET", "", "/x")
	if _, ok, _ := s.Pick(ex, "a", config.DefaultName); !ok || ex.FullPath != "/x" || !ex.HTTP {
		t.Errorf("picked %v with the path %s", ok, ex.FullPath)
	}
}

func BenchmarkHTTPMatch(b *testing.B) {
	s := compiled(b, oneHTTPAPI(append(thousand(), config.DefaultName)...))
	f := func(name, path, want string) {
		b.Run(name, func(b *testing.B) {
			ex := request("GET", "a.localhost", "/s"+path)
			if got := matched(s, ex); got != want {
				b.Fatalf("got %q, want %q", got, want)
			}
			b.ReportAllocs()
			for b.Loop() {
				s.Match(ex)
			}
		})
	}
	f("literal", "/api/v2/hooks", "GET /api/v2/hooks")
	f("params", "/api/v1/users/8817/members/314/roles/owner", "GET /api/v1/users/{id}/members/{member}/roles/{role} id=8817 member=314 role=owner")
	f("greedy", "/api/v1/users/files/photos/2024/summer/beach-01.jpg", "ANY /api/v1/users/files/{path+} path=photos/2024/summer/beach-01.jpg")
	f("default", "/wp-login.php", config.DefaultName)
}
