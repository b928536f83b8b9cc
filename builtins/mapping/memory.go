package mapping

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/postern-gateway/postern/builtins/internal/vtl"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/event"
	"github.com/postern-gateway/postern/proxy/expr"
)

// Mapper lends the memory that the mappings of one route need for an exchange.
type Mapper struct {
	stage []vtl.Pair // its variables
	free  sync.Pool  // of *Memory
}

// NewMapper returns the Mapper of a route.
func NewMapper(route *proxy.Route) *Mapper {
	m := &Mapper{}
	for name, value := range route.Stage.Variables {
		m.stage = append(m.stage, vtl.Pair{Name: name, Value: value})
	}
	slices.SortFunc(m.stage, func(a, b vtl.Pair) int { return strings.Compare(a.Name, b.Name) })
	return m
}

// memoryKey is the key of a *Memory in an exchange.
type memoryKey struct{}

// Memory returns what is kept for ex, the same in both phases.
func (m *Mapper) Memory(ex *proxy.Exchange) *Memory {
	if kept, ok := ex.Kept(memoryKey{}).(*Memory); ok {
		return kept
	}
	mem, ok := m.free.Get().(*Memory)
	if !ok {
		mem = &Memory{}
		mem.release = func() {
			mem.reset()
			m.free.Put(mem)
		}
	}
	mem.ex = ex
	mem.environment.Stage = m.stage
	ex.Keep(memoryKey{}, mem)
	ex.OnDone(mem.release)
	return mem
}

// Used reports whether something has been mapped in ex before, so that templates
// may have set what overrides the response.
func (m *Mapper) Used(ex *proxy.Exchange) bool { return ex.Kept(memoryKey{}) != nil }

// Memory is what the mappings of one exchange share: what its templates see, and
// what they override. The response's templates see what the request's have set.
type Memory struct {
	Document Document // the content that parameter mappings look into
	Scratch  []byte   // for whoever maps, to build texts in
	Path     []PathValue

	ex          *proxy.Exchange
	release     func()
	environment vtl.Environment
	overrides   vtl.Overrides
	context     contextTree
	ready       bool // environment is filled
	output      []byte
}

// PathValue is what is mapped to a path parameter of the integration's URL.
type PathValue struct {
	Name   string
	Value  string // encoded
	Greedy bool   // it may hold "/"
}

// outputKeep is how much memory for output is kept for further exchanges, in bytes.
const outputKeep = 64 << 10

func (m *Memory) reset() {
	p := &m.environment.Params
	for _, pairs := range [][]vtl.Pair{p.Path, p.Query, p.Header} {
		clear(pairs) // their strings are views of larger memory
	}
	clear(m.Path)
	params := vtl.Params{Path: p.Path[:0], Query: p.Query[:0], Header: p.Header[:0]}
	output := m.output[:0]
	if cap(output) > outputKeep {
		output = nil
	}
	*m = Memory{release: m.release, output: output, Scratch: m.Scratch[:0], Path: m.Path[:0]}
	m.environment.Params = params
}

// render appends what t makes of body to memory that is valid as long as the
// exchange. Its error is a Fault, AWS's 500.
func (m *Memory) render(t *vtl.Template, body []byte) ([]byte, error) {
	m.prepare()
	m.environment.Body = vtl.NewBody(body)
	begin := len(m.output)
	out, err := t.Render(m.output, &m.environment)
	if err != nil {
		return nil, proxy.Fault{Kind: proxy.APIConfigurationError, Cause: err}
	}
	if twice := m.overrides.Repeated(); twice != "" {
		return nil, proxy.Fault{Kind: proxy.APIConfigurationError, Cause: fmt.Errorf("%s: the template sets $context.%s twice, and may set it once", t.Name(), twice)}
	}
	m.output = out
	return out[begin:len(out):len(out)], nil
}

// prepare fills what templates see of the exchange, once.
func (m *Memory) prepare() {
	if m.ready {
		return
	}
	m.ready = true
	p := &m.environment.Params
	for i := range m.ex.Params {
		p.Path = append(p.Path, vtl.Pair{Name: m.ex.Params[i].Name, Value: decodedPath(m.ex, m.ex.Params[i].Value)})
	}
	p.Query = event.AppendQuery(p.Query, m.ex)
	p.Header = event.AppendHeaders(p.Header, m.ex)
	m.context.ex = m.ex
	m.environment.Context = &m.context
	m.environment.Overrides = &m.overrides
}

// Part is a part of a message that templates can override.
type Part uint8

// The parts. AWS: "Use a mapping template to override your API's request and
// response parameters and status codes".
const (
	RequestHeader Part = iota
	RequestQuery
	RequestPath
	ResponseHeader
)

// AppendOverrides appends what templates have set for a part, in their order. A
// list gives one field with its values separated by commas, and as many query
// parameters as it has values. Null overrides nothing.
func (m *Memory) AppendOverrides(dst []proxy.Param, part Part) ([]proxy.Param, error) {
	var set *expr.Map
	switch part {
	case RequestHeader:
		set = m.overrides.RequestHeader()
	case RequestQuery:
		set = m.overrides.RequestQuery()
	case RequestPath:
		set = m.overrides.RequestPath()
	case ResponseHeader:
		set = m.overrides.ResponseHeader()
	}
	if set == nil {
		return dst, nil
	}
	for i := range set.Len() {
		name, err := set.Key(i).Text(maxText)
		if err != nil {
			return dst, err
		}
		if dst, err = appendOverride(dst, name, set.At(i), part); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func appendOverride(dst []proxy.Param, name string, value expr.Value, part Part) ([]proxy.Param, error) {
	if value.Kind() == expr.NullKind {
		return dst, nil
	}
	if value.Kind() != expr.ListKind {
		text, err := value.Text(maxText)
		return append(dst, proxy.Param{Name: name, Value: text}), err
	}
	var joined string
	for i, item := range value.List().Items() {
		text, err := item.Text(maxText)
		if err != nil {
			return dst, err
		}
		switch {
		case part == RequestQuery:
			dst = append(dst, proxy.Param{Name: name, Value: text})
			continue
		case i > 0:
			joined += ","
		}
		joined += text
	}
	if part != RequestQuery {
		dst = append(dst, proxy.Param{Name: name, Value: joined})
	}
	return dst, nil
}

// Status returns the status that a template has set for the client. AWS: what
// isn't an integer from 100 to 599 counts for nothing; here that is from 200 on,
// for an answer can't be informational.
func (m *Memory) Status() (status int, set bool) {
	value, set := m.overrides.Status()
	if !set {
		return 0, false
	}
	text, err := value.Text(maxText)
	if err != nil {
		return 0, false
	}
	return ParseStatus(text)
}

// ParseStatus returns a status that text writes, 200 to 599, and false for anything else.
func ParseStatus(text string) (status int, ok bool) {
	if len(text) != 3 {
		return 0, false
	}
	for i := range 3 {
		if text[i] < '0' || text[i] > '9' {
			return 0, false
		}
		status = 10*status + int(text[i]-'0')
	}
	return status, status >= 200 && status <= 599
}

// StatusCode returns the member statusCode of what a mock's request template has
// rendered, which AWS reads leniently: unquoted names, single quotes and a comma
// at the end are good, and so is a number in quotes.
func StatusCode(rendered []byte) (status int, found bool) {
	root, err := expr.ParseJSON(rendered)
	if err != nil || root.Kind() != expr.MapKind {
		return 0, false
	}
	value, found := root.Map().Get("statusCode")
	if !found {
		return 0, false
	}
	text, err := value.Text(maxText)
	if err != nil {
		return 0, false
	}
	return ParseStatus(text)
}
