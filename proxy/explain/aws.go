package explain

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/postern-gateway/postern/proxy/mask"
)

// longestLine is where AWS cuts a line of a log.
const longestLine = 998

// AWS returns the log that AWS's TestInvokeMethod has for such a request, line by line as
// recorded. Where an API key or an authorizer was asked, which TestInvokeMethod does
// without, it has the lines of AWS's execution logs about them.
func (t *Trace) AWS() string {
	l := &log{at: t.Time.UTC().Format("Mon Jan 02 15:04:05 UTC 2006")}
	l.b.WriteString("Execution log for request " + t.ID + "\n")
	t.plan(l)
	t.request(l)
	t.authorizer(l)
	t.endpoint(l)
	if f := t.Fault; f != nil {
		t.failure(l)
	} else {
		l.line("Method response body after transformations: " + t.Reply.text())
		l.pairs("Method response headers: ", t.Reply.Fields)
		l.line("Successfully completed execution")
	}
	l.line("Method completed with status: " + strconv.Itoa(t.Reply.Status))
	return l.b.String()
}

// plan writes what became of the caller's API key, if it needs one.
func (t *Trace) plan(l *log) {
	step := t.find("method request", "usage")
	if step == nil {
		return
	}
	stage := t.API + "/" + t.Stage
	l.line("Verifying Usage Plan for request: " + t.ID + ". API Key: " + t.Request.field("x-api-key") + " API Stage: " + stage)
	if key := step.note("caller's API key ID"); key != "" {
		l.line("Usage Plan check succeeded for API Key " + key + " and API Stage " + stage)
	}
}

// request writes what the client sent.
func (t *Trace) request(l *log) {
	l.line("Starting execution for request: " + t.ID)
	path, query, _ := strings.Cut(t.Request.Target, "?")
	if t.Path != "" {
		path = t.Path
	}
	l.line("HTTP Method: " + t.Request.Method + ", Resource Path: " + path)
	l.pairs("Method request path: ", t.Params)
	l.line("Method request query string: {" + strings.ReplaceAll(query, "&", ", ") + "}")
	l.pairs("Method request headers: ", t.Request.Fields)
	l.line("Method request body before transformations: " + t.Request.text())
}

// authorizer writes what the authorizer said, if there is one.
func (t *Trace) authorizer(l *log) {
	const called = "authorizer "
	step := t.find("method request", called)
	if step == nil {
		return
	}
	l.line("Starting authorizer: " + strings.TrimPrefix(step.Name, called) + " for request: " + t.ID)
	if step.Outcome != "continue" {
		return
	}
	if caller := step.note("caller"); caller != "" {
		l.line("Using valid authorizer policy for principal: " + caller)
	}
	l.line("Successfully completed authorizer execution")
}

// endpoint writes what a backend was asked, and what it said.
func (t *Trace) endpoint(l *log) {
	if sent := t.result("integration request"); sent != nil && sent.Target != "" {
		uri := sent.Host + sent.Target
		if t.Scheme != "" {
			uri = t.Scheme + "://" + uri
		}
		l.line("Endpoint request URI: " + uri)
		l.pairs("Endpoint request headers: ", sent.Fields)
		l.line("Endpoint request body after transformations: " + sent.text())
		l.line("Sending request to " + uri)
	}
	if back := t.result("integration"); back != nil {
		took := t.phase("integration").Took.Milliseconds()
		l.line(fmt.Sprintf("Received response. Status: %d, Integration latency: %d ms", back.Status, took))
		l.pairs("Endpoint response headers: ", back.Fields)
		l.line("Endpoint response body before transformations: " + back.text())
	}
}

// failure writes why the request failed, and which gateway response the client got.
func (t *Trace) failure(l *log) {
	f := t.Fault
	cause := f.Cause
	if cause == "" {
		cause = f.Message
	}
	// An answer that nobody understands is of the same type as none, and of another text.
	unanswered := f.Kind == "INTEGRATION_FAILURE" && f.Message != "Internal server error"
	switch f.Kind {
	case "INTEGRATION_TIMEOUT", "PLUGIN_TIMEOUT":
		l.line("Execution failed due to a timeout error")
	case "INTEGRATION_FAILURE", "API_CONFIGURATION_ERROR", "AUTHORIZER_CONFIGURATION_ERROR", "AUTHORIZER_FAILURE", "PLUGIN_FAILURE", "INTERNAL":
		if unanswered {
			l.line("Execution failed due to a network error communicating with endpoint")
			break
		}
		l.line("Execution failed due to configuration error: " + cause)
	}
	l.line("Gateway response type: " + f.Kind + " with status code: " + strconv.Itoa(f.Status))
	l.line("Gateway response body: " + t.Reply.text())
	l.pairs("Gateway response headers: ", t.Reply.Fields)
}

// phase returns the phase of a name, nil if the request didn't come to it.
func (t *Trace) phase(name string) *Phase {
	for i := range t.Phases {
		if t.Phases[i].Name == name {
			return &t.Phases[i]
		}
	}
	return nil
}

// find returns the first step of a phase whose name begins so, nil for none.
func (t *Trace) find(phase, begin string) *Step {
	if p := t.phase(phase); p != nil {
		for _, s := range p.Steps {
			if strings.HasPrefix(s.Name, begin) {
				return s
			}
		}
	}
	return nil
}

// note returns the value of a note, "" for none.
func (s *Step) note(name string) string {
	for _, n := range s.Notes {
		if n.Name == name {
			return n.Value
		}
	}
	return ""
}

// result returns what a phase has made, nil for nothing.
func (t *Trace) result(name string) *Message {
	if p := t.phase(name); p != nil {
		return p.Message
	}
	return nil
}

// field returns the first value of a header, "" for none.
func (m *Message) field(name string) string {
	for _, f := range m.Fields {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

func (m *Message) text() string {
	if m.Content == nil {
		return ""
	}
	return m.Content.Text
}

// log are the lines of AWS's log.
type log struct {
	at string
	b  strings.Builder
}

func (l *log) line(text string) {
	l.b.WriteString(l.at + " : ")
	if len(text) > longestLine {
		text = string(mask.Whole([]byte(text[:longestLine]))) + " [TRUNCATED]"
	}
	l.b.WriteString(printable(text) + "\n")
}

func (l *log) pairs(what string, values []Value) {
	pairs := make([]string, len(values))
	for i, v := range values {
		pairs[i] = v.Name + "=" + v.Value
	}
	l.line(what + "{" + strings.Join(pairs, ", ") + "}")
}
