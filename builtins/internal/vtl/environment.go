package vtl

import (
	"time"

	"github.com/postern-gateway/postern/proxy/expr"
)

// Pair is a name with a value.
type Pair struct{ Name, Value string }

// Params are the parameters that $input.params() shows, in their order. Of
// several of one name the last counts.
type Params struct {
	Path, Query, Header []Pair
}

// Tree is something with named parts, of which a template may ask for few: they
// are made only then.
type Tree interface {
	// Member returns the part called name, null if there is none.
	Member(name string) expr.Value
	// Names returns the names of all parts, in order.
	Names() []string
}

// Branch returns a tree within a tree: a value that prints nothing and has t's
// parts as members.
func Branch(t Tree) expr.Value { return expr.OfObject(&branchObject{tree: t}) }

// Environment is what a template sees. All of it may be left out.
type Environment struct {
	Body      *Body  // of the message; nil: empty
	Params    Params // of the request
	Context   Tree   // $context, without the overrides
	Stage     []Pair // $stageVariables
	Overrides *Overrides
	Deadline  time.Time       // zero: Limits.Time after the start
	Variables *expr.Map       // more top-level names
	Explain   func(Reference) // is told of each reference that is evaluated; nil: nobody
	Coverage  *Coverage       // counts what is rendered; nil: nothing does
}

// overrides returns Overrides; nil also for no environment.
func (e *Environment) overrides() *Overrides {
	if e == nil {
		return nil
	}
	return e.Overrides
}

// Body is a message's body, as text and as a document. The document is parsed once
// it is asked for, and stays as templates change it.
type Body struct {
	text   []byte
	shown  string // as a string
	root   expr.Value
	state  uint8 // of root
	failed error
}

const (
	bodyUnread uint8 = iota
	bodyParsed
	bodyBroken // no JSON at all
)

// NewBody returns the body with this text, which must not change as long as the
// Body or a value of its document is used. A Body serves one rendering at a time.
func NewBody(text []byte) *Body { return &Body{text: text} }

// String returns the text; "{}" if there is none, as AWS has it.
func (b *Body) String() string {
	if b == nil || len(b.text) == 0 {
		return "{}"
	}
	if b.shown == "" {
		b.shown = expr.Decode(b.text)
	}
	return b.shown
}

// Document returns the document, null for "null". The error says that the text is
// no JSON, not even leniently read.
func (b *Body) Document() (expr.Value, error) {
	if b.state == bodyUnread {
		b.state = bodyParsed
		b.root, b.failed = expr.ParseJSONString(b.String())
		if b.failed != nil {
			b.state = bodyBroken
		}
	}
	return b.root, b.failed
}

// Overrides are what templates assign in $context.requestOverride and
// $context.responseOverride. The zero value is ready; one serves one rendering at
// a time, and a request and its response share one.
type Overrides struct {
	request, response *expr.Map

	set      []override // by the rendering, in its order
	repeated string     // the first that it has set twice
}

// override is one that was set: a name in one of the tables.
type override struct {
	table *expr.Map
	name  expr.Value
}

// requestParts are the maps that a template finds in $context.requestOverride.
var requestParts = [...]string{"path", "header", "querystring"}

func (o *Overrides) requestMap() *expr.Map {
	if o.request == nil {
		o.request = expr.NewMap()
		for _, part := range requestParts {
			o.request.Set(part, expr.OfMap(expr.NewMap()))
		}
	}
	return o.request
}

func (o *Overrides) responseMap() *expr.Map {
	if o.response == nil {
		o.response = expr.NewMap()
		o.response.Set("header", expr.OfMap(expr.NewMap()))
	}
	return o.response
}

// RequestPath returns the path parameters that were set; nil if none is.
func (o *Overrides) RequestPath() *expr.Map { return part(o.request, "path") }

// RequestHeader returns the request headers that were set; nil if none is.
func (o *Overrides) RequestHeader() *expr.Map { return part(o.request, "header") }

// RequestQuery returns the query parameters that were set; nil if none is.
func (o *Overrides) RequestQuery() *expr.Map { return part(o.request, "querystring") }

// ResponseHeader returns the response headers that were set; nil if none is.
func (o *Overrides) ResponseHeader() *expr.Map { return part(o.response, "header") }

// Status returns the response's status if one was set: a number or a string, as
// the template had it.
func (o *Overrides) Status() (expr.Value, bool) {
	if o.response == nil {
		return expr.Value{}, false
	}
	v, ok := o.response.Get("status")
	return v, ok && !v.IsNull()
}

// Repeated returns what the last rendering has set twice, as
// "requestOverride.header.X", the first of several; "" for nothing. AWS: "Use a
// mapping template to override your API's request and response parameters and status
// codes": an override is final, and overriding a parameter several times is a 5XX.
func (o *Overrides) Repeated() string { return o.repeated }

// begin forgets what an earlier rendering has set, but for its values.
func (o *Overrides) begin() { o.set, o.repeated = o.set[:0], "" }

// note notes that name was put into table, if that is one of the tables of overrides.
func (o *Overrides) note(table *expr.Map, name expr.Value) {
	if o.repeated != "" || o.request == nil && o.response == nil {
		return
	}
	where := o.tableName(table)
	if where == "" || table == o.response && (name.Kind() != expr.StringKind || name.Str() != "status") {
		return
	}
	for _, s := range o.set {
		if s.table == table && expr.Equal(s.name, name) {
			o.repeated = where + "." + name.Str()
		}
	}
	o.set = append(o.set, override{table, name})
}

// tableName returns what table is called below $context, "" for one that is none of the
// tables of overrides.
func (o *Overrides) tableName(table *expr.Map) string {
	is := func(of *expr.Map, part string) bool {
		if of == nil {
			return false
		}
		v, _ := of.Get(part)
		return v.Map() == table
	}
	for _, part := range requestParts {
		if is(o.request, part) {
			return "requestOverride." + part
		}
	}
	switch {
	case is(o.response, "header"):
		return "responseOverride.header"
	case o.response != nil && table == o.response:
		return "responseOverride"
	}
	return ""
}

// Request returns all of $context.requestOverride, nil if it wasn't used.
func (o *Overrides) Request() *expr.Map { return o.request }

// Response returns all of $context.responseOverride, nil if it wasn't used.
func (o *Overrides) Response() *expr.Map { return o.response }

func part(m *expr.Map, name string) *expr.Map {
	if m == nil {
		return nil
	}
	v, _ := m.Get(name)
	if inner := v.Map(); inner != nil && inner.Len() > 0 {
		return inner
	}
	return nil
}

// settle makes strings of what only has a meaning within the rendering.
func (o *Overrides) settle(r *run) error {
	for _, m := range [...]*expr.Map{o.request, o.response} {
		if err := settleMap(r, m, 2); err != nil {
			return err
		}
	}
	return nil
}

func settleMap(r *run, m *expr.Map, depth int) error {
	if m == nil || depth == 0 {
		return nil
	}
	for i := range m.Len() {
		v := m.At(i)
		if err := settleMap(r, v.Map(), depth-1); err != nil {
			return err
		}
		if v.Object() == nil {
			continue
		}
		s, err := r.text(v)
		if err != nil {
			return err
		}
		m.SetAt(i, expr.String(s))
	}
	return nil
}
