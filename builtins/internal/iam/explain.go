package iam

import (
	"fmt"
	"strings"
)

// Reason is why one statement of a policy fits a request, or doesn't.
type Reason struct {
	Statement string // its Name
	Effect    Effect
	Fits      bool
	Why       string // it doesn't fit; "" if it does
}

// Explain holds every statement against r, also those that Decide needn't look at.
func (p *Policy) Explain(r *Request) []Reason {
	reasons := make([]Reason, len(p.statements))
	for i := range p.statements {
		s := &p.statements[i]
		fit, which := s.judge(p, r)
		reasons[i] = Reason{Statement: p.Name(i), Effect: s.effect, Fits: fit == fits}
		switch fit {
		case otherAction:
			reasons[i].Why = "it isn't about " + r.Action.String()
		case otherPrincipal:
			reasons[i].Why = s.principals.explain(r)
		case otherResource:
			reasons[i].Why = s.explainResource()
		case otherCondition:
			reasons[i].Why = s.conditions[which].explain(p, r)
		}
	}
	return reasons
}

func (p *principals) explain(r *Request) string {
	who := r.CallerARN
	if who == "" {
		who = "an anonymous caller"
	}
	if p.not {
		return who + " is excepted by NotPrincipal"
	}
	return who + " isn't the Principal"
}

func (s *statement) explainResource() string {
	sources := make([]string, len(s.resources))
	for i := range s.resources {
		sources[i] = s.resources[i].source
	}
	if s.notResource {
		return "the method is excepted by NotResource " + strings.Join(sources, ", ")
	}
	return "the method isn't " + strings.Join(sources, ", ")
}

// explain says why c doesn't hold.
func (c *condition) explain(p *Policy, r *Request) string {
	has := "isn't in the request"
	if values := c.present(p, r); len(values) > 0 {
		has = fmt.Sprintf("is %q", values)
		if len(values) == 1 {
			has = fmt.Sprintf("is %q", values[0])
		}
	}
	return fmt.Sprintf("%s %q: %s %s", c.name, c.values, c.shown, has)
}

// present returns the values that r has for the key.
func (c *condition) present(p *Policy, r *Request) []string {
	var values []string
	switch {
	case c.form == networkForm:
		a, known := r.Facts.Address()
		for i := range p.networks {
			if known && p.networks[i].contains(a) {
				values = append(values, p.networks[i].Names...)
			}
		}
	case c.key.ID == Absent, c.key.ID == VPCSourceIP && !p.inside(r):
	default:
		if text, found := r.Facts.Value(c.key); found {
			values = append(values, text)
		}
	}
	return values
}
