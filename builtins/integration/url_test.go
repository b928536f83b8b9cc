package integration

import (
	"strings"
	"testing"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

func TestURLErrors(t *testing.T) {
	f := func(url, want string) {
		t.Helper()
		s := newSetup(t, HTTPProxy(), "/pets/{id}/{rest+}", config.Integration{URL: url}, nil)
		_, err := s.steps()
		wantErrors(t, err, "url: "+want)
	}
	f("", "needs a url | http://")
	f("127.0.0.1:9000/x", "isn't absolute | http://")
	f("//backend/x", "isn't absolute | http://")
	f("ftp://backend/", `scheme "ftp" | http or https`)
	f("wss://backend/", `scheme "wss" | "https"`)
	f("http://", `no host | backend.internal`)
	f("http:///x", `no host | `)
	f("http://:80/", `no host | `)
	f("http://a b/", `no host | `)
	f("http://a_b,c/", `no host | `)
	f("http://[::1/", `no host | `)
	f("http://host:0/", `"0" isn't a port | 1 to 65535`)
	f("http://host:65536/", `isn't a port | 1 to 65535`)
	f("http://host:abc/", `no host | `)
	f("http://host:/", `":" without a port | `)
	f("http://user:secret@host/", "user name or password | Authorization")
	f("http://host/a#b", "fragment | %23")
	f("http://{id}.example/", "can't choose the host | ${stageVariables.name}")
	f("http://host/{id", `"{" without "}" | {name}`)
	f("http://host/{}", `no path parameter "" | {id}, {rest}`)
	f("http://host/{nobody}", `no path parameter "nobody" | {id}, {rest}`)
	f("http://host/{rest+}", `no path parameter "rest+" | write {rest}`)
	f("http://host/?x={nobody}", `no path parameter "nobody" | {id}, {rest}`)
	f("http://host/a b", `the path holds " " | write %20`)
	f("http://host/a}b", `the path holds "}" | write %7D`)
	f("http://host/?a|b", `the query string holds "|" | write %7C`)
	f("http://host/%zz", `the path holds "%" | write %25`)
	f("http://host/a/../b", `".." | the path that it leads to`)
	f("http://host/%2e/b", `"." | `)
	f("http://host/.", `"." | `)
	f("http://${stageVariables.hots}/", `stage "dev" has no variable "hots" | all, empty, host, v`)
	f("http://${stageVariables.empty}/", `no host | `)
	f("http://host/${context.path}", "stage variables only | ${stageVariables.name}")
	f("http://host/${stageVariables.}", "stage variables only | ")
	f("http://host/${stageVariables.v", `"${" without "}" | `)
}

// A variable's value can't bring in what AWS doesn't allow in one.
func TestURLVariableCharacters(t *testing.T) {
	s := newSetup(t, HTTPProxy(), "/", config.Integration{URL: "http://${stageVariables.v}/"}, nil)
	for value, want := range map[string]string{
		"user@evil":  `variable "v" holds "@"`,
		"a{id}":      `variable "v" holds "{"`,
		"a\r\nX: 1":  `variable "v" holds "\r"`,
		"host#x":     "fragment",
		"a%2e%2e%2f": `variable "v" holds "%"`,
	} {
		s.route.Stage.Variables["v"] = value
		_, err := s.steps()
		wantErrors(t, err, "url: "+want)
	}
}

func TestURLHost(t *testing.T) {
	f := func(url, origin, host string) {
		t.Helper()
		s := newSetup(t, HTTPProxy(), "/", config.Integration{URL: url}, nil).compile()
		s.do("GET /")
		if s.backend.url != origin || s.backend.sent.Host != host {
			t.Errorf("%s: backend %q with Host %q, want %q with %q", url, s.backend.url, s.backend.sent.Host, origin, host)
		}
	}
	f("http://127.0.0.1:9000/", "http://127.0.0.1:9000", "127.0.0.1:9000")
	f("HTTPS://Backend.Internal", "https://backend.internal", "backend.internal")
	f("http://[::1]:9000/", "http://[::1]:9000", "[::1]:9000")
	f("http://[::1]/", "http://[::1]", "[::1]")
	// The scheme's own port isn't sent.
	f("http://backend:80/x", "http://backend:80", "backend")
	f("https://backend:443/x", "https://backend:443", "backend")
	f("https://backend:80/x", "https://backend:80", "backend:80")
	// Stage variables: part of the host, host and port, everything.
	f("http://${stageVariables.v}.example/", "http://v2.example", "v2.example")
	f("https://${stageVariables.host}/x", "https://vars.example:8443", "vars.example:8443")
	f("https://${stageVariables.all}", "https://example.com", "example.com")
}

func TestURLTarget(t *testing.T) {
	f := func(resource, url, request string, params []proxy.Param, want string) {
		t.Helper()
		s := newSetup(t, HTTPProxy(), resource, config.Integration{URL: url}, nil).compile()
		ex := s.begin(&proxy.Exchange{}, request)
		ex.Params = append(ex.Params, params...)
		s.run(ex)
		if ex.Fault != nil {
			t.Fatalf("%s: %v", request, *ex.Fault)
		}
		if got := s.backend.sent.Target; got != want {
			t.Errorf("%s to %s: got %q, want %q", request, url, got, want)
		}
	}
	one := func(value string) []proxy.Param { return []proxy.Param{{Name: "id", Value: value}} }
	rest := func(value string) []proxy.Param { return []proxy.Param{{Name: "proxy", Value: value}} }

	f("/", "http://h", "GET /", nil, "/")
	f("/", "http://h/", "GET /", nil, "/")
	f("/", "http://h/a/b", "GET /", nil, "/a/b")
	f("/pets/{id}", "http://h/p/{id}/x", "GET /pets/7", one("7"), "/p/7/x")
	f("/pets/{id}", "http://h/p/{id}/{id}", "GET /pets/7", one("7"), "/p/7/7")
	f("/pets/{id}", "http://h/${stageVariables.v}/{id}", "GET /pets/7", one("7"), "/v2/7")
	f("/", "http://${stageVariables.all}", "GET /?y=2", nil, "/deep?x=1&y=2")
	f("/", "http://h/${stageVariables.empty}", "GET /", nil, "/")

	// Raw as they came: AWS's recorded paths.
	f("/{proxy+}", "http://h/{proxy}", "GET /proxy-value", rest("proxy-value"), "/proxy-value")
	f("/{proxy+}", "http://h/{proxy}", "GET /proxy-value//double-slash", rest("proxy-value//double-slash"), "/proxy-value//double-slash")
	f("/{proxy+}", "http://h/{proxy}", "GET /x/test%2Balias@h/plus/test+alias@h", rest("x/test%2Balias@h/plus/test+alias@h"), "/x/test%2Balias@h/plus/test+alias@h")
	f("/pets/{id}", "http://h/{id}", "GET /pets/a%20b%25", one("a%20b%25"), "/a%20b%25")
	f("/pets/{id}", "http://h/{id}", "GET /pets/a;v=1", one("a;v=1"), "/a;v=1")
	// The matcher cut the slash off; the backend sees what the client sent.
	f("/{proxy+}", "http://h/{proxy}", "GET /dir/", rest("dir"), "/dir/")
	f("/{proxy+}", "http://h/x/{proxy}?a=b", "GET /dir/?c", rest("dir"), "/x/dir/?a=b&c")
	f("/{proxy+}", "http://h/{proxy}", "GET /dir//", rest("dir/"), "/dir//")
	f("/{proxy+}", "http://h/{proxy}", "GET /dir/", rest("dir/"), "/dir/")
	f("/{proxy+}", "http://h/{proxy}/end", "GET /dir/", rest("dir"), "/dir/end")
	f("/pets/{id}", "http://h/{id}", "GET /pets/7/", one("7"), "/7")

	// Query strings: the URL's own, then the client's as it came.
	f("/", "http://h/a", "GET /?x=1&x=%20+;y", nil, "/a?x=1&x=%20+;y")
	f("/", "http://h/a?k=v", "GET /?x=1", nil, "/a?k=v&x=1")
	f("/", "http://h/a?k=v", "GET /", nil, "/a?k=v")
	f("/", "http://h/a?k=v", "GET /?", nil, "/a?k=v")
	f("/", "http://h/a", "GET /?", nil, "/a?")
	f("/pets/{id}", "http://h/a?pet={id}&z", "GET /pets/7?x", one("7"), "/a?pet=7&z&x")
	// A path may hold what would be a further parameter in a query string.
	f("/pets/{id}", "http://h/?pet={id}", "GET /pets/x", one("7&admin=1;a+b%26"), "/?pet=7%26admin%3D1%3Ba%2Bb%26")
}

// What the matcher promises to stop doesn't get through here either.
func TestURLParameterAsserted(t *testing.T) {
	f := func(resource, url string, params ...proxy.Param) {
		t.Helper()
		s := newSetup(t, HTTPProxy(), resource, config.Integration{URL: url}, nil).compile()
		ex := s.begin(&proxy.Exchange{}, "GET /x")
		ex.Params = append(ex.Params, params...)
		s.run(ex)
		if ex.Fault == nil || s.backend.sent.Target != "" {
			t.Errorf("%s with %v: sent %q", url, params, s.backend.sent.Target)
		}
	}
	id := func(value string) proxy.Param { return proxy.Param{Name: "id", Value: value} }
	for _, value := range []string{"a/b", "..", ".", "%2e%2E", "..;x", "..%2Fx", "a%2f..", "x y", "x\r\ny", "x?y", "x#y", `..\x`, "\x80"} {
		f("/{id}", "http://h/a/{id}/b", id(value))
	}
	for _, value := range []string{"a/../b", "../b", "b/..", "b/%2e%2e/c", "b/..;/c"} {
		f("/{id+}", "http://h/{id}", id(value))
	}
	// Harmless alone, but not together.
	f("/{id}/{b}", "http://h/x/{id}{b}/y", id("."), proxy.Param{Name: "b", Value: "."})
	f("/{id}", "http://h/x/.{id}", id("."))
	// The matcher forgot one.
	f("/{id}", "http://h/{id}")
	f("/{id}", "http://h/?q={id}")
}

func FuzzTarget(f *testing.F) {
	f.Add("a", "b/c")
	f.Add("..", ".%2e")
	f.Add("%2", "a/..;x/")
	f.Fuzz(func(t *testing.T, id, rest string) {
		s := newSetup(t, HTTPProxy(), "/{id}/{rest+}", config.Integration{URL: "http://h/a/{id}/b/{rest}?q={id}"}, nil).compile()
		ex := s.begin(&proxy.Exchange{}, "GET /x")
		ex.Params = append(ex.Params, proxy.Param{Name: "id", Value: id}, proxy.Param{Name: "rest", Value: rest})
		s.run(ex)
		if ex.Fault != nil {
			return
		}
		path, query, _ := strings.Cut(s.backend.sent.Target, "?")
		if strings.Count(path, "/") != 4+strings.Count(rest, "/") {
			t.Errorf("%q, %q: path %q has another structure", id, rest, path)
		}
		for segment := range strings.SplitSeq(path, "/") {
			if segment == "." || segment == ".." {
				t.Errorf("%q, %q: path %q climbs", id, rest, path)
			}
		}
		if !strings.HasPrefix(path, "/a/"+id+"/b/"+rest) || strings.ContainsAny(query, "&+; \r\n#") {
			t.Errorf("%q, %q: target %q", id, rest, s.backend.sent.Target)
		}
	})
}
