package iam

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// pattern is a text with wildcards and variables. AWS: "IAM policy elements:
// Variables and tags", "Resource".
type pattern struct {
	runs [][]piece // what stands between the stars; one run: there is no star

	// literal is the whole text, if it has neither wildcards nor variables; prefix is
	// what stands before the one star, which is at the end.
	literal   string
	prefix    string
	shape     shape
	variables bool
}

// shape is how a pattern can be matched.
type shape uint8

const (
	mixed      shape = iota
	isLiteral        // equal to literal
	isPrefix         // begins with prefix
	everything       // "*"
)

// piece is a part of a run.
type piece struct {
	kind pieceKind
	text string // of a literal; a variable's default
	key  Key

	hasDefault bool
}

type pieceKind uint8

const (
	literalPiece pieceKind = iota
	onePiece               // "?": one character
	variablePiece
)

// maxWildcards is how many stars and question marks one pattern may have: matching
// takes time with them, and clients choose what is matched.
const maxWildcards = 128

// syntax is what in a text has a meaning of its own.
type syntax uint8

const (
	wildcards syntax = 1 << iota // * and ?
	variables                    // ${…}; not before version 2012-10-17
	escapes                      // %XX, as in paths
)

// compilePattern compiles text. problem says what is wrong with a variable in it.
func compilePattern(text string, s syntax) (p pattern, problem, hint string) {
	if s&wildcards != 0 && strings.Count(text, "*")+strings.Count(text, "?") > maxWildcards {
		return p, fmt.Sprintf("more than %d wildcards", maxWildcards), ""
	}
	var run []piece
	var literal []byte
	flush := func() {
		if len(literal) > 0 {
			t := string(literal)
			if s&escapes != 0 {
				t = string(AppendPath(nil, t))
			}
			run = append(run, piece{text: t})
			literal = literal[:0]
		}
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '*' && s&wildcards != 0:
			flush()
			p.runs, run = append(p.runs, run), nil
		case c == '?' && s&wildcards != 0:
			flush()
			run = append(run, piece{kind: onePiece})
		case c == '$' && s&variables != 0 && strings.HasPrefix(text[i:], "${"):
			end := variableEnd(text[i:])
			if end < 0 {
				return p, "a variable without its end", `write "${$}{" for the characters "${"`
			}
			inner := text[i+2 : i+end]
			i += end
			if inner == "*" || inner == "?" || inner == "$" {
				flush() // so that an escape never holds it
				run = append(run, piece{text: inner})
				continue
			}
			v, problem, hint := variable(inner)
			if problem != "" {
				return p, problem, hint
			}
			flush()
			p.variables = true
			run = append(run, v)
		default:
			literal = append(literal, c)
		}
	}
	flush()
	p.runs = append(p.runs, run)
	p.simplify()
	return p, "", ""
}

// variableEnd returns where the "}" of the variable is that s begins with, or -1.
// A default may hold one.
func variableEnd(s string) int {
	quoted := false
	for i := 2; i < len(s); i++ {
		switch {
		case s[i] == '\'':
			quoted = !quoted
		case s[i] == '}' && !quoted:
			return i
		}
	}
	return -1
}

// variable reads what stands between "${" and "}": a key, or a key and a default.
func variable(inner string) (p piece, problem, hint string) {
	name, standard, found := strings.Cut(inner, ",")
	k, form, known := findKey(strings.TrimSpace(name))
	switch {
	case !known:
		return p, "no variable ${" + inner + "}", "variables are condition keys, as ${aws:username}, and ${*}, ${?} and ${$} for these characters"
	case form == networkForm || k.ID == VPCSourceIP:
		return p, "${" + inner + "} depends on the client's networks", "compare the key in a Condition"
	}
	p = piece{kind: variablePiece, key: k}
	if found {
		standard = strings.TrimSpace(standard)
		if len(standard) < 2 || standard[0] != '\'' || standard[len(standard)-1] != '\'' {
			return p, "the default of ${" + inner + "} isn't in quotes", "as in ${aws:username, 'nobody'}"
		}
		p.text, p.hasDefault = standard[1:len(standard)-1], true
	}
	return p, "", ""
}

// simplify joins literals and finds the shapes that are quick to match.
func (p *pattern) simplify() {
	for i, run := range p.runs {
		var joined []piece
		for _, q := range run {
			if n := len(joined); n > 0 && q.kind == literalPiece && joined[n-1].kind == literalPiece {
				joined[n-1].text += q.text
				continue
			}
			joined = append(joined, q)
		}
		p.runs[i] = joined
	}
	first := p.runs[0]
	text := ""
	if len(first) > 1 || len(first) == 1 && first[0].kind != literalPiece {
		return
	}
	if len(first) == 1 {
		text = first[0].text
	}
	switch last := p.runs[len(p.runs)-1]; {
	case len(p.runs) == 1:
		p.shape, p.literal = isLiteral, text
	case len(p.runs) == 2 && len(last) == 0 && text == "":
		p.shape = everything
	case len(p.runs) == 2 && len(last) == 0:
		p.shape, p.prefix = isPrefix, text
	}
}

// matches reports whether all of s fits p. A pattern with a variable that has no
// value fits nothing: AWS: "Policy variables with no value".
func (p *pattern) matches(s string, f Facts) bool {
	switch p.shape {
	case isLiteral:
		return s == p.literal
	case isPrefix:
		return strings.HasPrefix(s, p.prefix)
	case everything:
		return true
	}
	if p.variables && !p.resolvable(f) {
		return false
	}
	at, ok := forward(p.runs[0], s, 0, f)
	if !ok {
		return false
	}
	if len(p.runs) == 1 {
		return at == len(s)
	}
	for _, run := range p.runs[1 : len(p.runs)-1] { // the earliest place leaves most to the others
		if at, ok = find(run, s, at, f); !ok {
			return false
		}
	}
	begin, ok := backward(p.runs[len(p.runs)-1], s, f)
	return ok && begin >= at
}

func (p *pattern) resolvable(f Facts) bool {
	for _, run := range p.runs {
		for i := range run {
			if _, found := run[i].value(f); !found {
				return false
			}
		}
	}
	return true
}

// value returns the text that a literal or a variable stands for.
func (q *piece) value(f Facts) (string, bool) {
	if q.kind != variablePiece {
		return q.text, true
	}
	if text, found := f.Value(q.key); found {
		return text, true
	}
	return q.text, q.hasDefault
}

// text returns what p, which has no wildcards, stands for, and false if a variable
// has no value.
func (p *pattern) text(f Facts) (string, bool) {
	if p.shape == isLiteral {
		return p.literal, true
	}
	var b strings.Builder
	for i := range p.runs[0] {
		text, found := p.runs[0][i].value(f)
		if !found {
			return "", false
		}
		b.WriteString(text)
	}
	return b.String(), true
}

// forward matches run from offset at on and returns where it ends.
func forward(run []piece, s string, at int, f Facts) (end int, ok bool) {
	for i := range run {
		if run[i].kind == onePiece {
			_, n := utf8.DecodeRuneInString(s[at:])
			if n == 0 {
				return 0, false
			}
			at += n
			continue
		}
		text, _ := run[i].value(f)
		if !strings.HasPrefix(s[at:], text) {
			return 0, false
		}
		at += len(text)
	}
	return at, true
}

// backward matches run up to the end of s and returns where it begins.
func backward(run []piece, s string, f Facts) (begin int, ok bool) {
	for i := len(run) - 1; i >= 0; i-- {
		if run[i].kind == onePiece {
			_, n := utf8.DecodeLastRuneInString(s)
			if n == 0 {
				return 0, false
			}
			s = s[:len(s)-n]
			continue
		}
		text, _ := run[i].value(f)
		if s, ok = strings.CutSuffix(s, text); !ok {
			return 0, false
		}
	}
	return len(s), true
}

// find matches run at the first place from offset at on, and returns where it ends.
func find(run []piece, s string, at int, f Facts) (end int, ok bool) {
	if len(run) == 0 {
		return at, true
	}
	first, _ := run[0].value(f)
	for at <= len(s) {
		if run[0].kind != onePiece {
			skip := strings.Index(s[at:], first)
			if skip < 0 {
				return 0, false
			}
			at += skip
		}
		if end, ok := forward(run, s, at, f); ok {
			return end, true
		}
		_, n := utf8.DecodeRuneInString(s[at:])
		at += max(n, 1)
	}
	return 0, false
}
