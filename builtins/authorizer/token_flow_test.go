package authorizer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-gateway/postern/builtins/internal/oidc"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/jose"
)

// liveIssuer is an issuer that answers over pipes, in the time of a bubble.
type liveIssuer struct {
	t        *testing.T
	mu       sync.Mutex
	keys     []*keyPair // that it publishes
	current  *keyPair   // that it signs with
	down     bool
	fetches  int // of keys
	finished sync.WaitGroup
}

const liveURL = "http://login.test"

func (l *liveIssuer) dial(context.Context, string, string) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return nil, errors.New("nobody listens")
	}
	ours, theirs := net.Pipe()
	l.finished.Go(func() {
		defer theirs.Close()
		r, err := http.ReadRequest(bufio.NewReader(theirs))
		if err != nil {
			return
		}
		content := `{"issuer":"` + liveURL + `","jwks_uri":"` + liveURL + `/keys"}`
		if r.URL.Path == "/keys" {
			l.mu.Lock()
			var jwks []string
			for _, k := range l.keys {
				jwks = append(jwks, k.jwk(""))
			}
			l.fetches++
			l.mu.Unlock()
			content = set(jwks...)
		}
		fmt.Fprintf(theirs, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(content), content)
	})
	return ours, nil
}

func (l *liveIssuer) change(by func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	by()
}

func (l *liveIssuer) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fetches
}

// token is good for an hour.
func (l *liveIssuer) token() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current.token(l.t, `"iss":"`+liveURL+`"`, fmt.Sprintf(`"exp":%d`, time.Now().Unix()+3600))
}

// live starts an issuer and an authorizer that knows it.
func live(t *testing.T) (l *liveIssuer, step proxy.Step, end func()) {
	l = &liveIssuer{t: t, current: newPair(t, "key-0", "EdDSA")}
	l.keys = []*keyPair{l.current}
	issuers := oidc.New(oidc.Options{Dial: l.dial})
	step = route(t, Options{Issuers: issuers}, config.Authorizer{
		Type: "jwt", Issuer: liveURL, Audience: []string{"pets"}, Private: true, Algorithms: jose.Algorithms(),
		KeysTimeout: config.Duration(1500 * time.Millisecond), KeysTTL: config.Duration(2 * time.Hour), KeysGrace: config.Duration(22 * time.Hour),
	})
	return l, step, func() {
		issuers.Close()
		l.finished.Wait()
	}
}

// For two days an issuer takes a new key every six hours, as issuers do: it publishes
// the key, signs with it when all have fetched it, and takes the old one back when
// its last token has expired. No good token is refused, and the keys are fetched as
// rarely as ever.
func TestRotationUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, step, end := live(t)
		defer end()
		const day = 48 * time.Hour
		begin := time.Now()
		var callers sync.WaitGroup
		var asked, refused atomic.Int64
		for i := range 4 {
			callers.Go(func() {
				time.Sleep(time.Duration(i) * time.Second)
				for time.Since(begin) < day {
					token := l.token()
					for range 20 { // until shortly before it expires
						asked.Add(1)
						if _, got := ask(step, token); got.Kind != proxy.NoFault {
							refused.Add(1)
							t.Errorf("after %v: %v", time.Since(begin), got)
						}
						time.Sleep(3 * time.Minute)
					}
				}
			})
		}
		callers.Go(func() {
			for n := 1; time.Since(begin) < day; n++ {
				next := newPair(t, fmt.Sprintf("key-%d", n), "EdDSA")
				l.change(func() { l.keys = append(l.keys, next) })
				time.Sleep(2 * time.Hour)
				l.change(func() { l.current = next })
				time.Sleep(time.Hour)
				l.change(func() { l.keys = l.keys[1:] })
				time.Sleep(3 * time.Hour)
			}
		})
		callers.Wait()
		if asked.Load() < 3000 || refused.Load() > 0 || l.count() > 48 {
			t.Errorf("%d of %d refused, %d fetches", refused.Load(), asked.Load(), l.count())
		}
	})
}

// An issuer that signs with a key as soon as it publishes it, which it shouldn't: the
// first token has the key fetched, and all callers wait for the one fetch.
func TestRotationAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, step, end := live(t)
		defer end()
		for n := range 10 {
			next := newPair(t, fmt.Sprintf("next-%d", n), "EdDSA")
			l.change(func() { l.keys, l.current = []*keyPair{next}, next })
			time.Sleep(10 * time.Second)
			before := l.count()
			var callers sync.WaitGroup
			for range 100 {
				callers.Go(func() {
					if _, got := ask(step, l.token()); got.Kind != proxy.NoFault {
						t.Errorf("rotation %d: %v", n, got)
					}
				})
			}
			callers.Wait()
			if l.count() > before+1 {
				t.Errorf("rotation %d: %d fetches", n, l.count()-before)
			}
		}
	})
}

// While an issuer is down, tokens are good for as long as its last keys count, and
// new keys can't be known; afterwards it is the gateway's failure.
func TestIssuerGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, step, end := live(t)
		defer end()
		f := func(want proxy.FaultKind) {
			t.Helper()
			if _, got := ask(step, l.token()); got.Kind != want {
				t.Errorf("%v, want %v", got, want)
			}
		}
		f(proxy.NoFault)
		old := l.current
		l.change(func() { l.down, l.current = true, newPair(t, "key-1", "EdDSA") })
		time.Sleep(23 * time.Hour)
		f(proxy.Unauthorized)
		l.change(func() { l.current = old })
		f(proxy.NoFault)
		time.Sleep(2 * time.Hour)
		f(proxy.AuthorizerFailure)
		l.change(func() { l.down = false })
		time.Sleep(10 * time.Second)
		f(proxy.NoFault)
	})
}

// A wall clock that jumps changes which tokens are good, but not how long keys count.
func TestClockJumps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, step, end := live(t)
		defer end()
		if _, got := ask(step, l.token()); got.Kind != proxy.NoFault {
			t.Fatal(got)
		}
		fetches := l.count()
		v := step.(*bearer).verifier
		payload, err := readClaims([]byte(fmt.Sprintf(`{"aud":"pets","exp":%d,"iat":%d,"sub":"amy"}`, time.Now().Unix()+600, time.Now().Unix())))
		if err != nil {
			t.Fatal(err)
		}
		for jump, want := range map[time.Duration]reason{
			0: good, time.Hour: expired, -time.Hour: early, 9 * time.Minute: good, 24 * time.Hour: expired, -8760 * time.Hour: early,
		} {
			if why, err := v.judge(payload, time.Now().Add(jump)); why != want {
				t.Errorf("%v off: %v (%v), want %v", jump, why, err, want)
			}
		}
		if l.count() != fetches {
			t.Error("the keys were fetched")
		}
	})
}

// Whatever a token is made of, nothing but a good one gets in, and nothing panics.
func FuzzToken(f *testing.F) {
	key := newPair(f, "one", "ES256")
	step := route(f, Options{}, login(f, "jwt", set(key.jwk(""))))
	pool := route(f, Options{}, login(f, "cognito", set(key.jwk(""))), "read")
	token := key.token(f, `"exp":4000000000`)
	parts := strings.Split(token, ".")
	f.Add(token, "", "")
	f.Add("", `{"alg":"none"}`, `{"aud":"pets"}`)
	f.Add("", key.header(), `{"iss":"https://login.example.com/","aud":["pets"],"exp":4e9,"scope":"read"}`)
	f.Add(".."+parts[2], `{"alg":"ES256","kid":"one","crit":[]}`, `{"exp":1e400}`)
	f.Fuzz(func(t *testing.T, text, header, payload string) {
		ex, got := ask(step, text)
		if good := got.Kind == proxy.NoFault; good && strings.Trim(text, " \t") != token || good != (ex.Caller.Principal == "amy") {
			t.Errorf("%q: %v, principal %q", text, got, ex.Caller.Principal)
		}
		// What the issuer itself signed may say anything.
		signed := key.sign(t, header, payload)
		for _, s := range []proxy.Step{step, pool} {
			ex, got := ask(s, signed)
			if got.Kind != proxy.NoFault {
				continue
			}
			c, err := readClaims([]byte(payload))
			if err != nil || !c.once() || len(ex.Caller.Context) == 0 {
				t.Errorf("%q %q: got in", header, payload)
			}
		}
	})
}
