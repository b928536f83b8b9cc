package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/control"
)

// cert runs "postern cert" and returns its exit code and what it wrote.
func cert(t *testing.T, args ...string) (code int, out, problems string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(context.Background(), append([]string{"cert"}, args...), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// A certificate that is made can be used at once: both parts in one file, which only
// its owner may read, and the public one on standard output. Its successor waits
// until it is put into its place.
func TestCertClient(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certificates")
	for name, flags := range map[string][]string{"orders": nil, "legacy": {"--rsa", "--days", "90"}} {
		code, out, problems := cert(t, append([]string{"client", name, "--dir", dir}, flags...)...)
		if code != exitOK {
			t.Fatal(code, problems)
		}
		file := filepath.Join(dir, name+".pem")
		pair, err := tls.LoadX509KeyPair(file, file)
		if err != nil {
			t.Fatal(err)
		}
		st, err := os.Stat(file)
		if err != nil || st.Mode().Perm() != 0o600 {
			t.Error(st.Mode(), err)
		}
		block, rest := pem.Decode([]byte(out))
		if block == nil || !bytes.Equal(block.Bytes, pair.Leaf.Raw) || len(rest) > 0 {
			t.Errorf("printed %q, not the certificate alone", out)
		}
		if strings.Contains(out+problems, "PRIVATE") {
			t.Error("the key is printed")
		}
		if !strings.Contains(problems, "[client_certificate."+name+"]\ncert = \""+file+"\"") {
			t.Errorf("no configuration in %q", problems)
		}
		want := 365 * 24 * time.Hour
		if flags != nil {
			want = 90 * 24 * time.Hour
			if pair.Leaf.PublicKeyAlgorithm != x509.RSA {
				t.Error(pair.Leaf.PublicKeyAlgorithm)
			}
		}
		if got := time.Until(pair.Leaf.NotAfter); got > want || got < want-time.Hour {
			t.Errorf("valid for %v, want %v", got, want)
		}
	}
	file := filepath.Join(dir, "orders.pem")
	first, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if code, _, problems := cert(t, "client", "orders", "--dir", dir); code != exitFailed || !strings.Contains(problems, "postern cert rotate orders") {
		t.Errorf("a second time: %d %s", code, problems)
	}
	code, next, problems := cert(t, "rotate", "orders", "--dir", dir)
	if now, err := os.ReadFile(file); code != exitOK || err != nil || !bytes.Equal(now, first) {
		t.Errorf("rotate: %d %s %v", code, problems, err)
	}
	if code, _, problems := cert(t, "rotate", "orders", "--activate", "--dir", dir); code != exitOK {
		t.Error(code, problems)
	}
	if now, err := os.ReadFile(file); err != nil || !bytes.HasSuffix(now, []byte(next)) {
		t.Errorf("the successor isn't in its place: %v", err)
	}
	if code, _, _ := cert(t, "rotate", "orders", "--activate", "--dir", dir); code != exitFailed {
		t.Error("activated twice")
	}
	if _, out, _ := cert(t, "list", "--dir", dir); strings.Count(out, "\n") != 3 || !strings.Contains(out, "legacy") {
		t.Errorf("list: %s", out)
	}
	for _, name := range []string{"", "../x", "a/b", strings.Repeat("a", 65)} {
		if code, _, _ := cert(t, "client", name, "--dir", dir); code == exitOK {
			t.Errorf("name %q accepted", name)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".new-*")); len(left) > 0 || err != nil {
		t.Error("left behind:", left, err)
	}
}

// A certificate with a third of its life left is told of.
func TestCertificateAges(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "orders.pem")
	if _, err := makeCertificate(file, "orders", false, 90, keepExisting); err != nil {
		t.Fatal(err)
	}
	cfg := &config.Config{ClientCertificate: map[string]config.ClientCertificate{"orders": {Cert: file}}}
	at := func(days int, want string) {
		t.Helper()
		findings := checkAges(cfg, time.Now().Add(time.Duration(days)*24*time.Hour+time.Hour))
		if want == "" && len(findings) == 0 {
			return
		}
		if len(findings) != 1 || findings[0].Severity != config.SeverityWarning || !strings.Contains(findings[0].Text, want) || want == "" {
			t.Errorf("after %d days: %v, want %q", days, findings, want)
		}
	}
	at(0, "")
	at(59, "")
	at(60, "in 29 days")
	at(89, "in 0 days")
	at(91, "expired at ")
	c := control.Certificate{NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	if c.Aging(time.Now()) || !c.Aging(time.Now().Add(30*time.Minute)) {
		t.Error("a third of two hours is 40 minutes")
	}
}
