package vtl

import (
	"errors"

	"github.com/postern-gateway/postern/proxy/expr"
	"github.com/postern-gateway/postern/proxy/pattern"
)

// maxCompiled bounds how many expressions and paths a rendering keeps compiled.
const maxCompiled = 64

// compiled returns the regular expression that is the first argument.
func (c *call) compiled() (*pattern.Pattern, error) {
	source := c.str(0)
	if c.step != nil && c.step.pattern != nil && c.step.pattern.String() == source {
		return c.step.pattern, nil
	}
	if p := c.r.patterns[source]; p != nil {
		return p, nil
	}
	if err := c.r.spend(len(source)); err != nil {
		return nil, err
	}
	p, err := pattern.Compile(source)
	if err != nil {
		return nil, err
	}
	if c.r.patterns == nil {
		c.r.patterns = map[string]*pattern.Pattern{}
	}
	if len(c.r.patterns) < maxCompiled {
		c.r.patterns[source] = p
	}
	return p, nil
}

// regexMethod calls a method of String that takes a regular expression.
func (c *call) regexMethod(s string) (expr.Value, bool, error) {
	switch c.method {
	case mMatches:
		if !c.fits("s") {
			return c.none()
		}
	case mSplit:
		if !c.fits("s") && !c.fits("si") {
			return c.none()
		}
	default:
		if !c.fits("ss") {
			return c.none()
		}
	}
	if c.args[0].IsNull() {
		return expr.Value{}, true, errNull
	}
	p, err := c.compiled()
	if err != nil {
		return expr.Value{}, true, err
	}
	if c.null && c.method == mReplaceFirst {
		return expr.Value{}, true, errNull
	}
	if c.null {
		// Java asks for the replacement only where there is something to replace.
		parts, err := p.Split(s, 2, 2, &c.r.regex)
		if err == nil && len(parts) > 1 {
			err = errNull
		}
		return c.v, true, err
	}
	v, err := c.match(p, s)
	if errors.Is(err, pattern.ErrSteps) {
		err = c.r.limit(c.method.String()+"(): "+err.Error(), "a quantifier within another one may try for ever")
	}
	return v, true, err
}

func (c *call) match(p *pattern.Pattern, s string) (expr.Value, error) {
	switch c.method {
	case mMatches:
		ok, err := p.Matches(s, &c.r.regex)
		return expr.Bool(ok), err
	case mSplit:
		limit := 0
		if len(c.args) == 2 {
			limit = c.num(1)
		}
		parts, err := p.Split(s, limit, c.r.limits.Range, &c.r.regex)
		if err != nil {
			return expr.Value{}, err
		}
		items := make([]expr.Value, len(parts))
		for i, part := range parts {
			items[i] = expr.String(part)
		}
		return expr.OfList(expr.NewArray(items...)), nil
	}
	count := pattern.All
	if c.method == mReplaceFirst {
		count = pattern.First
	}
	replaced, err := p.Replace(s, c.str(1), count, c.r.limits.Output, &c.r.regex)
	return expr.String(expr.Join(replaced)), err
}
