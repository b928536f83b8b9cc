package access

import "github.com/postern-gateway/postern/proxy"

// Permission returns what tells whether a route's caller may do a, which isn't the call
// itself: by the policies that decide about the call. Without a policy that says so nobody
// may; an authorizer that answers without one has allowed the call alone.
func Permission(b proxy.Build, o proxy.Options, a proxy.Action) func(ex *proxy.Exchange) bool {
	p := resourcePolicyOf(b, o)
	who := identityOf(b.Route.Stage.API.Name, o.Route.Authorizer, o.Config)
	return func(ex *proxy.Exchange) bool {
		caller := proxy.Undecided
		if ex.Caller.Policy != nil && (who == judged || who == signed) {
			caller = ex.Caller.Policy.Decide(ex, a)
		}
		if p == nil || p.compiled == nil {
			return caller == proxy.Allowed
		}
		r := request(ex, a)
		effect, _ := p.compiled.Decide(&r)
		return weigh(caller, effect, who == signed, who == signed && foreign(ex)) == noReason
	}
}
