package vtl

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/postern-gateway/postern/proxy/expr"
)

// shownBytes is how much of a value is shown.
const shownBytes = 300

// Shown returns a value for people: its type, and what it prints.
func Shown(v expr.Value) string {
	text, err := v.Text(1 << 20)
	if err != nil {
		text = err.Error()
	}
	if len(text) > shownBytes {
		n := shownBytes
		for !utf8.RuneStart(text[n]) {
			n--
		}
		text = text[:n] + "…"
	}
	if v.Kind() == expr.StringKind {
		return fmt.Sprintf("text %q", text)
	}
	text = steerless(text)
	switch v.Kind() {
	case expr.BoolKind, expr.NullKind:
		return text
	case expr.ListKind:
		return fmt.Sprintf("list of %d: %s", v.List().Len(), text)
	case expr.MapKind:
		return fmt.Sprintf("object of %d: %s", v.Map().Len(), text)
	}
	if v.IsNumber() {
		return "number " + text
	}
	return text
}

// steerless is text without what would steer a terminal.
func steerless(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && !unicode.IsPrint(r) {
			return utf8.RuneError
		}
		return r
	}, text)
}
