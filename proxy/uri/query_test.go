package uri

import (
	"net/url"
	"strings"
	"testing"
)

func TestNextParam(t *testing.T) {
	f := func(query, want string) {
		t.Helper()
		var got []string
		for rest := query; ; {
			name, value, after, ok := NextParam(rest)
			if !ok {
				break
			}
			got, rest = append(got, string(AppendForm(nil, name))+">"+string(AppendForm(nil, value))), after
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: got %q, want %q", query, got, want)
		}
	}
	f("a=1&b=2;c=3", "a>1 b>2 c>3")
	f("&&a&=x;;b=", "a> >x b>")
	f("a=b=c", "a>b=c")
	f("%61+b=%2B+%zz%4", "a b>+ %zz%4")
	f("", "")
	f("&;", "")
}

func TestFormIs(t *testing.T) {
	for raw, text := range map[string]string{"a": "a", "%61": "a", "a+b": "a b", "a%2Bb": "a+b", "": "", "%zz": "%zz", "%4": "%4"} {
		if !FormIs(raw, text) {
			t.Errorf("%q isn't %q", raw, text)
		}
		if FormIs(raw, text+"x") || text != "" && FormIs(raw, text[1:]) {
			t.Errorf("%q is more or less than %q", raw, text)
		}
	}
}

// What is escaped comes back as it was.
func FuzzForm(f *testing.F) {
	f.Add("a b&c=%é\x00+")
	f.Fuzz(func(t *testing.T, s string) {
		var raw []byte
		for i := 0; i < len(s); i++ {
			raw = AppendEscaped(raw, s[i])
		}
		if back, err := url.QueryUnescape(string(raw)); err != nil || back != s {
			t.Errorf("%q became %q", s, raw)
		}
		if !FormIs(string(raw), s) || string(AppendForm(nil, string(raw))) != s {
			t.Errorf("%q isn't %q any more", raw, s)
		}
	})
}
