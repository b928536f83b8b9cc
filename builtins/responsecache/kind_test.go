package responsecache

import (
	"testing"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// A key tells callers apart if it has all by which the authorizer does, or who they turned
// out to be.
func TestIdentified(t *testing.T) {
	f := func(a config.Authorizer, identified, authorization bool, keys ...string) {
		t.Helper()
		c := &stageCache{}
		route := &config.Route{Authorizer: "who", Integration: config.Integration{CacheKeyParameters: keys}}
		c.personal(proxy.Build{Route: &proxy.Route{Stage: &proxy.Stage{API: &proxy.API{Name: "x"}}}},
			proxy.Options{Route: route, Config: &config.Config{Authorizer: map[string]config.Authorizer{"who": a}}})
		ex := &proxy.Exchange{Caller: proxy.Caller{Principal: "anna", Identity: proxy.Identity{UserARN: "arn:aws:iam::1:user/anna"}}}
		unnamed := !c.named(ex)
		if (c.identified && unnamed) != identified || (c.authorization && unnamed) != authorization {
			t.Errorf("%+v by %v: identified %v, by Authorization %v, unnamed %v", a, keys, c.identified, c.authorization, unnamed)
		}
		if c.named(&proxy.Exchange{}) {
			t.Errorf("%+v by %v: nobody has a name", a, keys)
		}
	}
	const authorization, token = "method.request.header.Authorization", "method.request.header.X-Token"
	from := func(sources ...string) config.Authorizer {
		return config.Authorizer{Type: "http", Event: "request", IdentitySource: sources}
	}
	f(from(token), true, true)
	f(from(token), false, true, token)
	f(from(token), false, true, "method.request.multivalueheader.x-token")
	f(from(token), true, false, authorization)
	f(from(token, "method.request.querystring.t"), true, true, token)
	f(from(token, "method.request.querystring.t"), false, true, token, "method.request.querystring.t")
	f(from("method.request.querystring.t"), true, true, "method.request.querystring.T")
	f(from("$request.header.X-Token", "$stageVariables.color"), false, true, token)
	f(from(), true, false, authorization)
	f(from(), false, false, "context.authorizer.principalId")
	f(from(), true, true, "context.authorizer.tier")
	f(config.Authorizer{Type: "jwt"}, false, false, authorization)
	f(config.Authorizer{Type: "wasm", Event: "token"}, false, false, authorization)
	f(config.Authorizer{Type: "iam"}, true, false, authorization)
	f(config.Authorizer{Type: "iam"}, false, false, "context.identity.userArn")
}
