package truststore

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"slices"
	"time"
)

// PEM returns c as $context.identity.clientCert.clientCertPem has it.
func PEM(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

// Subject returns the name of c's owner as AWS writes it: "C=US,O=Example,CN=client",
// escaped as RFC 2253 has it, but in the certificate's own order.
func Subject(c *x509.Certificate) string { return rdns(c.RawSubject) }

// Issuer returns the name of who issued c, written as Subject writes it.
func Issuer(c *x509.Certificate) string { return rdns(c.RawIssuer) }

// rdns reads a name as it stands in the certificate: pkix.Name drops what it
// doesn't know.
func rdns(raw []byte) string {
	var name pkix.RDNSequence
	if rest, err := asn1.Unmarshal(raw, &name); err != nil || len(rest) > 0 {
		return "" // x509 has read it before: it can't be
	}
	slices.Reverse(name) // String begins at the end, as RFC 2253 wants it
	return name.String()
}

// Serial returns c's serial number as AWS writes it: "a1:0b:…", and "1" for 1.
func Serial(c *x509.Certificate) string {
	b := c.SerialNumber.Bytes()
	if len(b) <= 1 {
		return c.SerialNumber.Text(16)
	}
	text := make([]byte, 0, 3*len(b))
	for i := range b {
		if i > 0 {
			text = append(text, ':')
		}
		text = hex.AppendEncode(text, b[i:i+1])
	}
	return string(text)
}

// Date returns t as AWS, and openssl, write the ends of a certificate's validity:
// "May 28 12:30:02 2019 GMT".
func Date(t time.Time) string { return t.UTC().Format("Jan _2 15:04:05 2006 GMT") }
