package observe

import (
	"strconv"
	"strings"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
)

// level says which exchanges an execution log tells of.
type level uint8

const (
	levelOff level = iota
	levelError
	levelInfo
)

func levelOf(word string) level {
	switch word {
	case "error":
		return levelError
	case "info":
		return levelInfo
	}
	return levelOff
}

// longestDump is how much of fields or content a line of an execution log has, in bytes.
// AWS cuts near there, too.
const longestDump = 998

// execution writes what became of ex to the execution log: AWS's lines, each with a time
// and the request's id. All lines of an exchange stand together.
func (m *method) execution(ex *proxy.Exchange) {
	w := m.stage.way.Load()
	if w == nil || w.execution == nil {
		return
	}
	o := m.stage.observer
	memory := o.line()
	e := execution{ex: ex, b: (*memory)[:0], stamps: &o.stamps, stage: m.stage.name}
	if m.level == levelInfo {
		e.request(m.data)
		e.integration(m.data)
	}
	e.failure()
	if m.level == levelInfo {
		e.reply(m.data)
	}
	e.line("Method completed with status: ", strconv.Itoa(ex.Reply.Status))
	_, _ = w.execution.Write(e.b) // it counts what it drops
	*memory = e.b
	o.lines.Put(memory)
}

// execution are the lines of one exchange in the making.
type execution struct {
	ex     *proxy.Exchange
	b      []byte
	stamps *stamps
	stage  stageName
}

// begin appends what every line begins with. AWS has a log group for each stage, and a
// time besides each line; here the line itself names both.
func (e *execution) begin(text string) {
	e.b = e.stamps.append(e.b, e.ex.Start)
	e.b = append(append(append(append(append(e.b, ' '), e.stage.api...), '/'), e.stage.stage...), " ("...)
	e.b = append(append(append(e.b, e.ex.ID...), ") "...), text...)
}

func (e *execution) end() { e.b = append(e.b, '\n') }

// line appends a line of a fixed text and a value that others may have chosen.
func (e *execution) line(text, value string) {
	e.begin(text)
	e.dump(value)
	e.end()
}

func (e *execution) dump(value string) {
	if len(value) > longestDump {
		e.b = appendEscaped(e.b, value[:longestDump], cleaned)
		e.b = append(e.b, " [TRUNCATED]"...)
		return
	}
	e.b = appendEscaped(e.b, value, cleaned)
}

// request appends what arrived, and who sent it.
func (e *execution) request(data bool) {
	ex := e.ex
	e.line("Extended Request Id: ", ex.ExtendedID)
	if ex.Caller.KeyID != "" {
		e.line("Usage Plan check succeeded for API Key ", ex.Caller.KeyID)
	}
	e.line("Starting execution for request: ", ex.ID)
	e.begin("HTTP Method: ")
	e.dump(ex.Method)
	e.b = append(e.b, ", Resource Path: "...)
	e.dump(ex.Path)
	e.end()
	if ex.Caller.Principal != "" {
		e.line("Using valid authorizer policy for principal: ", ex.Caller.Principal)
	}
	if !data {
		return
	}
	e.begin("Method request path: {")
	for i := range ex.Params {
		e.pair(i, ex.Params[i].Name, ex.Params[i].Value)
	}
	e.b = append(e.b, '}', '\n')
	e.begin("Method request query string: {")
	e.query(ex.In.RawQuery)
	e.b = append(e.b, '}', '\n')
	e.fields("Method request headers: ", ex.In.Fields)
	e.content("Method request body before transformations: ", ex.In.Content, ex.In.Body != nil && !ex.In.Whole)
}

// integration appends what a backend was asked, and what it said.
func (e *execution) integration(data bool) {
	ex := e.ex
	if ex.Out.Method == "" && ex.Notes.BackendStatus == 0 {
		return
	}
	e.begin("Endpoint request URI: ")
	if data {
		e.dump(ex.Out.Host)
		e.target(ex.Out.Target)
	} else {
		path, _, _ := strings.Cut(ex.Out.Target, "?")
		e.dump(ex.Out.Host)
		e.dump(path)
	}
	e.end()
	if data {
		e.fields("Endpoint request headers: ", ex.Out.Fields)
		e.content("Endpoint request body after transformations: ", ex.Out.Content, ex.Out.Body != nil)
	}
	if ex.Notes.Target != "" {
		e.line("Sending request to ", ex.Notes.Target)
	}
	if ex.Notes.BackendStatus == 0 {
		return
	}
	e.begin("Received response. Status: ")
	e.b = strconv.AppendInt(e.b, int64(ex.Notes.BackendStatus), 10)
	e.b = append(e.b, ", Integration latency: "...)
	e.b = strconv.AppendInt(e.b, ex.Times.Integration.Milliseconds(), 10)
	e.b = append(e.b, " ms\n"...)
	if data {
		e.fields("Endpoint response headers: ", ex.Back.Fields)
		e.content("Endpoint response body before transformations: ", ex.Back.Content, ex.Back.Body != nil)
	}
}

// failure appends why the exchange failed, if it did.
func (e *execution) failure() {
	f := e.ex.Fault
	if f == nil {
		return
	}
	switch f.Kind {
	case proxy.IntegrationTimeout, proxy.PluginTimeout:
		e.line("Execution failed due to a timeout error: ", causeOf(f))
	case proxy.IntegrationFailure:
		e.line("Execution failed due to a network error communicating with endpoint: ", causeOf(f))
	case proxy.APIConfigurationError, proxy.AuthorizerConfigurationError, proxy.BadIntegration, proxy.PluginFailure, proxy.Internal:
		e.line("Execution failed due to configuration error: ", causeOf(f))
	default:
		e.begin("Gateway response type: ")
		e.b = append(e.b, f.Kind.String()...)
		e.b = append(e.b, " with status code: "...)
		e.b = strconv.AppendInt(e.b, int64(e.ex.Reply.Status), 10)
		e.b = append(e.b, ": "...)
		e.dump(causeOf(f))
		e.end()
	}
}

// reply appends what the client got.
func (e *execution) reply(data bool) {
	ex := e.ex
	if data {
		e.content("Method response body after transformations: ", ex.Reply.Content, ex.Reply.Body != nil)
		e.fields("Method response headers: ", ex.Reply.Fields)
	}
	if ex.Fault == nil {
		e.line("Successfully completed execution", "")
	}
}

// fields appends a line with fields, credentials masked.
func (e *execution) fields(text string, fields http1.Fields) {
	e.begin(text)
	e.b = append(e.b, '{')
	start := len(e.b)
	for i := range fields {
		if len(e.b)-start > longestDump {
			e.b = append(e.b, " [TRUNCATED]"...)
			break
		}
		e.pair(i, fields[i].Name, fields[i].Value)
	}
	e.b = append(e.b, '}', '\n')
}

// pair appends "name=value", after a comma unless it is the first.
func (e *execution) pair(i int, name, value string) {
	if i > 0 {
		e.b = append(e.b, ", "...)
	}
	if confidential(name) {
		value = mask(value)
	}
	e.dump(name)
	e.b = append(e.b, '=')
	e.dump(value)
}

// query appends the parameters of a query.
func (e *execution) query(raw string) {
	start := len(e.b)
	for i := 0; raw != ""; i++ {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		name, value, _ := strings.Cut(pair, "=")
		if len(e.b)-start > longestDump {
			e.b = append(e.b, " [TRUNCATED]"...)
			return
		}
		e.pair(i, name, value)
	}
}

// target appends a target with its query.
func (e *execution) target(target string) {
	path, query, found := strings.Cut(target, "?")
	e.dump(path)
	if found {
		e.b = append(e.b, " {"...)
		e.query(query)
		e.b = append(e.b, '}')
	}
}

// content appends a line with content, if it was kept.
func (e *execution) content(text string, content []byte, streamed bool) {
	e.begin(text)
	switch {
	case streamed:
		e.b = append(e.b, "[streamed]"...)
	case len(content) > longestDump:
		e.dump(string(content[:longestDump+1]))
	default:
		e.dump(string(content))
	}
	e.end()
}

// mask returns what may be shown of a credential: the last six characters of a long one,
// as AWS does it, which is enough to tell two apart.
func mask(s string) string {
	const shown = 6
	if len(s) < 4*shown {
		return strings.Repeat("*", 10)
	}
	return strings.Repeat("*", 10) + s[len(s)-shown:]
}

// confidential reports whether a field or parameter of this name is a credential, or
// likely one.
func confidential(name string) bool {
	name = strings.ToLower(name)
	for _, word := range [...]string{"auth", "cookie", "token", "secret", "passw", "signature", "credential", "session", "api-key", "api_key", "apikey", "assertion"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return name == "sig" || name == "code" || name == "key"
}
