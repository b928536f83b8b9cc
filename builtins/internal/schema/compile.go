package schema

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/postern-gateway/postern/proxy/document"
)

// Source is the text of one schema.
type Source struct {
	Name string // for errors
	URL  string // by which others refer to it; also the start of its relative references
	Text string
}

// Error is what is wrong with a schema.
type Error struct {
	Source int    // its index
	Where  string // "line 3, column 5", or "#/properties/name"
	Text   string
	Hint   string
}

// Error returns the place and the text.
func (e *Error) Error() string { return e.Where + ": " + e.Text }

// Compile compiles schemas that may refer to one another. The result has one for
// each source, unless there are errors: it returns all that it found.
func Compile(sources []Source) ([]*Schema, []*Error) {
	c := &compiler{sources: sources, seeds: newSeeds(), places: map[string]place{}, made: map[place]*Schema{}, bases: map[place]*url.URL{}}
	for i := range sources {
		c.read(i)
	}
	if len(c.wrong) > 0 {
		return nil, c.wrong
	}
	all := make([]*Schema, len(sources))
	for i := range sources {
		all[i] = c.schema(place{i, c.docs[i].Root()}, "#")
	}
	c.findCircles()
	if len(c.wrong) > 0 {
		return nil, c.wrong
	}
	return all, nil
}

// place is a value of a source.
type place struct {
	source int
	node   document.Node
}

type compiler struct {
	sources []Source
	docs    []*document.Document
	seeds   seeds
	places  map[string]place   // by absolute URL, with a fragment or without
	bases   map[place]*url.URL // of schemas with an id, and of sources
	made    map[place]*Schema
	order   []place // of made, so that errors have an order
	wrong   []*Error
}

func (c *compiler) add(source int, where, text, hint string) {
	for _, e := range c.wrong {
		if e.Source == source && e.Where == where && e.Text == text {
			return
		}
	}
	c.wrong = append(c.wrong, &Error{source, where, text, hint})
}

// read parses source i and finds the places that can be referred to by URL.
func (c *compiler) read(i int) {
	text := c.sources[i].Text
	d, err := document.Parse([]byte(text))
	c.docs = append(c.docs, d)
	if err != nil {
		where, reason := "#", err.Error()
		if syntax, is := err.(*document.SyntaxError); is {
			before := text[:min(syntax.Offset, len(text))]
			line := strings.LastIndexByte(before, '\n') + 1
			where = fmt.Sprintf("line %d, column %d", 1+strings.Count(before, "\n"), 1+len([]rune(before[line:])))
			reason = syntax.Reason
		}
		c.add(i, where, "no JSON: "+reason, "")
		return
	}
	base, err := url.Parse(c.sources[i].URL)
	if err != nil {
		c.add(i, "#", fmt.Sprintf("no URL: %q", c.sources[i].URL), "")
		return
	}
	root := place{i, d.Root()}
	c.bases[root] = base
	c.places[withoutFragment(base)] = root
	c.identify(root, base)
}

func withoutFragment(u *url.URL) string {
	bare := *u
	bare.Fragment, bare.RawFragment = "", ""
	return bare.String()
}

// identify notes the ids of the schema at p and of those within it.
func (c *compiler) identify(p place, base *url.URL) {
	d := c.docs[p.source]
	if d.Kind(p.node) != document.Object {
		return
	}
	if ref, is := d.Member(p.node, "$ref"); is && d.Kind(ref) == document.String {
		return // draft-04: all beside $ref is ignored
	}
	if id, found := d.Member(p.node, "id"); found && d.Kind(id) == document.String {
		if ref, err := url.Parse(d.Text(id)); err == nil {
			whole := base.ResolveReference(ref)
			c.places[strings.TrimSuffix(whole.String(), "#")] = p
			if ref.Fragment == "" {
				base = whole
				c.bases[p] = base
			}
		}
	}
	for i := range d.Count(p.node) {
		kid := d.At(p.node, i)
		switch d.Name(kid) {
		case "additionalItems", "additionalProperties", "not":
			c.identify(place{p.source, kid}, base)
		case "items", "allOf", "anyOf", "oneOf":
			c.identify(place{p.source, kid}, base)
			if d.Kind(kid) == document.Array {
				c.identifyEach(place{p.source, kid}, base)
			}
		case "definitions", "properties", "patternProperties", "dependencies":
			c.identifyEach(place{p.source, kid}, base)
		}
	}
}

func (c *compiler) identifyEach(p place, base *url.URL) {
	d := c.docs[p.source]
	for i := range d.Count(p.node) {
		c.identify(place{p.source, d.At(p.node, i)}, base)
	}
}

// reference returns the schema that a $ref means, which stands at where and is
// relative to base; nil with an error.
func (c *compiler) reference(source int, ref string, base *url.URL, where string) *Schema {
	u, err := url.Parse(ref)
	if err != nil {
		c.add(source, where, fmt.Sprintf("%q is no URL", ref), "")
		return nil
	}
	u = base.ResolveReference(u)
	if p, found := c.places[u.String()]; found && u.Fragment != "" {
		return c.schema(p, ref)
	}
	p, found := c.places[withoutFragment(u)]
	if !found {
		c.add(source, where, fmt.Sprintf("there is no schema %q", ref), c.known())
		return nil
	}
	p, found = c.pointer(p, u.Fragment)
	if !found {
		c.add(source, where, fmt.Sprintf("%q leads to nothing", ref), `as in "#/definitions/NAME"`)
		return nil
	}
	at := "#" + u.Fragment
	if p.source != source {
		at = c.sources[p.source].Name + at
	}
	return c.schema(p, at)
}

// known names what can be referred to.
func (c *compiler) known() string {
	var all []string
	for i := range c.sources {
		all = append(all, strconv.Quote(c.sources[i].URL))
	}
	slices.Sort(all)
	if len(all) > 5 {
		all = append(all[:5], "…")
	}
	return `nothing is fetched: refer to "#/definitions/NAME" or to ` + strings.Join(all, ", ")
}

// pointer follows a JSON pointer from p. The fragment is decoded already.
func (c *compiler) pointer(p place, pointer string) (place, bool) {
	if pointer == "" {
		return p, true
	}
	rest, found := strings.CutPrefix(pointer, "/")
	if !found {
		return p, false
	}
	d := c.docs[p.source]
	base := c.bases[p]
	for token := range strings.SplitSeq(rest, "/") {
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		switch d.Kind(p.node) {
		case document.Object:
			p.node, found = d.Member(p.node, token)
		case document.Array:
			i, err := strconv.Atoi(token)
			if found = err == nil && i >= 0 && i < d.Count(p.node); found {
				p.node = d.At(p.node, i)
			}
		default:
			found = false
		}
		if !found {
			return p, false
		}
		if own := c.bases[p]; own != nil {
			base = own
		}
	}
	if c.bases[p] == nil {
		c.bases[p] = base // of a place that no keyword leads to
	}
	return p, true
}

// findCircles reports schemas that lead back to themselves without going into
// the document: checking anything against them would never end.
func (c *compiler) findCircles() {
	const (
		unseen = iota
		open
		closed
	)
	state := map[*Schema]int{}
	var visit func(s *Schema) bool
	visit = func(s *Schema) bool {
		switch state[s] {
		case open:
			return false
		case closed:
			return true
		}
		state[s] = open
		for _, next := range s.same() {
			if !visit(next) {
				return false
			}
		}
		state[s] = closed
		return true
	}
	for _, p := range c.order {
		s := c.made[p]
		if state[s] == unseen && !visit(s) {
			c.add(p.source, s.where, "the schema refers to itself, again and again", "a circle of $ref, allOf, anyOf, oneOf, not or dependencies must go through properties or items")
			return
		}
	}
}

// same returns the schemas that s applies to the very value that it is applied to.
func (s *Schema) same() []*Schema {
	if s.ref != nil {
		return []*Schema{s.ref}
	}
	all := slices.Concat(s.allOf, s.anyOf, s.oneOf)
	if s.not != nil {
		all = append(all, s.not)
	}
	for i := range s.dependencies {
		if s.dependencies[i].schema != nil {
			all = append(all, s.dependencies[i].schema)
		}
	}
	return all
}
