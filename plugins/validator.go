package plugins

import (
	"context"
	"fmt"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/sdk/abi"
)

// newValidator makes the step of a plugin in a route's validator.
func (g *Generation) newValidator(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
	var steps proxy.Steps
	p, err := g.plugin(b, o.Plugin, abi.RoleValidate)
	if p == nil || err != nil {
		return steps, err
	}
	v := &validator{p.newStep(b, abi.RoleValidate, shortTimeout), p.module.abi.(validatorABI)}
	steps[proxy.MethodRequest] = v
	if p.readsRequests {
		steps[proxy.MethodRequest] = readingValidator{validator: v}
	}
	return steps, nil
}

// validator has a plugin judge a request. It fails closed, whatever on_error
// says: what nobody has judged isn't valid.
type validator struct {
	step
	abi validatorABI
}

// readingValidator is a validator that sees the content.
type readingValidator struct {
	*validator
	wholeBody
}

// Run calls the plugin. AWS: "Request validation for REST APIs in API Gateway".
func (v *validator) Run(ctx context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	in, err := v.begin(ctx, ex)
	if err != nil {
		return proxy.Continue, v.failed(ex, err)
	}
	kind, message := proxy.NoFault, ""
	judgement, err := v.abi.validate(in)
	switch {
	case err != nil:
	case judgement == abi.Valid:
	case judgement == abi.InvalidBody:
		kind, message = proxy.BadRequestBody, in.draft.message
	case judgement == abi.InvalidParameters:
		kind, message = proxy.BadRequestParameters, in.draft.message
	default:
		err = &failure{"answer", fmt.Errorf("the judgement is %d", judgement)}
	}
	v.plugin.give(in, err)
	if err != nil {
		return proxy.Continue, v.failed(ex, err)
	}
	if kind != proxy.NoFault {
		return proxy.Continue, proxy.Fault{Kind: kind, Message: message}
	}
	return proxy.Continue, nil
}
