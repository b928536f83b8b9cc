package config

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/tools/txtar"
)

// seeds adds the configurations of the golden files.
func seeds(f *testing.F) {
	f.Add([]byte(good))
	names, err := filepath.Glob("testdata/findings/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if strings.HasSuffix(file.Name, ".toml") {
				f.Add(file.Data)
			}
		}
	}
	f.Add([]byte("a.b.c = [ # x\n[1, { \"q\\u0041\" = '''\na''''' , } ],\n] # end\n[[x.y]]\nz=1979-05-27 07:32:00\n[[x.y]]\n[x.y.w]\n"))
	f.Add([]byte("a = \"\"\"x\\\"\"\"\"\"\"\nb = '''\n'''\n\"\" = {}\n'' = 1"))
	f.Add([]byte("\ufeff[ a . 'b.c' . \"d\\t\" ]\r\nx=+inf\r\n"))
}

// Load never panics, whatever the text, and each finding has a place in it.
func FuzzConfig(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.Contains(text, []byte("include")) || bytes.Contains(text, []byte("file:")) {
			t.Skip("reads other files")
		}
		c, fs := Parse("fuzz.toml", text)
		if c == nil && !fs.Failed() {
			t.Fatal("no configuration and no error")
		}
		inside(t, string(text), fs)
		if !utf8.ValidString(fs.Text()) && utf8.Valid(text) {
			t.Fatalf("text isn't valid: %q", fs.Text())
		}
		fs.JSON()
		if c != nil {
			if _, err := c.Masked(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Each place of an accepted text points at the bytes that are that key or value.
func FuzzPlaces(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		src := newSource("fuzz.toml", 0, text)
		tree, err := decodeTOML(src.text)
		s := scan(src) // must survive a text with mistakes, too
		if err != nil {
			return
		}
		if len(s.open) > 0 || s.pos != len(src.text) {
			t.Fatalf("stopped at %d of %d bytes of %q", s.pos, len(src.text), src.text)
		}
		if s.again != nil {
			t.Fatalf("%q isn't given twice in %q", s.again.name, src.text)
		}
		compare(t, s.root, tree)
	})
}

// compare checks p and all below it against v, which the TOML parser made.
func compare(t *testing.T, p *place, v any) {
	t.Helper()
	text := p.src.text
	value := text[p.value.start:p.value.end]
	switch v := v.(type) {
	case map[string]any:
		if len(p.kids) != len(v) {
			t.Fatalf("%d places for %d keys of %q in %q", len(p.kids), len(v), p.name, text)
		}
		for name, inner := range v {
			k := p.kid(name)
			if k == nil {
				t.Fatalf("no place for %q in %q", name, text)
			}
			key := text[k.key.start:k.key.end]
			parsed, err := decodeTOML(key + " = 1")
			if _, is := parsed[name]; err != nil || !is || len(parsed) != 1 {
				t.Fatalf("%q isn't key %q in %q", key, name, text)
			}
			compare(t, k, inner)
		}
	case []any, []map[string]any:
		list, _ := asList(v)
		if len(p.kids) != len(list) {
			t.Fatalf("%d places for %d elements of %q in %q", len(p.kids), len(list), p.name, text)
		}
		for i := range list {
			compare(t, p.kid(fmt.Sprint(i)), list[i])
		}
	}
	switch p.form {
	case header, headers:
		if value[0] != '[' || value[len(value)-1] != ']' {
			t.Fatalf("%q isn't a header in %q", value, text)
		}
	case implied:
		if p.value != p.key {
			t.Fatalf("%q is implied, but has the value %q in %q", p.name, value, text)
		}
	default:
		parsed, err := decodeTOML("x = " + value)
		if err != nil || fmt.Sprintf("%#v", parsed["x"]) != fmt.Sprintf("%#v", v) {
			t.Fatalf("%q isn't %#v but %#v, %v in %q", value, v, parsed["x"], err, text)
		}
	}
}

// inside checks that each finding has a place in text.
func inside(t *testing.T, text string, fs Findings) {
	t.Helper()
	lines := strings.Split(withoutMark(text), "\n")
	for _, f := range fs {
		if f.File != "fuzz.toml" || f.Line < 1 || f.Line > len(lines) || f.Text == "" {
			t.Fatalf("no place: %+v", f)
		}
		n := utf8.RuneCountInString(strings.TrimSuffix(lines[f.Line-1], "\r"))
		if f.Column < 1 || f.Column > n+1 || f.Width < 1 || f.Column-1+f.Width > max(n, f.Column) {
			t.Fatalf("place outside line %q: %+v", lines[f.Line-1], f)
		}
	}
}

// A file that ends anywhere, as after a full disk.
func TestLoadCopesWithPrefixes(t *testing.T) {
	for i := range good {
		_, fs := Parse("fuzz.toml", []byte(good[:i]))
		inside(t, good[:i], fs)
	}
}
