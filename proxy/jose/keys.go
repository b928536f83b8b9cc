// Package jose reads public keys and checks signatures and tokens made with
// their private halves. It knows asymmetric algorithms only: a gateway that can
// check a token must not be able to make one.
package jose

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// Limits of what ParseKeys takes.
const (
	MaxText = 256 << 10 // bytes
	MaxKeys = 100

	minRSA = 2048 // bits; RFC 7518, 3.3
	maxRSA = 8192 // bits: what verifying costs grows with their square
)

// Key is one public key.
type Key struct {
	ID        string // kid; "" if it has none
	Algorithm string // alg, when the key is for this one only; else ""
	Public    any    // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
}

// Keys are what a token may be signed with. They aren't changed; safe for
// concurrent use.
type Keys []Key

// ParseKeys reads a JWK, a JWK set (RFC 7517) or PEM blocks with public keys or
// certificates. Keys of a set that aren't for checking signatures, or of a type
// that isn't known, are left out, as RFC 7517, 5 has it; a set of which nothing
// is left is an error.
func ParseKeys(text []byte) (Keys, error) {
	if len(text) > MaxText {
		return nil, fmt.Errorf("keys of more than %d bytes", MaxText)
	}
	if trimmed := strings.TrimSpace(string(text)); strings.HasPrefix(trimmed, "-----BEGIN ") {
		return parsePEM([]byte(trimmed))
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
		Kty  string            `json:"kty"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("neither a JWK, a JWK set nor PEM: %w", err)
	}
	if set.Keys == nil && set.Kty != "" {
		k, err := parseJWK(text)
		if err != nil {
			return nil, err
		}
		return Keys{k}, nil
	}
	if len(set.Keys) > MaxKeys {
		return nil, fmt.Errorf("more than %d keys", MaxKeys)
	}
	var keys Keys
	var lacking error
	for _, raw := range set.Keys {
		k, err := parseJWK(raw)
		if err != nil {
			lacking = err
			continue
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.Join(errors.New("no key in it checks signatures"), lacking)
	}
	return keys, nil
}

func parsePEM(text []byte) (Keys, error) {
	var keys Keys
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
		var public any
		switch block.Type {
		case "PUBLIC KEY":
			key, err := x509.ParsePKIXPublicKey(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("public key: %w", err)
			}
			public = key
		case "RSA PUBLIC KEY":
			key, err := x509.ParsePKCS1PublicKey(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("RSA public key: %w", err)
			}
			public = key
		case "CERTIFICATE":
			certificate, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("certificate: %w", err)
			}
			public = certificate.PublicKey
		default:
			return nil, fmt.Errorf("a PEM block of the type %q; wanted are public keys and certificates", block.Type)
		}
		if err := acceptable(public); err != nil {
			return nil, err
		}
		if keys = append(keys, Key{Public: public}); len(keys) > MaxKeys {
			return nil, fmt.Errorf("more than %d keys", MaxKeys)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("no PEM block in it")
	}
	return keys, nil
}

func acceptable(public any) error {
	switch k := public.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < minRSA || n > maxRSA {
			return fmt.Errorf("an RSA key of %d bits; wanted are %d to %d", n, minRSA, maxRSA)
		}
		return nil
	case *ecdsa.PublicKey:
		if curve := k.Curve; curve != elliptic.P256() && curve != elliptic.P384() && curve != elliptic.P521() {
			return errors.New("an EC key on another curve than P-256, P-384 and P-521")
		}
		return nil
	case ed25519.PublicKey:
		return nil
	}
	return fmt.Errorf("a key of the type %T", public)
}

// jwk is a JSON Web Key. RFC 7517, 4; RFC 7518, 6; RFC 8037, 2.
type jwk struct {
	Kty, Kid, Alg, Use, Crv, N, E, X, Y string
	KeyOps                              []string `json:"key_ops"`
}

func parseJWK(text []byte) (Key, error) {
	var j jwk
	if err := json.Unmarshal(text, &j); err != nil {
		return Key{}, fmt.Errorf("a JWK that can't be read: %w", err)
	}
	if j.Use != "" && j.Use != "sig" || len(j.KeyOps) > 0 && !slices.Contains(j.KeyOps, "verify") {
		return Key{}, fmt.Errorf("the key %q isn't for signatures", j.Kid)
	}
	k := Key{ID: j.Kid, Algorithm: j.Alg}
	var err error
	switch j.Kty {
	case "RSA":
		k.Public, err = j.rsa()
	case "EC":
		k.Public, err = j.ec()
	case "OKP":
		k.Public, err = j.ed25519()
	default:
		return Key{}, fmt.Errorf("the key %q has the type %q; known are RSA, EC and OKP", j.Kid, j.Kty)
	}
	if err == nil {
		err = acceptable(k.Public)
	}
	if err == nil && j.Alg != "" && !fits(j.Alg, k.Public) {
		err = fmt.Errorf("alg %q doesn't fit the key's type", j.Alg)
	}
	if err != nil {
		return Key{}, fmt.Errorf("the key %q: %w", j.Kid, err)
	}
	return k, nil
}

func (j *jwk) rsa() (any, error) {
	n, err := number("n", j.N)
	if err != nil {
		return nil, err
	}
	e, err := number("e", j.E)
	if err != nil {
		return nil, err
	}
	exponent := new(big.Int).SetBytes(e)
	if !exponent.IsInt64() || exponent.Int64() < 3 || exponent.Int64() > 1<<31-1 || exponent.Bit(0) == 0 {
		return nil, errors.New("e isn't an exponent")
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent.Int64())}, nil
}

func (j *jwk) ec() (any, error) {
	var curve elliptic.Curve
	switch j.Crv {
	case "P-256":
		curve = elliptic.P256()
	case "P-384":
		curve = elliptic.P384()
	case "P-521":
		curve = elliptic.P521()
	default:
		return nil, fmt.Errorf("the curve %q; known are P-256, P-384 and P-521", j.Crv)
	}
	x, err := number("x", j.X)
	if err != nil {
		return nil, err
	}
	y, err := number("y", j.Y)
	if err != nil {
		return nil, err
	}
	size := (curve.Params().BitSize + 7) / 8
	if len(x) != size || len(y) != size {
		return nil, fmt.Errorf("x and y must have %d bytes", size)
	}
	return ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y))
}

func (j *jwk) ed25519() (any, error) {
	if j.Crv != "Ed25519" {
		return nil, fmt.Errorf("the curve %q; known is Ed25519", j.Crv)
	}
	x, err := number("x", j.X)
	if err != nil {
		return nil, err
	}
	if len(x) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("x must have %d bytes", ed25519.PublicKeySize)
	}
	return ed25519.PublicKey(x), nil
}

func number(name, text string) ([]byte, error) {
	if text == "" {
		return nil, fmt.Errorf("%s is missing", name)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%s isn't base64url: %w", name, err)
	}
	return b, nil
}
