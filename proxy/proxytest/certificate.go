package proxytest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// WriteCertificate writes NAME.crt and NAME.key to dir: a key made for this
// call and a certificate for hosts that it signed itself, valid for an hour.
func WriteCertificate(dir, name string, hosts []string) error {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return writeCertificate(dir, name, template, "")
}

// WriteAuthority is WriteCertificate for an authority, signed by the one called
// issuer, "" for itself. NAME.crt holds those that lead to the root, too.
func WriteAuthority(dir, name, issuer string) error {
	return writeCertificate(dir, name, &x509.Certificate{
		Subject:               pkix.Name{Country: []string{"ZZ"}, Organization: []string{"Authorities"}, CommonName: name},
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}, issuer)
}

// WriteClient is WriteCertificate for a client, signed by the authority called
// issuer, "" for itself. A serial number of 0 takes a fresh one; expired ends it a
// minute ago.
func WriteClient(dir, name, issuer string, serial int64, expired bool) error {
	template := &x509.Certificate{
		Subject:     pkix.Name{Country: []string{"ZZ"}, Organization: []string{"Clients"}, CommonName: name},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if serial != 0 {
		template.SerialNumber = big.NewInt(serial)
	}
	if expired {
		template.NotAfter = time.Now().Add(-time.Minute)
	}
	return writeCertificate(dir, name, template, issuer)
}

// writeCertificate completes template and writes it with its key.
func writeCertificate(dir, name string, template *x509.Certificate, issuer string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	if template.SerialNumber == nil {
		template.SerialNumber = big.NewInt(now.UnixNano())
	}
	template.NotBefore = now.Add(-time.Hour)
	if template.NotAfter.IsZero() {
		template.NotAfter = now.Add(time.Hour)
	}
	parent, signer := template, crypto.PrivateKey(key)
	var above []byte
	if issuer != "" {
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, issuer+".crt"), filepath.Join(dir, issuer+".key"))
		if err != nil {
			return err
		}
		parent, signer = pair.Leaf, pair.PrivateKey
		if template.IsCA {
			for _, der := range pair.Certificate {
				above = append(above, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
			}
		}
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	write := func(file, kind string, der, more []byte) error {
		return os.WriteFile(filepath.Join(dir, file), append(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), more...), 0o600)
	}
	if err := write(name+".crt", "CERTIFICATE", cert, above); err != nil {
		return err
	}
	return write(name+".key", "PRIVATE KEY", private, nil)
}
