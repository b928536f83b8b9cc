package upstream

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// secure starts a TLS server for pets.internal that answers "ok". It returns its
// address, a file with its certificate, and how many handshakes there were.
func secure(t *testing.T) (address, ca string, handshakes *atomic.Int32) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"pets.internal"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	handshakes = new(atomic.Int32)
	s := serveOn(t, func(l net.Listener) net.Listener {
		return tls.NewListener(l, &tls.Config{
			Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
			VerifyConnection: func(tls.ConnectionState) error {
				handshakes.Add(1)
				return nil
			},
		})
	}, func(conn net.Conn, _ *bufio.Reader, _ string) bool {
		_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		return err == nil
	})
	return s.listener.Addr().String(), ca, handshakes
}

// A TLS connection that was opened ahead serves, although the server's session
// tickets lie unread in it.
func TestWarmTLS(t *testing.T) {
	address, ca, handshakes := secure(t)
	b, set := open(t, "https://pets.internal", options(func(o *config.Backend) {
		o.TLS.CA, o.MinIdle = ca, 1
	}, address))
	target := set.all()[0].all[0]
	for {
		if _, idle := target.figures(); idle == 1 {
			break
		}
		time.Sleep(time.Millisecond) // the handshake is under way
	}
	target.mu.Lock()
	c := target.idle[0]
	target.mu.Unlock()
	for c.wire.Quiet() {
		time.Sleep(time.Millisecond) // the tickets are on their way
	}
	target.sweep(time.Now().Add(-time.Minute))
	c.since = c.since.Add(-time.Second)
	for _, method := range []string{"GET", "POST"} {
		ex := request(method, "")
		if err := b.Send(context.Background(), ex); err != nil {
			t.Fatal(err)
		}
		if got := body(t, ex); got != "ok" || ex.Notes.Retries != 0 {
			t.Errorf("%s: got %q after %d further tries", method, got, ex.Notes.Retries)
		}
		ex.End()
	}
	if n := handshakes.Load(); n > 2 { // a further one may be opened ahead meanwhile
		t.Errorf("got %d handshakes, want the connection that was opened ahead to be used", n)
	}
	if x := set.Stats()[0].Targets[0]; x.Requests != 2 || x.Failures != 0 {
		t.Errorf("got %+v, want 2 requests and no failure", x)
	}
}

// A certificate for another name is never accepted, whatever the target's address.
func TestCertificateName(t *testing.T) {
	address, ca, _ := secure(t)
	b, _ := open(t, "https://cats.internal", options(func(o *config.Backend) { o.TLS.CA = ca }, address))
	ex := request("GET", "")
	defer ex.End()
	err := b.Send(context.Background(), ex)
	var name x509.HostnameError
	if !errors.Is(err, proxy.Fault{Kind: proxy.IntegrationFailure}) || !errors.As(err, &name) {
		t.Errorf("got %v, want a failure because of the name", err)
	}
}
