package config

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Spot is a part of a text that is a value, such as a policy.
type Spot struct {
	Text         string // the whole
	Line, Column int    // from 1; columns in characters
	Width        int    // in characters, of one line
}

// Blame returns err as Finding does, its path below table. It points into the value
// for a Spot of a text that stands in the file as it is.
func (c *Config) Blame(table []string, err *KeyError) Finding {
	path, text := slices.Concat(table, err.Path), err.Text
	if err.Spot == nil {
		return c.Finding(path, text, err.Hint)
	}
	at, sp, found := c.spot(path, err.Spot)
	if !found {
		return c.Finding(path, err.Error(), err.Hint)
	}
	return c.origin.finding(SeverityError, at, sp, path, text, err.Hint)
}

// Line returns where a line of text, the value of path, stands: "postern.toml:12". It
// is "" if it doesn't stand there as it is.
func (c *Config) Line(text string, line int, path ...string) string {
	at, sp, found := c.spot(path, &Spot{Text: text, Line: line, Column: 1})
	if !found {
		return ""
	}
	return at.src.name + ":" + strconv.Itoa(at.src.line(sp.start))
}

// spot returns where s is.
func (c *Config) spot(path []string, s *Spot) (at *place, sp span, found bool) {
	if c.origin == nil {
		return nil, span{}, false
	}
	at = c.origin.root
	for _, part := range path {
		at = at.kid(part)
	}
	if at != nil && at.form != scalar {
		at = at.kid("text") // the long form of a Document
	}
	if at == nil || at.form != scalar {
		return nil, span{}, false
	}
	from, to, found := spotIn(at.src.text[at.value.start:at.value.end], s)
	return at, span{at.value.start + from, at.value.start + to}, found
}

// spotIn returns where s is in raw, a string as TOML writes it, and false if that isn't
// s's text: with an expression in it, or of another deployment.
func spotIn(raw string, s *Spot) (from, to int, found bool) {
	open, escapes := quotes(raw)
	if len(raw) < 2*open || open == 0 {
		return 0, 0, false
	}
	i, end := open, len(raw)-open
	if open == 3 { // the first line's end doesn't count
		i += len(raw[i:end]) - len(strings.TrimPrefix(strings.TrimPrefix(raw[i:end], "\r"), "\n"))
	}
	rest, line, column := s.Text, 1, 1
	from = -1
	for {
		if line == s.Line && column == s.Column {
			from = i
		}
		if line == s.Line && column <= s.Column+s.Width {
			to = i
		}
		if i >= end {
			return from, to, from >= 0 && rest == ""
		}
		_, n := utf8.DecodeRuneInString(raw[i:end])
		text := raw[i : i+n]
		if escapes && text == "\\" {
			text, n = escape(raw[i:end])
		}
		i += n
		if text == "\r" && !strings.HasPrefix(rest, "\r") {
			continue // a line's end is one character to the parser
		}
		var same bool
		if rest, same = strings.CutPrefix(rest, text); !same {
			return 0, 0, false
		}
		switch text {
		case "":
		case "\n":
			line, column = line+1, 1
		default:
			column++
		}
	}
}

// quotes returns how many quotation marks raw begins with, 0 for no string, and
// whether a backslash in it means something.
func quotes(raw string) (n int, escapes bool) {
	for _, mark := range []string{`"""`, `'''`, `"`, `'`} {
		if strings.HasPrefix(raw, mark) {
			return len(mark), mark[0] == '"'
		}
	}
	return 0, false
}

// escape returns what the escape that raw begins with stands for, and its length. One at
// a line's end stands for nothing. TOML: "String".
func escape(raw string) (text string, n int) {
	if rest := strings.TrimLeft(raw[1:], " \t\r\n"); len(rest) < len(raw)-1 {
		return "", len(raw) - len(rest)
	}
	n = 2
	switch raw[1:min(2, len(raw))] {
	case "x":
		n += 2
	case "u":
		n += 4
	case "U":
		n += 8
	}
	n = min(n, len(raw))
	return unescaped(raw[:n]), n
}
