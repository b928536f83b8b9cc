package workbench

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/postern-gateway/postern/builtins/internal/vtl"
	"github.com/postern-gateway/postern/proxy/expr"
)

// Pair is a name with a value: a parameter or a stage variable.
type Pair = vtl.Pair

// The sides of an integration. On both, parameters are those of the client's
// request; the body of a response template is what the backend answered.
const (
	RequestSide  = "request"
	ResponseSide = "response"
)

// Input is what a template sees when it is rendered.
type Input struct {
	Side                string // RequestSide, which "" is, or ResponseSide
	Body                []byte
	Path, Query, Header []Pair
	Stage               []Pair
	Context             *expr.Map // $context; nil for an empty one
	Variables           *expr.Map // further names of the top level, which no gateway has; nil for none
	After               *After    // nil for none
}

// After is the request template that is rendered before a response template: what
// it sets below $context the latter sees, too.
type After struct {
	Name     string // for messages
	Template string
	Body     []byte // of the request
}

// SetContext sets one value of $context: name is as in templates, with dots.
func (in *Input) SetContext(name, value string) error {
	if in.Context == nil {
		in.Context = expr.NewMap()
	}
	m := in.Context
	parts := strings.Split(name, ".")
	for i, part := range parts {
		if part == "" {
			return fmt.Errorf("%q isn't a name below $context, such as requestId or identity.sourceIp", name)
		}
		if i == len(parts)-1 {
			break
		}
		next, found := m.Get(part)
		if !found {
			next = expr.OfMap(expr.NewMap())
			m.Set(part, next)
		}
		if m = next.Map(); m == nil {
			return fmt.Errorf("%q: %s has a value already, and can't have members", name, strings.Join(parts[:i+1], "."))
		}
	}
	m.Set(parts[len(parts)-1], expr.String(value))
	return nil
}

// HasContext reports whether $context has a member called name.
func (in *Input) HasContext(name string) bool {
	if in.Context == nil {
		return false
	}
	_, found := in.Context.Get(name)
	return found
}

// hasParam reports whether $input.params finds a parameter called name.
func (in *Input) hasParam(name string) bool {
	called := func(p Pair) bool { return p.Name == name }
	return slices.ContainsFunc(in.Path, called) || slices.ContainsFunc(in.Query, called) ||
		slices.ContainsFunc(in.Header, func(p Pair) bool { return strings.EqualFold(p.Name, name) })
}

// AddContext adds the members of a JSON object to $context; name is the file
// that text is from. Errors are Mistakes.
func (in *Input) AddContext(name string, text []byte) error {
	f := &file{name, text}
	m, err := f.tree(0, len(text), "$context")
	if err != nil {
		return err
	}
	if in.Context == nil {
		in.Context = m
		return nil
	}
	for i := range m.Len() {
		in.Context.Put(m.Key(i), m.At(i))
	}
	return nil
}

// tree reads the JSON object in f.text[from:to] as a map in its order.
func (f *file) tree(from, to int, what string) (*expr.Map, error) {
	if _, err := f.object(from, to, what); err != nil { // the reader below is lenient
		return nil, err
	}
	v, err := expr.ParseJSON(f.text[from:to])
	if err != nil {
		return nil, f.mistake(from, 1, "", "%s: %v", what, err)
	}
	return v.Map(), nil
}

// inputKeys are the members of a JSON object that describe an Input.
func inputKeys() []string {
	return []string{"side", "body", "body_file", "path", "querystring", "header", "context", "stageVariables", "variables", "after"}
}

// set takes one of inputKeys from a file, and reports whether it was one.
func (in *Input) set(f *file, m *member) (known bool, err error) {
	switch m.key {
	case "side":
		if in.Side, err = f.word(m, RequestSide, ResponseSide); err != nil {
			return true, err
		}
	case "body", "body_file":
		if in.Body != nil {
			return true, f.mistake(m.keyAt, m.keySize, "keep one of them", "body and body_file both give the body")
		}
		in.Body, err = f.body(m)
	case "path":
		in.Path, err = f.pairs(m)
	case "querystring":
		in.Query, err = f.pairs(m)
	case "header":
		in.Header, err = f.pairs(m)
	case "stageVariables":
		in.Stage, err = f.pairs(m)
	case "context":
		in.Context, err = f.tree(m.at, m.at+len(m.value), "context")
	case "variables":
		in.Variables, err = f.tree(m.at, m.at+len(m.value), "variables")
	case "after":
		in.After, err = f.after(m)
	default:
		return false, nil
	}
	return true, err
}

// after is a member that is the object of a request template.
func (f *file) after(m *member) (*After, error) {
	members, err := f.object(m.at, m.at+len(m.value), m.key)
	if err != nil {
		return nil, err
	}
	a := &After{Name: f.name + ": " + m.key}
	for i := range members {
		switch n := &members[i]; n.key {
		case "template":
			a.Template, err = f.text1(n)
		case "template_file":
			a.Name, err = f.text1(n)
			if err != nil {
				return nil, err
			}
			var text []byte
			text, err = f.content(n, a.Name)
			a.Name, a.Template = f.path(a.Name), string(text)
		case "body", "body_file":
			a.Body, err = f.body(n)
		default:
			err = f.mistake(n.keyAt, n.keySize, unknown(n.key, []string{"template", "template_file", "body", "body_file"}), "unknown key %q", n.key)
		}
		if err != nil {
			return nil, err
		}
	}
	return a, nil
}

// content reads the file that a member names.
func (f *file) content(m *member, name string) ([]byte, error) {
	text, err := os.ReadFile(f.path(name))
	if err != nil {
		return nil, f.mistake(m.at, len(m.value), "the file's name is relative to this file's folder", "%v", err)
	}
	return text, nil
}

// body returns the text of a body: a JSON text stands for what it says, all else
// for itself as it is written.
func (f *file) body(m *member) ([]byte, error) {
	if m.key == "body" {
		if m.value[0] == 'n' { // null
			return nil, nil
		}
		if m.value[0] != '"' {
			return m.value, nil
		}
		text, err := f.text1(m)
		return []byte(text), err
	}
	name, err := f.text1(m)
	if err != nil {
		return nil, err
	}
	return f.content(m, name)
}

// text1 is a member that is one text.
func (f *file) text1(m *member) (string, error) {
	var text string
	if json.Unmarshal(m.value, &text) != nil || m.value[0] != '"' {
		return "", f.mistake(m.at, len(m.value), "", "%s is a text in quotes", m.key)
	}
	return text, nil
}

// word is a member that is one of words.
func (f *file) word(m *member, words ...string) (string, error) {
	text, err := f.text1(m)
	if err != nil {
		return "", err
	}
	for _, w := range words {
		if text == w {
			return text, nil
		}
	}
	return "", f.mistake(m.at, len(m.value), unknown(text, words), "%s is %s, not %q", m.key, strings.Join(words, " or "), text)
}

// pairs is a member that is an object of texts, or of lists of texts for names
// that have several values.
func (f *file) pairs(m *member) ([]Pair, error) {
	members, err := f.object(m.at, m.at+len(m.value), m.key)
	if err != nil {
		return nil, err
	}
	all := []Pair{}
	for i := range members {
		n := &members[i]
		if n.value[0] == '[' {
			var values []string
			if json.Unmarshal(n.value, &values) != nil {
				return nil, f.mistake(n.at, len(n.value), "", "the values of %s are texts in quotes", n.key)
			}
			for _, v := range values {
				all = append(all, Pair{Name: n.key, Value: v})
			}
			continue
		}
		var value string
		if n.value[0] != '"' || json.Unmarshal(n.value, &value) != nil {
			return nil, f.mistake(n.at, len(n.value), fmt.Sprintf("write %q: %q", n.key, n.value), "the value of %s is a text in quotes", n.key)
		}
		all = append(all, Pair{Name: n.key, Value: value})
	}
	return all, nil
}

// environment makes what the engine renders with.
func (in *Input) environment() *vtl.Environment {
	context := in.Context
	if context == nil {
		context = expr.NewMap()
	}
	return &vtl.Environment{
		Body:      vtl.NewBody(in.Body),
		Params:    vtl.Params{Path: in.Path, Query: in.Query, Header: in.Header},
		Context:   branch{context},
		Stage:     in.Stage,
		Overrides: new(vtl.Overrides),
		Variables: in.Variables,
	}
}

// branch is $context, or a table in it.
type branch struct{ m *expr.Map }

// Member returns one value.
func (b branch) Member(name string) expr.Value {
	v, _ := b.m.Get(name)
	if below := v.Map(); below != nil {
		return vtl.Branch(branch{below})
	}
	return v
}

// Names returns the names that there are.
func (b branch) Names() []string {
	names := make([]string, b.m.Len())
	for i := range names {
		names[i] = b.m.Key(i).Str()
	}
	return names
}
