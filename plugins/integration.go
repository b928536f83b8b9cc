package plugins

import (
	"context"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/event"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/sdk/abi"
)

// integration is the step that has a plugin answer: AWS's Lambda proxy
// integration, with the plugin as the function. The event has the content.
type integration struct {
	step
	abi integrationABI
}

// wholeIntegration is an integration whose event has the content.
type wholeIntegration struct {
	*integration
	wholeBody
}

func (g *Generation) newIntegration(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
	p, err := g.plugin(b, o.Integration.Plugin, abi.RoleIntegrate)
	if p == nil || err != nil {
		return proxy.Steps{}, err
	}
	i := &integration{step: p.newStep(b, abi.RoleIntegrate, integrateTimeout), abi: p.module.abi.(integrationABI)}
	if o.Integration.Timeout > 0 {
		i.total = time.Duration(o.Integration.Timeout)
		i.limit = min(i.limit, time.Duration(o.Integration.Timeout))
	}
	var steps proxy.Steps
	steps[proxy.Integration] = i
	if !p.pulls {
		steps[proxy.Integration] = wholeIntegration{integration: i}
	}
	steps[proxy.IntegrationResponse] = reply{}
	return steps, nil
}

// Run calls the plugin and fills Back.
func (i *integration) Run(ctx context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	in, err := i.begin(ctx, ex)
	if err != nil {
		return proxy.Continue, i.failed(ex, err)
	}
	if i.plugin.pulls || i.plugin.sends {
		return i.stream(in, ex)
	}
	return i.answered(in, ex, i.abi.integrate(in))
}

// answered ends a call, which ended with err, and fills Back.
func (i *integration) answered(in *instance, ex *proxy.Exchange, err error) (proxy.Verdict, error) {
	var answer []byte
	if err == nil {
		if answer = in.result; !in.answered {
			in.answerTo(&ex.Back)
		}
	}
	asJSON := in.answered
	i.plugin.give(in, err)
	if err == nil && asJSON {
		err = readAnswer(answer, ex)
	}
	if err != nil {
		return proxy.Continue, i.failed(ex, err)
	}
	ex.Notes.BackendStatus = ex.Back.Status
	return proxy.Continue, nil
}

func (i *integration) failed(ex *proxy.Exchange, err error) error {
	return i.fault(ex, err, proxy.BadIntegration, proxy.IntegrationTimeout)
}

// readAnswer fills Back from a plugin's answer.
func readAnswer(answer []byte, ex *proxy.Exchange) error {
	if err := event.ReadAnswerFor(answer, &ex.Back, ex); err != nil {
		return &failure{"answer", err}
	}
	return nil
}

// reply makes the client's answer from the plugin's.
type reply struct{}

// Run fills Reply from Back, whose fields event.ReadAnswerFor has checked, renamed
// and dropped.
func (reply) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	fields := append(ex.Reply.Fields[:0], ex.Back.Fields...)
	if !ex.HTTP && !fields.HasKnown(http1.XAmznTraceID) { // AWS, recorded of REST APIs
		fields = append(fields, http1.NewField("X-Amzn-Trace-Id", ex.TraceID()))
	}
	ex.Reply = proxy.Response{Status: ex.Back.Status, Fields: fields, Content: ex.Back.Content}
	if ex.Back.Body != nil {
		ex.Reply.Body, ex.Reply.Length = ex.Back.Body, ex.Back.Length
	}
	return proxy.Continue, nil
}
