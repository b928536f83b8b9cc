package plugins

import (
	"context"
	"fmt"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/sdk/abi"
)

// newFilter makes the steps of a plugin in an API's or a route's filters: one
// in method request, one in method response, or both.
func (g *Generation) newFilter(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
	var steps proxy.Steps
	p, err := g.plugin(b, o.Plugin, abi.RoleRequest|abi.RoleResponse)
	if p == nil || err != nil {
		return steps, err
	}
	if p.roles&abi.RoleRequest != 0 {
		f := &requestFilter{p.newStep(b, abi.RoleRequest, shortTimeout), p.module.abi.(requestFilterABI)}
		f.optional = p.optional
		steps[proxy.MethodRequest] = f
		if p.readsRequests {
			steps[proxy.MethodRequest] = readingRequestFilter{requestFilter: f}
		}
	}
	if p.roles&abi.RoleResponse != 0 {
		steps[proxy.MethodResponse] = p.newEditor(b, abi.RoleResponse, p.module.abi.(responseFilterABI).response)
	}
	return steps, nil
}

// requestFilter has a plugin look at a request before anything else does.
type requestFilter struct {
	step
	abi requestFilterABI
}

// readingRequestFilter is a requestFilter that sees the content.
type readingRequestFilter struct {
	*requestFilter
	wholeBody
}

// Run calls the plugin. It fills Reply when the plugin answers; else it changes
// In, which nobody has looked at yet but the matcher.
func (f *requestFilter) Run(ctx context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	in, err := f.begin(ctx, ex)
	if err != nil {
		return proxy.Continue, f.failed(ex, err)
	}
	verdict := proxy.Continue
	said, err := f.abi.request(in)
	switch {
	case err != nil:
	case said == abi.Continue:
		in.commit()
	case said == abi.Answer:
		in.answerTo(&ex.Reply)
		verdict = proxy.Answered
	default:
		err = &failure{"answer", fmt.Errorf("the verdict is %d", said)}
	}
	f.plugin.give(in, err)
	if err != nil {
		return proxy.Continue, f.failed(ex, err)
	}
	return verdict, nil
}
