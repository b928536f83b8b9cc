// Package xmljson converts JSON to XML and back, for backends that speak SOAP or
// other XML.
//
// A member is an element of its name, prefix and all; "@name" is an attribute and
// "#text" the text of an element that has attributes or elements besides; an array is
// one element after another; null is an empty element. On the way back elements are
// objects, or strings where they hold nothing but text, and those of one name in one
// place an array. There are no document types and no entities but XML's own five, and
// sizes and depths have limits.
package xmljson

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/postern-gateway/postern/proxy/document"
)

// Limits of a conversion.
const (
	maxOutput   = 10 << 20 // bytes of XML or JSON that come out
	maxElements = 1 << 19  // elements and attributes
	maxDepth    = 512      // elements within elements

	maxAttributes = 1000 // of one element
)

// ErrTooLarge is the error of what would go beyond a limit.
var ErrTooLarge = errors.New("more than the conversion between XML and JSON can take")

// Options say how to convert. They must not change while they are used.
type Options struct {
	// Wrap are the elements around the content, outermost first: to XML adds them, to
	// JSON takes them off, whatever their prefixes.
	Wrap []string
	// Namespaces are declared on the outermost element, by prefix; "" is the default.
	Namespaces map[string]string
	// Arrays are elements that become arrays even if there is only one.
	Arrays []string
	// Bare leaves out prefixes and declarations of namespaces on the way to JSON.
	Bare bool
}

// Check returns what is wrong with o: names that XML can't have.
func (o *Options) Check() error {
	for _, name := range o.Wrap {
		if !validName(name) {
			return fmt.Errorf("%q can't be the name of an element", name)
		}
	}
	for prefix, namespace := range o.Namespaces {
		if prefix != "" && (!validName(prefix) || strings.Contains(prefix, ":")) {
			return fmt.Errorf("%q can't be a prefix", prefix)
		}
		if namespace == "" || !validText(namespace) {
			return fmt.Errorf("the prefix %q needs the URI of its namespace", prefix)
		}
	}
	for _, name := range o.Wrap {
		if prefix, _, found := strings.Cut(name, ":"); found && o.Namespaces[prefix] == "" {
			return fmt.Errorf("%s has a prefix that no namespace is for", name)
		}
	}
	return nil
}

// ToXML appends the XML for a JSON text. Without o.Wrap the text is an object with one
// member, the root; with it, an object whose members go into the innermost element.
func ToXML(dst []byte, text []byte, o *Options) ([]byte, error) {
	doc, err := document.Parse(text)
	if errors.Is(err, document.ErrLimit) {
		return dst, ErrTooLarge
	}
	if err != nil {
		return dst, err
	}
	w := writer{doc: doc, out: append(dst, `<?xml version="1.0" encoding="UTF-8"?>`...), start: len(dst), o: o}
	root := doc.Root()
	if doc.Kind(root) != document.Object {
		return dst, errors.New("XML is made of an object")
	}
	for _, name := range o.Wrap {
		w.open(name)
		w.out = append(w.out, '>')
	}
	switch {
	case len(o.Wrap) > 0:
		err = w.members(root)
	case doc.Count(root) != 1 || doc.Kind(doc.At(root, 0)) == document.Array:
		err = errors.New("the object has one member, which is the root element and no array")
	default:
		err = w.element(doc.Name(doc.At(root, 0)), doc.At(root, 0))
	}
	for _, name := range slices.Backward(o.Wrap) {
		w.close(name)
	}
	if err == nil && len(w.out)-w.start > maxOutput {
		err = ErrTooLarge
	}
	if err != nil {
		return dst, err
	}
	return w.out, nil
}

// writer writes one document.
type writer struct {
	doc      *document.Document
	out      []byte
	start    int
	declared bool // the namespaces stand on the first element
	o        *Options
}

// open begins the start tag of an element, without its end.
func (w *writer) open(name string) {
	w.out = append(append(w.out, '<'), name...)
	if w.declared {
		return
	}
	w.declared = true
	for _, prefix := range slices.Sorted(maps.Keys(w.o.Namespaces)) {
		name := "xmlns"
		if prefix != "" {
			name += ":" + prefix
		}
		w.attribute(name, w.o.Namespaces[prefix])
	}
}

func (w *writer) close(name string) {
	w.out = append(append(append(w.out, "</"...), name...), '>')
}

func (w *writer) attribute(name, value string) {
	w.out = append(append(append(w.out, ' '), name...), '=', '"')
	w.out = append(appendEscaped(w.out, value), '"')
}

// element writes the value n as an element.
func (w *writer) element(name string, n document.Node) error {
	if !validName(name) {
		return fmt.Errorf("%.100q can't be the name of an element", name)
	}
	if len(w.out)-w.start > maxOutput {
		return ErrTooLarge
	}
	switch w.doc.Kind(n) {
	case document.Array:
		for i := range w.doc.Count(n) {
			kid := w.doc.At(n, i)
			if w.doc.Kind(kid) == document.Array {
				return fmt.Errorf("%s: an array within an array has no form in XML", name)
			}
			if err := w.element(name, kid); err != nil {
				return err
			}
		}
		return nil
	case document.Object:
		w.open(name)
		if err := w.attributes(n); err != nil {
			return err
		}
		w.out = append(w.out, '>')
		if err := w.members(n); err != nil {
			return err
		}
	default:
		w.open(name)
		w.out = append(w.out, '>')
		if err := w.text(n); err != nil {
			return err
		}
	}
	w.close(name)
	return nil
}

// attributes writes the members of an object that are attributes.
func (w *writer) attributes(n document.Node) error {
	var seen []string
	for i := range w.doc.Count(n) {
		kid := w.doc.At(n, i)
		name, is := strings.CutPrefix(w.doc.Name(kid), "@")
		if !is {
			continue
		}
		if kind := w.doc.Kind(kid); !validName(name) || slices.Contains(seen, name) || kind == document.Array || kind == document.Object || !validText(w.doc.Text(kid)) {
			return fmt.Errorf("%.100q can't be an attribute", "@"+name)
		}
		if seen = append(seen, name); len(seen) > maxAttributes {
			return ErrTooLarge
		}
		value := w.doc.Text(kid)
		if w.doc.Kind(kid) == document.Null {
			value = ""
		}
		w.attribute(name, value)
	}
	return nil
}

// members writes what an object holds but attributes.
func (w *writer) members(n document.Node) error {
	for i := range w.doc.Count(n) {
		kid := w.doc.At(n, i)
		name := w.doc.Name(kid)
		switch {
		case strings.HasPrefix(name, "@"):
		case name == "#text":
			if kind := w.doc.Kind(kid); kind == document.Array || kind == document.Object {
				return errors.New("#text is a string, a number, true, false or null")
			}
			if err := w.text(kid); err != nil {
				return err
			}
		default:
			if err := w.element(name, kid); err != nil {
				return err
			}
		}
	}
	return nil
}

// text writes a value that is no array and no object.
func (w *writer) text(n document.Node) error {
	if w.doc.Kind(n) == document.Null {
		return nil
	}
	text := w.doc.Text(n)
	if !validText(text) {
		return errors.New("a string holds a control character, which XML can't have")
	}
	w.out = appendEscaped(w.out, text)
	return nil
}

// appendEscaped appends text for content and attributes. Line ends and tabs would be
// taken for spaces in attributes, and a carriage return for a line end anywhere.
func appendEscaped(dst []byte, text string) []byte {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '&':
			dst = append(dst, "&amp;"...)
		case '<':
			dst = append(dst, "&lt;"...)
		case '>':
			dst = append(dst, "&gt;"...)
		case '"':
			dst = append(dst, "&#34;"...)
		case '\t', '\n', '\r':
			dst = fmt.Appendf(dst, "&#%d;", c)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// validName reports whether name is a name of an element or attribute, with at most
// one prefix. Namespaces in XML 1.0, 4: QName.
func validName(name string) bool {
	prefix, local, found := strings.Cut(name, ":")
	if found && !validName(prefix) {
		return false
	}
	if !found {
		local = prefix
	}
	if local == "" || len(local) > 1000 {
		return false
	}
	for i, r := range local {
		if !(r == '_' || unicode.IsLetter(r) || i > 0 && (r == '-' || r == '.' || unicode.IsDigit(r))) || r == utf8.RuneError {
			return false
		}
	}
	return true
}

// validText reports whether text holds only characters of XML 1.0, 2.2.
func validText(text string) bool {
	for _, r := range text {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return false
		}
	}
	return true
}
