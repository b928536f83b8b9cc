package proxytest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy/certificate/pebbletest"
)

// secured is a gateway whose domains get their certificates from Pebble.
type secured struct {
	t           *testing.T
	dir         string
	clear, port int
	ca          *pebbletest.Pebble
	gateway     Gateway
	roots       *x509.CertPool
}

const securedConfig = `
%s
[listen.clear]
address = "127.0.0.1:%d"
redirect_https = true
[listen.public]
address = "127.0.0.1:%d"
tls = { %s }
[api.pets]
type = "rest"
[api.pets.stage.prod]
[api.pets.route."GET /"]
integration.type = "mock"
response.default.template."application/json" = '"$context.domainName"'
[domain]
"shop.postern.test" = { map."/" = "pets:prod" }
%s
`

func newSecured(t *testing.T, o pebbletest.Options) *secured {
	t.Helper()
	s := &secured{t: t, dir: t.TempDir(), clear: pebbletest.FreePort(t), port: pebbletest.FreePort(t)}
	o.HTTPPort, o.TLSPort = s.clear, s.port
	s.ca = pebbletest.Start(t, o)
	s.roots = s.ca.Issued()
	s.gateway = Start(t)
	t.Cleanup(s.gateway.Close)
	return s
}

// apply serves the configuration with more in [acme], in the listener's TLS and in
// [domain].
func (s *secured) apply(acme, listener, domains string) {
	s.t.Helper()
	file := filepath.Join(s.dir, "postern.toml")
	text := fmt.Sprintf(securedConfig, s.ca.Config(acme), s.clear, s.port, listener, domains)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if findings := s.gateway.Apply(file); findings != "" {
		s.t.Fatal(findings)
	}
}

// client returns a client to whom every name is the gateway.
func (s *secured) client(keep bool, more ...func(*tls.Config)) *http.Client {
	cfg := &tls.Config{RootCAs: s.roots}
	for _, f := range more {
		f(cfg)
	}
	transport := &http.Transport{
		DisableKeepAlives: !keep, TLSClientConfig: cfg,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			port := s.port
			if strings.HasSuffix(address, ":80") {
				port = s.clear
			}
			return new(net.Dialer).DialContext(ctx, network, fmt.Sprintf("127.0.0.1:%d", port))
		},
	}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Timeout: patience, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// get returns the status, the content and the certificate's number of a URL.
func (s *secured) get(c *http.Client, url string) (status int, content, serial string, err error) {
	answer, err := c.Get(url)
	if err != nil {
		return 0, "", "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if answer.TLS != nil {
		serial = answer.TLS.PeerCertificates[0].SerialNumber.String()
	}
	return answer.StatusCode, string(text), serial, err
}

// served waits until a name has a certificate.
func (s *secured) served(name string) {
	s.t.Helper()
	c := s.client(false)
	end := time.Now().Add(time.Minute)
	for {
		status, content, _, err := s.get(c, "https://"+name+"/")
		if err == nil && status == 200 && content == fmt.Sprintf("%q", name) {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("%s isn't served: %d %s %v", name, status, content, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// The gateway's own listeners prove that names are its own, before they redirect
// anybody, and serve what comes of it.
func TestACMEDomain(t *testing.T) {
	for _, kind := range []string{"http-01", "tls-alpn-01"} {
		t.Run(kind, func(t *testing.T) {
			s := newSecured(t, pebbletest.Options{})
			s.apply(fmt.Sprintf("challenges = [%q]", kind), "", "")
			s.served("shop.postern.test")

			plain := s.client(false)
			f := func(path string, want int) {
				t.Helper()
				if status, _, _, err := s.get(plain, "http://shop.postern.test"+path); err != nil || status != want {
					t.Errorf("%s: %d, %v; want %d", path, status, err, want)
				}
			}
			f("/", 308)
			// What no authority waits for is a request like any other.
			f("/.well-known/acme-challenge/token", 308)

			// Nothing but the proof is spoken with who offers only its protocol.
			_, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port), &tls.Config{ServerName: "shop.postern.test", RootCAs: s.roots, NextProtos: []string{"acme-tls/1"}})
			if err == nil || !strings.Contains(err.Error(), "no application protocol") {
				t.Errorf("a proof that nobody waits for: %v", err)
			}
		})
	}
}

// Who names nothing of ours, or nothing at all, gets the listener's own certificate,
// and an alert from a listener that has none.
func TestUnknownServerName(t *testing.T) {
	s := newSecured(t, pebbletest.Options{})
	if err := WriteCertificate(s.dir, "own", []string{"own.postern.test"}); err != nil {
		t.Fatal(err)
	}
	dial := func(name string) (string, error) {
		c, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port), &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if err != nil {
			return "", err
		}
		defer c.Close()
		return strings.Join(c.ConnectionState().PeerCertificates[0].DNSNames, " "), nil
	}
	f := func(name, want string) {
		t.Helper()
		got, err := dial(name)
		if want == "" && (err == nil || !strings.Contains(err.Error(), "unrecognized name")) || want != "" && got != want {
			t.Errorf("%q gets %q, %v; want %q", name, got, err, want)
		}
	}
	s.apply("", "", "")
	s.served("shop.postern.test")
	f("shop.postern.test", "shop.postern.test")
	f("own.postern.test", "")
	f("pets.localhost", "")
	f("", "")
	// An address is no name (RFC 6066, 3): clients send none.
	f("127.0.0.1", "")
	s.apply("", `certificates = [{ cert = "own.crt", key = "own.key" }]`, "")
	f("shop.postern.test", "shop.postern.test")
	f("own.postern.test", "own.postern.test")
	f("pets.localhost", "own.postern.test")
	f("", "own.postern.test")
}

// A domain that asks clients for certificates, and one with a policy of its own,
// have their certificates from the authority, too.
func TestACMEWithOtherTLS(t *testing.T) {
	s := newSecured(t, pebbletest.Options{})
	for _, err := range []error{WriteAuthority(s.dir, "root", ""), WriteClient(s.dir, "ann", "root", 1, false)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s.apply("", "", `"shut.postern.test" = { map."/" = "pets:prod", mtls = { truststore = "root.crt" } }
"strict.postern.test" = { map."/" = "pets:prod", tls_policy = "tls-1.3" }`)
	s.served("shop.postern.test")
	s.served("strict.postern.test")
	ann, err := tls.LoadX509KeyPair(filepath.Join(s.dir, "ann.crt"), filepath.Join(s.dir, "ann.key"))
	if err != nil {
		t.Fatal(err)
	}
	with := s.client(false, func(c *tls.Config) { c.Certificates = []tls.Certificate{ann} })
	end := time.Now().Add(time.Minute)
	for {
		status, content, _, err := s.get(with, "https://shut.postern.test/")
		if status == 200 && content == `"shut.postern.test"` {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("with a certificate: %d %s %v", status, content, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	if _, _, _, err := s.get(s.client(false), "https://shut.postern.test/"); err == nil {
		t.Error("served without a certificate of the client's")
	}
	old := s.client(false, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })
	if _, _, _, err := s.get(old, "https://strict.postern.test/"); err == nil {
		t.Error("TLS 1.2 with a policy that has 1.3 only")
	}
}

// A certificate that ends in seconds is renewed under load, and reloaded meanwhile:
// no request fails, on new connections and on old ones.
func TestACMERenewalUnderLoad(t *testing.T) {
	s := newSecured(t, pebbletest.Options{Life: 30 * time.Second})
	s.apply("renew_window = 90", "", "")
	s.served("shop.postern.test")
	var asked, failed atomic.Int64
	var serials sync.Map
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	var work sync.WaitGroup
	for _, keep := range []bool{false, false, true} {
		c := s.client(keep, func(c *tls.Config) {
			c.ClientSessionCache = tls.NewLRUClientSessionCache(8)
			if !keep {
				c.ClientSessionCache = nil
			}
		})
		work.Go(func() {
			for ctx.Err() == nil {
				status, _, serial, err := s.get(c, "https://shop.postern.test/")
				asked.Add(1)
				if err != nil || status != 200 {
					failed.Add(1)
					t.Errorf("after %d requests: %d %v", asked.Load(), status, err)
				}
				if !keep {
					serials.Store(serial, true)
				}
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
	seen := func() (n int) {
		serials.Range(func(any, any) bool { n++; return true })
		return n
	}
	for ctx.Err() == nil && seen() < 3 {
		time.Sleep(500 * time.Millisecond)
		s.apply("renew_window = 90", "", "")
	}
	stop()
	work.Wait()
	if failed.Load() > 0 || seen() < 2 {
		t.Errorf("%d requests, %d failed, %d certificates", asked.Load(), failed.Load(), seen())
	}
	t.Logf("%d requests, %d certificates", asked.Load(), seen())
}
