package integration

import (
	"context"
	"fmt"

	"github.com/postern-gateway/postern/builtins/mapping"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/pattern"
)

// Custom returns the kind wasm_custom, which runs a plugin with what the request
// template renders, and answers with the response that the plugin's errorMessage
// chooses: AWS's AWS integration with a Lambda function.
func Custom() proxy.Kind {
	return proxy.Kind{Name: "wasm_custom", Role: proxy.IntegrationKind, New: newCustom}
}

func newCustom(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
	var bad problems
	mapper := mapping.NewMapper(b.Route)
	c := newContent(b, o.Integration, &bad)
	answers, patterns := newAnswers(b, o, mapper, &bad)
	steps, err := b.Plugin(proxy.IntegrationKind, o.Integration.Plugin)
	if err != nil {
		bad = append(bad, err)
	}
	if len(bad) > 0 {
		return proxy.Steps{}, bad.err()
	}
	steps[proxy.IntegrationRequest] = readingStep{&customRequest{content: c, mapper: mapper}}
	steps[proxy.IntegrationResponse] = &customResponse{answers, patterns}
	return steps, nil
}

// customRequest is the integration request of wasm_custom.
type customRequest struct {
	content *content // nil to pass content as it is
	mapper  *mapping.Mapper
}

// Run makes ex.Out.Content what the plugin gets instead of an event. AWS: without
// content that is an empty object.
func (c *customRequest) Run(ctx context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	out := &ex.Out
	out.Custom, out.Method, out.Body = true, ex.Method, nil
	var chosen *mapping.Template
	whole := false
	if c.content != nil {
		var err error
		if out.Content, whole, chosen, err = c.content.mapContent(ex, c.mapper.Memory(ex)); err != nil {
			return proxy.Continue, err
		}
	}
	if !whole {
		if err := ex.ReadWhole(ex.BodyLimit()); err != nil {
			return proxy.Continue, err
		}
		out.Content = ex.In.Content
	}
	if chosen != nil && chosen.Plugin != nil {
		if verdict, err := chosen.Plugin.Run(ctx, ex); err != nil || verdict == proxy.Answered {
			return verdict, err
		}
	}
	if len(out.Content) == 0 {
		out.Content = []byte("{}")
	}
	return proxy.Continue, nil
}

// customResponse is the integration response of wasm_custom.
type customResponse struct {
	choice   *choice
	patterns []*pattern.Pattern // of the choice's answers
}

// Run answers with the first response whose pattern matches the whole of the
// plugin's errorMessage, which is empty when it has worked.
func (c *customResponse) Run(ctx context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	message, isError := mapping.ErrorMessage(ex.Back.Content)
	a := c.choice.fallback()
	for i, p := range c.patterns {
		if p == nil {
			continue
		}
		steps := patternSteps
		matched, err := p.Matches(message, &steps)
		if err != nil {
			return proxy.Continue, mappingFault(fmt.Sprintf("pattern %q", p), err)
		}
		if matched {
			a = &c.choice.answers[i]
			break
		}
	}
	if a == nil {
		return proxy.Continue, proxy.Fault{Kind: proxy.APIConfigurationError, Cause: fmt.Errorf("no response for the error message %.200q, and no default", message)}
	}
	verdict, err := a.replyTo(ctx, ex, outcome(isError))
	if err == nil {
		ex.Reply.Fields = http1.AppendKnown(ex.Reply.Fields, http1.XAmznTraceID, ex.TraceID())
	}
	return verdict, err
}
