package truststore

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// mostShown is how many certificates a client may show. Whoever shows more makes
// work and has no chain of longestChain in mind.
const mostShown = 10

// Why a client's certificate isn't accepted; for logs.
var (
	ErrNoCertificate = errors.New("the client showed no certificate")
	ErrTooMany       = fmt.Errorf("the client showed more than %d certificates", mostShown)
	ErrChain         = fmt.Errorf("its chain has more than %d certificates", longestChain)
	ErrRevoked       = errors.New("revoked")
	ErrWeak          = errors.New("too weak")
)

// Verify judges what a client showed, its own certificate first, at the time now.
// Where it accepts, it returns until when: the first certificate of the chain
// expires then. The error says which certificate isn't good, and why.
func (s *Store) Verify(shown []*x509.Certificate, now time.Time) (until time.Time, err error) {
	switch {
	case len(shown) == 0:
		return until, ErrNoCertificate
	case len(shown) > mostShown:
		return until, ErrTooMany
	}
	between := s.between
	if len(shown) > 1 {
		between = s.between.Clone()
		for _, c := range shown[1:] {
			between.AddCert(c)
		}
	}
	chains, err := shown[0].Verify(x509.VerifyOptions{
		Roots: s.roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return until, fmt.Errorf("certificate %s, serial number %s: %w", describe(shown[0]), Serial(shown[0]), err)
	}
	for _, chain := range chains {
		chainUntil, chainErr := s.accept(chain)
		if chainErr == nil {
			return chainUntil, nil
		}
		err = chainErr
	}
	return until, err
}

// accept judges a chain whose signatures and dates are good.
func (s *Store) accept(chain []*x509.Certificate) (until time.Time, err error) {
	if len(chain) > longestChain {
		return until, fmt.Errorf("certificate %s: %w", describe(chain[0]), ErrChain)
	}
	until = chain[0].NotAfter
	for _, c := range chain {
		switch {
		case s.revoked.has(c):
			err = ErrRevoked
		case weak(c) != "":
			err = fmt.Errorf("%w: it %s", ErrWeak, weak(c))
		}
		if err != nil {
			return until, fmt.Errorf("certificate %s, serial number %s: %w", describe(c), Serial(c), err)
		}
		if c.NotAfter.Before(until) {
			until = c.NotAfter
		}
	}
	return until, nil
}

// weak says that c has a key or a signature that can't be relied on.
func weak(c *x509.Certificate) string {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < 2048 {
			return fmt.Sprintf("has an RSA key of %d bits", key.N.BitLen())
		}
	case *ecdsa.PublicKey:
		if key.Curve.Params().BitSize < 256 {
			return fmt.Sprintf("has an ECDSA key of %d bits", key.Curve.Params().BitSize)
		}
	case ed25519.PublicKey:
	default:
		return "has a key of a kind that isn't RSA, ECDSA or Ed25519"
	}
	switch c.SignatureAlgorithm {
	case x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA, x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS,
		x509.SHA512WithRSAPSS, x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512, x509.PureEd25519:
		return ""
	}
	return "is signed with " + c.SignatureAlgorithm.String()
}
