package workbench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/postern-gateway/postern/proxy/config"
)

// Mistake is an error in a file, with its place: what is wrong, the line, a mark
// under the place, and what to do.
type Mistake struct {
	config.Finding
	Doubts []string `json:"doubts,omitempty"` // warnings about the same text, which may say why
}

// Error returns the mistake in several lines, the source among them.
func (m *Mistake) Error() string {
	return strings.Join(append([]string{strings.TrimSuffix(m.Finding.String(), "\n")}, m.Doubts...), "\n")
}

// file is a text that mistakes are found in.
type file struct {
	name string
	text []byte
}

// mistake is about width characters from offset on, in bytes.
func (f *file) mistake(offset, width int, hint, format string, args ...any) *Mistake {
	offset = min(max(offset, 0), len(f.text))
	line := 1 + bytes.Count(f.text[:offset], []byte{'\n'})
	begin := 1 + bytes.LastIndexByte(f.text[:offset], '\n')
	rest, _, _ := bytes.Cut(f.text[begin:], []byte{'\n'})
	return &Mistake{Finding: config.Finding{
		Severity: config.SeverityError, File: f.name, Line: line, Column: 1 + utf8.RuneCount(f.text[begin:offset]), Width: max(width, 1),
		Text: fmt.Sprintf(format, args...), Hint: hint, Source: printable(strings.TrimSuffix(string(rest), "\r")),
	}}
}

// printable is text without what would steer a terminal, of as many characters.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && !unicode.IsPrint(r) {
			return utf8.RuneError
		}
		return r
	}, text)
}

// member is one member of a JSON object, and where it stands in its file.
type member struct {
	key     string
	keyAt   int // of its first quote
	keySize int // in characters, with the quotes
	value   json.RawMessage
	at      int // of the value
}

// object takes the JSON object in f.text[from:to] apart, its members in their
// order. what says what it is, for the mistake when it is none.
func (f *file) object(from, to int, what string) ([]member, error) {
	d := json.NewDecoder(bytes.NewReader(f.text[from:to]))
	begin, err := d.Token()
	if err != nil {
		return nil, f.syntax(err, from, to)
	}
	if begin != json.Delim('{') {
		return nil, f.mistake(f.skip(from), 1, "", "%s is a JSON object: {…}", what)
	}
	var all []member
	for d.More() {
		keyAt := f.skip(from + int(d.InputOffset()))
		key, err := d.Token()
		if err != nil {
			return nil, f.syntax(err, from, to)
		}
		m := member{key: key.(string), keyAt: keyAt, keySize: utf8.RuneCount(f.text[keyAt : from+int(d.InputOffset())])}
		if err := d.Decode(&m.value); err != nil {
			return nil, f.syntax(err, from, to)
		}
		m.at = from + int(d.InputOffset()) - len(m.value)
		for i := range all {
			if all[i].key == m.key {
				return nil, f.mistake(keyAt, m.keySize, "", "%q stands there twice", m.key)
			}
		}
		all = append(all, m)
	}
	if _, err := d.Token(); err != nil {
		return nil, f.syntax(err, from, to)
	}
	if after := f.skip(from + int(d.InputOffset())); after < to {
		hint := ""
		if strings.HasSuffix(f.name, LinesSuffix) {
			hint = "one of many cases is FILE" + LinesSuffix + ":LINE"
		}
		return nil, f.mistake(after, 1, hint, "there is more after the object's end")
	}
	return all, nil
}

// skip returns where what follows offset begins: behind blanks and a comma.
func (f *file) skip(offset int) int {
	for offset < len(f.text) && strings.IndexByte(" \t\r\n,", f.text[offset]) >= 0 {
		offset++
	}
	return offset
}

// syntax is the mistake for an error of encoding/json about f.text[from:to].
func (f *file) syntax(err error, from, to int) *Mistake {
	// The decoder's own offsets differ by what it has buffered: ask again.
	var wrong *json.SyntaxError
	var whole json.RawMessage
	if again := json.Unmarshal(f.text[from:to], &whole); again != nil {
		err = again
	}
	switch {
	case errors.As(err, &wrong) && strings.Contains(wrong.Error(), "unexpected end"), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		end := from + len(bytes.TrimRight(f.text[from:to], " \t\r\n"))
		return f.mistake(end, 1, "a bracket or a quote isn't closed", "this isn't JSON: it ends too early")
	case errors.As(err, &wrong):
		at := from + int(wrong.Offset) - 1
		hint := ""
		if at < len(f.text) {
			switch f.text[at] {
			case '\'':
				hint = `JSON has its texts in double quotes: "…"`
			case '}', ']':
				hint = "a comma before the closing bracket is one too many"
			}
		}
		return f.mistake(at, 1, hint, "this isn't JSON: %v", wrong)
	}
	return f.mistake(from, 1, "", "this isn't JSON: %v", err)
}

// unknown is the hint for a word that nobody knows.
func unknown(word string, known []string) string {
	if like := config.Closest(word, known); like != "" {
		return fmt.Sprintf("did you mean %q?", like)
	}
	return "there are " + strings.Join(known, ", ")
}
