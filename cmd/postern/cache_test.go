package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/postern-gateway/postern/proxy/control"
)

// The cache's commands ask the gateway that runs, and its answers outlive a reload that
// changes nothing of the API.
func TestCacheCommands(t *testing.T) {
	var calls atomic.Int64
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, calls.Add(1))
	}))
	defer backend.Close()
	file := write(t, fmt.Sprintf(`
[listen.public]
address = "127.0.0.1:0"
[drain]
timeout = "1s"
[api.hello]
type = "rest"
[api.hello.route."GET /v"]
integration = { type = "http_proxy", url = "%s/" }
[api.hello.stage.prod]
cache = { size = "2MiB" }
`, backend.URL))
	if code, _, errs := shell(t, file, "cache"); code != exitFailed || !strings.Contains(errs, "no gateway answers there") {
		t.Errorf("without a gateway: exit code %d: %s", code, errs)
	}
	g := start(t, file)
	g.ready()
	want := func(text string) {
		t.Helper()
		if status, got := g.get("/v"); status != 200 || got != text {
			t.Errorf("got %d %q, want %q", status, got, text)
		}
	}
	want("1")
	want("1")
	var all struct{ Caches []control.Cache }
	must(t, file, &all, "cache")
	if c := all.Caches; len(c) != 1 || c[0].Hits != 1 || c[0].Misses != 1 || c[0].Size != 2<<20 || c[0].Used < 270 {
		t.Errorf("caches: %+v", c)
	}
	must(t, file, &all, "cache", "flush", "hello", "--stage", "prod")
	if c := all.Caches; len(c) != 1 || c[0].API != "hello" || c[0].Stage != "prod" {
		t.Errorf("flushed: %+v", c)
	}
	want("2")
	want("2")
	if code, _, errs := shell(t, file, "cache", "flush", "hello", "--stage", "none"); code != exitFailed || !strings.Contains(errs, `no cache of API "hello" and stage "none"`) {
		t.Errorf("an unknown stage: exit code %d: %s", code, errs)
	}
	want("2")
	_, text := g.admin("/metrics")
	for _, line := range []string{
		`postern_cache_size_bytes{api="hello",canary="false",stage="prod"} 2.097152e+06`,
		`postern_cache_used_bytes{api="hello",canary="false",stage="prod"}`,
	} {
		if !strings.Contains(text, line) {
			t.Errorf("/metrics doesn't have %s", line)
		}
	}
}
