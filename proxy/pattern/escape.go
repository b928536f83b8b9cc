package pattern

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// escape reads what begins with a backslash, outside of brackets.
func (p *parser) escape() (*node, error) {
	p.at++
	if p.at == len(p.text) {
		return nil, p.wrong("nothing follows the backslash")
	}
	if s, err := p.classEscape(); err != nil {
		return nil, err
	} else if s != nil {
		return &node{kind: nodeSingle, single: newSet(s)}, nil
	}
	c := p.text[p.at]
	switch c {
	case 'b':
		return p.assertion(assertWord), nil
	case 'B':
		return p.assertion(assertNoWord), nil
	case 'A':
		return p.assertion(assertStart), nil
	case 'G':
		return p.assertion(assertLast), nil
	case 'z':
		return p.assertion(assertEnd), nil
	case 'Z':
		p.at++
		return p.lineAssertion(assertLastLine), nil
	case 'R':
		p.at++
		return p.lineBreak(), nil
	case 'k':
		return p.namedBack()
	case '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return p.numberedBack()
	}
	r, err := p.charEscape()
	if err != nil {
		return nil, err
	}
	return p.char(r), nil
}

func (p *parser) assertion(a assertion) *node {
	p.at++
	return &node{kind: nodeAssert, assert: a}
}

// lineBreak is \R: a carriage return with its line feed, or one of the others.
func (p *parser) lineBreak() *node {
	pair := &node{kind: nodeSequence, parts: []*node{{kind: nodeSingle, single: newRune('\r', 0)}, {kind: nodeSingle, single: newRune('\n', 0)}}}
	one := &node{kind: nodeSingle, single: newSet(predicate(func(r rune) bool {
		return r >= '\n' && r <= '\r' || r == 0x85 || r == 0x2028 || r == 0x2029
	}))}
	return &node{kind: nodeChoice, parts: []*node{pair, one}, whole: true}
}

func (p *parser) namedBack() (*node, error) {
	p.at++
	name, _, closed := strings.Cut(p.text[p.at:], ">")
	group, found := 0, false
	if closed && strings.HasPrefix(name, "<") {
		group, found = p.names[name[1:]]
	}
	if !found {
		return nil, p.wrong(`\k needs the name of a group in front of it, as \k<name>`)
	}
	p.at += len(name) + 1
	return &node{kind: nodeBack, group: group, fold: p.flags&ignoreCase != 0}, nil
}

// numberedBack reads \1 and so on: further digits only as long as there are so
// many groups. A group that doesn't exist never matches.
func (p *parser) numberedBack() (*node, error) {
	group := int(p.text[p.at] - '0')
	p.at++
	for p.at < len(p.text) && p.text[p.at] >= '0' && p.text[p.at] <= '9' {
		more := 10*group + int(p.text[p.at]-'0')
		if more >= p.groups {
			break
		}
		group = more
		p.at++
	}
	return &node{kind: nodeBack, group: group, fold: p.flags&ignoreCase != 0}, nil
}

// charEscape reads the escape of one character behind the backslash.
func (p *parser) charEscape() (rune, error) {
	r, n := utf8.DecodeRuneInString(p.text[p.at:])
	p.at += n
	switch r {
	case 't':
		return '\t', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 'f':
		return '\f', nil
	case 'a':
		return 7, nil
	case 'e':
		return 27, nil
	case '0':
		return p.octal()
	case 'x':
		return p.hex()
	case 'u':
		return p.digits(4)
	case 'c':
		if p.at == len(p.text) {
			return 0, p.wrong(`a character must follow \c`)
		}
		c := p.text[p.at]
		p.at++
		return rune(c ^ 64), nil
	}
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
		p.at--
		return 0, p.wrong(`an unknown escape \` + string(r))
	}
	return r, nil
}

func (p *parser) octal() (rune, error) {
	n, count := rune(0), 0
	for count < 3 && p.at < len(p.text) && p.text[p.at] >= '0' && p.text[p.at] <= '7' {
		if more := n*8 + rune(p.text[p.at]-'0'); more <= 0xFF {
			n = more
			p.at++
			count++
			continue
		}
		break
	}
	if count == 0 {
		return 0, p.wrong(`octal digits must follow \0`)
	}
	return n, nil
}

func (p *parser) hex() (rune, error) {
	if !p.takes("{") {
		return p.digits(2)
	}
	inside, _, closed := strings.Cut(p.text[p.at:], "}")
	n, err := strconv.ParseUint(inside, 16, 32)
	if !closed || err != nil || n > utf8.MaxRune {
		return 0, p.wrong("not a character's number in hexadecimal")
	}
	p.at += len(inside) + 1
	return rune(n), nil
}

func (p *parser) digits(count int) (rune, error) {
	if p.at+count <= len(p.text) {
		if n, err := strconv.ParseUint(p.text[p.at:p.at+count], 16, 32); err == nil {
			p.at += count
			return rune(n), nil
		}
	}
	return 0, p.wrong(strconv.Itoa(count) + " hexadecimal digits must follow")
}
