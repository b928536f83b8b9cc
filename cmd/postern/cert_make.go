package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// existing says what becomes of a file that is there already.
type existing bool

const (
	keepExisting    existing = false // an error
	replaceExisting existing = true
)

// makeCertificate writes a key and a certificate for it, signed with the key
// itself, to file, and returns the certificate in PEM. The file is there whole or
// not at all, and only its owner may read it. AWS: "Generate and configure an SSL
// certificate for backend authentication in API Gateway".
func makeCertificate(file, name string, withRSA bool, days int, before existing) ([]byte, error) {
	if days < 1 || days > 3650 {
		return nil, errors.New("--days is 1 to 3650")
	}
	var key crypto.Signer
	var err error
	if withRSA {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-5 * time.Minute), // a backend's clock may be late
		NotAfter:              now.Add(time.Duration(days) * 24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true, // it is no authority
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key) // with a random serial number
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	text := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), public...)
	return public, writeWhole(file, text, before)
}

// writeWhole writes a file that only its owner may read, so that it is there whole
// or not at all, after a loss of power too.
func writeWhole(file string, text []byte, before existing) (err error) {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".new-*") // which only its owner may read
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // gone after a rename
	_, err = tmp.Write(text)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	switch {
	case err != nil:
	case before == replaceExisting:
		err = os.Rename(tmp.Name(), file)
	default:
		err = os.Link(tmp.Name(), file) // which fails if the file is there
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
