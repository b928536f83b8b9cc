package document

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// step is one part of a path: a member's name or an element's index.
type step struct {
	name  string
	index int // -1 for a name
}

// next takes the first step off a path that stands behind "$".
func next(path string) (s step, rest string, err error) {
	s.index = -1
	switch {
	case strings.HasPrefix(path, "."):
		end := strings.IndexAny(path[1:], ".[") + 1
		if end == 0 {
			end = len(path)
		}
		s.name = path[1:end]
		if s.name == "" || strings.ContainsAny(s.name, "*'\"]()?@, ") {
			return s, "", ErrPath
		}
		return s, path[end:], nil
	case strings.HasPrefix(path, "['"):
		return quoted(path[2:])
	case strings.HasPrefix(path, "["):
		digits, rest, found := strings.Cut(path[1:], "]")
		n, err := strconv.ParseUint(digits, 10, 31)
		if !found || err != nil || digits[0] == '+' {
			return s, "", ErrPath
		}
		s.index = int(n)
		return s, rest, nil
	}
	return s, "", ErrPath
}

// quoted reads a name up to "']"; \' and \\ stand for ' and \.
func quoted(text string) (s step, rest string, err error) {
	s.index = -1
	var name []byte // nil while there is no escape
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text) && (text[i+1] == '\'' || text[i+1] == '\\'):
			if name == nil {
				name = append(make([]byte, 0, len(text)), text[:i]...)
			}
			i++
			name = append(name, text[i])
		case c == '\\':
			return s, "", ErrPath
		case c == '\'':
			if !strings.HasPrefix(text[i:], "']") {
				return s, "", ErrPath
			}
			if s.name = text[:i]; name != nil {
				s.name = view(name)
			}
			return s, text[i+2:], nil
		case name != nil:
			name = append(name, c)
		}
	}
	return s, "", ErrPath
}

func (d *Document) step(n Node, s step) (Node, bool) {
	if s.index < 0 {
		return d.Member(n, s.name)
	}
	if d.nodes[n].kind != Array || s.index >= len(d.nodes[n].kids) {
		return 0, false
	}
	return d.nodes[n].kids[s.index], true
}

// Find returns what stands at path: "$" is the whole, ".name" and "['name']" a
// member, "[0]" an element. The error is ErrPath or ErrMissing.
func (d *Document) Find(path string) (Node, error) {
	rest, ok := strings.CutPrefix(path, "$")
	if !ok {
		return 0, ErrPath
	}
	n, missing := d.root, false
	for rest != "" {
		s, after, err := next(rest)
		if err != nil {
			return 0, err
		}
		rest = after
		if missing {
			continue // the rest of the path may still be wrong
		}
		kid, found := d.step(n, s)
		n, missing = kid, !found
	}
	if missing {
		return 0, ErrMissing
	}
	return n, nil
}

// Set puts the JSON text value at path. Objects on the way are made; an element
// can be replaced, or added right behind the last one. The error is ErrPath,
// ErrMissing (the way leads through something else), ErrLimit or a
// *SyntaxError. On an error nothing has changed. Value must not change as long
// as the document is used.
func (d *Document) Set(path string, value []byte) error {
	above, last, err := d.way(path)
	if err != nil {
		return err
	}
	before := len(d.nodes)
	n, err := d.read(value)
	if err == nil && len(d.nodes)+len(above) > MaxNodes {
		err = ErrLimit
	}
	if err != nil {
		d.nodes = d.nodes[:before]
		return err
	}
	if last == nil {
		d.root = n
		return nil
	}
	at := d.root
	for _, s := range above {
		kid, found := d.step(at, s)
		if !found {
			kid, _ = d.add(node{kind: Object}) // there is room for all of them
			d.put(at, s, kid)
		}
		at = kid
	}
	d.put(at, *last, n)
	return nil
}

// way takes path apart and checks that a value can be put there: above are the
// steps in front of the last one, of which those that are missing can be made.
func (d *Document) way(path string) (above []step, last *step, err error) {
	rest, ok := strings.CutPrefix(path, "$")
	if !ok || !utf8.ValidString(path) {
		return nil, nil, ErrPath
	}
	at, there := d.root, true
	for rest != "" {
		s, after, err := next(rest)
		if err != nil {
			return nil, nil, err
		}
		if last != nil {
			above = append(above, *last)
		}
		if len(above) >= MaxDepth {
			return nil, nil, ErrLimit
		}
		last, rest = &s, after
		if !there {
			if s.index >= 0 {
				return nil, nil, ErrMissing
			}
			continue
		}
		if !d.takes(at, s) {
			return nil, nil, ErrMissing
		}
		at, there = d.step(at, s)
		if !there && s.index >= 0 && rest != "" {
			return nil, nil, ErrMissing
		}
	}
	return above, last, nil
}

// takes reports whether a value can be put at s in n.
func (d *Document) takes(n Node, s step) bool {
	if s.index < 0 {
		return d.nodes[n].kind == Object
	}
	return d.nodes[n].kind == Array && s.index <= len(d.nodes[n].kids)
}

// put makes kid what s leads to from n.
func (d *Document) put(n Node, s step, kid Node) {
	kids := d.nodes[n].kids
	if s.index >= 0 && s.index < len(kids) {
		kids[s.index] = kid
		return
	}
	if s.index < 0 {
		d.nodes[kid].name = strings.Clone(s.name)
		for i := len(kids) - 1; i >= 0; i-- {
			if d.nodes[kids[i]].name == s.name {
				kids[i] = kid
				return
			}
		}
	}
	d.nodes[n].kids = append(kids, kid)
}

// Delete removes what stands at path; several members of one name go together.
// The error is ErrPath, also for the whole, or ErrMissing.
func (d *Document) Delete(path string) error {
	gone, err := d.Find(path)
	if err != nil {
		return err
	}
	if gone == d.root {
		return ErrPath
	}
	above, last, err := d.way(path)
	if err != nil {
		return err
	}
	at := d.root
	for _, s := range above {
		at, _ = d.step(at, s) // Find came this way
	}
	kept := d.nodes[at].kids[:0]
	for i, kid := range d.nodes[at].kids {
		if last.index < 0 && d.nodes[kid].name == last.name || i == last.index {
			continue
		}
		kept = append(kept, kid)
	}
	d.nodes[at].kids = kept
	return nil
}
