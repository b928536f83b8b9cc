package config

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// expand replaces ${env:NAME} and ${file:PATH} in a string of the file. Other
// ${…} are AWS's run-time expressions and stay; $${env: and $${file: stand for
// ${env: and ${file:. On a mistake it reports it and ok is false.
func (c *checker) expand(s string, at *place) (result string, ok bool) {
	if !strings.Contains(s, "${env:") && !strings.Contains(s, "${file:") {
		return s, true
	}
	var b strings.Builder
	rest, replaced := s, false
	ok = true
	for {
		i := strings.Index(rest, "${")
		if i < 0 {
			break
		}
		source, name, after, found := expression(rest[i:])
		switch {
		case source == "":
			b.WriteString(rest[:i+2])
			rest = rest[i+2:]
			continue
		case i > 0 && rest[i-1] == '$':
			b.WriteString(rest[:i-1] + "${" + source + ":")
			rest = rest[i+len("${:")+len(source):]
			replaced = true
			continue
		case !found:
			c.report(at, at.part(rest[i:]), "${"+source+": without }", "write $${"+source+": for the characters themselves")
			return "", false
		}
		b.WriteString(rest[:i])
		whole := rest[i : len(rest)-len(after)]
		value, text, hint := c.lookUp(source, name, at)
		if text != "" {
			c.report(at, at.part(whole), text, hint)
			ok = false
		}
		c.learn(value, whole)
		b.WriteString(value)
		rest, replaced = after, true
	}
	if replaced {
		c.expanded[joined(c.path)] = s
	}
	return b.String() + rest, ok
}

// part is within, for a place that may be missing.
func (p *place) part(text string) span {
	if p == nil {
		return span{}
	}
	return p.within(text)
}

// expression splits "${env:NAME}rest". source is "" for any other ${…}; found
// is false when the brace isn't closed.
func expression(s string) (source, name, rest string, found bool) {
	for _, source = range []string{"env", "file"} {
		if inner, is := strings.CutPrefix(s, "${"+source+":"); is {
			name, rest, found = strings.Cut(inner, "}")
			return source, name, rest, found
		}
	}
	return "", "", "", false
}

// lookUp returns the value of an expression, or what is wrong with it.
func (c *checker) lookUp(source, name string, at *place) (value, text, hint string) {
	if source == "env" {
		value, set := c.env(name)
		if !set {
			return "", fmt.Sprintf("the environment variable %s isn't set", quotedKey(name)), ""
		}
		return value, "", ""
	}
	if name == "" {
		return "", "${file:} without a path", ""
	}
	path := c.resolve(name, at)
	c.watch(path)
	st, err := os.Stat(path)
	if err == nil && !st.Mode().IsRegular() {
		return "", path + " isn't a regular file", ""
	}
	var content []byte
	if err == nil {
		content, _, err = read(path)
	}
	if err != nil {
		return "", "can't read the file: " + cause(err), lookedAt(path)
	}
	value = strings.TrimSuffix(string(content), "\n")
	return strings.TrimSuffix(value, "\r"), "", ""
}

// expandAll expands the strings in a value of any shape.
func (c *checker) expandAll(v any, at *place) any {
	switch v := v.(type) {
	case string:
		s, _ := c.expand(v, at)
		return s
	case map[string]any:
		for _, key := range keysOf(v, at) {
			c.within(key, func() { v[key] = c.expandAll(v[key], at.kid(key)) })
		}
	case []any:
		for i := range v {
			n := strconv.Itoa(i)
			c.within(n, func() { v[i] = c.expandAll(v[i], at.kid(n)) })
		}
	case []map[string]any:
		for i := range v {
			n := strconv.Itoa(i)
			c.within(n, func() { c.expandAll(v[i], at.kid(n)) })
		}
	}
	return v
}
