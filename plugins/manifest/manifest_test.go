package manifest_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/postern-gateway/postern/plugins/manifest"
)

// empty is the smallest module.
const empty = "\x00asm\x01\x00\x00\x00"

const guard = `{
  "name": "guard", "version": "1.2.0", "description": "Lets in who knows the word.",
  "roles": ["authorize"], "wants": ["http"], "hosts": ["https://id.example.com"],
  "config": {
    "type": "object", "additionalProperties": false, "required": ["word"],
    "properties": {
      "word": {"type": "string", "minLength": 3, "pattern": "^[a-z]+$"},
      "mode": {"enum": ["strict", "lax"]},
      "lists": {"type": "array", "items": {"type": "integer"}}
    }
  }
}`

func TestAddAndRead(t *testing.T) {
	if m, err := manifest.Read([]byte(empty)); m != nil || err != nil {
		t.Errorf("a module without one: got %v, %v", m, err)
	}
	// Another custom section stays as it is.
	module := empty + "\x00\x05\x03namx"
	once, err := manifest.Add([]byte(module), []byte(guard))
	if err != nil {
		t.Fatal(err)
	}
	m, err := manifest.Read(once)
	if err != nil || m == nil || m.Name != "guard" || m.Version != "1.2.0" || m.Hosts[0] != "https://id.example.com" {
		t.Fatalf("got %+v, %v", m, err)
	}
	twice, err := manifest.Add(once, []byte(guard))
	if err != nil || !bytes.Equal(once, twice) {
		t.Errorf("adding it again changed the module (%v)", err)
	}
	if !bytes.HasPrefix(once, []byte(module)) {
		t.Errorf("the rest of the module changed: %q", once)
	}
}

func TestBrokenModules(t *testing.T) {
	for _, text := range []string{"", "\x00asm", "\x00asm\x0d\x00\x01\x00", empty + "\x01", empty + "\x01\x05a", empty + "\x00\x02\x05a",
		empty + "\x01\xff\xff\xff\xff\xff\xff"} {
		if m, err := manifest.Read([]byte(text)); err == nil {
			t.Errorf("%q: got %v, want an error", text, m)
		}
		if _, err := manifest.Add([]byte(text), nil); err == nil {
			t.Errorf("%q: added to", text)
		}
	}
	one, err := manifest.Add([]byte(empty), []byte(guard))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := manifest.Read(append(one, one[len(empty):]...)); err == nil || !strings.Contains(err.Error(), "two sections") {
		t.Errorf("two manifests: got %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	bad := func(text, want string) {
		t.Helper()
		if m, err := manifest.Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, %v; want an error with %q", text, m, err, want)
		}
	}
	bad(``, "EOF")
	bad(`[]`, "line 1: cannot unmarshal array")
	bad("{\n\"name\": 3}", "line 2: cannot unmarshal number")
	bad(`{"name":"a","version":"1","color":"red"}`, `unknown field "color"`)
	bad(`{"name":"a","version":"1"} {}`, "something after")
	bad(`{"name":"A b","version":"1"}`, "name:")
	bad(`{"name":"a"}`, "version:")
	bad(`{"name":"a","version":"1","hosts":["api.example.com"]}`, "hosts:")
	bad(`{"name":"a","version":"1","hosts":["https://api.example.com/path"]}`, "hosts:")
	bad(`{"name":"a","version":"1","config":{"type":"text"}}`, "config: not a JSON Schema")
	bad(`{"name":"a","version":"1","config":{"$ref":"file:///etc/passwd"}}`, "can't refer to file:///etc/passwd")
	bad(`{"name":"a","version":"1","config":{"$ref":"https://example.com/x.json"}}`, "can't refer to")
	bad(strings.Repeat(" ", manifest.MaxSize+1), "at most 65536")
}

func TestCheckConfig(t *testing.T) {
	m, err := manifest.Parse([]byte(guard))
	if err != nil {
		t.Fatal(err)
	}
	finds := func(config string, want ...string) {
		t.Helper()
		var got []string
		for _, p := range m.CheckConfig([]byte(config)) {
			got = append(got, strings.Join(p.Path, ".")+": "+p.Text)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s:\n got %q\nwant %q", config, got, want)
		}
	}
	finds(`{"word":"open","mode":"lax","lists":[1,2]}`)
	finds(`{}`, ": the plugin needs the key word")
	finds(`{"word":7}`, "word: the plugin wants string, got number")
	finds(`{"word":"open","wrod":"x"}`, "wrod: the plugin knows no such key")
	finds(`{"word":"open","mode":"loose","lists":[1,"2"]}`, "lists.1: the plugin wants integer, got string", "mode: the plugin wants one of [strict lax]")
	// What is wrong may be a secret.
	for _, p := range m.CheckConfig([]byte(`{"word":"S3CRET","mode":"S3CRET"}`)) {
		if strings.Contains(p.Text, "S3CRET") {
			t.Errorf("the value is told: %s", p.Text)
		}
	}
}

func TestDifferences(t *testing.T) {
	parse := func(text string) *manifest.Manifest {
		t.Helper()
		m, err := manifest.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	old := parse(guard)
	if got := parse(guard).Differences(old); len(got) != 0 {
		t.Errorf("with itself: %q", got)
	}
	now := parse(`{"name":"guard","version":"2.0.0","roles":["authorize","request"],"wants":["kv"],"hosts":["https://id.example.com","https://evil.example"]}`)
	want := []string{"version 1.2.0 → 2.0.0", "new: role request", "new: capability kv", "gone: capability http",
		"new: host https://evil.example", "another schema of the configuration"}
	if got := now.Differences(old); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

func FuzzRead(f *testing.F) {
	one, err := manifest.Add([]byte(empty), []byte(guard))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(one)
	f.Add([]byte(empty))
	f.Fuzz(func(t *testing.T, wasm []byte) {
		before, err := manifest.Read(wasm)
		if err != nil {
			return
		}
		added, err := manifest.Add(wasm, []byte(guard))
		if err != nil {
			t.Fatalf("it can be read (%v), but not be added to: %v", before, err)
		}
		if m, err := manifest.Read(added); err != nil || m.Name != "guard" {
			t.Fatalf("what was added is read as %v, %v", m, err)
		}
	})
}
