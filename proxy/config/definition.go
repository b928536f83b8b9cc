package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Definition is what an API is, as a tree of the configuration's own keys that JSON
// can hold: what a deployment freezes. Keys at their defaults are left out, short
// forms are written out, texts of files stand in it; ${env:…} and ${file:…} stay as
// they were written, so that no secret gets into it that the configuration hasn't.
//
//	api         the API's table, without what changes while it serves
//	authorizer  the gateway's authorizers that its routes name, with their settings
//	guard       the same of guards
//	plugin      the same of plugins; their modules are the deployment's concern
//
// Backends, principals, networks, client certificates, plans and keys go by name: what
// they are at the time counts, as it does for AWS's VPC links and usage plans.
type Definition map[string]any

// live are the keys of an API that take effect at once: AWS keeps them apart from
// deployments too, or they say where an API is and not what it is.
func live(key string) bool {
	return key == "id" || key == "description" || key == "stage" || key == "endpoint" || key == "disable_default_endpoint"
}

// defined are the tables beside the API's that a Definition takes entries of.
func defined() []string { return []string{"authorizer", "guard", pluginTable} }

const (
	pluginTable = "plugin"
	apiTable    = "api"
)

// Definition returns the definition of the API of that name. The error names the
// file that can't be read.
func (c *Config) Definition(api string) (Definition, error) {
	e := &freezer{cfg: c, api: api, wanted: map[string]map[string]bool{}}
	var schema *node
	if c.origin != nil {
		schema = c.origin.schema
	} else {
		schema = schemaOf(reflect.TypeFor[Config]())
	}
	for _, table := range defined() {
		e.wanted[table] = map[string]bool{}
	}
	d := Definition{}
	node := *schema.field(apiTable).elem
	node.fields = slices.DeleteFunc(slices.Clone(node.fields), func(f *field) bool { return live(f.key) })
	e.path = []string{apiTable, api}
	d[apiTable] = e.table(&node, reflect.ValueOf(c.API[api]))
	for _, table := range defined() { // those further down may be named by those before
		f := schema.field(table)
		entries := map[string]any{}
		names := reflect.ValueOf(c).Elem().Field(f.at)
		for it := names.MapRange(); it.Next(); {
			name := it.Key().String()
			if !e.wants(table, name) {
				continue
			}
			e.path = []string{table, name}
			entries[name] = e.table(f.elem, it.Value())
		}
		if len(entries) > 0 {
			d[table] = entries
		}
	}
	return d, e.err
}

// freezer makes the tree of a Definition.
type freezer struct {
	cfg    *Config
	api    string
	path   []string
	wanted map[string]map[string]bool // names by table
	err    error                      // the first one
}

// wants reports whether an entry of a table is named. A plugin's name may have a stage
// variable at its end: then all that it can become are.
func (e *freezer) wants(table, name string) bool {
	if e.wanted[table][name] {
		return true
	}
	for wanted := range e.wanted[table] {
		if fixed, _, variable := strings.Cut(wanted, "${"); variable && strings.HasPrefix(name, fixed) {
			return true
		}
	}
	return false
}

// table returns a table's tree.
func (e *freezer) table(n *node, v reflect.Value) map[string]any {
	tree := map[string]any{}
	typ := ""
	if f := n.field(typeKey); f != nil && f.kind == stringKind {
		typ = v.Field(f.at).String()
	}
	text, file := n.field("text"), n.field("file")
	whole := text != nil && file != nil && file.file
	for _, f := range n.fields {
		field := v.Field(f.at)
		if !f.applies(typ) || !f.serves(e.apiType()) || f.isDefault(field) {
			continue
		}
		if whole && f == file {
			content, err := os.ReadFile(field.String())
			if err != nil && e.err == nil {
				e.err = fmt.Errorf("%s: %w", keyPath(e.path, nil), err)
			}
			tree[text.key] = escaped(string(content))
			continue
		}
		e.within(f.key, func() { tree[f.key] = e.value(f, f.node, field) })
	}
	return tree
}

// apiType is the type of the API that is frozen. What is beside it has no keys that are for
// APIs of one type alone.
func (e *freezer) apiType() string { return e.cfg.API[e.api].Type }

// isDefault reports whether v is what f is when it isn't there.
func (f *field) isDefault(v reflect.Value) bool {
	switch {
	case v.Kind() == reflect.Pointer, v.Kind() == reflect.Interface:
		return v.IsNil()
	case f.standard.IsValid():
		return reflect.DeepEqual(v.Interface(), f.standard.Interface())
	case f.kind == tableKind:
		return reflect.DeepEqual(v.Interface(), f.zero.Interface())
	}
	return v.IsZero()
}

func (e *freezer) within(name string, f func()) {
	e.path = append(e.path, name)
	f()
	e.path = e.path[:len(e.path)-1]
}

func (e *freezer) value(f *field, n *node, v reflect.Value) any {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch n.kind {
	case tableKind:
		return e.table(n, v)
	case namesKind:
		tree := map[string]any{}
		for it := v.MapRange(); it.Next(); {
			name := it.Key().String()
			e.within(name, func() { tree[name] = e.value(f, n.elem, it.Value()) })
		}
		return tree
	case listKind:
		list := make([]any, v.Len())
		for i := range list {
			e.within(strconv.Itoa(i), func() { list[i] = e.value(f, n.elem, v.Index(i)) })
		}
		return list
	case anyKind:
		return e.any(v.Interface())
	case boolKind:
		return v.Bool()
	case integerKind:
		return v.Int()
	case rateKind:
		return v.Float()
	}
	if raw, was := e.raw(); was && !f.file && f.path == nil {
		return raw
	}
	if s, ok := v.Interface().(fmt.Stringer); ok { // a size or a duration
		return s.String()
	}
	return e.text(f, v.String())
}

// text returns a string's tree, and notes what it names.
func (e *freezer) text(f *field, s string) string {
	isFile := f.file && (f.remote == "" || !strings.HasPrefix(s, f.remote)) || f.path != nil && !slices.Contains(f.path, s)
	if isFile && s != "" {
		if full, err := filepath.Abs(s); err == nil {
			s = full
		}
	}
	if names := e.wanted[f.ref]; names != nil {
		if _, own := e.cfg.API[e.api].Authorizer[s]; !own || f.ref != "authorizer" {
			names[s] = true
		}
	}
	return escaped(s)
}

// escaped returns s as the configuration writes it, so that it is read back as s.
func escaped(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "${env:", "$${env:"), "${file:", "$${file:")
}

// raw returns what was written at the present path, if ${env:…} or ${file:…} were
// in it. Paths of files are made whole, because what is read back has no folder.
func (e *freezer) raw() (string, bool) {
	if e.cfg.origin == nil {
		return "", false
	}
	raw, was := e.cfg.origin.expanded[joined(e.path)]
	if !was {
		return "", false
	}
	folder := "."
	if at := e.cfg.origin.nearest(e.path); at != nil && at.src != nil {
		folder = filepath.Dir(at.src.name)
	}
	var b strings.Builder
	for rest := raw; ; {
		i := strings.Index(rest, "${file:")
		if i < 0 {
			b.WriteString(rest)
			return b.String(), true
		}
		b.WriteString(rest[:i])
		_, name, after, found := expression(rest[i:])
		if i > 0 && rest[i-1] == '$' || !found || filepath.IsAbs(name) {
			b.WriteString(rest[i : i+len("${file:")])
			rest = rest[i+len("${file:"):]
			continue
		}
		if full, err := filepath.Abs(filepath.Join(folder, name)); err == nil {
			name = full
		}
		b.WriteString("${file:" + name + "}")
		rest = after
	}
}

// any returns the tree of a value of any shape.
func (e *freezer) any(v any) any {
	switch v := v.(type) {
	case string:
		if raw, was := e.raw(); was {
			return raw
		}
		return escaped(v)
	case map[string]any:
		tree := make(map[string]any, len(v))
		for name := range v {
			e.within(name, func() { tree[name] = e.any(v[name]) })
		}
		return tree
	case []map[string]any:
		list, _ := asList(v)
		return e.any(list)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			e.within(strconv.Itoa(i), func() { list[i] = e.any(v[i]) })
		}
		return list
	}
	return v
}

// With returns the configuration with another definition of the API of that name,
// which has to be there. What live is stays. Findings about what it returns have no
// place in a file. Nothing of c changes; the two share what is the same.
func (c *Config) With(api string, d Definition) (*Config, Findings) {
	l := newLoader()
	k := &checker{loader: l, spoiled: map[string]bool{}}
	schema := schemaOf(reflect.TypeFor[defining]())
	for _, f := range schema.fields {
		if f.key == apiTable {
			f.node.fields = slices.DeleteFunc(f.node.fields, func(f *field) bool { return live(f.key) })
		}
	}
	var read defining
	tree, _ := numbers(map[string]any(d)).(map[string]any)
	k.table(schema, tree, nil, reflect.ValueOf(&read).Elem())
	if l.findings.Failed() {
		return nil, l.findings
	}
	next := *c
	next.origin = nil
	now := c.API[api]
	read.API.ID, read.API.Description, read.API.Stage = now.ID, now.Description, now.Stage
	read.API.Endpoint, read.API.DisableDefaultEndpoint = now.Endpoint, now.DisableDefaultEndpoint
	next.API = overlaid(c.API, map[string]API{api: read.API})
	next.Authorizer = overlaid(c.Authorizer, read.Authorizer)
	next.Guard = overlaid(c.Guard, read.Guard)
	next.Plugin = overlaid(c.Plugin, read.Plugin)
	return &next, l.findings
}

// defining is the shape of a Definition.
type defining struct {
	API        API                   `toml:"api" required:"true"`
	Authorizer map[string]Authorizer `toml:"authorizer"`
	Guard      map[string]Guard      `toml:"guard"`
	Plugin     map[string]Plugin     `toml:"plugin"`
}

func overlaid[V any](below, above map[string]V) map[string]V {
	if len(above) == 0 {
		return below
	}
	all := make(map[string]V, len(below)+len(above))
	maps.Copy(all, below)
	maps.Copy(all, above)
	return all
}

// numbers returns v with JSON's numbers as TOML has them.
func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, err := v.Float64()
		if err != nil {
			f = math.NaN() // which no range has
		}
		return f
	case int:
		return int64(v)
	case Definition:
		return numbers(map[string]any(v))
	case map[string]any:
		tree := make(map[string]any, len(v))
		for key := range v {
			tree[key] = numbers(v[key])
		}
		return tree
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = numbers(v[i])
		}
		return list
	}
	return v
}

// KeyPath writes the path of a key as TOML would: api.pets.route."GET /pets".
func KeyPath(path ...string) string { return keyPath(path, nil) }

// Secrets returns a function that reports whether the value at a path of a Definition
// isn't to be shown. It is for one goroutine.
func Secrets() func(path []string) bool {
	root := schemaOf(reflect.TypeFor[defining]())
	return func(path []string) bool {
		n := root
		for _, part := range path {
			if n.kind == tableKind {
				f := n.field(part)
				if f == nil || f.secret {
					return f != nil
				}
				n = f.node
			} else if n = n.elem; n == nil {
				return false
			}
		}
		return false
	}
}
