package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/postern-gateway/postern/proxy/shadow"
)

// What a rollback doesn't change goes on as it is: connections to backends, instances of
// plugins, answers that are kept, copies for shadows; and what a reload takes away ends.
func TestRollbackKeepsOthers(t *testing.T) {
	var mu sync.Mutex
	connections, asked := 0, 0
	backend := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked++
		fmt.Fprintf(w, "%s %d", r.URL.Path, asked)
	}))
	backend.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		if state == http.StateNew {
			connections++
		}
	}
	backend.Start()
	t.Cleanup(backend.Close)
	text := func(version string) string {
		return manual(version) + fmt.Sprintf(`
[plugin.gate]
module = "gate.wasm"
[authorizer.gate]
type = "wasm"
plugin = "gate"
[api.other]
type = "rest"
[api.other.route."GET /guarded"]
authorizer = "gate"
integration = { type = "http_proxy", url = %[1]q }
[api.other.route."GET /kept"]
integration = { type = "http_proxy", url = "%[1]s/kept" }
[api.other.stage.prod]
cache = { ttl = "1h" }
method."GET /guarded".cache.enabled = false
[api.other.stage.mirrored]
shadow = { stage = "prod", percent = 100 }
`, backend.URL)
	}
	file := write(t, text("1"))
	layGuest(t, filepath.Join(filepath.Dir(file), "gate.wasm"), "../../testdata/wasm/gate")
	r := startChild(t, file, nil, "--no-watch")
	get := func(stage, path string) string {
		t.Helper()
		q, err := http.NewRequest("GET", "http://"+r.addr+"/"+stage+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		q.Host = "other.localhost"
		q.Header.Set("X-Gate", "open")
		answer, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		content := make([]byte, 100)
		n, _ := answer.Body.Read(content)
		if answer.StatusCode != 200 {
			t.Fatalf("%s: %s, %s", path, answer.Status, content[:n])
		}
		return string(content[:n])
	}
	instances := func() string {
		t.Helper()
		_, metrics := r.admin("/metrics")
		for line := range strings.Lines(metrics) {
			if strings.HasPrefix(line, `postern_plugin_instances{plugin="gate"}`) {
				return line
			}
		}
		t.Fatal("no such metric")
		return ""
	}
	mirrored := func() (n uint64) {
		t.Helper()
		var found struct{ Shadows []shadow.Report }
		if _, text := r.admin("/shadows"); json.Unmarshal([]byte(text), &found) != nil {
			t.Fatal(text)
		}
		for _, s := range found.Shadows {
			n += s.Counts.Same + s.Counts.Different + s.Counts.Skipped
		}
		return n
	}
	rewrite(t, r.file, text("2"))
	r.command(0, "deploy", "hello", "--stage", "prod")
	get("prod", "/guarded")
	kept, alive := get("prod", "/kept"), instances()
	mu.Lock()
	before := connections
	mu.Unlock()
	copies := mirrored()
	for i := range 6 {
		r.command(0, "rollback", "hello", "--stage", "prod", "--to", fmt.Sprint(1+i%2))
		r.serves(fmt.Sprint(1 + i%2))
		get("prod", "/guarded")
		if got := get("prod", "/kept"); got != kept {
			t.Errorf("what was kept is gone: %q, want %q", got, kept)
		}
		get("mirrored", "/kept")
		copies++
		r.await("the copy", func() bool { return mirrored() == copies })
	}
	if got := instances(); got != alive {
		t.Errorf("%s, before %s", got, alive)
	}
	mu.Lock()
	defer mu.Unlock()
	if connections > before+1 { // the other stage's requests may meet one that is busy
		t.Errorf("%d connections, before %d", connections, before)
	}
}
