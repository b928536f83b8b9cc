// Package authorizer has the types of authorizers that the gateway brings along,
// and what all that AWS calls Lambda authorizers have in common, whoever decides:
// identity sources, a validation expression, and answers that are kept for a time.
package authorizer

import (
	"context"
	"fmt"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/pattern"
)

// longestARN is how long the name of a method may be, in bytes. AWS: "Amazon API
// Gateway important notes", as for paths of APIs with a Lambda authorizer.
const longestARN = 1600

// expressionSteps is the budget of one use of a validation expression: a
// millisecond at most. Tokens come from anybody.
const expressionSteps = 100_000

// decider says who may call: what stands behind an authorizer.
type decider interface {
	// decide fills ex.Caller and returns nil for a caller that may go on, as far as
	// nobody else objects, or a Fault. size is about how many bytes of memory
	// Caller.Policy takes.
	decide(ctx context.Context, ex *proxy.Exchange) (size int, err error)
}

// step is an authorizer of one route.
type step struct {
	// Set at construction.
	name       string // in the configuration
	sources    []source
	token      bool             // the only source holds a token
	expression *pattern.Pattern // nil for none
	decider    decider
	fixedARN   int     // length of the method's ARN without verb and path; 0: nobody gets it
	keeper     *keeper // nil: every request is asked for
	scope      string  // what keys begin with
	byPath     bool    // an answer counts for one method and path

	unauthorized error
}

// StepName implements proxy.NamedStep.
func (s *step) StepName() string { return "authorizer " + s.name }

// readingStep is a step whose decider sees the request's content.
type readingStep struct{ *step }

// NeedsWholeBody makes the pipeline read the content first.
func (readingStep) NeedsWholeBody() {}

// Run asks the decider, unless there is nobody to ask about or an answer is kept.
func (s *step) Run(ctx context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	if s.fixedARN > 0 && s.fixedARN+len(ex.Method)+len(ex.Path) > longestARN {
		return proxy.Continue, proxy.Fault{Kind: proxy.URITooLong, Cause: errLongARN}
	}
	if len(s.sources) == 0 && s.keeper == nil {
		_, err := s.decider.decide(ctx, ex)
		return proxy.Continue, err
	}
	passing := proxy.PassingOf(ex.In.Fields)
	var values [maxSources]string
	for i := range s.sources {
		value, there := s.sources[i].last(&passing, ex)
		if !there {
			if ex.Explain != nil {
				ex.Explain.Note("identity source", s.sources[i].name+" is missing or empty", "")
			}
			return proxy.Continue, s.unauthorized
		}
		values[i] = value
	}
	if s.token && !s.acceptable(&passing, ex, values[0]) {
		if ex.Explain != nil {
			ex.Explain.Note("the validation expression", "doesn't fit", "")
		}
		return proxy.Continue, s.unauthorized
	}
	if s.keeper == nil {
		_, err := s.decider.decide(ctx, ex)
		return proxy.Continue, err
	}
	key := append(ex.Text.Begin(), s.scope...)
	for i := range s.sources {
		key = s.sources[i].appendKey(key, &passing, ex, values[i])
	}
	if s.byPath {
		key = appendValue(appendValue(key, ex.Method), ex.Path)
	}
	return proxy.Continue, s.keeper.decide(ctx, ex, ex.Text.Finish(key), s.decider)
}

// errLongARN is why a request for a very long path isn't put to an authorizer.
var errLongARN = fmt.Errorf("the method's ARN has more than %d bytes", longestARN)

// acceptable reports whether token is worth asking about.
//
// Differs from AWS, which takes one of several: a backend may take another one, so
// that nobody would have looked at the token that it goes by.
func (s *step) acceptable(passing *proxy.Passing, ex *proxy.Exchange, token string) bool {
	if s.sources[0].count(passing, ex) > 1 {
		return false
	}
	if s.expression == nil {
		return true
	}
	steps := expressionSteps
	fits, err := s.expression.Matches(token, &steps)
	return fits && err == nil
}

// Options are what authorizers need that outlives a snapshot.
type Options struct {
	Decisions *Decisions // nil keeps no answers, which will do to check a configuration
	Issuers   *Issuers   // nil fetches no keys, which will do for that, too
}

// newStep builds the step that stands in front of d. What version says changes
// with d. events says that d gets an event and so knows the method by its ARN.
func newStep(b proxy.Build, o proxy.Options, kept *Decisions, d decider, version string, events bool) (proxy.Steps, error) {
	a := o.Authorizer
	s := &step{name: o.Name, decider: d, token: a.Event == "token", unauthorized: proxy.Fault{Kind: proxy.Unauthorized}}
	var err error
	if s.sources, err = parseSources(sourcesOf(a), b.Route); err != nil {
		return proxy.Steps{}, err
	}
	if err = s.checkEvent(a, events); err != nil {
		return proxy.Steps{}, err
	}
	if events {
		api := b.Route.Stage.API
		s.fixedARN = len("arn:aws:execute-api:::///") + len(api.Region) + len(api.AccountID) + len(api.ID) + len(b.Route.Stage.Name) - len("/")
	}
	if err = s.keep(b, o, kept, version, events); err != nil {
		return proxy.Steps{}, err
	}
	if n, ok := d.(native); ok && n.whole() {
		return proxy.Steps{proxy.MethodRequest: readingStep{s}}, nil
	}
	return proxy.Steps{proxy.MethodRequest: s}, nil
}

// sourcesOf returns a's identity sources. AWS's console proposes the default.
func sourcesOf(a *config.Authorizer) []string {
	if a.Event == "token" && len(a.IdentitySource) == 0 {
		return []string{"method.request.header.Authorization"}
	}
	return a.IdentitySource
}

// checkEvent checks the options that are about what the decider gets.
func (s *step) checkEvent(a *config.Authorizer, events bool) error {
	text := a.IdentityValidationExpression
	switch {
	case s.token && (len(s.sources) != 1 || s.sources[0].kind != headerSource):
		return &config.KeyError{Path: []string{"identity_source"}, Text: `with event = "token" it is one header`,
			Hint: `["method.request.header.Authorization"], or event = "request"`}
	case s.token && a.PayloadFormat == "2.0":
		return &config.KeyError{Path: []string{"payload_format"}, Text: `the event "token" has no version 2.0`, Hint: `event = "request"`}
	case a.PayloadFormat == "2.0" && a.Event == "" && !events:
		return &config.KeyError{Path: []string{"payload_format"}, Text: "the plugin decides without an event", Hint: `add event = "request", if it can answer events, too`}
	case text != "" && !s.token:
		return &config.KeyError{Path: []string{"identity_validation_expression"}, Text: "there is no token to match", Hint: `event = "token"`}
	case text == "":
		return nil
	}
	var err error
	if s.expression, err = pattern.Compile(text); err != nil {
		return &config.KeyError{Path: []string{"identity_validation_expression"}, Text: err.Error()}
	}
	return nil
}

// defaultTTL is how long answers count in REST APIs. AWS: authorizerResultTtlInSeconds.
const defaultTTL = 300 * time.Second

// keep decides about the answers that are kept.
func (s *step) keep(b proxy.Build, o proxy.Options, kept *Decisions, version string, events bool) error {
	a := o.Authorizer
	ttl := time.Duration(0)
	if events && len(s.sources) > 0 && b.Route.Stage.API.Type != config.HTTPType { // which have 0s on AWS
		ttl = defaultTTL
	}
	if a.TTL != nil {
		ttl = time.Duration(*a.TTL)
	}
	n, isNative := s.decider.(native)
	switch {
	case ttl == 0 && a.TTL == nil && a.CacheBy != "":
		return &config.KeyError{Path: []string{"cache_by"}, Text: "no answers are kept", Hint: "add ttl and identity_source, or remove cache_by"}
	case ttl == 0:
		return nil
	case len(s.sources) == 0:
		return &config.KeyError{Path: []string{"ttl"}, Text: "whose answers are to be kept isn't said", Hint: "add identity_source, or set ttl to 0s"}
	case isNative && n.whole():
		return &config.KeyError{Path: []string{"ttl"}, Text: "the plugin sees the request's content, of which the next one has another", Hint: "set ttl to 0s"}
	}
	by := a.CacheBy
	if by == "" {
		by = "path"
		if events && a.PayloadFormat != "2.0" {
			by = "identity"
		}
	}
	s.byPath = by == "path"
	route := ""
	if by == "route" {
		route = b.Route.Key
	}
	var err error
	if s.scope, err = scopeOf(b, o, version, by, route); err != nil {
		return err
	}
	s.keeper = kept.keeper(ttl, patienceOf(a))
	return nil
}

// patienceOf is how long a request waits for what another one asks for.
func patienceOf(a *config.Authorizer) time.Duration {
	if a.Timeout > 0 {
		return time.Duration(a.Timeout)
	}
	return defaultPatience
}

// defaultPatience is AWS's longest wait for an authorizer.
const defaultPatience = 10 * time.Second
