package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"
)

const internal = ` certificate = "internal"`

// rootPool returns the roots of those who trust the internal authority.
func rootPool(t testing.TB, k *Keeper) (*x509.CertPool, string) {
	t.Helper()
	text, err := k.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatalf("no root in %s", text)
	}
	return pool, string(text)
}

// Names have internal certificates at once, whom clients trust that trust the root;
// the root is the same after a start.
func TestInternal(t *testing.T) {
	f := newFront(t, Options{})
	if _, err := f.Root(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a root that nobody needs: %v", err)
	}
	f.apply("", "shop.localhost"+internal, "*.dev.test"+internal, "api.example.com"+internal)
	roots, first := rootPool(t, f.Keeper)
	for _, name := range []string{"shop.localhost", "a.dev.test", "api.example.com"} {
		if err := f.get(name, roots); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"dev.test", "a.b.dev.test", "bank.example.com", "shop.localhost.evil.example"} {
		if err := f.get(name, roots); err == nil {
			t.Errorf("%s has a certificate", name)
		}
	}
	s := f.status("api.example.com")
	if s.Issuer != "internal" || !s.Has || s.Failure != "" || s.NotAfter.Sub(time.Now()) > internalLife || !s.Renew.Before(s.NotAfter) {
		t.Errorf("status %+v", s)
	}
	file := filepath.Join(f.dir, "store", "documents", "internal", "root")
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the root's key: %v, %v", st, err)
	}
	chain, key, err := f.Export("api.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if pair, err := tls.X509KeyPair(chain, key); err != nil || !pair.Leaf.Equal(f.Find("api.example.com").Leaf) {
		t.Errorf("exported something else: %v", err)
	}

	before := f.Find("shop.localhost")
	f.apply("", "shop.localhost"+internal, "*.dev.test"+internal) // a reload
	if f.Find("shop.localhost") != before {
		t.Error("a reload made another certificate")
	}
	if err := f.Renew(t.Context(), "shop.localhost"); err != nil || f.Find("shop.localhost") == before {
		t.Errorf("asked for, and not renewed: %v", err)
	}
	if err := f.Revoke(t.Context(), "shop.localhost", ReasonUnspecified); err == nil {
		t.Error("an internal certificate can be revoked")
	}
	again := New(Options{Store: NewDirectory(filepath.Join(f.dir, "store")), Logger: zaptest.NewLogger(t)})
	defer again.Close()
	apply(t, again, load(t, f.dir, "", "shop.localhost"+internal))
	if _, text := rootPool(t, again); text != first {
		t.Error("a start makes another root")
	}
}

// The root certifies nothing but reserved names and those of the configuration; a
// name more makes another root, which all names get certificates of.
func TestInternalConstraints(t *testing.T) {
	f := newFront(t, Options{})
	f.apply("", "shop.localhost"+internal)
	old, _ := rootPool(t, f.Keeper)
	r, err := f.storedRoot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bank.example.com", "localhost.example.com"} {
		forged, err := r.sign(name, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := forged.Leaf.Verify(x509.VerifyOptions{Roots: old, DNSName: name}); err == nil {
			t.Errorf("a certificate for %s counts", name)
		}
	}
	f.apply("", "shop.localhost"+internal, "api.example.com"+internal)
	roots, _ := rootPool(t, f.Keeper)
	for _, name := range []string{"shop.localhost", "api.example.com"} {
		if err := f.get(name, roots); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := f.get(name, old); err == nil {
			t.Errorf("%s has a certificate of the root of before", name)
		}
	}
}

// Certificates are renewed before their end; a root that ends is replaced.
func TestInternalRenewal(t *testing.T) {
	var mu sync.Mutex
	var ahead time.Duration
	f := newFront(t, Options{Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return time.Now().Add(ahead) }})
	f.apply("", "shop.localhost"+internal)
	first, _ := rootPool(t, f.Keeper)
	before := f.Find("shop.localhost")
	later := func(by time.Duration) {
		mu.Lock()
		ahead = by
		mu.Unlock()
		f.poke()
	}
	later(internalLife * 3 / 4)
	until(t, "a renewal", func() bool { return f.Find("shop.localhost") != before })
	if _, err := f.Find("shop.localhost").Leaf.Verify(x509.VerifyOptions{Roots: first, DNSName: "shop.localhost", CurrentTime: time.Now().Add(internalLife * 3 / 4)}); err != nil {
		t.Error(err)
	}
	before = f.Find("shop.localhost")
	later(rootLife - internalLife/2)
	until(t, "a renewal", func() bool { return f.Find("shop.localhost") != before })
	if _, err := f.Find("shop.localhost").Leaf.Verify(x509.VerifyOptions{Roots: first, DNSName: "shop.localhost", CurrentTime: time.Now().Add(rootLife - internalLife/2)}); err == nil {
		t.Error("certified by a root that ends before the certificate does")
	}
}

// A damaged root is replaced, one that can't be stored isn't used; an idle keeper
// makes none.
func TestInternalFaults(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "store", "documents", "internal", "root")
	start := func(idle bool) *Keeper {
		k := New(Options{Store: NewDirectory(filepath.Join(dir, "store")), Idle: idle})
		t.Cleanup(k.Close)
		apply(t, k, load(t, dir, "", "shop.localhost"+internal))
		return k
	}
	if k := start(true); k.Find("shop.localhost") != nil || len(k.Missing()) != 1 {
		t.Error("looking made a certificate")
	}
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("looking made a root: %v", err)
	}
	_, first := rootPool(t, start(false))
	if k := start(true); k.Find("shop.localhost") == nil {
		t.Error("no certificate of the root that there is")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text[:len(text)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	k := start(false)
	if _, text := rootPool(t, k); text == first || k.Find("shop.localhost") == nil {
		t.Error("half of a root is used")
	}
	if got := k.Figures().Damaged; got != 1 {
		t.Errorf("%d damaged documents", got)
	}

	blocked := t.TempDir()
	if err := os.WriteFile(filepath.Join(blocked, "store"), nil, 0o600); err != nil { // where a folder is to be
		t.Fatal(err)
	}
	dir = blocked
	k = start(false)
	if missing := k.Missing(); k.Find("shop.localhost") != nil || len(missing) != 1 || !strings.Contains(missing[0], "store") {
		t.Errorf("missing: %q", missing)
	}
}
