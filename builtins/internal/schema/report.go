package schema

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/postern-gateway/postern/proxy/document"
)

// maxQuoted is how many bytes of a value a message quotes.
const maxQuoted = 1000

// Check returns what is wrong with a JSON text, "" if s allows it. What it returns is
// AWS's $context.error.validationErrorString: "[a, b]" with one message for each
// violation. Safe for concurrent use.
func (s *Schema) Check(text []byte) string {
	doc, err := document.Parse(text)
	if err != nil {
		return "[" + err.Error() + "]"
	}
	c := check{doc: doc, seeds: *s.seeds}
	if c.fits(s, doc.Root()) && c.over == nil {
		return ""
	}
	r := report{check: check{doc: doc, seeds: *s.seeds, over: c.over}}
	if c.over == nil {
		r.schema(s, doc.Root())
	}
	if r.over != nil {
		r.messages = append(r.messages, r.over.Error())
	}
	return "[" + strings.Join(r.messages, ", ") + "]"
}

// report collects what is wrong, in the order of AWS's library: the keywords of a
// schema by name; members and elements only while nothing was found; and of schemas
// in allOf, anyOf, oneOf and not their number alone.
type report struct {
	check
	messages []string
}

func (r *report) say(format string, args ...any) {
	if len(r.messages) < maxMessages {
		r.messages = append(r.messages, fmt.Sprintf(format, args...))
	}
}

// schema adds what s doesn't allow of n.
func (r *report) schema(s *Schema, n document.Node) {
	if !r.step() {
		return
	}
	if r.nesting++; r.nesting > maxNesting {
		r.exceed(errNesting)
		return
	}
	defer func() { r.nesting-- }()
	for s.ref != nil {
		s = s.ref
	}
	kind := r.doc.Kind(n)
	r.additional(s, n, kind)
	if count := r.matches(s.allOf, n, len(s.allOf)); count < len(s.allOf) {
		r.say("instance failed to match all required schemas (matched only %d out of %d)", count, len(s.allOf))
	}
	if len(s.anyOf) > 0 && r.matches(s.anyOf, n, 1) == 0 {
		r.say("instance failed to match at least one required schema among %d", len(s.anyOf))
	}
	if kind == document.Object {
		r.dependencies(s, n)
	}
	if s.enum != nil && !r.listed(s, n) {
		r.say("instance value (%s) not found in enum (possible values: %s)", cropped(string(r.doc.Append(nil, n))), s.enumText)
	}
	r.counts(s, n, kind)
	if s.not != nil && r.fits(s.not, n) {
		r.say("instance matched a schema which it should not have")
	}
	if count := r.matches(s.oneOf, n, len(s.oneOf)); len(s.oneOf) > 0 && count != 1 {
		r.say("instance failed to match exactly one schema (matched %d out of %d)", count, len(s.oneOf))
	}
	if text := r.doc.Text(n); kind == document.String && s.pattern != nil && !r.matchesPattern(s.pattern, text) {
		r.say(`ECMA 262 regex "%s" does not match input string "%s"`, s.pattern.text, cropped(text))
	}
	if kind == document.Object && !r.hasAll(n, s.required) {
		r.say("object has missing required properties (%s)", jsonNames(r.missing(n, s.required)))
	}
	if typ := typeOf(r.doc, n); s.types != 0 && s.types&typ == 0 {
		r.say("instance type (%s) does not match any allowed primitive type (allowed: %s)", typ.name(), s.typesText)
	}
	if kind == document.Array && s.unique && !r.distinct(n) {
		r.say("array must not contain duplicate elements")
	}
	if text := r.doc.Text(n); kind == document.String && s.format != nil && !s.format.fits(text) {
		r.say("%s", strings.ReplaceAll(s.format.message, "%s", cropped(text)))
	}
	if len(r.messages) == 0 {
		r.kids(s, n, kind)
	}
}

func (t typeSet) name() string {
	for i, name := range typeNames {
		if t == 1<<i {
			return name
		}
	}
	return ""
}

// additional says what additionalItems and additionalProperties forbid.
func (r *report) additional(s *Schema, n document.Node, kind document.Kind) {
	switch count := r.doc.Count(n); {
	case kind == document.Array && s.noFurther && count > len(s.tuple):
		r.say("schema only allows %d elements in array but instance has %d elements", len(s.tuple), count)
	case kind == document.Object && s.noAdditional:
		var unwanted []string
		for i := range count {
			name := r.doc.Name(r.doc.At(n, i))
			ruled := false
			r.eachOf(s, name, func(*Schema) bool { ruled = true; return false })
			if !ruled && len(unwanted) < maxMessages {
				unwanted = append(unwanted, cropped(name))
			}
		}
		slices.Sort(unwanted)
		if len(unwanted) > 0 {
			r.say("object instance has properties which are not allowed by the schema: %s", jsonNames(slices.Compact(unwanted)))
		}
	}
}

func (r *report) dependencies(s *Schema, n document.Node) {
	for i := range s.dependencies {
		d := &s.dependencies[i]
		if _, found := r.doc.Member(n, d.name); found && !r.hasAll(n, d.required) {
			r.say(`property "%s" of object has missing property dependencies (schema requires %s; missing: %s)`,
				d.name, jsonNames(d.required), jsonNames(r.missing(n, d.required)))
		}
	}
	for i := range s.dependencies {
		d := &s.dependencies[i]
		if _, found := r.doc.Member(n, d.name); found && d.schema != nil {
			r.schema(d.schema, n)
		}
	}
}

func (r *report) missing(n document.Node, names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		_, found := r.doc.Member(n, name)
		return found
	})
}

// counts says what the keywords from maxItems to multipleOf forbid.
func (r *report) counts(s *Schema, n document.Node, kind document.Kind) {
	count, text := r.doc.Count(n), r.doc.Text(n)
	switch kind {
	case document.Array:
		if s.maxItems >= 0 && count > s.maxItems {
			r.say("array is too long: must have at most %d elements but instance has %d elements", s.maxItems, count)
		}
		if count < s.minItems {
			r.say("array is too short: must have at least %d elements but instance has %d elements", s.minItems, count)
		}
	case document.Object:
		if s.maxProps >= 0 && count > s.maxProps {
			r.say("object has too many properties (found %d but schema requires at most %d)", count, s.maxProps)
		}
		if count < s.minProps {
			r.say("object has too few properties (found %d but schema requires at least %d)", count, s.minProps)
		}
	case document.String:
		length := utf8.RuneCountInString(text)
		if s.maxLength >= 0 && length > s.maxLength {
			r.say(`string "%s" is too long (length: %d, maximum allowed: %d)`, cropped(text), length, s.maxLength)
		}
		if length < s.minLength {
			r.say(`string "%s" is too short (length: %d, required minimum: %d)`, cropped(text), length, s.minLength)
		}
	case document.Number:
		r.bounds(s, parseNumber(text))
	}
}

func (r *report) bounds(s *Schema, v number) {
	if s.above(v) {
		if v.compare(*s.maximum) == 0 {
			r.say("numeric instance is not strictly lower than the required maximum %s", s.maximum.text)
		} else {
			r.say("numeric instance is greater than the required maximum (maximum: %s, found: %s)", s.maximum.text, cropped(v.text))
		}
	}
	if s.below(v) {
		if v.compare(*s.minimum) == 0 {
			r.say("numeric instance is not strictly greater than the required minimum %s", s.minimum.text)
		} else {
			r.say("numeric instance is lower than the required minimum (minimum: %s, found: %s)", s.minimum.text, cropped(v.text))
		}
	}
	if s.multipleOf != nil && !v.multiple(*s.multipleOf) {
		r.say("remainder of division is not zero (%s / %s)", cropped(v.text), s.multipleOf.text)
	}
}

func (r *report) kids(s *Schema, n document.Node, kind document.Kind) {
	switch kind {
	case document.Array:
		for i := range r.doc.Count(n) {
			if one := s.itemAt(i); one != nil {
				r.schema(one, r.doc.At(n, i))
			}
		}
	case document.Object:
		members := make([]document.Node, r.doc.Count(n))
		for i := range members {
			members[i] = r.doc.At(n, i)
		}
		slices.SortStableFunc(members, func(a, b document.Node) int { return strings.Compare(r.doc.Name(a), r.doc.Name(b)) })
		for _, kid := range members {
			r.eachOf(s, r.doc.Name(kid), func(one *Schema) bool {
				r.schema(one, kid)
				return true
			})
		}
	}
}

// cropped returns a value for a message.
func cropped(s string) string {
	if len(s) <= maxQuoted {
		return s
	}
	n := maxQuoted
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
