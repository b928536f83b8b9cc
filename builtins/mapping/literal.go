package mapping

import "strings"

// hasReference reports whether Velocity would do more with a mapping template
// than copy it.
//
// AWS's templates are Velocity 1.7: "$" begins a reference if a name, "!", "{"
// or a backslash follows; "#" begins a directive, a comment or a raw block, or
// is an error, unless a word follows that is no directive's, or a digit.
func hasReference(text string) bool {
	for i := 0; i < len(text); i++ {
		rest := text[i+1:]
		switch text[i] {
		case '$':
			if rest == "" || isLetter(rest[0]) || strings.IndexByte(`_!{\$`, rest[0]) >= 0 {
				return true
			}
		case '#':
			if rest == "" || !isLetter(rest[0]) && !isDigit(rest[0]) || directive(rest) {
				return true
			}
		}
	}
	return false
}

// directive reports whether text begins with the name of a directive.
func directive(text string) bool {
	n := 0
	for n < len(text) && (isLetter(text[n]) || isDigit(text[n]) || text[n] == '_') {
		n++
	}
	switch text[:n] {
	case "if", "elseif", "else", "end", "set", "foreach", "define", "stop", "break",
		"macro", "evaluate", "parse", "include", "return", "literal":
		return true
	}
	return false
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
