package iam

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/postern-gateway/postern/proxy/document"
)

// Options say what kind of document is read, and its bounds.
type Options struct {
	// Resource is for resource policies: every statement says whom it is about, and it
	// is about one API only. Other documents belong to a caller and name nobody.
	Resource bool
	// Region, Account and API expand the short form of resources,
	// "execute-api:/STAGE/VERB/PATH"; with an empty API there is none.
	Region, Account, API string
	// Networks give aws:SourceVpc, aws:SourceVpce and aws:VpcSourceIp their meaning.
	Networks []Network

	// Line returns what people call a line of the document, "" for its number. Nil has a
	// name for none.
	Line func(line int) string

	MaxSize     int // of the document, in characters; 0 for no bound
	MaxResource int // of one resource, in characters; 0 for no bound

	// Suggest returns which of words may have been meant by word, "" for none. Nil
	// suggests nothing.
	Suggest func(word string, words []string) string
}

// The versions of the language. AWS: "IAM JSON policy elements: Version".
const (
	newVersion = "2012-10-17"
	oldVersion = "2008-10-17" // knows no variables; what a document without a Version has
)

// Parse reads and compiles a document. The policy keeps nothing of text. The error is
// of type Errors and holds all that is wrong with it.
func Parse(text []byte, o Options) (*Policy, error) {
	text = bytes.Clone(text) // the strings of a document are views of its text
	c := &compiler{Options: o, text: text, policy: &Policy{networks: o.Networks}}
	if size := utf8.RuneCount(text); o.MaxSize > 0 && size > o.MaxSize {
		return nil, Errors{{Line: 1, Column: 1, Width: 1, Text: fmt.Sprintf("the document has %d characters; at most %d are allowed", size, o.MaxSize)}}
	}
	d, err := document.Parse(text)
	if err != nil {
		var s *document.SyntaxError
		if errors.As(err, &s) {
			c.wrong(s.Offset, s.Offset+1, "not JSON: "+s.Reason, "")
		} else {
			c.wrong(0, 1, err.Error(), "")
		}
		return nil, c.errors
	}
	c.doc = d
	c.document(d.Root())
	if len(c.errors) > 0 {
		slices.SortStableFunc(c.errors, func(a, b Error) int { return (a.Line-b.Line)<<16 + a.Column - b.Column })
		return nil, c.errors
	}
	return c.policy, nil
}

// compiler reads one document.
type compiler struct {
	Options
	text   []byte
	doc    *document.Document
	policy *Policy
	errors Errors
	path   []string
	old    bool // the version without variables
}

// syntax returns s, and variables if the document's version has them.
func (c *compiler) syntax(s syntax) syntax {
	if !c.old {
		s |= variables
	}
	return s
}

// within runs f for the element called name.
func (c *compiler) within(name string, f func()) {
	c.path = append(c.path, name)
	f()
	c.path = c.path[:len(c.path)-1]
}

// elements calls each for the members of n, by name, and reports those that are
// there twice or aren't among names.
func (c *compiler) elements(n document.Node, what string, names []string, each func(name string, value document.Node)) {
	seen := map[string]bool{}
	for i := range c.doc.Count(n) {
		m := c.doc.At(n, i)
		name := c.doc.Name(m)
		switch {
		case seen[name]:
			c.wrongName(m, fmt.Sprintf("%q is there twice", name), "write one "+what+" with all of it")
			continue
		case !slices.Contains(names, name):
			c.wrongName(m, fmt.Sprintf("unknown %s %q", what, name), c.meant(name, what, names))
			continue
		}
		seen[name] = true
		c.within(name, func() { each(name, m) })
	}
}

// meant is the hint for a word that is none of words.
func (c *compiler) meant(word, what string, words []string) string {
	for _, w := range words {
		if strings.EqualFold(w, word) {
			return fmt.Sprintf("case matters: write %q", w)
		}
	}
	if c.Suggest != nil {
		if w := c.Suggest(word, words); w != "" {
			return fmt.Sprintf("did you mean %q?", w)
		}
	}
	return what + "s: " + strings.Join(words, ", ")
}

// object reports whether n is an object, and says so if it isn't.
func (c *compiler) object(n document.Node, what string) bool {
	if c.doc.Kind(n) == document.Object {
		return true
	}
	c.wrongValue(n, what+" must be an object", "")
	return false
}

func (c *compiler) document(root document.Node) {
	if !c.object(root, "a policy") {
		return
	}
	version, there := c.doc.Member(root, "Version")
	if !there || c.doc.Text(version) == oldVersion {
		c.old = true
	}
	found := false
	c.elements(root, "element", []string{"Version", "Id", "Statement"}, func(name string, value document.Node) {
		switch name {
		case "Version":
			if text, ok := c.string(value); ok && text != newVersion && text != oldVersion {
				c.wrongValue(value, fmt.Sprintf("no version %q", text), `write "2012-10-17"`)
			}
		case "Id":
			c.string(value)
		case "Statement":
			found = true
			c.statements(value)
		}
	})
	if !found && len(c.errors) == 0 {
		c.wrongValue(root, `the policy has no "Statement"`, `add "Statement": [{"Effect": "Allow", …}]`)
	}
}

// statements reads one statement or a list of them.
func (c *compiler) statements(n document.Node) {
	if c.doc.Kind(n) != document.Array {
		c.statement(n)
		return
	}
	if c.doc.Count(n) == 0 {
		c.wrongValue(n, "the policy has no statement", "")
	}
	last := len(c.path) - 1
	list := c.path[last]
	for i := range c.doc.Count(n) {
		c.path[last] = list + "[" + strconv.Itoa(i) + "]"
		c.statement(c.doc.At(n, i))
	}
	c.path[last] = list
}

// string returns the text of n, which must be a string.
func (c *compiler) string(n document.Node) (string, bool) {
	if c.doc.Kind(n) != document.String {
		c.wrongValue(n, "must be a string", "")
		return "", false
	}
	return c.doc.Text(n), true
}

// each calls f for n, or for the elements of n if it is a list, which must be
// strings and at least one.
func (c *compiler) each(n document.Node, f func(text string, at document.Node)) {
	if c.doc.Kind(n) != document.Array {
		if text, ok := c.string(n); ok {
			f(text, n)
		}
		return
	}
	if c.doc.Count(n) == 0 {
		c.wrongValue(n, "an empty list", "")
	}
	for i := range c.doc.Count(n) {
		at := c.doc.At(n, i)
		if text, ok := c.string(at); ok {
			f(text, at)
		}
	}
}
