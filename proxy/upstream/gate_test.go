package upstream

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// later sends a GET from a goroutine of its own; the result comes from the channel.
func (f *fleet) later(b *backend) <-chan string {
	done := make(chan string, 1)
	f.work.Go(func() {
		_, result := f.get(b)
		done <- result
	})
	synctest.Wait()
	return done
}

// got returns what has come from done, or "" when nothing has.
func got(done <-chan string) string {
	synctest.Wait()
	select {
	case result := <-done:
		return result
	default:
		return ""
	}
}

// As many requests as are allowed run, some wait in turn, the rest is refused.
func TestQueue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, one)
		gate := make(chan struct{})
		f.change(one, func(s *server) { s.gate = gate })
		b := f.backend(options(func(o *config.Backend) {
			o.MaxRequests, o.Queue, o.QueueTimeout = 2, 2, seconds(3)
		}, one))
		a1, a2, w1, w2 := f.later(b), f.later(b), f.later(b), f.later(b)
		if r := got(f.later(b)); r != "OVERLOADED" {
			t.Errorf("the fifth: got %q, want to be refused at once", r)
		}
		s := f.set.Stats()[0]
		if s.Active != 2 || s.Waiting != 2 || !s.Full || s.Refused != 1 || s.Targets[0].Open != 2 {
			t.Errorf("got %+v, want 2 under way, 2 waiting, 1 refused", s)
		}
		time.Sleep(2900 * time.Millisecond)
		gate <- struct{}{} // one of the two ends, the first that waits takes its place
		if r, n := got(w2), f.look(one).requests; r != "" || n != 3 {
			t.Errorf("%d requests arrived, want 3 and the last one waiting", n)
		}
		time.Sleep(200 * time.Millisecond)
		if r := got(w2); r != "OVERLOADED" {
			t.Errorf("after 3.1 s: got %q, want an end of the wait", r)
		}
		gate <- struct{}{}
		gate <- struct{}{}
		for i, done := range []<-chan string{a1, a2, w1} {
			if r := got(done); r != "200" {
				t.Errorf("request %d: got %q, want 200", i+1, r)
			}
		}
		if s := f.set.Stats()[0]; s.Active != 0 || s.Waiting != 0 || s.Full || s.Refused != 2 {
			t.Errorf("at the end: got %+v, want nobody and 2 refused", s)
		}
	})
}

// A request's own time limit and its client end the wait, too.
func TestQueueEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, one)
		gate := make(chan struct{})
		f.change(one, func(s *server) { s.gate = gate })
		b := f.backend(options(func(o *config.Backend) {
			o.MaxConnections, o.Queue, o.QueueTimeout = 1, 10, seconds(60)
		}, one))
		first := f.later(b)
		wait := func(ctx context.Context, client proxy.Client, limit time.Duration) (proxy.FaultKind, time.Duration) {
			ex := request("GET", "")
			ex.Begin(time.Now(), client)
			ex.Out = proxy.Outgoing{Method: "GET", Target: "/", Host: "h", Timeout: limit}
			defer ex.End()
			begin := time.Now()
			var fault proxy.Fault
			errors.As(b.Send(ctx, ex), &fault)
			return fault.Kind, time.Since(begin)
		}
		if kind, took := wait(t.Context(), nil, time.Second); kind != proxy.Overloaded || took != time.Second {
			t.Errorf("short of time: got %v after %s", kind, took)
		}
		if kind, took := wait(t.Context(), gone{}, time.Minute); kind != proxy.ClientGone || took != waitSlice {
			t.Errorf("client gone: got %v after %s", kind, took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if kind, took := wait(ctx, nil, time.Minute); kind != proxy.ClientGone || took != 200*time.Millisecond {
			t.Errorf("context: got %v after %s", kind, took)
		}
		gate <- struct{}{}
		if r := got(first); r != "200" {
			t.Errorf("got %q, want 200", r)
		}
		last := f.later(b) // the places of those who gave up are free
		gate <- struct{}{}
		if r := got(last); r != "200" {
			t.Errorf("got %q, want 200", r)
		}
	})
}

// Each target has its bound; who finds one full goes to another, also by hash.
func TestMaxConnections(t *testing.T) {
	for _, policy := range []string{"round_robin", "least_requests", "hash"} {
		bubble(t, func(t *testing.T) {
			f := newFleet(t, one, two)
			gate := make(chan struct{})
			for _, a := range []string{one, two} {
				f.change(a, func(s *server) { s.gate = gate })
			}
			b := f.backend(options(func(o *config.Backend) {
				o.MaxConnections, o.Queue = 2, 0
				o.Balance, o.Hash = policy, ""
				if policy == "hash" {
					o.Hash = "method.request.header.X-User"
				}
			}, one, two))
			var all []<-chan string
			for range 5 {
				all = append(all, f.later(b))
			}
			if r := got(all[4]); r != "OVERLOADED" {
				t.Errorf("%s: the fifth got %q, want to be refused", policy, r)
			}
			close(gate)
			for _, done := range all[:4] {
				if r := got(done); r != "200" {
					t.Errorf("%s: got %q, want 200", policy, r)
				}
			}
			if a, b := f.look(one).requests, f.look(two).requests; a != 2 || b != 2 {
				t.Errorf("%s: got %d and %d requests, want 2 and 2", policy, a, b)
			}
		})
	}
}

// Who waits gets a place when a target comes back, not only when one is left.
func TestQueueWakes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, one, two)
		gate := make(chan struct{})
		f.change(one, func(s *server) { s.gate = gate })
		f.change(two, func(s *server) { s.status = 500 })
		b := f.backend(options(func(o *config.Backend) {
			checked(o)
			o.MaxConnections, o.Queue, o.QueueTimeout = 1, 10, seconds(50)
		}, one, two))
		time.Sleep(time.Second)
		first, second := f.later(b), f.later(b)
		f.change(two, func(s *server) { s.status = 200 })
		time.Sleep(24 * time.Second) // two good answers
		if r := got(second); r != "200" {
			t.Errorf("got %q, want 200 from the target that came back", r)
		}
		close(gate)
		if r := got(first); r != "200" {
			t.Errorf("got %q, want 200", r)
		}
	})
}

// Many goroutines at once: the bounds hold at every moment, every request gets
// an end, and every place comes back.
func TestGateHammer(t *testing.T) {
	f := newFleet(t, one, two, three)
	b := f.backend(options(func(o *config.Backend) {
		ejecting(o)
		o.MaxConnections, o.MaxRequests, o.Queue, o.QueueTimeout, o.Retries = 3, 7, 5, config.Duration(20*time.Millisecond), 2
		o.Balance, o.ConnectTimeout = "least_requests", seconds(60)
		o.Eject.Time, o.Eject.MaxTime = config.Duration(time.Millisecond), config.Duration(5*time.Millisecond)
		o.MinIdle, o.SlowStart = 1, config.Duration(time.Millisecond)
	}, one, two, three))
	var active, most, well, refused atomic.Int64
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 200 {
				ex := request("GET", "")
				err := b.Send(context.Background(), ex)
				switch {
				case err == nil:
					n := active.Add(1)
					for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
					}
					if rand.IntN(10) > 0 { // some leave the content unread
						body(t, ex)
					}
					well.Add(1)
					active.Add(-1)
				case errors.Is(err, proxy.Fault{Kind: proxy.Overloaded}):
					refused.Add(1)
				case !errors.Is(err, proxy.Fault{Kind: proxy.IntegrationFailure}):
					t.Errorf("got %v", err)
				}
				ex.End()
				if rand.IntN(20) == 0 {
					f.change([]string{one, two, three}[rand.IntN(3)], func(s *server) { s.dead = !s.dead })
				}
			}
		})
	}
	stop := make(chan struct{})
	reader := make(chan struct{})
	go func() { // figures and sweeps at the same time
		defer close(reader)
		for {
			select {
			case <-stop:
				return
			default:
				f.set.Stats()
				b.sweep(time.Now())
			}
		}
	}()
	all.Wait()
	close(stop)
	<-reader
	if most.Load() > 7 || well.Load() == 0 {
		t.Errorf("%d at the same time, %d answered, %d refused; want at most 7 at a time", most.Load(), well.Load(), refused.Load())
	}
	s := b.stats()
	if s.Active != 0 || s.Waiting != 0 {
		t.Errorf("at the end: got %+v, want nobody", s)
	}
	for _, x := range s.Targets {
		if x.Open != x.Idle || x.Open > 3 {
			t.Errorf("%s has %d connections open and %d unused, want as many, at most 3", x.Address, x.Open, x.Idle)
		}
		if n := f.look(x.Address).most; n > 3 {
			t.Errorf("%s had %d connections at once, want 3", x.Address, n)
		}
	}
}

// What a request's way past the choice and the bounds costs.
func BenchmarkEnter(b *testing.B) {
	for _, bench := range []struct {
		name     string
		settings settings
		weights  []int
	}{
		{"one", settings{}, []int{1}},
		{"three", settings{}, []int{1, 1, 1}},
		{"bounds", settings{requests: 100, perOne: 50, queue: 10}, []int{1, 1, 1}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			back := choice(bench.settings, bench.weights...)
			back.gate = newGate(&bench.settings)
			ex := request("GET", "")
			ctx, now := context.Background(), time.Now()
			b.ReportAllocs()
			for b.Loop() {
				var w want
				t, err := back.enter(ctx, ex, &w, now, now)
				if err != nil {
					b.Fatal(err)
				}
				back.leave(t)
			}
		})
	}
}
