package authorizer

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	tokens "github.com/golang-jwt/jwt/v5"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/jose"
)

const (
	testIssuer = "https://login.example.com/"
	otherOne   = "https://other.example.com/"
)

// soon is when good tokens expire, in seconds.
func soon() int64 { return time.Now().Unix() + 600 }

// keyPair signs tokens.
type keyPair struct {
	name      string
	algorithm string
	private   crypto.Signer
}

func newPair(t testing.TB, name, algorithm string) *keyPair {
	t.Helper()
	k := &keyPair{name: name, algorithm: algorithm}
	var err error
	switch algorithm[:2] {
	case "ES":
		k.private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "Ed":
		_, k.private, err = ed25519.GenerateKey(rand.Reader)
	default:
		k.private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// jwk is the public half as a JWK, with further members.
func (k *keyPair) jwk(further string) string {
	head := fmt.Sprintf(`{"kid":%q%s,`, k.name, further)
	switch public := k.private.Public().(type) {
	case *rsa.PublicKey:
		e := binary.BigEndian.AppendUint32(nil, uint32(public.E))
		return head + fmt.Sprintf(`"kty":"RSA","n":%q,"e":%q}`, encode(public.N.Bytes()), encode(new(big.Int).SetBytes(e).Bytes()))
	case *ecdsa.PublicKey:
		point, _ := public.Bytes()
		return head + fmt.Sprintf(`"kty":"EC","crv":"P-256","x":%q,"y":%q}`, encode(point[1:33]), encode(point[33:]))
	case ed25519.PublicKey:
		return head + fmt.Sprintf(`"kty":"OKP","crv":"Ed25519","x":%q}`, encode(public))
	}
	panic("another key")
}

func set(jwks ...string) string { return `{"keys":[` + strings.Join(jwks, ",") + `]}` }

// sign makes a token of any header and payload.
func (k *keyPair) sign(t testing.TB, header, payload string) string {
	t.Helper()
	text := encode([]byte(header)) + "." + encode([]byte(payload))
	mark, err := tokens.GetSigningMethod(k.algorithm).Sign(text, k.private)
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + encode(mark)
}

func (k *keyPair) header() string { return fmt.Sprintf(`{"alg":%q,"kid":%q}`, k.algorithm, k.name) }

// token makes a good token, but for further claims or those that they replace.
func (k *keyPair) token(t testing.TB, claims ...string) string {
	t.Helper()
	all := []string{`"iss":"` + testIssuer + `"`, `"aud":"pets"`, fmt.Sprintf(`"exp":%d`, soon()), `"sub":"amy"`}
	for _, c := range claims {
		name, _, _ := strings.Cut(c, ":")
		for i := range all {
			if strings.HasPrefix(all[i], name+":") {
				all[i] = ""
			}
		}
		all = append(all, strings.TrimSuffix(c, ":"))
	}
	var text []string
	for _, c := range all {
		if c != "" && strings.Contains(c, ":") { // a name alone only takes the claim away
			text = append(text, c)
		}
	}
	return k.sign(t, k.header(), "{"+strings.Join(text, ",")+"}")
}

// route makes the step of an authorizer for a route with these scopes.
func route(t testing.TB, o Options, a config.Authorizer, scopes ...string) proxy.Step {
	t.Helper()
	step, err := tryRoute(t, o, a, scopes...)
	if err != nil {
		t.Fatal(err)
	}
	return step
}

func tryRoute(t testing.TB, o Options, a config.Authorizer, scopes ...string) (proxy.Step, error) {
	kind := JWT(o)
	if a.Type == "cognito" {
		kind = Cognito(o)
	}
	stage := &proxy.Stage{API: &proxy.API{Name: "pets", ID: "pets"}, Name: "prod"}
	cfg := &config.Config{API: map[string]config.API{"pets": {Route: map[string]config.Route{"GET /": {AuthorizationScopes: scopes}}}}}
	steps, err := kind.New(proxy.Build{
		Route:   &proxy.Route{Stage: stage, Key: "GET /"},
		Shared:  func(_ any, build func() any) any { return build() },
		OnClose: t.Cleanup,
	}, proxy.Options{Config: cfg, Authorizer: &a, Name: "login"})
	return steps[proxy.MethodRequest], err
}

// login is an authorizer whose keys are fixed.
func login(t testing.TB, kind, keys string) config.Authorizer {
	t.Helper()
	file := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, []byte(keys), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Authorizer{
		Type: kind, Issuer: testIssuer, Audience: []string{"cats", "pets"}, KeysFile: file,
		Algorithms: jose.Algorithms(), ClockSkew: config.Duration(10 * time.Second),
	}
}

// request is an exchange with these fields.
func request(fields ...string) *proxy.Exchange {
	ex := &proxy.Exchange{}
	ex.Begin(time.Now(), nil)
	for i := 0; i < len(fields); i += 2 {
		ex.In.Fields.Add(fields[i], fields[i+1])
	}
	return ex
}

// ask puts a token to a step.
func ask(step proxy.Step, token string) (*proxy.Exchange, proxy.Fault) {
	ex := request("Authorization", "Bearer "+token)
	return ex, fault(step, ex)
}

func fault(step proxy.Step, ex *proxy.Exchange) proxy.Fault {
	_, err := step.Run(context.Background(), ex)
	var f proxy.Fault
	errors.As(err, &f)
	return f
}

// No token that isn't good gets in, and the caller learns which rule it broke.
func TestJWTClaims(t *testing.T) { synctest.Test(t, testJWTClaims) } // where no time passes

func testJWTClaims(t *testing.T) {
	key := newPair(t, "one", "ES256")
	step := route(t, Options{}, login(t, "jwt", set(key.jwk(""))))
	f := func(want reason, claims ...string) {
		t.Helper()
		ex, got := ask(step, key.token(t, claims...))
		if want == good {
			if got.Kind != proxy.NoFault || ex.Caller.Principal != "amy" {
				t.Errorf("%v: %v, principal %q", claims, got, ex.Caller.Principal)
			}
			return
		}
		challenge := `Bearer scope="" error="invalid_token" error_description="` + want.String() + `"`
		if got.Kind != proxy.Unauthorized || got.Challenge != challenge || ex.Caller.Principal != "" || len(ex.Caller.Context) > 0 {
			t.Errorf("%v: %v with %s, want %s", claims, got, got.Challenge, challenge)
		}
	}
	at := func(name string, seconds int64) string {
		return fmt.Sprintf(`"%s":%d`, name, time.Now().Unix()+seconds)
	}
	f(good)
	// Whom it is for.
	f(good, `"aud":["dogs","pets"]`)
	f(wrongAudience, `"aud":"dogs"`)
	f(wrongAudience, `"aud":[]`)
	f(wrongAudience, `"aud":""`)
	f(wrongAudience, `"aud":"PETS"`)
	f(wrongAudience, `"aud":"pets "`)
	f(wrongAudience, `"aud"`)
	f(good, `"aud"`, `"client_id":"cats"`)
	f(wrongAudience, `"aud":"dogs"`, `"client_id":"cats"`) // counts only without aud
	f(malformed, `"aud"`, `"client_id":["cats"]`)
	f(malformed, `"aud":1`)
	f(malformed, `"aud":null`)
	f(malformed, `"aud":{"pets":"pets"}`)
	f(malformed, `"aud":["pets",1]`)
	f(malformed, `"aud":[["pets"]]`)
	f(wrongAudience, `"aud"`, `"Aud":"pets"`)
	// From whom.
	f(wrongIssuer, `"iss":"https://login.example.com"`)
	f(wrongIssuer, `"iss":"https://LOGIN.example.com/"`)
	f(wrongIssuer, `"iss":"`+otherOne+`"`)
	f(wrongIssuer, `"iss":""`)
	f(wrongIssuer, `"iss"`)
	f(wrongIssuer, `"iss":null`)
	f(wrongIssuer, `"iss":["`+testIssuer+`"]`)
	// When.
	f(good, at("exp", -9))
	f(expired, at("exp", -10))
	f(expired, `"exp":0`)
	f(expired, fmt.Sprintf(`"exp":%d.5`, time.Now().Unix()-11))
	f(good, fmt.Sprintf(`"exp":%d.999`, time.Now().Unix()-10))
	f(good, `"exp":2e9`)
	f(malformed, `"exp"`)
	f(malformed, `"exp":null`)
	f(malformed, `"exp":"2000000000"`)
	f(malformed, `"exp":true`)
	f(malformed, `"exp":[2000000000]`)
	f(malformed, `"exp":-1`)
	f(malformed, `"exp":1e400`)
	f(malformed, `"exp":99999999999999999999999999`)
	f(malformed, fmt.Sprintf(`"exp":%d`, soon()*1000)) // milliseconds
	f(malformed, `"exp":253402300800`)
	f(malformed, `"exp"`, at("EXP", 600))
	f(good, at("nbf", 10))
	f(early, at("nbf", 11))
	f(malformed, `"nbf":"soon"`)
	f(good, at("iat", 10))
	f(early, at("iat", 11))
	f(malformed, `"iat":{}`)
	// The rest.
	f(malformed, `"sub":1`)
	f(malformed, `"aud":"dogs","aud":"pets"`)
	f(malformed, `"x":1,"x":1`)
	f(malformed, `"x":1,"\u0078":1`)
	f(good, `"x":`+strings.Repeat("[", 100)+strings.Repeat("]", 100))
	f(malformed, `"x":`+strings.Repeat("[", 2000)+strings.Repeat("]", 2000))
	var many []string
	for i := range maxClaims + 1 {
		many = append(many, fmt.Sprintf(`"%d":0`, i))
	}
	f(malformed, many...)
	f(malformed, `"x":"`+strings.Repeat("x", 8000)+`"`)
}

// Tokens that aren't what they seem.
func TestAttacks(t *testing.T) {
	for _, algorithm := range []string{"RS256", "ES256"} {
		key, own := newPair(t, "one", algorithm), newPair(t, "one", algorithm)
		jwk := key.jwk("")
		step := route(t, Options{}, login(t, "jwt", set(jwk)))
		good := key.token(t)
		parts := strings.Split(good, ".")
		if _, got := ask(step, good); got.Kind != proxy.NoFault {
			t.Fatal(got)
		}
		payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
		head := func(text string) string { return own.sign(t, text, string(payload)) }
		mac := func(secret string) string {
			text := encode([]byte(`{"alg":"HS256","kid":"one"}`)) + "." + parts[1]
			mark, err := tokens.SigningMethodHS256.Sign(text, []byte(secret))
			if err != nil {
				t.Fatal(err)
			}
			return text + "." + encode(mark)
		}
		trailing := func(part string) string { // other bits that decode to the same bytes, if there are unused ones
			const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
			last := strings.IndexByte(alphabet, part[len(part)-1])
			if len(part)%4 == 0 {
				return part + "A"
			}
			return part[:len(part)-1] + string(alphabet[last^1])
		}
		attacks := map[string]string{
			"another key":            own.token(t),
			"none":                   encode([]byte(`{"alg":"none","kid":"one"}`)) + "." + parts[1] + ".",
			"None":                   encode([]byte(`{"alg":"None","kid":"one"}`)) + "." + parts[1] + ".",
			"NONE":                   encode([]byte(`{"alg":"NONE","kid":"one"}`)) + "." + parts[1] + "." + parts[2],
			"nOnE":                   encode([]byte(`{"alg":"nOnE"}`)) + "." + parts[1] + "." + parts[2],
			"no alg":                 encode([]byte(`{"kid":"one"}`)) + "." + parts[1] + "." + parts[2],
			"alg null":               encode([]byte(`{"alg":null}`)) + "." + parts[1] + "." + parts[2],
			"alg in small letters":   key.sign(t, `{"alg":"`+strings.ToLower(algorithm)+`","kid":"one"}`, string(payload)),
			"alg twice":              key.sign(t, `{"alg":"none","alg":"`+algorithm+`","kid":"one"}`, string(payload)),
			"MAC with the JWK":       mac(jwk),
			"MAC with the set":       mac(set(jwk)),
			"MAC with nothing":       mac(""),
			"MAC with the modulus":   mac(strings.Split(jwk, `"n":"`)[len(strings.Split(jwk, `"n":"`))-1]),
			"its own jwk":            head(`{"alg":"` + algorithm + `","jwk":` + own.jwk("") + `}`),
			"its own jwk, named":     head(`{"alg":"` + algorithm + `","kid":"one","jwk":` + own.jwk("") + `}`),
			"jku":                    head(`{"alg":"` + algorithm + `","kid":"one","jku":"https://evil.example.com/keys"}`),
			"x5u":                    head(`{"alg":"` + algorithm + `","kid":"one","x5u":"https://evil.example.com/cert"}`),
			"x5c":                    head(`{"alg":"` + algorithm + `","kid":"one","x5c":["MIIB"]}`),
			"kid is a path":          head(`{"alg":"` + algorithm + `","kid":"../../../../dev/null"}`),
			"kid is SQL":             head(`{"alg":"` + algorithm + `","kid":"x' UNION SELECT 'key"}`),
			"kid is a command":       head(`{"alg":"` + algorithm + `","kid":"|cat /etc/passwd"}`),
			"kid has a NUL":          key.sign(t, `{"alg":"`+algorithm+`","kid":"one\u0000"}`, string(payload)),
			"kid is long":            key.sign(t, `{"alg":"`+algorithm+`","kid":"`+strings.Repeat("one", 900)+`"}`, string(payload)),
			"kid is a list":          key.sign(t, `{"alg":"`+algorithm+`","kid":["one"]}`, string(payload)),
			"kid is a number":        key.sign(t, `{"alg":"`+algorithm+`","kid":1}`, string(payload)),
			"kid twice":              key.sign(t, `{"alg":"`+algorithm+`","kid":"two","kid":"one"}`, string(payload)),
			"KID of another":         key.sign(t, `{"alg":"`+algorithm+`","kid":"ONE"}`, string(payload)),
			"crit":                   key.sign(t, `{"alg":"`+algorithm+`","kid":"one","crit":["x"],"x":1}`, string(payload)),
			"b64":                    key.sign(t, `{"alg":"`+algorithm+`","kid":"one","b64":false}`, string(payload)),
			"header isn't JSON":      key.sign(t, `{"alg":"`+algorithm+`"`, string(payload)),
			"header has more behind": key.sign(t, `{"alg":"`+algorithm+`"}{}`, string(payload)),
			"header isn't UTF-8":     key.sign(t, `{"alg":"`+algorithm+`","x":"`+"\xff"+`"}`, string(payload)),
			"deep header":            key.sign(t, strings.Repeat("[", 1000), string(payload)),
			"payload has more":       key.sign(t, key.header(), string(payload)+"{}"),
			"payload is empty":       key.sign(t, key.header(), ""),
			"payload is a list":      key.sign(t, key.header(), "["+string(payload)+"]"),
			"payload is text":        key.sign(t, key.header(), `"x"`),
			"payload isn't UTF-8":    key.sign(t, key.header(), `{"x":"`+"\xc0\x80"+`"}`),
			"payload has a BOM":      key.sign(t, key.header(), "\ufeff"+string(payload)),
			"padding":                parts[0] + "." + parts[1] + "." + parts[2] + "==",
			"padded header":          parts[0] + "=." + parts[1] + "." + parts[2],
			"padded payload":         parts[0] + "." + parts[1] + "=." + parts[2],
			"a space":                parts[0] + "." + parts[1] + ". " + parts[2],
			"a tab":                  parts[0] + ".\t" + parts[1] + "." + parts[2],
			"a line break":           parts[0] + "." + parts[1] + "." + parts[2][:4] + "\n" + parts[2][4:],
			"other bits":             parts[0] + "." + parts[1] + "." + trailing(parts[2]),
			"other bits in front":    parts[0] + "." + trailing(parts[1]) + "." + parts[2],
			"no signature":           parts[0] + "." + parts[1] + ".",
			"no third part":          parts[0] + "." + parts[1],
			"four parts":             good + "." + parts[2],
			"a dot in front":         "." + good,
			"a dot behind":           good + ".",
			"dots":                   strings.Repeat(".", 8000),
			"more dots":              strings.Repeat(".", 1<<20),
			"five parts":             "a.b.c.d.e",
			"nothing but a dot":      ".",
			"JSON form":              `{"payload":"` + parts[1] + `","signatures":[{"protected":"` + parts[0] + `","signature":"` + parts[2] + `"}]}`,
			"two tokens":             good + "," + good,
			"quotes":                 `"` + good + `"`,
			"Bearer twice":           "Bearer " + good,
			"too long":               good + strings.Repeat("A", maxToken),
			"a signature of zeros":   parts[0] + "." + parts[1] + "." + encode(make([]byte, 64)),
			"another payload":        parts[0] + "." + encode([]byte(strings.Replace(string(payload), "amy", "bob", 1))) + "." + parts[2],
		}
		if standard := strings.NewReplacer("-", "+", "_", "/").Replace(parts[2]); standard != parts[2] {
			attacks["the other alphabet"] = parts[0] + "." + parts[1] + "." + standard
		}
		for name, token := range attacks {
			ex, got := ask(step, token)
			if got.Kind != proxy.Unauthorized || ex.Caller.Principal != "" {
				t.Errorf("%s, %s: %v", algorithm, name, got)
			}
		}
	}
}

// Any single byte that is changed makes a token bad.
func TestEveryByteCounts(t *testing.T) {
	key := newPair(t, "one", "EdDSA")
	step := route(t, Options{}, login(t, "jwt", set(key.jwk(""))))
	token := key.token(t)
	for i := range token {
		for _, other := range []byte{token[i] ^ 1, token[i] ^ 2, '.', 'A'} {
			if other == token[i] {
				continue
			}
			if _, got := ask(step, token[:i]+string(rune(other))+token[i+1:]); got.Kind == proxy.NoFault {
				t.Fatalf("accepted with byte %d as %q", i, other)
			}
		}
	}
}

// ECDSA: r and s of zero, of the order, and as DER.
func TestOddSignatures(t *testing.T) {
	key := newPair(t, "one", "ES256")
	step := route(t, Options{}, login(t, "jwt", set(key.jwk(""))))
	token := key.token(t)
	text := token[:strings.LastIndexByte(token, '.')]
	digest := sha256.Sum256([]byte(text))
	der, err := key.private.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	n := elliptic.P256().Params().N.Bytes()
	for name, mark := range map[string][]byte{
		"zeros": make([]byte, 64), "the order": append(append([]byte{}, n...), n...), "DER": der, "short": make([]byte, 63), "long": make([]byte, 65), "none": nil,
	} {
		if _, got := ask(step, text+"."+encode(mark)); got.Kind != proxy.Unauthorized {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A key is used for what its issuer says that it is for, and for nothing else.
func TestKeysAreForOneThing(t *testing.T) {
	key := newPair(t, "one", "RS256")
	f := func(name string, a config.Authorizer, want proxy.FaultKind) {
		t.Helper()
		step, err := tryRoute(t, Options{}, a)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		if _, got := ask(step, key.token(t)); got.Kind != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	spare := newPair(t, "two", "RS256").jwk("")
	f("use sig", login(t, "jwt", set(key.jwk(`,"use":"sig"`))), proxy.NoFault)
	f("use enc", login(t, "jwt", set(key.jwk(`,"use":"enc"`), spare)), proxy.Unauthorized)
	f("key_ops", login(t, "jwt", set(key.jwk(`,"key_ops":["encrypt"]`), spare)), proxy.Unauthorized)
	f("another alg", login(t, "jwt", set(key.jwk(`,"alg":"PS256"`), spare)), proxy.Unauthorized)
	a := login(t, "jwt", set(key.jwk("")))
	a.Algorithms = []string{"PS256", "RS512"}
	f("not allowed", a, proxy.Unauthorized)
}

// The keys of one issuer are no good for tokens of another, whatever they are
// called.
func TestIssuersAreApart(t *testing.T) {
	one, two := newPair(t, "same", "ES256"), newPair(t, "same", "ES256")
	mine := login(t, "jwt", set(one.jwk("")))
	other := login(t, "jwt", set(two.jwk("")))
	other.Issuer = otherOne
	for i, f := range []struct {
		a     config.Authorizer
		token string
		good  bool
	}{
		{mine, one.token(t), true},
		{mine, two.token(t), false},
		{mine, two.token(t, `"iss":"`+otherOne+`"`), false},
		{mine, one.token(t, `"iss":"`+otherOne+`"`), false},
		{other, two.token(t, `"iss":"`+otherOne+`"`), true},
		{other, one.token(t, `"iss":"`+otherOne+`"`), false},
		{other, two.token(t), false},
	} {
		if _, got := ask(route(t, Options{}, f.a), f.token); (got.Kind == proxy.NoFault) != f.good {
			t.Errorf("%d: %v", i, got)
		}
	}
}

func TestJWTScopes(t *testing.T) {
	key := newPair(t, "one", "ES256")
	step := route(t, Options{}, login(t, "jwt", set(key.jwk(""))), "pets/read", "pets/write")
	f := func(want proxy.FaultKind, claims ...string) {
		t.Helper()
		_, got := ask(step, key.token(t, claims...))
		if got.Kind != want {
			t.Errorf("%v: %v, want %v", claims, got, want)
		}
		const challenge = `Bearer scope="pets/read pets/write" error="insufficient_scope" error_description="the token does not have a required scope"`
		if want == proxy.Forbidden && got.Challenge != challenge {
			t.Errorf("%v: %s", claims, got.Challenge)
		}
	}
	f(proxy.NoFault, `"scope":"pets/read"`)
	f(proxy.NoFault, `"scope":"openid  pets/write email"`)
	f(proxy.NoFault, `"scp":"pets/read"`)
	f(proxy.NoFault, `"scp":["openid","pets/read"]`)
	f(proxy.NoFault, `"scope":"openid"`, `"scp":["pets/read"]`)
	f(proxy.Forbidden)
	f(proxy.Forbidden, `"scope":""`)
	f(proxy.Forbidden, `"scope":"pets"`)
	f(proxy.Forbidden, `"scope":"pets/reads"`)
	f(proxy.Forbidden, `"scope":"PETS/READ"`)
	f(proxy.Forbidden, `"scope":"pets/read,pets/write"`)
	f(proxy.Unauthorized, `"scope":1`)
	f(proxy.Unauthorized, `"scp":[1]`)
	f(proxy.Unauthorized, `"scope":"pets/read"`, `"exp":1`)
}

// What a token says reaches others as text.
func TestClaimsAreTold(t *testing.T) {
	key := newPair(t, "one", "ES256")
	step := route(t, Options{}, login(t, "jwt", set(key.jwk(""))))
	ex, got := ask(step, key.token(t, `"exp":4000000000`, `"n":1.50`, `"yes":true`, `"nothing":null`, `"list":["a","b c",1,[2],{"x":3}]`, `"none":[]`, `"object":{"a":[1, 2]}`,
		`"https://example.com/tier":"gold"`, `"text":"a\"b\u00e4"`))
	if got.Kind != proxy.NoFault {
		t.Fatal(got)
	}
	var all []string
	for _, p := range ex.Caller.Context {
		all = append(all, p.Name+"="+p.Value)
	}
	want := `claims.iss=https://login.example.com/|claims.aud=pets|claims.sub=amy|claims.exp=4000000000|claims.n=1.50|claims.yes=true|` +
		`claims.list=[a b c 1 [2] {"x":3}]|claims.none=[]|claims.object={"a":[1,2]}|claims.https://example.com/tier=gold|claims.text=a"bä`
	if text := strings.Join(all, "|"); text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}

// Where a token stands, and how.
func TestWhereTokensStand(t *testing.T) {
	key := newPair(t, "one", "ES256")
	token := key.token(t)
	a := login(t, "jwt", set(key.jwk("")))
	step := route(t, Options{}, a)
	a.IdentitySource = []string{"$request.querystring.token"}
	inQuery := route(t, Options{}, a)
	a.IdentitySource = []string{"method.request.header.X-Token"}
	inHeader := route(t, Options{}, a)
	f := func(step proxy.Step, ex *proxy.Exchange, want proxy.FaultKind, challenge string) {
		t.Helper()
		got := fault(step, ex)
		if got.Kind != want || challenge != "" && got.Challenge != challenge {
			t.Errorf("%v with %q, want %v with %q", got, got.Challenge, want, challenge)
		}
	}
	f(step, request("authorization", token), proxy.NoFault, "")
	f(step, request("Authorization", "bearer   "+token), proxy.NoFault, "")
	f(step, request("Authorization", "BEARER "+token+" "), proxy.NoFault, "")
	f(step, request(), proxy.Unauthorized, "Bearer")
	f(step, request("Authorization", ""), proxy.Unauthorized, "Bearer")
	f(step, request("Authorization", "  "), proxy.Unauthorized, "Bearer")
	f(step, request("Authorization", "Bearer "), proxy.Unauthorized, "")
	f(step, request("Authorization", "Bearer"+token), proxy.Unauthorized, "")
	f(step, request("Authorization", "Basic "+token), proxy.Unauthorized, "")
	f(step, request("Authorization", token, "Authorization", token), proxy.Unauthorized, "")
	f(step, request("X-Token", token), proxy.Unauthorized, "Bearer")
	f(inHeader, request("x-token", token), proxy.NoFault, "")
	ex := request("Authorization", token)
	ex.In.RawQuery = "a=b&token=" + token
	f(inQuery, ex, proxy.NoFault, "")
	for _, other := range []string{"token=forged&token=", "tok%65n=forged;token=", "token&token="} { // a backend may read the first
		ex = request()
		ex.In.RawQuery = other + token
		f(inQuery, ex, proxy.Unauthorized, "")
	}
	ex = request("Authorization", token)
	f(inQuery, ex, proxy.Unauthorized, "Bearer")
	ex = request()
	ex.In.RawQuery = "token=Bearer+" + token
	f(inQuery, ex, proxy.NoFault, "")
}

func TestCognito(t *testing.T) {
	key := newPair(t, "one", "RS256")
	pool := login(t, "cognito", set(key.jwk("")))
	pool.Issuer, pool.Audience = "", nil
	pool.ProviderARNs = []string{"arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_AbC"}
	const from = `"iss":"https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbC"`
	generic := login(t, "cognito", set(key.jwk("")))
	matched := pool
	matched.IdentityValidationExpression = "pe[a-z]s"
	f := func(a config.Authorizer, scopes string, want proxy.FaultKind, claims ...string) {
		t.Helper()
		ex, got := ask(route(t, Options{}, a, strings.Fields(scopes)...), key.token(t, claims...))
		if got.Kind != want || (ex.Caller.Principal != "") != (want == proxy.NoFault) || got.Challenge != "" {
			t.Errorf("%v: %v, want %v", claims, got, want)
		}
	}
	const id, access = `"token_use":"id"`, `"token_use":"access"`
	// Without scopes it is an ID token.
	f(pool, "", proxy.NoFault, from, id)
	f(pool, "", proxy.Unauthorized, from, access)
	f(pool, "", proxy.Unauthorized, from, `"token_use":"refresh"`)
	f(pool, "", proxy.Unauthorized, from)
	f(pool, "", proxy.Unauthorized, from, `"token_use":1`)
	f(pool, "", proxy.Unauthorized, id)
	// With scopes it is an access token.
	f(pool, "read write", proxy.NoFault, from, access, `"scope":"write"`, `"aud"`)
	f(pool, "read", proxy.Unauthorized, from, access, `"scope":"write"`)
	f(pool, "read", proxy.Unauthorized, from, access)
	f(pool, "read", proxy.Unauthorized, from, id, `"scope":"read"`)
	f(pool, "read", proxy.Unauthorized, from, `"scope":"read"`)
	// Another answer for what has expired.
	f(pool, "", proxy.ExpiredIdentity, from, id, `"exp":1`)
	f(pool, "", proxy.Unauthorized, from, id, `"exp":"1"`)
	// The expression is for the whole of aud.
	f(matched, "", proxy.NoFault, from, id)
	f(matched, "", proxy.NoFault, from, id, `"aud":["x","pets"]`)
	f(matched, "", proxy.Unauthorized, from, id, `"aud":"pets2"`)
	f(matched, "", proxy.Unauthorized, from, id, `"aud":1`)
	f(matched, "read", proxy.Unauthorized, from, access, `"scope":"read"`, `"aud"`)
	// Issuers that say nothing of the kind.
	f(generic, "", proxy.NoFault)
	f(generic, "", proxy.Unauthorized, access)
	f(generic, "read", proxy.NoFault, `"scope":"read"`)
	f(generic, "", proxy.Unauthorized, `"aud":"dogs"`)
	f(generic, "read", proxy.Unauthorized, id, `"scope":"read"`)
	header := strings.Replace(key.header(), "{", `{"typ":"at+jwt",`, 1)
	payload := fmt.Sprintf(`{"iss":%q,"aud":"pets","exp":%d}`, testIssuer, soon())
	if _, got := ask(route(t, Options{}, generic), key.sign(t, header, payload)); got.Kind != proxy.Unauthorized {
		t.Errorf("an access token by its type: %v", got)
	}
}

// Mistakes are found at load, with their place.
func TestTokenErrors(t *testing.T) {
	key := newPair(t, "one", "ES256")
	f := func(path, text string, change func(a *config.Authorizer)) {
		t.Helper()
		a := login(t, "jwt", set(key.jwk("")))
		change(&a)
		_, err := tryRoute(t, Options{}, a)
		var found *config.KeyError
		if !errors.As(err, &found) || strings.Join(found.Path, ".") != path || !strings.Contains(found.Text, text) {
			t.Errorf("%v, want %s: %s", err, path, text)
		}
	}
	f("identity_source", "one place", func(a *config.Authorizer) { a.IdentitySource = []string{} })
	f("identity_source", "one place", func(a *config.Authorizer) {
		a.IdentitySource = []string{"method.request.header.A", "method.request.header.B"}
	})
	f("identity_source", "one place", func(a *config.Authorizer) { a.IdentitySource = []string{"context.identity.sourceIp"} })
	f("identity_source.0", "isn't an identity source", func(a *config.Authorizer) { a.IdentitySource = []string{"method.request.path.x"} })
	f("audience", "whom", func(a *config.Authorizer) { a.Audience = nil })
	f("audience", "more than 50", func(a *config.Authorizer) { a.Audience = make([]string, 51) })
	f("audience.1", "nobody", func(a *config.Authorizer) { a.Audience = []string{"a", ""} })
	f("algorithms", "no token", func(a *config.Authorizer) { a.Algorithms = nil })
	f("audience", "whom", func(a *config.Authorizer) { a.Type, a.Audience = "cognito", nil })
	f("", "who issues", func(a *config.Authorizer) { a.Issuer = "" })
	f("keys_file", "no such file", func(a *config.Authorizer) { a.KeysFile += "x" })
	f("keys_file", "PEM", func(a *config.Authorizer) { *a = login(t, "jwt", "text") })
	f("keys_file", "aren't fetched", func(a *config.Authorizer) { a.Private = true })
	f("keys_file", "more than one", func(a *config.Authorizer) {
		a.Type, a.ProviderARNs = "cognito", []string{"arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_AbC"}
	})
	f("keys_url", "more than one", func(a *config.Authorizer) {
		a.Type, a.ProviderARNs = "cognito", []string{"arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_AbC"}
		a.KeysFile, a.KeysURL = "", "https://login.example.com/keys"
	})
	f("", "without TLS", func(a *config.Authorizer) { a.KeysFile, a.Issuer = "", "http://login.example.com" })
	f("", "without TLS", func(a *config.Authorizer) { a.KeysFile, a.KeysURL = "", "http://login.example.com/keys" })
	f("", "isn't the URL", func(a *config.Authorizer) { a.KeysFile, a.Issuer = "", "https://amy@login.example.com" })
	f("", "isn't the URL", func(a *config.Authorizer) { a.KeysFile, a.Issuer = "", "https://:443/" })
	f("", "isn't the URL", func(a *config.Authorizer) { a.KeysFile, a.KeysURL = "", "https://login.example.com:x/" })
	f("ca", "PEM", func(a *config.Authorizer) { a.CA, a.KeysFile = a.KeysFile, "" })
	f("identity_validation_expression", "", func(a *config.Authorizer) { a.Type, a.IdentityValidationExpression = "cognito", "(" })
}

// Without the keys nobody gets in, and it isn't the caller's fault.
func TestNoKeys(t *testing.T) {
	issuers := NewIssuers(nil)
	defer issuers.Close()
	a := login(t, "jwt", "")
	a.KeysFile, a.Issuer, a.Private = "", "http://127.0.0.1:1", true
	a.KeysTimeout, a.KeysTTL = config.Duration(time.Second), config.Duration(time.Hour)
	key := newPair(t, "one", "ES256")
	for _, kind := range []string{"jwt", "cognito"} {
		a.Type = kind
		_, got := ask(route(t, Options{Issuers: issuers}, a), key.token(t, `"iss":"http://127.0.0.1:1"`))
		if got.Kind != proxy.AuthorizerFailure || got.Challenge != "" || got.Cause == nil {
			t.Errorf("%s: %v", kind, got)
		}
	}
}

// verifyBare checks a signature by the standard library alone.
func verifyBare(public any, text, mark []byte) bool {
	digest := sha256.Sum256(text)
	switch public := public.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], mark) == nil
	case *ecdsa.PublicKey:
		return ecdsa.Verify(public, digest[:], new(big.Int).SetBytes(mark[:32]), new(big.Int).SetBytes(mark[32:]))
	}
	return ed25519.Verify(public.(ed25519.PublicKey), text, mark)
}

// What a token costs with the keys at hand, and how many times its bare signature's
// cost that is, measured in turns.
func BenchmarkToken(b *testing.B) {
	for _, algorithm := range []string{"RS256", "ES256", "EdDSA"} {
		key := newPair(b, "one", algorithm)
		step := route(b, Options{}, login(b, "jwt", set(newPair(b, "zero", algorithm).jwk(""), key.jwk(""))), "pets/read")
		token := key.token(b, `"exp":4000000000`, `"iat":1700000000`, `"scope":"openid pets/read"`, `"client_id":"3n4b5urk1ft4fl3mg5e62d9ado"`,
			`"cognito:groups":["admins","keepers"]`, `"jti":"1e5cd5a6-4e8d-4c0f-9c3f-0d7f0f7f5a11"`, `"email":"amy@example.com"`)
		dot := strings.LastIndexByte(token, '.')
		text, public := []byte(token[:dot]), key.private.Public()
		mark, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
		if err != nil {
			b.Fatal(err)
		}
		ex := &proxy.Exchange{}
		header := "Bearer " + token
		whole := func() {
			ex.Begin(time.Now(), nil)
			ex.In.Fields.Add("Authorization", header)
			if _, err := step.Run(context.Background(), ex); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(algorithm, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				whole()
			}
		})
		b.Run(algorithm+"/ratio", func(b *testing.B) {
			var token, bare time.Duration
			for b.Loop() {
				begin := time.Now()
				whole()
				middle := time.Now()
				if !verifyBare(public, text, mark) {
					b.Fatal("wrong")
				}
				token, bare = token+middle.Sub(begin), bare+time.Since(middle)
			}
			b.ReportMetric(float64(token)/float64(bare), "x-bare")
		})
	}
}
