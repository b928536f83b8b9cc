package event

import (
	"encoding/json"
	"errors"

	"github.com/postern-gateway/postern/proxy/document"
)

// walker steps through a JSON document without a copy and without a tree. All
// methods but valid expect that valid found the document good. Strings are
// unescaped in place, so each is read once.
type walker struct {
	text []byte
	at   int
}

var errNotJSON = errors.New("not JSON")

// valid checks the document.
func (w *walker) valid() error {
	if !json.Valid(w.text) {
		return errNotJSON
	}
	return nil
}

// peek returns the first byte of what comes next, 0 at the end.
func (w *walker) peek() byte {
	for w.at < len(w.text) {
		switch c := w.text[w.at]; c {
		case ' ', '\t', '\r', '\n', ',', ':': // it's valid: these separate
			w.at++
		default:
			return c
		}
	}
	return 0
}

// kind returns what comes next, in words.
func (w *walker) kind() string {
	switch w.peek() {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// member goes to the next member of an object and reports whether there is one;
// first enters the object. The name comes next, then the value.
func (w *walker) member(first bool) bool { return w.enter(first, '}') }

// element goes to the next element of a list and reports whether there is one.
func (w *walker) element(first bool) bool { return w.enter(first, ']') }

func (w *walker) enter(first bool, end byte) bool {
	if first {
		w.peek()
		w.at++
	}
	if w.peek() == end {
		w.at++
		return false
	}
	return true
}

// name reads a member's name.
func (w *walker) name() string {
	w.peek()
	return view(w.stringBytes())
}

// scalar reads a number, true, false or null as it stands.
func (w *walker) scalar() []byte {
	w.peek()
	start := w.at
	for w.at < len(w.text) {
		switch w.text[w.at] {
		case ',', '}', ']', ' ', '\t', '\r', '\n':
			return w.text[start:w.at]
		}
		w.at++
	}
	return w.text[start:]
}

// skip skips a value of any kind.
func (w *walker) skip() {
	for depth := 0; ; {
		switch w.peek() {
		case '{', '[':
			depth++
			w.at++
		case '}', ']':
			depth--
			w.at++
		case '"':
			w.at = w.closing() + 1
		default:
			w.scalar()
		}
		if depth == 0 {
			return
		}
	}
}

// closing returns the index of the quote that ends the string at w.at.
func (w *walker) closing() int {
	i := w.at + 1
	for w.text[i] != '"' {
		if w.text[i] == '\\' {
			i++
		}
		i++
	}
	return i
}

// stringBytes reads a string, which it unescapes in place.
func (w *walker) stringBytes() []byte {
	end := w.closing()
	s := w.text[w.at+1 : end : end]
	w.at = end + 1
	for i, c := range s {
		if c == '\\' {
			return document.AppendUnescaped(s[:i], s[i:])
		}
	}
	return s
}
