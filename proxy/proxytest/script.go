package proxytest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// line is one line of a script.
type line struct {
	number int // in the file, from 1
	word   string
	rest   string // arguments; of a block, its lines joined with \n
	block  bool   // rest was written as <<END
}

// readScript splits a script into lines. Its errors begin with the line number.
func readScript(text string) ([]line, error) {
	var script []line
	rows := strings.Split(text, "\n")
	for i := 0; i < len(rows); i++ {
		row := strings.TrimSpace(rows[i])
		if row == "" || strings.HasPrefix(row, "#") {
			continue
		}
		word, rest, _ := strings.Cut(row, " ")
		l := line{number: i + 1, word: word, rest: strings.TrimSpace(rest)}
		if before, mark, found := strings.Cut(l.rest, "<<"); found && isMark(mark) {
			end := i + 1
			for end < len(rows) && strings.TrimSpace(rows[end]) != mark {
				end++
			}
			if end == len(rows) {
				return nil, fmt.Errorf("%d: no line %s ends this block", l.number, mark)
			}
			l.block = true
			l.rest = before + strings.Join(rows[i+1:end], "\n")
			i = end
		}
		script = append(script, l)
	}
	return script, nil
}

func isMark(s string) bool {
	for _, r := range s {
		if r < 'A' || r > 'Z' {
			return false
		}
	}
	return s != ""
}

// exact turns a block into the bytes that it stands for: lines end with CRLF,
// unless they end with a backslash.
func exact(block string) (string, error) {
	var b strings.Builder
	for row := range strings.SplitSeq(block, "\n") {
		open := strings.HasSuffix(row, `\`) && !strings.HasSuffix(row, `\\`)
		if open {
			row = strings.TrimSuffix(row, `\`)
		}
		text, err := unescape(row)
		if err != nil {
			return "", err
		}
		b.WriteString(text)
		if !open {
			b.WriteString("\r\n")
		}
	}
	return b.String(), nil
}

func unescape(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		i++
		if i == len(s) {
			return "", fmt.Errorf("backslash at the end of %q", s)
		}
		switch s[i] {
		case 'r':
			b.WriteByte('\r')
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case '\\':
			b.WriteByte('\\')
		case 'x':
			if i+2 >= len(s) {
				return "", fmt.Errorf(`\x needs two hexadecimal digits in %q`, s)
			}
			n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return "", fmt.Errorf(`\x needs two hexadecimal digits in %q`, s)
			}
			b.WriteByte(byte(n))
			i += 2
		default:
			return "", fmt.Errorf(`unknown escape \%c in %q`, s[i], s)
		}
	}
	return b.String(), nil
}

// repeat replaces ${COUNT*TEXT} by TEXT as often as COUNT says.
func repeat(s string) string {
	return regexp.MustCompile(`\$\{(\d+)\*([^}]*)\}`).ReplaceAllStringFunc(s, func(m string) string {
		count, text, _ := strings.Cut(m[2:len(m)-1], "*")
		n, err := strconv.Atoi(count)
		if err != nil {
			return m
		}
		return strings.Repeat(text, n)
	})
}

// field is one header line of a script or of a message.
type field struct {
	name, value string
	pattern     *regexp.Regexp // instead of value, in expectations
}

func (f field) String() string {
	if f.pattern != nil {
		return f.name + " ~ " + f.value
	}
	return f.name + ": " + f.value
}

// readField reads "NAME: VALUE", or "NAME ~ REGEXP" for the whole value.
func readField(s string) (field, error) {
	name, value, found := strings.Cut(s, ":")
	if found && !strings.ContainsAny(strings.TrimSpace(name), " ~") {
		return field{name: name, value: strings.TrimSpace(value)}, nil
	}
	name, expr, found := strings.Cut(s, " ~ ")
	if !found {
		return field{}, fmt.Errorf("%q is neither NAME: VALUE nor NAME ~ REGEXP", s)
	}
	re, err := whole(expr)
	return field{name: name, value: expr, pattern: re}, err
}

// whole compiles expr so that it must match all of a text.
func whole(expr string) (*regexp.Regexp, error) {
	return regexp.Compile(`(?s)\A(?:` + expr + `)\z`)
}
