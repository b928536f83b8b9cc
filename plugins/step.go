package plugins

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/sdk/abi"
)

// The time that a call may take unless the plugin's timeout says otherwise.
const (
	shortTimeout     = 50 * time.Millisecond // whatever stands between request and answer
	integrateTimeout = 5 * time.Second
)

// Kinds returns what plugins of g can be, each of type "wasm". Their steps keep
// the plugins alive as long as the snapshot.
func (g *Generation) Kinds() []proxy.Kind {
	return []proxy.Kind{
		{Name: "wasm", Role: proxy.DeciderKind, New: g.newAuthorizer},
		{Name: "wasm", Role: proxy.IntegrationKind, New: g.newIntegration},
		{Name: "wasm", Role: proxy.FilterKind, New: g.newFilter},
		{Name: "wasm", Role: proxy.ValidatorKind, New: g.newValidator},
		{Name: "wasm", Role: proxy.RequestMapperKind, New: g.newRequestMapper},
		{Name: "wasm", Role: proxy.ResponseMapperKind, New: g.newResponseMapper},
	}
}

// plugin returns the plugin called name, in which stage variables may stand, for one of
// roles. It is nil without an error when there is a finding about the plugin already.
func (g *Generation) plugin(b proxy.Build, name string, roles uint32) (*plugin, error) {
	expanded, missing := config.ExpandVariables(name, b.Route.Stage.Variables)
	if missing != "" {
		return nil, &config.KeyError{Path: []string{"plugin"}, Text: fmt.Sprintf("stage %q has no variable %q, which the name of the plugin has", b.Route.Stage.Name, missing)}
	}
	name = expanded
	if pinned, is := b.Pinned[name]; is {
		name = pinned
	}
	p := g.plugins[name]
	if p == nil {
		if g.failed[name] {
			return nil, nil
		}
		return nil, &config.KeyError{Path: []string{"plugin"}, Text: fmt.Sprintf("there is no plugin %q", name)}
	}
	if p.roles&roles == 0 {
		text := fmt.Sprintf("plugin %q can't %s: %s", name, verbs(roles), p.abilities())
		return nil, &config.KeyError{Path: []string{"plugin"}, Text: text}
	}
	g.host.acquire(p)
	b.OnClose(func() { g.host.release(p) })
	return p, nil
}

// step is what the steps of every role have in common.
type step struct {
	plugin    *plugin
	role      string
	phase     abi.Phase
	variables []proxy.Param // the stage's
	limit     time.Duration
	total     time.Duration // limit, and waiting for others; 0 for no bound
	account   *account
	optional  bool // on_error = "continue": a call that fails is as if it hadn't been
}

// newStep returns the step of p in a role, which may take fallback if the plugin
// has no timeout of its own.
func (p *plugin) newStep(b proxy.Build, role uint32, fallback time.Duration) step {
	s := step{
		plugin: p, variables: variablesOf(b.Route), limit: p.limit(fallback),
		account: p.host.account(p.name, b.Route.Stage.API.Name),
	}
	for _, r := range abi.Roles() {
		if r.Bit == role {
			s.role, s.phase = r.Name, r.Phase
		}
	}
	return s
}

// StepName implements proxy.NamedStep.
func (s *step) StepName() string { return "plugin " + s.plugin.name + " (" + s.role + ")" }

// variablesOf returns a stage's variables in the order of their names.
func variablesOf(r *proxy.Route) []proxy.Param {
	var list []proxy.Param
	for _, name := range slices.Sorted(maps.Keys(r.Stage.Variables)) {
		list = append(list, proxy.Param{Name: name, Value: r.Stage.Variables[name]})
	}
	return list
}

// begin takes an instance that is ready for a call about ex.
func (s *step) begin(ctx context.Context, ex *proxy.Exchange) (*instance, error) {
	if ex.Notes.PluginFailure == "" { // the first failure is the one to explain
		ex.Notes.Plugin, ex.Notes.PluginRole = s.plugin.name, s.role
	}
	in, err := s.instance(ctx, ex)
	if in == nil || err != nil {
		return nil, err
	}
	in.begin(s.phase, ex, s.variables, s.limit)
	in.caller, in.account = ctx, s.account
	if s.total > 0 {
		in.latest = in.began + int64(s.total)
	}
	return in, nil
}

// instance takes an instance for a call about ex: the one that remembers it, if
// the plugin is one whose guests do. It is nil without an error when the guest
// isn't to see the response, because the request didn't come to it.
func (s *step) instance(ctx context.Context, ex *proxy.Exchange) (*instance, error) {
	if s.phase != abi.Response || s.plugin.binding == nil {
		return s.plugin.take(ctx)
	}
	in, sees := s.plugin.binding.boundTo(s.plugin, ex)
	switch {
	case !sees:
		return nil, nil
	case in == nil:
		return s.plugin.take(ctx)
	}
	return in, s.plugin.bound.retake(in)
}

// fault says for the client what err, from begin or from a call, is, and notes
// it for the access record. A call that missed its deadline is of the kind late,
// any other that failed of the kind broken.
func (s *step) fault(ex *proxy.Exchange, err error, broken, late proxy.FaultKind) error {
	what, fault := s.faultOf(err, broken, late)
	if what != "" {
		s.note(&ex.Notes, what)
	}
	return fault
}

// faultOf is fault without the note, which is what; "" for an err that isn't the
// plugin's.
func (s *step) faultOf(err error, broken, late proxy.FaultKind) (what string, fault error) {
	var f *failure
	if !errors.As(err, &f) {
		if errors.Is(err, proxy.Fault{Kind: proxy.Overloaded}) {
			what = "busy"
		}
		return what, err
	}
	kind := broken
	if f.what == "deadline" {
		kind = late
	}
	return f.what, proxy.Fault{Kind: kind, Cause: fmt.Errorf("plugin %q, %s: %w", s.plugin.name, s.role, err)}
}

func (s *step) note(notes *proxy.Notes, what string) {
	if notes.PluginFailure == "" {
		notes.Plugin, notes.PluginRole, notes.PluginFailure = s.plugin.name, s.role, what
	}
}

// failed is fault for filters, mappings and validators; nil if the exchange
// shall go on without the call.
func (s *step) failed(ex *proxy.Exchange, err error) error {
	fault := s.fault(ex, err, proxy.PluginFailure, proxy.PluginTimeout)
	var f *failure
	if s.optional && (errors.As(err, &f) || errors.Is(err, proxy.Fault{Kind: proxy.Overloaded})) && !errors.As(err, new(final)) {
		return nil
	}
	return fault
}

// wholeBody is part of a step whose guest sees the request's content.
type wholeBody struct{}

// NeedsWholeBody makes the pipeline read the content first, so that no instance
// waits for a client.
func (wholeBody) NeedsWholeBody() {}
