package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// reloaded makes version the configuration and waits until it serves.
func (r *running) reloaded(text, version string) {
	r.t.Helper()
	rewrite(r.t, r.file, text)
	r.signal(syscall.SIGHUP)
	r.await("version "+version, func() bool { return r.answers(version) })
}

// A hundred reloads under twenty callers on kept connections: none fails, and an
// upgraded connection stays open throughout.
func TestReloadsUnderLoad(t *testing.T) {
	backend := echo(t)
	r := launch(t, write(t, echoed(backend, "0")), nil)
	r.listening()
	r.await("the PID file", func() bool { return r.pid() > 0 })
	u := r.tunnel()
	stop := r.load(20)
	for i := 1; i <= 100; i++ {
		version := fmt.Sprint(i)
		r.reloaded(echoed(backend, version), version)
		u.check("after reload " + version)
		switch {
		case i%25 == 0:
			r.signal(syscall.SIGUSR1) // log files are opened anew meanwhile
		case i%10 == 0:
			rewrite(t, r.file, "broken") // changes nothing
			r.signal(syscall.SIGHUP)
			r.await("the refusal", func() bool { ok, _ := r.ready(); return !ok })
		}
	}
	if n := stop(); n < 100 {
		t.Errorf("only %d requests", n)
	}
	u.conn.Close()
	r.signal(syscall.SIGTERM)
	if code := r.ended(); code != exitOK {
		t.Errorf("exit code %d: %s", code, r.stderr.String())
	}
}

// What a reload doesn't change lives on: the client's connection, the backend's,
// and the plugin's instance.
func TestReloadKeeps(t *testing.T) {
	var connections atomic.Int64
	backend := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	backend.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	backend.Start()
	t.Cleanup(backend.Close)
	text := func(version string) string {
		return strings.Replace(echoed(backend.URL, version), `[api.hello.route."ANY /echo"]`,
			"[api.hello.route.\"ANY /echo\"]\nauthorizer = \"gate\"", 1) +
			"[plugin.gate]\nmodule = \"gate.wasm\"\ntimeout = \"1m\"\n[authorizer.gate]\ntype = \"wasm\"\nplugin = \"gate\"\n"
	}
	file := write(t, text("0"))
	replace(t, filepath.Join(filepath.Dir(file), "gate.wasm"), decides(1))
	r := launch(t, file, nil)
	r.listening()
	r.await("the PID file", func() bool { return r.pid() > 0 })
	c := &caller{addr: r.addr}
	t.Cleanup(func() { c.close() })
	if _, err := c.post("x"); err != nil {
		t.Fatal(err)
	}
	first := c.conn
	for i := 1; i <= 10; i++ {
		version := fmt.Sprint(i)
		r.reloaded(text(version), version)
		// Nobody called the plugin since: a fresh one would have no instance.
		if _, text := r.admin("/metrics"); !strings.Contains(text, "\n"+`postern_plugin_instances{plugin="gate"} 1`) {
			t.Error("the plugin's instance is gone")
		}
		if _, err := c.post("x"); err != nil {
			t.Fatal(err)
		}
	}
	if c.conn != first {
		t.Error("the client's connection ended")
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("the backend saw %d connections, want 1", n)
	}
	c.close()
	r.signal(syscall.SIGTERM)
	if code := r.ended(); code != exitOK {
		t.Errorf("exit code %d: %s", code, r.stderr.String())
	}
}

// Three gateways are stopped under load: no request that was sent on a kept
// connection goes without its answer.
func TestDrainUnderLoad(t *testing.T) {
	for range 3 {
		r := launch(t, write(t, echoed(echo(t), "0")), nil)
		r.listening()
		r.await("the PID file", func() bool { return r.pid() > 0 })
		var callers sync.WaitGroup
		var sent atomic.Int64
		for who := range 10 {
			callers.Go(func() {
				c := &caller{addr: r.addr}
				for i := 0; ; i++ {
					content := fmt.Sprintf("caller %d request %d", who, i)
					got, err := c.post(content)
					switch {
					case i == 0 && err != nil:
						t.Error(err)
						return
					case err != nil:
						t.Errorf("%s: %v", content, err)
						return
					case got != content:
						t.Errorf("%s: got the answer %q", content, got)
					}
					sent.Add(1)
					if c.conn == nil { // the answer said that the connection ends
						return
					}
				}
			})
		}
		r.await("some traffic", func() bool { return sent.Load() > 500 })
		r.signal(syscall.SIGTERM)
		callers.Wait()
		if code := r.ended(); code != exitOK {
			t.Errorf("exit code %d: %s", code, r.stderr.String())
		}
		if _, err := net.Dial("tcp", r.addr); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("after its end: %v", err)
		}
	}
}

// QUIT under load ends at once, with the goroutines on standard error.
func TestQuitUnderLoad(t *testing.T) {
	r := launch(t, write(t, echoed(echo(t), "0")), nil)
	r.listening()
	r.await("the PID file", func() bool { return r.pid() > 0 })
	var callers sync.WaitGroup
	var sent atomic.Int64
	for range 10 {
		callers.Go(func() {
			c := &caller{addr: r.addr}
			defer func() { c.close() }()
			for {
				if _, err := c.post("x"); err != nil {
					return
				}
				sent.Add(1)
			}
		})
	}
	r.await("some traffic", func() bool { return sent.Load() > 500 })
	r.signal(syscall.SIGQUIT)
	if code := r.ended(); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	callers.Wait()
	r.await("the dump", func() bool { return strings.Contains(r.stderr.String(), "goroutine 1 [") })
}

// Goroutines, descriptors and memory come back after two hundred reloads, each of
// which changes the backend's settings and the plugin.
func TestReloadsLeakNothing(t *testing.T) {
	url := echo(t)
	file := write(t, "")
	module := filepath.Join(filepath.Dir(file), "gate.wasm")
	text := func(i int) string {
		return fmt.Sprintf(`
[listen.public]
address = "127.0.0.1:0"
[backend.b]
targets = [%q]
connect_timeout = "%dms"
[plugin.gate]
module = "gate.wasm"
timeout = "1m"
[authorizer.gate]
type = "wasm"
plugin = "gate"
[api.hello]
type = "rest"
[api.hello.route."ANY /echo"]
authorizer = "gate"
integration = { type = "http_proxy", backend = "b", url = "http://b/echo" }
[api.hello.route."GET /v"]
integration = { type = "mock" }
[api.hello.route."GET /v".response.default]
template."text/plain" = "%d"
[api.hello.stage.prod]
`, strings.TrimPrefix(url, "http://"), 1000+i, i)
	}
	change := func(i int) {
		// A custom section makes it another module.
		replace(t, module, append(decides(1), fmt.Sprintf("\x00\x08\x01x%06d", i)...))
		rewrite(t, file, text(i))
	}
	change(0)
	r := launch(t, file, nil)
	r.listening()
	r.await("the PID file", func() bool { return r.pid() > 0 })
	c := &caller{addr: r.addr}
	defer func() { c.close() }()
	reload := func(i int) {
		change(i)
		r.signal(syscall.SIGHUP)
		r.await("the next version", func() bool { return r.answers(fmt.Sprint(i)) })
		if _, err := c.post("x"); err != nil { // a connection and an instance come into being
			t.Fatal(err)
		}
	}
	figures := func() (goroutines, fds, heap float64) {
		// The profile's text has the memory right after the collection: before the
		// profile itself, whose size is left to chance, adds to it.
		_, profile := r.admin("/debug/pprof/heap?gc=1&debug=1")
		for line := range strings.Lines(profile) {
			_, _ = fmt.Sscanf(line, "# HeapAlloc = %g", &heap) // one line of many
		}
		_, text := r.admin("/metrics")
		for line := range strings.Lines(text) {
			_, _ = fmt.Sscanf(line, "go_goroutines %g", &goroutines)
			_, _ = fmt.Sscanf(line, "process_open_fds %g", &fds)
		}
		return goroutines, fds, heap
	}
	for i := range 30 {
		reload(i + 1)
	}
	goroutines, fds, heap := figures()
	for i := range 200 {
		reload(i + 100)
	}
	var g, f, h float64
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if g, f, h = figures(); g <= goroutines+2 && f <= fds+2 && h <= heap*1.05+256<<10 {
			t.Logf("goroutines %g, %g; descriptors %g, %g; heap %g, %g", goroutines, g, fds, f, heap, h)
			return
		}
	}
	t.Errorf("goroutines %g, then %g; descriptors %g, then %g; heap %g, then %g", goroutines, g, fds, f, heap, h)
}

// When the time to drain is over, the clients of WebSockets are told that the
// server goes away, and the gateway ends well: nothing else was cut off.
func TestDrainWebSockets(t *testing.T) {
	backend := strings.Replace(echoed(echo(t), "0"), `timeout = "10s"`, `timeout = "200ms"`, 1)
	r := launch(t, write(t, backend), nil)
	r.listening()
	r.await("the PID file", func() bool { return r.pid() > 0 })
	idle, torn := r.tunnel(), r.tunnel()
	frame := "\x81\x05hello"
	for u, text := range map[*tunnel]string{idle: frame, torn: frame[:4]} {
		if _, err := io.WriteString(u.conn, text); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(text))
		if _, err := io.ReadFull(u.read, got); err != nil || string(got) != text {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	r.signal(syscall.SIGTERM)
	// RFC 6455, 7.4.1: 1001 is "going away". In the middle of a frame it would be
	// taken for that frame's content.
	for u, want := range map[*tunnel]string{idle: "\x88\x02\x03\xe9", torn: ""} {
		if got, err := io.ReadAll(u.read); err != nil || string(got) != want {
			t.Errorf("at the end came %q, %v; want %q", got, err, want)
		}
		u.conn.Close()
	}
	if code := r.ended(); code != exitOK {
		t.Errorf("exit code %d: %s", code, r.stderr.String())
	}
}
