package upstream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// A backend that resets the connection before its answer: a failure, and over a
// new connection no second try, as the backend has had the request.
func TestResetBeforeHead(t *testing.T) {
	s := serve(t, func(conn net.Conn, _ *bufio.Reader, _ string) bool {
		conn.(*net.TCPConn).SetLinger(0) // closing sends RST
		return false
	})
	b, set := open(t, s.url(), &config.Backend{ConnectTimeout: seconds(5), IdleTimeout: seconds(5), Retries: 3, Header: 4096})
	for _, method := range []string{"GET", "POST"} {
		ex := request(method, "x")
		err := b.Send(context.Background(), ex)
		if !errors.Is(err, proxy.Fault{Kind: proxy.IntegrationFailure}) || ex.Notes.Retries != 0 {
			t.Errorf("%s: got %v after %d further tries, want %v after none", method, err, ex.Notes.Retries, proxy.IntegrationFailure)
		}
		ex.End()
	}
	if got := s.accepted.Load(); got != 2 {
		t.Errorf("got %d connections, want 2", got)
	}
	if x := set.Stats()[0].Targets[0]; x.Failures != 2 || x.Open != 0 || x.Requests != 2 {
		t.Errorf("got %+v, want 2 failures and nothing open", x)
	}
}

// A reset in the middle of the content is an error, never its clean end.
func TestResetInContent(t *testing.T) {
	f := func(head string) {
		t.Helper()
		read := make(chan struct{})
		s := serve(t, func(conn net.Conn, _ *bufio.Reader, _ string) bool {
			io.WriteString(conn, head)
			<-read // else the reset overtakes what was sent
			conn.(*net.TCPConn).SetLinger(0)
			return false
		})
		b, set := open(t, s.url(), nil)
		ex := request("GET", "")
		if err := b.Send(context.Background(), ex); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 5)
		if _, err := io.ReadFull(ex.Back.Body, buf); err != nil {
			t.Fatal(err)
		}
		close(read)
		if rest, err := io.ReadAll(ex.Back.Body); err == nil {
			t.Errorf("%q: got %q and a clean end", head, rest)
		}
		ex.End()
		if x := set.Stats()[0].Targets[0]; x.Open != 0 || x.Active != 0 || x.Failures != 1 {
			t.Errorf("%q: got %+v, want one failure and nothing open", head, x)
		}
	}
	f("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
	f("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
	f("HTTP/1.1 200 OK\r\n\r\nhello") // a reset isn't the end that closing is
}

// A backend that is too slow with its head is given up at the limit, within
// 5 %, and notices.
func TestSlowHead(t *testing.T) {
	for _, limit := range []time.Duration{300 * time.Millisecond, 2 * time.Second, 29 * time.Second} {
		bubble(t, func(t *testing.T) {
			f := newFleet(t, one)
			f.change(one, func(s *server) { s.mute = true })
			b := f.backend(options(nil, one))
			ex := request("GET", "")
			ex.Out.Timeout = limit
			begin := time.Now()
			err := b.Send(context.Background(), ex)
			if took := time.Since(begin); !errors.Is(err, proxy.Fault{Kind: proxy.IntegrationTimeout}) || took < limit || took > limit+limit/20 {
				t.Errorf("got %v after %s, want %v after %s", err, took, proxy.IntegrationTimeout, limit)
			}
			ex.End()
			if n := f.look(one).open; n != 0 {
				t.Errorf("%d connections are open, want the request to be cancelled", n)
			}
		})
	}
}

// A backend that drips content is borne as long as bytes come; a pause longer
// than the limit isn't.
func TestDrip(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, one)
		pauses := []time.Duration{9 * time.Second, 9 * time.Second, 9 * time.Second, 11 * time.Second}
		f.change(one, func(s *server) { s.drip = pauses })
		b := f.backend(options(func(o *config.Backend) { o.IdleTimeout = seconds(10) }, one))
		ex := request("GET", "")
		ex.Out.Timeout = time.Second // for the head only
		begin := time.Now()
		if err := b.Send(context.Background(), ex); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(ex.Back.Body)
		ex.End()
		if took := time.Since(begin); string(got) != "xxx" || !errors.Is(err, proxy.Fault{Kind: proxy.IntegrationTimeout}) || took < 37*time.Second || took > 38*time.Second {
			t.Errorf("got %q and %v after %s, want what came in time and an error after 37 s", got, err, took)
		}
	})
}

// A backend that drips content for ever is cut when all its pauses together are
// too long, whatever each is; an integration's own limit goes before the
// backend's. The target isn't blamed for it: a stream of events ends this way.
func TestDripInAll(t *testing.T) {
	for _, c := range []struct{ own, want time.Duration }{{0, 30 * time.Second}, {14 * time.Second, 14 * time.Second}} {
		bubble(t, func(t *testing.T) {
			f := newFleet(t, one)
			pauses := make([]time.Duration, 100)
			for i := range pauses {
				pauses[i] = 4 * time.Second
			}
			f.change(one, func(s *server) { s.drip = pauses })
			b := f.backend(options(func(o *config.Backend) { o.IdleTimeout, o.ContentTimeout = seconds(10), seconds(30) }, one))
			ex := request("GET", "")
			ex.Out.Timeout, ex.Out.ContentTimeout = time.Second, c.own
			if err := b.Send(context.Background(), ex); err != nil {
				t.Fatal(err)
			}
			var waited time.Duration
			var got int
			var err error
			for buf := make([]byte, 10); err == nil; {
				begin, n := time.Now(), 0
				n, err = ex.Back.Body.Read(buf)
				got += n
				waited += time.Since(begin)
				time.Sleep(time.Second) // a client that takes its time, which doesn't count
			}
			ex.End()
			if !errors.Is(err, proxy.Fault{Kind: proxy.IntegrationTimeout}) || !strings.Contains(err.Error(), c.want.String()+" in all") || waited != c.want {
				t.Errorf("got %d bytes and %v after waiting for %s, want the end after %s", got, err, waited, c.want)
			}
			if s := f.look(one); s.open != 0 {
				t.Errorf("%d connections are open", s.open)
			}
			if x := f.set.Stats()[0].Targets[0]; x.Failures != 0 || x.Active != 0 {
				t.Errorf("got %+v, want no failure", x)
			}
		})
	}
}

// A kept connection whose other side has vanished costs one request its time
// limit; the connection is dropped and others are served.
func TestHalfOpen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, one)
		b := f.backend(options(func(o *config.Backend) { o.KeepAlive = seconds(1000) }, one))
		same(t, "before", f.counts(b, 1), one+"=1")
		f.change(one, func(s *server) { s.mute = true }) // nothing comes back any more
		begin := time.Now()
		lost := f.later(b)
		f.change(one, func(s *server) { s.mute = false })
		same(t, "others meanwhile", f.counts(b, 3), one+"=3")
		if took := time.Since(begin); took > 0 {
			t.Errorf("the others took %s", took)
		}
		time.Sleep(time.Minute)
		if r := got(lost); r != "INTEGRATION_TIMEOUT" {
			t.Errorf("got %q, want a time-out", r)
		}
		if s := f.look(one); s.open != 1 {
			t.Errorf("got %d connections, want the good one", s.open)
		}
	})
}

// A host that doesn't answer at all costs the time to connect, not more, and
// another target gets the request.
func TestConnectTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFleet(t, one, two)
		f.change(one, func(s *server) { s.lost = true })
		b := f.backend(options(func(o *config.Backend) { o.ConnectTimeout = seconds(2) }, one, two))
		begin := time.Now()
		same(t, "with another target", f.counts(b, 2), two+"=2")
		if took := time.Since(begin); took != 2*time.Second {
			t.Errorf("took %s, want 2 s", took)
		}
		alone := f.backend(options(func(o *config.Backend) { o.ConnectTimeout = seconds(2) }, one))
		begin = time.Now()
		same(t, "alone", f.counts(alone, 1), "INTEGRATION_TIMEOUT=1")
		if took := time.Since(begin); took != 2*time.Second {
			t.Errorf("took %s, want 2 s", took)
		}
	})
}

// An answer that is longer than it says never becomes part of the next one, be
// the rest there at once (TestFraming) or later.
func TestLongerThanSaid(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux can tell")
	}
	more := make(chan struct{}, 1)
	s := serve(t, func(conn net.Conn, _ *bufio.Reader, head string) bool {
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		if strings.HasPrefix(head, "POST") {
			<-more
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad")
		}
		return true
	})
	b, set := open(t, s.url(), nil)
	send := func(method string) {
		t.Helper()
		ex := request(method, "")
		defer ex.End()
		if err := b.Send(context.Background(), ex); err != nil {
			t.Fatal(err)
		}
		if got := body(t, ex); got != "ok" {
			t.Errorf("%s: got %q, want ok", method, got)
		}
	}
	for i, next := range []string{"GET", "PUT", "POST"} {
		send("POST")
		more <- struct{}{}
		idle := set.all()[0].all[0].idle[0]
		for idle.wire.Quiet() { // the rest is on its way
			time.Sleep(time.Millisecond)
		}
		idle.since = idle.since.Add(-restless) // else the GET takes what was in use just now
		send(next)
		if next == "POST" {
			more <- struct{}{}
		}
		if got, want := int(s.accepted.Load()), i+2; got != want {
			t.Errorf("%s: got %d connections, want %d", next, got, want)
		}
	}
}
