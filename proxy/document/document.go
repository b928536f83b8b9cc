// Package document holds JSON documents as trees that keep what JSON texts say
// and Go's maps forget: the order of members and the digits of numbers. Parts
// are found and changed by path.
package document

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
	"unsafe"
)

// Limits of a document.
const (
	MaxDepth = 512     // how deeply arrays and objects nest
	MaxNodes = 1 << 19 // values, at 64 bytes each beside the text
)

// Kind is the type of a value.
type Kind uint8

// The kinds.
const (
	Null Kind = iota + 1
	Boolean
	Number
	String
	Array
	Object
)

// The errors of looking things up.
var (
	ErrMissing = errors.New("there is nothing at the path")
	ErrPath    = errors.New("the path isn't one of $, .name, ['name'] and [index]")
	ErrLimit   = errors.New("the document has too many or too deeply nested values")
)

// A SyntaxError says where a text stops to be JSON.
type SyntaxError struct {
	Offset int // in bytes
	Reason string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("%s at byte %d", e.Reason, e.Offset) }

// Document is a parsed JSON text. It may be read by many goroutines at once as
// long as none changes it.
type Document struct {
	nodes []node
	root  Node
}

// Node is the number of a value in its document.
type Node int32

// node is one value.
type node struct {
	kind Kind
	at   int32  // where it begins in the text that Parse read
	text string // a string's text, decoded; a number or a literal as it stands
	name string // as a member of an object, decoded
	kids []Node // of an array or an object
}

// Parse reads a JSON text (RFC 8259, and nothing beyond it) that is valid UTF-8.
// Text must not change as long as the document is used. The error is a
// *SyntaxError or ErrLimit.
func Parse(text []byte) (*Document, error) {
	d := &Document{nodes: make([]node, 0, 1+len(text)/16)}
	root, err := d.read(text)
	if err != nil {
		return nil, err
	}
	d.root = root
	return d, nil
}

// read adds the value that text holds to d.
func (d *Document) read(text []byte) (Node, error) {
	if i := invalidUTF8(text); i >= 0 {
		return 0, &SyntaxError{i, "invalid UTF-8"}
	}
	p := parser{d: d, text: text}
	n, err := p.value(0)
	if err == nil && (p.peek() != 0 || p.at < len(text)) {
		err = p.wrong("more text behind the value")
	}
	return n, err
}

func invalidUTF8(text []byte) int {
	if utf8.Valid(text) {
		return -1
	}
	for i := 0; ; {
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
}

func (d *Document) add(n node) (Node, error) {
	if len(d.nodes) == MaxNodes {
		return 0, ErrLimit
	}
	d.nodes = append(d.nodes, n)
	return Node(len(d.nodes) - 1), nil
}

// Root returns the document's value.
func (d *Document) Root() Node { return d.root }

// Kind returns the type of n.
func (d *Document) Kind(n Node) Kind { return d.nodes[n].kind }

// Count returns how many elements or members n has; 0 for others.
func (d *Document) Count(n Node) int { return len(d.nodes[n].kids) }

// At returns the element or member i of n, which has more than i.
func (d *Document) At(n Node, i int) Node { return d.nodes[n].kids[i] }

// Offset returns where n begins in the text that Parse read, in bytes: a member
// begins with its name. A value that was put in later has no place there.
func (d *Document) Offset(n Node) int { return int(d.nodes[n].at) }

// Name returns the name of n in its object, "" elsewhere.
func (d *Document) Name(n Node) string { return d.nodes[n].name }

// Member returns the member of n with this name, the last one of several.
func (d *Document) Member(n Node, name string) (Node, bool) {
	kids := d.nodes[n].kids
	if d.nodes[n].kind != Object {
		return 0, false
	}
	for _, kid := range slices.Backward(kids) {
		if d.nodes[kid].name == name {
			return kid, true
		}
	}
	return 0, false
}

// Text returns the text of a string, and a number or a literal as it stands; ""
// for arrays and objects.
func (d *Document) Text(n Node) string { return d.nodes[n].text }

// Append appends n as compact JSON.
func (d *Document) Append(dst []byte, n Node) []byte {
	v := &d.nodes[n]
	switch v.kind {
	case String:
		return AppendString(dst, v.text)
	case Array:
		dst = append(dst, '[')
		for i, kid := range v.kids {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = d.Append(dst, kid)
		}
		return append(dst, ']')
	case Object:
		dst = append(dst, '{')
		for i, kid := range v.kids {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(AppendString(dst, d.nodes[kid].name), ':')
			dst = d.Append(dst, kid)
		}
		return append(dst, '}')
	}
	return append(dst, v.text...)
}

// view is b as a string, which must not change any more.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
