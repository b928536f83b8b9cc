// Package truststore judges the certificates of clients: by a bundle of the
// authorities that may have issued them, and by lists of what was revoked.
package truststore

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"
)

// longestChain is how many certificates lead from a client's to a root, both
// included. AWS: "How to turn on mutual TLS authentication for your REST APIs".
const longestChain = 4

// largestFile is how much is read of one file, in bytes.
const largestFile = 16 << 20

// Finding is something wrong, or odd, with a file.
type Finding struct {
	File     string
	List     int // which of the lists it is, from 1 on; 0 for the bundle
	Position int // of a certificate in its bundle, of a line in a list, from 1 on; 0 for the whole file
	Text     string
	Hint     string // "" for none
	Odd      bool   // it can be lived with
}

// Store judges certificates. It never changes; safe for concurrent use.
type Store struct {
	roots   *x509.CertPool
	between *x509.CertPool
	revoked revocations
}

// Read reads a bundle of certificates in PEM, and lists of what was revoked: CRLs
// in PEM or DER, or texts with a serial number or a SHA-256 fingerprint in
// hexadecimal digits on each line. now is when validity is judged; what isn't
// valid then is found odd, since the time makes it so without anybody's doing, and
// it vouches for nobody.
//
// The store is nil if a finding isn't merely odd.
func Read(bundle string, revoked []string, now time.Time) (*Store, []Finding) {
	certificates, found := readBundle(bundle, now)
	s := &Store{roots: x509.NewCertPool(), between: x509.NewCertPool()}
	for _, c := range certificates {
		if bytes.Equal(c.RawSubject, c.RawIssuer) {
			s.roots.AddCert(c)
		} else {
			s.between.AddCert(c)
		}
	}
	for i, file := range revoked {
		for _, f := range s.revoked.read(file, certificates, now) {
			f.List = i + 1
			found = append(found, f)
		}
	}
	for _, f := range found {
		if !f.Odd {
			return nil, found
		}
	}
	return s, found
}

// readFile returns what file holds.
func readFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		var path *fs.PathError
		if errors.As(err, &path) { // its finding names the file
			err = path.Err
		}
		return nil, err
	}
	defer f.Close() // it was only read
	text, err := io.ReadAll(io.LimitReader(f, largestFile+1))
	if err == nil && len(text) > largestFile {
		err = fmt.Errorf("it has more than %d bytes", largestFile)
	}
	return text, err
}

// member is a certificate of a bundle.
type member struct {
	*x509.Certificate
	position int
}

// readBundle returns the certificates of a bundle, and what is wrong with them.
func readBundle(file string, now time.Time) (certificates []*x509.Certificate, found []Finding) {
	text, err := readFile(file)
	if err != nil {
		return nil, []Finding{{File: file, Text: "can't read the truststore: " + err.Error()}}
	}
	members, found := decode(file, text)
	bySubject := map[string][]*x509.Certificate{}
	for _, m := range members {
		certificates = append(certificates, m.Certificate)
		bySubject[string(m.RawSubject)] = append(bySubject[string(m.RawSubject)], m.Certificate)
	}
	for _, m := range members {
		f := Finding{File: file, Position: m.position}
		if f.Text, f.Hint = unfit(m.Certificate); f.Text == "" {
			if f.Text = incomplete(m.Certificate, bySubject); f.Text != "" {
				f.Hint = "a truststore holds each authority up to its root"
			} else if f.Text = untimely(m.Certificate, now); f.Text != "" {
				f.Hint, f.Odd = "clients whose certificates lead to it are refused", true
			}
		}
		if f.Text != "" {
			f.Text = describe(m.Certificate) + " " + f.Text
			found = append(found, f)
		}
	}
	return certificates, found
}

// decode returns the certificates of a bundle's text, and what isn't one.
func decode(file string, text []byte) (members []member, found []Finding) {
	position := 0
	wrong := func(text, hint string) {
		found = append(found, Finding{File: file, Position: position, Text: text, Hint: hint})
	}
	for {
		block, rest := pem.Decode(text)
		skipped := text[:len(text)-len(rest)]
		if block == nil {
			skipped = text
		}
		begun := bytes.Count(skipped, []byte("-----BEGIN "))
		if block != nil {
			begun--
		}
		for range begun { // package pem passes over what it can't read
			position++
			wrong("a block that isn't well-formed PEM", "copy the certificate anew, with its BEGIN and END lines")
		}
		if block == nil {
			break
		}
		position++
		text = rest
		switch {
		case strings.Contains(block.Type, "PRIVATE KEY"):
			wrong("a private key, which has no place among certificates", "remove it, and take it for stolen if others could read the file")
			continue
		case block.Type != "CERTIFICATE":
			wrong(fmt.Sprintf("a block %q, which is no certificate", block.Type), "")
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			wrong("a certificate that can't be read: "+err.Error(), "")
			continue
		}
		members = append(members, member{c, position})
	}
	if position == 0 {
		wrong("the truststore holds no certificate", "it is a file of PEM blocks, one for each authority")
	}
	return members, found
}

// describe names c in messages.
func describe(c *x509.Certificate) string { return fmt.Sprintf("%q", Subject(c)) }

// unfit says what keeps c from vouching for anybody, whatever the time.
func unfit(c *x509.Certificate) (text, hint string) {
	if text = weak(c); text != "" {
		return text, "AWS and postern ask for SHA-256 or better, RSA with 2048 bits or ECDSA with 256 bits at least"
	}
	switch {
	case !bytes.Equal(c.RawSubject, c.RawIssuer):
		if !c.BasicConstraintsValid || !c.IsCA {
			return "is neither an authority nor signed by itself", "a truststore holds those who issue certificates, not what they issued"
		}
	case c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) != nil:
		return "has its own name as the issuer, but didn't sign itself", ""
	}
	if c.IsCA && c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0 {
		return "is an authority that may not sign certificates", "its key usage has no keyCertSign"
	}
	return "", ""
}

// untimely says that c isn't valid at now.
func untimely(c *x509.Certificate, now time.Time) string {
	switch {
	case now.After(c.NotAfter):
		return "expired at " + Date(c.NotAfter)
	case now.Before(c.NotBefore):
		return "isn't valid before " + Date(c.NotBefore)
	}
	return ""
}

// incomplete says what is missing between c and its root in a bundle.
func incomplete(c *x509.Certificate, bySubject map[string][]*x509.Certificate) string {
	for length := 2; !bytes.Equal(c.RawSubject, c.RawIssuer); length++ {
		if length == longestChain { // the client's own comes in front
			return fmt.Sprintf("has more than %d certificates between it and its root, with which a client's would make a chain of more than %d", longestChain-2, longestChain)
		}
		issuer := issuerOf(c, bySubject[string(c.RawIssuer)])
		if issuer == nil {
			return fmt.Sprintf("was issued by %q, which isn't in the bundle", rdns(c.RawIssuer))
		}
		c = issuer
	}
	return ""
}

// issuerOf returns which of those of its name signed c, or nil.
func issuerOf(c *x509.Certificate, named []*x509.Certificate) *x509.Certificate {
	for _, issuer := range named {
		if c.CheckSignatureFrom(issuer) == nil {
			return issuer
		}
	}
	return nil
}
