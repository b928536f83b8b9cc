package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// kind is what a value must be.
type kind uint8

const (
	tableKind kind = iota // a struct: known keys
	namesKind             // a map: keys are names
	listKind
	stringKind
	integerKind
	rateKind
	boolKind
	durationKind
	sizeKind
	anyKind
)

// node describes one value. The nodes are derived from the Go types and their
// tags; nothing else knows what a configuration may hold.
//
// Tags of a field, besides toml:
//
//	default   value when the key is absent; a list's elements are separated by commas
//	required  the key must be there; with for: only for those types
//	for       the values of the sibling "type" that use the key; elsewhere it is an error
//	api       the types of APIs in which the key is used; in others it is an error
//	instead   what to do in those, for hints
//	enum      the allowed words, separated by commas
//	min, max  the range of a number, size or duration
//	pattern   regular expression for the whole string
//	name      regular expression for the names in a map
//	want      what the pattern asks for, in words
//	names     what names are made of, in words
//	example   what to write, for hints and editors
//	aka       names of the key elsewhere, for hints
//	ref       table in which the string must name an entry
//	file      the string is a path, relative to the file that holds it, of a readable file
//	path      the string is such a path, of something to create; the tag lists other words
//	remote    a string that begins so names no file
//	secret    not to be shown
//	short     of a table, or of a list of them: a string, or true or false, is its key of that name
type node struct {
	kind   kind
	typ    reflect.Type
	fields []*field // of a table, in order of declaration
	elem   *node    // of names and lists
	zero   reflect.Value
}

// field is one key of a table. For names and lists, the checks of strings and
// numbers apply to the elements.
type field struct {
	*node
	key      string
	goName   string
	at       int // index in the struct
	standard reflect.Value
	def      string
	required bool
	only     []string
	apis     []string
	instead  string
	enum     []string
	min, max string
	low      int64
	high     int64
	pattern  *pattern
	name     *pattern
	want     string
	names    string
	example  string
	aka      []string
	ref      string
	file     bool
	remote   string   // a value that begins so names no file; "" for no such
	path     []string // nil: not a path
	secret   bool
	short    string
}

// typeKey is the key that decides which others a table uses.
const typeKey = "type"

// schemaOf derives the node of t. Mistakes in the tags are ours: it panics, and
// every load and every test runs into it.
func schemaOf(t reflect.Type) *node {
	n := &node{typ: t}
	switch {
	case t == reflect.TypeFor[Duration]():
		n.kind = durationKind
	case t == reflect.TypeFor[Size]():
		n.kind = sizeKind
	case t == reflect.TypeFor[Rate]():
		n.kind = rateKind
	case t.Kind() == reflect.Pointer:
		n = schemaOf(t.Elem())
		n.typ = t
	case t.Kind() == reflect.Struct:
		n.kind = tableKind
		n.zero = reflect.New(t).Elem()
		for i := range t.NumField() {
			if t.Field(i).IsExported() {
				n.fields = append(n.fields, fieldOf(t.Field(i), i))
			}
		}
		n.fill(n.zero)
	case t.Kind() == reflect.Map:
		n.kind, n.elem = namesKind, schemaOf(t.Elem())
	case t.Kind() == reflect.Slice:
		n.kind, n.elem = listKind, schemaOf(t.Elem())
	case t.Kind() == reflect.String:
		n.kind = stringKind
	case t.Kind() == reflect.Int:
		n.kind = integerKind
	case t.Kind() == reflect.Bool:
		n.kind = boolKind
	case t.Kind() == reflect.Interface:
		n.kind = anyKind
	default:
		panic(fmt.Sprintf("config: no schema for %v", t))
	}
	return n
}

// fill sets the defaults of a table whose keys don't depend on its type.
func (n *node) fill(into reflect.Value) {
	for _, f := range n.fields {
		if f.kind == tableKind && f.typ.Kind() == reflect.Struct {
			into.Field(f.at).Set(f.zero)
		} else if f.standard.IsValid() && f.only == nil && f.apis == nil {
			into.Field(f.at).Set(f.standard)
		}
	}
}

func fieldOf(sf reflect.StructField, at int) *field {
	tag := sf.Tag
	f := &field{
		node: schemaOf(sf.Type), key: tag.Get("toml"), goName: sf.Name, at: at,
		def: tag.Get("default"), required: tag.Get("required") == "true",
		only: words(tag, "for"), apis: words(tag, "api"), instead: tag.Get("instead"), enum: words(tag, "enum"), aka: words(tag, "aka"), path: words(tag, "path"),
		min: tag.Get("min"), max: tag.Get("max"), want: tag.Get("want"), names: tag.Get("names"), example: tag.Get("example"),
		ref: tag.Get("ref"), file: tag.Get("file") == "true", remote: tag.Get("remote"),
		secret:  tag.Get("secret") == "true",
		short:   tag.Get("short"),
		pattern: whole(tag.Get("pattern")), name: whole(tag.Get("name")),
	}
	f.low, f.high = f.bound(f.min), f.bound(f.max)
	if f.def != "" {
		f.standard = f.literal(f.node, f.def)
	}
	return f
}

func words(tag reflect.StructTag, key string) []string {
	s, found := tag.Lookup(key)
	if !found {
		return nil
	}
	return strings.Split(s, ",")
}

// pattern is a regular expression for a whole string. It is compiled when it is
// first needed, for most configurations need few of them; so a node is for one
// goroutine.
type pattern struct {
	text string
	re   *regexp.Regexp
}

func whole(text string) *pattern {
	if text == "" {
		return nil
	}
	return &pattern{text: `^(?:` + text + `)$`}
}

func (p *pattern) fits(s string) bool {
	if p.re == nil {
		p.re = regexp.MustCompile(p.text)
	}
	return p.re.MatchString(s)
}

// bound returns what a min or max tag says, as a number.
func (f *field) bound(s string) int64 {
	if s == "" {
		return 0
	}
	n := f.node
	if n.elem != nil {
		n = n.elem
	}
	if n.kind == rateKind {
		return int64(f.literal(n, s).Float())
	}
	return f.literal(n, s).Int()
}

// literal returns the value of n that a tag writes as s.
func (f *field) literal(n *node, s string) reflect.Value {
	typ := n.typ
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	v, ok := reflect.New(typ).Elem(), true
	switch n.kind {
	case stringKind:
		v.SetString(s)
	case boolKind:
		v.SetBool(s == "true")
	case integerKind:
		i, err := strconv.ParseInt(s, 10, 64)
		ok = err == nil
		v.SetInt(i)
	case rateKind:
		r, err := strconv.ParseFloat(s, 64)
		ok = err == nil
		v.SetFloat(r)
	case durationKind:
		var d Duration
		d, _, ok = parseDuration(s)
		v.SetInt(int64(d))
	case sizeKind:
		var size Size
		size, _, ok = parseSize(s)
		v.SetInt(int64(size))
	case listKind:
		parts := strings.Split(s, ",")
		v.Set(reflect.ValueOf(slices.Clip(parts)))
	default:
		ok = false
	}
	if !ok {
		panic(fmt.Sprintf("config: key %q: bad tag %q", f.key, s))
	}
	return v
}

// field returns the field of that key, or nil.
func (n *node) field(key string) *field {
	for _, f := range n.fields {
		if f.key == key {
			return f
		}
	}
	return nil
}

// takes reports whether v, written in place of f's table, can be f's value.
func (f *field) takes(v any) bool {
	_, isBool := v.(bool)
	_, isString := v.(string)
	return isBool && f.kind == boolKind || isString && f.kind != boolKind
}

// keys returns the keys of a table that apply to a type, in APIs of a type; "" stands for any.
func (n *node) keys(typ, apiType string) []string {
	var keys []string
	for _, f := range n.fields {
		if f.applies(typ) && f.serves(apiType) {
			keys = append(keys, f.key)
		}
	}
	return keys
}

// applies reports whether a table of that type uses the key.
func (f *field) applies(typ string) bool {
	return f.only == nil || typ == "" || slices.Contains(f.only, typ)
}

// serves reports whether an API of that type uses the key; "" stands for any.
func (f *field) serves(apiType string) bool {
	return f.apis == nil || apiType == "" || slices.Contains(f.apis, apiType)
}

// describe says what a value of n looks like.
func (n *node) describe() string {
	switch n.kind {
	case tableKind, namesKind:
		return "a table"
	case listKind:
		return "an array"
	case stringKind:
		return "a string"
	case integerKind:
		return "an integer"
	case rateKind:
		return "a number"
	case boolKind:
		return "true or false"
	case durationKind:
		return `a duration such as "29s"`
	case sizeKind:
		return `a size such as "10MiB"`
	}
	return "a value"
}
