package config

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// checker holds a tree of values against the schema and decodes it, in one
// walk. It keeps going after a mistake and leaves what is wrong at its default.
type checker struct {
	*loader
	path    []string
	refs    []reference
	spoiled map[string]bool // paths of tables whose key was misspelt or has the wrong type
	apiType string          // of the API whose table is being checked; "" outside, and for one of no known type
}

// reference is a string that must name an entry of a table.
type reference struct {
	table string
	name  string
	path  []string
	at    *place
	where string // in which stage it names that, for messages; "" for all
}

// report adds an error about the value at c.path.
func (c *checker) report(at *place, sp span, text, hint string) {
	c.add(SeverityError, at, sp, c.path, text, hint)
}

// wrong adds an error that points at the whole value.
func (c *checker) wrong(at *place, text, hint string) {
	c.report(at, at.whole(), text, hint)
}

// whole is span, for a place that may be missing.
func (p *place) whole() span {
	if p == nil {
		return span{}
	}
	return p.span()
}

// within calls f with name added to the path.
func (c *checker) within(name string, f func()) {
	c.path = append(c.path, name)
	f()
	c.path = c.path[:len(c.path)-1]
}

// table checks and decodes tree, whose place is at, into a struct.
func (c *checker) table(n *node, tree map[string]any, at *place, into reflect.Value) {
	into.Set(n.zero)
	typ := n.typeOf(tree)
	if n.typ == reflect.TypeFor[API]() {
		c.apiType = typ
		defer func() { c.apiType = "" }()
	}
	var guessed []string // required keys that a misspelt one stands for
	for _, key := range keysOf(tree, at) {
		if key == includeKey && len(c.path) == 0 {
			continue // the loader has checked it, file by file
		}
		f := n.field(key)
		k := at.kid(key)
		if f == nil {
			guessed = append(guessed, c.unknown(n, typ, key, k, tree))
			continue
		}
		if !f.applies(typ) {
			c.unused(n, f, typ, k)
			continue
		}
		if !f.serves(c.apiType) {
			c.foreign(f, k)
			continue
		}
		c.within(key, func() { c.value(f, f.node, tree[key], k, into.Field(f.at)) })
	}
	for _, f := range n.fields {
		if _, there := tree[f.key]; there || !f.applies(typ) || typ == "" && f.only != nil || !f.serves(c.apiType) {
			continue
		}
		if f.required {
			if !slices.Contains(guessed, f.key) && !c.optional(f) {
				c.missing(f, at)
			}
		} else if (f.only != nil || f.apis != nil) && f.standard.IsValid() {
			into.Field(f.at).Set(f.standard)
		}
	}
}

// typeOf returns the type that tree chooses, or "" when it is absent or wrong.
func (n *node) typeOf(tree map[string]any) string {
	f := n.field(typeKey)
	if f == nil {
		return ""
	}
	typ, _ := tree[typeKey].(string)
	if !slices.Contains(f.enum, typ) {
		return ""
	}
	return typ
}

// keysOf returns tree's keys in the order of the file.
func keysOf(tree map[string]any, at *place) []string {
	if at != nil && len(at.kids) == len(tree) {
		keys := make([]string, len(at.kids))
		for i, k := range at.kids {
			keys[i] = k.name
		}
		return keys
	}
	return slices.Sorted(maps.Keys(tree))
}

// unknown reports a key that the table hasn't, and returns the one that was
// probably meant.
func (c *checker) unknown(n *node, typ, key string, at *place, tree map[string]any) string {
	keys := n.keys(typ, c.apiType)
	meant, hint := closest(key, keys), ""
	for _, f := range n.fields {
		if slices.Contains(f.aka, key) {
			meant = f.key
		}
	}
	if _, there := tree[meant]; there && !strings.EqualFold(meant, key) {
		meant = ""
	}
	switch table, inner := n.elsewhere(key); {
	case instead(key, "") != "":
		hint = instead(key, "")
	case meant != "" && strings.EqualFold(meant, key):
		hint = fmt.Sprintf("keys are case-sensitive: write %q", meant)
	case meant != "":
		hint = fmt.Sprintf("did you mean %q?", meant)
	case table != "":
		hint = fmt.Sprintf("write %q in the table %q", inner, table)
	default:
		hint = "keys here: " + listed(keys, 14)
	}
	if meant != "" {
		c.spoiled[joined(append(slices.Clone(c.path), meant))] = true
	}
	c.report(at, at.keySpan(), fmt.Sprintf("unknown key %q", key), hint)
	return meant
}

// keySpan is the span of the key itself, for a place that may be missing.
func (p *place) keySpan() span {
	if p == nil {
		return span{}
	}
	return p.key
}

// elsewhere returns the table below n that has the key, and the key there:
// "log" and "level" for "level", "log_level" and "log-level".
func (n *node) elsewhere(key string) (table, inner string) {
	for _, f := range n.fields {
		if f.kind != tableKind {
			continue
		}
		inner = key
		if rest, cut := strings.CutPrefix(key, f.key); cut && rest != "" {
			inner = strings.TrimLeft(rest, "_-.")
		}
		if f.node.field(inner) != nil {
			return f.key, inner
		}
	}
	return "", ""
}

// joined makes one string of a path.
func joined(path []string) string { return strings.Join(path, "\x00") }

func (c *checker) unused(n *node, f *field, typ string, at *place) {
	hint := fmt.Sprintf("%q is for %s", f.key, quotedWords(f.only))
	if f.instead != "" {
		hint += "; " + f.instead
	} else if keys := slices.DeleteFunc(n.keys(typ, c.apiType), func(k string) bool { return k == typeKey }); len(keys) > 0 {
		hint += fmt.Sprintf("; type %q has: %s", typ, strings.Join(keys, ", "))
	}
	c.within(f.key, func() { c.report(at, at.keySpan(), fmt.Sprintf("not used by type %q", typ), hint) })
}

// foreign reports a key that APIs of the present type don't have.
func (c *checker) foreign(f *field, at *place) {
	hint := fmt.Sprintf("%q is for APIs of type %s", f.key, quotedWords(f.apis))
	if f.instead != "" {
		hint += "; " + f.instead
	}
	c.within(f.key, func() { c.report(at, at.keySpan(), fmt.Sprintf("not used in APIs of type %q", c.apiType), hint) })
}

func quotedWords(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = strconv.Quote(w)
	}
	if n := len(quoted); n > 1 {
		return strings.Join(quoted[:n-1], ", ") + " and " + quoted[n-1]
	}
	return strings.Join(quoted, "")
}

func (c *checker) missing(f *field, at *place) {
	if c.incomplete && len(c.path) == 0 {
		return
	}
	text, hint := fmt.Sprintf("missing key %q", f.key), ""
	if f.kind == namesKind {
		text = fmt.Sprintf("needs a table %q with at least one entry", f.key)
	}
	if f.example != "" {
		hint = c.addition(f)
	}
	c.report(at, at.whole(), text, hint)
}

// addition says how to add the key.
func (c *checker) addition(f *field) string {
	switch {
	case f.kind == namesKind && f.elem.kind == tableKind:
		return "add a table [" + keyPath(append(slices.Clone(c.path), f.key, f.example), nil) + "]"
	case f.kind == stringKind || f.kind == durationKind || f.kind == sizeKind:
		return fmt.Sprintf("add %s = %q", f.key, f.example)
	}
	return "add " + f.key + " = " + f.example
}

// value checks v against n, which is f's node or its element's, and decodes it.
func (c *checker) value(f *field, n *node, v any, at *place, into reflect.Value) {
	if n.typ.Kind() == reflect.Pointer {
		fresh := reflect.New(n.typ.Elem())
		inner := *n
		inner.typ = n.typ.Elem()
		c.value(f, &inner, v, at, fresh.Elem())
		into.Set(fresh)
		return
	}
	switch n.kind {
	case tableKind:
		if tree, ok := v.(map[string]any); ok {
			c.table(n, tree, at, into)
			return
		}
		if only := n.field(f.short); only != nil && only.takes(v) {
			into.Set(n.zero)
			c.within(f.short, func() { c.value(only, only.node, v, at, into.Field(only.at)) })
			return
		}
	case namesKind:
		if tree, ok := v.(map[string]any); ok {
			c.names(f, n, tree, at, into)
			return
		}
	case listKind:
		if list, ok := asList(v); ok {
			c.list(f, n, list, at, into)
			return
		}
	case anyKind:
		if v := c.expandAll(v, at); v != nil {
			into.Set(reflect.ValueOf(v))
		}
		return
	case boolKind:
		if b, ok := v.(bool); ok {
			into.SetBool(b)
			return
		}
	case integerKind:
		if i, ok := v.(int64); ok {
			c.number(f, n, i, at, into)
			return
		}
	case rateKind:
		if r, ok := asRate(v); ok {
			c.rate(f, r, at, into)
			return
		}
	case sizeKind:
		if i, ok := v.(int64); ok {
			c.number(f, n, i, at, into)
			return
		}
		fallthrough
	case stringKind, durationKind:
		if s, ok := v.(string); ok {
			if s, ok = c.expand(s, at); ok {
				c.text(f, n, s, at, into)
			}
			return
		}
	}
	c.mismatch(f, n, v, at)
}

func asList(v any) ([]any, bool) {
	switch v := v.(type) {
	case []any:
		return v, true
	case []map[string]any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = v[i]
		}
		return list, true
	}
	return nil, false
}

// mismatch reports a value of the wrong type.
func (c *checker) mismatch(f *field, n *node, v any, at *place) {
	c.spoiled[joined(c.path)] = true
	hint := ""
	switch v := v.(type) {
	case int64:
		switch n.kind {
		case durationKind:
			hint = fmt.Sprintf(`write it with its unit: "%ds"`, v)
		case stringKind:
			hint = fmt.Sprintf(`write "%d"`, v)
		}
	case string:
		switch n.kind {
		case integerKind, rateKind:
			if _, err := strconv.Atoi(v); err == nil {
				hint = "leave the quotes out: " + v
			}
		case boolKind:
			if v == "true" || v == "false" {
				hint = "leave the quotes out: " + v
			}
		case listKind:
			hint = fmt.Sprintf("write [%s]", c.shown(v, at))
		}
	case bool:
		if n.kind == stringKind && f.enum == nil {
			hint = fmt.Sprintf(`write "%t"`, v)
		}
	case []map[string]any:
		if n.kind == tableKind || n.kind == namesKind {
			hint = "use single brackets: [" + keyPath(c.path, nil) + "]"
		}
	}
	if last := len(c.path) - 1; n.kind == tableKind && last > 0 && slices.ContainsFunc(n.fields, func(f *field) bool { return f.key == c.path[last] }) {
		// [listen] instead of [listen.public]: the key is one of an entry's.
		hint = fmt.Sprintf("an entry's name is missing: [%s]", keyPath(c.path[:last], nil)+".NAME")
	}
	if at.hides() {
		hint = ""
	}
	sp := at.whole()
	if at != nil && (at.form == header || at.form == headers || at.form == implied) {
		sp = at.key
	}
	want := n.describe()
	switch {
	case f.enum != nil && n.kind == stringKind:
		want = oneOf(f.enum)
	case f.short != "" && n.kind == tableKind:
		want = n.field(f.short).describe() + " or a table"
	}
	c.report(at, sp, "want "+want+", got "+c.gotten(v, at), hint)
}

// gotten describes a value that was found.
func (c *checker) gotten(v any, at *place) string {
	if at.hides() {
		return "another"
	}
	switch v := v.(type) {
	case string:
		return "the string " + c.shown(v, at)
	case int64:
		return fmt.Sprintf("the integer %d", v)
	case float64:
		return fmt.Sprintf("the float %v", v)
	case bool:
		return fmt.Sprintf("%t", v)
	case time.Time:
		return "a date or time"
	case map[string]any:
		return "a table"
	case []map[string]any:
		return "an array of tables"
	}
	return "an array"
}

// shown returns a string for a message: quoted, not too long, and when it was
// expanded then as it stands in the file, for it may be a secret.
func (c *checker) shown(s string, at *place) string {
	if at.hides() {
		return "a value that isn't shown"
	}
	prefix := ""
	if raw, was := c.expanded[joined(c.path)]; was {
		s, prefix = raw, "what results from "
	}
	if r := []rune(s); len(r) > 60 {
		s = string(r[:57]) + "…"
	}
	return prefix + strconv.Quote(s)
}

func (c *checker) names(f *field, n *node, tree map[string]any, at *place, into reflect.Value) {
	m := reflect.MakeMapWithSize(n.typ, len(tree))
	into.Set(m)
	if len(tree) == 0 && f.required {
		c.wrong(at, "needs at least one entry", c.addition(f))
	}
	for _, name := range keysOf(tree, at) {
		k := at.kid(name)
		c.within(name, func() {
			if f.name != nil && !f.name.fits(name) {
				c.report(k, k.keySpan(), "the name doesn't fit", "names here are made of "+f.names)
			}
			elem := reflect.New(n.elem.typ).Elem()
			c.value(f, n.elem, tree[name], k, elem)
			m.SetMapIndex(reflect.ValueOf(name), elem)
		})
	}
}

func (c *checker) list(f *field, n *node, list []any, at *place, into reflect.Value) {
	s := reflect.MakeSlice(n.typ, len(list), len(list))
	into.Set(s)
	if len(list) == 0 && f.required {
		c.wrong(at, "the array is empty", "")
	}
	for i, v := range list {
		c.within(strconv.Itoa(i), func() { c.value(f, n.elem, v, at.kid(strconv.Itoa(i)), s.Index(i)) })
	}
}

// number checks the range of a number, size or duration and stores it.
func (c *checker) number(f *field, n *node, v int64, at *place, into reflect.Value) {
	if f.min != "" && v < f.low || f.max != "" && v > f.high {
		c.outOfRange(f, at)
		return
	}
	into.SetInt(v)
}

func (c *checker) outOfRange(f *field, at *place) {
	var limits string
	switch {
	case f.max == "":
		limits = "at least " + f.min
	case f.min == "":
		limits = "at most " + f.max
	default:
		limits = f.min + " to " + f.max
	}
	hint := ""
	if f.def != "" {
		hint = "the default is " + f.def
	}
	c.wrong(at, "out of range: want "+limits, hint)
}

func asRate(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// rate checks the range of a rate, which rates always have, and stores it.
func (c *checker) rate(f *field, r float64, at *place, into reflect.Value) {
	if !(r >= float64(f.low) && r <= float64(f.high)) { // NaN is neither
		c.outOfRange(f, at)
		return
	}
	into.SetFloat(r)
}

// text checks a string, size or duration and stores it.
func (c *checker) text(f *field, n *node, s string, at *place, into reflect.Value) {
	switch n.kind {
	case durationKind:
		d, hint, ok := parseDuration(s)
		if !ok {
			c.unreadable(n, s, at, hint)
			return
		}
		c.number(f, n, int64(d), at, into)
		return
	case sizeKind:
		size, hint, ok := parseSize(s)
		if !ok {
			c.unreadable(n, s, at, hint)
			return
		}
		c.number(f, n, int64(size), at, into)
		return
	}
	into.SetString(s)
	switch {
	case f.enum != nil && !slices.Contains(f.enum, s):
		c.notListed(f, s, at)
	case f.pattern != nil && !f.pattern.fits(s):
		c.wrong(at, c.shown(s, at)+" doesn't fit: want "+f.want, "")
	case f.required && s == "":
		c.wrong(at, "must not be empty", "")
	case f.ref != "":
		c.refs = append(c.refs, reference{f.ref, s, slices.Clone(c.path), at, ""})
	case f.remote != "" && strings.HasPrefix(s, f.remote):
	case f.file && s != "":
		s = c.resolve(s, at)
		into.SetString(s)
		c.readable(s, at)
	case f.path != nil && s != "" && !slices.Contains(f.path, s):
		into.SetString(c.resolve(s, at))
	}
}

// unreadable reports a string that is no n; hint must go if it tells a secret.
func (c *checker) unreadable(n *node, s string, at *place, hint string) {
	if _, was := c.expanded[joined(c.path)]; was {
		hint = ""
	}
	c.wrong(at, "want "+n.describe()+", got "+c.shown(s, at), hint)
}

func (c *checker) notListed(f *field, s string, at *place) {
	hint := ""
	if other := instead(f.key, s); other != "" {
		hint = other
	} else if meant := closest(s, f.enum); meant != "" {
		hint = fmt.Sprintf("did you mean %q?", meant)
	} else if f.def != "" && f.kind != listKind {
		hint = fmt.Sprintf("the default is %q", f.def)
	}
	c.wrong(at, c.shown(s, at)+" isn't "+oneOf(f.enum), hint)
}

// oneOf lists what is allowed: `"a", "b" or "c"`.
func oneOf(words []string) string {
	return strings.Replace(quotedWords(words), " and ", " or ", 1)
}

// resolve makes a path relative to the file that holds it usable.
func (c *checker) resolve(path string, at *place) string {
	if filepath.IsAbs(path) || at == nil {
		return path
	}
	return filepath.Join(filepath.Dir(at.src.name), path)
}

// readable reports a file that can't be read.
func (c *checker) readable(path string, at *place) {
	c.watch(path)
	st, err := os.Stat(path)
	if err == nil && !st.Mode().IsRegular() {
		c.wrong(at, "not a regular file", "")
		return
	}
	if err == nil {
		var f *os.File
		if f, err = os.Open(path); err == nil {
			_ = f.Close() // nothing was written
			return
		}
	}
	c.wrong(at, "can't read the file: "+cause(err), lookedAt(path))
}
