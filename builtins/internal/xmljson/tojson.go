package xmljson

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/postern-gateway/postern/proxy/document"
)

// element is one element of a document that was read.
type element struct {
	name  string
	attrs []attr
	text  []byte
	kids  []*element
}

type attr struct{ name, value string }

// ToJSON appends the JSON for an XML document. Everything is a string in it.
func ToJSON(dst []byte, text []byte, o *Options) ([]byte, error) {
	root, err := read(text, o)
	if err != nil {
		return dst, err
	}
	inner, err := unwrap(root, o.Wrap)
	if err != nil {
		return dst, err
	}
	start := len(dst)
	w := jsonWriter{out: dst, start: start, o: o}
	if len(o.Wrap) == 0 {
		inner = &element{kids: []*element{root}}
	}
	w.value(inner)
	if len(w.out)-start > maxOutput {
		return dst, ErrTooLarge
	}
	return w.out, nil
}

// unwrap returns the innermost of the elements wrap, which are found by their local
// names: everybody chooses prefixes as they like.
func unwrap(root *element, wrap []string) (*element, error) {
	if len(wrap) == 0 {
		return root, nil
	}
	if local(root.name) != local(wrap[0]) {
		return nil, fmt.Errorf("the root is %.100s, not %s", root.name, wrap[0])
	}
	for _, name := range wrap[1:] {
		i := slices.IndexFunc(root.kids, func(e *element) bool { return local(e.name) == local(name) })
		if i < 0 {
			return nil, fmt.Errorf("%.100s holds no %s", root.name, name)
		}
		root = root.kids[i]
	}
	return root, nil
}

func local(name string) string { return name[strings.IndexByte(name, ':')+1:] }

// reader reads one document.
type reader struct {
	o     *Options
	open  []*element
	count int
}

// read returns the root element.
func read(text []byte, o *Options) (*element, error) {
	d := xml.NewDecoder(bytes.NewReader(text))
	d.CharsetReader = latin1
	r := reader{o: o}
	var root *element
	for {
		token, err := d.RawToken() // the prefixes as they stand; that tags match is checked here
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if len(r.open) == 0 && root != nil {
				return nil, errors.New("the document has two roots")
			}
			e, err := r.start(t)
			if err != nil {
				return nil, err
			}
			if root == nil {
				root = e
			}
		case xml.EndElement:
			if len(r.open) == 0 || r.open[len(r.open)-1].name != r.name(t.Name) {
				return nil, fmt.Errorf("the end tag of %.100s has no start tag", whole(t.Name))
			}
			r.open = r.open[:len(r.open)-1]
		case xml.CharData:
			if len(r.open) > 0 {
				e := r.open[len(r.open)-1]
				e.text = append(e.text, t...)
			} else if len(bytes.TrimSpace(t)) > 0 {
				return nil, errors.New("text outside of the root element")
			}
		case xml.Directive:
			return nil, errors.New("a document type or another declaration: these aren't read")
		}
	}
	if root == nil || len(r.open) > 0 {
		return nil, errors.New("the document ends too early")
	}
	return root, nil
}

func (r *reader) start(t xml.StartElement) (*element, error) {
	if r.count += 1 + len(t.Attr); r.count > maxElements || len(r.open) == maxDepth {
		return nil, ErrTooLarge
	}
	e := &element{name: r.name(t.Name)}
	for _, a := range t.Attr {
		if r.o.Bare && (a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns") {
			continue
		}
		name := "@" + r.name(a.Name)
		if len(e.attrs) == maxAttributes {
			return nil, ErrTooLarge
		}
		if slices.ContainsFunc(e.attrs, func(a attr) bool { return a.name == name }) {
			return nil, fmt.Errorf("%.100s has the attribute %.100s twice", e.name, name[1:])
		}
		e.attrs = append(e.attrs, attr{name, a.Value})
	}
	if len(r.open) > 0 {
		parent := r.open[len(r.open)-1]
		parent.kids = append(parent.kids, e)
	}
	r.open = append(r.open, e)
	return e, nil
}

// name returns a name as it becomes that of a member.
func (r *reader) name(n xml.Name) string {
	if r.o.Bare {
		return n.Local
	}
	return whole(n)
}

func whole(n xml.Name) string {
	if n.Space == "" {
		return n.Local
	}
	return n.Space + ":" + n.Local
}

// latin1 reads ISO 8859-1, of which US-ASCII is a part.
func latin1(charset string, in io.Reader) (io.Reader, error) {
	switch strings.ToLower(charset) {
	case "iso-8859-1", "latin1", "us-ascii":
	default:
		return nil, fmt.Errorf("the encoding %.40q isn't read", charset)
	}
	text, err := io.ReadAll(in)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for _, c := range text {
		b.WriteRune(rune(c))
	}
	return &b, nil
}

// jsonWriter writes one document.
type jsonWriter struct {
	out   []byte
	start int
	o     *Options
}

// value writes what e holds.
func (w *jsonWriter) value(e *element) {
	text := e.text
	if len(e.kids) > 0 || len(e.attrs) > 0 {
		text = bytes.TrimSpace(text)
	}
	if len(e.kids) == 0 && len(e.attrs) == 0 {
		w.out = document.AppendString(w.out, string(text))
		return
	}
	if len(w.out)-w.start > maxOutput {
		return // ToJSON fails
	}
	w.out = append(w.out, '{')
	first := true
	member := func(name string) {
		if !first {
			w.out = append(w.out, ',')
		}
		first = false
		w.out = append(document.AppendString(w.out, name), ':')
	}
	for i := range e.attrs {
		member(e.attrs[i].name)
		w.out = document.AppendString(w.out, e.attrs[i].value)
	}
	if len(text) > 0 {
		member("#text")
		w.out = document.AppendString(w.out, string(text))
	}
	names, groups := grouped(e.kids)
	for i, name := range names {
		member(name)
		same := groups[i]
		if len(same) == 1 && !slices.Contains(w.o.Arrays, name) {
			w.value(same[0])
			continue
		}
		for i, kid := range same {
			w.out = append(w.out, "[,"[min(i, 1)])
			w.value(kid)
		}
		w.out = append(w.out, ']')
	}
	w.out = append(w.out, '}')
}

// grouped returns the elements of each name, in the order of the names' first ones.
func grouped(all []*element) (names []string, groups [][]*element) {
	at := map[string]int{}
	for _, e := range all {
		i, known := at[e.name]
		if !known {
			i = len(names)
			at[e.name] = i
			names, groups = append(names, e.name), append(groups, nil)
		}
		groups[i] = append(groups[i], e)
	}
	return names, groups
}
