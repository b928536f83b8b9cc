package oidc

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"github.com/postern-gateway/postern/proxy/jose"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const issuerURL = "http://login.test"

// fakeIssuer answers over pipes, so that it lives in a synctest bubble.
type fakeIssuer struct {
	mu       sync.Mutex
	answer   func(w *bufio.Writer, path string) // nil: by documents
	keys     string                             // the JWK set
	head     string                             // further lines of the head of its answer
	down     bool
	delay    time.Duration
	fetches  map[string]int // by path
	finished sync.WaitGroup
}

func (f *fakeIssuer) dial(ctx context.Context, _, address string) (net.Conn, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return nil, errors.New("nobody listens")
	}
	ours, theirs := net.Pipe()
	f.finished.Go(func() { f.serve(theirs) })
	return ours, nil
}

func (f *fakeIssuer) serve(conn net.Conn) {
	defer conn.Close()
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	f.mu.Lock()
	if f.fetches == nil {
		f.fetches = map[string]int{}
	}
	f.fetches[r.URL.Path]++
	answer, keys, head, delay := f.answer, f.keys, f.head, f.delay
	f.mu.Unlock()
	time.Sleep(delay)
	w := bufio.NewWriter(conn)
	switch {
	case answer != nil:
		answer(w, r.URL.Path)
	case r.URL.Path == wellKnown:
		write(w, "", `{"issuer":"`+issuerURL+`","jwks_uri":"`+issuerURL+`/keys"}`)
	default:
		write(w, head, keys)
	}
	_ = w.Flush()
}

func write(w io.Writer, head, content string) {
	fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nConnection: close\r\n%sContent-Length: %d\r\n\r\n%s", head, len(content), content)
}

func (f *fakeIssuer) change(by func(f *fakeIssuer)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	by(f)
}

func (f *fakeIssuer) count(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fetches[path]
}

// start returns a keyring of f and what ends it.
func start(t *testing.T, f *fakeIssuer) (*Keyring, func()) {
	t.Helper()
	all := New(Options{Dial: f.dial})
	ring, release, err := all.Use(Source{Issuer: issuerURL, Private: true, Timeout: 1500 * time.Millisecond, Fresh: 2 * time.Hour, Grace: 22 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return ring, func() {
		release()
		all.Close()
		f.finished.Wait()
	}
}

type signer struct {
	name string
	key  *ecdsa.PrivateKey
}

func newSigner(t testing.TB, name string) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{name, key}
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (s *signer) jwk() string {
	point, _ := s.key.PublicKey.Bytes()
	return fmt.Sprintf(`{"kty":"EC","kid":%q,"alg":"ES256","use":"sig","crv":"P-256","x":%q,"y":%q}`, s.name, encode(point[1:33]), encode(point[33:]))
}

func set(signers ...*signer) string {
	var all []string
	for _, s := range signers {
		all = append(all, s.jwk())
	}
	return `{"keys":[` + strings.Join(all, ",") + `]}`
}

// token returns one with the header's kid, or without if it is "".
func (s *signer) token(t testing.TB, kid string) *jose.Token {
	t.Helper()
	head := `{"alg":"ES256"}`
	if kid != "" {
		head = fmt.Sprintf(`{"alg":"ES256","kid":%q}`, kid)
	}
	text := encode([]byte(head)) + "." + encode([]byte(`{}`))
	mark, err := jwt.SigningMethodES256.Sign(text, s.key)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jose.Read(text+"."+encode(mark), nil)
	if err != nil {
		t.Fatal(err)
	}
	return &token
}

func TestVerify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := newSigner(t, "one"), newSigner(t, "two")
		f := &fakeIssuer{keys: set(one)}
		ring, end := start(t, f)
		defer end()
		expect := func(token *jose.Token, want error) {
			t.Helper()
			if err := ring.Verify(t.Context(), token); err != want {
				t.Errorf("%v, want %v", err, want)
			}
		}
		expect(one.token(t, "one"), nil) // waits for the first fetch
		expect(two.token(t, "one"), ErrSignature)
		expect(one.token(t, ""), nil)
		expect(one.token(t, "two"), ErrUnknownKey)
		if n := f.count("/keys"); n != 1 {
			t.Errorf("%d fetches; the last one was a moment ago", n)
		}
		// A new key is found, but not sooner than a period after the last fetch.
		f.change(func(f *fakeIssuer) { f.keys = set(one, two) })
		expect(two.token(t, "two"), ErrUnknownKey)
		time.Sleep(unknownPeriod)
		expect(two.token(t, "two"), nil)
		expect(one.token(t, "one"), nil)
		// A key that was taken back counts until the next fetch.
		f.change(func(f *fakeIssuer) { f.keys = set(two) })
		expect(one.token(t, "one"), nil)
		time.Sleep(2 * time.Hour)
		expect(one.token(t, "one"), ErrUnknownKey)
		expect(two.token(t, "two"), nil)
	})
}

// Tokens with keys that don't exist, from as many callers as you like, cause a fetch
// a period at most.
func TestUnknownKeysAreNoStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := newSigner(t, "one")
		f := &fakeIssuer{keys: set(one), delay: 50 * time.Millisecond}
		ring, end := start(t, f)
		defer end()
		token, good := one.token(t, "another"), one.token(t, "one")
		begin := time.Now()
		var callers sync.WaitGroup
		for range 20 {
			callers.Go(func() {
				for time.Since(begin) < time.Minute {
					if err := ring.Verify(t.Context(), token); err != ErrUnknownKey {
						t.Errorf("a bad token: %v", err)
					}
					if err := ring.Verify(t.Context(), good); err != nil {
						t.Errorf("a good token: %v", err)
					}
					time.Sleep(100 * time.Millisecond)
				}
			})
		}
		callers.Wait()
		if n := f.count("/keys"); n < 5 || n > 7 {
			t.Errorf("%d fetches in a minute", n)
		}
		if got := ring.figures(time.Now()); got.Unknown < 20*500 || got.Failures != 0 || got.Keys != 1 {
			t.Errorf("%+v", got)
		}
	})
}

// An issuer that is down: the last good keys count for a bounded time, tries become
// rarer, and it is found when it is back.
func TestIssuerDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := newSigner(t, "one")
		f := &fakeIssuer{keys: set(one)}
		ring, end := start(t, f)
		defer end()
		token := one.token(t, "one")
		if err := ring.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		f.change(func(f *fakeIssuer) { f.down = true })
		time.Sleep(23 * time.Hour)
		if err := ring.Verify(t.Context(), token); err != nil {
			t.Errorf("within the grace: %v", err)
		}
		got := ring.figures(time.Now())
		if got.Failures < 22*12 || got.Failures > 23*24+10 || got.Err == nil || !got.Usable || got.Age != 23*time.Hour {
			t.Errorf("%+v", got)
		}
		time.Sleep(time.Hour + time.Second)
		if err := ring.Verify(t.Context(), token); err != ErrUnavailable {
			t.Errorf("after the grace: %v", err)
		}
		if got := ring.figures(time.Now()); got.Usable {
			t.Errorf("%+v", got)
		}
		f.change(func(f *fakeIssuer) { f.down = false })
		time.Sleep(unknownPeriod)
		if err := ring.Verify(t.Context(), token); err != nil {
			t.Errorf("when it is back: %v", err)
		}
	})
}

// An issuer that was never there: no token gets in, and nobody waits for longer than
// the fetch.
func TestIssuerNeverThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := newSigner(t, "one")
		f := &fakeIssuer{delay: 30 * time.Second}
		ring, end := start(t, f)
		defer end()
		begin := time.Now()
		if err := ring.Verify(t.Context(), one.token(t, "one")); err != ErrUnavailable || time.Since(begin) != 1500*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		begin = time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		time.Sleep(time.Second) // into the next try
		if err := ring.Verify(ctx, one.token(t, "one")); err != ErrUnavailable || time.Since(begin) > 1200*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}

// What a lying issuer says doesn't replace what an honest one said.
func TestIssuerLies(t *testing.T) {
	one := newSigner(t, "one")
	good := func(keys string) func(w *bufio.Writer, path string) {
		return func(w *bufio.Writer, path string) {
			if path == wellKnown {
				write(w, "", `{"issuer":"`+issuerURL+`","jwks_uri":"`+issuerURL+`/keys"}`)
				return
			}
			write(w, "", keys)
		}
	}
	discovery := func(text string) func(w *bufio.Writer, path string) {
		return func(w *bufio.Writer, path string) {
			if path == wellKnown {
				write(w, "", text)
				return
			}
			write(w, "", set(newSigner(t, "one")))
		}
	}
	weak := encode(new(big.Int).SetBit(big.NewInt(1), 1023, 1).Bytes())
	strong := encode(new(big.Int).SetBit(big.NewInt(1), 2047, 1).Bytes())
	for name, answer := range map[string]func(w *bufio.Writer, path string){
		"another issuer":         discovery(`{"issuer":"http://evil.test","jwks_uri":"` + issuerURL + `/keys"}`),
		"issuer with a slash":    discovery(`{"issuer":"` + issuerURL + `/","jwks_uri":"` + issuerURL + `/keys"}`),
		"no issuer":              discovery(`{"jwks_uri":"` + issuerURL + `/keys"}`),
		"no jwks_uri":            discovery(`{"issuer":"` + issuerURL + `"}`),
		"a file":                 discovery(`{"issuer":"` + issuerURL + `","jwks_uri":"file:///etc/passwd"}`),
		"with a user":            discovery(`{"issuer":"` + issuerURL + `","jwks_uri":"http://login.test@evil.test/"}`),
		"not JSON":               discovery(`<html>`),
		"a list":                 discovery(`[]`),
		"nested":                 discovery(strings.Repeat("[", 10_000)),
		"no keys":                good(`{"keys":[]}`),
		"keys is null":           good(`{"keys":null}`),
		"keys is text":           good(`{"keys":"all of them"}`),
		"one JWK":                good(one.jwk()),
		"PEM":                    good("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----"),
		"ten thousand keys":      good(`{"keys":[` + strings.Repeat(`{},`, 9_999) + `{}]}`),
		"nested keys":            good(`{"keys":` + strings.Repeat("[", 10_000)),
		"more than there may":    good(`{"keys":[` + one.jwk() + `],"x":"` + strings.Repeat("x", maxContent) + `"}`),
		"only for encryption":    good(`{"keys":[` + strings.Replace(one.jwk(), `"sig"`, `"enc"`, 1) + `]}`),
		"only symmetric":         good(`{"keys":[{"kty":"oct","kid":"one","alg":"HS256","k":"AAAA"}]}`),
		"a weak RSA key":         good(`{"keys":[{"kty":"RSA","kid":"one","n":"` + weak + `","e":"AQAB"}]}`),
		"a huge exponent":        good(`{"keys":[{"kty":"RSA","kid":"one","n":"` + strong + `","e":"` + strong + `"}]}`),
		"exponent 1":             good(`{"keys":[{"kty":"RSA","kid":"one","n":"` + strong + `","e":"AQ"}]}`),
		"an algorithm unlike it": good(`{"keys":[` + strings.Replace(one.jwk(), "ES256", "RS256", 1) + `]}`),
		"a redirect elsewhere": func(w *bufio.Writer, path string) {
			fmt.Fprint(w, "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		},
		"redirects for ever": func(w *bufio.Writer, path string) {
			fmt.Fprint(w, "HTTP/1.1 302 Found\r\nLocation: /again\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		},
		"an error": func(w *bufio.Writer, path string) {
			fmt.Fprint(w, "HTTP/1.1 500 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		},
		"no HTTP":   func(w *bufio.Writer, path string) { fmt.Fprint(w, "SSH-2.0\r\n\r\n") },
		"nothing":   func(w *bufio.Writer, path string) {},
		"long head": func(w *bufio.Writer, path string) { write(w, "X: "+strings.Repeat("x", 2*maxHead)+"\r\n", "{}") },
		"endless": func(w *bufio.Writer, path string) {
			fmt.Fprint(w, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
			for range 1000 {
				if _, err := w.Write(make([]byte, 1000)); err != nil {
					return
				}
			}
		},
		"a drip": func(w *bufio.Writer, path string) {
			fmt.Fprint(w, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
			for range 100 {
				time.Sleep(time.Second)
				fmt.Fprint(w, " ")
				if w.Flush() != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeIssuer{keys: set(one)}
				ring, end := start(t, f)
				defer end()
				if err := ring.Verify(t.Context(), one.token(t, "one")); err != nil {
					t.Fatal(err)
				}
				f.change(func(f *fakeIssuer) { f.answer = answer })
				time.Sleep(12 * time.Hour)
				got := ring.figures(time.Now())
				if got.Failures == 0 || got.Failures != got.Fetches-1 || got.Err == nil {
					t.Errorf("%+v", got)
				}
				if err := ring.Verify(t.Context(), one.token(t, "one")); err != nil {
					t.Errorf("the last good keys: %v", err)
				}
			})
		})
	}
}

// Keys of a set that nobody can use, or that share a name, don't spoil the others;
// and a token isn't tried with any number of them.
func TestOddSets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := newSigner(t, "same"), newSigner(t, "same")
		f := &fakeIssuer{keys: `{"keys":[{"kty":"RSA","kid":"same","use":"enc","n":"AQ","e":"AQ"},{"kty":"?"},{"kty":"oct","kid":"same","k":"AA"},` + one.jwk() + `,` + two.jwk() + `]}`}
		ring, end := start(t, f)
		defer end()
		for _, s := range []*signer{one, two} {
			if err := ring.Verify(t.Context(), s.token(t, "same")); err != nil {
				t.Error(err)
			}
		}
		var many []*signer
		for range 20 {
			many = append(many, newSigner(t, "same"))
		}
		f.change(func(f *fakeIssuer) { f.keys = set(many...) })
		time.Sleep(2 * time.Hour)
		if err := ring.Verify(t.Context(), many[0].token(t, "same")); err != nil {
			t.Error(err)
		}
		if err := ring.Verify(t.Context(), many[19].token(t, "same")); err != ErrSignature {
			t.Errorf("key 20 of a name: %v", err)
		}
	})
}

// Keys without names that are replaced: the signature alone tells.
func TestRotationWithoutNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := newSigner(t, ""), newSigner(t, "")
		f := &fakeIssuer{keys: set(one)}
		ring, end := start(t, f)
		defer end()
		if err := ring.Verify(t.Context(), one.token(t, "")); err != nil {
			t.Error(err)
		}
		f.change(func(f *fakeIssuer) { f.keys = set(two) })
		time.Sleep(unknownPeriod)
		if err := ring.Verify(t.Context(), two.token(t, "")); err != nil {
			t.Error(err)
		}
	})
}

// max-age is heeded within bounds.
func TestMaxAge(t *testing.T) {
	for head, want := range map[string][2]int{ // fetches within 12 hours
		"":                                {6, 9},
		"Cache-Control: max-age=3600\r\n": {13, 18},
		"Cache-Control: public, MAX-AGE=3600\r\n":      {13, 18},
		"Cache-Control: max-age=5400\r\nAge: 1800\r\n": {13, 18},
		"Cache-Control: max-age=0\r\n":                 {160, 210}, // every five minutes
		"Cache-Control: max-age=999999999\r\n":         {6, 9},
		"Cache-Control: max-age=-1\r\n":                {6, 9},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeIssuer{keys: set(newSigner(t, "one")), head: head}
			_, end := start(t, f)
			defer end()
			time.Sleep(12 * time.Hour)
			if n := f.count("/keys"); n < want[0] || n > want[1] {
				t.Errorf("%q: %d fetches, want %v", head, n, want)
			}
		})
	}
}

// Users share a keyring; it is fetched for as long as somebody uses it.
func TestSharing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeIssuer{keys: set(newSigner(t, "one"))}
		all := New(Options{Dial: f.dial})
		use := func(s Source) (*Keyring, func()) {
			t.Helper()
			ring, release, err := all.Use(s)
			if err != nil {
				t.Fatal(err)
			}
			return ring, release
		}
		s := Source{Issuer: issuerURL, Private: true, Timeout: time.Second, Fresh: time.Hour}
		one, first := use(s)
		synctest.Wait()
		two, second := use(s)
		if one != two || len(all.Figures()) != 1 {
			t.Error("two users have a keyring each")
		}
		first()
		first() // counts once
		s.Grace = time.Hour
		three, third := use(s)
		if got := all.Figures(); three == one || len(got) != 1 || got[0].Keys != 0 || got[0].Usable {
			t.Error("users with different wishes share a keyring")
		}
		third()
		synctest.Wait()
		before := f.count("/keys")
		time.Sleep(time.Hour)
		if f.count("/keys") != before+1 {
			t.Errorf("%d fetches for one user", f.count("/keys")-before)
		}
		second()
		synctest.Wait()
		before = f.count("/keys")
		time.Sleep(24 * time.Hour)
		if f.count("/keys") != before || len(all.Figures()) != 0 {
			t.Error("fetched for nobody")
		}
		all.Close()
		f.finished.Wait()
	})
}

// Over TLS, with redirects, and with the guard against private addresses.
func TestRealServer(t *testing.T) {
	one := newSigner(t, "one")
	var server *httptest.Server
	var elsewhere atomic.Int32
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer plain.Close()
	keysAt := ""
	server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/tenant" + wellKnown:
			fmt.Fprintf(w, `{"issuer":"%s/tenant/","jwks_uri":%q}`, server.URL, keysAt)
		case "/moved":
			http.Redirect(w, r, "/keys", http.StatusFound)
		case "/away":
			http.Redirect(w, r, plain.URL, http.StatusFound)
		case "/keys":
			fmt.Fprint(w, set(one))
		}
	}))
	defer server.Close()
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	f := func(name string, s Source, at, want string) {
		t.Helper()
		keysAt = at
		s.Issuer, s.Timeout, s.Fresh = server.URL+"/tenant/", time.Minute, time.Hour
		all := New(Options{})
		defer all.Close()
		ring, release, err := all.Use(s)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		err = ring.Verify(t.Context(), one.token(t, "one"))
		last := fmt.Sprint(ring.figures(time.Now()).Err)
		if (err == nil) != (want == "") || !strings.Contains(last, want) {
			t.Errorf("%s: %v (%s), want %q", name, err, last, want)
		}
	}
	f("as it should be", Source{CA: ca, Private: true}, server.URL+"/keys", "")
	f("without discovery", Source{CA: ca, Private: true, KeysURL: server.URL + "/keys"}, "", "")
	f("a redirect to itself", Source{CA: ca, Private: true}, server.URL+"/moved", "")
	f("a redirect to another", Source{CA: ca, Private: true}, server.URL+"/away", "another server")
	f("keys without TLS", Source{CA: ca, Private: true}, plain.URL, "scheme")
	f("a private address", Source{CA: ca}, server.URL+"/keys", "private address")
	f("an unknown authority", Source{Private: true}, server.URL+"/keys", "certificate")
	if elsewhere.Load() != 0 {
		t.Error("another server was asked")
	}
	if _, _, err := New(Options{}).Use(Source{CA: "none"}); err == nil {
		t.Error("a CA without certificates was taken")
	}
}

func TestFixed(t *testing.T) {
	one := newSigner(t, "one")
	keys, err := jose.ParseKeys([]byte(set(one)))
	if err != nil {
		t.Fatal(err)
	}
	ring := Fixed(keys)
	if err := ring.Verify(t.Context(), one.token(t, "one")); err != nil {
		t.Error(err)
	}
	if err := ring.Verify(t.Context(), one.token(t, "two")); err != ErrUnknownKey {
		t.Error(err)
	}
}

// Reading and replacing at once.
func TestHammer(t *testing.T) {
	one := newSigner(t, "one")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, set(one))
	}))
	defer server.Close()
	all := New(Options{})
	defer all.Close()
	s := Source{Issuer: server.URL, KeysURL: server.URL, Private: true, Timeout: time.Minute, Fresh: time.Millisecond, Grace: time.Hour}
	good, bad := one.token(t, "one"), one.token(t, "two")
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 100 {
				ring, release, err := all.Use(s)
				if err != nil {
					t.Error(err)
					return
				}
				if err := ring.Verify(t.Context(), good); err != nil {
					t.Error(err)
				}
				if err := ring.Verify(t.Context(), bad); err != ErrUnknownKey {
					t.Error(err)
				}
				all.Figures()
				release()
			}
		})
	}
	callers.Wait()
}

func BenchmarkVerify(b *testing.B) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	ring := Fixed(jose.Keys{{ID: "one", Public: &key.PublicKey}})
	text := encode([]byte(`{"alg":"RS256","kid":"one"}`)) + "." + encode([]byte(`{}`))
	mark, err := jwt.SigningMethodRS256.Sign(text, key)
	if err != nil {
		b.Fatal(err)
	}
	token, err := jose.Read(text+"."+encode(mark), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := ring.Verify(b.Context(), &token); err != nil {
			b.Fatal(err)
		}
	}
}

// The signatures of Wycheproof, each with its group's key as an issuer's only one: no
// invalid one gets in.
func TestOracle(t *testing.T) {
	const path = "../../../../shared/oracles/jose/json_web_signature.json"
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
	accepted, refused := 0, 0
	for _, g := range file.TestGroups {
		if g.Public == nil {
			continue // shared secrets, which aren't keys here
		}
		keys, err := parse([]byte(`{"keys":[` + string(g.Public) + `]}`))
		if err != nil {
			keys = nil // nobody's tokens are good, then
		}
		ring := Fixed(keys)
		for _, c := range g.Tests {
			token, err := jose.Read(c.Jws, nil)
			if err == nil {
				err = ring.Verify(t.Context(), &token)
			}
			switch {
			case err == nil && c.Result == "invalid":
				t.Errorf("%d (%s) was accepted", c.TcID, c.Comment)
			case err == nil:
				accepted++
			default:
				refused++
			}
		}
	}
	if accepted < 10 || refused < 50 {
		t.Errorf("%d accepted, %d refused", accepted, refused)
	}
}
