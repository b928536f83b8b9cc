package integration

import (
	"context"
	"errors"
	"fmt"

	"github.com/postern-gateway/postern/builtins/mapping"
	"github.com/postern-gateway/postern/proxy"
)

// Mock returns the kind mock, which answers by itself: AWS's MOCK. What its
// request template renders has a statusCode, which chooses the response; without
// request templates it is the default.
func Mock() proxy.Kind {
	return proxy.Kind{Name: "mock", Role: proxy.IntegrationKind, New: newMock}
}

func newMock(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
	var bad problems
	mapper := mapping.NewMapper(b.Route)
	content := newContent(b, o.Integration, &bad)
	c := newChoice(b, o, mapper, &bad)
	if c != nil && (content == nil || len(content.templates) == 0) {
		if _, found := o.Responses["default"]; !found {
			bad.add(`type "mock" needs the response "default"`, `add [api.x.route."…".response.default]`, "response")
		}
		for _, name := range sortedKeys(o.Responses) {
			if name != "default" {
				bad.add(fmt.Sprintf(`without a request template, type "mock" answers with the response "default" only, never with %q`, name),
					`add template."application/json" = '{"statusCode": 200}' to the integration`, "response", name)
			}
		}
	}
	if len(bad) > 0 {
		return proxy.Steps{}, bad.err()
	}
	steps := proxy.Steps{proxy.IntegrationResponse: &mockResponse{c}}
	if content != nil {
		steps[proxy.IntegrationRequest] = readingStep{&mockRequest{content: content, mapper: mapper}}
	}
	return steps, nil
}

// mockRequest is the integration request of a mock with request templates.
type mockRequest struct {
	*content
	mapper *mapping.Mapper
}

// errStatusCode is a request template that doesn't say how to answer.
var errStatusCode = errors.New(`mock: the request template renders no JSON with a statusCode from 200 to 599`)

// Run puts the status that the request template renders into Back. AWS: content
// that passes through without a template gets the default response.
func (m *mockRequest) Run(ctx context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	ex.Out.Content, ex.Out.Body = nil, nil
	content, _, chosen, err := m.mapContent(ex, m.mapper.Memory(ex))
	if err != nil || chosen == nil {
		return proxy.Continue, err
	}
	if chosen.Plugin != nil {
		ex.Out.Method, ex.Out.Content = ex.Method, content
		if verdict, err := chosen.Plugin.Run(ctx, ex); err != nil || verdict == proxy.Answered {
			return verdict, err
		}
		content = ex.Out.Content
	}
	status, found := mapping.StatusCode(content)
	if !found {
		return proxy.Continue, proxy.Fault{Kind: proxy.APIConfigurationError, Cause: errStatusCode}
	}
	ex.Back.Status = status
	return proxy.Continue, nil
}

// mockResponse is the integration response of mock.
type mockResponse struct{ choice *choice }

// Run answers with the response that the status chooses.
func (m *mockResponse) Run(ctx context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	a := m.choice.fallback()
	if ex.Back.Status != 0 {
		a = m.choice.answer(ex.Back.Status)
	}
	if a == nil {
		return proxy.Continue, noAnswer(ex.Back.Status)
	}
	return a.reply(ctx, ex)
}
