package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestTextIsCapped(t *testing.T) {
	var b strings.Builder
	for i := range findingsShown + 5 {
		fmt.Fprintf(&b, "unknown%d = 1\n", i)
	}
	_, fs := Parse("postern.toml", []byte(b.String()+"[listen.a]\naddress = \":1\"\n"))
	text := fs.Text()
	if !strings.Contains(text, "\n… and 5 more\n105 errors in 1 file; nothing was changed\n") || strings.Count(text, "error: unknown key") != findingsShown {
		t.Errorf("got %d findings in\n%s", len(fs), text)
	}
}

// Marks stand under the same columns of a terminal.
func TestUnderline(t *testing.T) {
	f := func(source string, column, width int, want string) {
		t.Helper()
		var b strings.Builder
		underline(&b, source, column, width)
		if got := b.String(); got != want+"\n" {
			t.Errorf("%q: got %q, want %q", source, got, want)
		}
	}
	f("abc", 2, 1, " ^")
	f("\ta\tb", 4, 1, "\t \t^")
	// Wide characters take two columns, combining ones none.
	f("漢字 x", 4, 1, "     ^")
	f("漢字", 1, 2, "^^^^")
	f("e\u0301x", 3, 1, " ^")
	// Just past the end of the line.
	f("ab", 3, 1, "  ^")
	f("", 1, 1, "^")
}

func TestErrorWithoutErrors(t *testing.T) {
	fs := Findings{{Severity: SeverityWarning, Text: "x"}}
	if fs.Failed() || fs.Error() != "no errors" || Findings(nil).Text() != "" || string(Findings(nil).JSON()) != "[]\n" {
		t.Errorf("got %v %q %q %s", fs.Failed(), fs.Error(), Findings(nil).Text(), Findings(nil).JSON())
	}
}
