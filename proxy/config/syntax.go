package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// parse returns the values and places of src. After a mistake in the syntax, of
// which it reports the first, the values are nil.
func (l *loader) parse(src *source) (map[string]any, *place) {
	if at, deep := tooDeep(src.text); deep {
		l.syntax(src, span{at, at + 1}, fmt.Sprintf("more than %d brackets inside each other", maxNesting), "")
		return nil, nil
	}
	tree, err := decodeTOML(src.text)
	if err == nil {
		root := scan(src).root
		src.hide(l.schema, nil, root)
		return tree, root
	}
	src.hide(l.schema, nil, scan(src).root)
	var pe toml.ParseError
	if !errors.As(err, &pe) {
		l.syntax(src, span{0, 0}, err.Error(), "")
		return nil, nil
	}
	at, text, hint := explain(src, pe)
	l.syntax(src, at, text, hint)
	return nil, nil
}

func (l *loader) syntax(src *source, at span, text, hint string) {
	l.incomplete = true
	f := Finding{Severity: SeverityError, File: src.name, order: src.order, Text: printable(text), Hint: printable(hint)}
	f.Line, f.Column, f.Width, f.Source = src.locate(at)
	l.findings = append(l.findings, f)
}

// decodeTOML parses text. A panic of the parser over some text it has not
// foreseen must not take the gateway along at a reload.
func decodeTOML(text string) (tree map[string]any, err error) {
	defer func() {
		if r := recover(); r != nil {
			tree, err = nil, fmt.Errorf("not TOML: %v", r)
		}
	}()
	var v any // into an empty interface the decoder hands its own maps over, without a copy
	if _, err = toml.Decode(text, &v); err != nil {
		return nil, err
	}
	return v.(map[string]any), nil
}

// tooDeep finds brackets nested so deeply that the parser's recursion would use
// up the stack.
func tooDeep(text string) (offset int, deep bool) {
	depth := 0
	for i := range len(text) {
		switch text[i] {
		case '[', '{':
			if depth++; depth > maxNesting {
				return i, true
			}
		case ']', '}':
			depth = max(0, depth-1)
		}
	}
	return 0, false
}

// explain returns the place, the text and a hint for an error of the parser.
func explain(src *source, pe toml.ParseError) (at span, text, hint string) {
	s := scan(src)
	at = span{pe.Position.Start, pe.Position.Start + pe.Position.Len}
	at.start = min(max(at.start, 0), len(src.text))
	at.end = min(max(at.end, at.start), len(src.text))
	text = pe.Message
	got := src.text[at.start:at.end]
	switch {
	case strings.Contains(text, "already been defined") || strings.Contains(text, "already created"):
		text = pe.LastKey + " is defined twice"
		if s.again != nil {
			at, hint = s.twice, "first defined at "+s.again.String()
			text = strconv.Quote(s.again.name) + " is defined twice"
		}
	case strings.Contains(text, "strings cannot contain newlines"):
		text, hint = "the string has no end on its line", `close it with its quote, or use """ for several lines`
	case strings.HasPrefix(text, "invalid escape"):
		hint = `write \\ for a backslash, or put the string in single quotes`
	case strings.HasPrefix(text, "unexpected EOF") || strings.Contains(text, "end of file"):
		if n := len(s.open); n > 0 {
			open := s.open[n-1]
			text, at = fmt.Sprintf("the %s is never closed", opener(src.text[open])), span{open, open + 1}
		} else {
			text = "the file ends too early: " + text
		}
	case strings.HasPrefix(text, "expected value but found"):
		if word := bareWord(src.text, at.start); word != "" && got != "\n" {
			at.end = at.start + len(word)
			text, hint = "expected a value, found "+word, fmt.Sprintf("strings need quotes: %q", strings.Trim(word, "“”„‘’"))
		} else {
			text, hint = "expected a value", "a key and its value stand on one line"
		}
	case strings.Contains(text, "terminator") && len(s.open) > 0:
		hint = fmt.Sprintf("the %s began at line %d", opener(src.text[s.open[len(s.open)-1]]), src.line(s.open[len(s.open)-1]))
	case strings.HasPrefix(text, "expected '.' or '='") && got == "\n":
		text, hint = `expected "=" and a value`, "headers of tables stand in brackets: [listen.public]"
	case strings.HasPrefix(text, "expected '.' or ']'") && strings.Trim(got, "\r\n") == "":
		text, hint = "the header isn't closed", `end it with "]"`
	case strings.HasPrefix(text, "expected '.' or '='"):
		hint = `after a key comes "="; keys with other characters than letters, digits, "_" and "-" need quotes: "GET /pets"`
	case strings.HasPrefix(text, "expected '.' or ']' to end table name"):
		hint = `names with other characters than letters, digits, "_" and "-" need quotes: [api.pets.route."GET /pets"]`
	case strings.HasPrefix(text, "expected a top-level item to end"):
		at.start += len(got) - len(strings.TrimLeft(got, " \t"))
		at.end = at.start + max(1, len(bareWord(src.text, at.start)))
		text = "expected the end of the line"
		hint = "one key or table a line"
	}
	return at, text, hint
}

func opener(c byte) string {
	switch c {
	case '[':
		return "array"
	case '{':
		return "inline table"
	}
	return "string"
}

// bareWord returns the word that someone forgot to quote at offset.
func bareWord(text string, offset int) string {
	end := offset
	for end < len(text) && !strings.ContainsRune(" \t\r\n,]}#=\"'", rune(text[end])) {
		end++
	}
	return text[offset:end]
}
