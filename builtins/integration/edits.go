package integration

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/postern-gateway/postern/builtins/mapping"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/uri"
)

// edits are what an HTTP API changes in a request, or in the answers of one status. AWS:
// "Transform API requests and responses for HTTP APIs in API Gateway".
type edits struct {
	headers []headerEdit
	query   []queryEdit
	path    *mapping.Expression // nil: it stays
	status  *mapping.Expression // nil: it stays
	body    bool                // a value is from the content
}

// change is what becomes of what is there under a name. Edits run in this order.
type change uint8

const (
	removes    change = iota
	overwrites        // a value takes the place of all, also when it is empty: then nothing does
	appends           // a value comes on top, unless it is empty
)

type headerEdit struct {
	change change
	field  http1.Field // without its value
	value  mapping.Expression
}

type queryEdit struct {
	change        change
	name, encoded string
	value         mapping.Expression
}

// newEdits compiles parameters, which stand at at; nil for none. What is wrong is added to
// bad.
func newEdits(parameters map[string]string, side mapping.Side, route *proxy.Route, bad *problems, at ...string) *edits {
	if len(parameters) == 0 {
		return nil
	}
	e := &edits{}
	for _, target := range sortedKeys(parameters) {
		here := append(slices.Clone(at), target)
		verb, place, _ := strings.Cut(target, ":")
		what, known := map[string]change{"remove": removes, "overwrite": overwrites, "append": appends}[verb]
		text := parameters[target]
		if !known {
			bad.add("this isn't something that parameters can be mapped to", targetsOf(side, text), here...)
			continue
		}
		if what == removes {
			if text = strings.Trim(text, "'"); text != "" {
				bad.add("what is removed has no value", `write ""`, here...)
			}
		}
		value, err := mapping.ParseExpression(text, side, route)
		if err != nil {
			bad.add(err.Text, err.Hint, here...)
			continue
		}
		if what == appends && value.Identifies() {
			// Differs from AWS, where a client's own stays in front: it could say who it is.
			what = overwrites
		}
		if !e.add(what, place, value, side, bad, here) {
			bad.add("this isn't something that parameters can be mapped to", targetsOf(side, parameters[target]), here...)
		}
		e.body = e.body || value.NeedsBody()
	}
	slices.SortStableFunc(e.headers, func(a, b headerEdit) int { return cmp.Compare(a.change, b.change) })
	slices.SortStableFunc(e.query, func(a, b queryEdit) int { return cmp.Compare(a.change, b.change) })
	return e
}

// targetsOf is a hint. REST APIs' parameters have other values, too.
func targetsOf(side mapping.Side, value string) string {
	if strings.HasPrefix(value, "method.request.") || strings.HasPrefix(value, "integration.response.") {
		return `that is how REST APIs write it; here: "overwrite:header.X" = "$request.header.Y"`
	}
	if side == mapping.Response {
		return "append, overwrite or remove:header.NAME; overwrite:statuscode"
	}
	return "append, overwrite or remove:header.NAME or :querystring.NAME; overwrite:path"
}

// add adds one edit, and reports whether there is such a one.
func (e *edits) add(what change, place string, value mapping.Expression, side mapping.Side, bad *problems, at []string) bool {
	place, name, _ := strings.Cut(place, ".")
	literal, known := value.Literal()
	switch {
	case place == "header" && name != "":
		e.addHeader(headerEdit{what, http1.NewField(name, ""), value}, bad, at)
	case place == "querystring" && name != "" && side == mapping.Request:
		e.query = append(e.query, queryEdit{what, name, string(mapping.AppendEscapedText(nil, name)), value})
	case place == "path" && name == "" && what == overwrites && side == mapping.Request:
		if known && (!strings.HasPrefix(literal, "/") || foreign(literal, pathMarks) >= 0) {
			bad.add(fmt.Sprintf("%q isn't a path", literal), `it begins with "/", and is sent as it stands: write it percent-encoded`, at...)
		}
		e.path = &value
	case place == "statuscode" && name == "" && what == overwrites && side == mapping.Response:
		if _, good := mapping.ParseStatus(literal); known && !good {
			bad.add(fmt.Sprintf("%q isn't the status of an answer", literal), "200 to 599", at...)
		}
		e.status = &value
	default:
		return false
	}
	return true
}

func (e *edits) addHeader(h headerEdit, bad *problems, at []string) {
	literal, known := h.value.Literal()
	switch {
	case !http1.ValidFieldName(h.field.Name):
		bad.add(fmt.Sprintf("%q isn't a header name", h.field.Name), "letters, digits and -", at...)
	case mapping.Reserved(h.field.Name):
		bad.add(h.field.Name+" is reserved: AWS lets nobody map it", "remove it", at...)
	case known && !http1.ValidFieldValue(literal):
		bad.add("the value holds a control character, or begins or ends with white space", "", at...)
	}
	e.headers = append(e.headers, h)
}

// prepareEdits is prepare for HTTP APIs.
func (t *outgoing) prepareEdits(ex *proxy.Exchange) error {
	e := t.edits
	if e.body {
		if err := ex.ReadWhole(ex.BodyLimit()); err != nil {
			return err
		}
	}
	v, content := values{}, e.content(ex)
	if e.path != nil {
		var few [256]byte // the exchange's own memory is the sources' meanwhile
		path, err := e.appendPath(few[:0], ex, content)
		if err != nil {
			return err
		}
		v.whole = ex.Text.Finish(append(ex.Text.Begin(), path...))
	}
	if len(e.query) > 0 {
		v.client, v.filtered = e.clientQuery(ex), true
		if err := e.appendQuery(ex, content, &v); err != nil {
			return err
		}
	}
	return t.request(ex, true, &v)
}

// content returns the request's content for values; nil if none is from it.
func (e *edits) content(ex *proxy.Exchange) *mapping.Document {
	if !e.body {
		return nil
	}
	return &mapping.Document{Content: ex.In.Content}
}

// appendPath appends the path that takes the place of the URL's.
func (e *edits) appendPath(b []byte, ex *proxy.Exchange, content *mapping.Document) ([]byte, error) {
	b, err := e.path.AppendPath(b, ex, content)
	if err != nil {
		return b, badSource(err)
	}
	if len(b) == 0 || b[0] != '/' {
		b = append([]byte{'/'}, b...)
	}
	switch {
	case endsPath(b):
		err = errParamText
	case uri.HasDotSegment(b):
		err = errParamClimbs
	}
	if err != nil {
		return b, proxy.Fault{Kind: proxy.BadRequest, Cause: err}
	}
	if ex.Explain != nil {
		ex.Explain.Note("overwrite:path", string(b), e.path.String())
	}
	return b, nil
}

// clientQuery returns the client's query string without what is removed or overwritten.
func (e *edits) clientQuery(ex *proxy.Exchange) string {
	return queryWithout(ex, func(name string) bool {
		return slices.ContainsFunc(e.query, func(q queryEdit) bool { return q.change != appends && uri.FormIs(name, q.name) })
	})
}

// appendQuery fills v's parameters that follow the client's.
func (e *edits) appendQuery(ex *proxy.Exchange, content *mapping.Document, v *values) error {
	for i := range e.query {
		q := &e.query[i]
		if q.change == removes {
			continue
		}
		text, err := q.value.RequestText(ex, content)
		if err != nil {
			return badSource(err)
		}
		explainEdit(ex, q.change, "querystring.", q.name, text, &q.value)
		if text == "" {
			continue
		}
		if len(v.query) > 0 {
			v.query = append(v.query, '&')
		}
		v.query = mapping.AppendEscapedText(append(append(v.query, q.encoded...), '='), text)
	}
	return nil
}

// requestHeaders changes the fields of a request, and its Host.
func (e *edits) requestHeaders(ex *proxy.Exchange, fields http1.Fields) (http1.Fields, error) {
	content := e.content(ex)
	for i := range e.headers {
		h := &e.headers[i]
		text, err := h.value.RequestText(ex, content)
		if err != nil {
			return fields, badSource(err)
		}
		explainEdit(ex, h.change, "header.", h.field.Name, text, &h.value)
		if h.field.Known() == http1.Host && h.change == overwrites && text != "" {
			_, err = setHeader(ex, fields, h.field, text)
		} else {
			fields, err = h.apply(fields, text)
		}
		if err != nil {
			return fields, proxy.Fault{Kind: proxy.BadRequest, Cause: err}
		}
	}
	return fields, nil
}

// apply makes the edit in fields.
func (h *headerEdit) apply(fields http1.Fields, text string) (http1.Fields, error) {
	f := h.field
	if f.Value = strings.Trim(text, " \t"); !http1.ValidFieldValue(f.Value) {
		return fields, fmt.Errorf("header.%s: the value holds a control character", f.Name)
	}
	if h.change != appends {
		fields = withoutField(fields, f.Name)
	}
	if h.change == removes || f.Value == "" {
		return fields, nil
	}
	return http1.AppendCopy(fields, &f), nil
}

// explainEdit tells the exchange's trace, if it has one, what became of an edit.
func explainEdit(ex *proxy.Exchange, what change, place, name, text string, value *mapping.Expression) {
	if ex.Explain == nil {
		return
	}
	place += name
	verb := [...]string{removes: "remove:", overwrites: "overwrite:", appends: "append:"}[what]
	if text == "" && what != removes {
		ex.Explain.Remark(verb+place, "left out: there is no value for it", value.String())
		return
	}
	ex.Explain.Note(verb+place, text, value.String())
}

// answerEdits are the edits for answers of one status.
type answerEdits struct {
	status int
	*edits
}

// newAnswerEdits compiles the responses of a route of an HTTP API.
func newAnswerEdits(responses map[string]config.Response, route *proxy.Route, bad *problems) []answerEdits {
	var all []answerEdits
	for _, name := range sortedKeys(responses) {
		status, good := mapping.ParseStatus(name)
		if !good {
			bad.add(fmt.Sprintf("%q isn't the status of an answer", name), "200 to 599", "response", name)
			continue
		}
		if e := newEdits(responses[name].Parameters, mapping.Response, route, bad, "response", name, "parameters"); e != nil {
			all = append(all, answerEdits{status, e})
		}
	}
	return all
}

// editsFor returns the edits for a status, nil for none.
func editsFor(all []answerEdits, status int) *edits {
	for i := range all {
		if all[i].status == status {
			return all[i].edits
		}
	}
	return nil
}

// reply changes ex.Reply, which is the backend's answer.
func (e *edits) reply(ex *proxy.Exchange) error {
	var content *mapping.Document
	if e.body {
		content = &mapping.Document{Content: ex.Back.Content}
	}
	for i := range e.headers {
		h := &e.headers[i]
		text, err := h.value.ResponseText(ex, content)
		if err == nil {
			explainEdit(ex, h.change, "header.", h.field.Name, text, &h.value)
			ex.Reply.Fields, err = h.apply(ex.Reply.Fields, text)
		}
		if err != nil {
			return mappingFault("parameter mapping", err)
		}
	}
	if e.status == nil {
		return nil
	}
	text, err := e.status.ResponseText(ex, content)
	status, good := mapping.ParseStatus(text)
	if err != nil || !good {
		return mappingFault("overwrite:statuscode", fmt.Errorf("%s isn't the status of an answer", strconv.Quote(text)))
	}
	explainEdit(ex, overwrites, "statuscode", "", text, e.status)
	ex.Reply.Status = status
	if noContent(status) || status == 205 {
		ex.Reply.Content, ex.Reply.Body, ex.Reply.Length = nil, nil, 0
	}
	return nil
}
