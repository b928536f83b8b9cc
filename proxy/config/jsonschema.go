package config

import (
	"embed"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"reflect"
	"strings"
)

//go:embed types*.go
var typesSource embed.FS

// Schema returns a JSON Schema (draft 4, which TOML editors understand) of the
// configuration, with the docs of the Go types. Save it beside a configuration
// and name it in the first line: #:schema ./postern.schema.json
func Schema() ([]byte, error) {
	docs, err := docsOf(typesSource)
	if err != nil {
		return nil, err
	}
	m := schemaMaker{docs: docs, definitions: map[string]any{}}
	root := m.table(schemaOf(reflect.TypeFor[Config]()))
	root["$schema"] = "http://json-schema.org/draft-04/schema#"
	root["title"] = "postern configuration"
	root["definitions"] = m.definitions
	text, err := json.MarshalIndent(root, "", "  ")
	return append(text, '\n'), err
}

// docsOf returns the comments of types ("Listen") and fields ("Listen.Address").
func docsOf(source fs.FS) (map[string]string, error) {
	names, err := fs.Glob(source, "types*.go")
	if err != nil {
		return nil, err
	}
	docs := map[string]string{}
	for _, name := range names {
		text, err := fs.ReadFile(source, name)
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		addDocs(docs, file)
	}
	return docs, nil
}

func addDocs(docs map[string]string, file *ast.File) {
	for _, d := range file.Decls {
		decl, ok := d.(*ast.GenDecl)
		if !ok || decl.Tok != token.TYPE {
			continue
		}
		for _, s := range decl.Specs {
			spec := s.(*ast.TypeSpec)
			docs[spec.Name.Name] = flowing(decl.Doc.Text())
			t, ok := spec.Type.(*ast.StructType)
			if !ok {
				continue
			}
			for _, f := range t.Fields.List {
				for _, name := range f.Names {
					docs[spec.Name.Name+"."+name.Name] = flowing(f.Doc.Text())
				}
			}
		}
	}
}

// flowing joins the lines of a comment's paragraphs.
func flowing(comment string) string {
	paragraphs := strings.Split(strings.TrimSpace(comment), "\n\n")
	for i, p := range paragraphs {
		paragraphs[i] = strings.Join(strings.Fields(p), " ")
	}
	return strings.Join(paragraphs, "\n\n")
}

// schemaMaker turns nodes into JSON Schemas.
type schemaMaker struct {
	docs        map[string]string
	definitions map[string]any
}

// expansion matches strings that aren't known before they are expanded.
const expansion = `\$\{(env|file):`

// table returns the schema of a struct's keys.
func (m *schemaMaker) table(n *node) map[string]any {
	t := n.typ
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	properties := map[string]any{}
	var required []string
	var rules []any
	for _, f := range n.fields {
		s := m.field(f)
		if doc := m.docs[t.Name()+"."+f.goName]; doc != "" {
			s["description"] = doc + m.remarks(f)
		}
		properties[f.key] = s
		if f.required && f.only == nil {
			required = append(required, f.key)
		}
		if f.only == nil {
			continue
		}
		ours := map[string]any{"properties": map[string]any{typeKey: map[string]any{"enum": f.only}}}
		has := map[string]any{"required": []string{f.key}}
		rules = append(rules, map[string]any{"anyOf": []any{ours, map[string]any{"not": has}}})
		if f.required {
			rules = append(rules, map[string]any{"anyOf": []any{map[string]any{"not": ours}, has}})
		}
	}
	schema := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if doc := m.docs[t.Name()]; doc != "" {
		schema["description"] = doc
	}
	if required != nil {
		schema["required"] = required
	}
	if rules != nil {
		schema["allOf"] = rules
	}
	return schema
}

// remarks are what the doc doesn't say but the schema knows.
func (m *schemaMaker) remarks(f *field) string {
	s := ""
	if f.only != nil {
		s += " Only for type " + quotedWords(f.only) + "."
	}
	if f.apis != nil {
		s += " Only in APIs of type " + quotedWords(f.apis) + "."
	}
	if (f.min != "" || f.max != "") && f.kind != integerKind && f.kind != rateKind {
		s += fmt.Sprintf(" Range: %s to %s.", f.min, f.max)
	}
	return s
}

// field returns the schema of a field's value.
func (m *schemaMaker) field(f *field) map[string]any {
	s := m.value(f, f.node)
	if f.standard.IsValid() {
		s["default"] = f.shownDefault()
	}
	return s
}

// shownDefault returns the default as the file would have it.
func (f *field) shownDefault() any {
	switch f.kind {
	case durationKind, sizeKind, stringKind:
		return f.def
	}
	return f.standard.Interface()
}

// brief describes what may stand in place of a table with key f.
func (m *schemaMaker) brief(f *field) map[string]any {
	s := m.value(f, f.node)
	if s["type"] == "string" && s["enum"] == nil {
		s["minLength"] = 1
	}
	return s
}

func (m *schemaMaker) value(f *field, n *node) map[string]any {
	switch n.kind {
	case tableKind:
		name := n.typ.Name()
		if n.typ.Kind() == reflect.Pointer {
			name = n.typ.Elem().Name()
		}
		if _, made := m.definitions[name]; !made {
			m.definitions[name] = true // breaks cycles
			m.definitions[name] = m.table(n)
		}
		ref := map[string]any{"$ref": "#/definitions/" + name}
		if f.short != "" {
			return map[string]any{"anyOf": []any{m.brief(n.field(f.short)), ref}}
		}
		// Draft 4 ignores what stands beside $ref; allOf keeps the description.
		return map[string]any{"allOf": []any{ref}}
	case namesKind:
		s := map[string]any{"type": "object"}
		elem := m.value(f, n.elem)
		if f.name != nil {
			s["patternProperties"] = map[string]any{f.name.text: elem}
			s["additionalProperties"] = false
		} else {
			s["additionalProperties"] = elem
		}
		if f.required {
			s["minProperties"] = 1
		}
		return s
	case listKind:
		s := map[string]any{"type": "array", "items": m.value(f, n.elem)}
		if f.required {
			s["minItems"] = 1
		}
		return s
	case boolKind:
		return map[string]any{"type": "boolean"}
	case integerKind:
		return m.bounds(f, map[string]any{"type": "integer"})
	case rateKind:
		return m.bounds(f, map[string]any{"type": "number"})
	case sizeKind:
		return map[string]any{"anyOf": []any{
			m.bounds(f, map[string]any{"type": "integer"}),
			map[string]any{"type": "string", "pattern": `^[0-9]+(B|KiB|MiB|GiB|TiB)$|` + expansion},
		}}
	case durationKind:
		return map[string]any{"type": "string", "pattern": `^([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+$|` + expansion}
	case anyKind:
		return map[string]any{}
	}
	return m.text(f)
}

func (m *schemaMaker) text(f *field) map[string]any {
	s := map[string]any{"type": "string"}
	switch {
	case f.enum != nil:
		s["anyOf"] = []any{map[string]any{"enum": f.enum}, map[string]any{"pattern": expansion}}
	case f.pattern != nil:
		s["pattern"] = f.pattern.text + "|" + expansion
	case f.required && f.kind == stringKind:
		s["minLength"] = 1
	}
	if f.example != "" && f.kind == stringKind && f.enum == nil {
		s["examples"] = []string{f.example} // not of draft 4, where it is ignored; editors show it
	}
	return s
}

func (m *schemaMaker) bounds(f *field, s map[string]any) map[string]any {
	if f.min != "" {
		s["minimum"] = f.low
	}
	if f.max != "" {
		s["maximum"] = f.high
	}
	return s
}
