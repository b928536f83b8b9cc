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
		if fit == fits && s.effect == Allow && r.Other != "" && !s.names(r) && !p.allows(r.Other, r) {
			reasons[i].Fits, reasons[i].Why = false, "some backends read the path as "+pathOf(r.Other)+", which isn't allowed"
		}
		switch fit {
		case otherAction:
			reasons[i].Why = "it isn't about " + r.Action.String()
		case otherPrincipal:
			reasons[i].Why = s.principals.explain(r)
		case otherResource:
			reasons[i].Why = s.explainResource()
			if s.effect == Deny && p.deniesOther(r, i) {
				reasons[i].Fits, reasons[i].Why = true, ""
			}
		case otherCondition:
			reasons[i].Why = s.conditions[which].explain(p, r)
		}
	}
	return reasons
}

// allows reports whether p allows r with another resource.
func (p *Policy) allows(resource string, r *Request) bool {
	as := *r
	as.Resource, as.Other = resource, ""
	e, _ := p.decide(&as)
	return e == Allow
}

// pathOf returns the path in API/STAGE/VERB/PATH.
func pathOf(resource string) string {
	parts := strings.SplitN(resource, "/", 4)
	return "/" + parts[len(parts)-1]
}

// deniesOther reports whether statement i fits r as some backends read its path.
func (p *Policy) deniesOther(r *Request, i int) bool {
	if r.Other == "" {
		return false
	}
	as := *r
	as.Resource = r.Other
	f, _ := p.statements[i].judge(p, &as)
	return f == fits
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
