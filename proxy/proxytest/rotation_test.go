package proxytest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The whole way over sockets: an issuer takes a new key while clients send requests.
// No good token is refused, with both keys published or with the new one alone, and
// the keys are fetched once for all that wait for them.
func TestIssuerRotates(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes eleven seconds")
	}
	first, second := mustIssuer(t, "first"), mustIssuer(t, "second")
	var published atomic.Pointer[string] // key set
	publish := func(all ...*issuer) {
		var sets []string
		for _, is := range all {
			keys, err := is.keys()
			if err != nil {
				t.Fatal(err)
			}
			sets = append(sets, strings.TrimSuffix(strings.TrimPrefix(string(keys), `{"keys":[`), `]}`))
		}
		text := `{"keys":[` + strings.Join(sets, ",") + `]}`
		published.Store(&text)
	}
	publish(first)
	var fetches atomic.Int32
	var login *httptest.Server
	login = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/.well-known/") {
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":"%s/keys"}`, login.URL, login.URL)
			return
		}
		fetches.Add(1)
		fmt.Fprint(w, *published.Load())
	}))
	defer login.Close()
	file := filepath.Join(t.TempDir(), "postern.toml")
	text := fmt.Sprintf(`listen.public.address = "127.0.0.1:0"
authorizer.login = { type = "jwt", issuer = %q, audience = ["pets"], algorithms = ["ES256"], private = true }
[api.pets]
type = "rest"
stage.prod = {}
route."GET /" = { authorizer = "login", integration = { type = "mock" }, response.default = {} }
`, login.URL)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	gateway := Start(t)
	defer gateway.Close()
	if findings := gateway.Apply(file); findings != "" {
		t.Fatal(findings)
	}
	var signer atomic.Pointer[issuer]
	signer.Store(first)
	done := make(chan struct{})
	var callers sync.WaitGroup
	var asked, ofSecond, refused atomic.Int64
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	defer client.CloseIdleConnections()
	for range 4 {
		callers.Go(func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(5 * time.Millisecond):
				}
				by := signer.Load()
				status, err := askWith(client, gateway.Addr("public"), by, login.URL)
				asked.Add(1)
				if by == second {
					ofSecond.Add(1)
				}
				if err != nil || status != 200 {
					refused.Add(1)
					t.Errorf("status %d, %v", status, err)
					return
				}
			}
		})
	}
	further := func(counter *atomic.Int64) {
		t.Helper()
		want := counter.Load() + 50
		for end := time.Now().Add(patience); counter.Load() < want && refused.Load() == 0; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d requests, want %d", counter.Load(), want)
			}
		}
	}
	further(&asked)
	publish(first, second)       // the overlap begins,
	time.Sleep(10 * time.Second) // and lasts at least for as long as unknown keys aren't asked for
	signer.Store(second)         // the first token of the new key has it fetched
	further(&ofSecond)
	if findings := gateway.Apply(file); findings != "" {
		t.Error(findings) // a reload has nothing fetched
	}
	further(&ofSecond)
	close(done)
	callers.Wait()
	if refused.Load() > 0 || fetches.Load() != 2 {
		t.Errorf("%d of %d refused, %d fetches", refused.Load(), asked.Load(), fetches.Load())
	}
}

func mustIssuer(t *testing.T, name string) *issuer {
	t.Helper()
	is, err := newIssuer(name, "ES256")
	if err != nil {
		t.Fatal(err)
	}
	return is
}

func askWith(client *http.Client, addr string, is *issuer, name string) (status int, err error) {
	token, err := is.token(fmt.Sprintf(`{"iss":%q,"aud":"pets","exp":%d}`, name, time.Now().Unix()+60))
	if err != nil {
		return 0, err
	}
	r, err := http.NewRequest("GET", "http://"+addr+"/prod/", nil)
	if err != nil {
		return 0, err
	}
	r.Host = "pets.localhost"
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}
