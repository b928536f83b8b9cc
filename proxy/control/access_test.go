package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/postern-gateway/postern/proxy/certificate"
	"github.com/postern-gateway/postern/proxy/deployment"
	"github.com/postern-gateway/postern/proxy/shadow"
	"github.com/postern-gateway/postern/proxy/usage"
	"github.com/postern-gateway/postern/proxy/websocket"
)

// nobody deploys nothing.
type nobody struct{ Deployments }

func (nobody) Promote(_ context.Context, api, stage, by string) (Outcome, error) {
	return Outcome{API: api, Stage: stage}, deployment.ErrBusy
}

func (nobody) History(_ context.Context, api string) (*deployment.History, error) {
	return deployment.NewHistory(api), nil
}

// none has no caches.
type none struct{}

func (none) Caches(context.Context) ([]Cache, error) { return nil, nil }

func (none) Flush(context.Context, string, string) ([]Cache, error) { return nil, nil }

// untraced has no traces.
type untraced struct{ Tracing }

// everything is options with which all paths are offered.
func everything(t *testing.T, audit func(Change)) Options {
	t.Helper()
	keeper := certificate.New(certificate.Options{})
	t.Cleanup(keeper.Close)
	return Options{
		Usage: func() (*usage.Ledger, error) { return nil, usage.ErrUnknown }, Domains: keeper, Caches: none{}, Shadows: func() []shadow.Report { return nil },
		Deployments: nobody{}, Tracing: untraced{}, Audit: audit, Sockets: websocket.NewHub(nil),
	}
}

// The document describes what is answered, and nothing else.
func TestOpenAPI(t *testing.T) {
	s := newServer(t, everything(t, nil))
	offered := map[string]bool{}
	for _, request := range s.requests() {
		offered[request] = true
		if operations[request].summary == "" {
			t.Errorf("%s isn't described", request)
		}
	}
	for request := range operations {
		if !offered[request] {
			t.Errorf("%s is described, but not answered", request)
		}
	}
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	resp, text := ask(t, s, "GET", "/openapi.json", "localhost")
	var doc struct {
		OpenAPI string `json:"openapi"`
		Paths   map[string]map[string]struct {
			Parameters []struct{ Name, In string }
		}
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil || resp.StatusCode != 200 || doc.OpenAPI != "3.0.3" {
		t.Fatalf("%d %v %s", resp.StatusCode, err, text)
	}
	for request := range offered {
		method, path, _ := strings.Cut(request, " ")
		o, there := doc.Paths[path][strings.ToLower(method)]
		if !there {
			t.Errorf("%s isn't in the document", request)
		}
		for _, p := range o.Parameters {
			if p.In == "path" && !strings.Contains(path, "{"+p.Name+"}") {
				t.Errorf("%s: %+v", request, p)
			}
		}
	}
}

// On TCP, tokens open what their scopes say; what is changed is noted with the token's
// name, refusals too.
func TestTokens(t *testing.T) {
	var noted []Change
	s := newServer(t, everything(t, func(c Change) { noted = append(noted, c) }))
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	f := func(method, path, token string, want int) {
		t.Helper()
		r, err := http.NewRequest(method, "http://"+s.Addr().String()+path, strings.NewReader(`{"api":"a","stage":"s"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Close = true
		r.Header.Set("Content-Type", jsonType)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s %s with %q: status %d, want %d", method, path, token, resp.StatusCode, want)
		}
	}
	f("POST", "/promote", "", 409) // there are no tokens yet
	sum := func(text string) string {
		b := sha256.Sum256([]byte(text))
		return hex.EncodeToString(b[:])
	}
	s.SetTokens([]Token{{"reader", sum("r-1"), []string{"read"}}, {"ci", sum("c-1"), []string{"deploy"}}, {"keys", sum("k-1"), []string{"keys"}}})
	for _, path := range []string{"/health/live", "/health/ready"} {
		if r, _ := ask(t, s, "GET", path, "localhost"); r.StatusCode == 401 {
			t.Errorf("%s needs a token", path)
		}
	}
	for _, path := range []string{"/health/live", "/keys"} { // who shows no token keeps no connection
		if r, _ := ask(t, s, "GET", path, "localhost"); !r.Close {
			t.Errorf("%s: the connection is kept", path)
		}
	}
	f("GET", "/deployments?api=a", "", 401)
	f("GET", "/deployments?api=a", "r-2", 401)
	f("GET", "/deployments?api=a", sum("r-1"), 401)
	f("GET", "/deployments?api=a", "r-1", 200)
	f("GET", "/deployments?api=a", "c-1", 403)
	f("POST", "/promote", "r-1", 403)
	f("POST", "/promote", "k-1", 403)
	f("POST", "/promote", "c-1", 409)
	f("DELETE", "/keys/x", "c-1", 403)
	f("DELETE", "/keys/x", "k-1", 404)
	f("POST", "/caches/flush", "c-1", 403)
	f("GET", "/debug/pprof/cmdline", "r-1", 403)
	f("GET", "/traces", "r-1", 403) // they have what clients sent
	f("POST", "/invoke", "r-1", 403)
	f("GET", "/none", "", 401) // it isn't told what there is
	last := noted[len(noted)-1]
	if !strings.HasPrefix(last.By, "token keys, 127.0.0.1") || last.What != "DELETE /keys/x" || last.Status != 404 || last.Failure == "" {
		t.Errorf("noted: %+v", last)
	}
	s.SetTokens(nil)
	f("GET", "/deployments?api=a", "", 200)
}
