package jose

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unsafe"

	"github.com/golang-jwt/jwt/v5"

	"github.com/postern-gateway/postern/proxy/document"
)

// MaxToken is the longest token in bytes that is looked at.
const MaxToken = 64 << 10

// Algorithms are the names of the algorithms, as RFC 7518, 3.1 and RFC 8037, 3.1
// have them.
func Algorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// fits reports whether a signature of algorithm can be made with a key of
// public's type. For elliptic curves that means the curve too. RFC 7518, 3.4.
func fits(algorithm string, public any) bool {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(algorithm, "RS") || strings.HasPrefix(algorithm, "PS")
	case *ecdsa.PublicKey:
		switch k.Curve.Params().BitSize {
		case 256:
			return algorithm == "ES256"
		case 384:
			return algorithm == "ES384"
		case 521:
			return algorithm == "ES512"
		}
	case ed25519.PublicKey:
		return algorithm == "EdDSA"
	}
	return false
}

// Verify reports whether mark is a signature of data by algorithm with one of
// the keys. Signatures on elliptic curves are r and s, as JOSE has them.
func (ks Keys) Verify(algorithm string, data, mark []byte) bool {
	method := jwt.GetSigningMethod(algorithm)
	if method == nil {
		return false
	}
	if pss, ok := method.(*jwt.SigningMethodRSAPSS); ok { // RFC 7518, 3.5; by default any salt would do
		method = &jwt.SigningMethodRSAPSS{SigningMethodRSA: pss.SigningMethodRSA, VerifyOptions: &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}}
	}
	text := unsafe.String(unsafe.SliceData(data), len(data)) // read only during the call
	for i := range ks {
		k := &ks[i]
		if k.takes(algorithm) && method.Verify(text, mark, k.Public) == nil {
			return true
		}
	}
	return false
}

func (k *Key) takes(algorithm string) bool {
	return (k.Algorithm == "" || k.Algorithm == algorithm) && fits(algorithm, k.Public)
}

// ErrToken is what every error about a token wraps.
var ErrToken = errors.New("bad token")

func bad(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrToken, fmt.Errorf(format, args...))
}

// Open checks the signature of a JWS in the compact form (RFC 7515, 7.1) by one
// of the keys and returns its payload. The algorithm must fit the key's type, so
// that neither "none" nor a MAC gets through; with a kid, only keys of this kid
// or of none are tried. Keys that a token brings along (jwk, jku, x5c, x5u)
// count for nothing, and extensions that must be understood (crit) aren't.
func (ks Keys) Open(token string) (payload []byte, err error) {
	if len(token) > MaxToken {
		return nil, bad("more than %d bytes", MaxToken)
	}
	if strings.ContainsAny(token, "\r\n") { // Go's base64 overlooks them
		return nil, bad("a line break")
	}
	head, rest, _ := strings.Cut(token, ".")
	body, mark, found := strings.Cut(rest, ".")
	if !found || strings.Contains(mark, ".") {
		return nil, bad("it hasn't three parts")
	}
	algorithm, id, err := readHeader(head)
	if err != nil {
		return nil, err
	}
	signature, err := base64.RawURLEncoding.Strict().DecodeString(mark)
	if err != nil {
		return nil, bad("signature: %w", err)
	}
	payload, err = base64.RawURLEncoding.Strict().DecodeString(body)
	if err != nil {
		return nil, bad("payload: %w", err)
	}
	candidates := make(Keys, 0, len(ks))
	for _, k := range ks {
		if k.takes(algorithm) && (id == "" || k.ID == "" || k.ID == id) {
			candidates = append(candidates, k)
		}
	}
	if len(candidates) == 0 {
		return nil, bad("no key for algorithm %q and kid %q", algorithm, id)
	}
	if !candidates.Verify(algorithm, []byte(token[:len(head)+1+len(body)]), signature) {
		return nil, bad("the signature is wrong")
	}
	return payload, nil
}

// readHeader reads a JOSE header as strictly as it can be read: what two readers
// could understand differently is refused.
func readHeader(text string) (algorithm, id string, err error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return "", "", bad("header: %w", err)
	}
	d, err := document.Parse(raw)
	if err != nil {
		return "", "", bad("header: %w", err)
	}
	if d.Kind(d.Root()) != document.Object {
		return "", "", bad("the header isn't an object")
	}
	seen := map[string]bool{}
	for i := range d.Count(d.Root()) {
		n := d.At(d.Root(), i)
		name := d.Name(n)
		if seen[name] {
			return "", "", bad("the header has %q twice", name)
		}
		seen[name] = true
		switch name {
		case "crit", "b64":
			return "", "", bad("it has extensions that must be understood (%s)", name)
		case "alg", "kid":
			if d.Kind(n) != document.String {
				return "", "", bad("%s isn't a string", name)
			}
			if name == "alg" {
				algorithm = d.Text(n)
			} else {
				id = d.Text(n)
			}
		}
	}
	return algorithm, id, nil
}

// VerifyToken is Open for a JWT (RFC 7519) that also checks exp and nbf, as far
// as they are there, give or take leeway. It returns the claims as JSON.
func (ks Keys) VerifyToken(token string, now time.Time, leeway time.Duration) (claims []byte, err error) {
	claims, err = ks.Open(token)
	if err != nil {
		return nil, err
	}
	var registered jwt.RegisteredClaims
	if err := json.Unmarshal(claims, &registered); err != nil {
		return nil, bad("claims: %w", err)
	}
	at := func() time.Time { return now }
	if err := jwt.NewValidator(jwt.WithTimeFunc(at), jwt.WithLeeway(leeway)).Validate(&registered); err != nil {
		return nil, bad("%w", err)
	}
	return claims, nil
}
