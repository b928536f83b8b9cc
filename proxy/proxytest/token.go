package proxytest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
)

// issuer signs a scenario's tokens.
type issuer struct {
	name      string // also its key's kid
	algorithm string // RS256 or ES256
	key       crypto.Signer
}

// newIssuer makes a key for an algorithm.
func newIssuer(name, algorithm string) (*issuer, error) {
	is := &issuer{name: name, algorithm: algorithm}
	var err error
	switch algorithm {
	case "RS256":
		is.key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ES256":
		is.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		err = fmt.Errorf("%q is neither RS256 nor ES256", algorithm)
	}
	return is, err
}

func base64URL(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// keys is the public key as a JWK set.
func (is *issuer) keys() ([]byte, error) {
	jwk := map[string]string{"kid": is.name, "alg": is.algorithm, "use": "sig"}
	switch public := is.key.Public().(type) {
	case *rsa.PublicKey:
		jwk["kty"], jwk["n"], jwk["e"] = "RSA", base64URL(public.N.Bytes()), base64URL(big.NewInt(int64(public.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			return nil, err
		}
		jwk["kty"], jwk["crv"], jwk["x"], jwk["y"] = "EC", "P-256", base64URL(point[1:33]), base64URL(point[33:])
	}
	return json.Marshal(map[string]any{"keys": []any{jwk}})
}

// token returns a JWT with these claims.
func (is *issuer) token(claims string) (string, error) {
	text := base64URL(fmt.Appendf(nil, `{"alg":%q,"kid":%q,"typ":"JWT"}`, is.algorithm, is.name)) + "." + base64URL([]byte(claims))
	digest := sha256.Sum256([]byte(text))
	if key, ok := is.key.(*ecdsa.PrivateKey); ok { // JOSE has r and s one after the other
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			return "", err
		}
		mark := make([]byte, 64)
		r.FillBytes(mark[:32])
		s.FillBytes(mark[32:])
		return text + "." + base64URL(mark), nil
	}
	mark, err := is.key.Sign(rand.Reader, digest[:], crypto.SHA256)
	return text + "." + base64URL(mark), err
}

// issuer makes a key for tokens and writes NAME.jwks, which $NAME_KEYS stands for, too.
func (p *player) issuer(l line) error {
	name, algorithm, _ := strings.Cut(l.rest, " ")
	if algorithm == "" {
		algorithm = "RS256"
	}
	is, err := newIssuer(name, algorithm)
	if err != nil {
		return err
	}
	keys, err := is.keys()
	if err != nil {
		return err
	}
	p.issuers[name], p.texts[name+"_keys"] = is, string(keys)
	return os.WriteFile(filepath.Join(p.dir, name+".jwks"), keys, 0o600)
}

// token makes a token that $NAME stands for.
func (p *player) token(l line) error {
	name, rest, _ := strings.Cut(p.expand(l.rest), " ")
	by, claims, found := strings.Cut(rest, " ")
	is := p.issuers[by]
	if !found || is == nil {
		return errors.New("needs a name, an issuer that was declared before, and claims")
	}
	token, err := is.token(claims)
	p.texts[name] = token
	return err
}
