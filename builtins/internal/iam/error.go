package iam

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/postern-gateway/postern/proxy/document"
)

// Error is one thing that is wrong with a document, and where.
type Error struct {
	Line, Column int // from 1; columns in characters
	Width        int // characters that are meant, at least 1
	Path         string
	Text         string
	Hint         string // what to do, or ""
}

// Error returns place and text in one line.
func (e Error) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Text)
	}
	return fmt.Sprintf("line %d, column %d: %s: %s", e.Line, e.Column, e.Path, e.Text)
}

// Errors are all errors of a document, by place.
type Errors []Error

// Error returns the first one, and how many more there are.
func (all Errors) Error() string {
	if len(all) > 1 {
		return fmt.Sprintf("%v (and %d more)", all[0], len(all)-1)
	}
	return all[0].Error()
}

// place returns line and column of an offset.
func (c *compiler) place(offset int) (line, column int) {
	before := c.text[:min(offset, len(c.text))]
	start := bytes.LastIndexByte(before, '\n') + 1
	return 1 + bytes.Count(before, []byte("\n")), 1 + utf8.RuneCount(before[start:])
}

// wrong adds an error about the text from one offset to another.
func (c *compiler) wrong(from, to int, text, hint string) {
	e := Error{Path: strings.Join(c.path, "."), Text: text, Hint: hint}
	e.Line, e.Column = c.place(from)
	to = max(min(to, len(c.text)), min(from, len(c.text)))
	meant := c.text[min(from, len(c.text)):to]
	if end := bytes.IndexByte(meant, '\n'); end >= 0 {
		meant = meant[:end]
	}
	e.Width = max(1, utf8.RuneCount(meant))
	c.errors = append(c.errors, e)
}

// wrongName adds an error about the name of the member n.
func (c *compiler) wrongName(n document.Node, text, hint string) {
	from := c.doc.Offset(n)
	c.wrong(from, c.stringEnd(from), text, hint)
}

// wrongValue adds an error about n, for a member about its value.
func (c *compiler) wrongValue(n document.Node, text, hint string) {
	from := c.valueOffset(n)
	to := from + 1
	switch c.doc.Kind(n) {
	case document.String:
		to = c.stringEnd(from)
	case document.Number, document.Boolean, document.Null:
		to = from + len(c.doc.Text(n))
	}
	c.wrong(from, to, text, hint)
}

// valueOffset returns where n begins, for a member its value. Members without a name
// are unknown, and their names are what is wrong with them.
func (c *compiler) valueOffset(n document.Node) int {
	from := c.doc.Offset(n)
	if c.doc.Name(n) == "" {
		return from
	}
	from = c.stringEnd(from)
	for from < len(c.text) && strings.IndexByte(" \t\r\n:", c.text[from]) >= 0 {
		from++
	}
	return from
}

// stringEnd returns the offset behind the string that begins at from.
func (c *compiler) stringEnd(from int) int {
	for i := from + 1; i < len(c.text); i++ {
		switch c.text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(c.text)
}
