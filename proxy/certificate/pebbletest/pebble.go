// Package pebbletest runs Pebble, an authority for tests, on loopback: with a
// certificate of its own, a DNS server that gives every name the address
// 127.0.0.1, and the failures that a test asks for.
package pebbletest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// version is what is built when the machine has no Pebble of its own.
const version = "v2.10.1"

// Options say how Pebble behaves.
type Options struct {
	HTTPPort int // where http-01 asks; 0: nowhere that anybody answers
	TLSPort  int // where tls-alpn-01 asks
	// BadNonces is how many good nonces of a hundred are refused.
	BadNonces int
	// Life is how long certificates live. Default: 90 days.
	Life time.Duration
	// EAB has the keys that accounts must be bound with, in base64url by their ids.
	EAB map[string]string
	// Blocked are names that it gives no certificates for.
	Blocked []string
	// DNS is the "host:port" of the server that it asks about names. Default: its own,
	// which is Pebble.DNS.
	DNS string
}

// Pebble is a running authority.
type Pebble struct {
	Directory string // its URL
	Roots     string // file with the root of its own TLS certificate
	DNS       string // "host:port" of a DNS server for whoever needs one
	ChallTest string // URL of pebble-challtestsrv's management

	t          testing.TB
	dir        string
	management string
	dns        string
	api        string
	options    Options
	process    *exec.Cmd
}

// FreePort reserves a port of 127.0.0.1 until the test ends: nobody listens on it, by
// TCP or UDP, the kernel gives it to no connection that goes out, and no other test
// that asks here gets it, in whatever process.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := 10_000 + mathrand.IntN(20_000) // below the ports of connections that go out
		if claimed(t, port) && idle(port) {
			return port
		}
	}
	t.Fatal("no free port between 10000 and 30000")
	return 0
}

// claimed makes a port this test's own; an abstract socket is gone with its process.
func claimed(t testing.TB, port int) bool {
	claim, err := net.Listen("unix", fmt.Sprintf("@postern-test-port-%d", port))
	if err == nil {
		t.Cleanup(func() { _ = claim.Close() })
	}
	return err == nil
}

// idle reports whether nobody listens on a port.
func idle(port int) bool {
	at := "127.0.0.1:" + strconv.Itoa(port)
	l, err := net.Listen("tcp", at)
	if err != nil {
		return false
	}
	defer l.Close()
	datagrams, err := net.ListenPacket("udp", at)
	if err != nil {
		return false
	}
	_ = datagrams.Close()
	return true
}

// Start runs Pebble until the test ends, and skips the test where there is none.
func Start(t testing.TB, o Options) *Pebble {
	t.Helper()
	p := &Pebble{t: t, dir: t.TempDir(), options: o}
	pebble, dns := Binary(t, "pebble"), Binary(t, "pebble-challtestsrv")
	host := func() string { return "127.0.0.1:" + strconv.Itoa(FreePort(t)) }
	api := host()
	p.management, p.dns = host(), host()
	p.Directory = "https://" + api + "/dir"
	p.DNS = p.dns
	p.Roots = filepath.Join(p.dir, "roots.pem")
	p.certify()
	if o.HTTPPort == 0 {
		p.options.HTTPPort = FreePort(t)
	}
	if o.TLSPort == 0 {
		p.options.TLSPort = FreePort(t)
	}
	p.api = api
	p.configure(api)
	challtest := host()
	p.ChallTest = "http://" + challtest
	names := p.command(dns, "-dnsserver", p.dns, "-management", challtest, "-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "", "-defaultIPv6", "")
	p.run(names)
	asked := p.dns
	if o.DNS != "" {
		asked = o.DNS
	}
	p.process = p.command(pebble, "-config", filepath.Join(p.dir, "pebble.json"), "-dnsserver", asked)
	p.run(p.process)
	t.Cleanup(func() { stop(names) })
	t.Cleanup(func() { stop(p.process) }) // the last one
	p.wait()
	return p
}

// Binary returns where the program called name is: "pebble" or "pebble-challtestsrv",
// the machine's, else one that is built once and kept in the user's cache. Without
// either the test is skipped.
func Binary(t testing.TB, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skipf("no %s, and no folder to build it in: %v", name, err)
	}
	dir := filepath.Join(cache, "postern-test", "pebble-"+version)
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	build := exec.Command("go", "install", "github.com/letsencrypt/pebble/v2/cmd/"+name+"@"+version)
	build.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=", "CGO_ENABLED=0")
	build.Dir = t.TempDir() // outside of any module
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("no %s (Debian: apt-get install pebble), and it can't be built: %v\n%s", name, err, out)
	}
	return path
}

// certify makes the certificate of Pebble's own sockets, which is its own root.
func (p *Pebble) certify() {
	p.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "pebble"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		p.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		p.t.Fatal(err)
	}
	p.write("roots.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	p.write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}

func (p *Pebble) write(name string, text []byte) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), text, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *Pebble) configure(api string) {
	life := p.options.Life
	if life == 0 {
		life = 90 * 24 * time.Hour
	}
	settings := map[string]any{
		"listenAddress": api, "managementListenAddress": p.management,
		"certificate": p.Roots, "privateKey": filepath.Join(p.dir, "key.pem"),
		"httpPort": p.options.HTTPPort, "tlsPort": p.options.TLSPort, "keyAlgorithm": "ecdsa",
		"externalAccountBindingRequired": p.options.EAB != nil, "externalAccountMACKeys": p.options.EAB,
		"domainBlocklist":           p.options.Blocked,
		"certificateValidityPeriod": int(life.Seconds()), // of Pebble 2.4
		"profiles":                  map[string]any{"default": map[string]any{"description": "default", "validityPeriod": int(life.Seconds())}},
		"retryAfter":                map[string]any{"authz": 1, "order": 1},
	}
	text, err := json.Marshal(map[string]any{"pebble": settings})
	if err != nil {
		p.t.Fatal(err)
	}
	p.write("pebble.json", text)
}

func (p *Pebble) command(path string, args ...string) *exec.Cmd {
	c := exec.Command(path, args...)
	c.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_AUTHZREUSE=0", "PEBBLE_WFE_NONCEREJECT="+strconv.Itoa(p.options.BadNonces))
	return c
}

// run starts a process whose output is shown when the test fails.
func (p *Pebble) run(c *exec.Cmd) {
	p.t.Helper()
	said := new(bytes.Buffer)
	c.Stdout, c.Stderr = said, said
	if err := c.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { // after the process ended
		if p.t.Failed() {
			text := said.String()
			p.t.Logf("%s said:\n%s", filepath.Base(c.Path), text[max(0, len(text)-8000):])
		}
	})
}

func stop(c *exec.Cmd) {
	_ = c.Process.Signal(syscall.SIGCONT) // perhaps it is paused
	_ = c.Process.Kill()                  // perhaps it ended
	_ = c.Wait()                          // it was killed
}

// Stop ends Pebble, with all that it knows.
func (p *Pebble) Stop() { stop(p.process) }

// Move has Pebble ask at other ports from its next Restart on.
func (p *Pebble) Move(httpPort, tlsPort int) {
	p.t.Helper()
	p.options.HTTPPort, p.options.TLSPort = httpPort, tlsPort
	p.configure(p.api)
}

// Restart runs it anew at the same place. It knows nothing of what was before.
func (p *Pebble) Restart() {
	p.t.Helper()
	p.process = p.command(p.process.Path, p.process.Args[1:]...)
	p.run(p.process)
	p.wait()
}

// Pause stops Pebble from answering; Resume lets it go on.
func (p *Pebble) Pause() { _ = p.process.Process.Signal(syscall.SIGSTOP) }

// Resume ends a Pause.
func (p *Pebble) Resume() { _ = p.process.Process.Signal(syscall.SIGCONT) }

// Client returns a client that trusts Pebble's own certificate.
func (p *Pebble) Client() *http.Client {
	p.t.Helper()
	text, err := os.ReadFile(p.Roots)
	if err != nil {
		p.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
}

// wait waits until Pebble answers, at both of its addresses, and so does its DNS
// server: an order that comes sooner would fail for good.
func (p *Pebble) wait() {
	p.t.Helper()
	client := p.Client()
	for end, left := time.Now().Add(time.Minute), []string{p.Directory, "https://" + p.management + "/roots/0", p.dns}; len(left) > 0; {
		err := p.there(client, left[0])
		if err == nil {
			left = left[1:]
			continue
		}
		if time.Now().After(end) {
			p.t.Fatalf("pebble doesn't answer: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// there reports why nobody answers a URL, or takes a connection at an address.
func (p *Pebble) there(client *http.Client, at string) error {
	if at == p.dns {
		c, err := net.Dial("tcp", at)
		if err == nil {
			_ = c.Close() // it was only to be there
		}
		return err
	}
	answer, err := client.Get(at)
	if err == nil {
		_ = answer.Body.Close()
	}
	return err
}

// Get returns what the management interface answers at path.
func (p *Pebble) Get(path string) string {
	p.t.Helper()
	answer, err := p.Client().Get("https://" + p.management + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// Issued returns the roots of the certificates that Pebble gives. Each start makes
// new ones.
func (p *Pebble) Issued() *x509.CertPool {
	p.t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(p.Get("/roots/0"))) {
		p.t.Fatal("pebble has no root")
	}
	return pool
}

// Status returns what Pebble says of the certificate with a serial number, in
// hexadecimal digits: "Valid" or "Revoked".
func (p *Pebble) Status(serial string) string {
	p.t.Helper()
	if len(serial)%2 == 1 {
		serial = "0" + serial
	}
	var got struct{ Status string }
	text := p.Get("/cert-status-by-serial/" + serial)
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		p.t.Fatalf("status of %s: %q: %v", serial, text, err)
	}
	return got.Status
}

// Config returns the TOML of [acme] for Pebble.
func (p *Pebble) Config(more string) string {
	return fmt.Sprintf("[acme]\nagreed = true\nemail = \"us@postern.test\"\n%s\n[acme.issuer.pebble]\ndirectory = %q\nroots = %q\n", strings.TrimSpace(more), p.Directory, p.Roots)
}
