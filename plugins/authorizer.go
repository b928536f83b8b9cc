package plugins

import (
	"context"
	"fmt"
	"strings"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/sdk/abi"
)

// authorizer is the method request step of a Wasm authorizer.
type authorizer struct {
	step
	abi          authorizerABI
	sources      []source
	denied       error
	unauthorized error
}

// readingAuthorizer is an authorizer that sees the request's content.
type readingAuthorizer struct {
	*authorizer
	wholeBody
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
		step: p.newStep(b, abi.RoleAuthorize, shortTimeout), abi: p.module.abi.(authorizerABI),
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
	if p.readsRequests {
		steps[proxy.MethodRequest] = readingAuthorizer{authorizer: a}
	}
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
	in, err := a.begin(ctx, ex)
	if err != nil {
		return proxy.Continue, a.failed(ex, err)
	}
	decision, message, err := a.ask(in, ex)
	a.plugin.give(in, err)
	switch {
	case err != nil:
		return proxy.Continue, a.failed(ex, err)
	case decision == abi.Allow:
		return proxy.Continue, nil
	case message != "":
		return proxy.Continue, proxy.Fault{Kind: against(decision), Message: message}
	case decision == abi.Deny:
		return proxy.Continue, a.denied
	}
	return proxy.Continue, a.unauthorized
}

// against is the fault for a decision against the caller.
func against(decision int32) proxy.FaultKind {
	if decision == abi.Deny {
		return proxy.AccessDenied
	}
	return proxy.Unauthorized
}

// ask calls the guest and, when it allows, takes over who it says calls; when
// it doesn't, what it wants the client to be told.
func (a *authorizer) ask(in *instance, ex *proxy.Exchange) (decision int32, message string, err error) {
	decision, err = a.abi.authorize(in)
	switch {
	case err != nil:
		return 0, "", err
	case decision == abi.Allow:
		ex.Caller.Principal = in.principal
		ex.Caller.Context = append(ex.Caller.Context[:0], in.context...)
		return decision, "", nil
	case decision == abi.Deny, decision == abi.Unauthenticated:
		return decision, in.draft.message, nil
	}
	return 0, "", &failure{"answer", fmt.Errorf("the decision is %d", decision)}
}

// failed is the fault for a call that came to no decision: never an allow.
func (a *authorizer) failed(ex *proxy.Exchange, err error) error {
	return a.fault(ex, err, proxy.AuthorizerFailure, proxy.AuthorizerFailure)
}
