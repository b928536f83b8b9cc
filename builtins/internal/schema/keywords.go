package schema

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/dlclark/regexp2"

	"github.com/postern-gateway/postern/proxy/document"
)

// reader reads the keywords of one schema.
type reader struct {
	*compiler
	doc   *document.Document
	at    place
	base  *url.URL
	where string
	s     *Schema
}

// schema returns the compiled schema at p, which where describes.
func (c *compiler) schema(p place, where string) *Schema {
	if s := c.made[p]; s != nil {
		return s
	}
	s := &Schema{where: where, seeds: &c.seeds, minProps: -1, maxProps: -1, minItems: -1, maxItems: -1, minLength: -1, maxLength: -1}
	c.made[p] = s
	c.order = append(c.order, p)
	r := &reader{compiler: c, doc: c.docs[p.source], at: p, base: c.bases[p], where: where, s: s}
	if r.doc.Kind(p.node) != document.Object {
		r.wrong("", "a schema is an object", "")
		return s
	}
	if ref, found := r.doc.Member(p.node, "$ref"); found {
		if r.doc.Kind(ref) != document.String {
			r.wrong("$ref", "want a string", "")
			return s
		}
		s.ref = c.reference(p.source, r.doc.Text(ref), r.base, where+"/$ref")
		return s
	}
	for i := range r.doc.Count(p.node) {
		kid := r.doc.At(p.node, i)
		r.keyword(r.doc.Name(kid), kid)
	}
	r.finish()
	return s
}

func (r *reader) wrong(keyword, text, hint string) {
	where := r.where
	if keyword != "" {
		where += "/" + keyword
	}
	r.add(r.at.source, where, text, hint)
}

// within returns the schema at n, which stands below path.
func (r *reader) within(n document.Node, path ...string) *Schema {
	p := place{r.at.source, n}
	if r.bases[p] == nil {
		r.bases[p] = r.base
	}
	where := r.where
	for _, token := range path {
		where += "/" + strings.ReplaceAll(strings.ReplaceAll(token, "~", "~0"), "/", "~1")
	}
	return r.schema(p, where)
}

func (r *reader) keyword(name string, n document.Node) {
	s := r.s
	switch name {
	case "$schema":
		r.draft(n)
	case "type":
		r.types(n)
	case "enum":
		r.enum(n)
	case "allOf":
		s.allOf = r.schemas(name, n, 1)
	case "anyOf":
		s.anyOf = r.schemas(name, n, 1)
	case "oneOf":
		s.oneOf = r.schemas(name, n, 1)
	case "not":
		s.not = r.within(n, name)
	case "definitions":
		r.named(name, n)
	case "properties":
		s.properties = r.named(name, n)
	case "patternProperties":
		r.patternProperties(n)
	case "additionalProperties":
		s.additional, s.noAdditional = r.schemaOrFlag(name, n)
	case "required":
		s.required = r.names(name, n)
	case "dependencies":
		r.dependencies(n)
	case "items":
		r.items(n)
	case "additionalItems":
		s.further, s.noFurther = r.schemaOrFlag(name, n)
	case "uniqueItems":
		s.unique = r.flag(name, n)
	case "minProperties":
		s.minProps = r.count(name, n)
	case "maxProperties":
		s.maxProps = r.count(name, n)
	case "minItems":
		s.minItems = r.count(name, n)
	case "maxItems":
		s.maxItems = r.count(name, n)
	case "minLength":
		s.minLength = r.count(name, n)
	case "maxLength":
		s.maxLength = r.count(name, n)
	case "pattern":
		s.pattern = r.pattern(name, r.text(name, n))
	case "format":
		s.format = formatOf(r.text(name, n))
	default:
		r.numeric(name, n)
	}
}

func (r *reader) numeric(name string, n document.Node) {
	s := r.s
	switch name {
	case "multipleOf":
		if s.multipleOf = r.number(name, n); s.multipleOf != nil && s.multipleOf.compare(parseNumber("0")) <= 0 {
			r.wrong(name, "want a number above 0", "")
			s.multipleOf = nil
		}
	case "minimum":
		s.minimum = r.number(name, n)
	case "maximum":
		s.maximum = r.number(name, n)
	case "exclusiveMinimum":
		s.exclusiveLeast = r.exclusive(name, "minimum", n)
	case "exclusiveMaximum":
		s.exclusiveMost = r.exclusive(name, "maximum", n)
	case "const":
		r.later(name, `write "enum" with one value`)
	case "contains", "propertyNames", "if", "then", "else", "minContains", "maxContains", "prefixItems",
		"dependentRequired", "dependentSchemas", "unevaluatedItems", "unevaluatedProperties":
		r.later(name, "it would be ignored, as on AWS: say it with the keywords of draft-04, or remove it")
	}
}

// later reports a keyword of a later draft.
func (r *reader) later(name, hint string) {
	r.wrong(name, fmt.Sprintf("draft-04 has no %q", name), hint)
}

// finish checks what no single keyword shows.
func (r *reader) finish() {
	s := r.s
	if !s.isTuple {
		s.further, s.noFurther = nil, false // they count beside a list of items only
	}
	if s.noFurther {
		s.further = nil
	}
	s.members = s.properties != nil || s.patterns != nil || s.additional != nil || s.noAdditional
	for _, of := range []struct {
		exclusive bool
		bound     *number
		name      string
	}{{s.exclusiveLeast, s.minimum, "minimum"}, {s.exclusiveMost, s.maximum, "maximum"}} {
		if of.exclusive && of.bound == nil {
			r.wrong("", fmt.Sprintf("exclusive, without a %q", of.name), "in draft-04 the number stands there")
		}
	}
}

func (r *reader) draft(n document.Node) {
	draft := strings.TrimSuffix(r.text("$schema", n), "#")
	if draft != "http://json-schema.org/draft-04/schema" && draft != "https://json-schema.org/draft-04/schema" && draft != "http://json-schema.org/schema" {
		r.wrong("$schema", fmt.Sprintf("models are JSON Schema draft-04, not %q", draft), `write "http://json-schema.org/draft-04/schema#"`)
	}
}

func (r *reader) text(name string, n document.Node) string {
	if r.doc.Kind(n) != document.String {
		r.wrong(name, "want a string", "")
	}
	return r.doc.Text(n)
}

func (r *reader) flag(name string, n document.Node) bool {
	if r.doc.Kind(n) != document.Boolean {
		r.wrong(name, "want true or false", "")
	}
	return r.doc.Text(n) == "true"
}

func (r *reader) exclusive(name, bound string, n document.Node) bool {
	if r.doc.Kind(n) == document.Number {
		r.wrong(name, "want true or false: a number is of a later draft", fmt.Sprintf(`write %q with the number, and %q: true`, bound, name))
		return false
	}
	return r.flag(name, n)
}

func (r *reader) count(name string, n document.Node) int {
	i, err := strconv.Atoi(strings.TrimSuffix(r.doc.Text(n), ".0"))
	if r.doc.Kind(n) != document.Number || err != nil || i < 0 {
		r.wrong(name, "want a whole number, at least 0", "")
	}
	return i
}

func (r *reader) number(name string, n document.Node) *number {
	if r.doc.Kind(n) != document.Number || len(r.doc.Text(n)) > maxDigits {
		r.wrong(name, "want a number", "")
		return nil
	}
	v := parseNumber(r.doc.Text(n))
	return &v
}

func (r *reader) pattern(name, text string) *pattern {
	re, err := compilePattern(text)
	if err != nil {
		r.wrong(name, err.Error(), "regular expressions here are ECMA 262's")
		return nil
	}
	re.MatchTimeout = maxPatterns
	return &pattern{text, re}
}

// compilePattern compiles a regular expression of ECMA 262. The engine knows some
// escapes of other languages besides, which there stand for their letter.
func compilePattern(text string) (*regexp2.Regexp, error) {
	var plain []byte
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) {
			i++
			if strings.IndexByte("AZzGae", text[i]) < 0 {
				plain = append(plain, '\\')
			}
		}
		plain = append(plain, text[i])
	}
	return regexp2.Compile(string(plain), regexp2.ECMAScript)
}

func (r *reader) names(name string, n document.Node) []string {
	var all []string
	for i := range r.doc.Count(n) {
		if kid := r.doc.At(n, i); r.doc.Kind(kid) == document.String {
			all = append(all, r.doc.Text(kid))
		}
	}
	if r.doc.Kind(n) != document.Array || len(all) == 0 || len(all) != r.doc.Count(n) {
		r.wrong(name, "want an array of names, at least one", "")
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (r *reader) types(n document.Node) {
	var all []string
	if r.doc.Kind(n) == document.String {
		all = []string{r.doc.Text(n)}
	} else {
		all = r.names("type", n)
	}
	for _, name := range all {
		i := slices.Index(typeNames[:], name)
		if i < 0 {
			r.wrong("type", fmt.Sprintf("there is no type %q", name), "types: "+strings.Join(typeNames[:], ", "))
			continue
		}
		r.s.types |= 1 << i
	}
	if r.s.types&numberType != 0 {
		r.s.types |= integerType
	}
	var listed []string
	for i, name := range typeNames {
		if r.s.types&(1<<i) != 0 {
			listed = append(listed, name)
		}
	}
	r.s.typesText = jsonNames(listed)
}

// jsonNames returns names as a JSON array.
func jsonNames(names []string) string {
	text := []byte{'['}
	for i, name := range names {
		if i > 0 {
			text = append(text, ',')
		}
		text = document.AppendString(text, name)
	}
	return string(append(text, ']'))
}

func (r *reader) enum(n document.Node) {
	if r.doc.Kind(n) != document.Array || r.doc.Count(n) == 0 {
		r.wrong("enum", "want an array of values, at least one", "")
		return
	}
	c := check{doc: r.doc, seeds: r.seeds}
	r.s.enum = []value{}
	for i := range r.doc.Count(n) {
		kid := r.doc.At(n, i)
		v := value{kind: r.doc.Kind(kid), text: r.doc.Text(kid)}
		switch v.kind {
		case document.Number:
			v.number = parseNumber(v.text)
		case document.Array, document.Object:
			v.digest = c.digest(kid)
		}
		r.s.enum = append(r.s.enum, v)
	}
	r.s.enumText = string(r.doc.Append(nil, n))
}

func (r *reader) schemas(name string, n document.Node, least int) []*Schema {
	if r.doc.Kind(n) != document.Array || r.doc.Count(n) < least {
		r.wrong(name, "want an array of schemas, at least one", "")
		return nil
	}
	all := []*Schema{}
	for i := range r.doc.Count(n) {
		all = append(all, r.within(r.doc.At(n, i), name, strconv.Itoa(i)))
	}
	return all
}

func (r *reader) named(name string, n document.Node) map[string]*Schema {
	if r.doc.Kind(n) != document.Object {
		r.wrong(name, "want an object of schemas", "")
		return nil
	}
	all := map[string]*Schema{}
	for i := range r.doc.Count(n) {
		kid := r.doc.At(n, i)
		all[r.doc.Name(kid)] = r.within(kid, name, r.doc.Name(kid))
	}
	return all
}

func (r *reader) patternProperties(n document.Node) {
	all := r.named("patternProperties", n)
	for i := range r.doc.Count(n) {
		text := r.doc.Name(r.doc.At(n, i))
		if p := r.pattern("patternProperties", text); p != nil {
			r.s.patterns = append(r.s.patterns, patternSchema{p, all[text]})
		}
	}
}

func (r *reader) schemaOrFlag(name string, n document.Node) (s *Schema, none bool) {
	if r.doc.Kind(n) == document.Boolean {
		return nil, r.doc.Text(n) == "false"
	}
	if r.doc.Kind(n) != document.Object {
		r.wrong(name, "want a schema, true or false", "")
		return nil, false
	}
	return r.within(n, name), false
}

func (r *reader) items(n document.Node) {
	if r.doc.Kind(n) == document.Array {
		r.s.isTuple = true
		r.s.tuple = r.schemas("items", n, 0)
		return
	}
	r.s.items = r.within(n, "items")
}

func (r *reader) dependencies(n document.Node) {
	if r.doc.Kind(n) != document.Object {
		r.wrong("dependencies", "want an object", "")
		return
	}
	for i := range r.doc.Count(n) {
		kid := r.doc.At(n, i)
		d := dependency{name: r.doc.Name(kid)}
		if r.doc.Kind(kid) == document.Array {
			d.required = r.names("dependencies", kid)
		} else {
			d.schema = r.within(kid, "dependencies", d.name)
		}
		r.s.dependencies = append(r.s.dependencies, d)
	}
}
