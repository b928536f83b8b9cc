package vtl

import (
	"strconv"
	"strings"

	"github.com/postern-gateway/postern/proxy/expr"
	"github.com/postern-gateway/postern/proxy/pattern"
)

// reference reads a name with what follows it, in braces or not.
func (p *parser) reference() (*reference, error) {
	if err := p.nest(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	first := p.at
	braced := p.accept(tokOpenBrace)
	if !p.accept(tokName) {
		return nil, p.failure("a name", "")
	}
	ref := &reference{at: p.tokens[first].at}
	name := p.last().image
	steps, err := p.steps(strings.TrimLeft(name, `\#$!`))
	if err != nil {
		return nil, err
	}
	if braced && !p.accept(tokCloseBrace) {
		return nil, p.failure("the closing brace of ${"+name+"}", "a name in braces has letters, digits, - and _, properties, methods and indexes")
	}
	ref.steps = steps
	p.root(ref, first)
	return ref, nil
}

// steps reads properties, methods and indexes.
func (p *parser) steps(root string) ([]step, error) {
	var all []step
	for {
		if p.is(tokOpenIndex) {
			s, err := p.index()
			if err != nil {
				return nil, err
			}
			all = append(all, s)
			continue
		}
		if !p.is(tokDot) || p.peek(1).kind != tokName {
			return all, nil
		}
		p.at++
		s := step{kind: stepProperty, at: p.peek(0).at, name: p.take().image}
		if p.is(tokOpen) && p.beginsArguments(p.peek(1).kind) {
			p.at++
			s.kind = stepMethod
			arguments, err := p.arguments()
			if err != nil {
				return nil, err
			}
			s.arguments = arguments
			s.method = methodNamed(s.name)
			if err := p.compile(&s, root == "input" && len(all) == 0); err != nil {
				return nil, err
			}
		} else {
			s.method = getterNamed(s.name)
		}
		all = append(all, s)
	}
}

// compile compiles a regular expression, or a path of $input, that is a literal.
func (p *parser) compile(s *step, ofInput bool) error {
	if len(s.arguments) == 0 || p.trial {
		return nil
	}
	l, ok := s.arguments[0].(*literal)
	if !ok || l.v.Kind() != expr.StringKind {
		return nil
	}
	switch s.method {
	case mReplaceAll, mReplaceFirst, mMatches, mSplit:
		compiled, err := pattern.Compile(l.v.Str())
		if err != nil {
			return p.wrong(int(s.at), err.Error(), "text to be found as it is stands between \\Q and \\E")
		}
		s.pattern = compiled
	case mPath, mJson:
		if !ofInput {
			return nil
		}
		compiled, err := expr.Parse(l.v.Str())
		if err != nil {
			return p.wrong(int(s.at), err.Error(), "")
		}
		s.path = compiled
	}
	return nil
}

// beginsArguments reports whether a method's arguments can begin so. If not, the
// parenthesis is text.
func (p *parser) beginsArguments(kind tokenKind) bool {
	switch kind {
	case tokCloseArguments, tokWhite, tokString, tokInteger, tokFloat, tokOpenBracket, tokOpenMap, tokTrue, tokFalse, tokName, tokOpenBrace:
		return true
	}
	return false
}

// arguments reads up to the closing parenthesis.
func (p *parser) arguments() ([]expression, error) {
	if p.accept(tokCloseArguments) {
		return nil, nil
	}
	var all []expression
	for {
		a, err := p.parameter()
		if err != nil {
			return nil, err
		}
		all = append(all, a)
		if p.accept(tokCloseArguments) {
			return all, nil
		}
		if !p.accept(tokComma) {
			return nil, p.failure("a comma or the closing parenthesis of the arguments", "")
		}
	}
}

// index reads [index].
func (p *parser) index() (step, error) {
	s := step{kind: stepIndex, at: p.take().at}
	p.accept(tokWhite)
	var e expression
	var err error
	switch p.peek(0).kind {
	case tokString, tokInteger, tokTrue, tokFalse, tokName, tokOpenBrace:
		e, err = p.operand()
	default:
		err = p.failure("a string, a whole number or a reference in brackets", "")
	}
	if err != nil {
		return s, err
	}
	p.accept(tokWhite)
	if !p.accept(tokCloseIndex) {
		return s, p.failure("the closing bracket of the index", "")
	}
	s.arguments = []expression{e}
	return s, nil
}

// root works out from the first token what kind of reference it is. Backslashes
// and whatever else the lexer kept in front of the "$" are in its image.
func (p *parser) root(ref *reference, first int) {
	image := p.tokens[first].image
	ref.slot = -1
	if strings.Contains(image, `\!`) {
		ref.source = slashBang(image)
		ref.root = ref.source
		ref.literal = p.source(first, p.at-1)
		return
	}
	if n := count(image, '\\'); n > 0 {
		ref.escaped = n%2 != 0
		ref.slashes = image[:n/2]
		image = image[n:]
	}
	if dollar := strings.LastIndexByte(image, '$'); dollar > 0 {
		ref.prefix = image[:dollar]
		image = image[dollar:]
	}
	if !p.trial {
		p.tokens[first].image = image
	}
	ref.literal = p.source(first, p.at-1)
	ref.source = ref.literal
	switch {
	case strings.HasPrefix(image, "$!"):
		ref.quiet = true
		if !ref.escaped {
			ref.source = ""
		}
		ref.root = image[2:]
		if ref.root == "{" {
			ref.root = p.tokens[first+1].image
		}
	case image == "${":
		ref.root = p.tokens[first+1].image
	case strings.HasPrefix(image, "$"):
		ref.root = image[1:]
	default:
		ref.runt = true
		ref.root = image
		return
	}
	if !p.trial {
		ref.slot = p.t.names.slot(ref.root)
	}
}

// slashBang returns what is printed for a "$" and a "!" with backslashes between:
// one of them less.
func slashBang(image string) string {
	i := strings.IndexByte(image, '$')
	for i < len(image) && image[i] != '\\' {
		i++
	}
	n := count(image[i:], '\\')
	return image[:i] + image[i:i+n-1] + image[i+n:]
}

// assigned returns the variable that a reference without steps is assigned to, by
// what stands behind the first byte of its token: none for ${name} and $!name,
// which Velocity assigns to names that nothing can read.
func (p *parser) assigned(ref *reference, first int) int32 {
	image := p.tokens[first].image
	if image == "" || !strings.HasPrefix(image, "$") || nameLength(image[1:]+" ") != len(image)-1 {
		return -1
	}
	return p.t.names.slot(image[1:])
}

// source returns the tokens from first to last as they are printed.
func (p *parser) source(first, last int) string {
	if first > last || p.trial {
		return ""
	}
	if first == last {
		return p.tokens[first].literal()
	}
	var b strings.Builder
	for i := first; i <= last; i++ {
		b.WriteString(p.tokens[i].literal())
	}
	return b.String()
}

// stringLiteral compiles a string. One in double quotes with a "$" or a "#" is a
// template.
func (p *parser) stringLiteral() (expression, error) {
	t := p.take()
	quote := t.image[:1]
	inside := t.image[1 : len(t.image)-1]
	if p.trial {
		return &literal{}, nil
	}
	decoded := inside
	if quote == `"` {
		var ok bool
		if decoded, ok = decodeUnicode(inside); !ok {
			return nil, p.wrong(int(t.at), `\u in a string needs four hexadecimal digits`, `for a backslash and a u write the string in single quotes`)
		}
	}
	decoded = strings.ReplaceAll(decoded, quote+quote, quote)
	if quote == `'` || !strings.ContainsAny(t.image, "$#") {
		return &literal{v: expr.String(decoded)}, nil
	}
	// A blank is added because the lexer doesn't take "$" or "#" at the very end.
	padded := !strings.Contains(decoded, "##")
	source := decoded
	if padded {
		source += " "
	}
	inner := *p.t
	inner.origin = origin{at: p.t.origin.place(int(t.at)), exact: p.t.origin.exact && decoded == inside}
	if inner.origin.exact {
		inner.origin.at++
	}
	q := &parser{t: &inner, lex: lexer{source: source}, escapable: p.escapable, inner: true, depth: p.depth + 1}
	b, err := q.template()
	if err != nil {
		if e, ok := err.(*Error); ok && e.Hint == "" {
			e.Hint = "in a string in double quotes; single quotes leave $ and # alone"
		}
		return nil, err
	}
	if constant, ok := b.constant(); ok {
		if padded && constant != "" {
			constant = constant[:len(constant)-1]
		}
		return &literal{v: expr.String(constant)}, nil
	}
	return &interpolated{at: t.at, inner: b, origin: inner.origin, padded: padded}, nil
}

// constant returns what b prints if that is only text.
func (b *block) constant() (string, bool) {
	switch len(b.statements) {
	case 0:
		return "", true
	case 1:
		t, ok := b.statements[0].(text)
		return string(t), ok
	}
	return "", false
}

// decodeUnicode replaces \uXXXX.
func decodeUnicode(s string) (string, bool) {
	if !strings.Contains(s, `\u`) {
		return s, true
	}
	var dst []byte
	for {
		i := strings.Index(s, `\u`)
		if i < 0 {
			return expr.Join(string(append(dst, s...))), true
		}
		dst = append(dst, s[:i]...)
		if i+6 > len(s) {
			return "", false
		}
		// Java takes a sign for one of the four.
		u, err := strconv.ParseInt(s[i+2:i+6], 16, 32)
		if err != nil {
			return "", false
		}
		dst = expr.AppendUnit(dst, uint16(u))
		s = s[i+6:]
	}
}
