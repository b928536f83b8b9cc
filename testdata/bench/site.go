package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// host is where everything listens.
const host = "127.0.0.1"

// site is what all proxies have in common: the files, the backend, the
// certificate.
type site struct {
	dir     string // everything lives below it
	backend string // host:port
	cert    string // files
	key     string
	roots   *x509.CertPool
}

// newSite makes the folder with the certificate and the contents that the
// backend returns.
func newSite() (*site, error) {
	dir, err := os.MkdirTemp("", "postern-bench-")
	if err != nil {
		return nil, err
	}
	s := &site{dir: dir, cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
	err = s.fill()
	if err != nil {
		_ = os.RemoveAll(dir) // the error counts
		return nil, err
	}
	return s, nil
}

func (s *site) fill() error {
	// nginx's workers aren't root.
	if err := os.Chmod(s.dir, 0o755); err != nil {
		return err
	}
	www := filepath.Join(s.dir, "www")
	if err := os.Mkdir(www, 0o755); err != nil {
		return err
	}
	for name, size := range map[string]int{"k1": 1 << 10, "k64": 64 << 10} {
		if err := os.WriteFile(filepath.Join(www, name), content(size), 0o644); err != nil {
			return err
		}
	}
	return s.certificate()
}

// content returns the fixed content of a size.
func content(size int) []byte {
	const line = "The quick brown fox jumps over the lazy dog, and back again. 64.\n"
	return []byte(strings.Repeat(line, size/len(line)+1)[:size])
}

// certificate makes a certificate of the kind that ACME gives by default: ECDSA
// P-256.
func (s *site) certificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.ParseIP(host)}, DNSNames: []string{"localhost"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	s.roots = x509.NewCertPool()
	s.roots.AddCert(cert)
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	if err := os.WriteFile(s.cert, certPEM, 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(s.key, keyPEM, 0o600); err != nil {
		return err
	}
	// HAProxy wants both in one file.
	return os.WriteFile(s.cert+".both", append(certPEM, keyPEM...), 0o600)
}

// clientTLS trusts the site's certificate.
func (s *site) clientTLS() *tls.Config { return &tls.Config{RootCAs: s.roots, ServerName: host} }

// freePort finds a port that nobody listens at, outside of the range from which
// the kernel takes the ports of outgoing connections.
func freePort() (int, error) {
	for range 200 {
		port := 12000 + mathrand.IntN(18000)
		l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", host, port))
		if err != nil {
			continue
		}
		return port, l.Close()
	}
	return 0, fmt.Errorf("no free port between 12000 and 30000 at %s", host)
}
