package truststore

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// revocations are what was revoked. The zero value is nothing; they don't change
// once they are read.
type revocations struct {
	serials      map[string]bool            // whoever issued it
	fingerprints map[[sha256.Size]byte]bool // of one certificate
	listed       map[issued]bool            // by a CRL
}

// issued is a certificate as its issuer lists it.
type issued struct{ issuer, serial string }

// maxSerial is how long a serial number can be, in bytes. RFC 5280, 4.1.2.2.
const maxSerial = 20

// has reports whether c was revoked.
func (r *revocations) has(c *x509.Certificate) bool {
	serial := c.SerialNumber.Bytes()
	if r.serials[string(serial)] || r.listed[issued{string(c.RawIssuer), string(serial)}] {
		return true
	}
	return len(r.fingerprints) > 0 && r.fingerprints[sha256.Sum256(c.Raw)]
}

// read adds what file lists; signers are those whose CRLs count.
func (r *revocations) read(file string, signers []*x509.Certificate, now time.Time) []Finding {
	text, err := readFile(file)
	switch {
	case err != nil:
		return []Finding{{File: file, Text: "can't read the list: " + err.Error()}}
	case bytes.Contains(text, []byte("-----BEGIN ")):
		return r.readPEM(file, text, signers, now)
	case len(text) > 0 && text[0] == 0x30: // SEQUENCE; also the digit 0, which DER goes on from otherwise
		if list, err := x509.ParseRevocationList(text); err == nil {
			return r.add(file, 0, list, signers, now)
		} else if !utf8.Valid(text) {
			return []Finding{{File: file, Text: "a CRL that can't be read: " + err.Error()}}
		}
	}
	return r.readLines(file, string(text))
}

func (r *revocations) readPEM(file string, text []byte, signers []*x509.Certificate, now time.Time) (found []Finding) {
	position := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		position++
		list, err := x509.ParseRevocationList(block.Bytes)
		if block.Type != "X509 CRL" || err != nil {
			found = append(found, Finding{File: file, Position: position, Text: fmt.Sprintf("a block %q that is no CRL", block.Type)})
			continue
		}
		found = append(found, r.add(file, position, list, signers, now)...)
	}
	if begun := bytes.Count(text, []byte("-----BEGIN ")); begun > position {
		found = append(found, Finding{File: file, Text: "a block that isn't well-formed PEM"})
	}
	return found
}

// add adds a CRL. RFC 5280, 5.
func (r *revocations) add(file string, position int, list *x509.RevocationList, signers []*x509.Certificate, now time.Time) []Finding {
	issuer := rdns(list.RawIssuer)
	wrong := func(text, hint string) []Finding {
		return []Finding{{File: file, Position: position, Text: fmt.Sprintf("the CRL of %q %s", issuer, text), Hint: hint}}
	}
	signed := false
	for _, c := range signers {
		signed = signed || bytes.Equal(c.RawSubject, list.RawIssuer) && list.CheckSignatureFrom(c) == nil
	}
	if !signed {
		return wrong("isn't signed by an authority of the truststore", "list CRLs of the truststore's authorities only")
	}
	for _, e := range list.Extensions {
		if e.Critical { // delta and indirect CRLs, and those for some certificates only
			return wrong("has a critical extension "+e.Id.String()+", which isn't supported", "use the authority's complete CRL")
		}
	}
	if r.listed == nil {
		r.listed = map[issued]bool{}
	}
	for _, entry := range list.RevokedCertificateEntries {
		r.listed[issued{string(list.RawIssuer), string(entry.SerialNumber.Bytes())}] = true
	}
	if !list.NextUpdate.IsZero() && now.After(list.NextUpdate) {
		found := wrong("should have been renewed by "+Date(list.NextUpdate), "what was revoked since then isn't in it")
		found[0].Odd = true
		return found
	}
	return nil
}

// readLines adds what a text lists.
func (r *revocations) readLines(file, text string) (found []Finding) {
	number := 0
	for line := range strings.Lines(text) {
		number++
		line, _, _ = strings.Cut(line, "#")
		if _, value, named := strings.Cut(line, "="); named { // as openssl prints them
			line = value
		}
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		digits := strings.ReplaceAll(line, ":", "")
		if len(digits)%2 == 1 {
			digits = "0" + digits
		}
		b, err := hex.DecodeString(digits)
		switch {
		case err == nil && len(b) == sha256.Size:
			if r.fingerprints == nil {
				r.fingerprints = map[[sha256.Size]byte]bool{}
			}
			r.fingerprints[[sha256.Size]byte(b)] = true
		case err == nil && len(b) <= maxSerial:
			if r.serials == nil {
				r.serials = map[string]bool{}
			}
			r.serials[string(bytes.TrimLeft(b, "\x00"))] = true
		default:
			found = append(found, Finding{File: file, Position: number, Text: "neither a serial number nor a SHA-256 fingerprint",
				Hint: "hexadecimal digits, with or without colons: at most 40 of a serial number, 64 of a fingerprint"})
		}
	}
	return found
}
