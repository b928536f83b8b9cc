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
	text := unsafe.String(unsafe.SliceData(data), len(data)) // read only during the call
	for i := range ks {
		if ks[i].takes(algorithm) && ks[i].verify(algorithm, text, mark) {
			return true
		}
	}
	return false
}

// verify checks a signature by an algorithm that k takes.
func (k *Key) verify(algorithm, text string, mark []byte) bool {
	method := jwt.GetSigningMethod(algorithm)
	if pss, ok := method.(*jwt.SigningMethodRSAPSS); ok { // RFC 7518, 3.5; by default any salt would do
		method = &jwt.SigningMethodRSAPSS{SigningMethodRSA: pss.SigningMethodRSA, VerifyOptions: &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}}
	}
	return method != nil && method.Verify(text, mark, k.Public) == nil
}

func (k *Key) takes(algorithm string) bool {
	return (k.Algorithm == "" || k.Algorithm == algorithm) && fits(algorithm, k.Public)
}

// ErrToken is what every error about a token wraps.
var ErrToken = errors.New("bad token")

func bad(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrToken, fmt.Errorf(format, args...))
}

// Token is a JWS in the compact form (RFC 7515, 7.1), taken apart. Nothing in it
// is to be believed before SignedBy has said whose it is.
type Token struct {
	Algorithm string // alg
	KeyID     string // kid; "" if it has none
	Type      string // typ; "" if it has none
	Payload   []byte

	signed    string // header and payload as they stand in the token
	signature []byte
}

// maxHead is how long a token's header may be, in bytes of base64url, and
// maxHeadMembers how many members it may have.
const (
	maxHead        = 4 << 10
	maxHeadMembers = 32
)

// Read takes a token apart as strictly as it can be read: what two readers could
// understand differently is refused, and so are extensions that must be understood
// (crit). Keys that a token brings along (jwk, jku, x5c, x5u) count for nothing.
// The payload goes to buf if there is room. The token must not change as long as
// the result is used.
func Read(token string, buf []byte) (t Token, err error) {
	if len(token) > MaxToken {
		return t, bad("more than %d bytes", MaxToken)
	}
	head, rest, _ := strings.Cut(token, ".")
	body, mark, found := strings.Cut(rest, ".")
	switch {
	case !found || strings.Contains(mark, "."):
		return t, bad("it hasn't three parts")
	case len(head) > maxHead:
		return t, bad("a header of more than %d bytes", maxHead)
	case strings.ContainsAny(token, "\r\n"): // Go's base64 overlooks them
		return t, bad("a line break")
	}
	if err := t.readHeader(head); err != nil {
		return t, err
	}
	if t.signature, err = decode(nil, mark); err != nil {
		return t, bad("signature: %w", err)
	}
	if t.Payload, err = decode(buf[:0], body); err != nil {
		return t, bad("payload: %w", err)
	}
	t.signed = token[:len(head)+1+len(body)]
	return t, nil
}

// decode appends what text, in base64url without padding, stands for.
func decode(dst []byte, text string) ([]byte, error) {
	raw := unsafe.Slice(unsafe.StringData(text), len(text)) // only read
	return base64.RawURLEncoding.Strict().AppendDecode(dst, raw)
}

// SignedBy reports whether k made the token's signature. The algorithm must fit
// the key's type, so that neither "none" nor a MAC gets through.
func (t *Token) SignedBy(k *Key) bool {
	return k.takes(t.Algorithm) && k.verify(t.Algorithm, t.signed, t.signature)
}

// MayBe reports whether k can be the key that t says it is signed with: the
// algorithm fits, and the kid is k's or one of them has none.
func (t *Token) MayBe(k *Key) bool {
	return k.takes(t.Algorithm) && (t.KeyID == "" || k.ID == "" || k.ID == t.KeyID)
}

// Open checks the signature of a token by one of the keys and returns its payload.
// With a kid, only keys of this kid or of none are tried.
func (ks Keys) Open(token string) (payload []byte, err error) {
	t, err := Read(token, nil)
	if err != nil {
		return nil, err
	}
	tried := false
	for i := range ks {
		if !t.MayBe(&ks[i]) {
			continue
		}
		if t.SignedBy(&ks[i]) {
			return t.Payload, nil
		}
		tried = true
	}
	if !tried {
		return nil, bad("no key for algorithm %q and kid %q", t.Algorithm, t.KeyID)
	}
	return nil, bad("the signature is wrong")
}

// readHeader reads a JOSE header.
func (t *Token) readHeader(text string) error {
	raw, err := decode(nil, text)
	if err != nil {
		return bad("header: %w", err)
	}
	d, err := document.Parse(raw)
	if err != nil {
		return bad("header: %w", err)
	}
	root := d.Root()
	if d.Kind(root) != document.Object {
		return bad("the header isn't an object")
	}
	if d.Count(root) > maxHeadMembers {
		return bad("the header has more than %d members", maxHeadMembers)
	}
	for i := range d.Count(root) {
		n := d.At(root, i)
		name := d.Name(n)
		if last, _ := d.Member(root, name); last != n {
			return bad("the header has %.100q twice", name)
		}
		var to *string
		switch name {
		case "crit", "b64":
			return bad("it has extensions that must be understood (%s)", name)
		case "alg":
			to = &t.Algorithm
		case "kid":
			to = &t.KeyID
		case "typ":
			to = &t.Type
		default:
			continue
		}
		if d.Kind(n) != document.String {
			return bad("%s isn't a string", name)
		}
		*to = d.Text(n)
	}
	return nil
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
