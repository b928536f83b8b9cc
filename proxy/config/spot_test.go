package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is wrong in a text is shown where it stands in the file, however it is written.
func TestSpot(t *testing.T) {
	f := func(toml string, path string, line, column, width int, want string) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "postern.toml")
		head := "[listen.public]\naddress = \":8080\"\n[api.a]\ntype = \"rest\"\n"
		if err := os.WriteFile(file, []byte(head+toml), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("SPOT", "x")
		cfg, findings := Load(file)
		if cfg == nil {
			t.Fatal(findings.Text())
		}
		text := cfg.API["a"].Policy.Text
		at := strings.Split(path, ".")
		got := cfg.Blame(at[:1], &KeyError{Path: at[1:], Text: "wrong", Spot: &Spot{Text: text, Line: line, Column: column, Width: width}})
		meant := ""
		if source := []rune(got.Source); got.Line > 0 {
			meant = string(source[got.Column-1 : min(len(source), got.Column-1+got.Width)])
		}
		if said := fmt.Sprintf("%d:%d %s: %s", got.Line-4, got.Column, meant, got.Text); said != want {
			t.Errorf("%s at %d:%d: got %s, want %s", toml, line, column, said, want)
		}
		where := ""
		if got.Text == "wrong" {
			where = fmt.Sprintf("%s:%d", file, got.Line)
		}
		if said := cfg.Line(text, line, at...); said != where && column == 1 {
			t.Errorf("%s: the line is %q, want %q", toml, said, where)
		}
	}
	f("policy = '''\nab\n cde''''\n", "api.a.policy", 2, 2, 2, "3:2 cd: wrong")
	f("policy = '''ab\ncde'''\n", "api.a.policy", 2, 1, 9, "2:1 cde: wrong")
	f("policy = '''\r\nab\r\ncde'''\n", "api.a.policy", 2, 2, 1, "3:2 d: wrong")
	f("policy = '{öä\": 1}'\n", "api.a.policy", 1, 3, 2, "1:13 ä\": wrong")
	f("policy = \"{\\\"ab\\\": \\u00e4\\tc}\"\n", "api.a.policy", 1, 9, 2, "1:26 \\tc: wrong")
	f("policy = \"\"\"\n{\\\n   a\\nb}\"\"\"\n", "api.a.policy", 2, 1, 1, "3:7 b: wrong")
	f("policy = { text = '''\n{}\nx''' }\n", "api.a.policy", 2, 1, 1, "3:1 x: wrong")
	f("[api.a.policy]\ntext = '''\n{}\nx'''\n", "api.a.policy", 2, 1, 1, "4:1 x: wrong")
	f("policy = \"\"\n", "api.a.policy", 1, 1, 1, "1:11 \": wrong")
	// Where the file has something else, the place is that of the text.
	f("policy = '{${env:SPOT}}'\n", "api.a.policy", 1, 2, 1, "1:10 '{${env:SPOT}}': line 1, column 2 of the text: wrong")
	f("policy = '{}'\n", "api.a.policy", 9, 1, 1, "1:10 '{}': line 9, column 1 of the text: wrong")
	f("policy = '{}'\n", "api.a.cors", 1, 2, 1, "-1:1 [api.a]: line 1, column 2 of the text: wrong")
	none := &Config{}
	if got := none.Blame(nil, &KeyError{Path: []string{"a"}, Text: "wrong", Spot: &Spot{Line: 1, Column: 2}}); got.Text != "line 1, column 2 of the text: wrong" || none.Line("", 1, "a") != "" {
		t.Errorf("%+v", got)
	}
}

// FuzzSpot looks for a string that TOML reads in another way.
func FuzzSpot(f *testing.F) {
	for _, raw := range []string{`"a\tb\u00e4"`, "\"\"\"\na\\\n  b\"\"\"", "'''\r\na\r\n'''", `'a'`, `"\x41\e"`} {
		f.Add(raw, 1, 1)
	}
	f.Fuzz(func(t *testing.T, raw string, line, column int) {
		if open, _ := quotes(raw); open == 0 {
			return
		}
		cfg, findings := Parse("postern.toml", []byte("[listen.public]\naddress = \":8080\"\n[api.a]\ntype = \"rest\"\npolicy = "+raw+"\n"))
		if cfg == nil || findings.Failed() || cfg.API["a"].Policy == nil || cfg.API["a"].Policy.File != "" {
			return
		}
		text := cfg.API["a"].Policy.Text
		lines := strings.Split(text, "\n")
		line, column = max(1, min(line, len(lines))), 1
		if strings.Contains(raw, "${") || strings.Contains(text, "\r") {
			return
		}
		if cfg.Line(text, line, "api", "a", "policy") == "" {
			t.Errorf("%q is %q: line %d isn't found", raw, text, line)
		}
	})
}
