package proxytest

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/postern-gateway/postern/builtins"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/event"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/snapshot"
)

const agreeing = `
[listen.public]
address = "127.0.0.1:0"
[api.a]
type = "rest"
[api.a.route."ANY /"]
integration = { type = "http_proxy", url = "http://backend.test/root" }
[api.a.route."ANY /open/{proxy+}"]
integration = { type = "http_proxy", url = "http://backend.test/b/open/{proxy}" }
[api.a.route."ANY /admin/{proxy+}"]
integration = { type = "http_proxy", url = "http://backend.test/b/admin/{proxy}" }
[api.a.route."GET /pets/{id}"]
integration = { type = "http_proxy", url = "http://backend.test/b/pets/{id}" }
[api.a.stage.s]
[domain."api.test".map]
"/" = "a:s"
`

// mute is a backend that takes requests and answers nothing of interest.
type mute struct{}

func (mute) Send(_ context.Context, ex *proxy.Exchange) error {
	ex.Back.Status = 204
	return nil
}

// The parser, the matcher, what a backend gets and what a function gets have one
// view of a request, and it is the one that Go's net/url has: no target leads to
// one route here and to the resource of another one elsewhere.
func FuzzAgree(f *testing.F) {
	cfg, findings := config.Parse("postern.toml", []byte(agreeing))
	if findings.Failed() {
		f.Fatal(findings.Text())
	}
	snap, findings := snapshot.Compile(cfg, snapshot.Options{
		Kinds:   builtins.Kinds(builtins.Options{}),
		Backend: func(string, *config.Backend) (proxy.Backend, error) { return mute{}, nil },
	})
	if findings.Failed() {
		f.Fatal(findings.Text())
	}
	for _, target := range []string{
		"/open/x", "/admin/x", "/pets/1", "/", "//open/x", "/open//x", "/open/x/", "/open/%2e%2e/admin/x", "/open/../admin/x",
		"/open/..;/admin", "/%61dmin/x", "/open/a%2fb", "/open/%5c..%5cadmin", "/open/x?y=1&y=2;z", "/pets/a;b=c", "/pets/%E2%82%AC",
		"http://api.test/admin/x", "/open/x%3Fy", "/open/%00", "/open/x?/../admin", "/ADMIN/x", "/open/%zz", "/pets/%2561",
	} {
		f.Add(target, "api.test", "X-Forwarded-Prefix", "/admin")
		f.Add(target, "API.test:80", "X_Original_URL", "/admin")
	}
	f.Fuzz(func(t *testing.T, target, host, name, value string) {
		raw := "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n" + name + ": " + value + "\r\n\r\n"
		var r http1.Request
		if n, err := r.Parse([]byte(raw), nil); err != nil || n != len(raw) || r.Target != target {
			return // refused, or the input made another request of it
		}
		ex := parsed(t, &r)
		if ex == nil {
			return
		}
		if _, ok := snap.Match(ex); !ok {
			return
		}
		ex.Route.Pipeline.Run(context.Background(), ex, 1<<20)
		if ex.Fault != nil {
			t.Fatalf("%q: %v", target, ex.Fault)
		}
		agree(t, ex, target)
	})
}

// parsed makes an exchange of r as the server does; nil for what it refuses.
func parsed(t *testing.T, r *http1.Request) *proxy.Exchange {
	t.Helper()
	target, err := http1.ParseTarget(r.Method, r.Target)
	if err != nil {
		return nil
	}
	host, port, err := http1.ParseHost(r.Host)
	if err != nil {
		return nil
	}
	ex := new(proxy.Exchange)
	ex.Begin(time.Now(), nil)
	in := &ex.In
	in.Method, in.Scheme, in.Proto, in.Fields = r.Method, "http", "HTTP/1.1", r.Fields
	in.Host, in.Port, in.Path, in.RawQuery, in.HasQuery = host, port, target.Path, target.RawQuery, target.HasQuery
	return ex
}

// agree compares what everybody made of the target.
func agree(t *testing.T, ex *proxy.Exchange, target string) {
	t.Helper()
	client, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatalf("%q was routed, and net/url can't read it: %v", target, err)
	}
	backend, err := url.ParseRequestURI(ex.Out.Target)
	if err != nil {
		t.Fatalf("%q: the backend gets %q, and net/url can't read it: %v", target, ex.Out.Target, err)
	}
	path := "/" + strings.TrimLeft(client.Path, "/")
	want := "/b" + path
	if path == "/" {
		want = "/root"
	}
	// A slash at the end passes to a backend where the route takes the rest.
	if got := backend.Path; got != want && got != strings.TrimSuffix(want, "/") {
		t.Errorf("%q: the backend's path is %q, want %q", target, got, want)
	}
	if backend.RawQuery != client.RawQuery {
		t.Errorf("%q: the backend's query is %q, want %q", target, backend.RawQuery, client.RawQuery)
	}
	for _, segment := range strings.Split(backend.Path, "/") {
		if segment == "." || segment == ".." || strings.ContainsAny(segment, "\\\x00") {
			t.Errorf("%q: the backend gets the segment %q", target, segment)
		}
	}
	first, _, _ := strings.Cut(path[1:], "/")
	if resource := ex.Route.Resource; resource != "/" && !strings.HasPrefix(resource, "/"+first+"/") {
		t.Errorf("%q: routed to %s", target, resource)
	}
	var document struct{ Path, Resource string }
	if err := json.Unmarshal(event.AppendRequest(nil, ex), &document); err != nil {
		t.Fatalf("%q: event: %v", target, err)
	}
	decoded, err := url.PathUnescape(document.Path)
	if err != nil || "/"+strings.TrimLeft(decoded, "/") != path && isText(path) {
		t.Errorf("%q: the event's path is %q, %v, want %q", target, document.Path, err, path)
	}
	for _, f := range ex.Out.Fields {
		if lower := strings.ReplaceAll(strings.ToLower(f.Name), "_", "-"); strings.HasPrefix(lower, "x-forwarded-") && f.Known() == http1.Other {
			t.Errorf("%q: the backend gets the client's %s", target, f.Name)
		}
	}
}

// isText reports whether s is valid UTF-8; JSON can't carry anything else.
func isText(s string) bool { return strings.ToValidUTF8(s, "") == s }
