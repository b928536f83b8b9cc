package vtl

import (
	"github.com/postern-gateway/postern/proxy/expr"
	"github.com/postern-gateway/postern/proxy/pattern"
)

// statement is what a template consists of.
type statement interface {
	// render appends to r's output. Its error is a failure, a break or a stop.
	render(r *run) error
}

// expression is what has a value.
type expression interface {
	// value returns null for what isn't there.
	value(r *run) (expr.Value, error)
	// truth returns the value as a condition.
	truth(r *run) (bool, error)
}

// block is a sequence of statements.
type block struct {
	statements []statement
	spots      []int32 // of each statement: its number in Template.spots, -1 in a string
}

// text is what is printed as it stands.
type text string

func (t text) render(r *run) error { return r.write(string(t)) }

// reference is $name with what follows.
type reference struct {
	at      int32
	slot    int32
	root    string
	steps   []step
	quiet   bool
	runt    bool   // a name that isn't behind "$": printed in text, null elsewhere
	escaped bool   // an odd number of backslashes in front
	slashes string // half of the backslashes in front
	prefix  string // what else was in front of "$"
	source  string // what is printed for null
	literal string // the whole as it stands
}

type stepKind uint8

const (
	stepProperty stepKind = iota
	stepMethod
	stepIndex
)

// step is one part of a reference: .name, .name(arguments) or [index].
type step struct {
	kind      stepKind
	method    method // of a method, and of the getter that a property may be
	at        int32
	name      string
	arguments []expression // of an index: one

	// Compiled from an argument that is a literal.
	pattern *pattern.Pattern
	path    *expr.Path
}

// literal is a string, a number or a boolean.
type literal struct {
	v    expr.Value
	bool bool
}

func (l *literal) value(*run) (expr.Value, error) { return l.v, nil }
func (l *literal) truth(*run) (bool, error)       { return l.bool && l.v.True(), nil }

// interpolated is a string with references or directives inside.
type interpolated struct {
	at     int32
	inner  *block
	origin origin
	padded bool // one blank was added to the source
}

func (n *interpolated) truth(*run) (bool, error) { return false, nil }

// listNode, mapNode and rangeNode are [a, b], {a : b} and [a..b].
type listNode struct{ items []expression }
type mapNode struct{ keys, values []expression }
type rangeNode struct {
	at       int32
	from, to expression
}

func (n *listNode) truth(*run) (bool, error)  { return false, nil }
func (n *mapNode) truth(*run) (bool, error)   { return false, nil }
func (n *rangeNode) truth(*run) (bool, error) { return false, nil }

// word is a bare word among a directive's arguments.
type word string

func (w word) value(*run) (expr.Value, error) { return expr.Value{}, nil }
func (w word) truth(*run) (bool, error)       { return false, nil }

// binary is an operator with two operands.
type binary struct {
	op          tokenKind
	at          int32
	left, right expression
	leftSource  string // what + takes for null
	rightSource string
}

type notNode struct{ inner expression }

// branch is an #if or #elseif with its block; the condition of #else is nil.
type branch struct {
	condition expression
	body      *block
	decision  int32 // its number among those that coverage counts
}

type ifNode struct {
	branches []branch
	without  int32 // the decision that no branch was taken; -1 if there is an #else
}

type setNode struct {
	at    int32
	slot  int32 // of a name without steps; -1: assigned to what nothing can read
	left  *reference
	right expression
}

type foreachNode struct {
	at      int32
	slot    int32
	list    expression // nil: there is nothing to loop over
	body    *block
	extra   expression // stands where the body should be
	entered int32      // decision
	skipped int32      // decision
	loop    int32      // slots of $foreach, $velocityCount and $velocityHasNext
	count   int32
	hasNext int32
}

type defineNode struct {
	slot int32
	body *block
}

type breakNode struct {
	at       int32
	argument expression
	source   string
}

type stopNode struct{}

type evaluateNode struct {
	at       int32
	argument expression
}

// includeNode is #include of a reference.
type includeNode struct {
	at       int32
	argument *reference
}

// failNode is a directive that fails when it is reached.
type failNode struct {
	at   int32
	text string
}

// macro is a #macro.
type macro struct {
	params []int32 // slots
	body   *block
}

// argument is what a macro is called with.
type macroArgument struct {
	value    expression
	literal  string
	constant bool
}

type callNode struct {
	at        int32
	name      string
	arguments []macroArgument
	body      *block // of #@name
	source    string
	bodySlot  int32
	bareWord  string // an argument that no macro takes
}
