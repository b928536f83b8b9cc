package vtl

import "strings"

// tokenKind is the type of a token.
type tokenKind uint8

const (
	tokEnd tokenKind = iota // of the template
	tokText
	tokDoubleEscape
	tokEscape
	tokEscapedDirective
	tokSet
	tokNoReference // "$[", "$![", "$\![" and "$."
	tokDot
	tokName
	tokTrue
	tokFalse
	tokOpenBrace  // in a reference
	tokCloseBrace // in a reference
	tokOpenIndex
	tokCloseIndex
	tokOpenBracket
	tokCloseBracket
	tokComma
	tokRange
	tokColon
	tokOpenMap
	tokCloseMap
	tokOpen
	tokClose
	tokCloseArguments
	tokWhite
	tokString
	tokInteger
	tokFloat
	tokMinus
	tokPlus
	tokTimes
	tokDivide
	tokModulo
	tokAnd
	tokOr
	tokLess
	tokLessEqual
	tokGreater
	tokGreaterEqual
	tokEqual
	tokNotEqual
	tokNot
	tokAssign
	tokEndDirective
	tokIf
	tokElseIf
	tokElse
	tokWord
	tokBraceWord
	tokLineComment
	tokLineCommentEnd
	tokComment
	tokFormalComment
	tokRaw
)

// token is one piece of the source.
type token struct {
	kind    tokenKind
	image   string // may begin with "$", "#" and backslashes of what turned out to be something else
	special string // what of the notes in front of it is printed
	at      int32  // where image begins, in bytes
}

// literal is the token as it is printed where its source is wanted. Of comments
// only the ends are left, of one in #* *# nothing.
func (t *token) literal() string {
	if t.kind == tokComment {
		return ""
	}
	return t.special + t.image
}

// specialText returns what of a note is printed: its "#" and "$", the latter with
// the backslashes in front.
func specialText(image string) string {
	var b strings.Builder
	for i := 0; i < len(image); i++ {
		switch image[i] {
		case '#', '$':
			b.WriteByte(image[i])
		case '\\':
			end := i
			for end < len(image) && image[end] == '\\' {
				end++
			}
			if end < len(image) && image[end] == '$' {
				b.WriteString(image[i : end+1])
				i = end + 1 // the byte behind is lost
			}
		}
	}
	return b.String()
}
