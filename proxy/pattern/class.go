package pattern

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

type singleKind uint8

const (
	singleRune singleKind = iota
	singleFold            // without regard to case
	singleSet
)

// single matches one character.
type single struct {
	kind singleKind
	r    rune
	all  bool      // unicodeCase: beyond ASCII
	low  [2]uint64 // of a set: its ASCII characters
	set  set
}

// set is a set of characters.
type set interface{ contains(r rune) bool }

func (s *single) matches(r rune) bool {
	switch s.kind {
	case singleRune:
		return r == s.r
	case singleFold:
		return r == s.r || fold(r, s.all) == s.r
	}
	if r < utf8.RuneSelf {
		return s.low[r>>6]>>(r&63)&1 != 0
	}
	return s.set.contains(r)
}

// fold returns the character that stands for r and its other case.
func fold(r rune, all bool) rune {
	if r < utf8.RuneSelf {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	if !all {
		return r
	}
	return unicode.ToLower(unicode.ToUpper(r))
}

func newRune(r rune, f flags) *single {
	if f&ignoreCase == 0 {
		return &single{r: r}
	}
	all := f&unicodeCase != 0
	folded := fold(r, all)
	if r < utf8.RuneSelf && !all && !unicode.IsLetter(r) {
		return &single{r: r}
	}
	return &single{kind: singleFold, r: folded, all: all}
}

func newSet(s set) *single {
	one := &single{kind: singleSet, set: s}
	for r := rune(0); r < utf8.RuneSelf; r++ {
		if s.contains(r) {
			one.low[r>>6] |= 1 << (r & 63)
		}
	}
	return one
}

func newDot(f flags) *single {
	switch {
	case f&dotAll != 0:
		return newSet(predicate(func(rune) bool { return true }))
	case f&unixLines != 0:
		return newSet(predicate(func(r rune) bool { return r != '\n' }))
	}
	return newSet(predicate(func(r rune) bool { return !lineEnd(r) }))
}

func lineEnd(r rune) bool {
	return r == '\n' || r == '\r' || r == 0x85 || r == 0x2028 || r == 0x2029
}

type predicate func(rune) bool

func (p predicate) contains(r rune) bool { return p(r) }

type span struct{ from, to rune }

func (s span) contains(r rune) bool { return r >= s.from && r <= s.to }

type foldedSpan struct {
	span
	all bool
}

func (s foldedSpan) contains(r rune) bool {
	if s.span.contains(r) {
		return true
	}
	if r < utf8.RuneSelf || s.all {
		return s.span.contains(unicode.ToLower(r)) || s.span.contains(unicode.ToUpper(r))
	}
	return false
}

type union []set

func (u union) contains(r rune) bool {
	for _, s := range u {
		if s.contains(r) {
			return true
		}
	}
	return false
}

type both struct{ left, right set }

func (b both) contains(r rune) bool { return b.left.contains(r) && b.right.contains(r) }

type complement struct{ set }

func (c complement) contains(r rune) bool { return !c.set.contains(r) }

// class reads the inside of [...] and its end.
func (p *parser) class() (set, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, p.wrong("it nests too deeply")
	}
	defer func() { p.depth-- }()
	negative := p.takes("^")
	var whole set // the parts in front of the last &&
	var members union
	start := p.at
	for {
		p.skipComments()
		switch {
		case p.at == len(p.text):
			return nil, p.wrong("the bracket isn't closed")
		case p.has(']') && p.at > start:
			p.at++
			s := meet(whole, members)
			if negative {
				s = complement{s}
			}
			return s, nil
		case p.takes("&&"):
			if len(members) > 0 {
				whole = meet(whole, members)
				members = nil
			}
			continue
		case p.takes("["):
			inner, err := p.class()
			if err != nil {
				return nil, err
			}
			members = append(members, inner)
			continue
		}
		more, err := p.classRange()
		if err != nil {
			return nil, err
		}
		members = append(members, more...)
	}
}

// meet returns what is in whole, if there is one, and in members.
func meet(whole set, members union) set {
	switch {
	case whole == nil:
		return members
	case len(members) == 0:
		return whole
	}
	return both{whole, members}
}

// classRange reads a character, a range, an escape or a quotation in brackets.
func (p *parser) classRange() (union, error) {
	if p.takes(`\Q`) {
		var members union
		text, _, _ := strings.Cut(p.text[p.at:], `\E`)
		p.at = min(len(p.text), p.at+len(text)+2)
		for _, r := range text {
			members = append(members, p.span(r, r))
		}
		return members, nil
	}
	from, s, err := p.classChar()
	if err != nil || s != nil {
		return union{s}, err
	}
	if !p.has('-') || p.at+1 == len(p.text) || p.text[p.at+1] == ']' || p.text[p.at+1] == '[' {
		return union{p.span(from, from)}, nil
	}
	p.at++
	to, s, err := p.classChar()
	if err != nil {
		return nil, err
	}
	if s != nil || to < from {
		return nil, p.wrong("not a range of characters")
	}
	return union{p.span(from, to)}, nil
}

func (p *parser) span(from, to rune) set {
	if p.flags&ignoreCase != 0 {
		return foldedSpan{span{from, to}, p.flags&unicodeCase != 0}
	}
	return span{from, to}
}

// classChar reads one character, or an escape that stands for a set of them.
func (p *parser) classChar() (rune, set, error) {
	if !p.has('\\') {
		r, n := utf8.DecodeRuneInString(p.text[p.at:])
		p.at += n
		return r, nil, nil
	}
	p.at++
	if p.at == len(p.text) {
		return 0, nil, p.wrong("nothing follows the backslash")
	}
	if s, err := p.classEscape(); s != nil || err != nil {
		return 0, s, err
	}
	r, err := p.charEscape()
	return r, nil, err
}

// classEscape reads \d and its like behind the backslash; nil if it is another
// escape.
func (p *parser) classEscape() (set, error) {
	c := p.text[p.at]
	unicodeToo := p.flags&unicodeClasses != 0
	var s set
	switch c | 0x20 {
	case 'd':
		s = named("Digit", unicodeToo)
	case 'w':
		s = predicate(wordASCII)
		if unicodeToo {
			s = predicate(func(r rune) bool {
				return unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Pc)
			})
		}
	case 's':
		s = named("Space", unicodeToo)
	case 'h':
		s = predicate(func(r rune) bool {
			return r == '\t' || r == 0x180E || unicode.Is(unicode.Zs, r)
		})
	case 'v':
		s = predicate(func(r rune) bool { return r >= '\n' && r <= '\r' || r == 0x85 || r == 0x2028 || r == 0x2029 })
	case 'p':
		return p.property()
	default:
		return nil, nil
	}
	p.at++
	if c < 'a' {
		s = complement{s}
	}
	return s, nil
}

func wordASCII(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_'
}

// property reads \p{Name}, \P{Name} and \pL.
func (p *parser) property() (set, error) {
	negative := p.text[p.at] == 'P'
	p.at++
	name := ""
	if p.takes("{") {
		inside, _, closed := strings.Cut(p.text[p.at:], "}")
		if !closed {
			return nil, p.wrong("the name of a class of characters isn't closed")
		}
		name = inside
		p.at += len(inside) + 1
	} else if p.at < len(p.text) {
		name = p.text[p.at : p.at+1]
		p.at++
	}
	s := named(name, p.flags&unicodeClasses != 0)
	if s == nil {
		return nil, p.wrong("no class of characters is called " + strconv.Quote(name))
	}
	if p.flags&ignoreCase != 0 && (name == "Lower" || name == "Upper" || name == "Ll" || name == "Lu") {
		s = union{named("Lower", name[1] != 'o' && name[1] != 'p'), named("Upper", name[1] != 'o' && name[1] != 'p')}
	}
	if negative {
		s = complement{s}
	}
	return s, nil
}

// asciiClasses are the POSIX classes, in the terms of ranges.
var asciiClasses = map[string]string{
	"Lower": "az", "Upper": "AZ", "ASCII": "\x00\x7f", "Alpha": "azAZ", "Digit": "09", "Alnum": "azAZ09",
	"Punct": "!/:@[`{~", "Graph": "!~", "Print": " ~", "Blank": "  \t\t", "Cntrl": "\x00\x1f\x7f\x7f",
	"XDigit": "09afAF", "Space": "\t\r  ",
}

// unicodeForms are what the POSIX classes mean with the flag U, and Java's own.
var unicodeForms = map[string]func(rune) bool{
	"Lower": unicode.IsLower, "Upper": unicode.IsUpper, "Alpha": unicode.IsLetter, "Digit": unicode.IsDigit,
	"Alnum": func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }, "Punct": func(r rune) bool { return unicode.Is(unicode.P, r) },
	"Cntrl": func(r rune) bool { return unicode.Is(unicode.Cc, r) }, "Space": unicode.IsSpace,
	"Blank": func(r rune) bool { return r == '\t' || unicode.Is(unicode.Zs, r) },
}

var javaNames = map[string]string{
	"javaLowerCase": "Lower", "javaUpperCase": "Upper", "javaAlphabetic": "Alpha", "javaLetter": "Alpha", "javaDigit": "Digit",
	"javaLetterOrDigit": "Alnum", "javaWhitespace": "Space", "IsAlphabetic": "Alpha", "IsLetter": "Alpha", "IsDigit": "Digit",
	"IsLowercase": "Lower", "IsUppercase": "Upper", "IsPunctuation": "Punct", "IsControl": "Cntrl", "IsWhite_Space": "Space",
}

// named returns the class of characters with Java's name, nil if there is none.
func named(name string, unicodeToo bool) set {
	if java, ok := javaNames[name]; ok {
		name, unicodeToo = java, true
	}
	if form, ok := unicodeForms[name]; ok && unicodeToo {
		return predicate(form)
	}
	if bounds, ok := asciiClasses[name]; ok {
		var u union
		for i := 0; i < len(bounds); i += 2 {
			u = append(u, span{rune(bounds[i]), rune(bounds[i+1])})
		}
		return u
	}
	if name == "L1" {
		return span{0, 0xFF}
	}
	if name == "LC" {
		return predicate(func(r rune) bool { return unicode.In(r, unicode.Lu, unicode.Ll, unicode.Lt) })
	}
	bare := strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(name, "general_category="), "gc="), "script="), "sc=")
	bare = strings.TrimPrefix(bare, "Is")
	if table, ok := unicode.Categories[bare]; ok {
		return predicate(func(r rune) bool { return unicode.Is(table, r) })
	}
	for script, table := range unicode.Scripts {
		if strings.EqualFold(script, bare) && bare != name {
			return predicate(func(r rune) bool { return unicode.Is(table, r) })
		}
	}
	return nil
}

// wordRune reports whether \b takes r for a part of a word: a letter or a digit of
// any script, up to Java 18.
func wordRune(r rune) bool {
	return wordASCII(r) || r >= utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r))
}
