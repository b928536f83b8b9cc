package document

import "bytes"

// parser reads one JSON text into a document.
type parser struct {
	d    *Document
	text []byte
	at   int
	kids []Node // of the arrays and objects that are open
}

func (p *parser) wrong(reason string) error {
	if p.at >= len(p.text) {
		reason = "the text ends too early"
	}
	return &SyntaxError{p.at, reason}
}

// peek returns the first byte behind white space, 0 at the end.
func (p *parser) peek() byte {
	for p.at < len(p.text) {
		switch c := p.text[p.at]; c {
		case ' ', '\t', '\r', '\n':
			p.at++
		default:
			return c
		}
	}
	return 0
}

// value reads a value and notes where it stands.
func (p *parser) value(depth int) (Node, error) {
	c := p.peek()
	at := p.at
	n, err := p.bare(c, depth)
	if err == nil {
		p.d.nodes[n].at = int32(at)
	}
	return n, err
}

// bare reads the value that begins with c.
func (p *parser) bare(c byte, depth int) (Node, error) {
	switch {
	case c == '"':
		text, err := p.string()
		if err != nil {
			return 0, err
		}
		return p.d.add(node{kind: String, text: text})
	case c == '{' || c == '[':
		if depth == MaxDepth {
			return 0, ErrLimit
		}
		return p.container(c, depth+1)
	case c == '-' || '0' <= c && c <= '9':
		return p.number()
	case c == 't':
		return p.literal("true", Boolean)
	case c == 'f':
		return p.literal("false", Boolean)
	case c == 'n':
		return p.literal("null", Null)
	}
	return 0, p.wrong("not a value")
}

func (p *parser) literal(word string, kind Kind) (Node, error) {
	if !bytes.HasPrefix(p.text[p.at:], []byte(word)) {
		return 0, p.wrong("not a value")
	}
	p.at += len(word)
	return p.d.add(node{kind: kind, text: word})
}

// container reads an array or an object.
func (p *parser) container(open byte, depth int) (Node, error) {
	kind, end := Array, byte(']')
	if open == '{' {
		kind, end = Object, '}'
	}
	p.at++
	self, err := p.d.add(node{kind: kind})
	if err != nil {
		return 0, err
	}
	begin := len(p.kids)
	if p.peek() != end {
		for {
			kid, err := p.element(kind, depth)
			if err != nil {
				return 0, err
			}
			p.kids = append(p.kids, kid)
			c := p.peek()
			if c == end {
				break
			}
			if c != ',' {
				return 0, p.wrong("neither a comma nor the end of the array or object")
			}
			p.at++
		}
	}
	p.at++
	if len(p.kids) > begin {
		p.d.nodes[self].kids = append([]Node(nil), p.kids[begin:]...)
		p.kids = p.kids[:begin]
	}
	return self, nil
}

// element reads an array's element, or an object's member with its name.
func (p *parser) element(kind Kind, depth int) (Node, error) {
	if kind == Array {
		return p.value(depth)
	}
	if p.peek() != '"' {
		return 0, p.wrong("not a member's name")
	}
	at := p.at
	name, err := p.string()
	if err != nil {
		return 0, err
	}
	if p.peek() != ':' {
		return 0, p.wrong("no colon behind a member's name")
	}
	p.at++
	n, err := p.value(depth)
	if err == nil {
		p.d.nodes[n].name, p.d.nodes[n].at = name, int32(at)
	}
	return n, err
}

// string reads a string. One without escapes is a view of the text.
func (p *parser) string() (string, error) {
	start := p.at + 1
	escaped := false
	for i := start; i < len(p.text); i++ {
		switch c := p.text[i]; {
		case c == '"':
			p.at = i + 1
			if !escaped {
				return view(p.text[start:i]), nil
			}
			return view(AppendUnescaped(nil, p.text[start:i])), nil
		case c < ' ':
			p.at = i
			return "", p.wrong("a control character in a string")
		case c == '\\':
			escaped = true
			n := escapeLength(p.text[i:])
			if n == 0 {
				p.at = i
				return "", p.wrong("an unknown escape")
			}
			i += n - 1
		}
	}
	p.at = len(p.text)
	return "", p.wrong("")
}

// escapeLength returns the length of the escape that s begins with, 0 if it is
// none.
func escapeLength(s []byte) int {
	if len(s) < 2 {
		return 0
	}
	switch s[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(s) >= 6 && hexRune(s[2:]) >= 0 {
			return 6
		}
	}
	return 0
}

// number reads a number. RFC 8259, 6.
func (p *parser) number() (Node, error) {
	start := p.at
	if p.text[p.at] == '-' {
		p.at++
	}
	first := p.at
	if !p.digits() || p.text[first] == '0' && p.at > first+1 {
		return 0, p.wrong("not a number")
	}
	if p.has('.') && !p.digits() {
		return 0, p.wrong("not a number")
	}
	if p.has('e') || p.has('E') {
		if !p.has('-') {
			p.has('+')
		}
		if !p.digits() {
			return 0, p.wrong("not a number")
		}
	}
	return p.d.add(node{kind: Number, text: view(p.text[start:p.at])})
}

func (p *parser) has(c byte) bool {
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *parser) digits() bool {
	start := p.at
	for p.at < len(p.text) && '0' <= p.text[p.at] && p.text[p.at] <= '9' {
		p.at++
	}
	return p.at > start
}
