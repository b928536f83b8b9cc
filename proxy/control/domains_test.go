package control

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/postern-gateway/postern/proxy/certificate"
	"github.com/postern-gateway/postern/proxy/config"
)

// kept is a keeper with internal certificates for shop.localhost, and for others.
func kept(t *testing.T, more ...string) *certificate.Keeper {
	t.Helper()
	dir := t.TempDir()
	text := "[listen.tls]\naddress = \":0\"\ntls = {}\n[api.a]\ntype = \"rest\"\n[api.a.stage.s]\n[api.a.route.\"GET /\"]\nintegration.type = \"mock\"\n"
	for _, name := range append(more, "shop.localhost") {
		text += fmt.Sprintf("[domain.%q]\nmap = { \"/\" = \"a:s\" }\ncertificate = \"internal\"\n", name)
	}
	file := filepath.Join(dir, "postern.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, findings := config.Load(file)
	if findings.Failed() {
		t.Fatal(findings.Text())
	}
	k := certificate.New(certificate.Options{Store: certificate.NewDirectory(filepath.Join(dir, "store"))})
	t.Cleanup(k.Close)
	g, findings := k.Begin(t.Context(), cfg)
	if g == nil {
		t.Fatal(findings.Text())
	}
	g.Commit()
	return k
}

// The admin server shows certificates and has them renewed; clients of it get the
// gateway's words. Nobody gets a private key, and no page of a browser changes
// anything.
func TestDomains(t *testing.T) {
	k := kept(t, "a.localhost")
	s := newServer(t, Options{Domains: k})
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	c, err := Dial(t.Context(), s.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	all, err := c.Certificates(t.Context())
	if err != nil || len(all.Certificates) != 2 || all.Certificates[1].Name != "shop.localhost" {
		t.Fatalf("%+v, %v", all, err)
	}
	before := all.Certificates[1]
	if before.State != "good" || before.Issuer != "internal" || before.DaysLeft < 6.9 || before.DaysLeft > 7 || before.LastError != "" {
		t.Errorf("%+v", before)
	}
	after, err := c.RenewCertificate(t.Context(), "shop.localhost")
	if err != nil || after.Serial == before.Serial {
		t.Errorf("renewed: %+v, %v", after, err)
	}
	if _, err := c.RenewCertificate(t.Context(), "b.localhost"); err == nil || !strings.Contains(err.Error(), "b.localhost") {
		t.Errorf("nobody's: %v", err)
	}
	if _, err := c.RevokeCertificate(t.Context(), "shop.localhost", "weather"); err == nil || !strings.Contains(err.Error(), "key_compromise") {
		t.Errorf("no reason: %v", err)
	}
	for path, want := range map[string]int{"/certificates/b.localhost": 404, "/certificates/shop.localhost": 200, "/certificates": 200} {
		resp, text := ask(t, s, "GET", path, s.Addr().String())
		if resp.StatusCode != want || strings.Contains(text, "PRIVATE") {
			t.Errorf("%s: %d, want %d: %s", path, resp.StatusCode, want, text)
		}
	}
	post := func(path, body string, header ...string) int {
		t.Helper()
		r, err := http.NewRequest("POST", "http://"+s.Addr().String()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	defer http.DefaultClient.CloseIdleConnections()
	const renew, revoke = "/certificates/shop.localhost/renew", "/certificates/shop.localhost/revoke"
	for _, c := range []struct {
		path, body string
		header     []string
		want       int
	}{
		{renew, "{}", []string{"Content-Type", "application/json"}, 200},
		{renew, "{}", []string{"Content-Type", "application/json", "Origin", "http://evil.example"}, 403},
		{renew, "{}", nil, 415},
		{renew, `{"now":1}`, []string{"Content-Type", "application/json"}, 400},
		{revoke, "{}", []string{"Content-Type", "application/json"}, 400},
		{revoke, `{"reason":"superseded"}`, []string{"Content-Type", "application/json"}, 502}, // internal
		{"/authorities/none/rollover", "{}", []string{"Content-Type", "application/json"}, 404},
		{"/authorities/none/rollover", "{}", []string{"Content-Type", "application/json", "Sec-Fetch-Site", "same-origin"}, 403},
		{"/authorities/none/rollover", `{"key":"x"}`, []string{"Content-Type", "application/json"}, 400},
	} {
		if got := post(c.path, c.body, c.header...); got != c.want {
			t.Errorf("%s %s %q: %d, want %d", c.path, c.body, c.header, got, c.want)
		}
	}
}

// States go by what is left of a life.
func TestCertificateStates(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	f := func(want string, left, days float64, s certificate.Status) {
		t.Helper()
		s.Name = "a"
		if s.Has {
			s.NotAfter = now.Add(time.Duration(left * 24 * float64(time.Hour)))
			s.NotBefore = s.NotAfter.Add(-90 * 24 * time.Hour)
		}
		got := Describe(&certificate.Figures{Names: []certificate.Status{s}}, now).Certificates[0]
		if got.State != want || got.DaysLeft != days {
			t.Errorf("%v days: %s with %v left, want %s with %v", left, got.State, got.DaysLeft, want, days)
		}
	}
	f("good", 31, 31, certificate.Status{Has: true})
	f("old", 30, 30, certificate.Status{Has: true})
	f("revoked", 60, 60, certificate.Status{Has: true, Revoked: true})
	f("expired", 0, 0, certificate.Status{Has: true})
	f("expired", -1.5, -1.5, certificate.Status{Has: true})
	f("missing", 0, 0, certificate.Status{})
}

// A name without a certificate is told, and by default others make the gateway ready.
func TestMissingCertificates(t *testing.T) {
	many := make([]string, 50)
	for i := range many {
		many[i] = fmt.Sprintf("n%d: no certificate yet", i)
	}
	f := func(needed string, missing []string, total int, ready bool) {
		t.Helper()
		status := NewStatus(nil)
		status.Loaded("postern.toml", "digest")
		s := newServer(t, Options{Status: status, Missing: func() Missing { return Missing{missing, total, needed} }})
		if err := s.Listen("127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		resp, text := ask(t, s, "GET", "/health/ready", s.Addr().String())
		var got readiness
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		c := got.Checks.Certificates
		if got.Ready != ready || (resp.StatusCode == 200) != ready || c == nil || c.OK != (len(missing) == 0) {
			t.Errorf("%q, %d of %d: %s", needed, len(missing), total, text)
		}
		if len(missing) > 0 && (c.Reason == "" || c.Missing[0] != missing[0] || len(c.Missing) > missingShown+1) {
			t.Errorf("%q, %d of %d: %s", needed, len(missing), total, text)
		}
	}
	f("any", nil, 0, true)
	f("any", nil, 2, true)
	f("any", many[:1], 2, true)
	f("any", many[:2], 2, false)
	f("", many[:1], 1, false)
	f("all", many[:1], 2, false)
	f("all", nil, 2, true)
	f("always", many, 50, true)
	f("any", many, 50, false)
}

// Metrics of certificates have the names of domains, and keep to what linters ask for.
func TestDomainMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	newServer(t, Options{Registry: registry, Domains: kept(t), Connections: func() Connections {
		return Connections{Handshakes: map[string]uint64{"timeout": 3}}
	}})
	want := `
# HELP postern_certificate_usable 1 while a domain has a certificate that hasn't expired.
# TYPE postern_certificate_usable gauge
postern_certificate_usable{domain="shop.localhost"} 1
# HELP postern_certificate_aging 1 once a domain's certificate has a third of its life left, or less.
# TYPE postern_certificate_aging gauge
postern_certificate_aging{domain="shop.localhost"} 0
# HELP postern_certificate_failures Tries that failed to get a domain another certificate, since the last success.
# TYPE postern_certificate_failures gauge
postern_certificate_failures{domain="shop.localhost"} 0
# HELP postern_certificate_orders_total Orders placed at authorities.
# TYPE postern_certificate_orders_total counter
postern_certificate_orders_total 0
# HELP postern_tls_handshakes_failed_total TLS handshakes that failed, by reason.
# TYPE postern_tls_handshakes_failed_total counter
postern_tls_handshakes_failed_total{reason="timeout"} 3
`
	if err := testutil.GatherAndCompare(registry, bytes.NewBufferString(want), "postern_certificate_usable", "postern_certificate_aging",
		"postern_certificate_failures", "postern_certificate_orders_total", "postern_tls_handshakes_failed_total"); err != nil {
		t.Error(err)
	}
	if n, err := testutil.GatherAndCount(registry, "postern_certificate_days_left", "postern_certificate_orders_left"); err != nil || n != 2 {
		t.Errorf("%d of 2, %v", n, err)
	}
}
