package authorizer

import (
	"context"
	"errors"
	"fmt"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/pattern"
)

// errScope is for a token that doesn't have any of the scopes that a route wants.
var errScope = errors.New("it has none of the route's scopes")

// Cognito returns the kind of authorizers that take tokens as AWS's REST APIs do from
// user pools; here any issuer can be one.
//
// AWS: "Control access to REST APIs using Amazon Cognito user pools as an authorizer".
func Cognito(with Options) proxy.Kind {
	return proxy.Kind{Name: "cognito", Role: proxy.AuthorizerKind, New: func(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
		v, err := newVerifier(with.Issuers, b, o)
		if err != nil {
			return proxy.Steps{}, err
		}
		c := &cognito{verifier: v, scopes: scopesOf(b, o)}
		text := o.Authorizer.IdentityValidationExpression
		if o.Authorizer.Issuer != "" && len(v.audience) == 0 && text == "" {
			return proxy.Steps{}, noAudience()
		}
		if text != "" {
			if c.expression, err = pattern.Compile(text); err != nil {
				return proxy.Steps{}, &config.KeyError{Path: []string{"identity_validation_expression"}, Text: err.Error()}
			}
		}
		var steps proxy.Steps
		steps[proxy.MethodRequest] = c
		return steps, nil
	}}
}

// cognito is the step of a Cognito authorizer.
type cognito struct {
	verifier   *verifier
	scopes     []string         // none: ID tokens are wanted, else access tokens
	expression *pattern.Pattern // for aud; nil for none
}

// Run lets only callers pass whose token is good.
func (c *cognito) Run(ctx context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	found := c.verifier.verify(ctx, ex)
	if found.why == good {
		c.judge(&found)
	}
	switch found.why {
	case good:
		found.claims.tell(ex)
		return proxy.Continue, nil
	case unavailable:
		return proxy.Continue, proxy.Fault{Kind: proxy.AuthorizerFailure, Cause: found.cause}
	case expired:
		return proxy.Continue, proxy.Fault{Kind: proxy.ExpiredIdentity, Cause: found.cause}
	}
	return proxy.Continue, proxy.Fault{Kind: proxy.Unauthorized, Cause: found.cause}
}

// judge checks what a token is for: the expression is matched with its aud, and it is
// an ID token or, with a scope that is wanted, an access token.
func (c *cognito) judge(found *judgement) {
	use, err := found.use()
	if err != nil {
		found.why, found.cause = malformed, err
		return
	}
	wanted := idToken
	if len(c.scopes) > 0 {
		wanted = accessToken
	}
	if use != wanted && (use != "" || found.by.pool) {
		found.why, found.cause = wrongUse, fmt.Errorf("it is a token of the kind %.20q, not %s", use, wanted)
		return
	}
	if c.expression != nil {
		is, _, err := found.claims.any("aud", c.matches)
		switch {
		case err != nil:
			found.why, found.cause = malformed, err
			return
		case !is:
			found.why, found.cause = wrongAudience, errors.New("its aud doesn't match identity_validation_expression")
			return
		}
	}
	if len(c.scopes) > 0 {
		found.require(c.scopes)
	}
}

// The kinds of tokens. AWS: "Verifying JSON web tokens", token_use.
const (
	idToken     = "id"
	accessToken = "access"
)

// use returns the kind of a token: its token_use, which user pools set, or an access
// token by its type (RFC 9068, 2.1). "" if neither says.
func (j *judgement) use() (string, error) {
	use, err := j.claims.text("token_use")
	if use == "" && (j.typ == "at+jwt" || j.typ == "application/at+jwt") {
		use = accessToken
	}
	return use, err
}

// matches reports whether the whole of text matches the expression.
func (c *cognito) matches(text string) bool {
	steps := expressionSteps
	is, err := c.expression.Matches(text, &steps)
	return is && err == nil
}
