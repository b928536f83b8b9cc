package integration

import (
	"fmt"
	"strconv"

	"github.com/postern-gateway/postern/builtins/mapping"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/pattern"
)

// Statuses that a backend can answer.
const (
	minStatus = 100
	maxStatus = 599
)

// choice finds the answer for a status.
type choice struct {
	answers []answer
	table   [maxStatus - minStatus + 1]uint8 // index in answers + 1; 0 for none

	standard uint8 // the same of the default
}

func (c *choice) answer(status int) *answer {
	if status < minStatus || status > maxStatus || c.table[status-minStatus] == 0 {
		return nil
	}
	return &c.answers[c.table[status-minStatus]-1]
}

// fallback returns the answer without a pattern, nil for none.
func (c *choice) fallback() *answer {
	if c.standard == 0 {
		return nil
	}
	return &c.answers[c.standard-1]
}

// newChoice works out beforehand which answer each status gets. AWS: "Set up
// API Gateway integration responses": the first whose pattern matches the whole
// status, else the one without a pattern. Among several that match, the one
// that has the backend's status for its own comes first, as measured on AWS.
func newChoice(b proxy.Build, o proxy.Options, mapper *mapping.Mapper, bad *problems) *choice {
	c, patterns := newAnswers(b, o, mapper, bad)
	if c == nil {
		return nil
	}
	for i, name := range sortedKeys(o.Responses) {
		if p := patterns[i]; p != nil && !matchesAny(p) {
			bad.add(fmt.Sprintf("%q matches no status from 100 to 599", p), `the pattern must match the whole status: "404", "4\\d\\d", "5.*"`, "response", name, "pattern")
		}
	}
	for status := minStatus; status <= maxStatus; status++ {
		at := &c.table[status-minStatus]
		*at = c.standard
		first := true
		for i := range c.answers {
			if p := patterns[i]; p == nil || !matches(p, status) {
				continue
			}
			if first || c.answers[i].status == status && c.answers[*at-1].status != status {
				*at, first = uint8(i+1), false
			}
		}
	}
	return c
}

// newAnswers compiles all answers, and their patterns, nil for those without.
func newAnswers(b proxy.Build, o proxy.Options, mapper *mapping.Mapper, bad *problems) (*choice, []*pattern.Pattern) {
	responses := o.Responses
	if len(responses) == 0 {
		bad.add(fmt.Sprintf("type %q needs at least one response", o.Integration.Type),
			`add [api.x.route."…".response.default]; type = "http_proxy" passes the backend's answer through`, "response")
		return nil, nil
	}
	if len(responses) > 255 {
		bad.add(fmt.Sprintf("%d responses; at most 255", len(responses)), "", "response")
		return nil, nil
	}
	c := &choice{}
	fallback := ""
	patterns := make([]*pattern.Pattern, len(responses))
	for i, name := range sortedKeys(responses) {
		r := responses[name]
		c.answers = append(c.answers, newAnswer(b, o, name, mapper, bad))
		switch {
		case r.Pattern != "" && name == "default":
			bad.add("the default is what no pattern chooses", "remove the pattern, or give the response another name", "response", name, "pattern")
		case r.Pattern != "":
			patterns[i] = compilePattern(name, r.Pattern, bad)
		case fallback != "":
			bad.add(fmt.Sprintf("%q has no pattern either, so both are the default", fallback), `give one of them a pattern, as "4\\d\\d"`, "response", name)
		default:
			fallback, c.standard = name, uint8(i+1)
		}
	}
	return c, patterns
}

// compilePattern compiles a pattern, which is one of Java's; nil if it is wrong.
func compilePattern(name, expression string, bad *problems) *pattern.Pattern {
	p, err := pattern.Compile(expression)
	if err != nil {
		bad.add(err.Error(), "the syntax is that of java.util.regex", "response", name, "pattern")
		return nil
	}
	return p
}

// patternSteps bounds the time that a pattern may take for one text.
const patternSteps = 100_000

// matches reports whether p matches the whole of a status.
func matches(p *pattern.Pattern, status int) bool {
	steps := patternSteps
	matched, err := p.Matches(strconv.Itoa(status), &steps)
	return matched && err == nil
}

func matchesAny(p *pattern.Pattern) bool {
	for status := minStatus; status <= maxStatus; status++ {
		if matches(p, status) {
			return true
		}
	}
	return false
}
