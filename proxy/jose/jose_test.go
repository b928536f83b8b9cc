package jose

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// signers are one private key for each algorithm.
func signers(t testing.TB) map[string]any {
	t.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]any{}
	for _, algorithm := range Algorithms() {
		all[algorithm] = rsaKey
	}
	for algorithm, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		if all[algorithm], err = ecdsa.GenerateKey(curve, rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	if _, all["EdDSA"], err = ed25519.GenerateKey(rand.Reader); err != nil {
		t.Fatal(err)
	}
	return all
}

func public(key any) any {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return &k.PublicKey
	case *ecdsa.PrivateKey:
		return &k.PublicKey
	}
	return key.(ed25519.PrivateKey).Public()
}

func asPEM(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func sign(t testing.TB, algorithm string, key any, header, claims string) string {
	t.Helper()
	text := encode([]byte(header)) + "." + encode([]byte(claims))
	mark, err := jwt.GetSigningMethod(algorithm).Sign(text, key)
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + encode(mark)
}

func TestEveryAlgorithm(t *testing.T) {
	keys := signers(t)
	now := time.Unix(1_700_000_000, 0)
	claims := `{"sub":"amy","exp":1700000001}`
	for _, algorithm := range Algorithms() {
		own, err := ParseKeys(asPEM(t, public(keys[algorithm])))
		if err != nil {
			t.Fatalf("%s: %v", algorithm, err)
		}
		token := sign(t, algorithm, keys[algorithm], `{"alg":"`+algorithm+`"}`, claims)
		got, err := own.VerifyToken(token, now, 0)
		if err != nil || string(got) != claims {
			t.Errorf("%s: %q, %v", algorithm, got, err)
		}
		if _, err := own.VerifyToken(token, now.Add(2*time.Second), 0); !errors.Is(err, ErrToken) {
			t.Errorf("%s: expired: %v", algorithm, err)
		}
		if _, err := own.VerifyToken(token, now.Add(2*time.Second), 5*time.Second); err != nil {
			t.Errorf("%s: within leeway: %v", algorithm, err)
		}
		for i := range len(token) { // each byte counts
			mutated := token[:i] + string(token[i]^1) + token[i+1:]
			if _, err := own.VerifyToken(mutated, now, 0); err == nil {
				t.Fatalf("%s: accepted with byte %d changed", algorithm, i)
			}
			if algorithm != "EdDSA" && i > 40 {
				break // the others verify slowly
			}
		}
	}
}

func TestAttacks(t *testing.T) {
	keys := signers(t)
	key := keys["RS256"]
	pemText := asPEM(t, public(key))
	own, err := ParseKeys(pemText)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	good := func(header string) string { return sign(t, "RS256", key, header, `{}`) }
	mac := encode([]byte(`{"alg":"HS256"}`)) + "." + encode([]byte(`{}`))
	macMark, err := jwt.SigningMethodHS256.Sign(mac, pemText)
	if err != nil {
		t.Fatal(err)
	}
	right := good(`{"alg":"RS256"}`)
	parts := strings.Split(right, ".")
	for name, token := range map[string]string{
		"none":                 encode([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".",
		"None":                 encode([]byte(`{"alg":"None"}`)) + "." + parts[1] + "." + parts[2],
		"no alg":               encode([]byte(`{}`)) + "." + parts[1] + "." + parts[2],
		"HS256 by the PEM":     mac + "." + encode(macMark),
		"alg twice":            good(`{"alg":"none","alg":"RS256"}`),
		"ALG":                  good(`{"ALG":"RS256"}`),
		"alg is a list":        good(`{"alg":["RS256"]}`),
		"crit":                 good(`{"alg":"RS256","crit":["exp"]}`),
		"b64":                  good(`{"alg":"RS256","b64":false}`),
		"another algorithm":    sign(t, "PS256", key, `{"alg":"RS256"}`, `{}`),
		"another key":          sign(t, "ES256", keys["ES256"], `{"alg":"ES256","jwk":{}}`, `{}`),
		"padding":              parts[0] + "." + parts[1] + "=." + parts[2],
		"line break":           parts[0] + "." + parts[1] + "." + parts[2] + "\n",
		"four parts":           right + ".",
		"two parts":            parts[0] + "." + parts[1],
		"dots":                 strings.Repeat(".", 60_000),
		"too long":             right + strings.Repeat("A", MaxToken),
		"no signature":         parts[0] + "." + parts[1] + ".",
		"header isn't JSON":    encode([]byte(`alg`)) + "." + parts[1] + "." + parts[2],
		"claims aren't JSON":   sign(t, "RS256", key, `{"alg":"RS256"}`, `claims`),
		"claims aren't object": sign(t, "RS256", key, `{"alg":"RS256"}`, `[]`),
		"exp is text":          sign(t, "RS256", key, `{"alg":"RS256"}`, `{"exp":"never"}`),
		"not yet":              sign(t, "RS256", key, `{"alg":"RS256"}`, fmt.Sprintf(`{"nbf":%d}`, now.Unix()+60)),
		"empty":                "",
	} {
		if claims, err := own.VerifyToken(token, now, 0); !errors.Is(err, ErrToken) {
			t.Errorf("%s: accepted as %q, error %v", name, claims, err)
		}
	}
	if _, err := own.VerifyToken(good(`{"alg":"RS256","kid":"../../x","jku":"http://x","x5u":"y"}`), now, 0); err != nil {
		t.Errorf("a kid when the key has none: %v", err)
	}
}

func TestKeyIDs(t *testing.T) {
	keys := signers(t)
	set := `{"keys":[{"kty":"oct","k":"AAAA"},{"kty":"RSA","kid":"a","use":"enc","n":"AQ","e":"AQAB"},` + ecJWK(t, keys["ES256"], "one") + `,` +
		ecJWK(t, keys["ES384"], "two") + `]}`
	own, err := ParseKeys([]byte(set))
	if err != nil || len(own) != 2 {
		t.Fatalf("%d keys, %v", len(own), err)
	}
	if _, err := own.VerifyToken(sign(t, "ES256", keys["ES256"], `{"alg":"ES256","kid":"one"}`, `{}`), time.Now(), 0); err != nil {
		t.Error(err)
	}
	for _, header := range []string{`{"alg":"ES256","kid":"two"}`, `{"alg":"ES256","kid":"none of them"}`} {
		if _, err := own.VerifyToken(sign(t, "ES256", keys["ES256"], header, `{}`), time.Now(), 0); err == nil {
			t.Errorf("accepted with %s", header)
		}
	}
}

func ecJWK(t testing.TB, key any, id string) string {
	t.Helper()
	k := key.(*ecdsa.PrivateKey)
	point, err := k.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	size := (len(point) - 1) / 2
	return fmt.Sprintf(`{"kty":"EC","kid":%q,"crv":%q,"x":%q,"y":%q}`, id, k.Curve.Params().Name, encode(point[1:1+size]), encode(point[1+size:]))
}

func TestParseKeysRefuses(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	private := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(small)})
	for text, want := range map[string]string{
		"":                                    "neither",
		"{}":                                  "no key",
		`{"keys":[]}`:                         "no key",
		`{"keys":[{"kty":"oct","k":"AA"}]}`:   `type "oct"`,
		`{"kty":"oct","k":"AA"}`:              `type "oct"`,
		`{"kty":"RSA","n":"AQ"}`:              "e is missing",
		`{"kty":"RSA","n":"AQ==","e":"AQ"}`:   "base64url",
		`{"kty":"RSA","n":"_____w","e":"Ag"}`: "exponent",
		`{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}`:        "32 bytes",
		`{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}`:    "curve",
		`{"kty":"OKP","crv":"Ed25519","x":"AA"}`:              "32 bytes",
		`{"kty":"OKP","crv":"X25519","x":"AA"}`:               "curve",
		`{"kty":"RSA","use":"enc","n":"AQ","e":"AQ"}`:         "isn't for signatures",
		string(asPEM(t, &small.PublicKey)):                    "1024 bits",
		string(private):                                       "RSA PRIVATE KEY",
		"-----BEGIN PUBLIC KEY-----\n":                        "no PEM block",
		`{"keys":[` + strings.Repeat(`{},`, MaxKeys) + `{}]}`: "more than 100",
		strings.Repeat(" ", MaxText+1):                        "more than",
		`{"kty":"EC","crv":"P-256","x":"` + encode(make([]byte, 32)) + `","y":"` + encode(make([]byte, 32)) + `"}`: "point",
	} {
		if _, err := ParseKeys([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseKeys(%.60q) = %v, want something with %q", text, err, want)
		}
	}
}

// The signatures of Wycheproof: no invalid one gets in. Its symmetric keys are
// outside of what this package does. Of the valid ones it refuses those whose key
// is for another algorithm than the token's, by its alg or by a name that isn't one.
func TestOracle(t *testing.T) {
	const path = "../../../shared/oracles/jose/json_web_signature.json"
	raw, err := os.ReadFile(filepath.FromSlash(path))
	if err != nil {
		t.Skipf("no recorded signatures at %s", path)
	}
	var file struct {
		TestGroups []struct {
			Public json.RawMessage
			Tests  []struct {
				TcID                 int
				Comment, Jws, Result string
			}
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	stricter := map[int]bool{346: true, 347: true, 350: true, 351: true}
	for _, g := range file.TestGroups {
		if g.Public == nil {
			continue
		}
		keys, keyErr := ParseKeys(g.Public)
		for _, c := range g.Tests {
			_, err := keys.Open(c.Jws)
			switch {
			case c.Result == "invalid" && err == nil:
				t.Errorf("%d (%s) was accepted", c.TcID, c.Comment)
			case c.Result == "valid" && (err != nil) != stricter[c.TcID]:
				t.Errorf("%d (%s): %v (its key: %v)", c.TcID, c.Comment, err, keyErr)
			}
		}
	}
}

func BenchmarkVerifyToken(b *testing.B) {
	keys := signers(b)
	for _, algorithm := range []string{"RS256", "ES256", "EdDSA"} {
		own, err := ParseKeys(asPEM(b, public(keys[algorithm])))
		if err != nil {
			b.Fatal(err)
		}
		token := sign(b, algorithm, keys[algorithm], `{"alg":"`+algorithm+`","kid":"one"}`, `{"sub":"amy","exp":32503680000}`)
		text, mark := token[:strings.LastIndexByte(token, '.')], token[strings.LastIndexByte(token, '.')+1:]
		signature, err := base64.RawURLEncoding.DecodeString(mark)
		if err != nil {
			b.Fatal(err)
		}
		now := time.Now()
		b.Run(algorithm+"/token", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := own.VerifyToken(token, now, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(algorithm+"/signature", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !own.Verify(algorithm, []byte(text), signature) {
					b.Fatal("wrong")
				}
			}
		})
	}
}
