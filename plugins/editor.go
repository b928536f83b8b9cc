package plugins

import (
	"context"
	"fmt"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/sdk/abi"
)

// editor is the step of a plugin that changes a message and decides nothing: a
// response filter or a mapping.
type editor struct {
	step
	call  func(*instance) error // the ABI's method for the role
	reads bool                  // it sees the content of replies
	asks  askingABI             // tells when it does; nil if nothing but reads does
}

// readingEditor is an editor that sees the request's content.
type readingEditor struct {
	*editor
	wholeBody
}

func (p *plugin) newEditor(b proxy.Build, role uint32, call func(*instance) error) *editor {
	e := &editor{step: p.newStep(b, role, shortTimeout), call: call}
	e.optional = p.optional
	e.reads = p.readsResponses && role != abi.RoleMapRequest
	if role == abi.RoleResponse {
		e.asks, _ = p.module.abi.(askingABI)
	}
	return e
}

// Run calls the plugin and changes Reply, or Out as map_request.
func (e *editor) Run(ctx context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	if e.reads || e.asks != nil && e.asks.asked(e.plugin, ex) {
		if err := readReply(ex); err != nil {
			return proxy.Continue, proxy.Fault{Kind: proxy.BadIntegration, Cause: fmt.Errorf("plugin %q, %s: %w", e.plugin.name, e.role, err)}
		}
	}
	in, err := e.begin(ctx, ex)
	if in == nil || err != nil {
		return proxy.Continue, e.failed(ex, err)
	}
	if err = e.call(in); err == nil {
		in.commit()
	}
	e.plugin.give(in, err)
	if err != nil {
		return proxy.Continue, e.failed(ex, err)
	}
	return proxy.Continue, nil
}

// errReplySize is an answer that is too long to be shown to a plugin.
var errReplySize = fmt.Errorf("the answer has more than %d bytes of content, which is the most that a plugin can see", abi.MaxBody)

// newRequestMapper makes the step of a plugin in an integration's map_request.
func (g *Generation) newRequestMapper(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
	var steps proxy.Steps
	p, err := g.plugin(b, o.Plugin, abi.RoleMapRequest)
	if p == nil || err != nil {
		return steps, err
	}
	e := p.newEditor(b, abi.RoleMapRequest, p.module.abi.(requestMapperABI).mapRequest)
	steps[proxy.IntegrationRequest] = e
	if p.readsRequests {
		steps[proxy.IntegrationRequest] = readingEditor{editor: e}
	}
	return steps, nil
}

// newResponseMapper makes the step of a plugin in an integration's map_response.
func (g *Generation) newResponseMapper(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
	var steps proxy.Steps
	p, err := g.plugin(b, o.Plugin, abi.RoleMapResponse)
	if p == nil || err != nil {
		return steps, err
	}
	steps[proxy.IntegrationResponse] = p.newEditor(b, abi.RoleMapResponse, p.module.abi.(responseMapperABI).mapResponse)
	return steps, nil
}
