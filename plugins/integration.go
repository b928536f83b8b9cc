package plugins

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/event"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/sdk/abi"
)

// integration is the step that has a plugin answer: AWS's Lambda proxy
// integration, with the plugin as the function.
type integration struct {
	plugin    *plugin
	abi       integrationABI
	variables []proxy.Param
	limit     time.Duration
}

func (g *Generation) newIntegration(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
	p, err := g.plugin(b, o.Integration.Plugin, abi.RoleIntegrate)
	if p == nil || err != nil {
		return proxy.Steps{}, err
	}
	limit := p.limit(integrateTimeout)
	if o.Integration.Timeout > 0 {
		limit = min(limit, time.Duration(o.Integration.Timeout))
	}
	var steps proxy.Steps
	steps[proxy.Integration] = &integration{plugin: p, abi: p.module.abi.(integrationABI), variables: variablesOf(b.Route), limit: limit}
	steps[proxy.IntegrationResponse] = reply{}
	return steps, nil
}

// NeedsWholeBody makes the pipeline read the content first: the event has it.
func (*integration) NeedsWholeBody() {}

// Run calls the plugin and fills Back.
func (i *integration) Run(ctx context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	p := i.plugin
	ex.Notes.Plugin = p.name
	in, err := p.take(ctx)
	if err != nil {
		return proxy.Continue, i.failed(ex, err)
	}
	in.begin(abi.Integrate, ex, i.variables, i.limit)
	err = i.abi.integrate(in)
	answer := in.result
	p.give(in, err)
	if err == nil {
		err = readAnswer(answer, &ex.Back)
	}
	if err != nil {
		return proxy.Continue, i.failed(ex, err)
	}
	ex.Notes.BackendStatus = ex.Back.Status
	return proxy.Continue, nil
}

func (i *integration) failed(ex *proxy.Exchange, err error) error {
	return i.plugin.fault(ex, err, func(what string) proxy.FaultKind {
		if what == "deadline" {
			return proxy.IntegrationTimeout
		}
		return proxy.BadIntegration
	})
}

// readAnswer fills to from a plugin's answer.
func readAnswer(answer []byte, to *proxy.Response) error {
	if err := event.ReadAnswer(answer, to); err != nil {
		return &failure{"answer", err}
	}
	return nil
}

// fault says for the client what err, from take or from a call, is, and notes
// it for the access record.
func (p *plugin) fault(ex *proxy.Exchange, err error, kind func(what string) proxy.FaultKind) error {
	var f *failure
	if !errors.As(err, &f) {
		ex.Notes.PluginFailure = "busy"
		if errors.Is(err, proxy.Fault{Kind: proxy.ClientGone}) {
			ex.Notes.PluginFailure = ""
		}
		return err
	}
	ex.Notes.PluginFailure = f.what
	return proxy.Fault{Kind: kind(f.what), Cause: fmt.Errorf("plugin %q: %w", p.name, err)}
}

// reply makes the client's answer from the plugin's.
type reply struct{}

// Run fills Reply from Back, whose fields event.ReadAnswer has checked, renamed
// and dropped.
func (reply) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	fields := append(ex.Reply.Fields[:0], ex.Back.Fields...)
	if !fields.HasKnown(http1.XAmznTraceID) {
		fields = append(fields, http1.NewField("X-Amzn-Trace-Id", ex.TraceID()))
	}
	ex.Reply = proxy.Response{Status: ex.Back.Status, Fields: fields, Content: ex.Back.Content}
	return proxy.Continue, nil
}
