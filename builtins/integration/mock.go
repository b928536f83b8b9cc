package integration

import (
	"context"
	"fmt"

	"github.com/postern-gateway/postern/proxy"
)

// Mock returns the kind mock, which answers by itself with its response
// "default": AWS's MOCK.
func Mock() proxy.Kind {
	return proxy.Kind{Name: "mock", Role: proxy.IntegrationKind, New: newMock}
}

func newMock(_ proxy.Build, o proxy.Options) (proxy.Steps, error) {
	var bad problems
	r, found := o.Responses["default"]
	if !found {
		bad.add(`type "mock" needs the response "default"`, `add [api.x.route."…".response.default]`, "response")
	}
	for _, name := range sortedKeys(o.Responses) {
		if name != "default" {
			bad.add(fmt.Sprintf(`type "mock" answers with the response "default" only, never with %q`, name),
				"request templates, which choose another, aren't supported yet", "response", name)
		}
	}
	if r.Pattern != "" {
		bad.add("the default is what no pattern chooses", "remove the pattern", "response", "default", "pattern")
	}
	m := &mock{newAnswer("default", r, &bad)}
	if len(bad) > 0 {
		return proxy.Steps{}, bad.err()
	}
	return proxy.Steps{proxy.IntegrationResponse: m}, nil
}

// mock is the integration response of mock.
type mock struct{ answer answer }

// Run makes the response "default" the reply.
func (m *mock) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	m.answer.start(ex)
	return proxy.Continue, nil
}
