package vtl

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// parser makes nodes of tokens. It looks ahead only as far as Velocity's does,
// because the lexer's state depends on what has been parsed.
type parser struct {
	t         *Template
	lex       lexer
	tokens    []token
	at        int // of the next token
	depth     int
	escapable map[string]bool // macros defined so far, also where they aren't callable
	inner     bool            // of a string: no coverage
	trial     bool            // looking ahead: nothing is kept
	ranges    map[int]bool    // whether the bracket at a token begins a range
	failed    *Error          // of the lexer
}

// maxNesting bounds how deeply a template's source nests.
const maxNesting = 200

// directives are Velocity's, besides #if and #set.
var directives = []string{"foreach", "include", "parse", "macro", "literal", "evaluate", "break", "define", "stop"}

func (p *parser) isDirective(name string) bool {
	if !p.t.options.Evaluate && (name == "evaluate" || name == "parse" || name == "include") {
		return false
	}
	return slices.Contains(directives, name)
}

// peek returns the token i places ahead.
func (p *parser) peek(i int) *token {
	for p.at+i >= len(p.tokens) {
		if p.failed != nil {
			return &p.tokens[len(p.tokens)-1]
		}
		t, ok := p.lex.next()
		if !ok {
			p.failed = p.lexical(t)
			t.kind = tokEnd
		}
		p.tokens = append(p.tokens, t)
	}
	return &p.tokens[p.at+i]
}

func (p *parser) is(kind tokenKind) bool { return p.peek(0).kind == kind }

func (p *parser) take() *token {
	t := p.peek(0)
	p.at++
	return t
}

// accept skips the next token if it is of this kind.
func (p *parser) accept(kind tokenKind) bool {
	if p.is(kind) {
		p.at++
		return true
	}
	return false
}

// last is the token taken last.
func (p *parser) last() *token { return &p.tokens[p.at-1] }

// failure returns the error for what stands next, which isn't what was expected.
func (p *parser) failure(expected, hint string) error {
	t := p.peek(0)
	if p.failed != nil && p.at >= len(p.tokens)-1 {
		return p.failed
	}
	if t.kind == tokEnd {
		return p.wrong(int(t.at), "the template ends where "+expected+" should follow", hint)
	}
	shown, _, _ := strings.Cut(strings.TrimSpace(t.image), "\n")
	if len(shown) > 20 {
		shown = shown[:20] + "…"
	}
	switch {
	case hint != "":
	case shown == "=":
		hint = "== compares"
	case shown == ")":
		hint = "a value is missing, or it isn't in quotes: $input.path('$.name')"
	}
	if shown == "" {
		return p.wrong(int(t.at), "white space where "+expected+" should follow", hint)
	}
	return p.wrong(int(t.at), "“"+strings.ToValidUTF8(shown, "")+"” where "+expected+" should follow", hint)
}

// wrong returns an error at a byte of the source.
func (p *parser) wrong(at int, text, hint string) *Error {
	return p.t.wrong(p.t.origin.place(at), text, hint)
}

// place maps a byte of a string's source to one of the template's.
func (o origin) place(at int) int {
	if o.exact {
		return o.at + at
	}
	return o.at
}

// lexical says what is wrong where no token can be read.
func (p *parser) lexical(t token) *Error {
	s := p.lex.source
	if int(t.at) < len(s) && p.lex.at < len(s) {
		r := []rune(s[p.lex.at:min(len(s), p.lex.at+4)])[0]
		switch {
		case r == '"' || r == '\'':
			return p.wrong(p.lex.at, "the quote isn't closed", "a quote in a string is written twice; a backslash escapes nothing")
		case p.lex.state == inArguments:
			return p.wrong(p.lex.at, "“"+string(r)+"” among the arguments of a method", "calculate with #set first")
		case p.lex.state == inIndex:
			return p.wrong(p.lex.at, "“"+string(r)+"” in an index", "use a string, a whole number or a reference")
		}
		return p.wrong(p.lex.at, "“"+string(r)+"” in an expression", "")
	}
	switch p.lex.state {
	case inReference:
		return p.wrong(len(s)-1, "the template ends in a dollar sign", `put something behind it, or print it by #set($d = "$")$d`)
	case inPrefix:
		return p.wrong(len(s)-1, "the template ends in #", "put something behind it")
	case inRaw:
		return p.wrong(int(t.at), "#[[ isn't closed", "end it by ]]#")
	}
	return p.wrong(len(s)-1, "the comment ends in $ or #", "put something behind it")
}

// template reads all there is.
func (p *parser) template() (*block, error) {
	b, err := p.statements()
	if err != nil {
		return nil, err
	}
	if !p.is(tokEnd) || p.failed != nil {
		if k := p.peek(0).kind; k == tokEndDirective || k == tokElse || k == tokElseIf {
			return nil, p.wrong(int(p.peek(0).at), strings.TrimSpace(p.peek(0).image)+" with nothing that it ends", "remove it, or check the #if or #foreach that it belongs to")
		}
		return nil, p.failure("text or a directive", "")
	}
	return b, nil
}

// nest counts how deeply the source nests.
func (p *parser) nest() error {
	if p.depth++; p.depth > maxNesting {
		return p.wrong(int(p.peek(0).at), "the template nests too deeply", "")
	}
	return nil
}

// statements reads up to what can't begin one.
func (p *parser) statements() (*block, error) {
	if err := p.nest(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	b := &block{}
	var pending strings.Builder // text that isn't a statement yet
	from, to := -1, 0
	flush := func() {
		if pending.Len() > 0 {
			p.add(b, text(pending.String()), from, to)
		}
		pending.Reset()
		from = -1
	}
	for {
		first := p.peek(0)
		start := int(first.at)
		plain, ok, err := p.plain()
		if err != nil {
			return nil, err
		}
		if ok {
			if from < 0 {
				from = start
			}
			to = start + len(plain)
			pending.WriteString(plain)
			continue
		}
		s, err := p.statement()
		if err != nil {
			return nil, err
		}
		if s == nil {
			flush()
			return b, nil
		}
		if t, ok := s.(text); ok {
			if from < 0 {
				from = start
			}
			to = start + len(t)
			pending.WriteString(string(t))
			continue
		}
		flush()
		p.add(b, s, start, start)
	}
}

// add appends a statement and notes where it stands.
func (p *parser) add(b *block, s statement, from, to int) {
	spot := int32(-1)
	if !p.inner {
		spot = p.spot(s, from, to)
	}
	b.statements = append(b.statements, s)
	b.spots = append(b.spots, spot)
}

// plain reads what is printed as it stands.
func (p *parser) plain() (string, bool, error) {
	t := p.peek(0)
	switch t.kind {
	case tokText, tokDot, tokClose, tokOpen, tokInteger, tokFloat, tokString, tokEscape, tokNoReference, tokCloseBrace:
		p.at++
		return t.literal(), true, nil
	case tokOpenBrace:
		if p.peek(1).kind == tokName {
			return "", false, nil
		}
		p.at++
		return p.last().literal(), true, nil
	case tokEscapedDirective:
		p.at++
		plain := p.escapedDirective(t.image)
		p.tokens[p.at-1].image = plain
		return plain, true, nil
	case tokDoubleEscape:
		return p.escapes(), true, nil
	case tokRaw:
		p.at++
		return t.image[3 : len(t.image)-3], true, nil
	case tokLineComment:
		p.at++
		p.accept(tokLineCommentEnd)
		return commentPrefix(t.image), true, nil
	case tokComment, tokFormalComment:
		p.at++
		return commentPrefix(t.image), true, nil
	}
	return "", false, nil
}

// commentPrefix returns what stands in front of a comment in its own token.
func commentPrefix(image string) string {
	i := strings.Index(image, "##")
	if i < 0 {
		i = strings.Index(image, "#*")
	}
	if i < 0 {
		return ""
	}
	return image[:i]
}

// escapedDirective returns what is printed for backslashes in front of a
// directive.
func (p *parser) escapedDirective(image string) string {
	slash := strings.LastIndexByte(image, '\\')
	name := strings.TrimPrefix(image[slash+1:], "#")
	if strings.HasPrefix(name, "{") {
		name = name[1 : len(name)-1]
	}
	switch name {
	case "if", "elseif", "else", "end", "set":
	default:
		if !p.isDirective(name) && !p.escapable[name] {
			return image
		}
	}
	return image[:slash/2] + image[slash+1:]
}

// escapes reads pairs of backslashes: half of them is printed in front of a
// directive, all elsewhere.
func (p *parser) escapes() string {
	n := 0
	for p.accept(tokDoubleEscape) {
		n++
	}
	next := p.peek(0)
	control := next.kind == tokIf || next.kind == tokElse || next.kind == tokElseIf || next.kind == tokEndDirective
	if _, size := utf8.DecodeRuneInString(next.image); !control && size > 0 && size < 4 {
		name := next.image[size:] // whatever its first UTF-16 unit is
		control = p.isDirective(name) || p.t.macros[name] != nil || p.escapable[name]
	}
	if control {
		return strings.Repeat(`\`, n)
	}
	return strings.Repeat(`\\`, n)
}

// statement reads a reference or a directive; nil if neither stands next.
func (p *parser) statement() (statement, error) {
	switch t := p.peek(0); t.kind {
	case tokName, tokOpenBrace:
		p.peek(1) // as Velocity does, in the state that the lexer is in now
		ref, err := p.reference()
		if err != nil {
			return nil, err
		}
		if ref.runt {
			return text(ref.root), nil
		}
		return ref, nil
	case tokIf:
		return p.ifStatement()
	case tokSet:
		return p.set()
	case tokWord, tokBraceWord:
		return p.directive()
	case tokEnd, tokEndDirective, tokElse, tokElseIf:
		return nil, nil
	}
	return nil, p.failure("text or a directive", "")
}

// ifStatement reads #if to its #end.
func (p *parser) ifStatement() (statement, error) {
	begin := p.take()
	n := &ifNode{without: -1}
	for {
		at := int(p.last().at)
		p.accept(tokWhite)
		if !p.accept(tokOpen) {
			return nil, p.failure("a parenthesis with the condition", "#if is a directive: write #[[#if]]# to print it")
		}
		condition, err := p.expression()
		if err != nil {
			return nil, err
		}
		if !p.accept(tokClose) {
			return nil, p.failure("an operator or the condition's closing parenthesis", "")
		}
		body, err := p.statements()
		if err != nil {
			return nil, err
		}
		n.branches = append(n.branches, branch{condition.expression, body, p.decision(at, "the condition holds")})
		if !p.accept(tokElseIf) {
			break
		}
	}
	if p.accept(tokElse) {
		at := int(p.last().at)
		body, err := p.statements()
		if err != nil {
			return nil, err
		}
		n.branches = append(n.branches, branch{nil, body, p.decision(at, "no condition holds")})
	} else {
		n.without = p.decision(int(begin.at), "no condition holds")
	}
	return n, p.end("#if", begin)
}

// end reads #end.
func (p *parser) end(what string, begin *token) error {
	if p.accept(tokEndDirective) {
		return nil
	}
	if k := p.peek(0).kind; (k == tokEnd || k == tokElse || k == tokElseIf) && p.failed == nil {
		return p.wrong(int(begin.at), what+" without its #end", "every #if, #foreach, #define and #macro needs one")
	}
	return p.failure("text or #end", "")
}

// set reads #set($left = right).
func (p *parser) set() (statement, error) {
	n := &setNode{at: p.take().at}
	p.accept(tokWhite)
	if k := p.peek(0).kind; k != tokName && k != tokOpenBrace {
		return nil, p.failure("a reference to assign to", "write #set($name = value)")
	}
	first := p.at
	left, err := p.reference()
	if err != nil {
		return nil, err
	}
	if n.slot = -1; len(left.steps) == 0 {
		n.slot = p.assigned(left, first)
	}
	p.accept(tokWhite)
	if !p.accept(tokAssign) {
		return nil, p.failure("=", "write #set($name = value)")
	}
	right, err := p.expression()
	if err != nil {
		return nil, err
	}
	if !p.accept(tokClose) {
		return nil, p.failure("an operator or the closing parenthesis of #set", "")
	}
	p.lex.inSet = false
	n.left, n.right = left, right.expression
	return n, nil
}
