package config

import (
	"strconv"
	"strings"
)

// scanner makes the places of a text in one pass. The TOML parser has accepted
// the text, so the scanner only follows it; on a text with a mistake it stops
// there, with the places so far.
type scanner struct {
	src   *source
	text  string
	pos   int
	root  *place
	parts []part
	slab  []place

	// For the hints of syntax errors.
	open  []int  // offsets of brackets and strings that aren't closed
	again *place // first key that was given twice …
	twice span   // … and where the second time
}

// part is one part of a dotted key.
type part struct {
	name string
	at   span
}

// scan returns the places of src.
func scan(src *source) *scanner {
	s := &scanner{src: src, text: src.text}
	s.root = s.place("", span{}, implied)
	table := s.root
	for {
		s.blank(true)
		if s.pos >= len(s.text) {
			return s
		}
		ok := false
		if s.text[s.pos] == '[' {
			table, ok = s.header()
		} else {
			ok = s.assignment(table)
		}
		if !ok {
			return s
		}
	}
}

func (s *scanner) place(name string, key span, f form) *place {
	if len(s.slab) == 0 {
		s.slab = make([]place, 128)
	}
	p := &s.slab[0]
	s.slab = s.slab[1:]
	*p = place{src: s.src, name: name, key: key, value: key, form: f}
	return p
}

// blank skips white space, and with lines also line ends and comments.
func (s *scanner) blank(lines bool) {
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case c == ' ' || c == '\t':
			s.pos++
		case lines && (c == '\n' || c == '\r'):
			s.pos++
		case lines && c == '#':
			n := strings.IndexByte(s.text[s.pos:], '\n')
			if n < 0 {
				s.pos = len(s.text)
				return
			}
			s.pos += n
		default:
			return
		}
	}
}

// take skips c if it comes next.
func (s *scanner) take(c byte) bool {
	if s.pos < len(s.text) && s.text[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

// header follows [a.b] or [[a.b]] and returns the table that it opens.
func (s *scanner) header() (*place, bool) {
	start := s.pos
	s.pos++
	list := s.take('[')
	if !s.key() || !s.take(']') || list && !s.take(']') {
		return nil, false
	}
	at := s.root
	last := len(s.parts) - 1
	for _, p := range s.parts[:last] {
		at = s.entry(at, p)
	}
	if at.form == headers && len(at.kids) > 0 {
		at = at.kids[len(at.kids)-1]
	}
	p := s.parts[last]
	written := span{start, s.pos}
	k := at.kid(p.name)
	if k == nil {
		k = s.place(p.name, p.at, implied)
		at.add(k)
	} else if !list && k.form != implied || list && k.form != headers {
		s.repeated(k, p.at)
	}
	if !list {
		k.key, k.value, k.form = p.at, written, header
		return k, true
	}
	if k.form != headers {
		k.key, k.value, k.form = p.at, written, headers
	}
	element := s.place("", p.at, header)
	element.value = written
	k.add(element)
	return element, true
}

// entry returns the table of that name in at, or in at's last element, and
// makes it when it isn't there.
func (s *scanner) entry(at *place, p part) *place {
	if at.form == headers && len(at.kids) > 0 {
		at = at.kids[len(at.kids)-1]
	}
	k := at.kid(p.name)
	if k == nil {
		k = s.place(p.name, p.at, implied)
		at.add(k)
	}
	return k
}

func (s *scanner) repeated(first *place, second span) {
	if s.again == nil {
		before := *first
		s.again, s.twice = &before, second
	}
}

// assignment follows key = value in table.
func (s *scanner) assignment(table *place) bool {
	if !s.key() || !s.take('=') {
		return false
	}
	at := table
	last := len(s.parts) - 1
	for _, p := range s.parts[:last] {
		at = s.entry(at, p)
	}
	p := s.parts[last]
	k := at.kid(p.name)
	if k == nil {
		k = s.place(p.name, p.at, implied)
		at.add(k)
	} else {
		s.repeated(k, p.at)
	}
	s.blank(false)
	return s.value(k)
}

// key follows a dotted key into s.parts, and the white space behind it.
func (s *scanner) key() bool {
	s.parts = s.parts[:0]
	for {
		s.blank(false)
		start := s.pos
		if start >= len(s.text) {
			return false
		}
		name := ""
		if c := s.text[start]; c == '"' || c == '\'' {
			if !s.quoted(c) {
				return false
			}
			name = s.text[start+1 : s.pos-1]
			if c == '"' {
				name = unescaped(name)
			}
		} else {
			for s.pos < len(s.text) && isBare(s.text[s.pos]) {
				s.pos++
			}
			if s.pos == start {
				return false
			}
			name = s.text[start:s.pos]
		}
		s.parts = append(s.parts, part{name, span{start, s.pos}})
		s.blank(false)
		if !s.take('.') {
			return true
		}
	}
}

// value follows any value and stores its place in k.
func (s *scanner) value(k *place) bool {
	start := s.pos
	if start >= len(s.text) {
		return false
	}
	ok := true
	k.form = scalar
	switch c := s.text[start]; c {
	case '[':
		k.form = array
		ok = s.elements(k)
	case '{':
		k.form = inline
		ok = s.entries(k)
	case '"', '\'':
		s.open = append(s.open, start)
		if triple := strings.Repeat(string(c), 3); strings.HasPrefix(s.text[start:], triple) {
			ok = s.multiline(c, triple)
		} else {
			ok = s.quoted(c)
		}
		if ok {
			s.open = s.open[:len(s.open)-1]
		}
	default:
		n := strings.IndexAny(s.text[start:], ",]}#\r\n")
		if n < 0 {
			n = len(s.text) - start
		}
		s.pos = start + len(strings.TrimRight(s.text[start:start+n], " \t"))
		ok = s.pos > start
	}
	k.value = span{start, s.pos}
	return ok
}

// elements follows an array.
func (s *scanner) elements(k *place) bool {
	s.open = append(s.open, s.pos)
	s.pos++
	for {
		s.blank(true)
		if s.take(']') {
			s.open = s.open[:len(s.open)-1]
			return true
		}
		if s.take(',') {
			continue
		}
		element := s.place("", span{}, scalar)
		if !s.value(element) {
			return false
		}
		element.key = element.value
		k.add(element)
	}
}

// entries follows an inline table.
func (s *scanner) entries(k *place) bool {
	s.open = append(s.open, s.pos)
	s.pos++
	for {
		s.blank(true)
		if s.take('}') {
			s.open = s.open[:len(s.open)-1]
			return true
		}
		if s.take(',') {
			continue
		}
		if !s.assignment(k) {
			return false
		}
	}
}

// quoted follows a string on one line that begins with quote.
func (s *scanner) quoted(quote byte) bool {
	for i := s.pos + 1; i < len(s.text); i++ {
		switch c := s.text[i]; {
		case c == quote:
			s.pos = i + 1
			return true
		case c == '\\' && quote == '"':
			i++
		case c == '\n':
			return false
		}
	}
	return false
}

// multiline follows a string that begins with three quotes. It ends with the
// first run of three quotes or more, all of which belong to it.
func (s *scanner) multiline(quote byte, triple string) bool {
	for i := s.pos + 3; i < len(s.text); i++ {
		switch {
		case s.text[i] == '\\' && quote == '"':
			i++
		case strings.HasPrefix(s.text[i:], triple):
			for i < len(s.text) && s.text[i] == quote {
				i++
			}
			s.pos = i
			return true
		}
	}
	return false
}

// isBare reports whether c may stand in a key without quotes.
func isBare(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// unescaped returns what a basic string's inner text means.
func unescaped(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 >= len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		digits := 0
		switch s[i] {
		case 'b':
			b.WriteByte('\b')
		case 't':
			b.WriteByte('\t')
		case 'n':
			b.WriteByte('\n')
		case 'f':
			b.WriteByte('\f')
		case 'r':
			b.WriteByte('\r')
		case 'e':
			b.WriteByte(0x1b)
		case 'x':
			digits = 2
		case 'u':
			digits = 4
		case 'U':
			digits = 8
		default:
			b.WriteByte(s[i])
		}
		if digits > 0 && i+digits < len(s) {
			n, _ := strconv.ParseUint(s[i+1:i+1+digits], 16, 32) // the parser has checked it
			b.WriteRune(rune(n))
			i += digits
		}
	}
	return b.String()
}
