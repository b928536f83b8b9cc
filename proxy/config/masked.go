package config

import (
	"encoding/json"
	"reflect"
	"strconv"
)

// mask stands for what isn't shown.
const mask = "***"

// Masked returns the configuration that is in effect as JSON, with defaults and
// without secrets: the values of env and config of plugins are masked, and
// strings with ${env:…} or ${file:…} stand there as in the file.
func (c *Config) Masked() ([]byte, error) {
	m := masker{}
	schema := schemaOf(reflect.TypeFor[Config]())
	if c.origin != nil {
		m.expanded = c.origin.expanded
	}
	v := m.table(schema, reflect.ValueOf(c).Elem())
	return json.MarshalIndent(v, "", "  ")
}

// masker makes the values that JSON shows.
type masker struct {
	path     []string
	expanded map[string]string
}

func (m *masker) table(n *node, v reflect.Value) map[string]any {
	typ := ""
	if f := n.field(typeKey); f != nil {
		typ = v.Field(f.at).String()
	}
	shown := map[string]any{}
	for _, f := range n.fields {
		field := v.Field(f.at)
		if !f.applies(typ) || field.IsZero() && f.def == "" && f.kind != boolKind && f.kind != tableKind {
			continue
		}
		if s, show := m.value(f, f.node, f.key, field); show {
			shown[f.key] = s
		}
	}
	return shown
}

// value returns what to show for v, the value of key, and whether to show it.
func (m *masker) value(f *field, n *node, key string, v reflect.Value) (any, bool) {
	m.path = append(m.path, key)
	defer func() { m.path = m.path[:len(m.path)-1] }()
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil, false
		}
		v = v.Elem()
	}
	switch n.kind {
	case tableKind:
		t := m.table(n, v)
		return t, len(t) > 0
	case namesKind:
		shown := map[string]any{}
		for it := v.MapRange(); it.Next(); {
			name := it.Key().String()
			shown[name], _ = m.value(f, n.elem, name, it.Value())
		}
		return shown, len(shown) > 0
	case listKind:
		list := make([]any, v.Len())
		for i := range list {
			list[i], _ = m.value(f, n.elem, strconv.Itoa(i), v.Index(i))
		}
		return list, len(list) > 0
	case anyKind:
		return masked(v.Interface()), true
	}
	if f.secret {
		return mask, true
	}
	if raw, was := m.expanded[joined(m.path)]; was {
		return raw, true
	}
	return v.Interface(), true
}

// masked keeps the shape and the keys of v.
func masked(v any) any {
	switch v := v.(type) {
	case map[string]any:
		shown := make(map[string]any, len(v))
		for key, value := range v {
			shown[key] = masked(value)
		}
		return shown
	case []any:
		shown := make([]any, len(v))
		for i := range v {
			shown[i] = masked(v[i])
		}
		return shown
	case []map[string]any:
		shown := make([]any, len(v))
		for i := range v {
			shown[i] = masked(v[i])
		}
		return shown
	}
	return mask
}
