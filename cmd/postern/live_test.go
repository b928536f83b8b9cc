package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// mostStall is how many times as long the slowest hundredth of the requests may
// take beside something else. It is far more than is measured on a quiet machine:
// two processors that several packages' tests share aren't one.
const mostStall = 6

// fewest is how many requests are measured at least.
const fewest = 200

// beside returns the 99th percentile of what requests take from several callers
// on kept connections while f runs.
func (r *running) beside(f func()) time.Duration {
	r.t.Helper()
	end := make(chan struct{})
	var callers sync.WaitGroup
	var mu sync.Mutex
	var took []time.Duration
	var answered, failed atomic.Int64
	for range 20 {
		callers.Go(func() {
			c := &caller{addr: r.addr}
			defer func() { c.close() }()
			var mine []time.Duration
			if _, err := c.post("x"); err != nil { // connecting isn't counted
				failed.Add(1)
				r.t.Error(err)
				return
			}
			for {
				select {
				case <-end:
					mu.Lock()
					took = append(took, mine...)
					mu.Unlock()
					return
				default:
				}
				begin := time.Now()
				if _, err := c.post("x"); err != nil {
					failed.Add(1)
					r.t.Error(err)
					return
				}
				mine = append(mine, time.Since(begin))
				answered.Add(1)
			}
		})
	}
	f()
	r.await("enough requests", func() bool { return answered.Load() >= fewest || failed.Load() > 0 })
	close(end)
	callers.Wait()
	if len(took) == 0 {
		r.t.FailNow()
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}

// hardlyNoticed measures requests without something and with it, in turns. What else
// the machine does can only make them slower, and comes and goes: the least of three
// rounds counts, of three that follow each other.
func hardlyNoticed(t *testing.T, what string, without, with func() time.Duration) {
	t.Helper()
	const rounds = 3
	var a, b []time.Duration
	for range 30 {
		a, b = append(a, without()), append(b, with())
		if len(a) < rounds {
			continue
		}
		alone, beside := slices.Min(a[len(a)-rounds:]), slices.Min(b[len(b)-rounds:])
		t.Logf("p99 beside %s %s, without %s: %.1f times", what, beside, alone, float64(beside)/float64(alone))
		if beside <= mostStall*alone {
			return
		}
	}
	t.Errorf("p99 beside %s: %v, without: %v", what, b, a)
}

// pause is how long requests beside nothing are measured for.
func pause() { time.Sleep(300 * time.Millisecond) }

// Requests hardly notice a hundred reloads in a row.
func TestReloadsDoNotStall(t *testing.T) {
	backend := echo(t)
	r := launch(t, write(t, echoed(backend, "0")), nil)
	r.listening()
	i := 0
	reloads := func() {
		for range 20 {
			i++
			r.reloaded(echoed(backend, fmt.Sprint(i)), fmt.Sprint(i))
		}
	}
	hardlyNoticed(t, "reloads", func() time.Duration { return r.beside(pause) }, func() time.Duration { return r.beside(reloads) })
	r.signal(syscall.SIGTERM)
	if code := r.ended(); code != exitOK {
		t.Errorf("exit code %d: %s", code, r.stderr.String())
	}
}

// What an idle connection may cost the gateway, and what an idle WebSocket, in
// bytes of heap and stacks.
const (
	idleBytes       = 30_000
	idleTunnelBytes = 60_000
)

// Connections and WebSockets that are idle cost little memory, and requests
// beside them hardly notice that they are there. POSTERN_IDLE_CONNECTIONS=4000 is
// for more of them.
func TestIdle(t *testing.T) {
	n := 500
	if s := os.Getenv("POSTERN_IDLE_CONNECTIONS"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	backend := echo(t)
	r, empty := launch(t, write(t, echoed(backend, "0")), nil), launch(t, write(t, echoed(backend, "0")), nil)
	r.listening()
	empty.listening()
	f := func(what string, limit float64, open func() (check func())) {
		t.Helper()
		before := r.memory()
		var checks []func()
		for range n {
			checks = append(checks, open())
		}
		each := (r.memory() - before) / float64(n)
		hardlyNoticed(t, "idle "+what, func() time.Duration { return empty.beside(pause) }, func() time.Duration { return r.beside(pause) })
		for _, check := range checks {
			check()
		}
		t.Logf("%d idle %s: %.0f bytes each", n, what, each)
		if each > limit {
			t.Errorf("%s: %.0f bytes each, want at most %.0f", what, each, limit)
		}
	}
	f("connections", idleBytes, func() func() {
		c := &caller{addr: r.addr}
		t.Cleanup(c.close)
		check := func() {
			if _, err := c.post("hello"); err != nil {
				t.Error(err)
			}
		}
		check()
		first := c.conn
		return func() {
			if check(); c.conn != first {
				t.Error("an idle connection has ended")
			}
		}
	})
	f("WebSockets", idleTunnelBytes, func() func() {
		u := r.tunnel()
		u.check("hello")
		return func() { u.check("still there") }
	})
}

// memory returns heap and stacks in use after a collection.
func (r *running) memory() (bytes float64) {
	r.t.Helper()
	_, _ = r.admin("/debug/pprof/heap?gc=1")
	_, text := r.admin("/metrics")
	for line := range strings.Lines(text) {
		var one float64
		for _, name := range []string{"go_memstats_heap_alloc_bytes", "go_memstats_stack_inuse_bytes"} {
			if n, _ := fmt.Sscanf(line, name+" %g", &one); n == 1 {
				bytes += one
			}
		}
	}
	return bytes
}

// An API whose backend answers nothing, with more requests than it may have,
// costs the others little.
func TestOverloadedNeighbour(t *testing.T) {
	url, asked, release := slow(t)
	defer close(release)
	text := echoed(echo(t), "0") + fmt.Sprintf(`
[backend.stuck]
targets = [%q]
max_requests = 16
queue = 50
queue_timeout = "100ms"
[api.greedy]
type = "rest"
[api.greedy.route."GET /"]
integration = { type = "http_proxy", url = "http://stuck/", backend = "stuck" }
[api.greedy.stage.prod]
`, strings.TrimPrefix(url, "http://"))
	r, calm := launch(t, write(t, text), nil), launch(t, write(t, text), nil)
	r.listening()
	calm.listening()
	end := make(chan struct{})
	var callers sync.WaitGroup
	var refused atomic.Int64
	for range 200 {
		callers.Go(func() {
			conn, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			go func() { // those that got a place are never answered
				<-end
				conn.Close()
			}()
			for answers := bufio.NewReader(conn); ; {
				_, _ = io.WriteString(conn, "GET /prod/ HTTP/1.1\r\nHost: greedy.localhost\r\n\r\n")
				response, err := http.ReadResponse(answers, nil)
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				if response.StatusCode != 503 {
					t.Errorf("status %d", response.StatusCode)
				}
				refused.Add(1)
				time.Sleep(50 * time.Millisecond)
			}
		})
	}
	for range 16 {
		<-asked
	}
	hardlyNoticed(t, "an overloaded API", func() time.Duration { return calm.beside(pause) }, func() time.Duration { return r.beside(pause) })
	close(end)
	callers.Wait()
	t.Logf("%d requests refused", refused.Load())
	if refused.Load() == 0 {
		t.Error("nothing was refused: the API isn't overloaded")
	}
}
