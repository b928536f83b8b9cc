package vtl

import "strings"

// state is the lexer's: which rules apply.
type state uint8

const (
	inText      state = iota
	inReference       // behind "$"
	inModifier        // behind the dot of a reference
	inArguments       // of a method
	inIndex           // in [ ] of a reference
	inPrefix          // behind "#"
	inDirective       // in a directive's parentheses
	inLine            // a comment to the line's end
	inBlock           // a comment to "*#"
	inFormal          // the same, begun with "#**"
	inRaw             // text to "]]#"
)

// level is a state that is to be come back to, with its count of parentheses.
type level struct {
	state          state
	opened, closed int
}

// lexer cuts a template into tokens. It is Velocity 1.7's token manager: in a
// state the longest match wins, of several the first rule. A rule makes a token,
// a prefix that stays in front of the next token's image, or a note.
type lexer struct {
	source    string
	at        int
	state     state
	stack     []level
	opened    int // parentheses in this state
	closed    int
	inSet     bool
	inComment bool
}

// action is what a matched rule does.
type action uint8

const (
	noMatch action = iota
	makeToken
	prefix
	skip
	note
)

// match is the best rule so far.
type match struct {
	length int
	action action
	kind   tokenKind
	rule   rule
}

// rule names the rules that do more than make a token.
type rule uint8

const (
	ruleOther rule = iota
	ruleDollar
	ruleHash
	ruleRaw
	ruleFormal
	ruleBlock
)

func (m *match) token(kind tokenKind, n int) {
	if n > m.length {
		*m = match{n, makeToken, kind, ruleOther}
	}
}

func (m *match) other(a action, r rule, n int) {
	if n > m.length {
		*m = match{n, a, tokEnd, r}
	}
}

func (l *lexer) push() {
	l.stack = append(l.stack, level{l.state, l.opened, l.closed})
	l.opened = 0
}

func (l *lexer) pop() bool {
	if len(l.stack) == 0 {
		l.opened = 0
		l.state = inText
		return false
	}
	top := l.stack[len(l.stack)-1]
	l.stack = l.stack[:len(l.stack)-1]
	l.state, l.opened, l.closed = top.state, top.opened, top.closed
	return true
}

// next returns the next token; false where no rule matches.
func (l *lexer) next() (token, bool) {
	special, lost := "", false
	begin := l.at
	for {
		if l.at == len(l.source) {
			return token{kind: tokEnd, special: special, at: int32(begin)}, begin == l.at
		}
		m := l.match()
		l.at += m.length
		switch m.action {
		case noMatch:
			return token{at: int32(l.at)}, false
		case prefix:
			l.prefixed(&m)
		case skip:
			begin = l.at
		case note:
			special += specialText(l.source[begin:l.at])
			lost = strings.HasPrefix(l.source[begin:l.at], "##")
			l.at--
			begin = l.at
			l.pop()
		case makeToken:
			if lost {
				special = "" // a note that looks like a comment hides them all
			}
			t := token{kind: m.kind, image: l.source[begin:l.at], special: special, at: int32(begin)}
			l.made(&t)
			return t, true
		}
	}
}

// match finds the rule for what stands next.
func (l *lexer) match() match {
	var m match
	s := l.source[l.at:]
	switch l.state {
	case inText:
		l.matchText(s, &m)
	case inReference, inModifier:
		l.matchReference(s, &m)
	case inArguments, inIndex, inDirective:
		l.matchInside(s, &m)
	case inPrefix:
		l.matchPrefix(s, &m)
	default:
		l.matchComment(s, &m)
	}
	return m
}

// prefixed does what a prefix asks for.
func (l *lexer) prefixed(m *match) {
	if l.inComment {
		return
	}
	switch m.rule {
	case ruleDollar:
		if l.state == inReference {
			l.pop()
		}
		l.push()
		l.state = inReference
	case ruleHash:
		if l.state == inReference || l.state == inModifier {
			l.pop()
		}
		l.push()
		l.state = inPrefix
	case ruleRaw:
		l.comment(inRaw)
	case ruleFormal:
		l.at--
		l.comment(inFormal)
	case ruleBlock:
		l.comment(inBlock)
	}
}

func (l *lexer) comment(s state) {
	l.inComment = true
	l.push()
	l.state = s
}

// made does what a token asks for.
func (l *lexer) made(t *token) {
	switch t.kind {
	case tokOpenIndex:
		l.push()
		l.state = inIndex
	case tokCloseIndex, tokCloseBrace, tokEndDirective, tokElse:
		l.pop()
	case tokOpen:
		l.opened++
		if l.state == inModifier {
			l.state = inArguments
		}
	case tokClose:
		l.closeParenthesis()
	case tokCloseArguments:
		l.state = inReference
	case tokSet:
		l.push()
		l.inSet = true
		l.state = inDirective
		l.opened++
	case tokLineComment:
		if l.state == inReference {
			l.pop()
		}
		l.comment(inLine)
	case tokLineCommentEnd, tokComment, tokFormalComment, tokRaw:
		l.inComment = false
		l.pop()
	case tokString:
		if l.state == inDirective && !l.inSet && l.opened == 0 {
			l.pop()
		}
	case tokInteger, tokFloat:
		l.madeNumber(t)
	case tokIf, tokElseIf:
		l.state = inDirective
	case tokDot:
		l.at--
		t.image = "."
		l.state = inModifier
	}
}

func (l *lexer) madeNumber(t *token) {
	if t.kind == tokInteger && strings.HasSuffix(t.image, "..") {
		l.at -= 2
		t.image = t.image[:len(t.image)-2]
	}
	if l.opened == 0 && !l.inSet && l.state != inArguments && (l.state != inIndex || t.kind == tokFloat) {
		l.pop()
	}
}

// closeParenthesis drops to the state that has an open parenthesis, and leaves it
// if this one was its last.
func (l *lexer) closeParenthesis() {
	for l.opened == 0 {
		if !l.pop() {
			return
		}
	}
	if l.opened == l.closed+1 {
		l.pop()
	} else {
		l.closed++
	}
}
