package upstream

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-gateway/postern/proxy/config"
)

func following(o *config.Backend) {
	o.Resolve, o.ResolveInterval, o.Eject.Failures = "all", seconds(10), 0
}

// Each address of a name is a target. They follow DNS, and who stays keeps its
// connections.
func TestResolveAll(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, one, two, three)
		f.name("pets.internal", "10.0.0.1 10.0.0.2")
		b := f.backend(options(following, "pets.internal:80"))
		same(t, "at first", f.counts(b, 4), one+"=2 "+two+"=2")
		f.name("pets.internal", "10.0.0.3 10.0.0.2")
		time.Sleep(11 * time.Second)
		same(t, "after the change", f.counts(b, 4), two+"=2 "+three+"=2")
		synctest.Wait()
		if a, b := f.look(one).open, f.look(two); a != 0 || b.open != 1 || b.most != 1 {
			t.Errorf("got %d connections to the target that went and %d to the one that stayed, want 0 and 1", a, b.most)
		}
		// What fails leaves the last answer in force for a time.
		f.name("pets.internal", "!server misbehaving")
		time.Sleep(namesStale - 20*time.Second)
		same(t, "DNS fails", f.counts(b, 4), two+"=2 "+three+"=2")
		time.Sleep(30 * time.Second)
		same(t, "DNS fails for long", f.counts(b, 4), "INTEGRATION_FAILURE=4")
		f.name("pets.internal", "10.0.0.1")
		time.Sleep(2 * time.Second)
		same(t, "DNS is back", f.counts(b, 4), one+"=4")
	})
}

// A name that isn't there fails fast, and one that nobody answers for holds a
// request up for the time to connect only, in one look-up for all.
func TestResolveFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, one)
		b := f.backend(options(following, "nowhere.internal:80"))
		begin := time.Now()
		same(t, "no such name", f.counts(b, 2), "INTEGRATION_FAILURE=2")
		if took := time.Since(begin); took > 0 {
			t.Errorf("took %s", took)
		}
		asked := 0
		set := NewSet(Options{Dial: f.dial, Resolve: func(ctx context.Context, _ string) ([]netip.Addr, error) {
			asked++
			<-ctx.Done() // nobody answers
			return nil, ctx.Err()
		}})
		defer set.Close()
		g := set.Begin()
		slow, err := g.Backend("http://a", options(func(o *config.Backend) { following(o); o.ConnectTimeout = seconds(2) }, "slow.internal:80"))
		if err != nil {
			t.Fatal(err)
		}
		g.Commit()
		begin = time.Now()
		first, second := f.later(slow.(*backend)), f.later(slow.(*backend))
		time.Sleep(2100 * time.Millisecond)
		if a, b := got(first), got(second); a != "INTEGRATION_TIMEOUT" || b != a {
			t.Errorf("nobody answers: got %q and %q", a, b)
		}
		if asked != 1 {
			t.Errorf("asked %d times, want once", asked)
		}
	})
}

// SRV records: the lowest priority first, shares by weight, the rest stands in.
func TestSRV(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, one, two, three)
		f.name("a.internal", "10.0.0.1")
		f.name("b.internal", "10.0.0.2")
		f.name("c.internal", "10.0.0.3")
		f.service("_http._tcp.pets.internal",
			&net.SRV{Target: "c.internal.", Port: 80, Priority: 20, Weight: 1},
			&net.SRV{Target: "a.internal.", Port: 80, Priority: 10, Weight: 30},
			&net.SRV{Target: "b.internal.", Port: 80, Priority: 10, Weight: 10})
		o := options(checked, "srv:_http._tcp.pets.internal")
		o.ResolveInterval = seconds(10)
		b := f.backend(o)
		time.Sleep(time.Second)
		same(t, "by weight", f.counts(b, 8), "a.internal:80=6 b.internal:80=2")
		f.change(one, func(s *server) { s.status = 500 })
		f.change(two, func(s *server) { s.status = 500 })
		time.Sleep(40 * time.Second)
		same(t, "the next priority", f.counts(b, 8), "c.internal:80=8")
		if n := f.set.Stats()[0].Targets; len(n) != 3 || n[0].Healthy || !n[2].Healthy {
			t.Errorf("got %+v, want the third to be healthy only", n)
		}
		// "." says that there is no such service.
		f.service("_http._tcp.pets.internal", &net.SRV{Target: "."})
		time.Sleep(namesStale + 20*time.Second)
		same(t, "no service", f.counts(b, 2), "INTEGRATION_FAILURE=2")
	})
}

// Records and names together: each address that a record's name has.
func TestSRVResolved(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, one, two)
		f.name("a.internal", "10.0.0.1 10.0.0.2")
		f.service("_http._tcp.pets.internal", &net.SRV{Target: "a.internal.", Port: 80})
		b := f.backend(options(following, "srv:_http._tcp.pets.internal", one))
		same(t, "each once", f.counts(b, 4), one+"=2 "+two+"=2")
	})
}

// A name that is one target is looked up when it connects, and then not for the
// interval.
func TestResolveOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, one, two)
		f.name("pets.internal", "10.0.0.1 10.0.0.2")
		f.change(one, func(s *server) { s.dead = true })
		b := f.backend(options(func(o *config.Backend) { o.MaxIdle, o.ResolveInterval = 0, seconds(60) }, "pets.internal:80"))
		same(t, "the second address", f.counts(b, 3), "pets.internal:80=3")
		f.name("pets.internal", "10.0.0.3")
		time.Sleep(59 * time.Second)
		same(t, "within the interval", f.counts(b, 3), "pets.internal:80=3")
		time.Sleep(2 * time.Second)
		same(t, "after it", f.counts(b, 3), "INTEGRATION_FAILURE=3")
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.asked != 2 {
			t.Errorf("asked %d times, want 2", f.asked)
		}
	})
}

// A resolver that has become slow holds up one request at a time, and that one
// for half of its time to connect, as long as its last answer counts.
func TestResolveSlowly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, one, two)
		var delay time.Duration
		var asked, asking, most atomic.Int32
		set := NewSet(Options{Dial: f.dial, Resolve: func(ctx context.Context, _ string) ([]netip.Addr, error) {
			most.Store(max(most.Load(), asking.Add(1)))
			defer asking.Add(-1)
			address := netip.MustParseAddr("10.0.0.1")
			if asked.Add(1) > 2 {
				address = netip.MustParseAddr("10.0.0.2")
			}
			select {
			case <-time.After(delay):
				return []netip.Addr{address}, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}})
		defer set.Close()
		g := set.Begin()
		made, err := g.Backend("http://a", options(func(o *config.Backend) { o.MaxIdle, o.ConnectTimeout = 0, seconds(4) }, "pets.internal:80"))
		if err != nil {
			t.Fatal(err)
		}
		g.Commit()
		b := made.(*backend)
		// timed sends n requests at once and checks how long the slowest and the others took.
		timed := func(what string, n int, slowest, others time.Duration) {
			t.Helper()
			took := make(chan time.Duration, n)
			for range n {
				go func() {
					begin := time.Now()
					if _, result := f.get(b); result != "200" {
						t.Errorf("%s: got %s", what, result)
					}
					took <- time.Since(begin)
				}()
			}
			var all []time.Duration
			for range n {
				all = append(all, <-took)
			}
			slices.Sort(all)
			if all[n-1] != slowest || n > 1 && all[n-2] != others {
				t.Errorf("%s: took %v, want %s and %s", what, all, slowest, others)
			}
		}
		timed("at first", 1, 0, 0)
		delay = 5 * time.Second
		time.Sleep(11 * time.Second)
		timed("the answer is old", 50, 2*time.Second, 0)
		timed("asking has just failed", 50, 0, 0)
		delay = time.Second
		time.Sleep(2 * time.Second)
		timed("answers come again", 50, time.Second, 0)
		if got := f.look(two).requests; got != 1 {
			t.Errorf("%d requests went to the new address, want that of the one who asked", got)
		}
		timed("from now on", 3, 0, 0)
		if got := f.look(two).requests; got != 4 {
			t.Errorf("%d requests went to the new address, want 4", got)
		}
		delay = 5 * time.Second
		time.Sleep(namesStale)
		begin := time.Now()
		all := f.later(b)
		f.get(b)
		if took := time.Since(begin); took != 4*time.Second || got(all) != "INTEGRATION_TIMEOUT" {
			t.Errorf("nothing counts any more: took %s, want the time to connect", took)
		}
		if most.Load() != 1 {
			t.Errorf("%d look-ups at the same time", most.Load())
		}
	})
}
