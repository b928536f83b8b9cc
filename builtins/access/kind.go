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
		switch identityOf(b, o) {
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
		switch identityOf(b, o) {
		case judged:
			step = &combined{resource: p}
		case signed:
			step = &combined{resource: p, signed: true}
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

func identityOf(b proxy.Build, o proxy.Options) identity {
	name := o.Route.Authorizer
	if name == "" || name == "none" {
		return anonymous
	}
	a, found := o.Config.API[b.Route.Stage.API.Name].Authorizer[name]
	if !found {
		a = o.Config.Authorizer[name]
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
		return compileResource(api, configured, NewNetworks(o.Config))
	}).(*resourcePolicy)
}

func compileResource(api *proxy.API, configured *config.Policy, networks *Networks) *resourcePolicy {
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
	})
	if err != nil {
		path := []string{"policy"}
		if configured.File != "" {
			path = append(path, "file")
		}
		return &resourcePolicy{wrong: Findings(err, configured.File, path...)}
	}
	p := &resourcePolicy{compiled: compiled}
	for i := range compiled.Len() {
		p.denied = append(p.denied, fmt.Errorf("the resource policy denies it: %s", compiled.Name(i)))
	}
	return p
}

// decide judges the call of ex's method.
func (p *resourcePolicy) decide(ex *proxy.Exchange) (iam.Effect, int) {
	r := request(ex, proxy.Invoke)
	return p.compiled.Decide(&r)
}

// openStep lets in whom the resource policy allows.
type openStep struct{ resource *resourcePolicy }

// Run refuses what isn't allowed.
func (s *openStep) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	switch effect, which := s.resource.decide(ex); effect {
	case iam.Deny:
		return proxy.Continue, refuse(ex, byResource, s.resource.denied[which])
	case iam.Neutral:
		return proxy.Continue, refuse(ex, noResource, errNotAllowed)
	}
	return proxy.Continue, nil
}

// firstPass keeps out whom the resource policy denies, so that no function is
// asked about them.
type firstPass struct{ resource *resourcePolicy }

// Run refuses what is denied.
func (s *firstPass) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	if effect, which := s.resource.decide(ex); effect == iam.Deny {
		return proxy.Continue, refuse(ex, byResource, s.resource.denied[which])
	}
	return proxy.Continue, nil
}

// combined decides by the caller's policy and the resource policy.
type combined struct {
	resource *resourcePolicy // nil for none
	signed   bool
}

// Run refuses what the two don't allow together. AWS: "How API Gateway resource
// policies affect authorization workflow", tables A and B.
func (s *combined) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	caller := s.caller(ex)
	if s.resource == nil {
		if caller == proxy.Allowed {
			return proxy.Continue, nil
		}
		return proxy.Continue, refuse(ex, s.byCaller(caller), causeOf(caller))
	}
	resource, which := s.resource.decide(ex)
	switch {
	case resource == iam.Deny:
		return proxy.Continue, refuse(ex, byResource, s.resource.denied[which])
	case caller == proxy.Denied:
		return proxy.Continue, refuse(ex, s.byCaller(caller), causeOf(caller))
	case s.signed && ex.Caller.Identity.AccountID != ex.Route.Stage.API.AccountID: // table B
		switch {
		case caller != proxy.Allowed:
			return proxy.Continue, refuse(ex, s.byCaller(caller), causeOf(caller))
		case resource != iam.Allow:
			return proxy.Continue, refuse(ex, noResource, errNotAllowed)
		}
	case caller != proxy.Allowed && resource != iam.Allow: // table A
		return proxy.Continue, refuse(ex, s.byCaller(caller), causeOf(caller))
	}
	return proxy.Continue, nil
}

// caller is what the authorizer's word comes to. A function that let the caller
// pass without a policy has allowed what was asked; a principal without policies
// may do nothing.
func (s *combined) caller(ex *proxy.Exchange) proxy.Decision {
	switch {
	case ex.Caller.Policy != nil:
		return ex.Caller.Policy.Decide(ex, proxy.Invoke)
	case s.signed:
		return proxy.Undecided
	}
	return proxy.Allowed
}

// byCaller is why d, what the caller's policy says, keeps the caller out.
func (s *combined) byCaller(d proxy.Decision) reason {
	switch {
	case s.signed && d == proxy.Denied:
		return byIdentity
	case s.signed:
		return noIdentity
	case d == proxy.Denied:
		return byAuthorizer
	}
	return noAuthorizer
}
