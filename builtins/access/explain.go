package access

import (
	"errors"
	"fmt"

	"github.com/postern-gateway/postern/builtins/internal/iam"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// Outcome is what a request comes to, as far as policies tell.
type Outcome string

// The outcomes.
const (
	Allow   Outcome = "allowed"
	Deny    Outcome = "denied"
	Depends Outcome = "depends" // on what an authorizer says, who isn't asked
)

// Explanation is who decides about a request, and why.
type Explanation struct {
	Request    string     `json:"request"` // "GET /pets/7"
	API        string     `json:"api"`
	Stage      string     `json:"stage"`
	Route      string     `json:"route"`
	Resource   string     `json:"resource"` // the method's ARN
	Caller     string     `json:"caller"`   // ARN, or "anonymous"
	Authorizer string     `json:"authorizer,omitempty"`
	Policies   []Judgment `json:"policies"`
	Outcome    Outcome    `json:"outcome"`
	Reason     string     `json:"reason"`
}

// Judgment is what one policy says of a request.
type Judgment struct {
	Policy     string      `json:"policy"` // where it stands: "api.pets.policy", and its file
	Decision   string      `json:"decision"`
	Statements []Statement `json:"statements"`
}

// Statement is what one statement of a policy has to do with a request.
type Statement struct {
	Name   string `json:"name"`
	Effect string `json:"effect"`
	Fits   bool   `json:"fits"`
	Why    string `json:"why,omitempty"` // it doesn't fit
}

// Explainer tells about the APIs of one configuration. It is for one goroutine.
type Explainer struct {
	cfg      *config.Config
	networks *Networks
	resource map[string]*resourcePolicy
}

// NewExplainer returns the explainer of cfg.
func NewExplainer(cfg *config.Config) *Explainer {
	return &Explainer{cfg: cfg, networks: NewNetworks(cfg), resource: map[string]*resourcePolicy{}}
}

// Networks are the configuration's.
func (e *Explainer) Networks() *Networks { return e.networks }

// Explain says what ex, which has a route, comes to. If the route asks for signatures,
// ex.Caller.Identity signs, whose policies own are; if a function decides, answer is
// what it would answer, nil if that isn't known. The error tells what is wrong with
// the API's policy.
func (e *Explainer) Explain(ex *proxy.Exchange, own, answer []Document) (*Explanation, error) {
	api := ex.Route.Stage.API
	resource, err := e.resourcePolicy(api)
	if err != nil {
		return nil, err
	}
	x := &Explanation{
		Request: ex.Method + " " + ex.Path,
		API:     api.Name, Stage: ex.Route.Stage.Name, Route: ex.Route.Key,
		Resource: string(proxy.AppendMethodARN(nil, ex)),
		Policies: []Judgment{},
	}
	route := e.cfg.API[api.Name].Route[ex.Route.Key]
	if ex.Socket != nil { // whose callers are known from $connect on
		x.Request = ex.Route.Key
		route = e.cfg.API[api.Name].Route[config.ConnectRoute]
	}
	how := identityOf(api.Name, route.Authorizer, e.cfg)
	if how != anonymous {
		x.Authorizer = route.Authorizer
	}
	if how != signed {
		ex.Caller.Identity = proxy.Identity{} // nobody asks for a signature
	}
	x.Caller = ex.Caller.Identity.UserARN
	if x.Caller == "" {
		x.Caller = "anonymous"
	}
	effect := iam.Neutral
	if resource != nil {
		name := "api." + api.Name + ".policy"
		if file := e.cfg.API[api.Name].Policy.File; file != "" {
			name += " (" + file + ")"
		}
		effect = x.judge(name, resource.compiled, ex)
	}
	switch how {
	case judged:
		own = answer
	case anonymous, known:
		own = nil
	}
	for _, d := range own {
		x.judge(d.Name, d.Policy.compiled, ex)
	}
	caller := PoliciesOf(own).Decide(ex, proxy.Invoke)
	x.conclude(ex, how, caller, effect, resource != nil, answer != nil)
	return x, nil
}

func (e *Explainer) resourcePolicy(api *proxy.API) (*resourcePolicy, error) {
	configured := e.cfg.API[api.Name].Policy
	if configured == nil {
		return nil, nil
	}
	p := e.resource[api.Name]
	if p == nil {
		p = compileResource(e.cfg, api, configured, e.networks)
		e.resource[api.Name] = p
	}
	return p, errors.Join(p.wrong...)
}

// judge adds what a policy says.
func (x *Explanation) judge(name string, p *iam.Policy, ex *proxy.Exchange) iam.Effect {
	r := request(ex, proxy.Invoke)
	effect, _ := p.Decide(&r)
	j := Judgment{Policy: name, Decision: effect.String(), Statements: []Statement{}}
	for _, reason := range p.Explain(&r) {
		j.Statements = append(j.Statements, Statement{reason.Statement, reason.Effect.String(), reason.Fits, reason.Why})
	}
	x.Policies = append(x.Policies, j)
	return effect
}

// conclude fills in what comes of it.
func (x *Explanation) conclude(ex *proxy.Exchange, how identity, caller proxy.Decision, resource iam.Effect, has, answered bool) {
	why := noReason
	switch {
	case how == signed && ex.Caller.Identity.UserARN == "":
		x.Outcome, x.Reason = Deny, fmt.Sprintf("authorizer %q lets in who signs the request; choose one with --principal", x.Authorizer)
		return
	case how == judged && !answered:
		x.unanswered(ex, resource, has)
		return
	case how == anonymous || how == known:
		if has {
			why = weighResource(resource)
		}
	case has:
		why = weigh(caller, resource, how == signed, foreign(ex))
	default:
		why = weighCaller(caller, how == signed)
	}
	x.Outcome = Deny
	switch why {
	case noReason:
		x.Outcome, x.Reason = Allow, x.whyAllowed(ex, how, caller, has)
	case authorizerIsSilent:
		x.Reason = proxy.Fault{Kind: proxy.AccessDenied}.Text()
	default:
		x.Reason = told(ex, why)
	}
}

// whyAllowed says who let the caller in.
func (x *Explanation) whyAllowed(ex *proxy.Exchange, how identity, caller proxy.Decision, has bool) string {
	switch {
	case how == known:
		x.Outcome = Depends
		return fmt.Sprintf("let in with a token that authorizer %q accepts", x.Authorizer)
	case how == anonymous && !has:
		return "the API has no policy and the route no authorizer"
	case how == anonymous:
		return "the API's policy allows it"
	case caller != proxy.Allowed:
		return "the API's policy allows it, for a caller of its own account"
	case how == signed && has && foreign(ex):
		return "the caller's policies and the API's allow it, as they both must for a caller of another account"
	case how == signed:
		return "the caller's policies allow it"
	}
	return "the authorizer's answer allows it"
}

// unanswered is for a function that decides and wasn't asked.
func (x *Explanation) unanswered(ex *proxy.Exchange, resource iam.Effect, has bool) {
	x.Outcome = Depends
	switch {
	case resource == iam.Deny:
		x.Outcome, x.Reason = Deny, told(ex, resourceDenies)
	case resource == iam.Allow:
		x.Reason = fmt.Sprintf("let in unless authorizer %q denies it", x.Authorizer)
	case has:
		x.Reason = fmt.Sprintf("let in if authorizer %q allows it: the API's policy says nothing", x.Authorizer)
	default:
		x.Reason = fmt.Sprintf("let in if authorizer %q allows it", x.Authorizer)
	}
}
