package integration

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/postern-gateway/postern/builtins/mapping"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// defaultMediaType is what a template is for when nobody says.
const defaultMediaType = "application/json"

// answer is one [response.x]: an integration response with its method response.
type answer struct {
	name      string
	pattern   string // as configured
	status    int
	fields    http1.Fields   // literal
	headers   []answerHeader // mapped
	typed     bool           // fields has a Content-Type
	templates mapping.Templates
	handling  mapping.Handling
	binary    proxy.MediaTypes

	mapper *mapping.Mapper
	plain  bool // nothing is mapped, and templates are literal
	reads  bool // a header is mapped from the content
}

// answerHeader is a header of the reply that gets a value.
type answerHeader struct {
	field  http1.Field // as the client gets it, without its value
	source mapping.Source
}

// newAnswer builds the answer called name. What is wrong is added to bad.
func newAnswer(b proxy.Build, o proxy.Options, name string, mapper *mapping.Mapper, bad *problems) answer {
	r := o.Responses[name]
	a := answer{name: name, pattern: r.Pattern, status: r.Status, mapper: mapper, handling: mapping.ParseHandling(r.ContentHandling), binary: b.Route.Stage.API.Binary}
	if a.status == 0 {
		a.status = 200
	}
	if a.status < 200 || a.status > 599 {
		bad.add(fmt.Sprintf("%d isn't the status of an answer", a.status), "200 to 599", "response", name, "status")
	}
	for _, header := range sortedKeys(r.Headers) {
		at := []string{"response", name, "headers", header}
		value := r.Headers[header]
		checkHeader(header, a.fields, bad, at)
		checkLiteral(value, bad, at)
		f := replyField(header)
		f.Value = value
		a.typed = a.typed || http1.KnownName(header) == http1.ContentType
		a.fields = append(a.fields, f)
	}
	a.mapHeaders(b, r, name, bad)
	a.templates = mapping.CompileTemplates(r.Template, mapping.Response, b, func(err *config.KeyError) {
		*bad = append(*bad, err)
	}, "response", name, "template")
	if len(r.Template) > 0 && (noContent(a.status) || a.status == 205) {
		bad.add(fmt.Sprintf("an answer of status %d has no content", a.status), "remove the template, or choose another status", "response", name, "template")
	}
	checkDeclared(b, o, name, &a, bad)
	a.plain = len(a.headers) == 0 && !a.templates.Dynamic() && a.handling == mapping.AsIs && len(a.binary) == 0
	return a
}

// mapHeaders compiles the parameter mapping of an answer.
func (a *answer) mapHeaders(b proxy.Build, r config.Response, name string, bad *problems) {
	taken := slices.Clone(a.fields)
	for _, target := range sortedKeys(r.Parameters) {
		at := []string{"response", name, "parameters", target}
		header, found := strings.CutPrefix(target, "method.response.header.")
		if !found {
			bad.add("this isn't something that a response's parameters can be mapped to", "method.response.header.NAME", at...)
			continue
		}
		checkHeader(header, taken, bad, at)
		taken = append(taken, http1.NewField(header, ""))
		source, err := mapping.ParseSource(r.Parameters[target], mapping.Response, b.Route)
		if err != nil {
			bad.add(err.Text, err.Hint, at...)
			continue
		}
		f := replyField(header)
		if text, literal := source.Literal(); literal {
			if !http1.ValidFieldValue(text) {
				bad.add("the value holds a control character, or begins or ends with white space", "", at...)
			}
			f.Value = text
			a.fields = append(a.fields, f)
			a.typed = a.typed || f.Known() == http1.ContentType
			continue
		}
		a.reads = a.reads || source.NeedsBody()
		a.headers = append(a.headers, answerHeader{f, source})
	}
}

// replyField returns a field by the name that a reply can have for it.
func replyField(name string) http1.Field {
	f := http1.NewField(name, "")
	if renamed := remapped[f.Known()]; renamed.Name != "" {
		return renamed
	}
	return f
}

// checkHeader judges a header of an answer.
func checkHeader(name string, before http1.Fields, bad *problems, at []string) {
	if !http1.ValidFieldName(name) {
		bad.add(fmt.Sprintf("%q isn't a header name", name), "letters, digits and -", at...)
		return
	}
	if _, twice := before.Lookup(name); twice {
		bad.add(fmt.Sprintf("%s is there twice: case makes no difference", name), "", at...)
	}
	switch replyHeader(http1.KnownName(name)) {
	case connectionHeader:
		bad.add(name+" belongs to the connection, which is the gateway's", "remove it", at...)
	case gatewayHeader:
		bad.add(name+" is the gateway's own", "remove it", at...)
	}
}

// Whose a header of a reply is.
const (
	anybodysHeader = iota
	connectionHeader
	gatewayHeader
)

func replyHeader(k http1.Known) int {
	switch k {
	case http1.TransferEncoding, http1.TE, http1.KeepAlive, http1.ProxyConnection, http1.HTTP2Settings:
		return connectionHeader
	case http1.XAmznRequestID, http1.XAmzApigwID, http1.XAmznTraceID:
		return gatewayHeader
	}
	return anybodysHeader
}

// checkLiteral judges a value under headers, which is sent as it stands.
func checkLiteral(value string, bad *problems, at []string) {
	if !http1.ValidFieldValue(value) {
		bad.add("the value holds a control character, or begins or ends with white space", "", at...)
		return
	}
	move := fmt.Sprintf(`write it under parameters: "method.response.header.%s" = %q`, at[len(at)-1], value)
	if len(value) >= 2 && value[0] == '\'' && value[len(value)-1] == '\'' {
		bad.add("the value is quoted as in an AWS parameter mapping", "write "+value[1:len(value)-1]+" without the single quotes, or "+move, at...)
	}
	for _, source := range []string{"integration.response.", "method.request.", "context.", "stageVariables."} {
		if strings.HasPrefix(value, source) {
			bad.add(fmt.Sprintf("%q is a parameter mapping", value), move, at...)
		}
	}
}

// checkDeclared holds an answer against what the method declares, if it does.
// AWS: "Set up a REST API method response": mappings may use only what is declared.
func checkDeclared(b proxy.Build, o proxy.Options, name string, a *answer, bad *problems) {
	if o.Config == nil {
		return
	}
	declared := o.Config.API[b.Route.Stage.API.Name].Route[b.Route.Key].MethodResponse
	if len(declared) == 0 {
		return
	}
	method, found := declared[strconv.Itoa(a.status)]
	if !found {
		bad.add(fmt.Sprintf("the method declares no response of status %d", a.status), listed("declared under method_response", declared), "response", name, "status")
		return
	}
	check := func(header, table, key string) {
		if !slices.ContainsFunc(method.Headers, func(h string) bool { return strings.EqualFold(h, header) }) {
			bad.add(fmt.Sprintf("the method doesn't declare the header %s for status %d", header, a.status),
				fmt.Sprintf("add it to headers under method_response.%d", a.status), "response", name, table, key)
		}
	}
	for _, header := range sortedKeys(o.Responses[name].Headers) {
		check(header, "headers", header)
	}
	for _, target := range sortedKeys(o.Responses[name].Parameters) {
		if header, is := strings.CutPrefix(target, "method.response.header."); is {
			check(header, "parameters", target)
		}
	}
}

// reply makes a the client's reply, with the backend's content where a has none.
func (a *answer) reply(ctx context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	return a.replyTo(ctx, ex, worked)
}

// outcome says whether what came back is a function's error.
type outcome bool

const (
	worked outcome = false
	failed outcome = true
)

// replyTo is reply for what may be a function's error.
func (a *answer) replyTo(ctx context.Context, ex *proxy.Exchange, came outcome) (proxy.Verdict, error) {
	if ex.Explain != nil {
		a.explain(ex, came)
	}
	if a.plain && !a.mapper.Used(ex) {
		a.start(ex)
		return proxy.Continue, nil
	}
	return a.mapReply(ctx, ex, came)
}

// start makes a, which is plain, the reply.
func (a *answer) start(ex *proxy.Exchange) {
	fields := append(ex.Reply.Fields[:0], a.fields...)
	ex.Reply = proxy.Response{Status: a.status}
	if t := a.templates.ForResponse(ex.In.Fields.GetKnown(http1.Accept)); t != nil {
		ex.Reply.Content, ex.Reply.Length = t.Literal, int64(len(t.Literal))
		if !a.typed {
			fields = append(fields, t.Type)
		}
		ex.Reply.Fields = fields
		return
	}
	ex.Reply.Fields = fields
	passContent(&ex.Reply, ex)
	ex.Reply.Fields = a.describe(ex.Reply.Fields, ex, a.typed)
}

// describe appends the backend's fields that say what its content is.
func (a *answer) describe(fields http1.Fields, ex *proxy.Exchange, typed bool) http1.Fields {
	for i := range ex.Back.Fields {
		f := &ex.Back.Fields[i]
		switch k := f.Known(); {
		case k == http1.ContentType && !typed, k == http1.ContentEncoding:
			fields = http1.AppendCopy(fields, f)
		}
	}
	return fields
}

// mapReply makes a the reply where something has to be worked out.
func (a *answer) mapReply(ctx context.Context, ex *proxy.Exchange, came outcome) (proxy.Verdict, error) {
	mem := a.mapper.Memory(ex)
	chosen := a.templates.ForResponse(ex.In.Fields.GetKnown(http1.Accept))
	if chosen != nil {
		explainTemplate(ex, chosen, "Accept", ex.In.Fields.GetKnown(http1.Accept))
	}
	renders := chosen != nil && chosen.Literal == nil && chosen.Plugin == nil
	if renders || a.reads {
		if err := readBack(ex); err != nil {
			return proxy.Continue, err
		}
	}
	mem.Document = mapping.Document{Content: ex.Back.Content, Error: came == failed}
	fields, typed, err := a.mappedFields(ex, mem, append(ex.Reply.Fields[:0], a.fields...))
	if err != nil {
		return proxy.Continue, err
	}
	reply := proxy.Response{Status: a.status}
	if chosen == nil || chosen.Plugin != nil {
		if err = convertBack(ex, a.handling, a.binary); err != nil {
			return proxy.Continue, err
		}
		passContent(&reply, ex)
		fields = a.describe(fields, ex, typed)
	} else {
		if reply.Content, err = a.render(ex, mem, chosen); err != nil {
			return proxy.Continue, err
		}
		reply.Length = int64(len(reply.Content))
		if !typed {
			fields = append(fields, chosen.Type)
		}
	}
	reply.Fields = fields
	ex.Reply = reply
	if err = override(ex, mem); err != nil {
		return proxy.Continue, err
	}
	if chosen != nil && chosen.Plugin != nil {
		return chosen.Plugin.Run(ctx, ex)
	}
	return proxy.Continue, nil
}

// render returns what the template makes of the backend's content, converted as
// the client accepts it.
func (a *answer) render(ex *proxy.Exchange, mem *mapping.Memory, t *mapping.Template) ([]byte, error) {
	if len(a.binary) == 0 && a.handling == mapping.AsIs {
		return t.Render(mem, ex.Back.Content)
	}
	binary := a.binary.Has(ex.Back.Fields.GetKnown(http1.ContentType))
	conversion := a.handling.Response(binary, a.binary.Has(ex.In.Fields.GetKnown(http1.Accept)))
	return renderContent(t, mem, ex.Back.Content, conversion, binary)
}

// mappedFields appends the mapped headers to fields. typed says that one of all is
// the Content-Type.
func (a *answer) mappedFields(ex *proxy.Exchange, mem *mapping.Memory, fields http1.Fields) (_ http1.Fields, typed bool, _ error) {
	typed = a.typed
	for i := range a.headers {
		h := &a.headers[i]
		if h.source.Multiple() {
			value, next := h.source.ResponseValue(ex, 0)
			for ; next >= 0; value, next = h.source.ResponseValue(ex, next) {
				f := h.field
				f.Value = value
				fields = http1.AppendCopy(fields, &f)
				explainMapped(ex, "method.response.header."+f.Name, value, true, &h.source)
			}
			continue
		}
		value, found, err := h.source.ResponseText(ex, &mem.Document)
		if err != nil {
			return nil, false, mappingFault("parameter mapping: "+h.field.Name, err)
		}
		explainMapped(ex, "method.response.header."+h.field.Name, value, found, &h.source)
		if !found {
			continue
		}
		f := h.field
		if f.Value = strings.Trim(value, " \t"); !http1.ValidFieldValue(f.Value) {
			return nil, false, mappingFault("parameter mapping: "+f.Name, errHeaderValue)
		}
		typed = typed || f.Known() == http1.ContentType
		fields = http1.AppendCopy(fields, &f)
	}
	return fields, typed, nil
}

// errHeaderValue is a mapped value that no header can have.
var errHeaderValue = fmt.Errorf("the value holds a control character")

func mappingFault(what string, err error) error {
	return proxy.Fault{Kind: proxy.APIConfigurationError, Cause: fmt.Errorf("%s: %w", what, err)}
}

// override applies what templates have set for the response. AWS: "Use a mapping
// template to override your API's request and response parameters and status
// codes": after everything that is mapped.
func override(ex *proxy.Exchange, mem *mapping.Memory) error {
	headers, err := mem.AppendOverrides(nil, mapping.ResponseHeader)
	if err != nil {
		return mappingFault("responseOverride", err)
	}
	for _, h := range headers {
		f := replyField(h.Name)
		f.Value = strings.Trim(h.Value, " \t")
		switch {
		case !http1.ValidFieldName(h.Name), !http1.ValidFieldValue(f.Value):
			return mappingFault(fmt.Sprintf("responseOverride.header.%s", h.Name), errHeaderValue)
		case replyHeader(f.Known()) == anybodysHeader:
			ex.Reply.Fields = setField(ex.Reply.Fields, f)
			explainOverride(ex, "method.response.header."+f.Name, f.Value)
		}
	}
	if status, set := mem.Status(); set {
		ex.Reply.Status = status
		if ex.Explain != nil {
			explainOverride(ex, "method.response.status", strconv.Itoa(status))
		}
		if noContent(status) || status == 205 {
			ex.Reply.Content, ex.Reply.Body, ex.Reply.Length = nil, nil, 0
		}
	}
	return nil
}
