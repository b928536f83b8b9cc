package server

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// session makes a TLS connection and a request on it, so that tickets arrive; it
// returns nil when there is no agreement.
func (g *gateway) session(cfg *tls.Config) *tls.ConnectionState {
	g.t.Helper()
	cfg.InsecureSkipVerify = true
	c, err := tls.Dial("tcp", g.addr(), cfg)
	if err != nil {
		return nil
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(c, get("/nothing"))
	if answer, err := io.ReadAll(c); err != nil || len(answer) == 0 {
		g.t.Fatalf("got %q, %v", answer, err)
	}
	state := c.ConnectionState()
	return &state
}

// What testssl looks for, on a listener that says nothing of it: TLS 1.2 and 1.3 only,
// every suite with forward secrecy and authenticated encryption, no compression, names in
// ALPN that are known. crypto/tls can do no renegotiation as a server.
func TestTLSDefaults(t *testing.T) {
	g, _, _ := secure(t)
	g.release()
	for version, want := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		if got := g.session(&tls.Config{MinVersion: version, MaxVersion: version}) != nil; got != want {
			t.Errorf("%s: agreed %t, want %t", tls.VersionName(version), got, want)
		}
	}
	good := 0
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if suite.SupportedVersions[0] == tls.VersionTLS13 {
			continue
		}
		state := g.session(&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite.ID}})
		want := strings.HasPrefix(suite.Name, "TLS_ECDHE_ECDSA_") && (strings.Contains(suite.Name, "_GCM_") || strings.Contains(suite.Name, "_CHACHA20_POLY1305_"))
		if got := state != nil; got != want {
			t.Errorf("%s: agreed %t, want %t", suite.Name, got, want)
		}
		if want {
			good++
		}
	}
	if good != 3 {
		t.Errorf("%d suites of TLS 1.2, want 3", good)
	}
	state := g.session(&tls.Config{})
	if state.CurveID != tls.X25519MLKEM768 {
		t.Errorf("key exchange by %s, want the hybrid one", state.CurveID)
	}
	if state := g.session(&tls.Config{NextProtos: []string{"spdy/3", "h3"}}); state != nil {
		t.Errorf("agreed on %q", state.NegotiatedProtocol)
	}
	if got := hello(t, g.addr(), 0x01); got[0] != 0 {
		t.Errorf("agreed on compression %d", got[0])
	}
}

// hello sends a ClientHello of TLS 1.2 by hand that also offers a compression, and
// returns the compression that the server chose.
func hello(t *testing.T, address string, compression byte) []byte {
	t.Helper()
	extensions := "\x00\x0a\x00\x04\x00\x02\x00\x1d" + // supported_groups: x25519
		"\x00\x0b\x00\x02\x01\x00" + // ec_point_formats
		"\x00\x0d\x00\x04\x00\x02\x04\x03" + // signature_algorithms: ecdsa_secp256r1_sha256
		"\xff\x01\x00\x01\x00" // renegotiation_info
	body := "\x03\x03" + strings.Repeat("r", 32) + "\x00" + "\x00\x02\xc0\x2b" + "\x02\x00" + string(compression) +
		string([]byte{0, byte(len(extensions))}) + extensions
	message := "\x01\x00" + string([]byte{byte(len(body) >> 8), byte(len(body))}) + body
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(c, "\x16\x03\x01"+string([]byte{byte(len(message) >> 8), byte(len(message))})+message)
	answer := make([]byte, 5+4+2+32+1)
	if _, err := io.ReadFull(c, answer); err != nil || answer[0] != 22 {
		t.Fatalf("no ServerHello: %x, %v", answer, err)
	}
	rest := make([]byte, int(answer[len(answer)-1])+3) // session id, suite, compression
	if _, err := io.ReadFull(c, rest); err != nil {
		t.Fatal(err)
	}
	return rest[len(rest)-1:]
}

// A name's own policy counts for it, by its SNI; a connection that was opened for a
// laxer name doesn't get around it.
func TestTLSPolicies(t *testing.T) {
	cert, key := selfSigned(t)
	g := &gateway{t: t, gate: make(chan struct{}), records: new(records), Server: New(Options{})}
	t.Cleanup(func() { g.Close() })
	g.apply(fmt.Sprintf(plain, fmt.Sprintf("tls = { certificates = [{ cert = %q, key = %q }] }", cert, key)) + `
[domain."new.test"]
tls_policy = "SecurityPolicy_TLS13_1_3_2025_09"
map."/" = "a:s"
[domain."*.lax.test"]
tls_policy = "TLS_1_2"
map."/" = "a:s"
`)
	f := func(name string, version uint16, want bool) {
		t.Helper()
		if got := g.session(&tls.Config{ServerName: name, MinVersion: version, MaxVersion: version}) != nil; got != want {
			t.Errorf("%s, %s: agreed %t, want %t", name, tls.VersionName(version), got, want)
		}
	}
	f("new.test", tls.VersionTLS12, false)
	f("new.test", tls.VersionTLS13, true)
	f("NEW.test", tls.VersionTLS12, false)
	f("localhost", tls.VersionTLS12, true)
	f("a.lax.test", tls.VersionTLS12, true)
	f("a.lax.test", tls.VersionTLS11, false)
	c, err := tls.Dial("tcp", g.addr(), &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", MaxVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(c, "GET /nothing HTTP/1.1\r\nHost: new.test\r\nConnection: close\r\n\r\n")
	if answer, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 421 ") {
		t.Errorf("around the policy: got %q, %v", answer, err)
	}
}

// Sessions are resumed with both versions, also after a reload; one that doesn't fit
// the name's policy any more isn't.
func TestTLSResumption(t *testing.T) {
	cert, key := selfSigned(t)
	g := &gateway{t: t, gate: make(chan struct{}), records: new(records), Server: New(Options{})}
	t.Cleanup(func() { g.Close() })
	text := fmt.Sprintf(plain, fmt.Sprintf("tls = { certificates = [{ cert = %q, key = %q }] }", cert, key))
	strict := strings.Replace(text, "[domain.\"localhost\".map]\n\"/\" = \"a:s\"", "[domain.\"localhost\"]\nmap.\"/\" = \"a:s\"\ntls_policy = \"tls-1.3\"", 1)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		cache := tls.NewLRUClientSessionCache(4)
		for i, use := range []string{text, text, strict, text} {
			g.apply(use)
			state := g.session(&tls.Config{ServerName: "localhost", MaxVersion: version, ClientSessionCache: cache})
			refused := version == tls.VersionTLS12 && use == strict
			if refused != (state == nil) {
				t.Fatalf("%s, connection %d: agreed %t", tls.VersionName(version), i, state != nil)
			}
			// After a refusal the client has forgotten its session.
			if state != nil && state.DidResume != (i > 0 && (i < 3 || version == tls.VersionTLS13)) {
				t.Errorf("%s, connection %d: resumed %t", tls.VersionName(version), i, state.DidResume)
			}
		}
	}
}
