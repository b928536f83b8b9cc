package vtl

import "strings"

// everywhere adds the rules of all states: what begins with "$" or "#".
func (l *lexer) everywhere(s string, m *match) {
	n := count(s, '\\')
	if n < len(s) && s[n] == '$' {
		m.other(prefix, ruleDollar, n+1)
		more := count(s[n+1:], '\\')
		if n+1+more < len(s) && s[n+1+more] == '!' {
			m.other(prefix, ruleDollar, n+more+2)
		}
		return
	}
	if s[0] != '#' {
		return
	}
	if strings.HasPrefix(s, "#[[") {
		m.other(prefix, ruleRaw, 3)
	}
	if strings.HasPrefix(s, "#**") && len(s) > 3 && s[3] != '#' {
		m.other(prefix, ruleFormal, 4)
	}
	if strings.HasPrefix(s, "#*") {
		m.other(prefix, ruleBlock, 2)
	}
	m.other(prefix, ruleHash, 1)
}

// count returns how often c stands at the beginning of s.
func count(s string, c byte) int {
	n := 0
	for n < len(s) && s[n] == c {
		n++
	}
	return n
}

func (l *lexer) lineComment(s string, m *match) {
	if strings.HasPrefix(s, "##") {
		m.token(tokLineComment, 2)
	}
}

func (l *lexer) matchText(s string, m *match) {
	if n := escapedDirective(s); n > 0 {
		m.token(tokEscapedDirective, n)
	}
	m.token(tokSet, setLength(s))
	l.everywhere(s, m)
	l.lineComment(s, m)
	if strings.HasPrefix(s, `\\`) {
		m.token(tokDoubleEscape, 2)
	}
	if s[0] == '\\' {
		m.token(tokEscape, 1)
	}
	end := strings.IndexAny(s, `$#\`)
	if end < 0 {
		end = len(s)
	}
	m.token(tokText, end)
	noReference(s, m)
}

// noReference adds what looks like a reference and is text.
func noReference(s string, m *match) {
	for _, text := range [...]string{"$[", "$![", `$\![`, "$."} {
		if strings.HasPrefix(s, text) {
			m.token(tokNoReference, len(text))
		}
	}
}

// escapedDirective returns the length of an odd number of backslashes with a
// directive behind.
func escapedDirective(s string) int {
	n := count(s, '\\')
	if n%2 == 0 || n >= len(s) || s[n] != '#' {
		return 0
	}
	if word := wordLength(s[n+1:]); word > 0 {
		return n + 1 + word
	}
	if word := braceWordLength(s[n+1:]); word > 0 {
		return n + 1 + word
	}
	return 0
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func digit(c byte) bool { return c >= '0' && c <= '9' }

func wordLength(s string) int {
	if s == "" || !letter(s[0]) && s[0] != '_' && s[0] != '@' {
		return 0
	}
	n := 1
	for n < len(s) && (letter(s[n]) || digit(s[n]) || s[n] == '_' || s[n] == '@') {
		n++
	}
	return n
}

func braceWordLength(s string) int {
	if len(s) < 3 || s[0] != '{' || s[1] == '@' {
		return 0
	}
	n := 1 + wordLength(s[1:])
	if n == 1 || n == len(s) || s[n] != '}' {
		return 0
	}
	return n + 1
}

func nameLength(s string) int {
	if !letter(s[0]) && s[0] != '_' {
		return 0
	}
	n := 1
	for n < len(s) && (letter(s[n]) || digit(s[n]) || s[n] == '_' || s[n] == '-') {
		n++
	}
	return n
}

// setLength returns the length of "#set(" with the blanks in front and within.
func setLength(s string) int {
	n := blanks(s)
	switch rest := s[n:]; {
	case strings.HasPrefix(rest, "#set"):
		n += 4
	case strings.HasPrefix(rest, "#{set}"):
		n += 6
	default:
		return 0
	}
	n += count(s[n:], ' ')
	if n < len(s) && s[n] == '(' {
		return n + 1
	}
	return 0
}

func blanks(s string) int {
	n := 0
	for n < len(s) && (s[n] == ' ' || s[n] == '\t') {
		n++
	}
	return n
}

// lineEnd returns the length of blanks and the line's end behind them, 0 if there
// isn't one.
func lineEnd(s string) int {
	n := blanks(s)
	switch {
	case strings.HasPrefix(s[n:], "\r\n"):
		return n + 2
	case n < len(s) && (s[n] == '\n' || s[n] == '\r'):
		return n + 1
	}
	return 0
}

func (l *lexer) matchReference(s string, m *match) {
	switch s[0] {
	case '[':
		m.token(tokOpenIndex, 1)
	case '(':
		if l.state == inModifier {
			m.token(tokOpen, 1)
		}
	}
	m.token(tokSet, setLength(s))
	l.everywhere(s, m)
	if l.state == inReference {
		l.lineComment(s, m)
	}
	truth(s, m)
	m.token(tokName, nameLength(s))
	dot(s, m)
	switch s[0] {
	case '{':
		m.token(tokOpenBrace, 1)
	case '}':
		m.token(tokCloseBrace, 1)
	}
	m.other(note, ruleOther, 1)
	if l.state == inReference {
		noReference(s, m)
	}
}

func truth(s string, m *match) {
	if strings.HasPrefix(s, "true") {
		m.token(tokTrue, 4)
	}
	if strings.HasPrefix(s, "false") {
		m.token(tokFalse, 5)
	}
}

// dot adds the rule for a dot with a letter behind, which made gives back.
func dot(s string, m *match) {
	if s[0] == '.' && len(s) > 1 && letter(s[1]) {
		m.token(tokDot, 2)
	}
}

// matchInside adds the rules of arguments, indexes and directives' parentheses.
func (l *lexer) matchInside(s string, m *match) {
	if l.state == inIndex {
		if s[0] == ']' {
			m.token(tokCloseIndex, 1)
		}
	} else {
		l.matchBrackets(s, m)
	}
	l.everywhere(s, m)
	if l.state == inDirective {
		l.lineComment(s, m)
	}
	white := 0
	for white < len(s) && strings.IndexByte(" \t\n\r", s[white]) >= 0 {
		white++
	}
	m.token(tokWhite, white)
	m.token(tokString, stringLength(s))
	truth(s, m)
	if l.state == inDirective {
		matchOperator(s, m)
	}
	numbers(s, m)
	switch l.state {
	case inDirective:
		m.token(tokWord, wordLength(s))
		m.token(tokBraceWord, braceWordLength(s))
	case inArguments:
		m.token(tokName, nameLength(s))
		dot(s, m)
	}
}

func (l *lexer) matchBrackets(s string, m *match) {
	switch s[0] {
	case '[':
		m.token(tokOpenBracket, 1)
	case ']':
		m.token(tokCloseBracket, 1)
	case ',':
		m.token(tokComma, 1)
	case ':':
		m.token(tokColon, 1)
	case '{':
		m.token(tokOpenMap, 1)
	case '}':
		m.token(tokCloseMap, 1)
	case '.':
		if strings.HasPrefix(s, "..") {
			m.token(tokRange, 2)
		}
	case '(':
		if l.state == inDirective {
			m.token(tokOpen, 1)
		}
	case ')':
		if l.state == inDirective {
			m.token(tokClose, 1+lineEnd(s[1:]))
		} else {
			m.token(tokCloseArguments, 1)
		}
	}
	if l.state == inArguments {
		m.token(tokSet, setLength(s))
	}
}

// stringLength returns the length of a string in quotes: to the last quote that
// is followed by something else, doubled ones being part of it.
func stringLength(s string) int {
	quote, best := s[0], 0
	if quote != '"' && quote != '\'' {
		return 0
	}
	for at := 1; ; at += 2 {
		i := strings.IndexByte(s[min(at, len(s)):], quote)
		if i < 0 {
			return best
		}
		at += i
		best = at + 1
		if best == len(s) || s[best] != quote {
			return best
		}
	}
}

// numbers adds the rules for numbers. A whole number takes a ".." behind it along,
// so that [1..2] isn't read as "1." and ".2"; made gives it back.
func numbers(s string, m *match) {
	n := count(s[:min(1, len(s))], '-')
	first := n
	for n < len(s) && digit(s[n]) {
		n++
	}
	whole := n > first
	if whole {
		if strings.HasPrefix(s[n:], "..") {
			m.token(tokInteger, n+2)
		} else {
			m.token(tokInteger, n)
		}
	}
	point := false
	if n < len(s) && s[n] == '.' {
		end := n + 1
		for end < len(s) && digit(s[end]) {
			end++
		}
		if whole || end > n+1 {
			point = true
			n = end
		}
	}
	exponent := 0
	if n < len(s) && s[n]|0x20 == 'e' && (whole || point) {
		end := n + 1
		if end < len(s) && (s[end] == '+' || s[end] == '-') {
			end++
		}
		digits := end
		for end < len(s) && digit(s[end]) {
			end++
		}
		if end > digits {
			exponent = end - n
		}
	}
	if point || exponent > 0 {
		m.token(tokFloat, n+exponent)
	}
}

func matchOperator(s string, m *match) {
	for _, op := range operators {
		if strings.HasPrefix(s, op.text) {
			m.token(op.kind, len(op.text))
		}
	}
}

var operators = []struct {
	text string
	kind tokenKind
}{
	{"-", tokMinus}, {"+", tokPlus}, {"*", tokTimes}, {"/", tokDivide}, {"%", tokModulo}, {"&&", tokAnd}, {"and", tokAnd},
	{"||", tokOr}, {"or", tokOr}, {"<", tokLess}, {"lt", tokLess}, {"<=", tokLessEqual}, {"le", tokLessEqual},
	{">", tokGreater}, {"gt", tokGreater}, {">=", tokGreaterEqual}, {"ge", tokGreaterEqual}, {"==", tokEqual}, {"eq", tokEqual},
	{"!=", tokNotEqual}, {"ne", tokNotEqual}, {"!", tokNot}, {"not", tokNot}, {"=", tokAssign},
}

func (l *lexer) matchPrefix(s string, m *match) {
	l.everywhere(s, m)
	l.lineComment(s, m)
	for _, d := range directiveWords {
		if strings.HasPrefix(s, d.text) {
			n := len(d.text)
			if d.kind == tokEndDirective || d.kind == tokElse {
				n += lineEnd(s[n:])
			}
			m.token(d.kind, n)
		}
	}
	numbers(s, m)
	m.token(tokWord, wordLength(s))
	m.token(tokBraceWord, braceWordLength(s))
	m.other(note, ruleOther, 1)
}

var directiveWords = []struct {
	text string
	kind tokenKind
}{
	{"end", tokEndDirective}, {"{end}", tokEndDirective}, {"if", tokIf}, {"{if}", tokIf}, {"elseif", tokElseIf},
	{"{elseif}", tokElseIf}, {"else", tokElse}, {"{else}", tokElse},
}

func (l *lexer) matchComment(s string, m *match) {
	l.everywhere(s, m)
	switch l.state {
	case inLine:
		if n := lineEnd(s); s[0] == '\n' || s[0] == '\r' {
			m.token(tokLineCommentEnd, n)
		}
	case inBlock, inFormal:
		if strings.HasPrefix(s, "*#") {
			m.token(tokComment+tokenKind(l.state-inBlock), 2)
		}
	case inRaw:
		if strings.HasPrefix(s, "]]#") {
			m.token(tokRaw, 3)
		}
		m.other(prefix, ruleOther, 1)
		return
	}
	m.other(skip, ruleOther, 1)
}
