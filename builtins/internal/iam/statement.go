package iam

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/postern-gateway/postern/proxy/document"
)

// statementElements are the elements of a statement; those about principals are
// for resource policies.
var statementElements = []string{"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition", "Principal", "NotPrincipal"}

// statement compiles one statement.
func (c *compiler) statement(n document.Node) {
	if !c.object(n, "a statement") {
		return
	}
	s := statement{name: c.path[len(c.path)-1]}
	line, _ := c.place(c.valueOffset(n))
	if c.Line != nil {
		s.where = c.Line(line)
	}
	if s.where == "" {
		s.where = "line " + strconv.Itoa(line)
	}
	seen := map[string]bool{}
	known := len(c.errors)
	c.elements(n, "element", statementElements, func(name string, value document.Node) {
		seen[name] = true
		switch name {
		case "Sid":
			s.sid, _ = c.string(value)
		case "Effect":
			c.effect(value, &s)
		case "Action", "NotAction":
			c.actions(value, &s, name == "NotAction")
		case "Resource", "NotResource":
			c.resources(value, &s, name == "NotResource")
		case "Principal", "NotPrincipal":
			c.principals(value, &s, name == "NotPrincipal")
		case "Condition":
			c.conditions(value, &s)
		}
	})
	unreadable := len(c.errors) > known // then what seems missing may be misspelt
	missing := func(a, not, example string) {
		switch {
		case seen[a] && seen[not]:
			c.wrongValue(n, fmt.Sprintf("%q and %q in one statement", a, not), "write two statements")
		case !seen[a] && !seen[not] && !unreadable:
			c.wrongValue(n, fmt.Sprintf("the statement has no %q", a), "add "+example)
		}
	}
	missing("Effect", "", `"Effect": "Allow" or "Deny"`)
	missing("Action", "NotAction", `"Action": "execute-api:Invoke"`)
	missing("Resource", "NotResource", `"Resource": "execute-api:/*" in a resource policy, or an ARN`)
	if c.Options.Resource {
		missing("Principal", "NotPrincipal", `"Principal": "*" for everybody`)
	}
	c.policy.statements = append(c.policy.statements, s)
}

func (c *compiler) effect(n document.Node, s *statement) {
	text, ok := c.string(n)
	if !ok {
		return
	}
	switch text {
	case "Allow":
		s.effect = Allow
	case "Deny":
		s.effect = Deny
	default:
		c.wrongValue(n, fmt.Sprintf("no effect %q", text), c.meant(text, "effect", []string{"Allow", "Deny"}))
	}
}

// actions adds up the actions that the patterns stand for. Case makes no
// difference. Those of other services stand for nothing here.
func (c *compiler) actions(n document.Node, s *statement, not bool) {
	var all Action
	c.each(n, func(text string, at document.Node) {
		vendor, name, found := strings.Cut(text, ":")
		if text == "*" {
			all = allActions
			return
		}
		p, _, _ := compilePattern(strings.ToLower(name), wildcards)
		v, _, _ := compilePattern(strings.ToLower(vendor), wildcards)
		switch {
		case !found:
			c.wrongValue(at, fmt.Sprintf("%q isn't an action", text), `write "execute-api:Invoke"`)
			return
		case !v.matches(service, nil):
			if c.Options.Resource {
				c.wrongValue(at, fmt.Sprintf("%q isn't an action of execute-api", text), c.meant(text, "action", []string{Invoke.String(), InvalidateCache.String(), ManageConnections.String()}))
			}
			return
		}
		var some Action
		for i, known := range actionNames {
			if p.matches(strings.ToLower(known), nil) {
				some |= 1 << i
			}
		}
		if some == 0 {
			c.wrongValue(at, fmt.Sprintf("execute-api has no action %q", name), c.meant(name, "action", actionNames))
		}
		all |= some
	})
	if not {
		all = allActions &^ all
	}
	s.actions = all
}

func (c *compiler) resources(n document.Node, s *statement, not bool) {
	s.notResource = not
	c.each(n, func(text string, at document.Node) {
		if size := utf8.RuneCountInString(text); c.MaxResource > 0 && size > c.MaxResource {
			c.wrongValue(at, fmt.Sprintf("the resource has %d characters; at most %d are allowed", size, c.MaxResource), "")
			return
		}
		if c.oldVariable(text, at) {
			return
		}
		r, problem, hint := c.resource(text)
		if problem != "" {
			c.wrongValue(at, problem, hint)
			return
		}
		s.resources = append(s.resources, r)
	})
}

// oldVariable reports a variable in a document of the version that has none, where
// it would be text that nothing is ever equal to.
func (c *compiler) oldVariable(text string, at document.Node) bool {
	if !c.old || !strings.Contains(text, "${") {
		return false
	}
	c.wrongValue(at, "variables need version 2012-10-17", `add "Version": "2012-10-17"`)
	return true
}

func (c *compiler) principals(n document.Node, s *statement, not bool) {
	if !c.Options.Resource {
		c.wrongName(n, "a policy that belongs to a caller names nobody", "remove it; it is for resource policies")
		return
	}
	p := &principals{not: not}
	s.principals = p
	add := func(text string, at document.Node) {
		if problem, hint := p.add(text); problem != "" {
			c.wrongValue(at, fmt.Sprintf("%q: %s", text, problem), hint)
		}
	}
	switch c.doc.Kind(n) {
	case document.String:
		if text := c.doc.Text(n); text != "*" {
			c.wrongValue(n, fmt.Sprintf("%q isn't a principal", text), `write "*" for everybody, or {"AWS": "ACCOUNT or ARN"}`)
			return
		}
		p.anybody = true
	case document.Object:
		if c.doc.Count(n) == 0 {
			c.wrongValue(n, "nobody is named", `write "*" for everybody, or {"AWS": "ACCOUNT or ARN"}`)
		}
		c.elements(n, "kind of principal", []string{"AWS"}, func(_ string, value document.Node) { c.each(value, add) })
	default:
		c.wrongValue(n, "a principal must be \"*\" or an object", `write "*" for everybody, or {"AWS": "ACCOUNT or ARN"}`)
	}
}

// conditions compiles a Condition block.
func (c *compiler) conditions(n document.Node, s *statement) {
	if !c.object(n, "a Condition") {
		return
	}
	seen := map[string]bool{}
	for i := range c.doc.Count(n) {
		block := c.doc.At(n, i)
		name := c.doc.Name(block)
		o, found := findOperator(name)
		switch {
		case seen[name]:
			c.wrongName(block, fmt.Sprintf("%q is there twice", name), "write one with all of its keys")
			continue
		case !found:
			c.wrongName(block, fmt.Sprintf("unknown operator %q", name), c.meantOperator(name))
			continue
		}
		seen[name] = true
		c.within(name, func() { c.block(block, name, o, s) })
	}
}

// meantOperator is the hint for an operator that there isn't.
func (c *compiler) meantOperator(name string) string {
	if strings.HasPrefix(name, "Binary") {
		return "no key here holds bytes: StringEquals compares text"
	}
	names := make([]string, len(operatorRows))
	for i := range operatorRows {
		names[i] = operatorRows[i].name
	}
	prefix, rest := "", name
	for _, p := range []string{anyPrefix, allPrefix} {
		if cut, found := strings.CutPrefix(name, p); found {
			prefix, rest = p, cut
		}
	}
	rest, ifExists := strings.CutSuffix(rest, ifExistsSuffix)
	if rest == "Null" {
		return `"Null" stands alone: it asks whether the key is there`
	}
	hint := c.meant(rest, "operator", names)
	if prefix != "" || ifExists {
		hint += " (with " + anyPrefix + " or " + allPrefix + " before and IfExists behind it)"
	}
	return hint
}

// block compiles one operator's keys.
func (c *compiler) block(n document.Node, name string, o operator, s *statement) {
	if !c.object(n, "an operator's value") {
		return
	}
	if c.doc.Count(n) == 0 {
		c.wrongValue(n, "the operator has no key", `as in {"StringEquals": {"aws:PrincipalTag/team": "red"}}`)
	}
	seen := map[string]bool{}
	for i := range c.doc.Count(n) {
		value := c.doc.At(n, i)
		key := c.doc.Name(value)
		k, form, found := findKey(key)
		switch folded := strings.ToLower(key); {
		case !found:
			c.wrongName(value, fmt.Sprintf("unknown condition key %q", key), c.meantKey(key))
			continue
		case seen[folded]:
			c.wrongName(value, fmt.Sprintf("%q is there twice", key), "write a list of values")
			continue
		default:
			seen[folded] = true
		}
		cond := condition{operator: o, name: name, key: k, form: form, shown: key}
		c.within(key, func() { c.values(value, &cond) })
		s.conditions = append(s.conditions, cond)
	}
}

func (c *compiler) meantKey(key string) string {
	if strings.EqualFold(key, strings.TrimSuffix(tagPrefix, "/")) || strings.EqualFold(key, tagPrefix) {
		return "write " + tagPrefix + "NAME"
	}
	return c.meant(key, "key", keyNames())
}

// values compiles the values that a key is compared with. AWS takes numbers and
// truth values with and without quotes.
func (c *compiler) values(n document.Node, cond *condition) {
	add := func(at document.Node) {
		switch c.doc.Kind(at) {
		case document.String, document.Number, document.Boolean:
		default:
			c.wrongValue(at, "must be a string, a number, or true or false", "")
			return
		}
		text := c.doc.Text(at)
		if c.oldVariable(text, at) {
			return
		}
		if problem, hint := cond.add(text, c.syntax(wildcards)); problem != "" {
			c.wrongValue(at, problem, hint)
		}
	}
	if c.doc.Kind(n) != document.Array {
		add(n)
		return
	}
	if c.doc.Count(n) == 0 {
		c.wrongValue(n, "an empty list", "")
	}
	for i := range c.doc.Count(n) {
		add(c.doc.At(n, i))
	}
}
