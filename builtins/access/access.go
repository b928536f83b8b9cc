// Package access decides who may call a method: by the policies that callers have
// and by the one that their API has. Policies are in AWS's language.
//
// AWS: "Control access to a REST API with API Gateway resource policies", "How API
// Gateway resource policies affect authorization workflow".
package access

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/postern-gateway/postern/builtins/internal/iam"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// The sizes of documents on AWS. "Amazon API Gateway quotas"; "Output from an API
// Gateway Lambda authorizer".
const (
	// MaxPolicy is for a document that belongs to a caller, in characters.
	MaxPolicy = 8192
	// MaxResource is for one Resource in an authorizer's answer, in characters.
	MaxResource = 512
)

// Options are the bounds of a document that belongs to a caller.
type Options struct {
	Networks    *Networks // what aws:SourceVpc stands for; nil for none
	MaxSize     int       // characters of the document; default MaxPolicy
	MaxResource int       // characters of one Resource; 0 for no bound
	// Line returns what people call a line of it, "" for its number; nil for that always.
	Line func(line int) string
}

// Networks are the [network.x] of a configuration. They don't change.
type Networks struct{ all []iam.Network }

// NewNetworks returns the networks of cfg, whose addresses have been checked.
func NewNetworks(cfg *config.Config) *Networks {
	n := &Networks{}
	for _, name := range slices.Sorted(maps.Keys(cfg.Network)) {
		configured := cfg.Network[name]
		network := iam.Network{Names: []string{name}}
		if configured.ID != "" && configured.ID != name {
			network.Names = append(network.Names, configured.ID)
		}
		for _, text := range configured.Prefixes {
			if p, err := config.ParsePrefix(text); err == nil {
				network.Prefixes = append(network.Prefixes, p)
			}
		}
		n.all = append(n.all, network)
	}
	return n
}

// Policy is one compiled document. It doesn't change; safe for concurrent use.
type Policy struct{ compiled *iam.Policy }

// Compile compiles a document that belongs to a caller: a principal's policy, or the
// one that an authorizer answered. It names no Principal. The policy keeps nothing of
// document. The error, of a type that Findings takes apart, says in one line what is
// wrong first, and where.
func Compile(document []byte, o Options) (*Policy, error) {
	io := iam.Options{MaxSize: o.MaxSize, MaxResource: o.MaxResource, Suggest: config.Closest, Line: o.Line}
	if io.MaxSize == 0 {
		io.MaxSize = MaxPolicy
	}
	if o.Networks != nil {
		io.Networks = o.Networks.all
	}
	compiled, err := iam.Parse(document, io)
	if err != nil {
		return nil, err
	}
	return &Policy{compiled}, nil
}

// Findings returns all that err, an error of Compile about document, says, as errors of
// the key path. file is where the document stands, "" if that is the configuration
// itself.
func Findings(err error, document, file string, path ...string) []error {
	var all iam.Errors
	if !errors.As(err, &all) {
		return []error{&config.KeyError{Path: path, Text: err.Error()}}
	}
	found := make([]error, len(all))
	for i, e := range all {
		text := e.Text
		if e.Path != "" {
			text = e.Path + ": " + text
		}
		key := &config.KeyError{Path: path, Text: text, Hint: e.Hint}
		if file == "" {
			key.Spot = &config.Spot{Text: document, Line: e.Line, Column: e.Column, Width: e.Width}
		} else {
			key.Text = fmt.Sprintf("%s:%d:%d: %s", file, e.Line, e.Column, text)
		}
		found[i] = key
	}
	return found
}

// Decide judges a on the method that ex calls, by ex's caller.
func (p *Policy) Decide(ex *proxy.Exchange, a proxy.Action) proxy.Decision {
	effect, _ := p.effect(ex, a)
	return decisionOf(effect)
}

// effect is Decide with the number of the statement that decided, or -1.
func (p *Policy) effect(ex *proxy.Exchange, a proxy.Action) (iam.Effect, int) {
	r := request(ex, a)
	return p.compiled.Decide(&r)
}

func decisionOf(e iam.Effect) proxy.Decision {
	switch e {
	case iam.Allow:
		return proxy.Allowed
	case iam.Deny:
		return proxy.Denied
	}
	return proxy.Undecided
}

// Policies are several documents that count as one: any Deny denies, else any Allow
// allows. None at all decides nothing, so that nothing is allowed.
type Policies []proxy.Policy

// Decide judges a by all of the policies.
func (all Policies) Decide(ex *proxy.Exchange, a proxy.Action) proxy.Decision {
	decision := proxy.Undecided
	for _, p := range all {
		switch p.Decide(ex, a) {
		case proxy.Denied:
			return proxy.Denied
		case proxy.Allowed:
			decision = proxy.Allowed
		}
	}
	return decision
}
