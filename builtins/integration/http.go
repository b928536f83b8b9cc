package integration

import (
	"context"
	"fmt"
	"regexp"
	"strconv"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
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
	t := newOutgoing(b, o, &bad)
	chosen := newChoice(o.Responses, &bad)
	if len(bad) > 0 {
		return proxy.Steps{}, bad.err()
	}
	return proxy.Steps{
		proxy.IntegrationRequest: &httpRequest{
			outgoing:  t,
			accept:    http1.NewField("Accept", defaultMediaType),
			userAgent: http1.NewField("User-Agent", "AmazonAPIGateway_"+b.Route.Stage.API.ID),
		},
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
// client's but its content and what describes that.
func (h *httpRequest) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	if err := h.request(ex, false); err != nil {
		return proxy.Continue, err
	}
	fields := append(ex.Out.Fields[:0], h.accept, h.userAgent)
	hasContent := ex.Out.Body != nil || len(ex.Out.Content) > 0
	typed := ex.Method != "GET" && ex.Method != "HEAD" && ex.Method != "OPTIONS"
	for i := range ex.In.Fields {
		f := &ex.In.Fields[i]
		switch k := f.Known(); {
		case k == http1.ContentType && typed:
			fields = append(fields, *f)
		case k == http1.ContentEncoding && hasContent:
			// Differs from AWS, which passes content on without saying how it is
			// coded: nobody could read it.
			fields = append(fields, *f)
		}
	}
	ex.Out.Fields = h.appendOwn(fields, ex)
	return proxy.Continue, nil
}

// httpResponse is the integration response of http.
type httpResponse struct {
	choice *choice
}

// Run answers with the response that the backend's status chooses.
func (h *httpResponse) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	back := &ex.Back
	a := h.choice.answer(back.Status)
	if a == nil {
		return proxy.Continue, proxy.Fault{
			Kind:  proxy.APIConfigurationError,
			Cause: fmt.Errorf("no response for the backend's status %d, and no default", back.Status),
		}
	}
	if !a.start(ex) {
		passContent(&ex.Reply, ex)
		for i := range back.Fields {
			f := &back.Fields[i]
			switch k := f.Known(); {
			case k == http1.ContentType && !a.typed, k == http1.ContentEncoding:
				ex.Reply.Fields = append(ex.Reply.Fields, *f)
			}
		}
	}
	ex.Reply.Fields = http1.AppendKnown(ex.Reply.Fields, http1.XAmznTraceID, ex.TraceID())
	return proxy.Continue, nil
}

// Statuses that a backend can answer.
const (
	minStatus = 100
	maxStatus = 599
)

// choice finds the answer for a status.
type choice struct {
	answers []answer
	table   [maxStatus - minStatus + 1]uint8 // index in answers + 1; 0 for none
}

func (c *choice) answer(status int) *answer {
	if status < minStatus || status > maxStatus || c.table[status-minStatus] == 0 {
		return nil
	}
	return &c.answers[c.table[status-minStatus]-1]
}

// newChoice works out beforehand which answer each status gets. AWS: "Set up
// API Gateway integration responses": the first whose pattern matches the whole
// status, else the one without a pattern. Among several that match, the one
// that has the backend's status for its own comes first, as measured on AWS.
func newChoice(responses map[string]config.Response, bad *problems) *choice {
	if len(responses) == 0 {
		bad.add(`type "http" needs at least one response`,
			`add [api.x.route."…".response.default], or use type = "http_proxy" to pass the backend's answer through`, "response")
		return nil
	}
	if len(responses) > 255 {
		bad.add(fmt.Sprintf("%d responses; at most 255", len(responses)), "", "response")
		return nil
	}
	c := &choice{}
	var fallback string
	var fallbackIndex uint8
	patterns := map[int]*regexp.Regexp{}
	for i, name := range sortedKeys(responses) {
		r := responses[name]
		c.answers = append(c.answers, newAnswer(name, r, bad))
		switch {
		case r.Pattern != "" && name == "default":
			bad.add("the default is what no pattern chooses", "remove the pattern, or give the response another name", "response", name, "pattern")
		case r.Pattern != "":
			patterns[i] = statusPattern(name, r.Pattern, bad)
		case fallback != "":
			bad.add(fmt.Sprintf("%q has no pattern either, so both are the default", fallback), `give one of them a pattern, as "4\\d\\d"`, "response", name)
		default:
			fallback, fallbackIndex = name, uint8(i+1)
		}
	}
	for status := minStatus; status <= maxStatus; status++ {
		at := &c.table[status-minStatus]
		*at = fallbackIndex
		first := true
		for i := range c.answers {
			if p := patterns[i]; p == nil || !p.MatchString(strconv.Itoa(status)) {
				continue
			}
			if first || c.answers[i].status == status && c.answers[*at-1].status != status {
				*at, first = uint8(i+1), false
			}
		}
	}
	return c
}

// statusPattern compiles a pattern; nil if it is wrong.
func statusPattern(name, pattern string, bad *problems) *regexp.Regexp {
	at := []string{"response", name, "pattern"}
	if _, err := regexp.Compile(pattern); err != nil {
		bad.add(err.Error(), "the syntax is RE2: no look-around, no back-references", at...)
		return nil
	}
	whole := regexp.MustCompile(`\A(?:` + pattern + `)\z`)
	for status := minStatus; status <= maxStatus; status++ {
		if whole.MatchString(strconv.Itoa(status)) {
			return whole
		}
	}
	bad.add(fmt.Sprintf("%q matches no status from 100 to 599", pattern), `the pattern must match the whole status: "404", "4\\d\\d", "5.*"`, at...)
	return nil
}
