package integration

import (
	"context"
	"fmt"

	"github.com/postern-gateway/postern/builtins/mapping"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
)

// HTTP returns the kind http, which sends a backend what is mapped and answers
// with the response that the backend's status chooses: AWS's HTTP. Content
// passes both ways, but where a response has its own.
func HTTP() proxy.Kind {
	return proxy.Kind{Name: "http", Role: proxy.IntegrationKind, New: newHTTP}
}

func newHTTP(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
	var bad problems
	mapper := mapping.NewMapper(b.Route)
	t := newOutgoing(b, o, mapper, &bad)
	chosen := newChoice(b, o, mapper, &bad)
	if len(bad) > 0 {
		return proxy.Steps{}, bad.err()
	}
	return proxy.Steps{
		proxy.IntegrationRequest: reading(&httpRequest{
			outgoing:  t,
			accept:    http1.NewField("Accept", defaultMediaType),
			userAgent: http1.NewField("User-Agent", "AmazonAPIGateway_"+b.Route.Stage.API.ID),
		}, t),
		proxy.Integration:         &send{t.backend},
		proxy.IntegrationResponse: &httpResponse{chosen},
	}, nil
}

// httpRequest is the integration request of http.
type httpRequest struct {
	*outgoing
	accept, userAgent http1.Field
}

// Run fills ex.Out with what was recorded of AWS's HTTP integrations: nothing of the
// client's but its content, what describes that, and what is mapped.
func (h *httpRequest) Run(ctx context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	chosen, mem, err := h.prepare(ex, false)
	if err != nil {
		return proxy.Continue, err
	}
	fields := append(ex.Out.Fields[:0], h.accept, h.userAgent)
	hasContent, isTyped := ex.Out.Body != nil || len(ex.Out.Content) > 0, false
	var made *http1.Field
	if chosen != nil && chosen.Made.Name != "" && hasContent {
		made, isTyped = &chosen.Made, true
		fields = append(fields, *made)
	}
	for i := range ex.In.Fields {
		f := &ex.In.Fields[i]
		switch k := f.Known(); {
		case k == http1.ContentType && made != nil:
		case k == http1.ContentType && typed(ex.Method):
			fields, isTyped = append(fields, *f), true
		case k == http1.ContentEncoding && hasContent:
			// Differs from AWS, which passes content on without saying how it is
			// coded: nobody could read it.
			fields = append(fields, *f)
		}
	}
	if chosen != nil && hasContent && !isTyped {
		fields = http1.AppendKnown(fields, http1.ContentType, "application/json")
	}
	return h.finish(ctx, ex, h.appendOwn(fields, ex), chosen, mem)
}

// httpResponse is the integration response of http.
type httpResponse struct {
	choice *choice
}

// Run answers with the response that the backend's status chooses.
func (h *httpResponse) Run(ctx context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	a := h.choice.answer(ex.Back.Status)
	if a == nil {
		return proxy.Continue, noAnswer(ex.Back.Status)
	}
	verdict, err := a.reply(ctx, ex)
	if err == nil {
		ex.Reply.Fields = http1.AppendKnown(ex.Reply.Fields, http1.XAmznTraceID, ex.TraceID())
	}
	return verdict, err
}

func noAnswer(status int) error {
	return proxy.Fault{
		Kind:  proxy.APIConfigurationError,
		Cause: fmt.Errorf("no match for output mapping and no default output mapping configured, endpoint response status code: %d", status),
	}
}
