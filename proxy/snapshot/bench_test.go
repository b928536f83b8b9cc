package snapshot

import (
	"fmt"
	"testing"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// thousand is an API as a company has it: 1,000 routes.
func thousand() []string {
	nouns := []string{"pets", "orders", "users", "invoices", "carts", "items", "teams", "plans", "events", "files",
		"tokens", "groups", "regions", "prices", "stores", "ratings", "reviews", "images", "labels", "alerts",
		"tasks", "boards", "cards", "notes", "hooks"}
	var keys []string
	for _, version := range []string{"v1", "v2"} {
		for _, noun := range nouns {
			at := "/api/" + version + "/" + noun
			keys = append(keys,
				"GET "+at, "POST "+at, "HEAD "+at, "OPTIONS "+at,
				"GET "+at+"/search", "GET "+at+"/export/{format}",
				"GET "+at+"/{id}", "PUT "+at+"/{id}", "PATCH "+at+"/{id}", "DELETE "+at+"/{id}",
				"GET "+at+"/{id}/history", "GET "+at+"/{id}/members", "POST "+at+"/{id}/members",
				"DELETE "+at+"/{id}/members/{member}", "GET "+at+"/{id}/members/{member}/roles/{role}",
				"GET "+at+"/reports/daily/summary/latest", "POST "+at+"/reports/daily/summary/latest",
				"ANY "+at+"/files/{path+}", "ANY "+at+"/{id}/raw/{path+}", "OPTIONS "+at+"/{proxy+}")
		}
	}
	return keys
}

func BenchmarkMatch(b *testing.B) {
	keys := thousand()
	if len(keys) != 1000 {
		b.Fatalf("%d routes", len(keys))
	}
	cfg := oneAPI(keys...)
	cfg.Domain = map[string]config.Domain{
		"api.example.com": {Map: map[string]string{"/": "a:s", "shop": "a:s"}},
		"*.example.com":   {Map: map[string]string{"/": "a:s"}},
	}
	s := compiled(b, cfg)
	fields := []http1.Field{
		http1.NewField("Host", "api.example.com"), http1.NewField("User-Agent", "Mozilla/5.0"), http1.NewField("Accept", "*/*"),
		http1.NewField("Accept-Encoding", "gzip, br"), http1.NewField("Accept-Language", "en"), http1.NewField("Authorization", "Bearer x"),
		http1.NewField("Cookie", "a=b"), http1.NewField("X-Request-Id", "1"), http1.NewField("Cache-Control", "no-cache"), http1.NewField("Referer", "x"),
	}
	f := func(name, host, method, path, want string) {
		b.Run(name, func(b *testing.B) {
			ex := request(method, host, path, fields...)
			if got := matched(s, ex); got != want {
				b.Fatalf("got %q, want %q", got, want)
			}
			b.ReportAllocs()
			for b.Loop() {
				s.Match(ex)
			}
		})
	}
	f("literal", "api.example.com", "GET", "/api/v2/hooks", "GET /api/v2/hooks")
	f("literal-deep", "api.example.com", "GET", "/api/v1/stores/reports/daily/summary/latest", "GET /api/v1/stores/reports/daily/summary/latest")
	f("param", "api.example.com", "GET", "/api/v1/stores/8817", "GET /api/v1/stores/{id} id=8817")
	f("params", "api.example.com", "GET", "/api/v1/users/8817/members/314/roles/owner",
		"GET /api/v1/users/{id}/members/{member}/roles/{role} id=8817 member=314 role=owner")
	f("greedy", "api.example.com", "GET", "/api/v1/users/files/photos/2024/summer/beach-01.jpg",
		"ANY /api/v1/users/files/{path+} path=photos/2024/summer/beach-01.jpg")
	f("backtrack", "api.example.com", "OPTIONS", "/api/v1/users/8817/members/314/roles/owner",
		"OPTIONS /api/v1/users/{proxy+} proxy=8817/members/314/roles/owner")
	f("miss", "api.example.com", "GET", "/api/v1/users/8817/members/314/nothing", missing)
	f("miss-root", "api.example.com", "GET", "/wp-login.php", missing)
	f("default-host", "a.localhost", "GET", "/s/api/v1/stores/8817", "GET /api/v1/stores/{id} id=8817")
	f("wildcard", "www.example.com", "GET", "/api/v1/stores/8817", "GET /api/v1/stores/{id} id=8817")
	f("base-path", "api.example.com", "GET", "/shop/api/v1/stores/8817", "GET /api/v1/stores/{id} id=8817")
	f("escaped", "api.example.com", "GET", "/api/v1/%73tores/a%20b", "GET /api/v1/stores/{id} id=a%20b")
	f("refused", "api.example.com", "GET", "/api/v1/stores/../users", "BAD_REQUEST")
}

// Match promises not to allocate.
func TestMatchAllocates(t *testing.T) {
	s := compiled(t, oneAPI(thousand()...))
	for _, path := range []string{"/api/v1/users/1/members/2/roles/3", "/api/v1/users/files/x/y", "/api/v1/%75sers/1", "/none", "/..", "/a%2Fb"} {
		for _, method := range []string{"GET", "OPTIONS", "TRACE"} {
			ex := request(method, "a.localhost", "/s"+path, http1.NewField("X-HTTP-Method-Override", "delete"))
			s.Match(ex)
			if n := testing.AllocsPerRun(100, func() { s.Match(ex) }); n > 0 {
				t.Errorf("%s %s: %v allocations", method, path, n)
			}
		}
	}
}

// BenchmarkMatchLongPath shows that the time grows with the path's bytes only.
func BenchmarkMatchLongPath(b *testing.B) {
	var keys []string
	for depth := 1; depth <= 150; depth++ {
		path := ""
		for i := range depth {
			if i%2 == 0 {
				path += fmt.Sprintf("/{p%d}", i)
			} else {
				path += "/a"
			}
		}
		keys = append(keys, "GET "+path, "GET "+path+"/a")
	}
	s := compiled(b, oneAPI(slicesUnique(keys)...))
	for _, segments := range []int{50, 500, 5000} {
		b.Run(fmt.Sprint(segments), func(b *testing.B) {
			path := make([]byte, 0, 2*segments)
			for range segments {
				path = append(path, "/a"...)
			}
			ex := request("GET", "a.localhost", "/s"+string(path))
			b.ReportAllocs()
			for b.Loop() {
				s.Match(ex)
			}
		})
	}
}

func slicesUnique(keys []string) []string {
	seen := map[string]bool{}
	var unique []string
	for _, k := range keys {
		if !seen[k] {
			seen[k] = true
			unique = append(unique, k)
		}
	}
	return unique
}

func BenchmarkAcquire(b *testing.B) {
	s := compiled(b, oneAPI("GET /"))
	b.ReportAllocs()
	for b.Loop() {
		if s.Acquire() {
			s.Release()
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	cfg := oneAPI(thousand()...)
	b.ReportAllocs()
	for b.Loop() {
		s, _ := Compile(cfg, Options{Kinds: fixed()})
		s.Close()
	}
}
