package vtl

import (
	"strings"
)

// directiveArgument is one of what stands in a directive's parentheses.
type directiveArgument struct {
	expression
	first, last int // tokens
	isWord      bool
}

// source returns the argument as it stands.
func (p *parser) argumentSource(a directiveArgument) string { return p.source(a.first, a.last) }

// called is a directive that has been read up to its body.
type called struct {
	at         int32
	name       string
	begin      int // token
	arguments  []directiveArgument
	parenthese bool
}

// directive reads #name, with its arguments and its block if it has them.
func (p *parser) directive() (statement, error) {
	c := &called{begin: p.at}
	t := p.take()
	c.at = t.at
	c.name = t.image[1:]
	if t.kind == tokBraceWord {
		c.name = t.image[2 : len(t.image)-1]
	}
	if !p.opensParenthesis() {
		p.lex.pop()
		return p.bareDirective(c)
	}
	p.lex.state = inDirective
	c.parenthese = true
	p.accept(tokWhite)
	p.accept(tokOpen)
	for {
		more, err := p.directiveArgument(c)
		if err != nil {
			return nil, err
		}
		if !more {
			break
		}
	}
	p.accept(tokWhite)
	if !p.accept(tokClose) {
		return nil, p.failure("an argument or the closing parenthesis of #"+c.name, "arguments have no operators: calculate with #set first")
	}
	return p.calledDirective(c)
}

// opensParenthesis looks for a parenthesis behind white space, without reading
// tokens: which they are depends on it.
func (p *parser) opensParenthesis() bool {
	rest := strings.TrimLeft(p.lex.source[p.lex.at:], " \t\r\n")
	return strings.HasPrefix(rest, "(")
}

// bareDirective is one without parentheses.
func (p *parser) bareDirective(c *called) (statement, error) {
	if !p.isDirective(c.name) {
		if strings.HasPrefix(c.name, "@") {
			return text("#" + c.name), nil
		}
		return p.call(c, nil)
	}
	switch c.name {
	case "break":
		return &breakNode{at: c.at}, nil
	case "stop":
		return stopNode{}, nil
	case "include", "parse":
		return &failNode{c.at, "#" + c.name + " without an argument"}, nil
	}
	return nil, p.wrong(int(c.at), "#"+c.name+" without parentheses", "write #[[#"+c.name+"]]# to print it")
}

// directiveArgument reads an argument with the blanks and the comma in front.
func (p *parser) directiveArgument(c *called) (bool, error) {
	i := 0
	if p.is(tokWhite) {
		i = 1
	}
	comma := p.peek(i).kind == tokComma
	if comma {
		i++
		if p.peek(i).kind == tokWhite {
			i++
		}
	}
	switch p.peek(i).kind {
	case tokName, tokOpenBrace, tokWord, tokString, tokInteger, tokFloat, tokOpenBracket, tokOpenMap, tokTrue, tokFalse:
	default:
		return false, nil
	}
	p.at += i
	a := directiveArgument{first: p.at}
	if p.is(tokWord) {
		a.isWord = true
		a.expression = word(p.take().image)
	} else {
		e, err := p.operand()
		if err != nil {
			return false, err
		}
		a.expression = e
	}
	a.last = p.at - 1
	if err := p.checkArgument(c, a); err != nil {
		return false, err
	}
	c.arguments = append(c.arguments, a)
	return true, nil
}

// checkArgument refuses bare words where a directive takes none.
func (p *parser) checkArgument(c *called, a directiveArgument) error {
	n := len(c.arguments)
	at := int(p.tokens[a.first].at)
	switch {
	case c.name == "macro" && n == 0:
		if !a.isWord {
			return p.wrong(at, "#macro needs a name first", "as #macro(name $parameter)")
		}
	case !a.isWord:
	case p.t.macros[c.name] != nil:
		return p.wrong(at, "a bare word as an argument of the macro "+c.name, "put it into quotes")
	case p.isDirective(c.name) && (c.name != "foreach" || n != 1):
		return p.wrong(at, "a bare word as an argument of #"+c.name, "put it into quotes")
	}
	return nil
}

// calledDirective makes a node of a directive with parentheses.
func (p *parser) calledDirective(c *called) (statement, error) {
	if !p.isDirective(c.name) {
		if !strings.HasPrefix(c.name, "@") {
			return p.call(c, nil)
		}
		body, _, err := p.body(c)
		if err != nil {
			return nil, err
		}
		return p.call(c, body)
	}
	switch c.name {
	case "foreach":
		return p.foreach(c)
	case "define":
		return p.define(c)
	case "macro":
		return p.macro(c)
	case "literal":
		return p.literal(c)
	case "break":
		return p.breaks(c)
	case "stop":
		if len(c.arguments) > 1 {
			return nil, p.wrong(int(c.at), "#stop takes one message at most", "")
		}
		return stopNode{}, nil
	case "evaluate":
		return p.evaluate(c)
	}
	if c.name == "include" {
		return p.include(c), nil
	}
	return &failNode{c.at, "#parse: there are no other templates"}, nil
}

// body reads a block and its #end; first is the block's first token.
func (p *parser) body(c *called) (b *block, first int, err error) {
	first = p.at
	b, err = p.statements()
	if err != nil {
		return nil, 0, err
	}
	begin := p.tokens[c.begin]
	return b, first, p.end("#"+c.name, &begin)
}

func (p *parser) foreach(c *called) (statement, error) {
	if len(c.arguments) == 0 {
		return nil, p.wrong(int(c.at), "#foreach without arguments", "write #foreach($item in $list)")
	}
	skipped := p.decision(int(c.at), "there is nothing to loop over")
	entered := p.decision(int(c.at), "there is something to loop over")
	body, _, err := p.body(c)
	if err != nil {
		return nil, err
	}
	n := &foreachNode{at: c.at, slot: -1, skipped: skipped, entered: entered,
		loop: p.t.names.slot("foreach"), count: p.t.names.slot("velocityCount"), hasNext: p.t.names.slot("velocityHasNext")}
	if ref, ok := c.arguments[0].expression.(*reference); ok && !ref.runt {
		n.slot = ref.slot
	}
	switch len(c.arguments) {
	case 1:
		return nil, p.wrong(int(c.at), "#foreach with one argument", "write #foreach($item in $list)")
	case 2: // Velocity loops over the block then, which has no items
	default:
		n.list = c.arguments[2].expression
		n.body = body
		if len(c.arguments) > 3 {
			n.body, n.extra = nil, c.arguments[3].expression
		}
	}
	return n, nil
}

func (p *parser) define(c *called) (statement, error) {
	if len(c.arguments) != 1 {
		return nil, p.wrong(int(c.at), "#define takes one reference", "write #define($block)")
	}
	body, _, err := p.body(c)
	if err != nil {
		return nil, err
	}
	n := &defineNode{slot: -1, body: body}
	if ref, ok := c.arguments[0].expression.(*reference); ok {
		n.slot = p.assigned(ref, c.arguments[0].first)
	}
	return n, nil
}

// macro reads #macro. It is defined at once, so that calls in front of it and in
// strings find it; the definition of a name that ends first stays.
func (p *parser) macro(c *called) (statement, error) {
	if len(c.arguments) == 0 {
		return nil, p.wrong(int(c.at), "#macro without a name", "as #macro(name $parameter)")
	}
	name := string(c.arguments[0].expression.(word))
	body, _, err := p.body(c)
	if err != nil {
		return nil, err
	}
	p.escapable[name] = true
	if _, taken := p.t.macros[name]; taken || !p.t.options.InlineMacros {
		return text(""), nil
	}
	m := &macro{body: body}
	for _, a := range c.arguments[1:] {
		image := strings.TrimPrefix(p.tokens[a.first].image, "$")
		m.params = append(m.params, p.t.names.slot(image))
	}
	p.t.macros[name] = m
	return text(""), nil
}

// literal prints its block's source, or its first argument's.
func (p *parser) literal(c *called) (statement, error) {
	_, first, err := p.body(c)
	if err != nil {
		return nil, err
	}
	if len(c.arguments) > 0 {
		return text(p.argumentSource(c.arguments[0])), nil
	}
	if first > p.at-2 {
		return nil, p.wrong(int(c.at), "#literal without a text", "")
	}
	return text(p.source(first, p.at-2)), nil
}

func (p *parser) breaks(c *called) (statement, error) {
	if len(c.arguments) > 1 {
		return nil, p.wrong(int(c.at), "#break takes one scope at most", "as #break($foreach.parent)")
	}
	n := &breakNode{at: c.at}
	if len(c.arguments) == 1 {
		n.argument = c.arguments[0].expression
		n.source = p.argumentSource(c.arguments[0])
	}
	return n, nil
}

func (p *parser) evaluate(c *called) (statement, error) {
	if len(c.arguments) == 1 {
		switch e := c.arguments[0].expression.(type) {
		case *reference, *interpolated:
			return &evaluateNode{c.at, e}, nil
		case *literal:
			if p.tokens[c.arguments[0].first].kind == tokString {
				return &evaluateNode{c.at, e}, nil
			}
		}
	}
	return nil, p.wrong(int(c.at), "#evaluate takes one string or reference", "")
}

// include fails for a file, because there are none, and prints Velocity's remark
// for null.
func (p *parser) include(c *called) statement {
	if len(c.arguments) == 1 {
		if ref, ok := c.arguments[0].expression.(*reference); ok {
			return &includeNode{c.at, ref}
		}
	}
	return &failNode{c.at, "#include: there are no files"}
}

// call makes a node of a directive that is none: a macro's call, or text.
func (p *parser) call(c *called, body *block) (statement, error) {
	source := p.images(c.begin, p.at-1)
	if !p.t.options.InlineMacros {
		return text(source), nil
	}
	n := &callNode{at: c.at, name: strings.TrimPrefix(c.name, "@"), body: body, source: source, bodySlot: p.t.names.slot("bodyContent")}
	for _, a := range c.arguments {
		m := macroArgument{value: a.expression, literal: p.argumentSource(a)}
		if l, ok := a.expression.(*literal); ok {
			m.constant = p.tokens[a.first].kind != tokString || l.v.IsNull()
		}
		if a.isWord {
			n.bareWord = string(a.expression.(word))
			m.constant = true
		}
		n.arguments = append(n.arguments, m)
	}
	return n, nil
}

// images returns the tokens from first to last as they stand, without the notes
// between them.
func (p *parser) images(first, last int) string {
	var b strings.Builder
	for _, t := range p.tokens[first : last+1] {
		b.WriteString(t.image)
	}
	return b.String()
}
