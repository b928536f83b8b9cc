package upstream

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy/config"
)

// A target that can't be reached costs a further try at another one, whatever
// the method: nothing was sent.
func TestRetryElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, one, two)
		f.change(one, func(s *server) { s.dead = true })
		b := f.backend(options(func(o *config.Backend) { o.Eject.Failures = 0 }, one, two))
		retries := 0
		for range 4 {
			ex := request("POST", "x")
			if err := b.Send(context.Background(), ex); err != nil {
				t.Fatal(err)
			}
			body(t, ex)
			if ex.Notes.Target != two {
				t.Errorf("got target %s, want %s", ex.Notes.Target, two)
			}
			retries += ex.Notes.Retries
			ex.End()
		}
		if retries != 2 || f.set.Stats()[0].Retries != 2 {
			t.Errorf("got %d and %d further tries, want 2: every second turn", retries, f.set.Stats()[0].Retries)
		}
		// It is the bound of one request's tries.
		b = f.backend(options(func(o *config.Backend) { o.Eject.Failures, o.Retries = 0, 0 }, one, two))
		same(t, "no retries", f.counts(b, 4), two+"=2 INTEGRATION_FAILURE=2")
	})
}

// What failed over a new connection isn't repeated: the backend may have acted.
func TestNoRetryAfterSending(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, one, two)
		for _, a := range []string{one, two} {
			f.change(a, func(s *server) { s.header = "Content-Length: 3\r\n" }) // malformed
		}
		b := f.backend(options(nil, one, two))
		same(t, "malformed", f.counts(b, 2), "INTEGRATION_FAILURE=2")
		if n := f.look(one).requests + f.look(two).requests; n != 2 {
			t.Errorf("the backend got %d requests, want 2", n)
		}
	})
}

// Further tries are a share of the requests, and a number a second.
func TestRetryBudget(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, one, two)
		for _, a := range []string{one, two} {
			f.change(a, func(s *server) { s.dead = true })
		}
		b := f.backend(options(func(o *config.Backend) {
			o.Eject.Failures, o.Retries, o.RetryBudget, o.RetryMinimum = 0, 3, 20, 2
		}, one, two))
		f.counts(b, 1)
		if s := f.set.Stats()[0]; s.Retries != 2 || s.Spared != 1 {
			t.Errorf("the first request: got %d further tries and %d spared, want 2 and 1", s.Retries, s.Spared)
		}
		f.counts(b, 99)
		// 2 for this second, and 20 % of 99: the window began with the first failure.
		if s := f.set.Stats()[0]; s.Retries != 21 {
			t.Errorf("100 requests: got %d further tries, want 21", s.Retries)
		}
		time.Sleep(3500 * time.Millisecond)
		f.counts(b, 1)
		if s := f.set.Stats()[0]; s.Retries != 24 {
			t.Errorf("3.5 s later: got %d further tries, want 3 more, as many as one request may have", s.Retries)
		}
	})
}

// Connections are opened ahead, to targets that take part, and no more than
// are allowed.
func TestWarm(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, one, two)
		f.change(two, func(s *server) { s.dead = true })
		b := f.backend(options(func(o *config.Backend) {
			o.MinIdle, o.MaxConnections, o.KeepAlive = 3, 4, seconds(1000)
		}, one, two))
		time.Sleep(time.Millisecond)
		if n := f.look(one).open; n != 3 {
			t.Errorf("got %d connections at the start, want 3", n)
		}
		f.change(two, func(s *server) { s.dead = false })
		time.Sleep(warmEvery)
		if n := f.look(two).open; n != 3 {
			t.Errorf("got %d connections to the target that came up, want 3", n)
		}
		gate := make(chan struct{})
		f.change(one, func(s *server) { s.gate = gate })
		f.change(two, func(s *server) { s.gate = gate })
		first, second := f.later(b), f.later(b)
		time.Sleep(warmEvery)
		for _, a := range []string{one, two} {
			if s := f.look(a); s.open != 4 || s.most != 4 {
				t.Errorf("%s: got %d connections, want 3 more than the one in use", a, s.open)
			}
		}
		close(gate)
		if got(first) != "200" || got(second) != "200" {
			t.Error("requests failed")
		}
		f.set.Close()
		if n := f.look(one).open + f.look(two).open; n != 0 {
			t.Errorf("%d connections are open at the end", n)
		}
		f.set = NewSet(Options{}) // for the cleanup
	})
}

// A stale kept connection is replaced at the same target, even at its bound.
func TestStaleAtBound(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, one)
		b := f.backend(options(func(o *config.Backend) { o.MaxConnections, o.Queue = 1, 0 }, one))
		same(t, "first", f.counts(b, 1), one+"=1")
		b.all[0].mu.Lock()
		b.all[0].idle[0].wire.Close() // as if the backend had
		b.all[0].mu.Unlock()
		ex := request("GET", "")
		if err := b.Send(context.Background(), ex); err != nil || ex.Notes.Retries != 1 {
			t.Errorf("got %v after %d further tries, want success after one", err, ex.Notes.Retries)
		}
		ex.End()
		if s := f.set.Stats()[0]; s.Active != 0 || s.Targets[0].Failures != 0 || !strings.HasPrefix(s.Name, "pets") {
			t.Errorf("got %+v, want no failure", s)
		}
	})
}
