package pattern_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy/pattern"
)

// What a comparison with Java's own engine doesn't make up by chance; that is
// TestPatternsAgainstVelocity of the templates.
func TestReplace(t *testing.T) {
	f := func(expression, text, replacement, want string) {
		t.Helper()
		p, err := pattern.Compile(expression)
		if err != nil {
			t.Error(err)
			return
		}
		steps := pattern.DefaultSteps
		got, err := p.Replace(text, replacement, pattern.All, 1000, &steps)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s in %s: %s, want %s", expression, text, got, want)
		}
	}
	f(`(\d{4})-(?<m>\d\d)-(\d\d)`, "on 2020-01-20", "$3.${m}.$1", "on 20.01.2020")
	f(`(?<=\d)(?=(\d{3})+$)`, "1234567", ",", "1,234,567")
	f(`(?i)\bGRÜSSE\b|é`, "Grüsse é É", "x", "Grüsse x É")
	f(`(?iu)é`, "é É", "x", "x x")
	f(`(a+)+$`, "aaa", "<$1>", "<aaa>")
	f(`(?:(a)|b)*`, "ab", "[$1]", "[a][]")
	f(`[a-z&&[^aeiou]]+`, "hello world", "_", "_e_o _o_")
	f(`[\p{Lu}\d&&[^A]]`, "ABC1a", "_", "A___a")
	f(`\Qa.b\E+`, "a.bb a-b", "x", "x a-b")
	f(`(?x) a \  b # comment`, "a b", "y", "y")
	f(`x*?y`, "xxy", "-", "-")
	f(`(.)\1`, "aabbc", "<$1$1>", "<aa><bb>c")
	f(`^|$`, "ab", "|", "|ab|")
	f(`(?m)^`, "a\r\nb\n", ">", ">a\r\n>b\n")
	f(`\x{1F600}`, "a😀b", "!", "a!b")
	f(`.`, "\xed\xa0\xbd", "!", "!") // half of a surrogate pair is one character
	f(`a`, "a", "$2", pattern.ErrReplacement.Error())
	f(`a`, "a", `\`, pattern.ErrReplacement.Error())
	f(`a`, strings.Repeat("a", 100), strings.Repeat("b", 50), pattern.ErrSteps.Error())
}

func TestSyntaxErrors(t *testing.T) {
	for _, expression := range []string{"(", ")", "[", "[a", "a**", "*", "{", "a{2,1}", "a{x}", `\`, `\y`, `\p{Nope}`, `\k<x>`, "(?<a>x)(?<a>y)", "(?<1>x)", "(?q)", `\x4`, `\uD8`, "[z-a]",
		"(?<=(a|b)*)c", strings.Repeat("(", 300) + strings.Repeat(")", 300), strings.Repeat("[", 300), strings.Repeat("(a|b){1,2}", 9000)} {
		_, err := pattern.Compile(expression)
		var wrong *pattern.SyntaxError
		if !errors.As(err, &wrong) || wrong.Offset < 0 || wrong.Offset > len(expression) {
			t.Errorf("%.40s: %v", expression, err)
		}
	}
}

// What takes a backtracking engine for ever ends at the budget, quickly.
func TestBudget(t *testing.T) {
	text := strings.Repeat("a", 60) + "!"
	for _, expression := range []string{"(a+)+x", "(a|a)*x", "(a*)*x", "(.*.*.*.*.*)x", `(a+)\1+x`, "(?=(a+)+x)", "(?<=(?:a|aa)(?:a|aa)a*)x", "((a{1,60}){1,60}){1,60}x"} {
		p, err := pattern.Compile(expression)
		if err != nil {
			t.Error(err)
			continue
		}
		steps, begin := 300_000, time.Now()
		ok, err := p.Matches(text, &steps)
		if ok || err != nil && !errors.Is(err, pattern.ErrSteps) {
			t.Errorf("%s: %v %v", expression, ok, err)
		}
		if took := time.Since(begin); took > 30*time.Second {
			t.Errorf("%s took %v", expression, took)
		}
	}
}

func FuzzPattern(f *testing.F) {
	f.Add(`(a|b)*?c{2,}+[^d-f&&[\w]]\1$`, "abacc", "$1")
	f.Add(`(?<=\bx)(?!y).|\R`, "x\r\ny", `\$0`)
	f.Fuzz(func(t *testing.T, expression, text, replacement string) {
		p, err := pattern.Compile(expression)
		if err != nil {
			return
		}
		steps := 100_000
		_, _ = p.Matches(text, &steps)
		replaced, err := p.Replace(text, replacement, pattern.All, 10_000, &steps)
		if err == nil && len(replaced) > 10_000+len(text) {
			t.Errorf("%d bytes", len(replaced))
		}
		parts, err := p.Split(text, -1, 10_000, &steps)
		if err == nil && len(strings.Join(parts, "")) > len(text) {
			t.Errorf("%q was split into %q", text, parts)
		}
	})
}

func BenchmarkReplace(b *testing.B) {
	text := strings.Repeat(`it\'s a "test" 123, `, 20)
	for _, expression := range []string{`\\'`, `[^a-z0-9]+`, `(\d)(?=\d)`} {
		b.Run(expression, func(b *testing.B) {
			p, err := pattern.Compile(expression)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				steps := pattern.DefaultSteps
				if _, err := p.Replace(text, "x", pattern.All, 1<<20, &steps); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
