package responsecache

import (
	"context"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// origin is a backend that answers as the test wants it to.
type origin struct {
	calls  atomic.Int64
	answer func(ctx context.Context, ex *proxy.Exchange) error
}

// Send implements proxy.Backend.
func (o *origin) Send(ctx context.Context, ex *proxy.Exchange) error {
	o.calls.Add(1)
	return o.answer(ctx, ex)
}

// reply is an integration response that passes everything.
type reply struct{}

func (reply) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	fields := append(ex.Reply.Fields[:0], ex.Back.Fields...)
	ex.Reply = ex.Back
	ex.Reply.Fields = fields
	return proxy.Continue, nil
}

// says answers 200 with content and header fields "Name: value".
func says(content string, fields ...string) func(context.Context, *proxy.Exchange) error {
	return func(_ context.Context, ex *proxy.Exchange) error {
		answer(ex, 200, content, fields...)
		return nil
	}
}

func answer(ex *proxy.Exchange, status int, content string, fields ...string) {
	ex.Back = proxy.Response{Status: status, Fields: ex.Back.Fields[:0], Length: http1.Unknown, Body: body{strings.NewReader(content)}}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		ex.Back.Fields.Add(name, value)
	}
}

// body is content without trailers.
type body struct{ io.Reader }

func (body) Trailers() http1.Fields { return nil }

// rig is one route with a cache.
type rig struct {
	t      testing.TB
	memory *Memory
	origin *origin
	route  *proxy.Route
	cfg    *config.Config
	close  []func()
	shared map[any]any
}

// stageCacheOf is the table of a stage's cache with its defaults.
func stageCacheOf() *config.StageCache {
	return &config.StageCache{
		Enabled: true, Size: 4 << 20, TTL: config.Duration(time.Minute), MaxEntry: 64 << 10,
		Wait: config.Duration(5 * time.Second), RequireAuthorization: true, Unauthorized: warnUnauthorized,
	}
}

// newRig returns a route "GET /a" whose integration is in, on a stage with cache.
func newRig(t testing.TB, cache *config.StageCache, in config.Integration) *rig {
	r := &rig{t: t, memory: NewMemory(), origin: &origin{}, shared: map[any]any{}}
	in.Type = "http_proxy"
	stage := config.Stage{Cache: cache}
	r.cfg = &config.Config{API: map[string]config.API{"x": {
		Type: "rest", Stage: map[string]config.Stage{"s": stage}, Route: map[string]config.Route{"GET /a": {Integration: in}},
	}}}
	r.route = &proxy.Route{
		Stage: &proxy.Stage{API: &proxy.API{Name: "x", ID: "x"}, Name: "s"},
		Key:   "GET /a", Verb: "GET", Resource: "/a", ResourceID: "r1",
	}
	t.Cleanup(func() {
		for _, f := range r.close {
			f()
		}
		if all := r.memory.Caches(); len(all) > 0 {
			t.Errorf("caches that nobody has given back: %v", all)
		}
		r.memory.Close()
	})
	r.build()
	return r
}

// build compiles the route as a snapshot does.
func (r *rig) build() {
	r.t.Helper()
	route := r.cfg.API["x"].Route["GET /a"]
	b := proxy.Build{
		Logger: zap.NewNop(), Route: r.route, OnClose: func(f func()) { r.close = append(r.close, f) },
		Backend: func(string, *config.Backend) (proxy.Backend, error) { return r.origin, nil },
		Shared: func(key any, build func() any) any {
			if _, made := r.shared[key]; !made {
				r.shared[key] = build()
			}
			return r.shared[key]
		},
	}
	steps, err := Kind(r.memory).New(b, proxy.Options{Config: r.cfg, Route: &route})
	if err != nil {
		r.t.Fatal(err)
	}
	backend := proxy.Backend(r.origin)
	around := Around(proxy.Kind{New: func(b proxy.Build, _ proxy.Options) (proxy.Steps, error) {
		backend, err = b.Backend("", nil)
		return proxy.Steps{}, err
	}}, r.memory)
	if _, err := around.New(b, proxy.Options{Config: r.cfg, Integration: &route.Integration}); err != nil {
		r.t.Fatal(err)
	}
	r.route.Pipeline = proxy.NewPipeline(steps, proxy.Steps{
		proxy.Integration: sending{backend}, proxy.IntegrationResponse: reply{},
	})
}

// sending is the step of the phase Integration.
type sending struct{ to proxy.Backend }

func (s sending) Run(ctx context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	ex.Out.Method, ex.Out.Host, ex.Out.Target, ex.Out.Timeout = ex.Method, "b", ex.Path, time.Second
	if ex.In.HasQuery {
		ex.Out.Target = ex.Text.Concat(ex.Path, "?", ex.In.RawQuery)
	}
	ex.Out.Fields = append(ex.Out.Fields[:0], ex.In.Fields...)
	return proxy.Continue, s.to.Send(ctx, ex)
}

// fill makes ex a request "VERB /path?query" with header fields.
func (r *rig) fill(ex *proxy.Exchange, request string, fields ...string) *proxy.Exchange {
	ex.Begin(time.Now(), nil)
	verb, target, _ := strings.Cut(request, " ")
	ex.ID, ex.Route, ex.Stage = "id", r.route, r.route.Stage
	ex.Method, ex.In.Method = verb, verb
	ex.Path, ex.In.RawQuery, ex.In.HasQuery = strings.Cut(target, "?")
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		ex.In.Fields.Add(name, value)
	}
	return ex
}

// do sends a request and returns status and content.
func (r *rig) do(request string, fields ...string) (int, string) {
	r.t.Helper()
	return r.run(r.t.Context(), r.fill(&proxy.Exchange{}, request, fields...))
}

func (r *rig) run(ctx context.Context, ex *proxy.Exchange) (int, string) {
	ex.Route.Pipeline.Run(ctx, ex, 1<<20)
	defer ex.End()
	content := string(ex.Reply.Content)
	if ex.Reply.Body != nil {
		rest, _ := io.ReadAll(ex.Reply.Body)
		content += string(rest)
	}
	return ex.Reply.Status, content
}

// want sends a request and holds what comes against status and content.
func (r *rig) want(status int, content, request string, fields ...string) {
	r.t.Helper()
	if got, text := r.do(request, fields...); got != status || text != content {
		r.t.Errorf("%s %v: got %d %q, want %d %q", request, fields, got, text, status, content)
	}
}

// called holds the calls of the backend so far against n.
func (r *rig) called(n int64) {
	r.t.Helper()
	if got := r.origin.calls.Load(); got != n {
		r.t.Errorf("the backend was called %d times, want %d", got, n)
	}
}
