package authorizer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// fakeFunction answers events as the test wants it to.
type fakeFunction struct {
	version string
	calls   atomic.Int64
	answer  func(ctx context.Context, event []byte) (string, error)
}

func (f *fakeFunction) Version() string { return f.version }

func (f *fakeFunction) Invoke(ctx context.Context, _ *proxy.Exchange, event []byte) ([]byte, error) {
	f.calls.Add(1)
	answer, err := f.answer(ctx, bytes.Clone(event))
	return []byte(answer), err
}

// allowing is an answer that allows resources.
func allowing(resources ...string) string {
	list, _ := json.Marshal(resources)
	return `{"principalId":"anna","policyDocument":{"Version":"2012-10-17","Statement":[{"Action":"execute-api:Invoke","Effect":"Allow","Resource":` +
		string(list) + `}]},"context":{"n":1}}`
}

// perRequest is a function that allows just the method it is asked about, and says
// in the context what it was asked.
func perRequest(_ context.Context, event []byte) (string, error) {
	var e struct{ MethodArn, AuthorizationToken string }
	if err := json.Unmarshal(event, &e); err != nil {
		return "", err
	}
	return allowing(e.MethodArn), nil
}

// rig has authorizers with functions, on routes of stages of one API.
type rig struct {
	t         testing.TB
	decisions *Decisions
	stages    map[string]*proxy.Stage
	now       time.Time
}

func newRig(t testing.TB) *rig {
	r := &rig{t: t, decisions: NewDecisions(), stages: map[string]*proxy.Stage{}, now: time.Now()}
	t.Cleanup(r.decisions.Close)
	return r
}

// route returns a route of a stage; the stage begins as one without variables.
func (r *rig) route(stage, key string) *proxy.Route {
	if r.stages[stage] == nil {
		api := &proxy.API{Name: "pets", ID: "pets", Type: "rest", Region: "local", AccountID: "000000000000"}
		r.stages[stage] = &proxy.Stage{API: api, Name: stage}
	}
	verb, path, _ := strings.Cut(key, " ")
	return &proxy.Route{Stage: r.stages[stage], Key: key, Verb: verb, Resource: path, ResourceID: "r1"}
}

// build builds an authorizer of type wasm on a route, whose plugin is f.
func (r *rig) build(route *proxy.Route, name string, a config.Authorizer, f *fakeFunction) (proxy.Step, error) {
	a.Type, a.Plugin = "wasm", "p"
	return r.kind(Wasm(Options{Decisions: r.decisions}), route, name, a, proxy.Build{
		Plugin:   func(proxy.Role, string) (proxy.Steps, error) { return proxy.Steps{}, errors.New("no decider") },
		Function: func(string) (proxy.Function, error) { return f, nil },
	})
}

func (r *rig) kind(k proxy.Kind, route *proxy.Route, name string, a config.Authorizer, b proxy.Build) (proxy.Step, error) {
	b.Logger, b.Route = zap.NewNop(), route
	b.Shared = func(_ any, build func() any) any { return build() }
	if a.PayloadFormat == "" {
		a.PayloadFormat = "1.0"
	}
	steps, err := k.New(b, proxy.Options{Config: &config.Config{}, Authorizer: &a, Name: name})
	return steps[proxy.MethodRequest], err
}

// must is build for what can't fail.
func (r *rig) must(route *proxy.Route, name string, a config.Authorizer, f *fakeFunction) proxy.Step {
	r.t.Helper()
	s, err := r.build(route, name, a, f)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// exchange is a request "VERB /path?query" to route with header fields "Name: value".
func (r *rig) exchange(route *proxy.Route, request string, fields ...string) *proxy.Exchange {
	ex := &proxy.Exchange{}
	ex.Begin(r.now, nil)
	verb, target, _ := strings.Cut(request, " ")
	path, query, _ := strings.Cut(target, "?")
	ex.ID, ex.Route, ex.Stage, ex.Method, ex.Path, ex.FullPath = "id-1", route, route.Stage, verb, path, "/"+route.Stage.Name+path
	ex.In.Method, ex.In.Path, ex.In.RawQuery, ex.In.Scheme, ex.In.Host = verb, ex.FullPath, query, "http", "pets.localhost"
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		ex.In.Fields = append(ex.In.Fields, http1.NewField(name, value))
	}
	return ex
}

// outcome runs an authorizer and then judges by the policy that it leaves, as what
// checks access does: "allowed", "denied", or the kind of the fault.
func outcome(s proxy.Step, ex *proxy.Exchange) string {
	_, err := s.Run(context.Background(), ex)
	var f proxy.Fault
	switch {
	case errors.As(err, &f):
		return f.Kind.String()
	case err != nil:
		return err.Error()
	case ex.Caller.Policy != nil && ex.Caller.Policy.Decide(ex, proxy.Invoke) != proxy.Allowed:
		return "denied"
	}
	return "allowed"
}

func ttl(d time.Duration) *config.Duration { return (*config.Duration)(&d) }

// byToken is an authorizer with event "token".
func byToken() config.Authorizer { return config.Authorizer{Event: "token"} }

// byRequest is an authorizer with event "request" and identity sources.
func byRequest(sources ...string) config.Authorizer {
	return config.Authorizer{Event: "request", IdentitySource: sources}
}

// together runs f on n goroutines at once.
func together(n int, f func(i int)) {
	var work sync.WaitGroup
	for i := range n {
		work.Go(func() { f(i) })
	}
	work.Wait()
}

var errDown = errors.New("down")

func wantKey(t *testing.T, err error, key string) {
	t.Helper()
	var k *config.KeyError
	if !errors.As(err, &k) || fmt.Sprint(k.Path) != "["+key+"]" {
		t.Errorf("got %v, want an error of %s", err, key)
	}
}
