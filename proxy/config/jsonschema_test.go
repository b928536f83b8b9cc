package config

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// schemaErrors checks v against a JSON Schema, as far as ours go.
func schemaErrors(root, schema map[string]any, v any, path string) []string {
	var errs []string
	fail := func(format string, a ...any) { errs = append(errs, path+": "+fmt.Sprintf(format, a...)) }
	for key, rule := range schema {
		switch key {
		case "$ref":
			name := strings.TrimPrefix(rule.(string), "#/definitions/")
			errs = append(errs, schemaErrors(root, root["definitions"].(map[string]any)[name].(map[string]any), v, path)...)
		case "allOf":
			for _, s := range rule.([]any) {
				errs = append(errs, schemaErrors(root, s.(map[string]any), v, path)...)
			}
		case "anyOf":
			if !slices.ContainsFunc(rule.([]any), func(s any) bool {
				return len(schemaErrors(root, s.(map[string]any), v, path)) == 0
			}) {
				fail("none of anyOf")
			}
		case "not":
			if len(schemaErrors(root, rule.(map[string]any), v, path)) == 0 {
				fail("not")
			}
		case "type":
			if !isOfType(v, rule) {
				fail("not %v", rule)
			}
		case "enum":
			if !slices.Contains(rule.([]any), v) {
				fail("not in %v", rule)
			}
		case "pattern":
			if s, ok := v.(string); ok && !regexp.MustCompile(rule.(string)).MatchString(s) {
				fail("doesn't match %v", rule)
			}
		case "minimum", "maximum":
			if n, ok := v.(float64); ok && (key == "minimum" && n < rule.(float64) || key == "maximum" && n > rule.(float64)) {
				fail("%s %v", key, rule)
			}
		case "minLength":
			if s, ok := v.(string); ok && s == "" {
				fail("empty")
			}
		case "minProperties":
			if o, ok := v.(map[string]any); ok && len(o) == 0 {
				fail("empty")
			}
		case "minItems":
			if a, ok := v.([]any); ok && len(a) == 0 {
				fail("empty")
			}
		case "items":
			if a, ok := v.([]any); ok {
				for i := range a {
					errs = append(errs, schemaErrors(root, rule.(map[string]any), a[i], fmt.Sprint(path, ".", i))...)
				}
			}
		case "required":
			if o, ok := v.(map[string]any); ok {
				for _, k := range rule.([]any) {
					if _, there := o[k.(string)]; !there {
						fail("lacks %v", k)
					}
				}
			}
		case "properties", "patternProperties", "additionalProperties":
			// Below, together.
		case "$schema", "title", "description", "definitions", "default", "examples":
		default:
			fail("keyword %q is none of draft 4's that we use", key)
		}
	}
	if o, is := v.(map[string]any); is {
		errs = append(errs, objectErrors(root, schema, o, path)...)
	}
	return errs
}

func isOfType(v, name any) bool {
	switch v := v.(type) {
	case map[string]any:
		return name == "object"
	case []any:
		return name == "array"
	case string:
		return name == "string"
	case bool:
		return name == "boolean"
	case float64:
		return name == "integer" && v == math.Trunc(v)
	}
	return false
}

// objectErrors checks the keys of an object and their values.
func objectErrors(root, schema, o map[string]any, path string) []string {
	var errs []string
	properties, _ := schema["properties"].(map[string]any)
	patterns, _ := schema["patternProperties"].(map[string]any)
	for k, value := range o {
		known := false
		if s, ok := properties[k]; ok {
			known = true
			errs = append(errs, schemaErrors(root, s.(map[string]any), value, path+"."+k)...)
		}
		for p, s := range patterns {
			if regexp.MustCompile(p).MatchString(k) {
				known = true
				errs = append(errs, schemaErrors(root, s.(map[string]any), value, path+"."+k)...)
			}
		}
		if known {
			continue
		}
		switch more := schema["additionalProperties"].(type) {
		case bool:
			if !more {
				errs = append(errs, path+"."+k+": unknown")
			}
		case map[string]any:
			errs = append(errs, schemaErrors(root, more, value, path+"."+k)...)
		}
	}
	return errs
}

func published(t *testing.T) map[string]any {
	t.Helper()
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	var root map[string]any
	if err := json.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	return root
}

func asJSON(t *testing.T, text string) any {
	t.Helper()
	tree, err := decodeTOML(text)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// Editors must find no fault in what Load accepts, and all faults of one value.
func TestPublishedSchemaAgreesWithLoad(t *testing.T) {
	root := published(t)
	for _, text := range []string{good, thousand()} {
		if errs := schemaErrors(root, root, asJSON(t, text), ""); len(errs) > 0 {
			t.Errorf("a good configuration: %q", errs)
		}
	}
	for _, name := range []string{"keys", "types", "values", "for"} {
		archive, err := txtar.ParseFile(filepath.Join("testdata/findings", name+".txtar"))
		if err != nil {
			t.Fatal(err)
		}
		errs := schemaErrors(root, root, asJSON(t, string(archive.Files[0].Data)), "")
		if len(errs) == 0 {
			t.Errorf("%s: no errors", name)
		}
	}
	bad := func(from, to string) {
		t.Helper()
		text := strings.Replace(good, from, to, 1)
		if text == good {
			t.Fatalf("no %q", from)
		}
		if errs := schemaErrors(root, root, asJSON(t, text), ""); len(errs) == 0 {
			t.Errorf("%q is allowed", to)
		}
	}
	bad(`address = ":8080"`, `adress = ":8080"`)
	bad(`address = ":8080"`, ``)
	bad(`address = ":8080"`, "address = \":8080\"\nlimits.headers = 0")
	bad(`address = ":8080"`, "address = \":8080\"\nlimits.body = \"2MB\"")
	bad(`type = "rest"`, `type = "soap"`)
	bad(`{ type = "wasm", plugin = "greeter" }`, `{ type = "wasm" }`)
	bad(`{ type = "wasm", plugin = "greeter" }`, `{ type = "wasm", plugin = "greeter", url = "http://a" }`)
	bad(`upgrade = false`, `upgrade = "no"`)
	bad(`upgrade = false`, `timeout = "29"`)
	bad(`[api.hello.stage.prod]`, `[api.hello.stage."a b"]`)
}

// The docs of the Go types reach the editor.
func TestPublishedSchemaHasDocs(t *testing.T) {
	root := published(t)
	var walk func(path string, schema map[string]any)
	walk = func(path string, schema map[string]any) {
		properties, _ := schema["properties"].(map[string]any)
		for key, s := range properties {
			if s := s.(map[string]any); len(fmt.Sprint(s["description"])) < 10 {
				t.Errorf("%s.%s has no description: %v", path, key, s)
			}
		}
	}
	walk("", root)
	for name, s := range root["definitions"].(map[string]any) {
		walk(name, s.(map[string]any))
	}
	timeout := root["definitions"].(map[string]any)["Integration"].(map[string]any)["properties"].(map[string]any)["timeout"].(map[string]any)
	want := `Longest wait for the answer's head. Default: 29s; 30s in APIs of type http. AWS goes from 50ms up to these. Only for type "http_proxy", "http", "wasm" and "wasm_custom". Range: 50ms to 15m.`
	if timeout["description"] != want || timeout["default"] != "29s" {
		t.Errorf("got %v", timeout)
	}
}
