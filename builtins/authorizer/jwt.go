package authorizer

import (
	"context"
	"strings"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// JWT returns the kind of authorizers that take tokens as AWS's HTTP APIs do.
//
// AWS: "Control access to HTTP APIs with JWT authorizers in API Gateway". Differs from
// AWS, where REST APIs don't have it.
func JWT(with Options) proxy.Kind {
	return proxy.Kind{Name: "jwt", Role: proxy.AuthorizerKind, New: func(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
		v, err := newVerifier(with.Issuers, b, o)
		if err != nil {
			return proxy.Steps{}, err
		}
		if len(v.audience) == 0 {
			return proxy.Steps{}, noAudience()
		}
		var steps proxy.Steps
		steps[proxy.MethodRequest] = newBearer(v, scopesOf(b, o))
		return steps, nil
	}}
}

// noAudience is the error for an issuer that may work for all the world, and for an
// authorizer that takes everything it signs.
func noAudience() error {
	return &config.KeyError{
		Path: []string{"audience"}, Text: "it doesn't say whom tokens must be for",
		Hint: "without, tokens that the issuer makes for other services would be good here",
	}
}

// bearer is the step of a JWT authorizer.
type bearer struct {
	verifier   *verifier
	scopes     []string
	challenges [reasons]string
}

func newBearer(v *verifier, scopes []string) *bearer {
	j := &bearer{verifier: v, scopes: scopes}
	for why := range reasons {
		j.challenges[why] = challenge(why, scopes)
	}
	return j
}

// challenge is how AWS tells a caller what is wrong, with spaces where RFC 6750, 3
// has commas. Without a token there is no error: RFC 6750, 3.1.
func challenge(why reason, scopes []string) string {
	switch why {
	case missing:
		return "Bearer"
	case good, unavailable:
		return ""
	}
	kind := "invalid_token"
	if why == lacksScope {
		kind = "insufficient_scope"
	}
	return `Bearer scope="` + strings.Join(scopes, " ") + `" error="` + kind + `" error_description="` + why.String() + `"`
}

// Run lets only callers pass whose token is good.
func (j *bearer) Run(ctx context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	found := j.verifier.verify(ctx, ex)
	if found.why == good && len(j.scopes) > 0 {
		found.require(j.scopes)
	}
	switch found.why {
	case good:
		found.claims.tell(ex)
		return proxy.Continue, nil
	case unavailable:
		return proxy.Continue, proxy.Fault{Kind: proxy.AuthorizerFailure, Cause: found.cause}
	case lacksScope:
		return proxy.Continue, proxy.Fault{Kind: proxy.Forbidden, Challenge: j.challenges[lacksScope], Cause: found.cause}
	}
	return proxy.Continue, proxy.Fault{Kind: proxy.Unauthorized, Challenge: j.challenges[found.why], Cause: found.cause}
}

// require judges the scopes of a good token.
func (j *judgement) require(scopes []string) {
	allowed, err := j.claims.allows(scopes)
	switch {
	case err != nil:
		j.why, j.cause = malformed, err
	case !allowed:
		j.why, j.cause = lacksScope, errScope
	}
}
