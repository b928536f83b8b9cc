package snapshot

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/postern-gateway/postern/proxy/config"
)

// naiveMatch is the plain reading of AWS's rules: take every route that fits
// path and verb, and choose the best one by comparing patterns segment by
// segment. It returns what matched returns. path comes after the stage and is
// one that isn't refused.
func naiveMatch(keys []string, method, path string) string {
	for strings.HasPrefix(path, "//") {
		path = path[1:]
	}
	var sent []string // the segments of the request
	if rest := strings.TrimSuffix(strings.TrimPrefix(path, "/"), "/"); path != "/" && path != "" {
		sent = strings.Split(rest, "/")
	}
	best, bestParams := "", ""
	for _, key := range keys {
		verb, pattern, _ := strings.Cut(key, " ")
		seven := []string{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}
		if verb != method && (verb != "ANY" || !slices.Contains(seven, method)) {
			continue
		}
		params, ok := naiveFits(naiveSegments(pattern), sent)
		if ok && (best == "" || naiveBetter(key, best)) {
			best, bestParams = key, params
		}
	}
	if best == "" {
		return missing
	}
	return best + bestParams
}

func naiveSegments(pattern string) []string {
	if pattern == "/" {
		return nil
	}
	return strings.Split(pattern[1:], "/")
}

// naiveFits reports whether the segments sent fit pattern, and its parameters.
func naiveFits(pattern, sent []string) (params string, ok bool) {
	for i, p := range pattern {
		if strings.HasSuffix(p, "+}") {
			rest := strings.Join(sent[min(i, len(sent)):], "/")
			return fmt.Sprintf("%s %s=%s", params, p[1:len(p)-2], rest), rest != ""
		}
		if i >= len(sent) {
			return "", false
		}
		if strings.HasPrefix(p, "{") {
			if sent[i] == "" {
				return "", false
			}
			params += fmt.Sprintf(" %s=%s", p[1:len(p)-1], sent[i])
			continue
		}
		want, _ := url.PathUnescape(p)
		got, err := url.PathUnescape(sent[i])
		if err != nil || want != got {
			return "", false
		}
	}
	return params, len(pattern) == len(sent)
}

// naiveBetter reports whether key a beats key b; both fit the same request.
func naiveBetter(a, b string) bool {
	rank := func(segment string) int {
		switch {
		case strings.HasSuffix(segment, "+}"):
			return 2
		case strings.HasPrefix(segment, "{"):
			return 1
		}
		return 0
	}
	verbA, pathA, _ := strings.Cut(a, " ")
	verbB, pathB, _ := strings.Cut(b, " ")
	x, y := naiveSegments(pathA), naiveSegments(pathB)
	for i := range min(len(x), len(y)) {
		if rank(x[i]) != rank(y[i]) {
			return rank(x[i]) < rank(y[i])
		}
	}
	return verbA != "ANY" && verbB == "ANY"
}

// inventRoutes makes a route table from few words, so that routes collide.
func inventRoutes(r *rand.Rand) []string {
	literals := []string{"a", "b", "c", "a:b", "x~y", "d%20e"}
	verbs := []string{"GET", "POST", "OPTIONS", "HEAD", "ANY"}
	var keys []string
	for range 1 + r.IntN(24) {
		path := ""
		depth := r.IntN(6)
		for i := range depth {
			switch n := r.IntN(10); {
			case n < 5:
				path += "/" + literals[r.IntN(len(literals))]
			case n < 8:
				path += fmt.Sprintf("/{p%d}", i)
			case i == depth-1:
				path += fmt.Sprintf("/{g%d+}", i)
			default:
				path += "/a"
			}
		}
		if path == "" {
			path = "/"
		}
		key := verbs[r.IntN(len(verbs))] + " " + path
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// inventPath makes a path that often fits one of keys.
func inventPath(r *rand.Rand, keys []string) string {
	words := []string{"a", "b", "c", "a:b", "a%3Ab", "%61", "x~y", "x%7ey", "d%20e", "%64%20e", "", "zz", "a;v", "%2561"}
	pattern := keys[r.IntN(len(keys))]
	_, pattern, _ = strings.Cut(pattern, " ")
	path := ""
	for _, p := range naiveSegments(pattern) {
		if strings.HasPrefix(p, "{") || r.IntN(4) == 0 {
			p = words[r.IntN(len(words))]
		}
		path += "/" + p
	}
	for range r.IntN(3) {
		path += "/" + words[r.IntN(len(words))]
	}
	if r.IntN(4) == 0 {
		path += "/"
	}
	if r.IntN(8) == 0 {
		path = "/" + path
	}
	return path
}

// naivePlain is path without parameters of segments and doubled slashes.
func naivePlain(path string) string {
	var names []string
	for name := range strings.SplitSeq(path, "/") {
		if name, _, _ = strings.Cut(name, ";"); name != "" {
			names = append(names, name)
		}
	}
	plain := "/" + strings.Join(names, "/")
	if len(names) > 0 && strings.HasSuffix(path, "/") {
		plain += "/"
	}
	// What stands before the path is no matter of backends: the gateway itself drops it.
	if "/"+strings.TrimLeft(path, "/") == plain {
		return path
	}
	return plain
}

// routeOf is the route in what naiveMatch returns.
func routeOf(match string) string {
	words := strings.SplitN(match, " ", 3)
	return strings.Join(words[:min(len(words), 2)], " ")
}

// compare compiles keys and checks each path against naiveMatch.
func compare(t *testing.T, keys, methods, paths []string) {
	t.Helper()
	snapshots := map[string]*Snapshot{}
	for _, ambiguous := range []string{"pass", "judge", "refuse"} {
		cfg := oneAPI(keys...)
		api := cfg.API["a"]
		api.AmbiguousPaths = ambiguous
		cfg.API["a"] = api
		s, findings := Compile(cfg, Options{Kinds: fixed()})
		if len(findings) > 0 {
			t.Fatalf("%q:\n%s", keys, findings.Text())
		}
		defer s.Close()
		snapshots[ambiguous] = s
	}
	for _, path := range paths {
		if _, why := checkPath("/s" + path); why != acceptable || path != "" && path[0] != '/' {
			continue
		}
		if v, _ := checkPath("/s" + path); v.separators {
			continue
		}
		for _, method := range methods {
			want := map[string]string{"pass": naiveMatch(keys, method, path)}
			want["judge"], want["refuse"] = want["pass"], want["pass"]
			if plain := naivePlain(path); plain != path && want["pass"] != missing {
				want["refuse"] = "BAD_REQUEST"
				if routeOf(naiveMatch(keys, method, plain)) != routeOf(want["pass"]) {
					want["judge"] = "BAD_REQUEST"
				}
			}
			for ambiguous, s := range snapshots {
				if got := matched(s, request(method, "a.localhost", "/s"+path)); got != want[ambiguous] {
					t.Fatalf("%s, %s %s to %q: got %q, want %q", ambiguous, method, path, keys, got, want[ambiguous])
				}
			}
		}
	}
}

func TestMatchIsNaiveMatch(t *testing.T) {
	hits := 0
	for seed := range uint64(1500) {
		r := rand.New(rand.NewPCG(seed, 1))
		keys := inventRoutes(r)
		var paths []string
		for range 30 {
			paths = append(paths, inventPath(r, keys))
			if naiveMatch(keys, "GET", paths[len(paths)-1]) != missing {
				hits++
			}
		}
		compare(t, keys, []string{"GET", "POST", "HEAD", "DELETE", "TRACE"}, paths)
	}
	if hits < 10000 {
		t.Errorf("only %d of the invented paths meet a route", hits)
	}
}

// FuzzMatch looks for a path that the tree and the naive matcher see differently.
func FuzzMatch(f *testing.F) {
	f.Add(uint64(1), "GET", "/a/b/c")
	f.Add(uint64(2), "OPTIONS", "//a//b/")
	f.Add(uint64(3), "POST", "/%61/x%7Ey;v=1/")
	f.Add(uint64(4), "PUT", "/a/%2e/b")
	f.Fuzz(func(t *testing.T, seed uint64, method, path string) {
		r := rand.New(rand.NewPCG(seed, 1))
		keys := inventRoutes(r)
		paths := []string{path, inventPath(r, keys), inventPath(r, keys) + path}
		compare(t, keys, []string{method}, paths)
	})
}

// FuzzCheckPath looks for a path that passes the check although a reader who
// decodes it once, or takes backslashes for slashes, or cuts parameters, would
// climb; and for one whose escapes are wrong.
func FuzzCheckPath(f *testing.F) {
	for _, path := range []string{"/a/../b", "/%2e%2e/b", "/..;/b", "/a%2F..%5cb", "/%", "/a.b/...", "/..%3b"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		path = "/" + path
		view, why := checkPath(path)
		decoded, err := url.PathUnescape(path)
		if err != nil {
			if why == acceptable {
				t.Fatalf("%q passed: %v", path, err)
			}
			return
		}
		reader := strings.ReplaceAll(decoded, `\`, "/")
		dots := false
		for segment := range strings.SplitSeq(reader, "/") {
			segment, _, _ = strings.Cut(segment, ";")
			dots = dots || segment == "." || segment == ".."
		}
		raw := strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`\?#`, r) })
		if bad := dots || raw || strings.Contains(decoded, "\x00"); bad != (why != acceptable) {
			t.Fatalf("%q: refused as %v, want refused %v", path, why, bad)
		}
		if why != acceptable {
			return
		}
		separators := strings.Count(decoded, "/")+strings.Count(decoded, `\`)+strings.Count(decoded, ";") >
			strings.Count(path, "/")+strings.Count(path, ";")
		if view.separators != separators || view.escaped != strings.Contains(path, "%") {
			t.Fatalf("%q: %+v, separators %v", path, view, separators)
		}
	})
}

// FuzzRouteKey checks that a key is either refused or matches what it says.
func FuzzRouteKey(f *testing.F) {
	for _, key := range []string{"GET /a/{b}/c", "ANY /{p+}", "POST /", "GET /a%20b", "get /a", "GET /a/"} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		s, findings := Compile(oneAPI(key), Options{Kinds: fixed()})
		if len(findings) > 0 {
			return
		}
		defer s.Close()
		verb, path, _ := strings.Cut(key, " ")
		if verb == "ANY" {
			verb = "PUT"
		}
		var segments []string
		for _, p := range naiveSegments(path) {
			if strings.HasPrefix(p, "{") {
				p = "value"
			}
			segments = append(segments, p)
		}
		ex := request(verb, "a.localhost", "/s/"+strings.Join(segments, "/"))
		if fault, ok := s.Match(ex); !ok || ex.Route.Key != key {
			t.Fatalf("%q: %v", key, fault)
		}
	})
}

// A route table with every collision that a search can meet: all combinations
// of {param} and literal in eight segments, so that a path fits 256 routes.
func TestMatchSearchIsBounded(t *testing.T) {
	var keys []string
	for bits := range 256 {
		key := "GET "
		for i := range 8 {
			if bits>>i&1 == 0 {
				key += "/a"
			} else {
				key += fmt.Sprintf("/{p%d}", i)
			}
		}
		keys = append(keys, key)
	}
	keys = append(keys, "POST /{rest+}")
	for i := 1; i < 44; i++ { // and a deep chain of both
		key := "GET "
		for j := range i {
			if j%2 == 0 {
				key += "/a"
			} else {
				key += fmt.Sprintf("/{p%d}", j)
			}
		}
		keys = append(keys, key)
	}
	s := compiled(t, oneAPI(keys...))
	nodes := 0
	var count func(n *node)
	count = func(n *node) {
		nodes++
		n.literals.each(count)
		if n.param != nil {
			count(n.param)
		}
	}
	st := s.hosts.exact["a.localhost"].stages.find("s").stage
	count(st.root)
	for _, path := range []string{
		strings.Repeat("/a", 5000),
		strings.Repeat("/a", 8) + "/x",
		strings.Repeat("/a/b", 21) + "/x/y",
		strings.Repeat("/%61", 5000),
		"/" + strings.Repeat("/", 5000),
	} {
		got := matched(s, request("GET", "a.localhost", "/s"+path))
		if want := naiveMatch(keys, "GET", path); got != want {
			t.Errorf("%.40s…: got %q, want %q", path, got, want)
		}
		if visits := visited(st.root, path); visits > nodes {
			t.Errorf("%.40s…: %d visits of %d nodes", path, visits, nodes)
		}
	}
}

// visited counts the nodes that a search without any pruning meets.
func visited(n *node, path string) int {
	if n == nil {
		return 0
	}
	count := 1
	_, path, found := strings.Cut(path, "/")
	if !found {
		return count
	}
	segment, _, _ := strings.Cut(path, "/")
	return count + visited(n.literals.findEscaped(segment), path[len(segment):]) + visited(n.param, path[len(segment):])
}

// Nobody can make a resource so deep that a search's stack matters.
func TestRouteKeyDepth(t *testing.T) {
	if _, findings := Compile(oneAPI("GET "+strings.Repeat("/a", maxSegments)), Options{Kinds: fixed()}); len(findings) > 0 {
		t.Error(findings.Text())
	}
	if s, findings := Compile(oneAPI("GET "+strings.Repeat("/a", maxSegments+1)), Options{Kinds: fixed()}); len(findings) != 1 {
		t.Errorf("%v, %d findings", s, len(findings))
	}
}

// The domains' tree agrees with comparing every base path.
func TestMatchBasePathIsNaive(t *testing.T) {
	words := []string{"a", "b", "c", "v1"}
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		cfg := oneAPI("ANY /", "ANY /{p+}")
		basePaths := map[string]string{}
		for range 1 + r.IntN(12) {
			path := ""
			for range r.IntN(4) {
				path += "/" + words[r.IntN(len(words))]
			}
			basePaths[strings.Trim(path, "/")] = "a:s"
		}
		cfg.Domain = map[string]config.Domain{"d.test": {Map: basePaths}}
		s := compiled(t, cfg)
		for range 50 {
			path := ""
			for range 1 + r.IntN(5) {
				path += "/" + words[r.IntN(len(words))]
			}
			want, found := "", false
			for basePath := range basePaths {
				if basePath == "" || path == "/"+basePath || strings.HasPrefix(path, "/"+basePath+"/") {
					found = true
					if len(basePath) > len(want) {
						want = basePath
					}
				}
			}
			ex := request("GET", "d.test", path)
			if _, ok := s.Match(ex); ok != found || ex.Domain.BasePath != want {
				t.Fatalf("%s to %v: got %v %q, want %v %q", path, basePaths, ok, ex.Domain.BasePath, found, want)
			}
		}
	}
}
