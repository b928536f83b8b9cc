package expr

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A PathError says where a path is wrong.
type PathError struct {
	Path   string
	Offset int // in bytes
	Reason string
}

func (e *PathError) Error() string {
	return fmt.Sprintf("path %q: %s at offset %d", e.Path, e.Reason, e.Offset)
}

// pathParser compiles one path, or one within a filter or among a function's
// arguments.
type pathParser struct {
	text  string
	at    int
	depth int
	steps []step
}

// maxNesting bounds how filters, functions and parentheses nest in a path.
const maxNesting = 50

// Parse compiles a path: $ or @, then .name, ['name'], ['a','b'], [0], [-1],
// [0,1], [from:to], * and .. in any order, [?(filter)], and functions as
// .length(). Without a leading $ it is taken as if "$." stood in front. The error
// is a *PathError.
func Parse(path string) (*Path, error) { return parsePath(path, 0) }

func parsePath(path string, depth int) (*Path, error) {
	text := strings.TrimSpace(path)
	added := 0
	if text != "" && text[0] != '$' && text[0] != '@' {
		text = "$." + text
		added = 2
	}
	p := pathParser{text: text, depth: depth}
	compiled, err := p.path()
	if err != nil {
		e := err.(*PathError)
		return nil, &PathError{path, max(0, e.Offset-added), e.Reason}
	}
	compiled.source = path
	return compiled, nil
}

func (p *pathParser) wrong(reason string) error { return &PathError{p.text, p.at, reason} }

func (p *pathParser) path() (*Path, error) {
	switch {
	case p.text == "":
		return nil, p.wrong("it is empty: write $ for the whole document")
	case p.depth > maxNesting:
		return nil, p.wrong("filters or functions nest too deeply")
	case strings.HasSuffix(p.text, "."):
		p.at = len(p.text) - 1
		return nil, p.wrong("a name must follow the dot")
	}
	p.at = 1
	if p.at < len(p.text) && p.text[p.at] != '.' && p.text[p.at] != '[' {
		return nil, p.wrong("a dot or a bracket must follow")
	}
	for p.at < len(p.text) {
		if err := p.step(); err != nil {
			return nil, err
		}
	}
	return p.compiled(), nil
}

// compiled derives from the steps what evaluation asks for.
func (p *pathParser) compiled() *Path {
	c := &Path{source: p.text, steps: p.steps, definite: true, simple: true}
	for i := range c.steps {
		s := &c.steps[i]
		last := i == len(c.steps)-1
		s.upstream = c.definite
		switch s.kind {
		case stepName, stepIndex:
			s.definite = true
		case stepNames:
			s.definite = last
		case stepCall:
			s.definite = true
			c.scanned = last && i > 0 && c.steps[i-1].kind != stepScan && hasScan(c.steps[:i])
		}
		c.definite = c.definite && s.definite
		c.simple = c.simple && (s.kind == stepName || s.kind == stepIndex)
	}
	if c.scanned {
		c.definite = true
	}
	return c
}

func hasScan(steps []step) bool {
	for i := range steps {
		if steps[i].kind == stepScan {
			return true
		}
	}
	return false
}

func (p *pathParser) has(c byte) bool { return p.at < len(p.text) && p.text[p.at] == c }

// after returns the first byte behind i that is no blank, and where it is; 0 at
// the end.
func (p *pathParser) after(i int) (byte, int) {
	for i++; i < len(p.text); i++ {
		if p.text[i] != ' ' {
			return p.text[i], i
		}
	}
	return 0, i
}

// step reads one step with the dots in front of it.
func (p *pathParser) step() error {
	if p.has('.') {
		p.at++
		if p.has('.') {
			p.at++
			p.steps = append(p.steps, step{kind: stepScan})
		}
		if p.at == len(p.text) || p.has('.') {
			return p.wrong("a name, a bracket or * must follow the dots")
		}
	}
	switch {
	case p.has('['):
		return p.bracket()
	case p.has('*'):
		p.at++
		p.steps = append(p.steps, step{kind: stepAll})
		return nil
	}
	return p.nameOrCall()
}

// nameOrCall reads name or name(arguments).
func (p *pathParser) nameOrCall() error {
	start := p.at
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case ' ':
			return p.wrong("a blank in a name: write ['a name']")
		case '.', '[':
			return p.named(start)
		case '(':
			return p.function(p.text[start:p.at])
		}
		p.at++
	}
	return p.named(start)
}

func (p *pathParser) named(start int) error {
	if p.at == start {
		return p.wrong("a name is missing")
	}
	p.steps = append(p.steps, step{kind: stepName, names: []string{p.text[start:p.at]}})
	return nil
}

func (p *pathParser) bracket() error {
	c, at := p.after(p.at)
	switch {
	case c == '\'' || c == '"':
		return p.bracketNames(c)
	case c == '-' || c == ':' || c >= '0' && c <= '9':
		return p.bracketIndexes()
	case c == '*':
		c, at = p.after(at)
		if c != ']' {
			return p.wrong("a bracket must follow the *")
		}
		p.at = at + 1
		p.steps = append(p.steps, step{kind: stepAll})
		return nil
	case c == '?':
		return p.bracketFilter(at)
	}
	return p.wrong("in brackets stand a name in quotes, an index, *, or a filter as ?(@.name == 'x')")
}

// bracketNames reads ['a', "b"]: all in the kind of quotes that the first is in.
func (p *pathParser) bracketNames(quote byte) error {
	var names []string
	c, at := p.after(p.at)
	for {
		if c != quote {
			p.at = at
			return p.wrong("a name in quotes is missing")
		}
		end := closing(p.text, at, quote)
		if end < 0 {
			p.at = at
			return p.wrong("the quote isn't closed")
		}
		names = append(names, unescape(p.text[at+1:end]))
		c, at = p.after(end)
		if c == ']' {
			break
		}
		if c != ',' {
			p.at = at
			return p.wrong("a comma or a bracket must follow the name")
		}
		c, at = p.after(at)
	}
	kind := stepName
	if len(names) > 1 {
		kind = stepNames
	}
	p.steps = append(p.steps, step{kind: kind, names: names})
	p.at = at + 1
	return nil
}

// closing returns where the quote or slash that opens at at is closed, -1 if it
// isn't. A backslash takes the next byte with it.
func closing(text string, at int, quote byte) int {
	for i := at + 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case quote:
			return i
		}
	}
	return -1
}

// unescape undoes backslashes.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	dst := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			dst = append(dst, s[i])
			continue
		}
		i++
		switch c := s[i]; c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			if i+4 < len(s) {
				if u, err := strconv.ParseUint(s[i+1:i+5], 16, 16); err == nil {
					dst = AppendUnit(dst, uint16(u))
					i += 4
					continue
				}
			}
			dst = append(dst, c)
		default:
			dst = append(dst, c)
		}
	}
	return Join(view(dst))
}

// bracketIndexes reads [0], [0, 1] and [from:to].
func (p *pathParser) bracketIndexes() error {
	length := strings.IndexByte(p.text[p.at:], ']')
	if length < 0 {
		return p.wrong("the bracket isn't closed")
	}
	inside := strings.TrimSpace(p.text[p.at+1 : p.at+length])
	if strings.Contains(inside, ":") {
		if err := p.slice(inside); err != nil {
			return err
		}
		p.at += length + 1
		return nil
	}
	s := step{kind: stepIndex}
	for part := range strings.SplitSeq(inside, ",") {
		i, err := strconv.ParseInt(strings.TrimSpace(part), 10, 32)
		if err != nil || strings.TrimSpace(part)[0] == '+' {
			return p.wrong("not a list of indexes")
		}
		s.indexes = append(s.indexes, int(i))
	}
	if len(s.indexes) > 1 {
		s.kind = stepIndexes
	}
	p.steps = append(p.steps, s)
	p.at += length + 1
	return nil
}

func (p *pathParser) slice(inside string) error {
	from, to, _ := strings.Cut(inside, ":")
	to, _, _ = strings.Cut(to, ":")
	s := step{kind: stepSlice, from: from != "", to: to != "", indexes: []int{0, 0}}
	for i, text := range []string{from, to} {
		if text == "" {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil || text[0] == '+' {
			return p.wrong("not a slice: write [from:to] with whole numbers and without blanks")
		}
		s.indexes[i] = int(n)
	}
	if !s.from && !s.to {
		return p.wrong("a slice needs a beginning or an end")
	}
	p.steps = append(p.steps, s)
	return nil
}

// bracketFilter reads [?(...)], whose question mark is at at.
func (p *pathParser) bracketFilter(at int) error {
	c, at := p.after(at)
	if c != '(' {
		return p.wrong("a filter must follow the question mark, as ?(@.name == 'x')")
	}
	f := filterParser{text: p.text, at: at, depth: p.depth + 1}
	holds, err := f.parenthesized()
	if err != nil {
		return err
	}
	f.blanks()
	if f.at == len(f.text) || f.text[f.at] != ']' {
		p.at = f.at
		return p.wrong("a bracket must follow the filter")
	}
	p.at = f.at + 1
	p.steps = append(p.steps, step{kind: stepFilter, filter: holds})
	return nil
}

// function reads (arguments) behind the name of a function.
func (p *pathParser) function(name string) error {
	c := &call{name: name}
	start := p.at + 1
	end := p.argumentsEnd()
	if end < 0 {
		return p.wrong("the arguments of " + name + " aren't closed")
	}
	inside := p.text[start:end]
	if strings.TrimSpace(inside) != "" {
		for _, part := range splitArguments(inside) {
			a, err := p.argument(strings.TrimSpace(part), start)
			if err != nil {
				return err
			}
			c.arguments = append(c.arguments, a)
		}
	}
	p.at = end + 1
	p.steps = append(p.steps, step{kind: stepCall, call: c})
	return nil
}

// argumentsEnd returns where the parenthesis at p.at is closed, -1 if it or what
// is opened inside isn't.
func (p *pathParser) argumentsEnd() int {
	var open []byte
	for i := p.at; i < len(p.text); i++ {
		switch c := p.text[i]; c {
		case '"', '\'':
			end := closing(p.text, i, c)
			if end < 0 {
				return -1
			}
			i = end
		case '(', '[', '{':
			open = append(open, c)
		case ')', ']', '}':
			if last := open[len(open)-1]; last != c-1 && last != c-2 {
				return -1
			}
			open = open[:len(open)-1]
			if len(open) == 0 {
				return i
			}
		}
	}
	return -1
}

// splitArguments splits at commas that stand in no quotes and no brackets.
func splitArguments(s string) []string {
	var parts []string
	depth, start := 0, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '"', '\'':
			if end := closing(s, i, c); end > 0 {
				i = end
			}
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		case ',':
			if depth == 0 {
				parts = append(parts, s[start:i])
				start = i + 1
			}
		}
	}
	return append(parts, s[start:])
}

// argument reads a path or a JSON value.
func (p *pathParser) argument(text string, at int) (argument, error) {
	if text == "" {
		return argument{}, p.wrong("an argument is missing")
	}
	if text[0] == '$' || text[0] == '@' {
		inner, err := parsePath(text, p.depth+1)
		if err != nil {
			e := err.(*PathError)
			return argument{}, &PathError{p.text, at + e.Offset, e.Reason}
		}
		return argument{path: inner}, nil
	}
	v, err := ParseJSONString(text)
	if err != nil || !utf8.ValidString(text) {
		return argument{}, p.wrong("an argument is neither a path nor JSON")
	}
	return argument{value: v}, nil
}
