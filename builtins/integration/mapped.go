package integration

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern-gateway/postern/builtins/mapping"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/uri"
)

// mapped is what an integration maps of the request on its way to the backend.
type mapped struct {
	headers []headerTarget
	query   []queryTarget
	path    []pathTarget
	body    bool // a source looks into the content
	vouches bool // a query parameter is the gateway's own word

	*content
}

// headerTarget is a header that gets a value.
type headerTarget struct {
	field  http1.Field // without its value
	source mapping.Source
}

// queryTarget is a query parameter that gets a value.
type queryTarget struct {
	name, encoded string
	source        mapping.Source
}

// pathTarget is a path parameter of the URL that gets a value.
type pathTarget struct {
	name   string
	source mapping.Source
	greedy bool // the value may hold "/"
}

// newMapped compiles the parameter mapping of an integration; nil if there is
// nothing to map. content may be nil.
func newMapped(b proxy.Build, in *config.Integration, c *content, bad *problems) *mapped {
	m := &mapped{content: c}
	for _, target := range sortedKeys(in.Parameters) {
		source, err := mapping.ParseSource(in.Parameters[target], mapping.Request, b.Route)
		if err != nil {
			bad.add(err.Text, err.Hint, "parameters", target)
			continue
		}
		rest, found := strings.CutPrefix(target, "integration.request.")
		place, name, _ := strings.Cut(rest, ".")
		if !found || name == "" {
			place = ""
		}
		m.body = m.body || source.NeedsBody()
		switch place {
		case "header":
			m.addHeader(name, source, bad, target)
		case "querystring":
			if text, literal := source.Literal(); literal && foreign(text, queryMarks) >= 0 {
				bad.add(fmt.Sprintf("%q can't stand in a query string", text), "a literal is sent as it stands: write it percent-encoded", "parameters", target)
			}
			m.vouches = m.vouches || source.Vouched()
			m.query = append(m.query, queryTarget{name, string(mapping.AppendEscapedText(nil, name)), source})
		case "path":
			m.addPath(name, source, b.Route, bad, target)
		default:
			bad.add("this isn't something that a request's parameters can be mapped to",
				"integration.request.header.NAME, integration.request.querystring.NAME or integration.request.path.NAME", "parameters", target)
		}
	}
	if len(in.Parameters) == 0 && c == nil {
		return nil
	}
	return m
}

func (m *mapped) addHeader(name string, source mapping.Source, bad *problems, target string) {
	if !http1.ValidFieldName(name) {
		bad.add(fmt.Sprintf("%q isn't a header name", name), "letters, digits and -", "parameters", target)
		return
	}
	f := http1.NewField(name, "")
	switch forbiddenHeader(&f) {
	case mappingFails:
		bad.add(name+" is the gateway's own", "AWS answers every request with 500 then; remove it", "parameters", target)
	case mappingDropped:
		bad.add(name+" isn't passed to backends", "AWS drops it; remove it", "parameters", target)
	}
	if slices.ContainsFunc(m.headers, func(h headerTarget) bool { return strings.EqualFold(h.field.Name, name) }) {
		bad.add(name+" is mapped twice: case makes no difference", "", "parameters", target)
	}
	if text, literal := source.Literal(); literal && !http1.ValidFieldValue(text) {
		bad.add("the value holds a control character, or begins or ends with white space", "", "parameters", target)
	}
	m.headers = append(m.headers, headerTarget{f, source})
}

func (m *mapped) addPath(name string, source mapping.Source, route *proxy.Route, bad *problems, target string) {
	p := pathTarget{name: name, source: source}
	if text, literal := source.Literal(); literal {
		p.greedy = true
		if foreign(text, pathMarks) >= 0 {
			bad.add(fmt.Sprintf("%q can't stand in a path", text), "a literal is sent as it stands: write it percent-encoded", "parameters", target)
		}
	}
	if param, is := source.PathParam(); is {
		p.greedy = isGreedy(route.Resource, param)
	}
	m.path = append(m.path, p)
}

// pathNames are the names of path parameters that are mapped.
func (m *mapped) pathNames() []string {
	if m == nil {
		return nil
	}
	var names []string
	for i := range m.path {
		names = append(names, m.path[i].name)
	}
	return names
}

// What becomes of a header that is mapped to the integration's request.
const (
	mappingPasses = iota
	mappingDropped
	mappingFails
)

// forbiddenHeader judges a header by AWS's recorded tables for HTTP integrations;
// what belongs to a connection is the gateway's in any case.
func forbiddenHeader(f *http1.Field) int {
	var none proxy.Passing
	switch k := f.Known(); k {
	case http1.ContentLength, http1.TransferEncoding, http1.XAmznTraceID, http1.XAmznAPIGatewayAPIID:
		return mappingFails
	case http1.Expect, http1.ProxyAuthenticate, http1.TE, http1.Via:
		return mappingDropped
	}
	if none.HopByHop(f) {
		return mappingDropped
	}
	return mappingPasses
}

// values are the mapped parts of one request's URL.
type values struct {
	path  []mapping.PathValue
	query []byte // parameters that follow the URL's own, with "&" between them

	client   string // the client's query string, if filtered
	filtered bool

	whole string // the path, in place of the URL's; "" for that
}

// mapRequest works out what is mapped, after the templates. What a template
// overrides comes in place of what the configuration maps to the same name.
func (m *mapped) mapRequest(ex *proxy.Exchange, mem *mapping.Memory, v *values) error {
	if m.body && len(mem.Document.Content) == 0 {
		if err := ex.ReadWhole(ex.BodyLimit()); err != nil {
			return err
		}
		mem.Document.Content = ex.In.Content
	}
	if err := m.mapPath(ex, mem, v); err != nil {
		return err
	}
	return m.mapQuery(ex, mem, v)
}

func (m *mapped) mapPath(ex *proxy.Exchange, mem *mapping.Memory, v *values) error {
	for i := range m.path {
		p := &m.path[i]
		b, found, err := p.source.AppendPath(mem.Scratch[:0], ex, &mem.Document)
		mem.Scratch = b
		if err != nil {
			return badSource(err)
		}
		if !found {
			// AWS documents nothing; a URL with a hole would be another resource.
			return proxy.Fault{Kind: proxy.BadRequest, Cause: fmt.Errorf("integration.request.path.%s: the request has no value for it", p.name)}
		}
		v.path = append(v.path, mapping.PathValue{Name: p.name, Value: ex.Text.Finish(append(ex.Text.Begin(), b...)), Greedy: p.greedy})
		if ex.Explain != nil {
			ex.Explain.Note("integration.request.path."+p.name, string(b), p.source.String())
		}
	}
	overrides, err := mem.AppendOverrides(nil, mapping.RequestPath)
	for _, o := range overrides {
		b, greedy := ex.Text.Begin(), isGreedy(ex.Route.Resource, o.Name)
		for i := range len(o.Value) {
			if c := o.Value[i]; c == '/' && greedy {
				b = append(b, c)
			} else {
				b = uri.AppendEscaped(b, c)
			}
		}
		v.path = slices.DeleteFunc(v.path, func(p mapping.PathValue) bool { return p.Name == o.Name })
		v.path = append(v.path, mapping.PathValue{Name: o.Name, Value: ex.Text.Finish(b), Greedy: greedy})
		explainOverride(ex, "integration.request.path."+o.Name, o.Value)
	}
	return overrideFault(err)
}

// isGreedy reports whether a resource ends in the greedy parameter called name.
func isGreedy(resource, name string) bool {
	begin, found := strings.CutSuffix(resource, "+}")
	return found && strings.HasSuffix(begin, name) && strings.HasSuffix(begin[:len(begin)-len(name)], "/{")
}

func (m *mapped) mapQuery(ex *proxy.Exchange, mem *mapping.Memory, v *values) error {
	overrides, err := mem.AppendOverrides(nil, mapping.RequestQuery)
	if err != nil {
		return overrideFault(err)
	}
	if m.vouches {
		v.client, v.filtered = m.clientQuery(ex), true
	}
	b := mem.Scratch[:0]
	for i := range m.query {
		q := &m.query[i]
		if slices.ContainsFunc(overrides, func(o proxy.Param) bool { return o.Name == q.name }) {
			continue
		}
		before := len(b)
		if b, err = q.source.AppendQuery(b, q.encoded, ex, &mem.Document); err != nil {
			return badSource(err)
		}
		if ex.Explain != nil {
			explainMapped(ex, "integration.request.querystring."+q.name, strings.TrimPrefix(string(b[before:]), "&"), len(b) > before, &q.source)
		}
	}
	for _, o := range overrides {
		if len(b) > 0 {
			b = append(b, '&')
		}
		b = mapping.AppendEscapedText(append(mapping.AppendEscapedText(b, o.Name), '='), o.Value)
		explainOverride(ex, "integration.request.querystring."+o.Name, o.Value)
	}
	v.query, mem.Scratch = b, b
	return nil
}

// clientQuery returns the client's query string without the parameters by which a backend
// gets the gateway's own word: see withoutField.
func (m *mapped) clientQuery(ex *proxy.Exchange) string {
	return queryWithout(ex, func(name string) bool {
		return slices.ContainsFunc(m.query, func(q queryTarget) bool { return q.source.Vouched() && uri.FormIs(name, q.name) })
	})
}

// queryWithout returns the client's query string without the parameters that drop names,
// which are encoded.
func queryWithout(ex *proxy.Exchange, drop func(name string) bool) string {
	query := ex.In.RawQuery
	b := ex.Text.Begin()
	for query != "" {
		one, separator := query, ""
		if end := strings.IndexAny(query, "&;"); end >= 0 {
			one, separator = query[:end], query[end:end+1]
		}
		query = query[len(one)+len(separator):]
		name, _, _ := strings.Cut(one, "=")
		if !drop(name) {
			b = append(append(b, one...), separator...)
		}
	}
	return strings.TrimSuffix(ex.Text.Finish(b), "&")
}

// badSource is the fault of a request whose content can't be mapped.
func badSource(err error) error {
	return proxy.Fault{Kind: proxy.BadRequestBody, Message: "Invalid JSON in request body", Cause: fmt.Errorf("parameter mapping: %w", err)}
}

func overrideFault(err error) error {
	if err == nil {
		return nil
	}
	return proxy.Fault{Kind: proxy.APIConfigurationError, Cause: fmt.Errorf("requestOverride: %w", err)}
}

// mapHeaders sets the mapped headers in fields, and Host in ex.Out.
func (m *mapped) mapHeaders(ex *proxy.Exchange, mem *mapping.Memory, fields http1.Fields) (http1.Fields, error) {
	for i := range m.headers {
		h := &m.headers[i]
		value, found, err := h.source.RequestText(ex, &mem.Document)
		if err != nil {
			return fields, badSource(err)
		}
		explainMapped(ex, "integration.request.header."+h.field.Name, value, found, &h.source)
		if h.source.Vouched() {
			fields = withoutField(fields, h.field.Name)
		}
		if !found {
			continue
		}
		if fields, err = setHeader(ex, fields, h.field, value); err != nil {
			return fields, proxy.Fault{Kind: proxy.BadRequest, Cause: err}
		}
	}
	overrides, err := mem.AppendOverrides(nil, mapping.RequestHeader)
	if err != nil {
		return fields, overrideFault(err)
	}
	for _, o := range overrides {
		f := http1.NewField(o.Name, "")
		switch {
		case forbiddenHeader(&f) == mappingFails: // AWS, recorded: 500
			return fields, overrideFault(fmt.Errorf("%s is the gateway's own", o.Name))
		case forbiddenHeader(&f) == mappingDropped:
			continue
		case !http1.ValidFieldName(o.Name):
			return fields, overrideFault(fmt.Errorf("%q isn't a header name", o.Name))
		}
		if fields, err = setHeader(ex, fields, f, o.Value); err != nil {
			return fields, overrideFault(err)
		}
		explainOverride(ex, "integration.request.header."+o.Name, o.Value)
	}
	return fields, nil
}

// setHeader sets one header of the backend's request.
func setHeader(ex *proxy.Exchange, fields http1.Fields, f http1.Field, value string) (http1.Fields, error) {
	f.Value = strings.Trim(value, " \t")
	if !http1.ValidFieldValue(f.Value) {
		return fields, fmt.Errorf("integration.request.header.%s: the value holds a control character", f.Name)
	}
	if f.Known() == http1.Host {
		if _, _, err := http1.ParseHost(f.Value); err != nil || f.Value == "" {
			return fields, fmt.Errorf("integration.request.header.Host: %q isn't a host", f.Value)
		}
		ex.Out.Host = f.Value
		return fields, nil
	}
	return setField(fields, f), nil
}

// setField puts f in the place of the first field of its name, takes the others
// away, or appends it.
func setField(fields http1.Fields, f http1.Field) http1.Fields {
	at := -1
	kept := fields[:0]
	for i := range fields {
		if len(fields[i].Name) == len(f.Name) && strings.EqualFold(fields[i].Name, f.Name) {
			if at >= 0 {
				continue
			}
			at = len(kept)
		}
		kept = http1.AppendCopy(kept, &fields[i])
	}
	if at < 0 {
		return http1.AppendCopy(kept, &f)
	}
	kept[at] = f
	return kept
}

// withoutField drops a client's fields of a name under which a backend gets the gateway's
// own word, also where that has nothing to say: else a client could say it. CGI and WSGI
// servers take "_" for "-".
func withoutField(fields http1.Fields, name string) http1.Fields {
	kept := fields[:0]
	for i := range fields {
		if !sameHeader(fields[i].Name, name) {
			kept = http1.AppendCopy(kept, &fields[i])
		}
	}
	return kept
}

// sameHeader reports whether two names of headers are the same but for case and for "_"
// in place of "-".
func sameHeader(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if headerByte(a[i]) != headerByte(b[i]) {
			return false
		}
	}
	return true
}

func headerByte(c byte) byte {
	switch {
	case c == '_':
		return '-'
	case 'A' <= c && c <= 'Z':
		return c | 0x20
	}
	return c
}

// reads reports whether the mapping looks into the request's content.
func (m *mapped) reads() bool {
	return m != nil && (m.body || m.content != nil && (len(m.templates) > 0 || m.handling != mapping.AsIs))
}

// readingStep is a step that looks into the request's content, and so needs it
// without a coding.
type readingStep struct{ proxy.Step }

func (readingStep) NeedsDecodedBody() {}

// reading returns step, marked if the mapping of t looks into the content.
func reading(step proxy.Step, t *outgoing) proxy.Step {
	if t.mapped.reads() || t.edits != nil && t.edits.body {
		return readingStep{step}
	}
	return step
}
