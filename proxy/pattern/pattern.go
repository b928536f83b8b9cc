// Package pattern matches Java's regular expressions: look-around, references
// back, possessive quantifiers and classes as java.util.regex has them. Matching
// counts its steps, so that no expression and no text can take long.
package pattern

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits of an expression.
const (
	maxProgram = 20_000 // instructions
	maxNesting = 200    // of groups and classes
	maxFrames  = 1 << 20
)

// DefaultSteps is a budget for one use of an expression: some ten milliseconds.
const DefaultSteps = 1_000_000

// The errors of matching.
var (
	ErrSteps       = errors.New("the regular expression takes too many steps")
	ErrReplacement = errors.New("the replacement refers to a group that isn't there: write \\$ for a dollar sign and \\\\ for a backslash")
)

// A SyntaxError says where an expression is wrong.
type SyntaxError struct {
	Expression string
	Offset     int // in bytes
	Reason     string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("regular expression %q: %s at offset %d", e.Expression, e.Reason, e.Offset)
}

// Pattern is a compiled expression. It may be used by many goroutines at once.
type Pattern struct {
	source    string
	program   []instruction
	groups    int // with group 0
	names     map[string]int
	registers int

	literal string // what the expression matches, if it is only text
	plain   bool   // literal is all of it
	first   *single
}

// Compile compiles an expression. The error is a *SyntaxError.
func Compile(expression string) (*Pattern, error) {
	p := parser{text: expression, names: map[string]int{}, groups: 1}
	tree, err := p.expression()
	if err != nil {
		return nil, err
	}
	c := compiler{registers: 2 * p.groups}
	c.emit(tree)
	c.add(instruction{op: opMatch})
	if c.tooLarge {
		return nil, &SyntaxError{expression, len(expression), "it is too large"}
	}
	pat := &Pattern{source: expression, program: c.program, groups: p.groups, names: p.names, registers: c.registers}
	pat.literal, pat.plain = literalOf(tree)
	pat.first = firstOf(c.program)
	return pat, nil
}

// String returns the expression.
func (p *Pattern) String() string { return p.source }

// literalOf returns the text of a tree that matches just that.
func literalOf(n *node) (string, bool) {
	switch n.kind {
	case nodeEmpty:
		return "", true
	case nodeSingle:
		if n.single.kind != singleRune {
			return "", false
		}
		return string(n.single.r), n.single.r != utf8.RuneError && (n.single.r < 0xD800 || n.single.r > 0xDFFF)
	case nodeSequence:
		var b strings.Builder
		for _, part := range n.parts {
			text, ok := literalOf(part)
			if !ok {
				return "", false
			}
			b.WriteString(text)
		}
		return b.String(), true
	}
	return "", false
}

// firstOf returns what every match begins with, nil if that isn't one character.
func firstOf(program []instruction) *single {
	for i := range program {
		switch in := &program[i]; {
		case in.op == opSave:
		case in.op == opSingle, in.op == opRun && in.min > 0:
			return in.single
		default:
			return nil
		}
	}
	return nil
}

// Matches reports whether p matches the whole of s. Steps is the budget, which it
// takes from; the error is ErrSteps when that is used up.
func (p *Pattern) Matches(s string, steps *int) (bool, error) {
	if p.plain {
		return s == p.literal, nil
	}
	m := newMachine(p, s, steps)
	m.whole = true
	return m.run(0)
}

// find looks for the next match from at on. Its bounds are in m.registers.
func (m *machine) find(at int) (bool, error) {
	for {
		if m.p.first != nil {
			for at < len(m.text) {
				r, n := decode(m.text[at:])
				if m.p.first.matches(r) {
					break
				}
				at += n
			}
			if at == len(m.text) {
				return false, nil
			}
		}
		ok, err := m.run(at)
		if ok || err != nil || at >= len(m.text) {
			return ok, err
		}
		_, n := decode(m.text[at:])
		at += n
	}
}

// next returns where the search goes on behind a match.
func next(s string, from, to int) int {
	if from < to {
		return to
	}
	if to == len(s) {
		return to + 1
	}
	_, n := decode(s[to:])
	return to + n
}

// Count says how many matches are replaced.
type Count bool

// The counts.
const (
	First Count = false
	All   Count = true
)

// Replace returns s with the first match or all of them replaced. In replacement
// $1 and ${name} stand for what a group matched and \ for the next character
// itself. Size bounds the result in bytes. The error is ErrSteps or
// ErrReplacement.
func (p *Pattern) Replace(s, replacement string, count Count, size int, steps *int) (string, error) {
	plainReplacement := strings.IndexByte(replacement, '\\') < 0 && strings.IndexByte(replacement, '$') < 0
	if p.plain && p.literal != "" && plainReplacement {
		n := 1
		if count == All {
			n = strings.Count(s, p.literal)
		}
		if n > 0 && len(s)+n*(len(replacement)-len(p.literal)) > size {
			return "", ErrSteps
		}
		return strings.Replace(s, p.literal, replacement, n), nil
	}
	m := newMachine(p, s, steps)
	var dst []byte
	copied, found := 0, false
	for at := 0; at <= len(s); {
		ok, err := m.find(at)
		if err != nil {
			return "", err
		}
		if !ok {
			break
		}
		found = true
		from, to := m.registers[0], m.registers[1]
		dst = append(dst, s[copied:from]...)
		if dst, err = p.appendReplacement(dst, s, replacement, m.registers); err != nil {
			return "", err
		}
		if len(dst) > size {
			return "", ErrSteps
		}
		copied = to
		m.end = to
		if count == First {
			break
		}
		at = next(s, from, to)
	}
	if !found {
		return s, nil
	}
	return string(append(dst, s[copied:]...)), nil
}

func (p *Pattern) appendReplacement(dst []byte, s, replacement string, registers []int) ([]byte, error) {
	for i := 0; i < len(replacement); i++ {
		switch c := replacement[i]; c {
		case '\\':
			i++
			if i == len(replacement) {
				return nil, ErrReplacement
			}
			dst = append(dst, replacement[i])
		case '$':
			group, n := p.groupReference(replacement[i+1:])
			if n == 0 {
				return nil, ErrReplacement
			}
			i += n
			if from := registers[2*group]; from >= 0 {
				dst = append(dst, s[from:registers[2*group+1]]...)
			}
		default:
			dst = append(dst, c)
		}
	}
	return dst, nil
}

// groupReference reads what follows a dollar sign: the number of the group and
// how many bytes it took, 0 if there is no such group.
func (p *Pattern) groupReference(s string) (group, n int) {
	if strings.HasPrefix(s, "{") {
		name, _, closed := strings.Cut(s[1:], "}")
		group, found := p.names[name]
		if !closed || !found {
			return 0, 0
		}
		return group, len(name) + 2
	}
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		more := 10*group + int(s[n]-'0')
		if more >= p.groups {
			break
		}
		group = more
		n++
	}
	return group, n
}

// Split cuts s where p matches: into at most limit pieces if that is above 0,
// without the empty ones at the end if it is 0. Most bounds the number of pieces.
func (p *Pattern) Split(s string, limit, most int, steps *int) ([]string, error) {
	m := newMachine(p, s, steps)
	var parts []string
	start := 0
	for at := 0; at <= len(s) && (limit <= 0 || len(parts) < limit-1); {
		ok, err := m.find(at)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		from, to := m.registers[0], m.registers[1]
		m.end = to
		at = next(s, from, to)
		if to == 0 {
			continue // an empty match at the beginning cuts nothing off
		}
		if len(parts) == most {
			return nil, ErrSteps
		}
		parts = append(parts, s[start:from])
		start = to
	}
	if start == 0 && len(parts) == 0 {
		return []string{s}, nil
	}
	parts = append(parts, s[start:])
	if limit == 0 {
		for len(parts) > 0 && parts[len(parts)-1] == "" {
			parts = parts[:len(parts)-1]
		}
	}
	return parts, nil
}

// decode returns the first character of s. Half of a surrogate pair may stand in
// three bytes of its own.
func decode(s string) (rune, int) {
	if s[0] < utf8.RuneSelf {
		return rune(s[0]), 1
	}
	r, n := utf8.DecodeRuneInString(s)
	if n == 1 && len(s) >= 3 && s[0] == 0xED && s[1] >= 0xA0 && s[1] <= 0xBF && s[2]&0xC0 == 0x80 {
		return 0xD000 | rune(s[1]&0x3F)<<6 | rune(s[2]&0x3F), 3
	}
	return r, n
}

// decodeLast returns the last character of s.
func decodeLast(s string) (rune, int) {
	if len(s) >= 3 && s[len(s)-3] == 0xED {
		if r, n := decode(s[len(s)-3:]); n == 3 {
			return r, n
		}
	}
	return utf8.DecodeLastRuneInString(s)
}
