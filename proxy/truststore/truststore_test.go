package truststore

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// issuer is a certificate with its key.
type issuer struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// now is when all certificates here are judged.
var now = time.Date(2026, 5, 28, 12, 30, 2, 0, time.UTC)

// issue has by sign a certificate that change makes special; nil for by itself.
func issue(t testing.TB, by *issuer, name string, change func(*x509.Certificate)) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return issueFor(t, key, by, name, change)
}

func issueFor(t testing.TB, key crypto.Signer, by *issuer, name string, change func(*x509.Certificate)) *issuer {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(len(name)) + 0x1000), Subject: pkix.Name{Country: []string{"ZZ"}, CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	if change != nil {
		change(template)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issuer{c, key}
}

// client makes a template that of a client.
func client(c *x509.Certificate) {
	c.IsCA, c.KeyUsage, c.ExtKeyUsage = false, x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
}

// bundle writes a truststore.
func bundle(t testing.TB, all ...*issuer) string {
	t.Helper()
	var text []byte
	for _, i := range all {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.certificate.Raw})...)
	}
	return file(t, "bundle.pem", text)
}

func file(t testing.TB, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// trusting returns a store; nothing may be wrong with it.
func trusting(t testing.TB, bundle string, revoked ...string) *Store {
	t.Helper()
	s, found := Read(bundle, revoked, now)
	if s == nil || len(found) > 0 {
		t.Fatal(found)
	}
	return s
}

func chain(all ...*issuer) []*x509.Certificate {
	var c []*x509.Certificate
	for _, i := range all {
		c = append(c, i.certificate)
	}
	return c
}

func TestVerify(t *testing.T) {
	root := issue(t, nil, "root", nil)
	one := issue(t, root, "one", nil)
	two := issue(t, one, "two", nil)
	three := issue(t, two, "three", nil)
	stranger := issue(t, nil, "root", nil) // the same name, another key
	self := issue(t, nil, "self", client)
	s := trusting(t, bundle(t, root, one, two, self))
	f := func(what string, want error, shown ...*issuer) {
		t.Helper()
		_, err := s.Verify(chain(shown...), now)
		if want == nil && err != nil || want != nil && !errors.Is(err, want) && (err == nil || !strings.Contains(err.Error(), want.Error())) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	any := errors.New("")
	f("signed by the root", nil, issue(t, root, "c", client))
	f("signed by one in between", nil, issue(t, one, "c", client))
	f("a chain of four", nil, issue(t, two, "c", client))
	f("one that brings what is in between", nil, issue(t, one, "c", client), one)
	f("a chain of five", ErrChain, issue(t, three, "c", client), three)
	f("signed by itself, and trusted", nil, self)
	f("signed by itself", any, issue(t, nil, "self", client))
	f("by one of the same name", any, issue(t, stranger, "c", client))
	f("with a stranger's chain", any, issue(t, stranger, "c", client), stranger)
	f("none", ErrNoCertificate)
	f("expired", any, issue(t, root, "c", func(c *x509.Certificate) { client(c); c.NotAfter = now.Add(-time.Second) }))
	f("not yet valid", any, issue(t, root, "c", func(c *x509.Certificate) { client(c); c.NotBefore = now.Add(time.Second) }))
	f("a server's", any, issue(t, root, "c", func(c *x509.Certificate) { client(c); c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }))
	f("of a client that signs", any, issue(t, issue(t, root, "c", client), "d", client))
	weakKey, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skip("short RSA keys can't be made here:", err)
	}
	f("a weak key", ErrWeak, issueFor(t, weakKey, root, "c", client))
	many := make([]*issuer, mostShown+1)
	for i := range many {
		many[i] = root
	}
	f("too many", ErrTooMany, many...)

	until, err := s.Verify(chain(issue(t, root, "c", func(c *x509.Certificate) { client(c); c.NotAfter = now.Add(time.Minute) })), now)
	if err != nil || !until.Equal(now.Add(time.Minute)) {
		t.Errorf("good until %v (%v)", until, err)
	}
}

func TestRevoked(t *testing.T) {
	root, other := issue(t, nil, "root", nil), issue(t, nil, "other", nil)
	ann := issue(t, root, "ann", func(c *x509.Certificate) { client(c); c.SerialNumber = big.NewInt(0xab) })
	bob := issue(t, root, "bob", func(c *x509.Certificate) { client(c); c.SerialNumber = big.NewInt(0xcd) })
	ann2 := issue(t, other, "ann2", func(c *x509.Certificate) { client(c); c.SerialNumber = big.NewInt(0xab) })
	trust := bundle(t, root, other)
	list := func(by *issuer, change func(*x509.RevocationList)) []byte {
		t.Helper()
		l := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour),
			RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(0xab), RevocationTime: now.Add(-time.Minute)}}}
		if change != nil {
			change(l)
		}
		der, err := x509.CreateRevocationList(rand.Reader, l, by.certificate, by.key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	f := func(what string, text []byte, revoked string) {
		t.Helper()
		s := trusting(t, trust, file(t, "list", text))
		for name, c := range map[string]*issuer{"a": ann, "b": bob, "2": ann2} {
			_, err := s.Verify(chain(c), now)
			if want := strings.Contains(revoked, name); errors.Is(err, ErrRevoked) != want || err != nil && !want {
				t.Errorf("%s: %s: %v, want revoked = %v", what, name, err, want)
			}
		}
	}
	f("nothing", nil, "")
	f("a serial number", []byte("ab"), "a2")
	f("with zeros and colons", []byte("# list\r\n00:AB\r\n"), "a2")
	f("as openssl prints it", []byte("serial=AB\n"), "a2")
	f("a fingerprint", fmt.Appendf(nil, "sha256 Fingerprint=%X", sha256.Sum256(bob.certificate.Raw)), "b")
	f("a CRL in DER", list(root, nil), "a")
	f("CRLs in PEM", append(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: list(root, nil)}), pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: list(other, nil)})...), "a2")
	f("the root itself", []byte(Serial(root.certificate)), "ab")

	wrong := func(what string, text []byte, want string, odd bool) {
		t.Helper()
		s, found := Read(trust, []string{file(t, "list", text)}, now)
		if (s != nil) != odd || len(found) != 1 || found[0].Odd != odd || !strings.Contains(found[0].Text, want) || found[0].List != 1 {
			t.Errorf("%s: %+v, want %q", what, found, want)
		}
	}
	wrong("a stranger's", list(issue(t, nil, "root", nil), nil), "isn't signed by an authority", false)
	wrong("an old one", list(root, func(l *x509.RevocationList) { l.NextUpdate = now.Add(-time.Second) }), "should have been renewed", true)
	wrong("cut off", list(root, nil)[:100], "can't be read", false)
	wrong("a number too long", []byte(strings.Repeat("a", 42)), "neither a serial number", false)
	wrong("words", []byte("ann"), "neither a serial number", false)
	wrong("PEM of something else", pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: []byte("x")}), "that is no CRL", false)
	critical := list(root, func(l *x509.RevocationList) {
		l.ExtraExtensions = []pkix.Extension{{Id: []int{2, 5, 29, 28}, Critical: true, Value: []byte{0x30, 0}}}
	})
	wrong("for some only", critical, "critical extension", false)
}

func TestBundles(t *testing.T) {
	root := issue(t, nil, "root", nil)
	one := issue(t, root, "one", nil)
	f := func(what, want string, odd bool, all ...*issuer) {
		t.Helper()
		s, found := Read(bundle(t, all...), nil, now)
		if want == "" {
			if s == nil || len(found) > 0 {
				t.Errorf("%s: %+v", what, found)
			}
			return
		}
		if (s != nil) != odd || len(found) != 1 || found[0].Odd != odd || !strings.Contains(found[0].Text, want) || found[0].Position != len(all) {
			t.Errorf("%s: %+v, want %q at %d", what, found, want, len(all))
		}
	}
	f("from the root down", "", false, root, one)
	f("the other way round", "", false, one, root)
	f("without the root", "isn't in the bundle", false, one)
	f("expired", "expired at May 28 12:30:01 2026 GMT", true, root, issue(t, nil, "old", func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) }))
	f("not yet", "isn't valid before", true, root, issue(t, nil, "new", func(c *x509.Certificate) { c.NotBefore = now.Add(time.Minute) }))
	f("may not sign", "may not sign certificates", false, root, issue(t, nil, "bad", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }))
	f("a client's", "neither an authority nor signed by itself", false, root, issue(t, root, "c", client))
	if weakKey, err := rsa.GenerateKey(rand.Reader, 1024); err == nil {
		f("weak", "an RSA key of 1024 bits", false, root, issueFor(t, weakKey, nil, "weak", nil))
	}
}

func TestTexts(t *testing.T) {
	f := func(serial int64, want string) {
		t.Helper()
		if got := Serial(&x509.Certificate{SerialNumber: big.NewInt(serial)}); got != want {
			t.Errorf("%d: %q, want %q", serial, got, want)
		}
	}
	f(0, "0")
	f(1, "1")
	f(0xa1, "a1")
	f(0x0ba1, "0b:a1")
	c := issue(t, nil, "a, b", func(c *x509.Certificate) {
		c.Subject = pkix.Name{Country: []string{"US"}, Organization: []string{"A"}, CommonName: "a, b"}
	}).certificate
	if got, want := Subject(c), `C=US,O=A,CN=a\, b`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := Date(time.Date(2021, 8, 5, 11, 36, 4, 0, time.FixedZone("", 7200))), "Aug  5 09:36:04 2021 GMT"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func FuzzRead(f *testing.F) {
	root := issue(f, nil, "root", nil)
	text, err := os.ReadFile(bundle(f, root))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text, []byte("ab\ncd"))
	f.Add([]byte("-----BEGIN X\n-----END X-----"), []byte{0x30, 0x82})
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text, list []byte) {
		a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
		if os.WriteFile(a, text, 0o600) != nil || os.WriteFile(b, list, 0o600) != nil {
			t.Skip()
		}
		s, found := Read(a, []string{b}, now)
		if s == nil && len(found) == 0 {
			t.Error("nothing is wrong, and there is no store")
		}
		if s != nil {
			_, _ = s.Verify(chain(root), now) // whatever it says, it must not panic
		}
	})
}
