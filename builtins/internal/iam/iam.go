// Package iam reads and judges policies in AWS's policy language: who may do
// what to which methods, under which conditions. It knows no exchange: what there
// is to know of a request comes in through Facts.
//
// AWS: "IAM JSON policy elements reference", "Policy evaluation logic", "Control
// access to a REST API with API Gateway resource policies".
package iam

import (
	"net/netip"
	"strconv"
	"time"
)

// Effect is what a policy says of a request.
type Effect uint8

// The effects.
const (
	Neutral Effect = iota // no statement fits
	Allow
	Deny
)

// String returns the effect as policies write it.
func (e Effect) String() string {
	switch e {
	case Allow:
		return "Allow"
	case Deny:
		return "Deny"
	}
	return "neutral"
}

// Action is what somebody wants to do, one bit each.
type Action uint8

// The actions of the service execute-api. AWS: "Actions, resources, and condition
// keys for API Gateway".
const (
	Invoke Action = 1 << iota
	InvalidateCache
	ManageConnections

	allActions = Invoke | InvalidateCache | ManageConnections
)

// actionNames are the actions, in the order of their bits.
var actionNames = []string{"Invoke", "InvalidateCache", "ManageConnections"}

// String returns the action as policies write it.
func (a Action) String() string {
	for i, name := range actionNames {
		if a == 1<<i {
			return service + ":" + name
		}
	}
	return service + ":*"
}

// The parts of a resource's name that are the same for all methods.
const (
	service   = "execute-api"
	partition = "aws"
)

// Request is what a policy judges.
type Request struct {
	Action Action // one of them
	// Region, Account and Resource are the parts of the method's name,
	// arn:aws:execute-api:REGION:ACCOUNT:RESOURCE. Resource is API/STAGE/VERB/PATH with
	// the path as AppendPath writes it.
	Region, Account, Resource string
	// Other is Resource with its path as some backends read it otherwise; "" for none. A
	// Deny counts that fits one of them, an Allow if the policy allows both; but one that
	// names Resource itself, without wildcards, has nothing else in mind.
	Other string

	// Caller is the principal's ARN and account; both are "" for anonymous ones.
	CallerARN, CallerAccount string

	Facts Facts
}

// Facts tells the values of condition keys. A method is called for the keys that
// its comment names only.
type Facts interface {
	// Value returns a key's value as text, and false if the request has none. Every
	// key is asked for but SourceVPC and SourceVPCE; VPCSourceIP only for clients in
	// one of the networks.
	Value(k Key) (string, bool)
	// Address is the client's: SourceIP and VPCSourceIP.
	Address() (netip.Addr, bool)
	// Time is the request's: CurrentTime and EpochTime.
	Time() time.Time
}

// Policy is a compiled document. It doesn't change; safe for concurrent use.
type Policy struct {
	statements []statement
	networks   []Network
}

// statement is one statement, compiled.
type statement struct {
	name   string // "Statement", or "Statement[2]"
	sid    string
	effect Effect
	where  string // "line 4"

	actions     Action
	principals  *principals // nil in documents that belong to a caller
	resources   []resource
	notResource bool
	conditions  []condition
}

// Network is a range of addresses with names, which stands for a VPC or its
// endpoint.
type Network struct {
	Names    []string
	Prefixes []netip.Prefix
}

// inside reports whether r's client is in one of the networks.
func (p *Policy) inside(r *Request) bool {
	a, known := r.Facts.Address()
	for i := range p.networks {
		if known && p.networks[i].contains(a) {
			return true
		}
	}
	return false
}

func (n *Network) contains(a netip.Addr) bool {
	for _, p := range n.Prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// Decide judges r: a Deny that fits wins, then an Allow that fits. which is the
// number of the statement that decided, from 0; -1 for Neutral. It allocates only
// where a policy ignores case or compares times as text.
func (p *Policy) Decide(r *Request) (e Effect, which int) {
	e, which = p.decide(r)
	if r.Other == "" || e == Deny {
		return e, which
	}
	as := *r
	as.Resource, as.Other = r.Other, ""
	other, by := p.decide(&as)
	if other == Deny {
		return Deny, by
	}
	if e == Allow && other != Allow {
		return p.named(r)
	}
	return e, which
}

// named is Decide for a request whose Other isn't allowed, and nothing denied.
func (p *Policy) named(r *Request) (e Effect, which int) {
	for i := range p.statements {
		s := &p.statements[i]
		if s.effect != Allow || s.notResource {
			continue
		}
		if f, _ := s.judge(p, r); f == fits && s.names(r) {
			return Allow, i
		}
	}
	return Neutral, -1
}

// names reports whether one of s's resources is r's alone.
func (s *statement) names(r *Request) bool {
	for i := range s.resources {
		p := &s.resources[i]
		if !p.any && p.rest.shape == isLiteral && p.fits(r) {
			return true
		}
	}
	return false
}

func (p *Policy) decide(r *Request) (e Effect, which int) {
	e, which = Neutral, -1
	for i := range p.statements {
		s := &p.statements[i]
		if s.effect == e {
			continue // nothing new
		}
		if fit, _ := s.judge(p, r); fit != fits {
			continue
		}
		if s.effect == Deny {
			return Deny, i
		}
		e, which = Allow, i
	}
	return e, which
}

// fit is whether a statement fits a request, or the first element that doesn't.
type fit uint8

const (
	fits fit = iota
	otherAction
	otherPrincipal
	otherResource
	otherCondition
)

// judge holds s against r. which is the number of the condition that doesn't hold.
func (s *statement) judge(p *Policy, r *Request) (f fit, which int) {
	if s.actions&r.Action == 0 {
		return otherAction, 0
	}
	if s.principals != nil && !s.principals.fit(r) {
		return otherPrincipal, 0
	}
	if !s.fitsResource(r) {
		return otherResource, 0
	}
	for i := range s.conditions {
		if !s.conditions[i].holds(p, r) {
			return otherCondition, i
		}
	}
	return fits, 0
}

func (s *statement) fitsResource(r *Request) bool {
	for i := range s.resources {
		if s.resources[i].fits(r) {
			return !s.notResource
		}
	}
	return s.notResource
}

// Len returns how many statements p has.
func (p *Policy) Len() int { return len(p.statements) }

// Name returns how people find statement i: its place in the document, its Sid and
// the line where it begins.
func (p *Policy) Name(i int) string {
	s := &p.statements[i]
	name := s.name
	if s.sid != "" {
		name += " (" + strconv.Quote(s.sid) + ")"
	}
	return name + " at " + s.where
}
