package certificate

import (
	"testing"

	"github.com/postern-gateway/postern/proxy/certificate/pebbletest"
)

// Each way to prove that a name is ours gets a certificate that clients trust.
func TestACMEChallenges(t *testing.T) {
	for _, kind := range []string{"http-01", "tls-alpn-01"} {
		t.Run(kind, func(t *testing.T) {
			f := newFront(t, Options{})
			ca := f.pebble(pebbletest.Options{})
			f.apply(ca.Config(`challenges = ["`+kind+`"]`), "a.postern.test")
			f.got("a.postern.test")
			if err := f.get("a.postern.test", ca.Issued()); err != nil {
				t.Error(err)
			}
			if err := f.get("b.postern.test", ca.Issued()); err == nil {
				t.Error("a name of nobody's has a certificate")
			}
			if s := f.status("a.postern.test"); s.Failure != "" || s.Renew.IsZero() || s.Serial == "" {
				t.Errorf("status %+v", s)
			}
			if total := f.Figures().Orders; total != 1 {
				t.Errorf("%d orders, want 1", total)
			}
			if left := f.challenges.open.Load(); left != 0 {
				t.Errorf("%d challenges are still open", left)
			}
		})
	}
}
