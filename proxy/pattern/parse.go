package pattern

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// flags are the modes of a part of an expression.
type flags uint8

const (
	ignoreCase flags = 1 << iota
	multiline
	dotAll
	unixLines
	comments
	unicodeCase
	unicodeClasses
)

type nodeKind uint8

const (
	nodeEmpty nodeKind = iota
	nodeSingle
	nodeSequence
	nodeChoice
	nodeGroup  // captures
	nodeAtomic // once matched, never tried again
	nodeRepeat
	nodeAhead
	nodeBehind
	nodeAssert
	nodeBack
)

// mode is how a quantifier behaves.
type mode uint8

const (
	greedy mode = iota
	lazy
	possessive
)

// node is a part of a parsed expression.
type node struct {
	kind     nodeKind
	single   *single
	parts    []*node
	group    int
	min, max int // max -1: no end
	mode     mode
	negative bool
	assert   assertion
	fold     bool // of a reference back: without regard to case
	whole    bool // a choice that a quantifier doesn't try again
}

// parser reads an expression.
type parser struct {
	text   string
	at     int
	flags  flags
	groups int
	names  map[string]int
	depth  int
	size   int
}

func (p *parser) wrong(reason string) error { return &SyntaxError{p.text, p.at, reason} }

func (p *parser) expression() (*node, error) {
	n, err := p.choice()
	if err == nil && p.at < len(p.text) {
		return nil, p.wrong("a parenthesis that nothing opened")
	}
	return n, err
}

func (p *parser) has(c byte) bool { return p.at < len(p.text) && p.text[p.at] == c }

func (p *parser) takes(s string) bool {
	if strings.HasPrefix(p.text[p.at:], s) {
		p.at += len(s)
		return true
	}
	return false
}

// choice reads alternatives up to a parenthesis or the end. Flags set inside end
// with it.
func (p *parser) choice() (*node, error) {
	saved := p.flags
	defer func() { p.flags = saved }()
	if p.depth++; p.depth > maxNesting {
		return nil, p.wrong("it nests too deeply")
	}
	defer func() { p.depth-- }()
	first, err := p.sequence()
	if err != nil || !p.has('|') {
		return first, err
	}
	all := &node{kind: nodeChoice, parts: []*node{first}}
	for p.takes("|") {
		n, err := p.sequence()
		if err != nil {
			return nil, err
		}
		all.parts = append(all.parts, n)
	}
	return all, nil
}

func (p *parser) sequence() (*node, error) {
	all := &node{kind: nodeSequence}
	for {
		p.skipComments()
		if p.at == len(p.text) || p.has('|') || p.has(')') {
			break
		}
		if p.takes(`\Q`) {
			p.quotation(all)
			continue
		}
		if p.has('{') {
			// Java repeats nothing then, and refuses what isn't a repetition.
			if _, err := p.quantified(&node{}); err != nil {
				return nil, err
			}
			continue
		}
		n, err := p.atom()
		if err != nil {
			return nil, err
		}
		if n == nil { // flags alone
			continue
		}
		if n, err = p.quantified(n); err != nil {
			return nil, err
		}
		all.parts = append(all.parts, n)
	}
	if len(all.parts) == 1 {
		return all.parts[0], nil
	}
	if len(all.parts) == 0 {
		return &node{}, nil
	}
	return all, nil
}

// skipComments skips white space and comments in the mode that has them.
func (p *parser) skipComments() {
	for p.flags&comments != 0 && p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == ' ' || c >= '\t' && c <= '\r':
			p.at++
		case c == '#':
			for p.at < len(p.text) && p.text[p.at] != '\n' {
				p.at++
			}
		default:
			return
		}
	}
}

// quotation reads text up to \E or the end. A quantifier behind it belongs to the
// last character.
func (p *parser) quotation(all *node) {
	text, _, _ := strings.Cut(p.text[p.at:], `\E`)
	p.at = min(len(p.text), p.at+len(text)+2)
	for _, r := range text {
		all.parts = append(all.parts, p.char(r))
	}
	if len(all.parts) == 0 || text == "" {
		return
	}
	last := all.parts[len(all.parts)-1]
	if n, err := p.quantified(last); err == nil {
		all.parts[len(all.parts)-1] = n
	}
}

func (p *parser) char(r rune) *node {
	return &node{kind: nodeSingle, single: newRune(r, p.flags)}
}

// quantified reads a quantifier behind n, if there is one.
func (p *parser) quantified(n *node) (*node, error) {
	p.skipComments()
	least, most := 0, -1
	switch {
	case p.takes("*"):
	case p.takes("+"):
		least = 1
	case p.takes("?"):
		most = 1
	case p.has('{'):
		var err error
		if least, most, err = p.counts(); err != nil {
			return nil, err
		}
	default:
		return n, nil
	}
	q := &node{kind: nodeRepeat, parts: []*node{n}, min: least, max: most}
	switch {
	case p.takes("?"):
		q.mode = lazy
	case p.takes("+"):
		q.mode = possessive
	}
	return q, nil
}

// counts reads {n}, {n,} and {n,m}.
func (p *parser) counts() (least, most int, err error) {
	inside, _, closed := strings.Cut(p.text[p.at+1:], "}")
	low, high, several := strings.Cut(inside, ",")
	least, errLow := strconv.Atoi(low)
	most = least
	var errHigh error
	if several {
		most = -1
		if high != "" {
			most, errHigh = strconv.Atoi(high)
		}
	}
	switch {
	case !closed || errLow != nil || errHigh != nil || least < 0 || strings.ContainsAny(inside, "+- "):
		return 0, 0, p.wrong(`not a repetition: write {n}, {n,} or {n,m}, or \{ for a brace`)
	case most >= 0 && most < least:
		return 0, 0, p.wrong("the repetition's end is below its beginning")
	}
	p.at += len(inside) + 2
	return least, most, nil
}

// atom reads one part without its quantifier; nil if it only sets flags.
func (p *parser) atom() (*node, error) {
	switch c := p.text[p.at]; c {
	case '(':
		return p.group()
	case '[':
		p.at++
		set, err := p.class()
		if err != nil {
			return nil, err
		}
		return &node{kind: nodeSingle, single: newSet(set)}, nil
	case '\\':
		return p.escape()
	case '.':
		p.at++
		return &node{kind: nodeSingle, single: newDot(p.flags)}, nil
	case '^':
		p.at++
		if p.flags&multiline == 0 {
			return &node{kind: nodeAssert, assert: assertStart}, nil
		}
		return p.lineAssertion(assertLineStart), nil
	case '$':
		p.at++
		if p.flags&multiline == 0 {
			return p.lineAssertion(assertLastLine), nil
		}
		return p.lineAssertion(assertLineEnd), nil
	case '*', '+', '?':
		return nil, p.wrong("a quantifier with nothing in front of it")
	}
	r, n := utf8.DecodeRuneInString(p.text[p.at:])
	p.at += n
	return p.char(r), nil
}

// lineAssertion returns a with "\n" as the only line's end if that is set.
func (p *parser) lineAssertion(a assertion) *node {
	if p.flags&unixLines != 0 {
		a++
	}
	return &node{kind: nodeAssert, assert: a}
}

// group reads what begins with a parenthesis.
func (p *parser) group() (*node, error) {
	p.at++
	n := &node{kind: nodeGroup}
	switch {
	case p.takes("?:"):
		n.kind = nodeSequence
	case p.takes("?>"):
		n.kind = nodeAtomic
	case p.takes("?="):
		n.kind = nodeAhead
	case p.takes("?!"):
		n.kind, n.negative = nodeAhead, true
	case p.takes("?<="):
		n.kind = nodeBehind
	case p.takes("?<!"):
		n.kind, n.negative = nodeBehind, true
	case p.takes("?<"):
		name, _, closed := strings.Cut(p.text[p.at:], ">")
		if !closed || !isGroupName(name) {
			return nil, p.wrong("a group's name is letters and digits, and ends with >")
		}
		if _, twice := p.names[name]; twice {
			return nil, p.wrong("a second group of this name")
		}
		p.names[name] = p.groups
		p.at += len(name) + 1
	case p.takes("?"):
		return p.flagGroup()
	}
	if n.kind == nodeGroup {
		n.group = p.groups
		p.groups++
	}
	return n, p.inside(n)
}

// inside reads a group's expression and its end.
func (p *parser) inside(n *node) error {
	inner, err := p.choice()
	if err != nil {
		return err
	}
	if !p.takes(")") {
		return p.wrong("the group isn't closed")
	}
	n.parts = []*node{inner}
	if n.kind == nodeBehind {
		var r reach
		if r.add(inner); r.unknown {
			return p.wrong("what a look-behind matches has no obvious longest length")
		}
		n.min, n.max = width(inner)
	}
	return nil
}

func isGroupName(name string) bool {
	for i := 0; i < len(name); i++ {
		c := name[i] | 0x20
		if (c < 'a' || c > 'z') && (i == 0 || name[i] < '0' || name[i] > '9') {
			return false
		}
	}
	return name != ""
}

// flagGroup reads (?flags) and (?flags:...).
func (p *parser) flagGroup() (*node, error) {
	saved, set, off := p.flags, p.flags, false
	for p.at < len(p.text) {
		c := p.text[p.at]
		p.at++
		if c == ')' {
			p.flags = set
			return nil, nil
		}
		if c == ':' {
			p.flags = set
			n := &node{kind: nodeSequence}
			err := p.inside(n)
			p.flags = saved
			return n, err
		}
		if c == '-' {
			off = true
			continue
		}
		i := strings.IndexByte("imsdxuU", c)
		if i < 0 {
			p.at--
			return nil, p.wrong("an unknown flag")
		}
		flag := flags(1) << i
		if flag == unicodeClasses {
			flag |= unicodeCase
		}
		if off {
			set &^= flag
		} else {
			set |= flag
		}
	}
	return nil, p.wrong("the group isn't closed")
}

// farthest bounds how far a look-behind reaches back.
const farthest = 1 << 16

// width returns how many characters n matches, most at most farthest.
func width(n *node) (least, most int) {
	switch n.kind {
	case nodeSingle:
		return 1, 1
	case nodeSequence, nodeGroup, nodeAtomic:
		for _, part := range n.parts {
			a, b := width(part)
			least += a
			most += b
		}
	case nodeChoice:
		least, most = width(n.parts[0])
		for _, part := range n.parts[1:] {
			a, b := width(part)
			least, most = min(least, a), max(most, b)
		}
	case nodeRepeat:
		a, b := width(n.parts[0])
		least, most = a*min(n.min, farthest), b*farthest
		if n.max >= 0 {
			most = b * min(n.max, farthest)
		}
	case nodeBack:
		return 0, farthest
	}
	return min(least, farthest), min(most, farthest)
}

// reach is Java's idea of the most characters that a part matches: a 32-bit sum
// that may overflow, and whether it is known.
type reach struct {
	most    int32
	unknown bool
}

// add adds what n matches. That some overflows count as unknown and others don't
// decides which look-behinds Java takes.
func (r *reach) add(n *node) {
	switch n.kind {
	case nodeSingle:
		r.most++
	case nodeSequence, nodeGroup, nodeAtomic:
		for _, part := range n.parts {
			r.add(part)
		}
	case nodeChoice:
		longest := reach{most: -1}
		for _, part := range n.parts {
			one := reach{}
			one.add(part)
			longest.most = max(longest.most, one.most)
			longest.unknown = longest.unknown || one.unknown
		}
		r.most += longest.most
		r.unknown = r.unknown || longest.unknown
	case nodeRepeat:
		most := int32(n.max)
		if n.max < 0 {
			most = math.MaxInt32
			if n.mode == greedy && n.parts[0].kind == nodeSingle {
				r.most += most
				return
			}
		}
		inner := reach{unknown: n.mode != possessive && n.max != 1 && n.parts[0].kind != nodeSingle && !n.parts[0].deterministic()}
		inner.add(n.parts[0])
		sum := inner.most*most + r.most
		r.unknown = r.unknown || inner.unknown || sum < r.most
		r.most = sum
	case nodeBack:
		r.unknown = true
	}
}

// deterministic reports whether there is only one way to match n.
func (n *node) deterministic() bool {
	if n.kind == nodeChoice || n.kind == nodeRepeat && n.min != n.max {
		return false
	}
	for _, part := range n.parts {
		if !part.deterministic() {
			return false
		}
	}
	return true
}
