package responsecache

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/postern-gateway/postern/builtins/access"
	"github.com/postern-gateway/postern/builtins/mapping"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// Kind returns the kind that answers from a stage's cache what the stage's methods answered
// before, and keeps what they answer. What it keeps is in memory, which outlives snapshots;
// nil will do for a check. AWS: "Cache settings for REST APIs in API Gateway".
func Kind(memory *Memory) proxy.Kind {
	return proxy.Kind{Name: "cache", Role: proxy.CacheKind, New: memory.newSteps}
}

// mode9111 is the mode of an integration's cache that goes by RFC 9111.
const mode9111 = "rfc9111"

func (m *Memory) newSteps(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
	var wrong []error
	s := settingsOf(b, o, &wrong)
	if !s.enabled && len(o.Route.Integration.CacheKeyParameters) == 0 {
		return proxy.Steps{}, errors.Join(wrong...)
	}
	c := &stageCache{settings: s, keys: newKeys(b, o, &wrong), verb: b.Route.Verb}
	if !s.enabled || len(wrong) > 0 {
		return proxy.Steps{}, errors.Join(wrong...)
	}
	if c.verb == "ANY" {
		c.verb = "GET"
	}
	c.personal(b, o)
	c.mayInvalidate = access.Permission(b, o, proxy.InvalidateCache)
	if m != nil {
		c.store = m.open(b, o)
	}
	steps := proxy.Steps{proxy.IntegrationRequest: (*lookUp)(c), proxy.MethodResponse: (*keep)(c)}
	if c.body {
		steps[proxy.IntegrationRequest] = readingLookUp{(*lookUp)(c)}
	}
	return steps, nil
}

// open returns the cache of a route's stage, which is released with the snapshot.
func (m *Memory) open(b proxy.Build, o proxy.Options) *store {
	stage := b.Route.Stage
	name := stageName{api: stage.API.Name, stage: stage.Name, canary: stage.Canary}
	if canary := o.Config.API[name.api].Stage[name.stage].Canary; canary != nil && canary.UseStageCache {
		name.canary = false
	}
	return b.Shared(name, func() any {
		s := m.store(name, sizeOf(o.Config, name))
		b.OnClose(s.release)
		return s
	}).(*store)
}

// settings are what a stage says of the answers of one method.
type settings struct {
	enabled   bool
	ttl       time.Duration
	wait      time.Duration
	most      int64 // bytes of content
	encrypted bool
	shared    bool

	requireAuthorization bool
	unauthorized         string
}

// settingsOf returns what holds for a route: what the stage says of the method, else of all.
func settingsOf(b proxy.Build, o proxy.Options, wrong *[]error) settings {
	stage := o.Config.API[b.Route.Stage.API.Name].Stage[b.Route.Stage.Name]
	all := stage.Cache
	own := stage.Settings(b.Route.Key).Cache
	itself := stage.Method[b.Route.Key].Cache
	if all == nil {
		if own != nil {
			key := b.Route.Key
			if itself == nil {
				key = config.EveryMethod
			}
			*wrong = append(*wrong, &config.KeyError{
				Path: []string{"stage", b.Route.Stage.Name, "method", key, "cache"},
				Text: "the stage has no cache", Hint: fmt.Sprintf("add [api.%s.stage.%s.cache]", b.Route.Stage.API.Name, b.Route.Stage.Name),
			})
		}
		return settings{}
	}
	get := b.Route.Verb == "GET" || b.Route.Verb == "ANY"
	s := settings{
		enabled: all.Enabled && get,
		ttl:     time.Duration(all.TTL), wait: time.Duration(all.Wait), most: int64(all.MaxEntry),
		encrypted: all.Encrypted, shared: all.Shared,
		requireAuthorization: all.RequireAuthorization, unauthorized: all.Unauthorized,
	}
	if own != nil {
		s.override(own)
	}
	if itself == nil || itself.Enabled == nil { // other verbs have to say so themselves
		s.enabled = s.enabled && get
	}
	s.enabled = s.enabled && s.ttl > 0 && o.Route.Integration.Cache == nil
	return s
}

// override takes what a stage says of one method.
func (s *settings) override(own *config.MethodCache) {
	if own.Enabled != nil {
		s.enabled = *own.Enabled
	}
	if own.TTL != nil {
		s.ttl = time.Duration(*own.TTL)
	}
	if own.Encrypted != nil {
		s.encrypted = *own.Encrypted
	}
	if own.Shared != nil {
		s.shared = *own.Shared
	}
	if own.RequireAuthorization != nil {
		s.requireAuthorization = *own.RequireAuthorization
	}
	if own.Unauthorized != "" {
		s.unauthorized = own.Unauthorized
	}
}

// stageCache is the cache of a stage for one route.
type stageCache struct {
	settings
	keys
	verb          string
	store         *store
	mayInvalidate func(*proxy.Exchange) bool

	// What tells callers apart and isn't in the key: an answer to somebody who is known is for
	// nobody else, unless the backend says that it is public.
	identified            bool // the method has an authorizer, or needs an API key
	authorization, cookie bool // a request with this field
	certificate           bool // a client that showed a good one
	// names are what callers are called, in the key: who has one of them is told apart by it.
	names []mapping.Variable
}

// personal finds out what tells callers apart.
func (c *stageCache) personal(b proxy.Build, o proxy.Options) {
	has := func(parameter string) bool {
		return slices.ContainsFunc(o.Route.Integration.CacheKeyParameters, func(p string) bool {
			if mapped, is := o.Route.Integration.Parameters[p]; is {
				p = mapped
			}
			p = strings.Replace(p, ".multivalue", ".", 1)
			if strings.HasPrefix(parameter, "method.request.header.") {
				return strings.EqualFold(p, parameter)
			}
			return p == parameter
		})
	}
	names := func(all []string) (those []mapping.Variable) {
		for _, name := range all {
			if v, known := mapping.ParseVariable(strings.TrimPrefix(name, "context.")); known && has(name) {
				those = append(those, v)
			}
		}
		return those
	}
	c.names = names(callers)
	c.issued, c.authorizer = slices.Concat(c.names, names(certificates)), o.Route.Authorizer
	if c.shared {
		c.names = nil
		return
	}
	// What it holds led the authorizer to the caller.
	c.authorization = !has("method.request.header.Authorization")
	c.cookie = !has("method.request.header.Cookie")
	c.certificate = !slices.ContainsFunc(certificates, has)
	if name := o.Route.Authorizer; name != "" && name != "none" {
		c.identified = !hasAll(has, sourcesOf(o, b.Route.Stage.API.Name, name))
	}
	if o.Route.APIKeyRequired && !has("method.request.header.X-API-Key") &&
		!has("context.identity.apiKey") && !has("context.identity.apiKeyId") {
		c.identified = true
	}
}

// callers are the parameters that are different for every caller whom an authorizer let in
// and gave such a name.
var callers = []string{
	"context.authorizer.principalId", "context.authorizer.claims.sub",
	"context.identity.caller", "context.identity.user", "context.identity.userArn", "context.identity.accessKey",
}

// certificates are the parameters that are different for every certificate, or for every
// client that has one.
var certificates = []string{
	"context.identity.clientCert.clientCertPem", "context.identity.clientCert.subjectDN", "context.identity.clientCert.serialNumber",
}

// named reports whether the key has a name of ex's caller.
func (c *stageCache) named(ex *proxy.Exchange) bool {
	for i := range c.names {
		if _, named := c.names[i].Text(ex); named {
			return true
		}
	}
	return false
}

// sourcesOf returns the parameters by which an authorizer tells callers apart, as keys write
// them; none if they aren't known, as those of signatures, which may be in any of two places.
func sourcesOf(o proxy.Options, api, name string) []string {
	a, found := o.Config.API[api].Authorizer[name]
	if !found {
		a = o.Config.Authorizer[name]
	}
	if len(a.IdentitySource) == 0 && (a.Event == "token" || a.Type == "jwt" || a.Type == "cognito") {
		return []string{"method.request.header.Authorization"}
	}
	var sources []string
	for _, source := range a.IdentitySource {
		source = strings.TrimPrefix(source, "$")
		if rest, short := strings.CutPrefix(source, "request."); short { // as HTTP APIs write it
			source = "method.request." + rest
		}
		if !strings.HasPrefix(source, "stageVariables.") { // the same for everybody
			sources = append(sources, source)
		}
	}
	return sources
}

func hasAll(has func(string) bool, parameters []string) bool {
	return len(parameters) > 0 && !slices.ContainsFunc(parameters, func(p string) bool { return !has(p) })
}

// traits are what is found out about a request in one look at its fields.
type traits struct {
	credentialed bool // the answer is for the caller alone
	conditional  bool // If-None-Match or If-Modified-Since
	special      bool // it asks for a part, or for the answer to be as it was: not of the cache's
	fresh        bool // Cache-Control: max-age=0
}

func (c *stageCache) look(ex *proxy.Exchange) (t traits) {
	in := &ex.In
	named := c.named(ex)
	t.credentialed = c.identified && !named || c.certificate && ex.Domain.Certificate != nil
	t.special = in.Upgrade != ""
	if !c.body && (in.Body != nil || len(in.Content) > 0) {
		t.special = true // content that isn't in the key may decide about the answer
	}
	for i := range in.Fields {
		f := &in.Fields[i]
		switch f.Known() {
		case http1.Authorization:
			t.credentialed = t.credentialed || c.authorization && !named
		case http1.Cookie:
			t.credentialed = t.credentialed || c.cookie
		case http1.Other:
			t.read(f)
		}
	}
	return t
}

// read takes what a field without a number says.
func (t *traits) read(f *http1.Field) {
	is := func(name string) bool { return strings.EqualFold(f.Name, name) }
	switch len(f.Name) {
	case len("Range"):
		t.special = t.special || is("Range")
	case len("If-Match"), len("If-Unmodified-Since"):
		t.special = t.special || is("If-Match") || is("If-Range") || is("If-Unmodified-Since")
	case len("If-None-Match"): // and Cache-Control
		t.conditional = t.conditional || is("If-None-Match")
		if is("Cache-Control") {
			t.fresh = t.fresh || wantsFresh(f.Value)
		}
	case len("If-Modified-Since"):
		t.conditional = t.conditional || is("If-Modified-Since")
	}
}

// wantsFresh reports whether a Cache-Control has max-age=0: AWS's way to have an answer
// replaced.
func wantsFresh(value string) bool {
	for value != "" {
		var name, age string
		if name, age, value = nextDirective(value); strings.EqualFold(name, "max-age") {
			n, valid := parseSeconds(age)
			return valid && n == 0
		}
	}
	return false
}
