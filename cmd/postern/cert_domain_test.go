package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/postern-gateway/postern/proxy/certificate"
	"github.com/postern-gateway/postern/proxy/certificate/pebbletest"
	"github.com/postern-gateway/postern/proxy/control"
)

// domains is an API whose domains have certificates; more are tables of them.
func domains(acme, clear, public, more string) string {
	return fmt.Sprintf(`%s
[listen.a_clear]
address = %q
redirect_https = true
[listen.public]
address = %q
tls = {}
[api.shop]
type = "rest"
[api.shop.stage.prod]
[api.shop.route."GET /"]
integration = { type = "mock" }
response.default.template."text/plain" = "$context.domainName"
%s
`, acme, clear, public, more)
}

// over asks for https://name/ at address, as a client that trusts roots.
func over(address, name string, roots *x509.CertPool) (text string, leaf *x509.Certificate, err error) {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", address)
		},
	}}
	answer, err := client.Get("https://" + name + "/")
	if err != nil {
		return "", nil, err
	}
	defer answer.Body.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(answer.Body)
	return b.String(), answer.TLS.PeerCertificates[0], err
}

// certificatesOf runs "cert list" and returns what it says of domains.
func certificatesOf(t *testing.T, file string) control.DomainCertificates {
	t.Helper()
	code, out, problems := cert(t, "list", "-c", file, "--format", "json")
	var all control.DomainCertificates
	if err := json.Unmarshal([]byte(out), &all); code != exitOK || err != nil {
		t.Fatal(code, err, out, problems)
	}
	return all
}

// An operator sees what the gateway has, has it renewed and revoked, and takes it
// along, whether the gateway runs or not.
func TestCertDomains(t *testing.T) {
	host := func() string { return fmt.Sprintf("127.0.0.1:%d", pebbletest.FreePort(t)) }
	clear, public := host(), host()
	port := func(address string) (n int) {
		_, text, _ := net.SplitHostPort(address)
		fmt.Sscan(text, &n)
		return n
	}
	ca := pebbletest.Start(t, pebbletest.Options{HTTPPort: port(clear), TLSPort: port(public), Blocked: []string{"blocked.postern.test"}})
	file := write(t, domains(ca.Config(""), clear, public,
		"[domain.\"shop.postern.test\"]\nmap.\"/\" = \"shop:prod\"\n[domain.\"blocked.postern.test\"]\nmap.\"/\" = \"shop:prod\"\n"))
	if all := certificatesOf(t, file); len(all.Certificates) != 2 || all.Certificates[1].State != "missing" {
		t.Errorf("before the first start: %+v", all)
	}
	r := startChild(t, file, nil, "--no-watch")
	roots := ca.Issued()
	r.await("a certificate", func() bool {
		text, _, _ := over(public, "shop.postern.test", roots)
		return text == "shop.postern.test"
	})
	var blocked control.DomainCertificate
	r.await("a failure", func() bool { blocked = certificatesOf(t, file).Certificates[0]; return blocked.LastError != "" })
	if blocked.Name != "blocked.postern.test" || blocked.State != "missing" || blocked.NextTry.IsZero() || blocked.Failures != 1 {
		t.Errorf("%+v", blocked)
	}
	code, out, _ := cert(t, "list", "-c", file)
	if code != exitOK || !strings.Contains(out, "blocked.postern.test: the last try") || !strings.Contains(out, "orders left in this minute: ") {
		t.Errorf("%d\n%s", code, out)
	}

	// The one that fails is a reason to look, not to be unready.
	status, text := r.admin("/health/ready")
	if status != 200 || !strings.Contains(text, "1 of 2 names have no certificate") || !strings.Contains(text, "blocked.postern.test: no certificate yet: ") {
		t.Errorf("%d %s", status, text)
	}
	if _, text := r.admin("/metrics"); !strings.Contains(text, `postern_certificate_usable{domain="shop.postern.test"} 1`) ||
		!strings.Contains(text, `postern_certificate_failures{domain="blocked.postern.test"} 1`) {
		t.Error("the metrics don't tell")
	}

	_, first, err := over(public, "shop.postern.test", roots)
	if err != nil {
		t.Fatal(err)
	}
	if code, out, problems := cert(t, "renew", "shop.postern.test", "-c", file); code != exitOK || !strings.Contains(out, "renewed") {
		t.Fatal(code, out, problems)
	}
	_, second, err := over(public, "shop.postern.test", roots)
	if err != nil || second.Equal(first) {
		t.Fatalf("not renewed: %v", err)
	}
	if code, _, problems := cert(t, "renew", "blocked.postern.test", "-c", file); code != exitFailed || !strings.Contains(problems, "blocked") {
		t.Error(code, problems)
	}
	if code, _, problems := cert(t, "renew", "nobody.postern.test", "-c", file); code != exitFailed || !strings.Contains(problems, "nobody.postern.test") {
		t.Error(code, problems)
	}
	if code, _, problems := cert(t, "revoke", "shop.postern.test", "-c", file, "--reason", "rain"); code != exitUsage {
		t.Error(code, problems)
	}
	if code, out, problems := cert(t, "revoke", "shop.postern.test", "-c", file, "--reason", "key_compromise"); code != exitOK {
		t.Fatal(code, out, problems)
	}
	if got := ca.Status(fmt.Sprintf("%x", second.SerialNumber)); got != "Revoked" {
		t.Errorf("the authority says %q", got)
	}
	var third *x509.Certificate
	r.await("another one", func() bool {
		_, third, err = over(public, "shop.postern.test", roots)
		return err == nil && !third.Equal(second)
	})

	// It is taken along with its key, which only its owner may read.
	key := filepath.Join(t.TempDir(), "key.pem")
	code, out, problems := cert(t, "export", "shop.postern.test", "-c", file, "--key", key)
	if code != exitOK || strings.Contains(out, "PRIVATE") {
		t.Fatal(code, problems)
	}
	private, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(key); err != nil || st.Mode().Perm() != 0o600 {
		t.Error(st.Mode(), err)
	}
	if pair, err := tls.X509KeyPair([]byte(out), private); err != nil || !pair.Leaf.Equal(third) || len(pair.Certificate) < 2 {
		t.Errorf("exported %v, %v", pair.Leaf, err)
	}
	if code, _, problems := cert(t, "export", "blocked.postern.test", "-c", file); code != exitFailed || !strings.Contains(problems, "no such certificate yet") {
		t.Error(code, problems)
	}

	// The account gets other keys, with the gateway or without; it stays the same.
	code, out, problems = cert(t, "rollover", "-c", file)
	if code != exitOK || out != "pebble: the account has another key\n" {
		t.Error(code, out, problems)
	}
	if code, _, problems := cert(t, "rollover", "other", "-c", file); code != exitFailed || !strings.Contains(problems, "no such authority in acme.issuers: other") {
		t.Error(code, problems)
	}
	if code, out, problems := cert(t, "renew", "shop.postern.test", "-c", file); code != exitOK {
		t.Fatal(code, out, problems)
	}
	if _, third, err = over(public, "shop.postern.test", roots); err != nil {
		t.Fatal(err)
	}

	// Without the gateway, what it stored is there; it can be revoked, not renewed.
	if err := r.child.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	r.ended()
	if all := certificatesOf(t, file); all.Certificates[1].State != "good" || all.Certificates[1].DaysLeft < 80 {
		t.Errorf("after the end: %+v", all)
	}
	if code, _, problems := cert(t, "renew", "shop.postern.test", "-c", file); code != exitFailed || !strings.Contains(problems, "no gateway runs") {
		t.Error(code, problems)
	}
	if code, _, problems := cert(t, "rollover", "pebble", "-c", file); code != exitOK {
		t.Error(code, problems)
	}
	if code, _, problems := cert(t, "revoke", "shop.postern.test", "-c", file); code != exitOK {
		t.Error(code, problems)
	}
	if got := ca.Status(fmt.Sprintf("%x", third.SerialNumber)); got != "Revoked" {
		t.Errorf("the authority says %q", got)
	}
	if all := certificatesOf(t, file); all.Certificates[1].State != "missing" {
		t.Errorf("a revoked one would be served: %+v", all)
	}
}

// A gateway with certificates of its own authority says at its start how clients come
// to trust them; they do once they have the root.
func TestCertInternal(t *testing.T) {
	file := write(t, domains("", "127.0.0.1:0", "127.0.0.1:0", "[domain.\"shop.localhost\"]\nmap.\"/\" = \"shop:prod\"\ncertificate = \"internal\"\n"))
	if code, _, problems := cert(t, "trust", "-c", file, "--print"); code != exitFailed || !strings.Contains(problems, "no internal authority yet") {
		t.Error(code, problems)
	}
	r := startChild(t, file, nil, "--no-watch")
	published := filepath.Join(filepath.Dir(file), "state", rootName)
	told := slices.ContainsFunc(r.log(), func(line map[string]any) bool { return line["root"] == published && line["sha256"] != "" })
	if !told {
		t.Errorf("the root isn't told: %s", r.stderr.String())
	}
	code, out, problems := cert(t, "trust", "-c", file, "--print")
	if text, err := os.ReadFile(published); code != exitOK || err != nil || string(text) != out {
		t.Fatal(code, problems, err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(out))
	if text, _, err := over(r.addr, "shop.localhost", roots); err != nil || text != "shop.localhost" {
		t.Errorf("%q, %v", text, err)
	}
	if code, out, problems := cert(t, "list", "-c", file); code != exitOK || !strings.Contains(out, "shop.localhost  good   internal") {
		t.Error(code, out, problems)
	}
	key := filepath.Join(t.TempDir(), "key.pem")
	code, out, problems = cert(t, "export", "shop.localhost", "-c", file, "--key", key)
	private, err := os.ReadFile(key)
	if code != exitOK || err != nil {
		t.Fatal(code, problems, err)
	}
	pair, err := tls.X509KeyPair([]byte(out), private)
	if err == nil {
		_, err = pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "shop.localhost"})
	}
	if err != nil {
		t.Error(err)
	}
}

// A machine comes to trust a root its own way, and to trust it no more; without the
// rights it says what to do with them.
func TestCertTrust(t *testing.T) {
	file := write(t, domains("", "127.0.0.1:0", "127.0.0.1:0", "[domain.\"shop.localhost\"]\nmap.\"/\" = \"shop:prod\"\ncertificate = \"internal\"\n"))
	startChild(t, file, nil, "--no-watch")
	root, err := rootOf(t.Context(), &streams{new(bytes.Buffer), new(bytes.Buffer)}, file, "")
	if err != nil {
		t.Fatal(err)
	}
	var ran []string
	m := &machine{root: t.TempDir(), run: func(command ...string) error { ran = append(ran, strings.Join(command, " ")); return nil }}
	act := func(uninstall bool) (string, error) {
		var out bytes.Buffer
		ran = nil
		err := trust(m, &streams{&out, &out}, root, uninstall)
		return out.String(), err
	}
	m.look = func(string) bool { return false }
	if _, err := act(false); err == nil || !strings.Contains(err.Error(), root.path) {
		t.Errorf("a system that isn't known: %v", err)
	}
	for _, a := range anchorsOf() {
		if a.folder == "" {
			m.look = func(command string) bool { return command == "security" }
			for uninstall, want := range map[bool]string{
				false: "security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain " + root.path,
				true:  "security remove-trusted-cert -d " + root.path,
			} {
				if _, err := act(uninstall); err != nil || len(ran) != 1 || ran[0] != want {
					t.Errorf("%s: %q, %v", a.systems, ran, err)
				}
			}
			continue
		}
		if err := os.MkdirAll(m.root+a.folder, 0o755); err != nil {
			t.Fatal(err)
		}
		m.look = func(command string) bool { return command == a.update[0] }
		out, err := act(false)
		text, _ := os.ReadFile(m.root + a.place(root))
		if err != nil || !bytes.Equal(text, root.text) || !slices.Equal(ran, []string{strings.Join(a.update, " ")}) || !strings.Contains(out, root.fingerprint) {
			t.Errorf("%s: %q, %q, %v", a.systems, ran, out, err)
		}
		_, err = act(true)
		if _, gone := os.Stat(m.root + a.place(root)); err != nil || !errors.Is(gone, fs.ErrNotExist) || len(ran) != 1 {
			t.Errorf("%s: %q, %v, %v", a.systems, ran, err, gone)
		}
		if out, err := act(true); err != nil || !strings.Contains(out, "wasn't trusted") {
			t.Errorf("%s, again: %q, %v", a.systems, out, err)
		}
		if err := os.RemoveAll(m.root + a.folder); err != nil {
			t.Fatal(err)
		}
	}
	debian := anchorsOf()[0]
	if err := os.MkdirAll(m.root+debian.folder, 0o755); err != nil {
		t.Fatal(err)
	}
	m.look = func(string) bool { return true }
	m.run = func(...string) error { return fs.ErrPermission }
	if _, err := act(false); err == nil || !strings.Contains(err.Error(), "sudo install -m 644 "+root.path+" /usr/local/share/ca-certificates/postern-internal-") {
		t.Errorf("without the rights: %v", err)
	}
	if _, err := describeRoot("x", []byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")); err == nil {
		t.Error("an empty certificate is a root")
	}
	if code, _, problems := cert(t, "trust", "--from", file, "--print"); code != exitFailed || !strings.Contains(problems, "PEM") {
		t.Error(code, problems)
	}
}

// A certificate that nobody renews is warned of in the last third of its life; one
// that is renewed by itself only when that fails, or comes late.
func TestCertAges(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	f := func(want bool, left int, s certificate.Status) {
		t.Helper()
		s.Has, s.NotAfter = true, now.Add(time.Duration(left)*24*time.Hour)
		s.NotBefore = s.NotAfter.Add(-90 * 24 * time.Hour)
		if got := overdue(&s, now); got != want {
			t.Errorf("%d days left, %+v: %t, want %t", left, s, got, want)
		}
	}
	byItself := certificate.Status{Renew: now}
	f(false, 31, certificate.Status{})
	f(true, 30, certificate.Status{})
	f(false, 30, byItself)
	f(true, 22, byItself)
	f(true, 30, certificate.Status{Renew: now, Failure: "no such host"})
	f(false, 31, certificate.Status{Renew: now, Failure: "no such host"})
	f(true, -1, byItself)
	if overdue(&certificate.Status{Failure: "none yet"}, now) {
		t.Error("one that isn't there ages")
	}
}

// An old certificate of files is told at the start and then each day.
func TestCertAgesTold(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "site.pem")
	if _, err := makeCertificate(file, "site", false, 1, keepExisting); err != nil {
		t.Fatal(err)
	}
	path := write(t, domains("", "127.0.0.1:0", "127.0.0.1:0", fmt.Sprintf("[domain.\"shop.localhost\"]\nmap.\"/\" = \"shop:prod\"\ncertificate = { cert = %q, key = %q }\n", file, file)))
	cfg, err := loadFor(&streams{os.Stdout, os.Stderr}, path)
	if err != nil {
		t.Fatal(err)
	}
	k, findings, err := lookAt(t.Context(), cfg)
	if err != nil || k == nil {
		t.Fatal(findings.Text(), err)
	}
	defer k.Close()
	said := new(output)
	g := &gateway{parts: &parts{certificates: k}, journal: &journal{Logger: zap.New(zapcore.NewCore(logEncoder(false), zapcore.AddSync(said), zapcore.DebugLevel))}}
	g.age(time.Now().Add(time.Hour))
	if got := said.String(); got != "" {
		t.Errorf("a young one: %s", got)
	}
	g.age(time.Now().Add(20 * time.Hour))
	if got := said.String(); !strings.Contains(got, "shop.localhost") || !strings.Contains(got, "expires at") {
		t.Errorf("an old one: %q", got)
	}
	g.age(time.Now().Add(44 * time.Hour))
	if got := said.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "expired at") {
		t.Errorf("an expired one: %q", got)
	}
}

// With an authority that is down at the start the gateway serves what it has, says why
// a name has no certificate, and is ready as acme.ready says.
func TestCertAuthorityDown(t *testing.T) {
	own := filepath.Join(t.TempDir(), "own.pem")
	if _, err := makeCertificate(own, "own", false, 90, keepExisting); err != nil {
		t.Fatal(err)
	}
	acme := fmt.Sprintf("[acme]\nagreed = true\nready = \"READY\"\n[acme.issuer.down]\ndirectory = \"http://127.0.0.1:%d/dir\"\n", pebbletest.FreePort(t))
	one := "[domain.\"shop.postern.test\"]\nmap.\"/\" = \"shop:prod\"\n"
	two := one + fmt.Sprintf("[domain.\"own.postern.test\"]\nmap.\"/\" = \"shop:prod\"\ncertificate = { cert = %q, key = %q }\n", own, own)
	for _, c := range []struct {
		ready, domains string
		status         int
	}{{"any", one, 503}, {"any", two, 200}, {"all", two, 503}, {"always", one, 200}} {
		t.Run(c.ready, func(t *testing.T) {
			file := write(t, domains(strings.Replace(acme, "READY", c.ready, 1), "127.0.0.1:0", "127.0.0.1:0", c.domains))
			r := startChild(t, file, nil, "--no-watch")
			var status int
			var text string
			r.await("the reason", func() bool {
				status, text = r.admin("/health/ready")
				return strings.Contains(text, "shop.postern.test: no certificate yet: ") && strings.Contains(text, "connection refused")
			})
			if status != c.status {
				t.Errorf("%d, want %d: %s", status, c.status, text)
			}
			got, _, err := over(r.addr, "own.postern.test", nil)
			if signed := "certificate"; c.domains == two && (err == nil || !strings.Contains(err.Error(), signed)) {
				t.Errorf("the name with files: %q, %v", got, err) // it isn't trusted, but it is there
			}
			if c.domains == one && !strings.Contains(fmt.Sprint(err), "unrecognized name") {
				t.Errorf("a name of nobody's: %v", err)
			}
		})
	}
}
