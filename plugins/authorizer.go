package plugins

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/sdk/abi"
)

const (
	authorizeTimeout = 50 * time.Millisecond
	integrateTimeout = 5 * time.Second
)

// Kinds returns the integration "wasm" and the authorizer "wasm" over the
// plugins of g. Their steps keep the plugins alive as long as the snapshot.
func (g *Generation) Kinds() []proxy.Kind {
	return []proxy.Kind{
		{Name: "wasm", Role: proxy.AuthorizerKind, New: g.newAuthorizer},
		{Name: "wasm", Role: proxy.IntegrationKind, New: g.newIntegration},
	}
}

// plugin returns the plugin called name for a role. It is nil without an error
// when there is a finding about the plugin already.
func (g *Generation) plugin(b proxy.Build, name string, role uint32) (*plugin, error) {
	p := g.plugins[name]
	if p == nil {
		if g.failed[name] {
			return nil, nil
		}
		return nil, &config.KeyError{Path: []string{"plugin"}, Text: fmt.Sprintf("there is no plugin %q", name)}
	}
	if p.roles&role == 0 {
		text := fmt.Sprintf("plugin %q can't %s: %s", name, verbs(role), p.abilities())
		return nil, &config.KeyError{Path: []string{"plugin"}, Text: text}
	}
	g.host.acquire(p)
	b.OnClose(func() { g.host.release(p) })
	return p, nil
}

// variablesOf returns a stage's variables in the order of their names.
func variablesOf(r *proxy.Route) []proxy.Param {
	var list []proxy.Param
	for _, name := range slices.Sorted(maps.Keys(r.Stage.Variables)) {
		list = append(list, proxy.Param{Name: name, Value: r.Stage.Variables[name]})
	}
	return list
}

// authorizer is the method request step of a Wasm authorizer.
type authorizer struct {
	plugin       *plugin
	abi          authorizerABI
	sources      []source
	variables    []proxy.Param
	limit        time.Duration
	denied       error
	unauthorized error
}

// source is where a caller's identity stands in a request.
type source struct {
	query bool // else a header
	name  string
}

func (g *Generation) newAuthorizer(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
	p, err := g.plugin(b, o.Authorizer.Plugin, abi.RoleAuthorize)
	if p == nil || err != nil {
		return proxy.Steps{}, err
	}
	a := &authorizer{
		plugin: p, abi: p.module.abi.(authorizerABI), variables: variablesOf(b.Route), limit: p.limit(authorizeTimeout),
		denied:       proxy.Fault{Kind: proxy.AccessDenied},
		unauthorized: proxy.Fault{Kind: proxy.Unauthorized},
	}
	for i, text := range o.Authorizer.IdentitySource {
		s, ok := parseSource(text)
		if !ok {
			return proxy.Steps{}, &config.KeyError{
				Path: []string{"identity_source", fmt.Sprint(i)},
				Text: fmt.Sprintf("%q isn't an identity source", text),
				Hint: "method.request.header.NAME or method.request.querystring.NAME",
			}
		}
		a.sources = append(a.sources, s)
	}
	var steps proxy.Steps
	steps[proxy.MethodRequest] = a
	return steps, nil
}

func parseSource(text string) (source, bool) {
	if name, ok := strings.CutPrefix(text, "method.request.header."); ok {
		return source{name: name}, name != ""
	}
	name, ok := strings.CutPrefix(text, "method.request.querystring.")
	return source{query: true, name: name}, ok && name != ""
}

// present reports whether the source is there and not blank. AWS: a missing,
// null or empty source is a 401 without a call of the authorizer.
func (s *source) present(p *proxy.Passing, ex *proxy.Exchange) bool {
	if !s.query {
		value, _ := header(p, ex.In.Fields, s.name)
		return strings.TrimSpace(value) != ""
	}
	raw, _ := queryValue(ex.In.RawQuery, s.name)
	for raw != "" {
		c, n := plusIsSpace.next(raw)
		if c > ' ' {
			return true
		}
		raw = raw[n:]
	}
	return false
}

// Run asks the plugin. Only its word Allow lets the request pass.
func (a *authorizer) Run(ctx context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	if len(a.sources) > 0 {
		passing := proxy.PassingOf(ex.In.Fields)
		for i := range a.sources {
			if !a.sources[i].present(&passing, ex) {
				return proxy.Continue, a.unauthorized
			}
		}
	}
	ex.Notes.Plugin = a.plugin.name
	in, err := a.plugin.take(ctx)
	if err != nil {
		return proxy.Continue, a.failed(ex, err)
	}
	decision, err := a.ask(in, ex)
	a.plugin.give(in, err)
	switch {
	case err != nil:
		return proxy.Continue, a.failed(ex, err)
	case decision == abi.Allow:
		return proxy.Continue, nil
	case decision == abi.Deny:
		return proxy.Continue, a.denied
	case decision == abi.Unauthenticated:
		return proxy.Continue, a.unauthorized
	}
	return proxy.Continue, a.failed(ex, &failure{"answer", fmt.Errorf("the decision is %d", decision)})
}

// ask calls the guest and, when it allows, takes over who it says calls.
func (a *authorizer) ask(in *instance, ex *proxy.Exchange) (decision int32, err error) {
	in.begin(abi.Authorize, ex, a.variables, a.limit)
	if decision, err = a.abi.authorize(in); err != nil {
		return 0, err
	}
	if decision == abi.Allow {
		ex.Caller.Principal = in.principal
		ex.Caller.Context = append(ex.Caller.Context[:0], in.context...)
	}
	return decision, nil
}

// failed is the fault for a call that came to no decision: never an allow.
func (a *authorizer) failed(ex *proxy.Exchange, err error) error {
	return a.plugin.fault(ex, err, func(string) proxy.FaultKind { return proxy.AuthorizerFailure })
}
