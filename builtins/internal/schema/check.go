package schema

import (
	"errors"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/postern-gateway/postern/proxy/document"
)

// check is one document being checked.
type check struct {
	doc      *document.Document
	seeds    seeds
	steps    int
	nesting  int
	patterns time.Duration
	over     error // a limit is reached, and nothing counts any more
}

// The limits that a check can reach.
var (
	errSteps    = errors.New("checking it takes too many steps")
	errNesting  = errors.New("its schemas nest too deeply")
	errPatterns = errors.New("its strings take regular expressions too long")
)

// step counts one step and reports whether there may be more.
func (c *check) step() bool {
	c.steps++
	if c.steps > maxSteps {
		c.exceed(errSteps)
	}
	return c.over == nil
}

func (c *check) exceed(err error) {
	if c.over == nil {
		c.over = err
	}
}

// fits reports whether n is what s allows. What it says counts only while
// c.over is nil.
func (c *check) fits(s *Schema, n document.Node) bool {
	if !c.step() {
		return false
	}
	if c.nesting++; c.nesting > maxNesting {
		c.exceed(errNesting)
	}
	defer func() { c.nesting-- }()
	for s.ref != nil {
		s = s.ref
	}
	if s.types != 0 && s.types&typeOf(c.doc, n) == 0 || s.enum != nil && !c.listed(s, n) {
		return false
	}
	switch c.doc.Kind(n) {
	case document.Object:
		if !c.objectFits(s, n) {
			return false
		}
	case document.Array:
		if !c.arrayFits(s, n) {
			return false
		}
	case document.String:
		if !c.stringFits(s, c.doc.Text(n)) {
			return false
		}
	case document.Number:
		if !numberFits(s, c.doc.Text(n)) {
			return false
		}
	}
	return c.combined(s, n)
}

// combined is fits for allOf, anyOf, oneOf and not.
func (c *check) combined(s *Schema, n document.Node) bool {
	if len(s.allOf) > 0 && c.matches(s.allOf, n, len(s.allOf)) < len(s.allOf) {
		return false
	}
	if len(s.anyOf) > 0 && !slices.ContainsFunc(s.anyOf, func(one *Schema) bool { return c.fits(one, n) }) {
		return false
	}
	if len(s.oneOf) > 0 && c.matches(s.oneOf, n, 2) != 1 {
		return false
	}
	return s.not == nil || !c.fits(s.not, n)
}

// matches counts how many of all allow n, up to enough.
func (c *check) matches(all []*Schema, n document.Node, enough int) int {
	count := 0
	for _, one := range all {
		if c.fits(one, n) {
			if count++; count == enough {
				break
			}
		}
	}
	return count
}

func (c *check) objectFits(s *Schema, n document.Node) bool {
	count := c.doc.Count(n)
	if count < s.minProps || s.maxProps >= 0 && count > s.maxProps || !c.hasAll(n, s.required) {
		return false
	}
	for i := range s.dependencies {
		d := &s.dependencies[i]
		if _, found := c.doc.Member(n, d.name); !found {
			continue
		}
		if !c.hasAll(n, d.required) || d.schema != nil && !c.fits(d.schema, n) {
			return false
		}
	}
	if !s.members {
		return true
	}
	// A name that repeats is checked each time: readers differ in which they take.
	for i := range count {
		kid := c.doc.At(n, i)
		ruled := false
		if !c.eachOf(s, c.doc.Name(kid), func(one *Schema) bool {
			ruled = true
			return c.fits(one, kid)
		}) || !ruled && s.noAdditional {
			return false
		}
	}
	return true
}

// eachOf calls f for the schemas that rule over the member called name, until it
// returns false; eachOf then returns false.
func (c *check) eachOf(s *Schema, name string, f func(*Schema) bool) bool {
	ruled := false
	if one := s.properties[name]; one != nil {
		ruled = true
		if !f(one) {
			return false
		}
	}
	for i := range s.patterns {
		if c.matchesPattern(s.patterns[i].pattern, name) {
			ruled = true
			if !f(s.patterns[i].schema) {
				return false
			}
		}
	}
	return ruled || s.additional == nil || f(s.additional)
}

func (c *check) hasAll(n document.Node, names []string) bool {
	for _, name := range names {
		if _, found := c.doc.Member(n, name); !found {
			return false
		}
	}
	return true
}

func (c *check) arrayFits(s *Schema, n document.Node) bool {
	count := c.doc.Count(n)
	if count < s.minItems || s.maxItems >= 0 && count > s.maxItems || s.noFurther && count > len(s.tuple) ||
		s.unique && !c.distinct(n) {
		return false
	}
	for i := range count {
		if one := s.itemAt(i); one != nil && !c.fits(one, c.doc.At(n, i)) {
			return false
		}
	}
	return true
}

// itemAt returns the schema that rules over element i; nil for none.
func (s *Schema) itemAt(i int) *Schema {
	switch {
	case !s.isTuple:
		return s.items
	case i < len(s.tuple):
		return s.tuple[i]
	}
	return s.further
}

func (c *check) stringFits(s *Schema, text string) bool {
	if s.minLength > 0 || s.maxLength >= 0 {
		count := utf8.RuneCountInString(text)
		if count < s.minLength || s.maxLength >= 0 && count > s.maxLength {
			return false
		}
	}
	return (s.pattern == nil || c.matchesPattern(s.pattern, text)) && (s.format == nil || s.format.fits(text))
}

// matchesPattern reports whether p is found anywhere in text.
func (c *check) matchesPattern(p *pattern, text string) bool {
	if !c.step() {
		return false
	}
	begin := time.Now()
	found, err := p.re.MatchString(text)
	c.patterns += time.Since(begin)
	if err != nil || c.patterns > maxPatterns {
		c.exceed(errPatterns)
	}
	return found
}

func numberFits(s *Schema, text string) bool {
	if s.minimum == nil && s.maximum == nil && s.multipleOf == nil {
		return true
	}
	v := parseNumber(text)
	return !s.below(v) && !s.above(v) && (s.multipleOf == nil || v.multiple(*s.multipleOf))
}

func (s *Schema) below(v number) bool {
	if s.minimum == nil {
		return false
	}
	order := v.compare(*s.minimum)
	return order < 0 || order == 0 && s.exclusiveLeast
}

func (s *Schema) above(v number) bool {
	if s.maximum == nil {
		return false
	}
	order := v.compare(*s.maximum)
	return order > 0 || order == 0 && s.exclusiveMost
}
