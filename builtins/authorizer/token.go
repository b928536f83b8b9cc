package authorizer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/builtins/internal/oidc"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/jose"
)

// Issuers has the keys of token issuers, and outlives configurations.
type Issuers = oidc.Issuers

// NewIssuers returns one that knows no issuer yet. logger is told of issuers that
// can't be reached.
func NewIssuers(logger *zap.Logger) *Issuers { return oidc.New(oidc.Options{Logger: logger}) }

const (
	// maxToken is how long a token may be, in bytes: as long as all of AWS's headers
	// leave room for.
	maxToken = 8 << 10
	// maxAudiences is how many an authorizer may have. AWS: "Quotas for configuring and
	// running an HTTP API in API Gateway".
	maxAudiences = 50
)

// reason is why a token isn't accepted.
type reason uint8

const (
	good reason = iota
	missing
	malformed
	wrongMethod
	unknownKey
	wrongSignature
	wrongIssuer
	wrongAudience
	wrongUse
	expired
	early
	lacksScope
	unavailable // it isn't the token: there are no keys to judge it by
	reasons
)

// String is what the caller is told: nothing of what the token holds.
func (r reason) String() string {
	switch r {
	case missing:
		return "there is no token"
	case malformed:
		return "the token is malformed"
	case wrongMethod:
		return "the token is not signed in an allowed way"
	case unknownKey:
		return "the token is not signed with a key of the issuer"
	case wrongSignature:
		return "the token does not have a valid signature"
	case wrongIssuer:
		return "the token does not have a valid issuer"
	case wrongAudience:
		return "the token does not have a valid audience"
	case wrongUse:
		return "the token is of another kind"
	case expired:
		return "the token has expired"
	case early:
		return "the token is not valid yet"
	case lacksScope:
		return "the token does not have a required scope"
	}
	return "the token cannot be judged"
}

// verifier judges bearer tokens.
type verifier struct {
	source     source
	issuers    []issuer
	algorithms []string
	audience   []string // empty: anybody
	skew       time.Duration
}

// issuer is one whose tokens are taken.
type issuer struct {
	name string // iss
	ring *oidc.Keyring
	pool bool // a Cognito user pool
}

// token returns the token of ex, without "Bearer". RFC 6750, 2.1; AWS takes bare
// ones too. Valid as long as ex.
func (v *verifier) token(ex *proxy.Exchange) (string, reason) {
	passing := proxy.PassingOf(ex.In.Fields)
	text, there := v.source.last(&passing, ex)
	if !there {
		return "", missing
	}
	if v.source.count(&passing, ex) > 1 {
		return "", malformed // a backend might look at another one
	}
	text = strings.Trim(text, " \t")
	const scheme = "Bearer "
	if len(text) >= len(scheme) && strings.EqualFold(text[:len(scheme)], scheme) {
		text = strings.TrimLeft(text[len(scheme):], " ")
	}
	return text, good
}

// errTwice is for a request with two tokens.
var errTwice = errors.New("the header or query parameter is there twice")

// judgement is what a verifier makes of a token.
type judgement struct {
	why    reason
	cause  error // says what exactly is wrong, for the log; nil if nothing is
	by     *issuer
	typ    string // the header's
	claims claims
}

// verify judges the token of ex by everything but its use and scopes.
func (v *verifier) verify(ctx context.Context, ex *proxy.Exchange) (j judgement) {
	text, why := v.token(ex)
	switch {
	case why == malformed:
		return judgement{why: why, cause: errTwice}
	case why != good:
		return judgement{why: why}
	case len(text) > maxToken:
		return judgement{why: malformed, cause: fmt.Errorf("a token of more than %d bytes", maxToken)}
	}
	t, err := jose.Read(text, ex.Text.Begin())
	if err != nil {
		return judgement{why: malformed, cause: err}
	}
	ex.Text.Finish(t.Payload) // what it says is needed as long as the exchange
	if !slices.Contains(v.algorithms, t.Algorithm) {
		return judgement{why: wrongMethod, cause: fmt.Errorf("the algorithm %.20q isn't allowed", t.Algorithm)}
	}
	j.typ = t.Type
	if j.claims, err = readClaims(t.Payload); err != nil {
		return judgement{why: malformed, cause: err}
	}
	if j.by, err = v.issuerOf(j.claims); err != nil {
		return judgement{why: wrongIssuer, cause: err}
	}
	if j.why, j.cause = j.by.signed(ctx, &t); j.why == good {
		j.why, j.cause = v.judge(j.claims, ex.Now())
	}
	return j
}

// issuerOf returns who c says issued the token: nobody knows yet if that is true.
func (v *verifier) issuerOf(c claims) (*issuer, error) {
	name, err := c.text("iss")
	if err != nil {
		return nil, err
	}
	for i := range v.issuers {
		if v.issuers[i].name == name {
			return &v.issuers[i], nil
		}
	}
	return nil, fmt.Errorf("it is from the issuer %.100q", name)
}

// signed checks that the issuer signed t.
func (is *issuer) signed(ctx context.Context, t *jose.Token) (reason, error) {
	switch err := is.ring.Verify(ctx, t); err {
	case nil:
		return good, nil
	case oidc.ErrUnavailable:
		return unavailable, fmt.Errorf("issuer %s: %w", is.name, err)
	case oidc.ErrUnknownKey:
		return unknownKey, fmt.Errorf("key %.100q: %w", t.KeyID, err)
	default:
		return wrongSignature, fmt.Errorf("key %.100q: %w", t.KeyID, err)
	}
}

// judge checks the claims of a token that the issuer signed.
func (v *verifier) judge(c claims, now time.Time) (reason, error) {
	if !c.once() {
		return malformed, errors.New("a claim is there twice")
	}
	if _, err := c.text("sub"); err != nil {
		return malformed, err
	}
	if why, err := c.inTime(now, v.skew); why != good {
		return why, err
	}
	if len(v.audience) > 0 {
		is, err := c.isFor(v.audience)
		switch {
		case err != nil:
			return malformed, err
		case !is:
			return wrongAudience, errors.New("it is for another audience")
		}
	}
	return good, nil
}

// shared finds the verifier of an API's authorizer: its routes have one together.
type shared struct{ api, name string }

// newVerifier makes what jwt and cognito authorizers have in common. issuers may be
// nil: then no keys are fetched, and no token is good.
func newVerifier(issuers *Issuers, b proxy.Build, o proxy.Options) (*verifier, error) {
	type result struct {
		v   *verifier
		err error
	}
	r := b.Shared(shared{b.Route.Stage.API.Name, o.Name}, func() any {
		v := &verifier{algorithms: o.Authorizer.Algorithms, audience: o.Authorizer.Audience, skew: time.Duration(o.Authorizer.ClockSkew)}
		return result{v, errors.Join(v.find(o.Authorizer, b.Route), v.accept(), v.trust(issuers, b, o.Authorizer))}
	}).(result)
	return r.v, r.err
}

// find sets where tokens are looked for.
func (v *verifier) find(a *config.Authorizer, r *proxy.Route) error {
	list := a.IdentitySource
	if list == nil {
		list = []string{"method.request.header.Authorization"}
	}
	sources, err := parseSources(list, r)
	if err != nil {
		return err
	}
	if len(sources) != 1 || sources[0].kind != headerSource && sources[0].kind != querySource {
		return &config.KeyError{
			Path: []string{"identity_source"}, Text: "a token stands in one place",
			Hint: "one method.request.header.NAME or method.request.querystring.NAME",
		}
	}
	v.source = sources[0]
	return nil
}

// accept checks what tokens there are to be.
func (v *verifier) accept() error {
	if len(v.audience) > maxAudiences {
		return &config.KeyError{Path: []string{"audience"}, Text: fmt.Sprintf("it has %d entries, more than %d", len(v.audience), maxAudiences)}
	}
	if i := slices.Index(v.audience, ""); i >= 0 {
		return &config.KeyError{Path: []string{"audience", strconv.Itoa(i)}, Text: `nobody is called ""`}
	}
	if len(v.algorithms) == 0 {
		return &config.KeyError{Path: []string{"algorithms"}, Text: "without an algorithm no token is good"}
	}
	return nil
}

// trust sets whose tokens are good.
func (v *verifier) trust(issuers *Issuers, b proxy.Build, a *config.Authorizer) error {
	if a.Issuer != "" {
		v.issuers = append(v.issuers, issuer{name: a.Issuer})
	}
	for _, arn := range a.ProviderARNs {
		v.issuers = append(v.issuers, issuer{name: poolIssuer(arn), pool: true})
	}
	switch {
	case len(v.issuers) == 0 && a.Type == "cognito":
		return &config.KeyError{Text: "it doesn't say who issues the tokens", Hint: "add provider_arns or issuer"}
	case len(v.issuers) == 0:
		return &config.KeyError{Text: "it doesn't say who issues the tokens", Hint: "add issuer"}
	case len(v.issuers) > 1 && a.KeysURL != "":
		return &config.KeyError{Path: []string{"keys_url"}, Text: "there is more than one issuer", Hint: "leave it out: each says where its keys are"}
	case a.KeysFile != "":
		ring, err := v.fixed(a)
		v.issuers[0].ring = ring
		return err
	}
	var ca []byte
	if a.CA != "" {
		var err error
		if ca, err = os.ReadFile(a.CA); err != nil {
			return &config.KeyError{Path: []string{"ca"}, Text: err.Error()}
		}
	}
	for i := range v.issuers {
		ring, release, err := issuers.Use(oidc.Source{
			Issuer: v.issuers[i].name, KeysURL: a.KeysURL, CA: string(ca), Private: a.Private,
			Timeout: time.Duration(a.KeysTimeout), Fresh: time.Duration(a.KeysTTL), Grace: time.Duration(a.KeysGrace),
		})
		switch {
		case errors.Is(err, oidc.ErrCA):
			return &config.KeyError{Path: []string{"ca"}, Text: err.Error()}
		case errors.Is(err, oidc.ErrURL):
			return &config.KeyError{Text: err.Error(), Hint: "https://host/path, or with a port"}
		case err != nil:
			return &config.KeyError{Text: err.Error(), Hint: "use https; or add private = true, if the issuer is in a network of yours"}
		}
		b.OnClose(release)
		v.issuers[i].ring = ring
	}
	return nil
}

// fixed reads keys that are never fetched.
func (v *verifier) fixed(a *config.Authorizer) (*oidc.Keyring, error) {
	refuse := func(text, hint string) (*oidc.Keyring, error) {
		return nil, &config.KeyError{Path: []string{"keys_file"}, Text: text, Hint: hint}
	}
	switch {
	case len(v.issuers) > 1:
		return refuse("there is more than one issuer", "make an authorizer for each")
	case a.KeysURL != "" || a.CA != "" || a.Private:
		return refuse("the keys aren't fetched, then", "leave out keys_file, or keys_url, ca and private")
	}
	text, err := os.ReadFile(a.KeysFile)
	if err != nil {
		return refuse(err.Error(), "")
	}
	keys, err := jose.ParseKeys(text)
	if err != nil {
		return refuse(err.Error(), "")
	}
	return oidc.Fixed(keys), nil
}

// poolIssuer is what a user pool calls itself in its tokens.
// AWS: "Verifying JSON web tokens".
func poolIssuer(arn string) string {
	region := strings.Split(arn, ":")[3] // the pattern of provider_arns has seen to it
	_, id, _ := strings.Cut(arn, "/")
	domain := ".amazonaws.com/"
	if strings.HasPrefix(arn, "arn:aws-cn:") {
		domain = ".amazonaws.com.cn/"
	}
	return "https://cognito-idp." + region + domain + id
}

// scopesOf returns the scopes of which a token must have one on the route.
func scopesOf(b proxy.Build, o proxy.Options) []string {
	return o.Config.API[b.Route.Stage.API.Name].Route[b.Route.Key].AuthorizationScopes
}
