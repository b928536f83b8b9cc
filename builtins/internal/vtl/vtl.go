// Package vtl renders mapping templates as AWS API Gateway does: Velocity 1.7 with
// the changes that the service makes, or, in another profile, without them.
//
// A template is parsed once, into nodes with all names resolved; rendering looks
// nothing up by text, and many goroutines may render one template at a time. What
// a template does is bounded: output, steps, nesting, ranges, regular expressions
// and time.
package vtl

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/postern-gateway/postern/proxy/expr"
)

// Options are the profile that a template is read and rendered in.
type Options struct {
	NullIsEmpty  bool // a reference that leads to nothing is "" instead of null
	InlineMacros bool // #macro defines macros; else it is swallowed and a call is text
	Evaluate     bool // #evaluate, #parse and #include are directives; else text
	MaxLoops     int  // rounds of one #foreach, the rest is dropped; 0: no bound but Limits.Steps
	Limits       Limits
}

// Limits bound a rendering. A zero field means the default.
type Limits struct {
	Output int           // bytes rendered, and of any string made; default 10 MiB
	Steps  int           // nodes rendered and evaluated; default 5,000,000
	Depth  int           // of blocks, strings, macros and literals in one another; default 200
	Range  int           // numbers in a range [a..b], and items of any list made; default 1,000,000
	Regex  int           // steps of all regular expressions together; default 5,000,000
	Time   time.Duration // default 5s; Environment.Deadline may be earlier
}

// Gateway returns the profile that is as AWS's.
func Gateway() Options {
	// AWS: quotas of REST APIs, "Number of iterations in a #foreach loop".
	return Options{NullIsEmpty: true, MaxLoops: 1000}
}

// Velocity returns the profile of Velocity 1.7 as it is.
func Velocity() Options { return Options{InlineMacros: true, Evaluate: true} }

func (l Limits) withDefaults() Limits {
	fill := func(n *int, value int) {
		if *n <= 0 {
			*n = value
		}
	}
	fill(&l.Output, 10<<20)
	fill(&l.Steps, 5_000_000)
	fill(&l.Depth, 200)
	fill(&l.Range, 1_000_000)
	fill(&l.Regex, 5_000_000)
	if l.Time <= 0 {
		l.Time = 5 * time.Second
	}
	return l
}

// Kind says what kind of failure an Error is.
type Kind uint8

// The kinds of failure.
const (
	Syntax     Kind = iota // found by Parse
	Evaluation             // a method or a directive failed while rendering
	Limit                  // a limit ended the rendering
)

func (k Kind) String() string { return [...]string{"syntax", "evaluation", "limit"}[k] }

// Error is what Parse and Render return.
type Error struct {
	Template string // its name
	Line     int    // from 1
	Column   int    // from 1, in characters
	Kind     Kind
	Text     string // what is wrong
	Hint     string // what to do, if there is something to say
}

func (e *Error) Error() string {
	text := fmt.Sprintf("%s:%d:%d: %s", e.Template, e.Line, e.Column, e.Text)
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}

// Template is a parsed template. It doesn't change; many goroutines may use it.
type Template struct {
	name    string
	source  string
	origin  origin
	options Options
	limits  Limits
	names   *names
	macros  map[string]*macro
	root    *block
	spots   []Spot
	slots   [rootCount]int32 // where $input and its like are kept; -1: not used
}

// origin is where the source of a string in a template begins in the template.
type origin struct {
	at    int
	exact bool // bytes of the string's source are bytes of the template's
}

// names numbers the variables of a template and of all the strings in it.
type names struct {
	slots map[string]int32
	all   []string
}

func (n *names) slot(name string) int32 {
	if s, ok := n.slots[name]; ok {
		return s
	}
	s := int32(len(n.all))
	n.slots[name] = s
	n.all = append(n.all, name)
	return s
}

// The variables that are there from the start.
const (
	rootInput = iota
	rootUtil
	rootContext
	rootStage
	rootCount
)

var rootNames = [rootCount]string{"input", "util", "context", "stageVariables"}

// Parse compiles a template. Name is for errors only. The error is an *Error of
// the kind Syntax.
func Parse(name, source string, o Options) (*Template, error) {
	t := &Template{
		name: name, source: source, options: o, limits: o.Limits.withDefaults(),
		names: &names{slots: map[string]int32{}}, macros: map[string]*macro{}, origin: origin{exact: true},
	}
	if !utf8.ValidString(source) {
		at := strings.IndexFunc(source, func(r rune) bool { return r == utf8.RuneError })
		return nil, t.wrong(max(at, 0), "not UTF-8", "save the template in UTF-8")
	}
	p := &parser{t: t, lex: lexer{source: source}, escapable: map[string]bool{}}
	root, err := p.template()
	if err != nil {
		return nil, err
	}
	t.root = root
	for i, name := range rootNames {
		t.slots[i] = -1
		if s, ok := t.names.slots[name]; ok {
			t.slots[i] = s
		}
	}
	return t, nil
}

// Name returns the name that Parse got.
func (t *Template) Name() string { return t.name }

// Source returns the text that Parse got.
func (t *Template) Source() string { return t.source }

// place returns line and column of a byte of the source, both from 1.
func (t *Template) place(at int) (line, column int) {
	at = min(max(at, 0), len(t.source))
	before := t.source[:at]
	line = 1 + strings.Count(before, "\n")
	return line, 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
}

func (t *Template) wrong(at int, text, hint string) *Error {
	line, column := t.place(at)
	return &Error{t.name, line, column, Syntax, text, hint}
}

// Render appends what the template makes of env to dst. The error is an *Error;
// dst is returned as it was then. One Environment serves one rendering at a time.
func (t *Template) Render(dst []byte, env *Environment) ([]byte, error) {
	start := len(dst)
	r := &run{t: t, env: env, dst: dst, start: start, limits: &t.limits, names: t.names.all, steps: t.limits.Steps, regex: t.limits.Regex}
	r.begin()
	if over := env.overrides(); over != nil {
		over.begin()
	}
	err := r.block(t.root)
	if err != nil && !isStop(err) {
		return dst, r.failure(err)
	}
	if env != nil && env.Overrides != nil {
		if err := env.Overrides.settle(r); err != nil {
			return dst, r.failure(err)
		}
	}
	return expr.AppendClean(r.dst, start), nil
}
