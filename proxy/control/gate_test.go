package control

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// certified returns a certificate for names, and who trusts it.
func certified(t *testing.T, names ...string) (*tls.Certificate, *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	own, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(own)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, &tls.Config{RootCAs: roots, ServerName: names[0]}
}

// An address that others can reach needs a certificate and a token, and then asks for
// both.
func TestGuard(t *testing.T) {
	t.Setenv(tokenVariable, "")
	s := newServer(t, Options{})
	own, trusting := certified(t, "gateway.test")
	sum := sha256.Sum256([]byte("r-1"))
	tokens := []Token{{"reader", hex.EncodeToString(sum[:]), []string{"read"}}}
	refused := func(why string) {
		t.Helper()
		if err := s.Listen("0.0.0.0:0"); err == nil || !strings.Contains(err.Error(), "TLS and tokens") {
			t.Errorf("%s: %v", why, err)
		}
	}
	refused("nothing")
	s.Guard(own, nil)
	refused("no token")
	s.Guard(nil, tokens)
	refused("no certificate")
	s.Guard(own, tokens)
	if err := s.Listen("0.0.0.0:0"); err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	f := func(scheme, host, token string, want int) {
		t.Helper()
		r, err := http.NewRequest("GET", scheme+"://127.0.0.1:"+port+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		transport := &http.Transport{TLSClientConfig: trusting, DisableKeepAlives: true}
		got := 0
		resp, err := transport.RoundTrip(r)
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			got = resp.StatusCode
		}
		if got != want {
			t.Errorf("%s for %s with %q: status %d, %v; want %d", scheme, host, token, got, err, want)
		}
	}
	f("https", "gateway.test", "r-1", 200)
	f("https", "gateway.test", "", 401)
	f("https", "gateway.test", "r-2", 401)
	f("http", "gateway.test", "r-1", 400) // as net/http answers cleartext
	// Commands find it, by the name in its certificate.
	t.Setenv(tokenVariable, "r-1")
	c, err := Dial(context.Background(), s.Address()[:strings.LastIndexByte(s.Address(), ':')+1]+port, trusting)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if _, err := Dial(context.Background(), "127.0.0.1:"+port, &tls.Config{ServerName: "gateway.test"}); err == nil {
		t.Error("a certificate of nobody's is trusted")
	}
	// Without them only the machine itself may ask, whatever the listener is.
	back := s.Guard(nil, nil)
	f("http", "localhost", "", 200)
	f("http", "gateway.test", "", 421)
	back()
	f("https", "gateway.test", "", 401)
	f("https", "gateway.test", "r-1", 200)
}

// Who comes to another address than the machine's own is refused as long as there is
// nothing to ask for.
func TestFromElsewhere(t *testing.T) {
	s := newServer(t, Options{})
	f := func(local string, want int) {
		t.Helper()
		r, err := http.NewRequest("GET", "http://localhost/health/live", nil)
		if err != nil {
			t.Fatal(err)
		}
		w := &answer{header: http.Header{}}
		s.answer(w, r.WithContext(context.WithValue(t.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.ParseIP(local), Port: 1})))
		if w.status != want {
			t.Errorf("%s: status %d, want %d", local, w.status, want)
		}
	}
	f("127.0.0.1", 200)
	f("::1", 200)
	f("192.0.2.7", 403)
	f("0.0.0.0", 403)
}

// answer remembers a status.
type answer struct {
	header http.Header
	status int
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) Write(b []byte) (int, error) { return len(b), nil }
func (a *answer) WriteHeader(status int)      { a.status = status }

// A listener has so many connections, and each that ends makes room.
func TestMaxConnections(t *testing.T) {
	s := newServer(t, Options{})
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ask := func() net.Conn {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if _, err := io.WriteString(c, "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		return c
	}
	answered := func(c net.Conn) {
		t.Helper()
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := io.ReadFull(c, make([]byte, 12)); err != nil {
			t.Fatal(err)
		}
	}
	var all []net.Conn
	for range maxConnections {
		c := ask()
		answered(c)
		all = append(all, c)
	}
	waiting := ask()
	_ = waiting.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if _, err := waiting.Read(make([]byte, 1)); err == nil {
		t.Error("one more connection is answered")
	}
	all[7].Close()
	answered(waiting)
}
