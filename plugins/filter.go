package plugins

import (
	"context"
	"fmt"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/sdk/abi"
)

// filterRoles are the roles of a plugin that can stand in filters.
const filterRoles = abi.RoleRequest | abi.RoleResponse | abi.RoleRequestBody | abi.RoleResponseBody

// newFilter makes the steps of a plugin in an API's or a route's filters: for
// requests, for responses, and for the content of either.
func (g *Generation) newFilter(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
	var steps proxy.Steps
	p, err := g.plugin(b, o.Plugin, filterRoles)
	if p == nil || err != nil {
		return steps, err
	}
	var request, response []proxy.Step
	if p.roles&abi.RoleRequest != 0 {
		f := &requestFilter{p.newStep(b, abi.RoleRequest, shortTimeout), p.module.abi.(requestFilterABI)}
		f.optional = p.optional
		request = append(request, f)
	}
	if p.roles&abi.RoleRequestBody != 0 {
		f := &requestPieces{p.newPieceFilter(b, abi.RoleRequestBody, p.module.abi.(pieceABI).requestPiece)}
		request = append(request, f)
		response = append(response, pieceNotes{f})
	}
	if p.roles&abi.RoleResponse != 0 {
		response = append(response, p.newEditor(b, abi.RoleResponse, p.module.abi.(responseFilterABI).response))
	}
	if p.roles&abi.RoleResponseBody != 0 {
		response = append(response, &responsePieces{p.newPieceFilter(b, abi.RoleResponseBody, p.module.abi.(pieceABI).responsePiece)})
	}
	steps[proxy.MethodRequest] = inTurn(request, p.readsRequests && p.roles&abi.RoleRequest != 0)
	steps[proxy.MethodResponse] = inTurn(response, false)
	return steps, nil
}

// inTurn returns one step that runs all of steps, nil for none. whole says that it
// is one of those that see the request's content whole.
func inTurn(steps []proxy.Step, whole bool) proxy.Step {
	switch {
	case len(steps) == 0:
		return nil
	case len(steps) == 1 && !whole:
		return steps[0]
	case whole && len(steps) == 1:
		return readingRequestFilter{requestFilter: steps[0].(*requestFilter)}
	case whole:
		return readingSequence{sequence: steps}
	}
	return sequence(steps)
}

// sequence is the steps of one plugin in one phase.
type sequence []proxy.Step

// Run runs one after the other.
func (s sequence) Run(ctx context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	for _, step := range s {
		if verdict, err := step.Run(ctx, ex); err != nil || verdict == proxy.Answered {
			return verdict, err
		}
	}
	return proxy.Continue, nil
}

// StepName implements proxy.NamedStep.
func (s sequence) StepName() string { return s[0].(proxy.NamedStep).StepName() }

// readingSequence is a sequence whose first step sees the content.
type readingSequence struct {
	sequence
	wholeBody
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
