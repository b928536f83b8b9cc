package observe

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/mask"
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
	e.failure(m.data && m.level == levelInfo)
	if m.level == levelInfo && ex.Fault == nil {
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
	e.plan()
	e.line("Starting execution for request: ", ex.ID)
	e.begin("HTTP Method: ")
	e.dump(ex.Method)
	e.b = append(e.b, ", Resource Path: "...)
	e.dump(ex.Path)
	e.end()
	if data {
		e.begin("Method request path: {")
		for i := range ex.Params {
			e.pair(i, ex.Params[i].Name, ex.Params[i].Value)
		}
		e.b = append(e.b, '}', '\n')
		e.begin("Method request query string: {")
		e.query(ex.In.RawQuery)
		e.b = append(e.b, '}', '\n')
		e.fields("Method request headers: ", ex.In.Fields)
		e.content("Method request body before transformations: ", ex.In.Content, ex.In.Fields, ex.In.Body != nil && !ex.In.Whole, ofRequest)
	}
	e.authorizer()
}

// plan appends what the caller's API key came to.
func (e *execution) plan() {
	ex := e.ex
	if ex.Route == nil {
		return
	}
	key := mask.Tail(ex.Caller.Key)
	if ex.Caller.Key == "" {
		key = ""
	}
	stage := e.stage.api + "/" + e.stage.stage
	e.begin("Verifying Usage Plan for request: ")
	e.b = append(append(append(append(append(e.b, ex.ID...), ". API Key: "...), key...), " API Stage: "...), stage...)
	e.end()
	switch {
	case !ex.Route.KeyRequired:
		e.begin("API Key ")
		e.b = append(append(append(e.b, key...), " authorized because method '"...), ex.Route.Key...)
		e.b = append(e.b, "' does not require API Key. Request will not contribute to throttle or quota limits"...)
		e.end()
	case ex.Caller.KeyID != "":
		e.begin("Usage Plan check succeeded for API Key ")
		e.dump(ex.Caller.KeyID)
		e.b = append(append(e.b, " and API Stage "...), stage...)
		e.end()
	}
}

// authorizer appends what the authorizer said of the caller.
func (e *execution) authorizer() {
	ex := e.ex
	if ex.Route == nil || ex.Route.Authorizer == "" {
		return
	}
	passed := ex.Fault == nil || ex.Caller.Principal != ""
	if !passed && ex.Fault.Kind != proxy.AuthorizerFailure && ex.Fault.Kind != proxy.AuthorizerConfigurationError {
		return // nobody knows whether it was asked
	}
	e.begin("Starting authorizer: ")
	e.b = append(append(append(e.b, ex.Route.Authorizer...), " for request: "...), ex.ID...)
	e.end()
	if ex.Caller.Principal != "" {
		e.line("Using valid authorizer policy for principal: ", ex.Caller.Principal)
	}
	if passed {
		e.line("Successfully completed authorizer execution", "")
	}
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
		e.content("Endpoint request body after transformations: ", ex.Out.Content, ex.Out.Fields, ex.Out.Body != nil, ofOutgoing)
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
		e.content("Endpoint response body before transformations: ", ex.Back.Content, ex.Back.Fields, ex.Back.Body != nil, ofAnswer)
	}
}

// failure appends why the exchange failed, if it did, and which gateway response the
// client got.
func (e *execution) failure(data bool) {
	f := e.ex.Fault
	if f == nil {
		return
	}
	told := true
	switch f.Kind {
	case proxy.IntegrationTimeout, proxy.PluginTimeout:
		e.line("Execution failed due to a timeout error: ", causeOf(f))
	case proxy.IntegrationFailure:
		e.line("Execution failed due to a network error communicating with endpoint: ", causeOf(f))
	case proxy.APIConfigurationError, proxy.AuthorizerConfigurationError, proxy.AuthorizerFailure, proxy.BadIntegration, proxy.PluginFailure, proxy.Internal:
		e.line("Execution failed due to configuration error: ", causeOf(f))
	default:
		told = false
	}
	e.begin("Gateway response type: ")
	e.b = append(e.b, f.Kind.String()...)
	e.b = append(e.b, " with status code: "...)
	e.b = strconv.AppendInt(e.b, int64(e.ex.Reply.Status), 10)
	if !told {
		e.b = append(e.b, ": "...)
		e.dump(causeOf(f))
	}
	e.end()
	if data {
		e.content("Gateway response body: ", e.ex.Reply.Content, e.ex.Reply.Fields, e.ex.Reply.Body != nil, ofReply)
		e.fields("Gateway response headers: ", e.ex.Reply.Fields)
	}
}

// reply appends what the client got.
func (e *execution) reply(data bool) {
	ex := e.ex
	if data {
		e.content("Method response body after transformations: ", ex.Reply.Content, ex.Reply.Fields, ex.Reply.Body != nil, ofReply)
		e.fields("Method response headers: ", ex.Reply.Fields)
	}
	e.line("Successfully completed execution", "")
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
	if mask.Confidential(name) {
		value = mask.Value(name, value)
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

// content appends a line with content, credentials masked: all that is there, or how it
// began if it streamed.
func (e *execution) content(text string, content []byte, fields http1.Fields, streamed bool, which witness) {
	e.begin(text)
	if streamed {
		content = nil
		if all, is := e.ex.Kept(seenKey{}).(*seen); is && all[which] != nil {
			content = all[which].text()
		}
	}
	cut := len(content) > longestDump
	if cut {
		content = mask.Whole(content[:longestDump])
	}
	switch {
	case !utf8.Valid(content) || bytes.IndexByte(content, 0) >= 0:
		e.b = append(e.b, "[Binary Data]"...) // AWS's words
	case mask.IsForm(fields.GetKnown(http1.ContentType)):
		e.b = appendEscaped(e.b, mask.Form(string(content)), cleaned)
	default:
		e.b = appendEscaped(e.b, mask.JSON(string(content)), cleaned)
	}
	if cut {
		e.b = append(e.b, " [TRUNCATED]"...)
	}
	e.end()
}
