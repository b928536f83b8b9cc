package certificate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// selfSigned makes a certificate for a name.
func selfSigned(t testing.TB, name string, from time.Time, life time.Duration, change ...func(*x509.Certificate)) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(from.UnixNano()), DNSNames: []string{name}, NotBefore: from, NotAfter: from.Add(life)}
	for _, f := range change {
		f(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// encoded returns a certificate and its key in PEM.
func encoded(t testing.TB, c *tls.Certificate) (chain, key []byte) {
	t.Helper()
	for _, der := range c.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return chain, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// keep stores a certificate for name as if the authority with key had given it.
func keep(t testing.TB, s *storage, key, name string, from time.Time, life time.Duration) {
	t.Helper()
	chain, private := encoded(t, selfSigned(t, name, from, life))
	text, err := json.Marshal(&pair{Key: private, Chain: chain, Note: []byte("{}")})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.put(t.Context(), document(key, name), text); err != nil {
		t.Fatal(err)
	}
}

// request makes a request for a certificate.
func request(t testing.TB, name string) *x509.CertificateRequest {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{name}}, key)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

// suggestion is an authority's, of the middle of a window.
func suggestion(from, to time.Time) (s acme.RenewalInfo) {
	s.SuggestedWindow.Start, s.SuggestedWindow.End = from, to
	if !from.IsZero() {
		s.SelectedTime = from.Add(to.Sub(from) / 2)
	}
	return s
}

// question is an authority's.
func question(host, token, answer string) acme.Challenge {
	return acme.Challenge{Type: "http-01", Token: token, KeyAuthorization: answer, Identifier: acme.Identifier{Type: "dns", Value: host}}
}
