package access

import (
	"context"
	"errors"
	"fmt"

	"github.com/postern-gateway/postern/builtins/internal/iam"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// kindName is the name of both kinds.
const kindName = "policy"

// Guard returns the kind that holds an API's resource policy against requests
// before an authorizer is asked: all of it where nobody is asked, and what it
// denies where a function is.
func Guard() proxy.Kind {
	return proxy.Kind{Name: kindName, Role: proxy.GuardKind, New: func(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
		p := resourcePolicyOf(b, o)
		if p == nil {
			return proxy.Steps{}, nil
		}
		if len(p.wrong) > 0 {
			return proxy.Steps{}, errors.Join(p.wrong...)
		}
		switch identityOf(b.Route.Stage.API.Name, o.Route.Authorizer, o.Config) {
		case anonymous:
			return proxy.Steps{proxy.MethodRequest: &openStep{p}}, nil
		case judged:
			return proxy.Steps{proxy.MethodRequest: &firstPass{p}}, nil
		}
		return proxy.Steps{}, nil
	}}
}

// Access returns the kind that decides after an authorizer, by what it says of the
// caller and by the API's resource policy.
func Access() proxy.Kind {
	return proxy.Kind{Name: kindName, Role: proxy.AccessKind, New: func(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
		p := resourcePolicyOf(b, o)
		if p != nil && len(p.wrong) > 0 {
			return proxy.Steps{}, nil // the guard says so
		}
		var step proxy.Step
		switch identityOf(b.Route.Stage.API.Name, o.Route.Authorizer, o.Config) {
		case judged:
			step = &combined{resource: p, action: b.Route.Action}
		case signed:
			step = &combined{resource: p, action: b.Route.Action, signed: true}
		case known:
			if p != nil {
				step = &openStep{p}
			}
		}
		return proxy.Steps{proxy.MethodRequest: step}, nil
	}}
}

// identity is how a route's callers are known.
type identity uint8

const (
	anonymous identity = iota // there is no authorizer
	judged                    // by a function, which says what they may do
	signed                    // by a signature, of principals who have policies
	known                     // by a token, which says who they are and not what they may do
)

// identityOf returns how callers of a route of api are known that has the authorizer
// called name.
func identityOf(api, name string, cfg *config.Config) identity {
	if name == "" || name == "none" {
		return anonymous
	}
	a, found := cfg.API[api].Authorizer[name]
	if !found {
		a = cfg.Authorizer[name]
	}
	switch a.Type {
	case "iam":
		return signed
	case "jwt", "cognito":
		return known
	}
	return judged
}

// resourcePolicy is the policy of one API.
type resourcePolicy struct {
	compiled *iam.Policy
	denied   []error // for the log, by statement
	wrong    []error
}

// resourcePolicyKey is the key under which the routes of an API share its policy.
type resourcePolicyKey struct{ api string }

// resourcePolicyOf returns the policy of the API that is being built; nil if it has
// none.
func resourcePolicyOf(b proxy.Build, o proxy.Options) *resourcePolicy {
	api := b.Route.Stage.API
	configured := o.Config.API[api.Name].Policy
	if configured == nil {
		return nil
	}
	return b.Shared(resourcePolicyKey{api.Name}, func() any {
		return compileResource(o.Config, api, configured, NewNetworks(o.Config))
	}).(*resourcePolicy)
}

func compileResource(cfg *config.Config, api *proxy.API, configured *config.Policy, networks *Networks) *resourcePolicy {
	text, err := configured.Read()
	var key *config.KeyError
	if errors.As(err, &key) {
		key.Path = append([]string{"policy"}, key.Path...)
		return &resourcePolicy{wrong: []error{key}}
	}
	compiled, err := iam.Parse([]byte(text), iam.Options{
		Resource: true,
		Region:   api.Region, Account: api.AccountID, API: api.ID,
		Networks: networks.all,
		MaxSize:  configured.Limit,
		Suggest:  config.Closest,
		Line:     lines(cfg, configured, []string{"api", api.Name, "policy"}),
	})
	if err != nil {
		path := []string{"policy"}
		if configured.File != "" {
			path = append(path, "file")
		}
		return &resourcePolicy{wrong: Findings(err, text, configured.File, path...)}
	}
	p := &resourcePolicy{compiled: compiled}
	for i := range compiled.Len() {
		p.denied = append(p.denied, fmt.Errorf("the resource policy denies it: %s", compiled.Name(i)))
	}
	return p
}

// cause is why e, by statement which, keeps a caller out, for the log.
func (p *resourcePolicy) cause(e iam.Effect, which int) error {
	if e == iam.Deny {
		return p.denied[which]
	}
	return errNotAllowed
}

// decide judges the call of ex's method.
func (p *resourcePolicy) decide(ex *proxy.Exchange) (iam.Effect, int) {
	if ex.Explain != nil {
		explainPolicy(ex, "the API's policy", p.compiled)
	}
	r := request(ex, proxy.Invoke)
	return p.compiled.Decide(&r)
}

// openStep lets in whom the resource policy allows.
type openStep struct{ resource *resourcePolicy }

// Run refuses what isn't allowed.
func (s *openStep) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	effect, which := s.resource.decide(ex)
	return proxy.Continue, refuse(ex, weighResource(effect), s.resource.cause(effect, which))
}

// firstPass keeps out whom the resource policy denies, so that no function is
// asked about them.
type firstPass struct{ resource *resourcePolicy }

// Run refuses what is denied.
func (s *firstPass) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	if effect, which := s.resource.decide(ex); effect == iam.Deny {
		return proxy.Continue, refuse(ex, resourceDenies, s.resource.cause(effect, which))
	}
	return proxy.Continue, nil
}

// combined decides by the caller's policy and the resource policy.
type combined struct {
	resource *resourcePolicy // nil for none
	action   proxy.Action    // that is asked for
	signed   bool
}

// Run refuses what the two don't allow together.
func (s *combined) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	caller := s.caller(ex)
	if s.resource == nil {
		return proxy.Continue, refuse(ex, weighCaller(caller, s.signed), causeOf(caller))
	}
	effect, which := s.resource.decide(ex)
	switch why := weigh(caller, effect, s.signed, foreign(ex)); why {
	case resourceDenies, resourceIsSilent:
		return proxy.Continue, refuse(ex, why, s.resource.cause(effect, which))
	default:
		return proxy.Continue, refuse(ex, why, causeOf(caller))
	}
}

// caller is what the authorizer's word comes to. A function that let the caller
// pass without a policy has allowed what was asked; a principal without policies
// may do nothing.
func (s *combined) caller(ex *proxy.Exchange) proxy.Decision {
	if ex.Explain != nil {
		explainCaller(ex, ex.Caller.Policy)
	}
	switch {
	case ex.Caller.Policy != nil:
		return ex.Caller.Policy.Decide(ex, s.action)
	case s.signed:
		return proxy.Undecided
	}
	return proxy.Allowed
}

// foreign reports whether the caller is of another account than the API.
func foreign(ex *proxy.Exchange) bool {
	return ex.Caller.Identity.AccountID != ex.Route.Stage.API.AccountID
}
