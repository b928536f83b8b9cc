package plugins

import (
	"context"
	"fmt"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/sdk/abi"
)

// authorizer is the step of a plugin that decides by itself who may call.
type authorizer struct {
	step
	abi          authorizerABI
	denied       error
	unauthorized error
}

// readingAuthorizer is an authorizer that sees the request's content.
type readingAuthorizer struct {
	*authorizer
	wholeBody
}

func (g *Generation) newAuthorizer(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
	p, err := g.plugin(b, o.Plugin, abi.RoleAuthorize)
	if p == nil || err != nil {
		return proxy.Steps{}, err
	}
	a := &authorizer{
		step: p.newStep(b, abi.RoleAuthorize, shortTimeout), abi: p.module.abi.(authorizerABI),
		denied:       proxy.Fault{Kind: proxy.AccessDenied},
		unauthorized: proxy.Fault{Kind: proxy.Unauthorized},
	}
	var steps proxy.Steps
	steps[proxy.MethodRequest] = a
	if p.readsRequests {
		steps[proxy.MethodRequest] = readingAuthorizer{authorizer: a}
	}
	return steps, nil
}

// Run asks the plugin. Only its word Allow lets the request pass.
func (a *authorizer) Run(ctx context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	in, err := a.begin(ctx, ex)
	if err != nil {
		return proxy.Continue, a.failed(ex, err)
	}
	decision, message, err := a.ask(in, ex)
	a.plugin.give(in, err)
	if ex.Explain != nil && err == nil {
		ex.Explain.Remark("plugin "+a.plugin.name, decisionName(decision), message)
	}
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

// Version tells modules and their options apart.
func (a *authorizer) Version() string { return a.plugin.identity }

// failed is the fault for a call that came to no decision: never an allow.
func (a *authorizer) failed(ex *proxy.Exchange, err error) error {
	return a.fault(ex, err, proxy.AuthorizerFailure, proxy.AuthorizerFailure)
}

// decisionName is what a trace calls a decision.
func decisionName(decision int32) string {
	switch decision {
	case abi.Allow:
		return "allows it"
	case abi.Deny:
		return "denies it"
	}
	return "doesn't know the caller"
}
