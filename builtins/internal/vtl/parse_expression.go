package vtl

import (
	"math/big"
	"strconv"

	"github.com/postern-gateway/postern/proxy/expr"
)

// parsed is an expression and the tokens whose source stands for it where it is
// null. Of an operator those are of its right operand, an accident of Velocity's.
type parsed struct {
	expression
	first, last int
}

// precedence are the operators from the weakest to the strongest.
var precedence = [][]tokenKind{
	{tokOr}, {tokAnd}, {tokEqual, tokNotEqual}, {tokLess, tokGreater, tokLessEqual, tokGreaterEqual},
	{tokPlus, tokMinus}, {tokTimes, tokDivide, tokModulo},
}

// expression reads what stands in #if and on the right side of #set.
func (p *parser) expression() (parsed, error) {
	if err := p.nest(); err != nil {
		return parsed{}, err
	}
	defer func() { p.depth-- }()
	return p.operation(0)
}

// operation reads operators of this level and stronger ones.
func (p *parser) operation(level int) (parsed, error) {
	if level == len(precedence) {
		return p.unary()
	}
	left, err := p.operation(level + 1)
	if err != nil {
		return left, err
	}
	for n := 0; ; n++ {
		op := p.peek(0)
		found := false
		for _, kind := range precedence[level] {
			found = found || kind == op.kind
		}
		if !found {
			return left, nil
		}
		if n > 10*maxNesting {
			return left, p.failure("the end of the expression", "it is too long")
		}
		at := op.at
		kind := op.kind
		p.at++
		first := p.at
		right, err := p.operation(level + 1)
		if err != nil {
			return right, err
		}
		b := &binary{op: kind, at: at, left: left.expression, right: right.expression}
		if kind == tokPlus {
			b.leftSource, b.rightSource = p.source(left.first, left.last), p.source(right.first, right.last)
		}
		left = parsed{b, first, p.at - 1}
	}
}

func (p *parser) unary() (parsed, error) {
	i := 0
	if p.is(tokWhite) {
		i = 1
	}
	if p.peek(i).kind != tokNot {
		return p.primary()
	}
	p.at += i + 1
	if err := p.nest(); err != nil {
		return parsed{}, err
	}
	defer func() { p.depth-- }()
	first := p.at
	inner, err := p.unary()
	return parsed{&notNode{inner.expression}, first, p.at - 1}, err
}

func (p *parser) primary() (parsed, error) {
	p.accept(tokWhite)
	first := p.at
	if p.accept(tokOpen) {
		inner, err := p.expression()
		if err != nil {
			return inner, err
		}
		last := p.at - 1
		if !p.accept(tokClose) {
			return inner, p.failure("an operator or a closing parenthesis", "")
		}
		p.accept(tokWhite)
		return parsed{inner.expression, first + 1, last}, nil
	}
	e, err := p.operand()
	if err != nil {
		return parsed{}, err
	}
	last := p.at - 1
	p.accept(tokWhite)
	return parsed{e, first, last}, nil
}

// parameter reads an argument of a method, or an item of a list or a map.
func (p *parser) parameter() (expression, error) {
	p.accept(tokWhite)
	e, err := p.operand()
	if err == nil {
		p.accept(tokWhite)
	}
	return e, err
}

// operand reads a literal or a reference.
func (p *parser) operand() (expression, error) {
	if err := p.nest(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	switch t := p.peek(0); t.kind {
	case tokString:
		return p.stringLiteral()
	case tokName, tokOpenBrace:
		p.peek(1)
		return p.reference()
	case tokInteger, tokFloat:
		if t.image[0] == '#' || t.image[0] == '$' {
			return nil, p.failure("a value", "")
		}
		p.at++
		if t.kind == tokInteger {
			return integerLiteral(t.image), nil
		}
		// Java: what is too large is infinite.
		f, _ := strconv.ParseFloat(t.image, 64)
		return &literal{v: expr.Double(f)}, nil
	case tokTrue, tokFalse:
		p.at++
		return &literal{v: expr.Bool(t.kind == tokTrue), bool: true}, nil
	case tokOpenMap:
		return p.mapLiteral()
	case tokOpenBracket:
		if p.beginsRange() {
			return p.rangeLiteral()
		}
		return p.listLiteral()
	case tokWord:
		return nil, p.failure("a value", "text stands in quotes; there is no null literal")
	}
	return nil, p.failure("a value", "")
}

func integerLiteral(image string) expression {
	if n, err := strconv.ParseInt(image, 10, 64); err == nil {
		return &literal{v: expr.Fit(n)}
	}
	n, _ := new(big.Int).SetString(image, 10)
	return &literal{v: expr.BigInt(n)}
}

// beginsRange looks ahead for [ from ..
func (p *parser) beginsRange() bool {
	if is, known := p.ranges[p.at]; known {
		return is
	}
	start, trial, depth := p.at, p.trial, p.depth
	p.trial = true
	p.at++
	_, err := p.rangeValue()
	is := err == nil
	if is {
		p.accept(tokWhite)
		is = p.is(tokRange)
	}
	p.at, p.trial, p.depth = start, trial, depth
	if p.ranges == nil {
		p.ranges = map[int]bool{}
	}
	p.ranges[start] = is
	return is
}

// rangeValue reads the value at one end of a range.
func (p *parser) rangeValue() (expression, error) {
	p.accept(tokWhite)
	switch p.peek(0).kind {
	case tokInteger, tokName, tokOpenBrace:
		return p.operand()
	}
	return nil, p.failure("a whole number or a reference", "a range is [from..to]")
}

func (p *parser) rangeLiteral() (expression, error) {
	n := &rangeNode{at: p.take().at}
	var err error
	if n.from, err = p.rangeValue(); err != nil {
		return nil, err
	}
	p.accept(tokWhite)
	p.accept(tokRange)
	if n.to, err = p.rangeValue(); err != nil {
		return nil, err
	}
	p.accept(tokWhite)
	if !p.accept(tokCloseBracket) {
		return nil, p.failure("the closing bracket of the range", "")
	}
	return n, nil
}

func (p *parser) listLiteral() (expression, error) {
	p.at++
	n := &listNode{}
	if p.accept(tokCloseBracket) {
		return n, nil
	}
	for {
		item, err := p.parameter()
		if err != nil {
			return nil, err
		}
		n.items = append(n.items, item)
		if p.accept(tokCloseBracket) {
			return n, nil
		}
		if !p.accept(tokComma) {
			return nil, p.failure("a comma or the closing bracket of the list", "an item is a value without operators")
		}
	}
}

func (p *parser) mapLiteral() (expression, error) {
	p.at++
	n := &mapNode{}
	closes := func(i int) bool {
		k := p.peek(i).kind
		return k == tokCloseMap || k == tokCloseBrace
	}
	if p.is(tokWhite) && closes(1) {
		p.at++
	}
	if closes(0) {
		p.at++
		return n, nil
	}
	for {
		key, err := p.parameter()
		if err != nil {
			return nil, err
		}
		if !p.accept(tokColon) {
			return nil, p.failure("a colon behind the map's key", "")
		}
		value, err := p.parameter()
		if err != nil {
			return nil, err
		}
		n.keys, n.values = append(n.keys, key), append(n.values, value)
		if closes(0) {
			p.at++
			return n, nil
		}
		if !p.accept(tokComma) {
			return nil, p.failure("a comma or the closing brace of the map", "a value is one without operators")
		}
	}
}
