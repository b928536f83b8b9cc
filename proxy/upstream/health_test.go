package upstream

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-gateway/postern/proxy/config"
)

func checked(o *config.Backend) {
	o.Health = &config.Health{Path: "/health", Interval: seconds(10), Timeout: seconds(2), Healthy: 2, Unhealthy: 3, Status: []string{"200-299"}}
	o.Eject.Failures = 0
}

// The first answer counts at once; later it takes several in a row.
func TestHealth(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, one, two)
		f.change(two, func(s *server) { s.status = 503 })
		b := f.backend(options(checked, one, two))
		time.Sleep(time.Second) // the first questions come within a tenth of the interval
		same(t, "a bad first answer", f.counts(b, 4), one+"=4")

		f.change(two, func(s *server) { s.status = 200 })
		time.Sleep(11 * time.Second)
		same(t, "one good answer", f.counts(b, 4), one+"=4")
		time.Sleep(11 * time.Second)
		same(t, "two good answers", f.counts(b, 4), one+"=2 "+two+"=2")

		f.change(one, func(s *server) { s.dead = true })
		time.Sleep(18 * time.Second)
		if n := len(b.picks.Load().members); n != 2 {
			t.Errorf("got %d targets before the third bad answer, want 2", n)
		}
		time.Sleep(18 * time.Second)
		same(t, "three bad answers", f.counts(b, 4), two+"=4")

		// Each question has its own connection, which is closed.
		s := f.look(two)
		if s.checks < 4 || s.open > 1 || !strings.Contains(s.head, "Host: "+two+"\r\n") {
			t.Errorf("got %d checks, %d open connections and %q", s.checks, s.open, s.head)
		}
	})
}

// Answers that don't come are bad, and don't hold up closing.
func TestHealthTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, one, two)
		f.change(one, func(s *server) { s.mute = true })
		b := f.backend(options(func(o *config.Backend) {
			checked(o)
			o.Health.Host = "health.example"
		}, one, two))
		time.Sleep(1900 * time.Millisecond) // at least half of this after the question
		if n := len(b.picks.Load().members); n != 2 {
			t.Errorf("got %d targets before the time-out, want 2", n)
		}
		time.Sleep(1200 * time.Millisecond)
		same(t, "after the time-out", f.counts(b, 4), two+"=4")
		if head := f.look(one).head; !strings.Contains(head, "Host: health.example\r\n") {
			t.Errorf("got %q, want the Host of the options", head)
		}
		time.Sleep(10 * time.Second) // a question may be under way
		begin := time.Now()
		f.set.Close()
		if took := time.Since(begin); took > 0 {
			t.Errorf("closing took %s", took)
		}
		f.set = NewSet(Options{}) // for the cleanup
	})
}

// Without a path a connection is enough.
func TestHealthConnects(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, one, two)
		f.change(one, func(s *server) { s.mute = true })
		f.change(two, func(s *server) { s.dead = true })
		b := f.backend(options(func(o *config.Backend) {
			checked(o)
			o.Health.Path = ""
		}, one, two))
		time.Sleep(time.Second)
		p := b.picks.Load()
		if len(p.members) != 1 || p.members[0].address != one {
			t.Errorf("got %d targets, want the one that accepts connections", len(p.members))
		}
	})
}

// When nobody is healthy all are tried, or nobody.
func TestAllDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, one, two)
		for _, a := range []string{one, two} {
			f.change(a, func(s *server) { s.status = 500 })
		}
		b := f.backend(options(checked, one, two))
		time.Sleep(time.Second)
		same(t, "try", f.counts(b, 4), "500=4")

		b = f.backend(options(func(o *config.Backend) { checked(o); o.AllDown = "refuse" }, one, two))
		time.Sleep(time.Second)
		same(t, "refuse", f.counts(b, 4), "OVERLOADED=4")
		f.change(two, func(s *server) { s.status = 200 })
		time.Sleep(22 * time.Second)
		same(t, "one is well again", f.counts(b, 4), two+"=4")
	})
}

// Backups get requests only while no other target is healthy.
func TestBackup(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, one, two, three)
		b := f.backend(options(func(o *config.Backend) { checked(o); o.Targets[2].Backup = true }, one, two, three))
		time.Sleep(time.Second)
		same(t, "all healthy", f.counts(b, 6), one+"=3 "+two+"=3")
		f.change(one, func(s *server) { s.status = 500 })
		time.Sleep(40 * time.Second)
		same(t, "one is down", f.counts(b, 6), two+"=6")
		f.change(two, func(s *server) { s.status = 500 })
		time.Sleep(40 * time.Second)
		same(t, "both are down", f.counts(b, 6), three+"=6")
		f.change(one, func(s *server) { s.status = 200 })
		time.Sleep(30 * time.Second)
		same(t, "one is back", f.counts(b, 6), one+"=6")
	})
}

// A target that is well again gets its share little by little.
func TestSlowStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, one, two)
		b := f.backend(options(func(o *config.Backend) { checked(o); o.SlowStart = seconds(100) }, one, two))
		time.Sleep(time.Second)
		same(t, "at first", f.counts(b, 100), one+"=50 "+two+"=50")
		f.change(two, func(s *server) { s.status = 500 })
		time.Sleep(40 * time.Second)
		f.change(two, func(s *server) { s.status = 200 })
		for len(b.picks.Load().members) < 2 {
			time.Sleep(100 * time.Millisecond)
		}
		share := func(low, high int) {
			t.Helper()
			if got := f.counts(b, 2000)[two]; got < low || got > high {
				t.Errorf("got %d requests of 2000, want %d to %d", got, low, high)
			}
		}
		share(60, 140) // a tenth of its 1000
		time.Sleep(50 * time.Second)
		share(420, 590) // about half
		time.Sleep(50 * time.Second)
		share(1000, 1000)
	})
}

// Health and connections outlive a reload; what is new begins anew.
func TestHealthOutlivesReload(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, one, two)
		f.change(two, func(s *server) { s.status = 500 })
		b := f.backend(options(checked, one, two))
		time.Sleep(time.Second)
		again := f.backend(options(checked, one, two))
		if again != b {
			t.Fatal("equal options made another backend")
		}
		same(t, "after the reload", f.counts(again, 4), one+"=4")
		other := f.backend(options(checked, one, three))
		if other == b {
			t.Fatal("other targets made no other backend")
		}
		before := f.look(two).checks
		time.Sleep(30 * time.Second)
		if after := f.look(two).checks; after != before {
			t.Errorf("a target that is gone was asked %d times more", after-before)
		}
		synctest.Wait()
		if s := f.look(one); s.open > 0 {
			t.Errorf("%d connections of the backend that is gone are open", s.open)
		}
	})
}
