package snapshot

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// rollouts compiles one configuration again and again, each time with the snapshot
// before, and counts what its kind builds and lets go of.
type rollouts struct {
	t       *testing.T
	cfg     *config.Config
	running map[string]Running // by "api:stage"
	mirror  func(api, stage string, c *config.Shadow) proxy.Mirror
	broken  string // an API whose routes can't be built

	built  []string       // "api:stage deployment", once for each time
	held   map[string]int // of "api:stage" and "shared by version", what isn't closed yet
	kept   []string       // backends that live on
	serves *Snapshot
}

// named is a backend that can be told from others.
type named struct {
	proxy.Backend
	url string
}

func (r *rollouts) kind() proxy.Kind {
	hold := func(b proxy.Build, what string) {
		r.held[what]++
		b.OnClose(func() { r.held[what]-- })
	}
	return proxy.Kind{Name: "mock", Role: proxy.IntegrationKind, New: func(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
		api, stage := b.Route.Stage.API.Name, b.Route.Stage.Name
		if api == r.broken {
			return proxy.Steps{}, fmt.Errorf("broken")
		}
		if b.Route.Stage.Canary {
			stage += "/canary"
		}
		name := api + ":" + stage
		r.built = append(r.built, name+" "+b.Route.Stage.Deployment)
		hold(b, name)
		_, _ = b.Backend("http://"+name, nil)
		b.Shared("one", func() any {
			hold(b, "shared")
			_, _ = b.Backend("http://shared", nil)
			return nil
		})
		return proxy.Steps{proxy.Integration: trail("x")}, nil
	}}
}

// roll compiles what runs now, and closes the snapshot before if that can be done.
func (r *rollouts) roll(running map[string]Running, wantBuilt ...string) {
	r.t.Helper()
	r.running, r.built, r.kept = running, nil, nil
	s, findings := Compile(r.cfg, Options{
		Kinds:   []proxy.Kind{r.kind()},
		Backend: func(url string, _ *config.Backend) (proxy.Backend, error) { return &named{url: url}, nil },
		Running: func(api, stage string) Running { return r.running[api+":"+stage] },
		Before:  r.serves, Keep: func(b proxy.Backend) { r.kept = append(r.kept, b.(*named).url) },
		Mirror: r.mirror,
	})
	if r.broken == "" {
		if len(findings) > 0 {
			r.t.Fatal(findings.Text())
		}
		if r.serves != nil {
			r.serves.Close()
		}
		r.serves = s
	}
	if !slices.Equal(r.built, wantBuilt) {
		r.t.Errorf("built %q, want %q", r.built, wantBuilt)
	}
}

// holds fails unless that many things are held.
func (r *rollouts) holds(want map[string]int) {
	r.t.Helper()
	maps.DeleteFunc(r.held, func(_ string, n int) bool { return n == 0 })
	if !maps.Equal(r.held, want) {
		r.t.Errorf("held: %v, want %v", r.held, want)
	}
}

func (r *rollouts) route(api, stage string) *proxy.Route {
	r.t.Helper()
	ex := request("GET", api+".localhost", "/"+stage+"/pets")
	if f, ok := r.serves.Match(ex); !ok {
		r.t.Fatal(f)
	}
	ex.Route.Pipeline.Run(context.Background(), ex, 1)
	if got := string(ex.Reply.Content); got != "x" {
		r.t.Errorf("answered %q", got)
	}
	return ex.Route
}

func newRollouts(t *testing.T) *rollouts {
	cfg := oneAPI("GET /pets")
	one := cfg.API["a"]
	one.Stage = map[string]config.Stage{"s": {}, "t": {}}
	cfg.API["a"] = one
	cfg.API["b"] = config.API{Type: "rest", Route: one.Route, Stage: map[string]config.Stage{
		"s": {Variables: map[string]string{"v": "1"}, Canary: &config.Canary{Variables: map[string]string{"v": "2"}}},
	}}
	return &rollouts{t: t, cfg: cfg, held: map[string]int{}}
}

// Going from one deployment to another builds what changes and uses the rest again, which
// is held until nothing uses it any more.
func TestAgain(t *testing.T) {
	r := newRollouts(t)
	older := *r.cfg
	now, then := Deployed{Number: 2}, Deployed{Config: &older, Number: 1}
	first := map[string]Running{"a:s": {All: now}, "a:t": {All: now}, "b:s": {All: now}}
	r.roll(first, "a:s 2", "a:t 2", "b:s 2", "b:s/canary 2")
	r.holds(map[string]int{"a:s": 1, "a:t": 1, "b:s": 1, "b:s/canary": 1, "shared": 1})
	s, other, b := r.route("a", "s"), r.route("a", "t"), r.route("b", "s")

	r.roll(map[string]Running{"a:s": {All: then}, "a:t": {All: now}, "b:s": {All: now}}, "a:s 1")
	r.holds(map[string]int{"a:s": 1, "a:t": 1, "b:s": 1, "b:s/canary": 1, "shared": 2})
	slices.Sort(r.kept)
	if want := []string{"http://a:t", "http://b:s", "http://b:s/canary", "http://shared"}; !slices.Equal(slices.Compact(r.kept), want) {
		t.Errorf("backends that live on: %q, want %q", r.kept, want)
	}
	if r.route("a", "s") == s || r.route("a", "t") != other || r.route("b", "s") != b {
		t.Error("not the routes that were to be used again")
	}

	// Requests under way keep what they run.
	busy := r.serves
	if !busy.Acquire() {
		t.Fatal("closed")
	}
	r.roll(first, "a:s 2")
	r.holds(map[string]int{"a:s": 2, "a:t": 1, "b:s": 1, "b:s/canary": 1, "shared": 3})
	busy.Release()
	r.holds(map[string]int{"a:s": 1, "a:t": 1, "b:s": 1, "b:s/canary": 1, "shared": 2})

	// A canary's share is no part of what is built; variables are.
	all := 100.0
	moved := maps.Clone(first)
	moved["b:s"] = Running{All: now, Percent: &all}
	r.roll(moved)
	if got := r.route("b", "s"); got == b || !got.Stage.Canary {
		t.Errorf("not the canary: %+v", got.Stage)
	}
	moved["b:s"] = Running{All: now, Variables: map[string]string{"v": "2"}}
	r.roll(moved, "b:s 2")
	if got := r.route("b", "s"); got.Stage.Variables["v"] != "2" {
		t.Errorf("variables %v", got.Stage.Variables)
	}

	// What can't be built leaves nothing.
	r.broken = "a"
	r.roll(map[string]Running{"a:s": {All: then}, "a:t": {All: now}, "b:s": moved["b:s"]})
	r.broken = ""
	r.holds(map[string]int{"a:s": 1, "a:t": 1, "b:s": 1, "b:s/canary": 1, "shared": 3})

	// Another configuration is compiled whole, however equal.
	copied := *r.cfg
	r.cfg = &copied
	r.roll(first, "a:s 2", "a:t 2", "b:s 2", "b:s/canary 2")
	r.holds(map[string]int{"a:s": 1, "a:t": 1, "b:s": 1, "b:s/canary": 1, "shared": 1})

	// A snapshot that is closed is nobody's Before.
	r.serves.Close()
	r.holds(nil)
	r.roll(first, "a:s 2", "a:t 2", "b:s 2", "b:s/canary 2")
	r.serves.Close()
	r.holds(nil)
}

// mirrored takes all copies.
type mirrored struct{ to proxy.Shadow }

func (m *mirrored) Begin(_ *proxy.Exchange, to proxy.Shadow) { m.to = to }
func (m *mirrored) Watch(next proxy.Step) proxy.Step         { return next }

// Copies of a stage that is used again go to what the other stage runs now.
func TestAgainShadow(t *testing.T) {
	r := newRollouts(t)
	api := r.cfg.API["a"]
	api.Stage["s"] = config.Stage{Shadow: &config.Shadow{Stage: "t"}}
	m := &mirrored{}
	r.mirror = func(string, string, *config.Shadow) proxy.Mirror { return m }
	older := *r.cfg
	r.roll(nil, "a:s ", "a:t ", "b:s ", "b:s/canary ")
	r.roll(map[string]Running{"a:t": {All: Deployed{Config: &older, Number: 1}}}, "a:t 1")
	r.route("a", "s")
	if !m.to.Hold() {
		t.Fatal("the shadow is gone")
	}
	defer m.to.Release()
	ex := request("GET", "a.localhost", "/s/pets")
	ex.Path, ex.Method = "/pets", "GET"
	if f, ok := m.to.Enter(ex); !ok || ex.Route != r.route("a", "t") {
		t.Errorf("%v, a copy goes to %+v", f, ex.Route)
	}
	r.serves.Close()
}
