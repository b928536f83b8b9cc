package integration

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// fakeBackend answers with what answer fills in, and keeps what it was sent.
type fakeBackend struct {
	url     string
	options *config.Backend
	sent    proxy.Outgoing
	answer  func(back *proxy.Response)
	err     error
}

func (b *fakeBackend) Send(_ context.Context, ex *proxy.Exchange) error {
	b.sent = ex.Out
	b.sent.Fields = slices.Clone(ex.Out.Fields)
	if b.err != nil {
		return b.err
	}
	ex.Back = proxy.Response{Status: 200, Fields: ex.Back.Fields[:0]}
	if b.answer != nil {
		b.answer(&ex.Back)
	}
	return nil
}

// bodyText is a proxy.Body.
type bodyText struct{ io.Reader }

func (bodyText) Trailers() http1.Fields { return nil }

// setup is one route with its backend.
type setup struct {
	t       testing.TB
	kind    proxy.Kind
	route   proxy.Route
	options proxy.Options
	backend fakeBackend
	line    *proxy.Pipeline
}

// newSetup returns a route "ANY resource" of the API a1b2c3 with in.
func newSetup(t testing.TB, kind proxy.Kind, resource string, in config.Integration, responses map[string]config.Response) *setup {
	s := &setup{t: t, kind: kind}
	stage := &proxy.Stage{
		API:       &proxy.API{Name: "pets", ID: "a1b2c3", Type: "rest"},
		Name:      "dev",
		Variables: map[string]string{"host": "vars.example:8443", "v": "v2", "empty": "", "all": "example.com/deep?x=1"},
	}
	s.route = proxy.Route{Stage: stage, Key: "ANY " + resource, Verb: "ANY", Resource: resource, Kind: kind.Name}
	s.options = proxy.Options{Config: &config.Config{Backend: map[string]config.Backend{"group": {MaxIdle: 7}}}, Integration: &in, Responses: responses}
	return s
}

func (s *setup) steps() (proxy.Steps, error) {
	return s.kind.New(proxy.Build{
		Route: &s.route,
		Backend: func(url string, o *config.Backend) (proxy.Backend, error) {
			s.backend.url, s.backend.options = url, o
			return &s.backend, nil
		},
	}, s.options)
}

func (s *setup) compile() *setup {
	s.t.Helper()
	steps, err := s.steps()
	if err != nil {
		s.t.Fatalf("%v (%#v)", err, err)
	}
	s.line = proxy.NewPipeline(steps)
	return s
}

// begin returns an exchange for "METHOD /path?query" with the fields "Name: value".
func (s *setup) begin(ex *proxy.Exchange, request string, fields ...string) *proxy.Exchange {
	ex.Begin(time.Unix(1700000000, 0), nil)
	ex.ID, ex.ExtendedID = "3b241101-e2bb-4255-8caf-4136c566a962", "Mc7UVioPPHcEKPA="
	ex.Route = &s.route
	method, target, _ := strings.Cut(request, " ")
	path, query, hasQuery := strings.Cut(target, "?")
	ex.Method, ex.Path, ex.FullPath = method, path, "/dev"+path
	ex.In.Method, ex.In.Path, ex.In.RawQuery, ex.In.HasQuery = method, "/dev"+path, query, hasQuery
	ex.In.Scheme, ex.In.Host, ex.In.Port, ex.In.Proto = "https", "pets.localhost", "8443", "HTTP/1.1"
	ex.In.Client = netip.MustParseAddrPort("192.0.2.60:5555")
	ex.In.Local = netip.MustParseAddrPort("198.51.100.1:8443")
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		ex.In.Fields.Add(name, value)
	}
	return ex
}

// run takes an exchange through the pipeline.
func (s *setup) run(ex *proxy.Exchange) *proxy.Exchange {
	s.line.Run(context.Background(), ex, 1<<20)
	return ex
}

// do sends a request without path parameters.
func (s *setup) do(request string, fields ...string) *proxy.Exchange {
	return s.run(s.begin(&proxy.Exchange{}, request, fields...))
}

// ours are the fields that every reply gets from the pipeline.
func withoutOurs(fs http1.Fields) string {
	var lines []string
	for _, f := range fs {
		if f.Name != "x-amzn-RequestId" && f.Name != "x-amz-apigw-id" {
			lines = append(lines, f.Name+": "+f.Value)
		}
	}
	return strings.Join(lines, "\n")
}

// wantErrors checks that err holds just these *config.KeyError, as
// "path.to.key: part of the text | part of the hint".
func wantErrors(t *testing.T, err error, want ...string) {
	t.Helper()
	var got []*config.KeyError
	var collect func(error)
	collect = func(err error) {
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range joined.Unwrap() {
				collect(e)
			}
			return
		}
		var key *config.KeyError
		if !errors.As(err, &key) {
			t.Errorf("%v (%T) isn't a *config.KeyError", err, err)
			return
		}
		got = append(got, key)
	}
	if err != nil {
		collect(err)
	}
	for i, w := range want {
		if i >= len(got) {
			t.Errorf("missing: %s", w)
			continue
		}
		path, rest, _ := strings.Cut(w, ": ")
		text, hint, _ := strings.Cut(rest, " | ")
		g := got[i]
		if strings.Join(g.Path, ".") != path || !strings.Contains(g.Text, text) || !strings.Contains(g.Hint, hint) {
			t.Errorf("got  %s: %s | %s\nwant %s", strings.Join(g.Path, "."), g.Text, g.Hint, w)
		}
	}
	for _, g := range got[min(len(want), len(got)):] {
		t.Errorf("not expected: %s: %s | %s", strings.Join(g.Path, "."), g.Text, g.Hint)
	}
}

// texts are templates by media type.
func texts(all map[string]string) map[string]config.Template {
	templates := map[string]config.Template{}
	for mediaType, text := range all {
		templates[mediaType] = config.Template{Text: text}
	}
	return templates
}

// mustAddrPort is netip.MustParseAddrPort that takes "" for no address.
func mustAddrPort(s string) netip.AddrPort {
	if s == "" {
		return netip.AddrPort{}
	}
	return netip.MustParseAddrPort(s)
}
