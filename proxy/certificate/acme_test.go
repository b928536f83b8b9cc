package certificate

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy/certificate/pebbletest"
)

// Each way to prove that a name is ours gets a certificate that clients trust.
func TestACMEChallenges(t *testing.T) {
	t.Parallel()
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

// reset lets a name be tried again at once.
func (f *front) reset(domain string) {
	f.mu.Lock()
	n := f.names[domain]
	f.mu.Unlock()
	n.mu.Lock()
	n.retry = time.Time{}
	n.mu.Unlock()
	f.poke()
}

// A certificate is renewed before its end, by itself and when somebody asks for it;
// the one before serves until then.
func TestACMERenewal(t *testing.T) {
	t.Parallel()
	f := newFront(t, Options{})
	ca := f.pebble(pebbletest.Options{Life: 20 * time.Second})
	f.apply(ca.Config("renew_window = 90"), "a.postern.test")
	first := f.got("a.postern.test")
	roots := ca.Issued()
	until(t, "a renewed certificate", func() bool {
		if err := f.get("a.postern.test", roots); err != nil {
			t.Fatal(err)
		}
		return !f.Find("a.postern.test").Leaf.Equal(first)
	})
	if now := time.Now(); now.After(first.NotAfter) {
		t.Errorf("renewed %v after the end", now.Sub(first.NotAfter))
	}
	second := f.Find("a.postern.test").Leaf
	until(t, "somebody's renewal", func() bool { return !errors.Is(f.Renew(t.Context(), "a.postern.test"), ErrBusy) })
	if f.Find("a.postern.test").Leaf.Equal(second) {
		t.Error("asked for, and not renewed")
	}
	if err := f.Renew(t.Context(), "b.postern.test"); !errors.Is(err, ErrUnknown) {
		t.Errorf("a name of nobody's: %v", err)
	}
}

// A revoked certificate is replaced; the authority knows that it was revoked.
func TestACMERevoke(t *testing.T) {
	t.Parallel()
	f := newFront(t, Options{})
	ca := f.pebble(pebbletest.Options{})
	f.apply(ca.Config(""), "a.postern.test")
	first := f.got("a.postern.test")
	until(t, "rest", func() bool { return f.Revoke(t.Context(), "a.postern.test", ReasonKeyCompromise) == nil })
	if got := ca.Status(fmt.Sprintf("%x", first.SerialNumber)); got != "Revoked" {
		t.Errorf("the authority says %q", got)
	}
	until(t, "another certificate", func() bool { return !f.Find("a.postern.test").Leaf.Equal(first) })
	until(t, "rest", func() bool { return !f.status("a.postern.test").Revoked })
	chain, key, err := f.Export("a.postern.test")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil || !pair.Leaf.Equal(f.Find("a.postern.test").Leaf) {
		t.Errorf("exported something else: %v", err)
	}
}

// After an exchange of keys the account is the same one, with the new key; one that
// was cut off is settled, whichever way it went.
func TestACMERollOver(t *testing.T) {
	t.Parallel()
	f := newFront(t, Options{})
	ca := f.pebble(pebbletest.Options{})
	f.apply(ca.Config(""))
	if err := f.RollOver(t.Context(), "pebble"); !errors.Is(err, ErrUnknown) {
		t.Errorf("without an account: %v", err)
	}
	f.apply(ca.Config(""), "a.postern.test")
	f.got("a.postern.test")
	a := f.plan.authorities[0]
	before, old, err := a.accounts.load(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.RollOver(t.Context(), "pebble"); err != nil {
		t.Fatal(err)
	}
	after, st, err := a.accounts.load(t.Context(), a)
	if err != nil || after.Location != before.Location || bytes.Equal(st.Key, old.Key) || st.Next != nil {
		t.Fatalf("account %s, before %s; %v", after.Location, before.Location, err)
	}
	f.apply(ca.Config(""), "a.postern.test", "b.postern.test")
	f.got("b.postern.test")

	f1 := func(key, next []byte, want []byte) {
		t.Helper()
		if err := a.accounts.save(t.Context(), a, &stored{Account: before, Key: key, Next: next}); err != nil {
			t.Fatal(err)
		}
		got, err := a.account(t.Context())
		if err != nil || got.Location != before.Location {
			t.Errorf("account %s, %v", got.Location, err)
		}
		if _, st, err := a.accounts.load(t.Context(), a); err != nil || !bytes.Equal(st.Key, want) || st.Next != nil {
			t.Errorf("settled wrongly: %v", err)
		}
	}
	// Cut off after the authority had the new key, and before.
	f1(old.Key, st.Key, st.Key)
	f1(st.Key, old.Key, st.Key)
	if err := f.RollOver(t.Context(), "none"); !errors.Is(err, ErrUnknown) {
		t.Errorf("an authority of nobody's: %v", err)
	}
}

// Fault 25: an authority that is down at the start: what is stored serves, the
// reason is told, and once it is back, though it knows our account no more, what is
// missing is got.
func TestACMEOutage(t *testing.T) {
	t.Parallel()
	f := newFront(t, Options{})
	ca := f.pebble(pebbletest.Options{})
	f.apply(ca.Config(""), "a.postern.test")
	had := f.got("a.postern.test")
	f.Close()
	ca.Stop()

	again := newFront(t, Options{Store: NewDirectory(filepath.Join(f.dir, "store"))})
	again.apply(ca.Config(""), "a.postern.test", "b.postern.test")
	if c := again.Find("a.postern.test"); c == nil || !c.Leaf.Equal(had) {
		t.Error("what is stored doesn't serve")
	}
	until(t, "the reason", func() bool {
		missing := again.Missing()
		return len(missing) == 1 && strings.Contains(missing[0], "b.postern.test: no certificate yet: authority pebble") && strings.Contains(missing[0], "connection refused")
	})
	if n := again.Figures().Orders; n != 0 {
		t.Errorf("%d orders at an authority that is down", n)
	}
	// It comes back, and asks the sockets that are there now.
	ca.Move(again.http, again.tls)
	ca.Restart()
	again.got("b.postern.test")
	if missing := again.Missing(); len(missing) > 0 {
		t.Errorf("missing %q", missing)
	}
}

// An authority that has forgotten what it gave us, and refuses orders that replace
// what it doesn't know, renews at once all the same.
func TestACMEForgetful(t *testing.T) {
	t.Parallel()
	f := newFront(t, Options{Logger: zap.NewNop()})
	ca := f.pebble(pebbletest.Options{})
	f.apply(ca.Config(""), "a.postern.test")
	had := f.got("a.postern.test")
	ca.Stop()
	ca.Restart()
	until(t, "rest", func() bool {
		err := f.Renew(t.Context(), "a.postern.test")
		if err != nil && !errors.Is(err, ErrBusy) {
			t.Fatal(err)
		}
		return err == nil
	})
	if f.Find("a.postern.test").Leaf.Equal(had) {
		t.Error("nothing was renewed")
	}
}

// Fault 25: half of the good nonces are refused.
func TestACMEBadNonces(t *testing.T) {
	t.Parallel()
	f := newFront(t, Options{})
	ca := f.pebble(pebbletest.Options{BadNonces: 50})
	f.apply(ca.Config(""), "a.postern.test", "b.postern.test")
	f.got("a.postern.test")
	f.got("b.postern.test")
	if n := f.Figures().Orders; n != 2 {
		t.Errorf("%d orders, want 2: those whose nonce was refused are none", n)
	}
}

// An authority that doesn't answer is passed over.
func TestACMEFallBack(t *testing.T) {
	t.Parallel()
	f := newFront(t, Options{})
	ca := f.pebble(pebbletest.Options{})
	dead := fmt.Sprintf("[acme.issuer.dead]\ndirectory = \"http://127.0.0.1:%d/dir\"\n", pebbletest.FreePort(t))
	f.apply(strings.Replace(ca.Config(`issuers = ["dead", "pebble"]`), "[acme.issuer.pebble]", dead+"[acme.issuer.pebble]", 1), "a.postern.test")
	f.got("a.postern.test")
	if s := f.status("a.postern.test"); s.Issuer != f.plan.authorities[1].key {
		t.Errorf("from %q", s.Issuer)
	}
	// One that is refused for good is a failure of the name alone.
	if paused := f.plan.authorities[1].paused(); paused != nil {
		t.Error(paused)
	}
}

// Accounts that belong to one elsewhere; and kinds of keys.
func TestACMEAccountBinding(t *testing.T) {
	t.Parallel()
	const key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
	f := newFront(t, Options{})
	ca := f.pebble(pebbletest.Options{EAB: map[string]string{"kid-1": key}})
	f.apply(ca.Config(`key_type = "rsa2048"`)+`eab = { key_id = "kid-1", key = "`+key+`" }`+"\n", "a.postern.test")
	leaf := f.got("a.postern.test")
	if got := leaf.PublicKeyAlgorithm; got != x509.RSA {
		t.Errorf("a key of %v", got)
	}
	for _, e := range leaf.Extensions {
		if e.Id.String() == "1.3.6.1.5.5.7.1.24" {
			t.Error("must-staple")
		}
	}
}

// A name that the authority refuses costs a few orders, and then a pause; other names
// get theirs.
func TestACMERefusedName(t *testing.T) {
	t.Parallel()
	f := newFront(t, Options{Logger: zap.NewNop()})
	ca := f.pebble(pebbletest.Options{Blocked: []string{"bad.postern.test"}})
	f.apply(ca.Config(""), "a.postern.test", "bad.postern.test")
	f.got("a.postern.test")
	until(t, "the refusal", func() bool { return f.status("bad.postern.test").Failures > 0 })
	s := f.status("bad.postern.test")
	if !strings.Contains(s.Failure, "rejectedIdentifier") || time.Until(s.Next) < 50*time.Second {
		t.Errorf("%q, again in %v", s.Failure, time.Until(s.Next))
	}
	if f.plan.authorities[0].paused() != nil {
		t.Error("nobody else may ask either")
	}
	if n := f.Figures().Orders; n > 3 {
		t.Errorf("%d orders", n)
	}
}

// Faults 22 and 23: with a full disk or a read-only store no order is placed, the
// certificate that is there serves on, and what can be stored again is got.
func TestACMEFullDisk(t *testing.T) {
	t.Parallel()
	disk := &faulty{Store: NewDirectory(t.TempDir())}
	f := newFront(t, Options{Store: disk, Logger: zap.NewNop()})
	ca := f.pebble(pebbletest.Options{})
	f.apply(ca.Config(""), "a.postern.test")
	had := f.got("a.postern.test")
	until(t, "rest", func() bool { return !errors.Is(f.Renew(t.Context(), "a.postern.test"), ErrBusy) })
	had = f.Find("a.postern.test").Leaf
	orders := f.Figures().Orders
	for _, cause := range []error{syscall.ENOSPC, syscall.EROFS} {
		disk.fail(cause)
		if err := f.Renew(t.Context(), "a.postern.test"); !errors.Is(err, cause) {
			t.Errorf("%v: %v", cause, err)
		}
		f.apply(ca.Config(""), "a.postern.test", "b.postern.test")
		until(t, "the failure", func() bool { return f.status("b.postern.test").Failures > 0 })
		if err := f.get("a.postern.test", ca.Issued()); err != nil || !f.Find("a.postern.test").Leaf.Equal(had) {
			t.Errorf("%v: the certificate before doesn't serve: %v", cause, err)
		}
		f.apply(ca.Config(""), "a.postern.test")
	}
	if n := f.Figures().Orders - orders; n != 0 {
		t.Errorf("%d orders whose certificates couldn't be stored", n)
	}
	disk.fail(nil)
	f.apply(ca.Config(""), "a.postern.test", "b.postern.test")
	f.got("b.postern.test")
	until(t, "rest", func() bool { return f.Renew(t.Context(), "a.postern.test") == nil })
}

// Fault 22, when it is the certificate that doesn't fit any more: what is stored is
// that of before, whole.
func TestACMEFullDiskAtTheEnd(t *testing.T) {
	t.Parallel()
	disk := &faulty{Store: NewDirectory(t.TempDir())}
	f := newFront(t, Options{Store: &late{faulty: disk}, Logger: zap.NewNop()})
	ca := f.pebble(pebbletest.Options{})
	f.apply(ca.Config(""), "a.postern.test")
	had := f.got("a.postern.test")
	until(t, "rest", func() bool { return !errors.Is(f.Renew(t.Context(), "a.postern.test"), ErrBusy) })
	had = f.Find("a.postern.test").Leaf
	full := error(syscall.ENOSPC)
	disk.broken.Store(&full)
	if err := f.Renew(t.Context(), "a.postern.test"); !errors.Is(err, syscall.ENOSPC) && (err == nil || !strings.Contains(err.Error(), "no space")) {
		t.Errorf("a full disk: %v", err)
	}
	if n := f.Figures().Unstored; n == 0 {
		t.Error("nothing is counted")
	}
	again := newFront(t, Options{Store: disk})
	again.apply(ca.Config(""), "a.postern.test")
	if c := again.Find("a.postern.test"); c == nil || !c.Leaf.Equal(had) {
		t.Error("the certificate before isn't stored any more")
	}
}

// late is a disk on which certificates don't fit when it is broken, and all else does.
type late struct{ *faulty }

func (l *late) Put(ctx context.Context, key string, value []byte) error {
	if strings.HasPrefix(key, "certificates/") {
		return l.faulty.Put(ctx, key, value)
	}
	return l.Store.Put(ctx, key, value)
}

func (l *late) Claim(ctx context.Context, name, owner string, ttl time.Duration) (bool, error) {
	return l.Store.Claim(ctx, name, owner, ttl)
}

// Fault 23: a damaged file is replaced at the next start, and the name is without a
// certificate until then; a file that is whole and of no use, too.
func TestACMEDamaged(t *testing.T) {
	t.Parallel()
	f := newFront(t, Options{})
	ca := f.pebble(pebbletest.Options{})
	f.apply(ca.Config(""), "a.postern.test", "b.postern.test")
	f.got("a.postern.test")
	f.got("b.postern.test")
	f.Close()
	store := NewDirectory(filepath.Join(f.dir, "store"))
	where := document(f.plan.authorities[0].key, "a.postern.test")
	value, _, err := store.Get(t.Context(), where)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Put(t.Context(), where, value[:len(value)/2]); err != nil {
		t.Fatal(err)
	}
	// The other's certificate: whole, and not for this name.
	s := newStorage(store, zap.NewNop())
	if err := s.put(t.Context(), document(f.plan.authorities[0].key, "b.postern.test"), value[bytes.IndexByte(value, '\n')+1:]); err != nil {
		t.Fatal(err)
	}
	again := newFront(t, Options{Store: store, Logger: zap.NewNop()})
	ca.Stop()
	ca.Move(again.http, again.tls)
	ca.Restart()
	again.apply(ca.Config(""), "a.postern.test", "b.postern.test")
	if c := again.Find("a.postern.test"); c != nil {
		t.Error("a damaged file serves")
	}
	again.got("a.postern.test")
	again.got("b.postern.test")
	if err := again.get("b.postern.test", ca.Issued()); err != nil {
		t.Error(err)
	}
	if n := again.Figures().Damaged; n != 2 {
		t.Errorf("%d damaged, want 2", n)
	}
}

// Several processes with one store get each certificate once, and all serve it.
func TestACMEShared(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := newFront(t, Options{Store: NewDirectory(dir)})
	ca := f.pebble(pebbletest.Options{})
	var others []*Keeper
	domains := []string{"a.postern.test", "b.postern.test", "c.postern.test"}
	cfg := load(t, f.dir, ca.Config(""), domains...)
	for range 2 {
		k := New(Options{Store: NewDirectory(dir), Logger: f.logger})
		defer k.Close()
		others = append(others, k)
		apply(t, k, cfg)
	}
	apply(t, f.Keeper, cfg)
	var orders int64
	for _, k := range append(others, f.Keeper) {
		for _, d := range domains {
			f.got(d)
			until(t, "a certificate for "+d, func() bool { return k.Find(d) != nil })
			if !k.Find(d).Leaf.Equal(f.Find(d).Leaf) {
				t.Errorf("two certificates for %s", d)
			}
		}
		orders += k.Figures().Orders
	}
	if orders != int64(len(domains)) {
		t.Errorf("%d orders for %d names", orders, len(domains))
	}
	accounts, err := f.storage.store.List(t.Context(), "accounts")
	if err != nil || len(accounts) != 1 {
		t.Errorf("accounts %q, %v", accounts, err)
	}
}

// What isn't configured any more isn't served any more; what was got of it serves
// again when it comes back.
func TestACMERemovedDomain(t *testing.T) {
	t.Parallel()
	f := newFront(t, Options{})
	ca := f.pebble(pebbletest.Options{})
	f.apply(ca.Config(""), "a.postern.test", "b.postern.test")
	f.got("a.postern.test")
	had := f.got("b.postern.test")
	f.apply(ca.Config(""), "a.postern.test")
	if f.Find("b.postern.test") != nil {
		t.Error("a removed domain is served")
	}
	if n := len(f.Figures().Names); n != 1 {
		t.Errorf("%d names", n)
	}
	f.apply(ca.Config(""), "a.postern.test", "b.postern.test")
	if c := f.Find("b.postern.test"); c == nil || !c.Leaf.Equal(had) {
		t.Error("what was got before is forgotten")
	}
}
