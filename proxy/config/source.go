package config

import (
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// source is one file's text as it was read.
type source struct {
	name  string // as findings show it
	order int    // in which it was read
	text  string // without byte order mark
	lines []int  // offset of each line's first byte

	hidden []span // values that aren't to be shown
}

// span is a range of bytes of a source.
type span struct{ start, end int }

func newSource(name string, order int, text []byte) *source {
	s := &source{name: name, order: order, text: withoutMark(string(text))}
	s.lines = make([]int, 1, 1+strings.Count(s.text, "\n"))
	for i := 0; ; {
		n := strings.IndexByte(s.text[i:], '\n')
		if n < 0 {
			return s
		}
		i += n + 1
		s.lines = append(s.lines, i)
	}
}

// withoutMark cuts byte order marks: those that the TOML parser would skip, all
// of them, so that it has none left to skip and its offsets are ours.
func withoutMark(text string) string {
	for {
		rest := text
		for _, mark := range []string{"\xff\xfe", "\xfe\xff", "\xef\xbb\xbf"} {
			rest = strings.TrimPrefix(rest, mark)
		}
		if rest == text {
			return text
		}
		text = rest
	}
}

// line returns the line that holds offset, from 1.
func (s *source) line(offset int) int {
	return sort.Search(len(s.lines), func(i int) bool { return s.lines[i] > offset })
}

// lineText returns line n without its end.
func (s *source) lineText(n int) string {
	start, end := s.lines[n-1], len(s.text)
	if n < len(s.lines) {
		end = s.lines[n] - 1
	}
	return strings.TrimSuffix(s.text[start:end], "\r")
}

// locate returns where sp is: line and column from 1, in characters, and how
// many characters of that line it covers, at least 1.
func (s *source) locate(sp span) (line, column, width int, text string) {
	start := min(max(sp.start, 0), len(s.text))
	end := min(max(sp.end, start), len(s.text))
	line = s.line(start)
	text = s.lineText(line)
	first := s.lines[line-1]
	from := min(start-first, len(text))
	to := min(end-first, len(text))
	column = utf8.RuneCountInString(text[:from]) + 1
	width = max(1, utf8.RuneCountInString(text[from:max(from, to)]))
	return line, column, width, printable(s.masked(span{first, first + len(text)}))
}

// printable returns text with each character that could garble a terminal
// replaced, so that columns stay what they are.
func printable(text string) string {
	clean := func(r rune) bool {
		return r == '\t' || r != utf8.RuneError && !unicode.IsControl(r) && !unicode.Is(unicode.Bidi_Control, r)
	}
	if strings.IndexFunc(text, func(r rune) bool { return !clean(r) }) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text { // an invalid byte comes as one RuneError
		if clean(r) {
			b.WriteRune(r)
		} else {
			b.WriteRune(utf8.RuneError)
		}
	}
	return b.String()
}
