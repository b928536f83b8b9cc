package certificate

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy/certificate/pebbletest"
)

// An authority that takes connections and says nothing, and one that refuses the
// e-mail address, keep nobody else from being served: what is stored and what has files
// serves, nothing is ordered, and the reason is told. Once it answers, it is asked again.
func TestACMESilentOrUnwilling(t *testing.T) {
	t.Parallel()
	f := newFront(t, Options{Logger: zap.NewNop()})
	ca := f.pebble(pebbletest.Options{})
	files := "own.test " + writePair(t, f.dir, "own", selfSigned(t, "own.test", time.Now(), time.Hour))
	f.apply(strings.Replace(ca.Config(""), "us@postern.test", "a..b@postern.test", 1), "a.postern.test", files)
	until(t, "the refusal", func() bool { return f.status("a.postern.test").Failure != "" })
	if s := f.status("a.postern.test"); s.Has || !strings.Contains(s.Failure, "a..b@postern.test") {
		t.Errorf("status %+v", s)
	}
	if n := f.Figures().Orders; n != 0 || f.Find("own.test") == nil {
		t.Errorf("%d orders, files serve: %t", n, f.Find("own.test") != nil)
	}

	f.apply(ca.Config(""), "a.postern.test", files)
	f.got("a.postern.test")
	ca.Pause()
	began := time.Now()
	f.apply(ca.Config(""), "a.postern.test", "b.postern.test", files)
	if took := time.Since(began); took > connectTime {
		t.Errorf("a reload waits %v for the authority", took)
	}
	for _, name := range []string{"a.postern.test", "own.test"} {
		if f.Find(name) == nil {
			t.Errorf("%s doesn't serve", name)
		}
	}
	if missing := f.Missing(); len(missing) != 1 || !strings.HasPrefix(missing[0], "b.postern.test: no certificate yet") {
		t.Errorf("missing %q", missing)
	}
	ca.Resume()
	f.got("b.postern.test")
}

// Fault 26: a certificate that comes to its end because nobody renews it is told as
// missing; other names don't notice.
func TestACMEExpired(t *testing.T) {
	t.Parallel()
	now := &clock{now: time.Now()}
	f := newFront(t, Options{Logger: zap.NewNop(), Now: now.Now})
	ca := f.pebble(pebbletest.Options{Life: time.Hour})
	files := "own.test " + writePair(t, f.dir, "own", selfSigned(t, "own.test", time.Now(), 48*time.Hour))
	f.apply(ca.Config(""), "a.postern.test", files)
	had := f.got("a.postern.test")
	ca.Stop()
	now.add(50 * time.Minute)
	f.poke()
	until(t, "a failure", func() bool { return f.status("a.postern.test").Failure != "" })
	if missing := f.Missing(); len(missing) != 0 {
		t.Errorf("missing before the end: %q", missing)
	}
	now.add(20 * time.Minute)
	missing := f.Missing()
	if len(missing) != 1 || !strings.Contains(missing[0], "a.postern.test: its certificate ended at "+had.NotAfter.UTC().Format(time.RFC3339)) || !strings.Contains(missing[0], "connection refused") {
		t.Errorf("missing %q", missing)
	}
	own := x509.NewCertPool()
	own.AddCert(f.Find("own.test").Leaf)
	if err := f.get("own.test", own); err != nil {
		t.Errorf("another name: %v", err)
	}
}
