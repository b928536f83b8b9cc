package expr

import (
	"strings"

	"github.com/postern-gateway/postern/proxy/pattern"
)

// filterParser compiles the inside of [?(...)].
type filterParser struct {
	text  string
	at    int
	depth int
}

func (f *filterParser) wrong(reason string) error { return &PathError{f.text, f.at, reason} }

func (f *filterParser) blanks() {
	for f.at < len(f.text) && f.text[f.at] == ' ' {
		f.at++
	}
}

// peek returns the next byte that is no blank, 0 at the end.
func (f *filterParser) peek() byte {
	f.blanks()
	if f.at == len(f.text) {
		return 0
	}
	return f.text[f.at]
}

// takes skips word if it stands next.
func (f *filterParser) takes(word string) bool {
	f.blanks()
	if !strings.HasPrefix(f.text[f.at:], word) {
		return false
	}
	f.at += len(word)
	return true
}

// parenthesized reads ( condition ).
func (f *filterParser) parenthesized() (condition, error) {
	if f.depth > maxNesting {
		return nil, f.wrong("the filter nests too deeply")
	}
	f.depth++
	f.at++ // the parenthesis
	c, err := f.disjunction()
	if err != nil {
		return nil, err
	}
	if !f.takes(")") {
		return nil, f.wrong("the filter's parenthesis isn't closed")
	}
	f.depth--
	return c, nil
}

func (f *filterParser) disjunction() (condition, error) {
	left, err := f.conjunction()
	for err == nil && f.takes("||") {
		var right condition
		right, err = f.conjunction()
		left = or{left, right}
	}
	return left, err
}

func (f *filterParser) conjunction() (condition, error) {
	left, err := f.negation()
	for err == nil && f.takes("&&") {
		var right condition
		right, err = f.negation()
		left = and{left, right}
	}
	return left, err
}

func (f *filterParser) negation() (condition, error) {
	switch f.peek() {
	case '(':
		return f.parenthesized()
	case '!':
		f.at++
		if c := f.peek(); c == '@' || c == '$' {
			return f.comparison(true)
		}
		if f.depth++; f.depth > maxNesting {
			return nil, f.wrong("the filter nests too deeply")
		}
		inner, err := f.negation()
		f.depth--
		return not{inner}, err
	}
	return f.comparison(false)
}

// comparison reads operand [op operand]. A ! in front of a path asks whether it is
// missing; Jayway overlooks it if an operator follows.
func (f *filterParser) comparison(negated bool) (condition, error) {
	left, err := f.operand()
	if err != nil {
		return nil, err
	}
	if c := f.peek(); c == ')' || c == '&' || c == '|' || c == 0 {
		if left.path == nil {
			return nil, f.wrong("a comparison must follow the literal")
		}
		return &comparison{left: left, negated: negated}, nil
	}
	op, err := f.operator()
	if err != nil {
		return nil, err
	}
	right, err := f.operand()
	if err != nil {
		return nil, err
	}
	return &comparison{left: left, op: op, right: right}, nil
}

func (f *filterParser) operator() (operator, error) {
	f.blanks()
	start := f.at
	for f.at < len(f.text) && strings.IndexByte("<>=~!", f.text[f.at]) >= 0 {
		f.at++
	}
	if f.at == start {
		for f.at < len(f.text) && f.text[f.at] != ' ' {
			f.at++
		}
	}
	word := f.text[start:f.at]
	op, ok := operators[strings.ToLower(word)]
	if !ok {
		f.at = start
		return 0, f.wrong("no operator: there are == != < <= > >= =~ in nin contains all size empty type subsetof anyof noneof")
	}
	return op, nil
}

func (f *filterParser) operand() (operand, error) {
	switch c := f.peek(); c {
	case 0:
		return operand{}, f.wrong("an operand is missing")
	case '$', '@':
		return f.pathOperand()
	case '\'', '"':
		end := closing(f.text, f.at, c)
		if end < 0 {
			return operand{}, f.wrong("the quote isn't closed")
		}
		text := f.text[f.at+1 : end]
		f.at = end + 1
		return operand{value: String(unescape(text))}, nil
	case '/':
		return f.patternOperand()
	case '{', '[':
		return f.jsonOperand()
	}
	for word, v := range map[string]Value{"true": Bool(true), "false": Bool(false), "null": {}} {
		if f.takes(word) {
			return operand{value: v}, nil
		}
	}
	start := f.at
	for f.at < len(f.text) && strings.IndexByte("+-.0123456789eE", f.text[f.at]) >= 0 {
		f.at++
	}
	v, ok := readNumber(f.text[start:f.at])
	if !ok {
		f.at = start
		return operand{}, f.wrong("no operand: there are @.path, $.path, 'text', numbers, true, false, null, JSON and /pattern/")
	}
	return operand{value: v}, nil
}

// pathOperand reads a path up to a blank, an operator or a parenthesis that isn't
// its own.
func (f *filterParser) pathOperand() (operand, error) {
	start, open := f.at, 0
	for f.at++; f.at < len(f.text); f.at++ {
		c := f.text[f.at]
		if c == '[' {
			end := closingBracket(f.text, f.at)
			if end < 0 {
				return operand{}, f.wrong("the bracket isn't closed")
			}
			f.at = end
			continue
		}
		if c == '(' {
			open++
		}
		if c == ')' {
			if open == 0 {
				break
			}
			open--
		}
		if open == 0 && strings.IndexByte(" <>=~!&|", c) >= 0 {
			break
		}
	}
	inner, err := parsePath(f.text[start:f.at], f.depth+1)
	if err != nil {
		e := err.(*PathError)
		return operand{}, &PathError{f.text, start + e.Offset, e.Reason}
	}
	return operand{path: inner, item: f.text[start] == '@'}, nil
}

// closingBracket returns where the bracket at at is closed, -1 if it isn't.
func closingBracket(text string, at int) int {
	depth := 0
	for i := at; i < len(text); i++ {
		switch c := text[i]; c {
		case '\'', '"':
			end := closing(text, i, c)
			if end < 0 {
				return -1
			}
			i = end
		case '[', '{':
			depth++
		case ']', '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// patternOperand reads /pattern/flags.
func (f *filterParser) patternOperand() (operand, error) {
	end := closing(f.text, f.at, '/')
	if end < 0 {
		return operand{}, f.wrong("the pattern isn't closed")
	}
	source := f.text[f.at+1 : end]
	flags := end + 1
	for flags < len(f.text) && strings.IndexByte("dixmsuU", f.text[flags]) >= 0 {
		flags++
	}
	if flags > end+1 {
		source = "(?" + f.text[end+1:flags] + ")" + source
	}
	compiled, err := pattern.Compile(source)
	if err != nil {
		return operand{}, f.wrong(err.Error())
	}
	f.at = flags
	return operand{pattern: compiled}, nil
}

func (f *filterParser) jsonOperand() (operand, error) {
	end := closingBracket(f.text, f.at)
	if end < 0 {
		return operand{}, f.wrong("the bracket isn't closed")
	}
	v, err := ParseJSONString(f.text[f.at : end+1])
	if err != nil {
		return operand{}, f.wrong("not JSON")
	}
	f.at = end + 1
	return operand{value: v}, nil
}
