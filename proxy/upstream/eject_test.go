package upstream

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

func ejecting(o *config.Backend) {
	o.Eject = config.Eject{Failures: 3, Status: []string{"502-504"}, Time: seconds(10), MaxTime: seconds(60), MaxPercent: 50}
}

// A target that fails several requests in a row is left out, longer each time,
// and tried again with one request.
func TestEject(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, one, two)
		b := f.backend(options(ejecting, one, two))
		f.change(two, func(s *server) { s.status = 503 })
		same(t, "until the third failure", f.counts(b, 6), one+"=3 503=3")
		same(t, "left out", f.counts(b, 6), one+"=6")
		// Just before and just after a moment: at the moment itself is a matter of chance.
		until := func(d time.Duration) { time.Sleep(d - 100*time.Millisecond) }
		after := func() { time.Sleep(200 * time.Millisecond) }
		until(10 * time.Second)
		same(t, "still left out", f.counts(b, 6), one+"=6")
		after()
		same(t, "tried once", f.counts(b, 6), one+"=5 503=1")
		until(20 * time.Second)
		same(t, "left out twice as long", f.counts(b, 6), one+"=6")
		f.change(two, func(s *server) { s.status = 200 })
		after()
		same(t, "well again", f.counts(b, 6), one+"=3 "+two+"=3")

		// Three in a row are needed again; soon after, the time goes on growing.
		f.change(two, func(s *server) { s.status = 503 })
		same(t, "fails again", f.counts(b, 6), one+"=3 503=3")
		until(40 * time.Second)
		same(t, "left out for 40 s", f.counts(b, 6), one+"=6")
		after()
		same(t, "tried once more", f.counts(b, 6), one+"=5 503=1")
		until(60 * time.Second)
		same(t, "left out for 60 s, the most", f.counts(b, 6), one+"=6")
		f.change(two, func(s *server) { s.status = 200 })
		after()
		f.counts(b, 6)
		time.Sleep(61 * time.Second)

		// Well for longer than it was left out: it begins from the start.
		f.change(two, func(s *server) { s.status = 503 })
		same(t, "fails after a long time", f.counts(b, 6), one+"=3 503=3")
		until(10 * time.Second)
		after()
		same(t, "left out for 10 s", f.counts(b, 6), one+"=5 503=1")
		if s := f.set.Stats()[0].Targets[1]; s.Ejections != 6 || !s.Ejected || s.Failures != 12 {
			t.Errorf("got %+v, want 6 ejections after 12 failures", s)
		}
	})
}

// What counts as a failure, and what doesn't.
func TestEjectCounts(t *testing.T) {
	f := func(what string, change func(*server), do func(*fleet, *backend), want bool) {
		t.Helper()
		bubble(t, func(t *testing.T) {
			f := newFleet(t, one, two)
			b := f.backend(options(func(o *config.Backend) {
				ejecting(o)
				o.IdleTimeout = seconds(1)
				o.Retries = 0
			}, one, two))
			f.change(two, change)
			for range 8 {
				do(f, b)
			}
			if got := len(b.picks.Load().members) == 1; got != want {
				t.Errorf("%s: left out: %v, want %v", what, got, want)
			}
		})
	}
	get := func(f *fleet, b *backend) { f.get(b) }
	f("dead", func(s *server) { s.dead = true }, get, true)
	f("mute", func(s *server) { s.mute = true }, get, true)
	f("500", func(s *server) { s.status = 500 }, get, false)
	f("504", func(s *server) { s.status = 504 }, get, true)
	f("malformed", func(s *server) { s.header = "Content-Length: 3\r\n" }, get, true)
	f("a client that leaves", func(s *server) { s.mute = true }, func(_ *fleet, b *backend) {
		ex := request("GET", "")
		ex.Begin(time.Now(), gone{})
		ex.Out = proxy.Outgoing{Method: "GET", Target: "/", Host: "h", Timeout: time.Minute}
		_ = b.Send(context.Background(), ex) // the gone client's fault
		ex.End()
	}, false)
	f("an answer nobody reads", func(s *server) {}, func(_ *fleet, b *backend) {
		ex := request("GET", "")
		if err := b.Send(context.Background(), ex); err != nil {
			t.Error(err)
		}
		ex.End()
	}, false)
	// The answer's content never comes to its end.
	f("cut", func(s *server) { s.header = "Transfer-Encoding: chunked\r\n" }, func(_ *fleet, b *backend) {
		ex := request("GET", "")
		if err := b.Send(context.Background(), ex); err == nil {
			var rest [64]byte
			for {
				if _, err := ex.Back.Body.Read(rest[:]); err != nil {
					break
				}
			}
		}
		ex.End()
	}, true)
}

// No more than the share of the targets may be out.
func TestEjectShare(t *testing.T) {
	f := func(percent, want int) {
		t.Helper()
		bubble(t, func(t *testing.T) {
			f := newFleet(t, one, two, three)
			b := f.backend(options(func(o *config.Backend) {
				ejecting(o)
				o.Eject.MaxPercent = percent
				o.AllDown = "refuse"
			}, one, two, three))
			for _, a := range []string{one, two, three} {
				f.change(a, func(s *server) { s.status = 502 })
			}
			f.counts(b, 30)
			if got := len(b.picks.Load().members); got != want {
				t.Errorf("%d %%: got %d targets, want %d", percent, got, want)
			}
		})
	}
	f(0, 3)
	f(33, 3)
	f(50, 2)
	f(67, 1)
	f(100, 0)
}

// One target alone isn't left out, unless one asks for it: then requests are
// refused at once until it is tried again.
func TestEjectOnlyTarget(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, one)
		f.change(one, func(s *server) { s.dead = true })
		b := f.backend(options(ejecting, one))
		same(t, "alone", f.counts(b, 10), "INTEGRATION_FAILURE=10")
		b = f.backend(options(func(o *config.Backend) {
			ejecting(o)
			o.Eject.MaxPercent, o.AllDown = 100, "refuse"
		}, one))
		same(t, "circuit", f.counts(b, 10), "INTEGRATION_FAILURE=3 OVERLOADED=7")
		time.Sleep(10*time.Second + time.Millisecond)
		same(t, "half open", f.counts(b, 10), "INTEGRATION_FAILURE=1 OVERLOADED=9")
		f.change(one, func(s *server) { s.dead = false })
		time.Sleep(20*time.Second + time.Millisecond)
		same(t, "closed again", f.counts(b, 10), one+"=10")
	})
}

func TestStatuses(t *testing.T) {
	s, err := parseStatuses([]string{"200", "500-599"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, status := range []int{-1, 0, 199, 200, 201, 499, 500, 599, 600, 1000} {
		if s.has(status) {
			got = append(got, string(rune('0'+status/100)))
		}
	}
	if strings.Join(got, "") != "255" {
		t.Errorf("got %q", got)
	}
	for _, bad := range []string{"", "2xx", "200-", "300-200", "99", "600"} {
		if _, err := parseStatuses([]string{bad}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
