package certificate

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"golang.org/x/crypto/ocsp"

	"github.com/postern-gateway/postern/proxy/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// writePair writes a certificate and its key to name.pem and name-key.pem.
func writePair(t testing.TB, dir, name string, c *tls.Certificate) string {
	t.Helper()
	chain, key := encoded(t, c)
	for file, text := range map[string][]byte{name + ".pem": chain, name + "-key.pem": key} {
		if err := os.WriteFile(filepath.Join(dir, file), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return fmt.Sprintf("certificate = { cert = %q, key = %q }", name+".pem", name+"-key.pem")
}

// Certificates from files: several domains may have one, an exact name beats a
// wildcard, which stands for one label.
func TestFiles(t *testing.T) {
	k := New(Options{})
	defer k.Close()
	dir, now := t.TempDir(), time.Now()
	shared := selfSigned(t, "a.test", now, time.Hour)
	both := writePair(t, dir, "shared", shared)
	wild := writePair(t, dir, "wild", selfSigned(t, "*.b.test", now, time.Hour))
	exact := writePair(t, dir, "exact", selfSigned(t, "x.b.test", now, time.Hour))
	apply(t, k, load(t, dir, "", "a.test "+both, "a2.test "+both, "*.b.test "+wild, "x.b.test "+exact, `c.test certificate = "listener"`, "d.test"))
	f := func(name, want string) {
		t.Helper()
		got := ""
		if c := k.Find(name); c != nil {
			got = c.Leaf.DNSNames[0]
		}
		if got != want {
			t.Errorf("%q gets %q, want %q", name, got, want)
		}
	}
	f("a.test", "a.test")
	f("A.Test", "a.test")
	f("a2.test", "a.test")
	if k.Find("a.test") != k.Find("a2.test") {
		t.Error("one certificate twice in memory")
	}
	f("y.b.test", "*.b.test")
	f("x.b.test", "x.b.test")
	f("X.B.TEST", "x.b.test")
	// A wildcard stands for exactly one label.
	f("b.test", "")
	f("z.y.b.test", "")
	f("*.b.test", "*.b.test")
	f("c.test", "")
	f("d.test", "")
	f("", "")
	f("test", "")
	f(".b.test", "*.b.test")
	if s := k.Figures().Names; len(s) != 4 || s[1].Source != "files" || !s[1].Has {
		t.Errorf("%+v", s)
	}
}

// A reload reads files anew. With a broken pair it is refused, at the place that
// names the files, and the certificates before serve on.
func TestFilesReload(t *testing.T) {
	k := New(Options{})
	defer k.Close()
	dir, now := t.TempDir(), time.Now()
	line := writePair(t, dir, "a", selfSigned(t, "a.test", now, time.Hour))
	cfg := load(t, dir, "", "a.test "+line)
	apply(t, k, cfg)
	first := k.Find("a.test")
	apply(t, k, cfg)
	if k.Find("a.test") != first {
		t.Error("the same files, another certificate in memory")
	}
	next := selfSigned(t, "a.test", now.Add(time.Second), time.Hour)
	writePair(t, dir, "a", next)
	apply(t, k, cfg)
	if got := k.Find("a.test"); !got.Leaf.Equal(next.Leaf) {
		t.Error("the old certificate after a reload")
	}
	_, key := encoded(t, selfSigned(t, "a.test", now, time.Hour))
	chain, _ := encoded(t, next)
	for name, files := range map[string][2]string{
		"another's key": {string(chain), string(key)}, "no certificate": {"", string(key)}, "half a certificate": {string(chain[:len(chain)/2]), string(key)},
	} {
		for i, file := range []string{"a.pem", "a-key.pem"} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(files[i]), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		g, findings := k.Begin(t.Context(), cfg)
		if g != nil || !findings.Failed() {
			t.Fatalf("%s: it loads", name)
		}
		if got := findings[0]; got.Line == 0 || !strings.Contains(got.Key, `domain."a.test".certificate`) || !strings.Contains(got.Text, "a.pem") {
			t.Errorf("%s: %+v", name, got)
		}
		if got := k.Find("a.test"); !got.Leaf.Equal(next.Leaf) {
			t.Errorf("%s: the certificate before doesn't serve", name)
		}
	}
}

// What is not possible is refused at load, with the place.
func TestRefusedConfiguration(t *testing.T) {
	k := New(Options{})
	defer k.Close()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "none.pem"), []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := load(t, dir, "[acme]\nagreed = true\n", "a.postern.dev")
	if _, findings := k.Begin(t.Context(), cfg); !findings.Failed() || !strings.Contains(findings.Text(), "no folder") {
		t.Error(findings.Text())
	}
	k = New(Options{Store: NewDirectory(dir)})
	defer k.Close()
	cfg = load(t, dir, "[acme]\nagreed = true\n[acme.issuer.x]\ndirectory = \"https://x.test/\"\nroots = \"none.pem\"\n", "a.test")
	if _, findings := k.Begin(t.Context(), cfg); !findings.Failed() || !strings.Contains(findings.Text(), "acme.issuer.x.roots: there is no certificate in it") {
		t.Error(findings.Text())
	}
}

// The default of a domain's certificate, and what can't be.
func TestSources(t *testing.T) {
	dir := t.TempDir()
	f := func(acme, domain, want string) {
		t.Helper()
		cfg := load(t, dir, acme, domain)
		if got := cfg.Domain[domain].Certificate.Source; got != want {
			t.Errorf("%s: %q, want %q", domain, got, want)
		}
	}
	public, own := "[acme]\nagreed = true\n", "[acme]\nagreed = true\n[acme.issuer.own]\ndirectory = \"https://ca.test/\"\n"
	f("", "a.example.com", config.CertificateListener)
	f(public, "a.example.com", config.CertificateACME)
	f(public, "a.localhost", config.CertificateListener)
	f(public, "localhost", config.CertificateListener)
	f(public, "a.internal", config.CertificateListener)
	f(public, "*.example.com", config.CertificateListener)
	f(own, "a.internal", config.CertificateACME)
	cfg := load(t, dir, public, "a.example.com")
	if got := strings.Join(cfg.ACME.Issuers, " "); got != "letsencrypt" {
		t.Errorf("without an e-mail address: %s", got)
	}
	cfg = load(t, dir, "[acme]\nagreed = true\nemail = \"me@example.com\"\n", "a.example.com")
	if got := strings.Join(cfg.ACME.Issuers, " "); got != "letsencrypt zerossl" {
		t.Errorf("with one: %s", got)
	}
}

// responder answers for a certificate as its authority.
type responder struct {
	*httptest.Server
	word ocsp.Response
	cert *tls.Certificate
	fail bool
}

func (r *responder) answer(w http.ResponseWriter, _ *http.Request) {
	if r.fail {
		http.Error(w, "no", 500)
		return
	}
	word := r.word
	word.SerialNumber = r.cert.Leaf.SerialNumber
	raw, err := ocsp.CreateResponse(r.cert.Leaf, r.cert.Leaf, word, r.cert.PrivateKey.(crypto.Signer))
	if err != nil {
		http.Error(w, err.Error(), 500)
		return
	}
	_, _ = w.Write(raw)
}

// Clients get the responder's word with the certificate; one that says revoked isn't
// handed on, and one that is too old neither.
func TestStaple(t *testing.T) {
	r := new(responder)
	r.Server = httptest.NewServer(http.HandlerFunc(r.answer))
	defer r.Close()
	now := &clock{now: time.Now()}
	f := newFront(t, Options{Now: now.Now, Logger: zap.NewNop()})
	r.cert = selfSigned(t, "a.test", now.Now().Add(-time.Minute), 90*24*time.Hour, func(c *x509.Certificate) {
		c.OCSPServer = []string{r.URL}
		c.IsCA, c.BasicConstraintsValid = true, true
	})
	r.cert.Certificate = append(r.cert.Certificate, r.cert.Certificate[0]) // its own issuer
	r.word = ocsp.Response{Status: ocsp.Good, ThisUpdate: now.Now().Add(-time.Hour).Truncate(time.Second), NextUpdate: now.Now().Add(5 * time.Hour).Truncate(time.Second)}
	line := writePair(t, f.dir, "a", r.cert)
	f.apply("", "a.test "+line)
	until(t, "a staple", func() bool { return len(f.Find("a.test").OCSPStaple) > 0 })
	staple := f.Find("a.test").OCSPStaple
	f.apply("", "a.test "+line)
	if len(f.Find("a.test").OCSPStaple) == 0 {
		t.Error("a reload loses the staple")
	}
	// A responder that fails costs nothing while the last word holds.
	r.fail = true
	now.add(3 * time.Hour)
	f.poke()
	time.Sleep(50 * time.Millisecond)
	if string(f.Find("a.test").OCSPStaple) != string(staple) {
		t.Error("the staple is gone before its time")
	}
	now.add(3 * time.Hour)
	f.poke()
	until(t, "the end of the staple", func() bool { return len(f.Find("a.test").OCSPStaple) == 0 })
	r.fail = false
	r.word.Status, r.word.RevokedAt = ocsp.Revoked, now.Now()
	r.word.NextUpdate = now.Now().Add(time.Hour)
	now.add(3 * time.Hour)
	f.poke()
	time.Sleep(50 * time.Millisecond)
	if len(f.Find("a.test").OCSPStaple) != 0 {
		t.Error("a revoked certificate has a staple")
	}
}

// Only hellos that offer nothing but the proof's protocol get a proof, and only of
// names that somebody asks about.
func TestProof(t *testing.T) {
	k := New(Options{Store: NewDirectory(t.TempDir())})
	defer k.Close()
	hello := func(name string, protocols ...string) *tls.ClientHelloInfo {
		return &tls.ClientHelloInfo{ServerName: name, SupportedProtos: protocols}
	}
	question := question("a.test", "token", "token.thumb")
	if err := (overTLS{k.challenges}).Present(t.Context(), question); err != nil {
		t.Fatal(err)
	}
	if c := k.Proof(hello("a.test", "acme-tls/1")); c == nil || len(c.NextProtos) != 1 || c.NextProtos[0] != "acme-tls/1" {
		t.Error("no proof")
	}
	for _, h := range []*tls.ClientHelloInfo{hello("a.test", "h2", "acme-tls/1"), hello("a.test"), hello("a.test", "h2"), hello("", "acme-tls/1"), hello("../a.test", "acme-tls/1"), hello("b.test", "acme-tls/1")} {
		if k.Proof(h) != nil {
			t.Errorf("%q %q gets a proof", h.ServerName, h.SupportedProtos)
		}
	}
	if err := (overTLS{k.challenges}).CleanUp(t.Context(), question); err != nil {
		t.Fatal(err)
	}
	if k.Proof(hello("a.test", "acme-tls/1")) != nil {
		t.Error("a proof that nobody waits for")
	}
}

// Only tokens that somebody asks for get an answer, on the host that they are about.
func TestAnswer(t *testing.T) {
	store := NewDirectory(t.TempDir())
	k, other := New(Options{Store: store}), New(Options{Store: store})
	defer k.Close()
	defer other.Close()
	question := question("a.test", "Tok-en_1", "Tok-en_1.thumb")
	if err := (overHTTP{k.challenges}).Present(t.Context(), question); err != nil {
		t.Fatal(err)
	}
	f := func(k *Keeper, host, path, want string) {
		t.Helper()
		if got, ok := k.Answer(context.Background(), host, path); got != want || ok != (want != "") {
			t.Errorf("%s%s: %q, %v; want %q", host, path, got, ok, want)
		}
	}
	for _, k := range []*Keeper{k, other} { // whichever process is asked
		f(k, "a.test", ChallengePath+"Tok-en_1", "Tok-en_1.thumb")
		f(k, "b.test", ChallengePath+"Tok-en_1", "")
		f(k, "a.test", ChallengePath+"token", "")
		f(k, "a.test", ChallengePath, "")
		f(k, "a.test", ChallengePath+"../../accounts/x", "")
		f(k, "a.test", ChallengePath+strings.Repeat("x", 5000), "")
		f(k, "a.test", "/", "")
		f(k, "../../x", ChallengePath+"Tok-en_1", "")
	}
	if err := (overHTTP{k.challenges}).CleanUp(t.Context(), question); err != nil {
		t.Fatal(err)
	}
	f(k, "a.test", ChallengePath+"Tok-en_1", "")
	f(other, "a.test", ChallengePath+"Tok-en_1", "")
}

// Who asks for an account's binding with an e-mail address.
func TestBinding(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("email") != "me@example.com" {
			w.WriteHeader(400)
			fmt.Fprint(w, `{"success":false,"error":{"code":2900}}`)
			return
		}
		fmt.Fprint(w, `{"success":true,"eab_kid":"kid","eab_hmac_key":"key"}`)
	}))
	defer s.Close()
	got, err := bindingOf(t.Context(), s.URL, "me@example.com", s.Client())
	if err != nil || got.KeyID != "kid" || got.MACKey != "key" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, email := range []string{"", "you@example.com"} {
		if _, err := bindingOf(t.Context(), s.URL, email, s.Client()); err == nil {
			t.Errorf("%q is bound", email)
		}
	}
}

// tenThousand is how many names a gateway must have room for.
const tenThousand = 10_000

// Ten thousand names: five seconds to start, 150 MB.
func TestTenThousand(t *testing.T) {
	if testing.Short() {
		t.Skip("makes ten thousand certificates")
	}
	dir := t.TempDir()
	// One key for all: making them isn't what is measured.
	text := "[acme]\nagreed = true\n[acme.issuer.own]\ndirectory = \"https://127.0.0.1:1/dir\"\n"
	var domains []string
	for i := range tenThousand {
		domains = append(domains, fmt.Sprintf("n%d.postern.test", i))
	}
	cfg := load(t, dir, text, domains...)
	fill := New(Options{Store: NewDirectory(filepath.Join(dir, "store"))})
	g, findings := fill.Begin(t.Context(), load(t, dir, text))
	if g == nil {
		t.Fatal(findings.Text())
	}
	now := time.Now()
	quick := &quickStore{dir: filepath.Join(dir, "store", documentDir)}
	fill.storage.store = quick
	for _, d := range domains {
		keep(t, fill.storage, g.plan.authorities[0].key, d, now.Add(-time.Hour), 90*24*time.Hour)
	}
	g.Discard()
	fill.Close()

	before := heap()
	k := New(Options{Store: NewDirectory(filepath.Join(dir, "store"))})
	defer k.Close()
	began := processor()
	apply(t, k, cfg)
	took := processor() - began
	used := heap() - before
	for _, d := range []string{domains[0], domains[tenThousand/2], domains[tenThousand-1]} {
		if k.Find(d) == nil {
			t.Errorf("%s isn't served", d)
		}
	}
	t.Logf("%d names: %v of a processor, %d MB", tenThousand, took.Round(time.Millisecond), used>>20)
	if took > 5*time.Second && !raceDetector {
		t.Errorf("the start takes %v", took)
	}
	if used > 150<<20 {
		t.Errorf("%d MB", used>>20)
	}
	runtime.KeepAlive(cfg)
}

// processor returns how long this process has computed.
func processor() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // its arguments are right
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// heap returns how many bytes are in use.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// quickStore puts files without bringing them to the disk.
type quickStore struct {
	Store
	dir string
}

func (q *quickStore) Put(_ context.Context, key string, value []byte) error {
	name := filepath.Join(q.dir, filepath.FromSlash(key))
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	return os.WriteFile(name, value, 0o600)
}

// A name with a certificate is found without allocating, by its own name and by a
// wildcard, and so is one without.
func BenchmarkFind(b *testing.B) {
	k := New(Options{})
	defer k.Close()
	dir := b.TempDir()
	line := writePair(b, dir, "a", selfSigned(b, "a.test", time.Now(), time.Hour))
	domains := []string{"*.w.postern.test " + line}
	for i := range tenThousand {
		domains = append(domains, fmt.Sprintf("n%d.postern.test %s", i, line))
	}
	apply(b, k, load(b, dir, "", domains...))
	for _, name := range []string{"n77.postern.test", "any.w.postern.test", "none.postern.test"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				k.Find(name)
			}
		})
	}
}

func TestFindAllocatesNothing(t *testing.T) {
	k := New(Options{})
	defer k.Close()
	dir := t.TempDir()
	line := writePair(t, dir, "a", selfSigned(t, "a.test", time.Now(), time.Hour))
	apply(t, k, load(t, dir, "", "a.test "+line, "*.b.test "+line))
	hello := &tls.ClientHelloInfo{ServerName: "a.test", SupportedProtos: []string{"h2", "http/1.1"}, Conn: &net.TCPConn{}}
	for _, name := range []string{"a.test", "x.b.test", "none.test"} {
		if n := testing.AllocsPerRun(100, func() { k.Find(name); k.Proof(hello) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
