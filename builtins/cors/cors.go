// Package cors lets pages of other origins use an API from a browser: it answers
// preflights, and tells browsers what a page may see of every other answer.
//
// It does what AWS's HTTP APIs do, for all types of integration: what the gateway
// is configured to say replaces what a backend says. The rules are those of the
// Fetch Standard, "HTTP extensions".
package cors

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/postern-gateway/postern/builtins/internal/origin"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// Kind returns the kind of [api.x.cors] and of a route's cors: a step in method
// request that answers preflights, and one for the route's Last.
func Kind() proxy.Kind {
	return proxy.Kind{Name: "cors", Role: proxy.CORSKind, New: newSteps}
}

func newSteps(_ proxy.Build, o proxy.Options) (proxy.Steps, error) {
	p, err := newPolicy(o.CORS)
	if err != nil {
		return proxy.Steps{}, err
	}
	return proxy.Steps{proxy.MethodRequest: preflight{}, proxy.MethodResponse: &last{p}}, nil
}

// policy is what one cors table says, as header fields.
type policy struct {
	origins origin.Set
	methods string // as sent; "" takes the one that is asked for
	// Of answers, and of answers to preflights, for an allowed origin.
	shown, allowed http1.Fields
}

func newPolicy(c *config.CORS) (policy, error) {
	if err := check(c); err != nil {
		return policy{}, err
	}
	p := policy{origins: origin.New(c.AllowOrigins), methods: strings.Join(c.AllowMethods, ",")}
	if c.AllowCredentials {
		p.shown.Add("Access-Control-Allow-Credentials", "true")
		p.allowed.Add("Access-Control-Allow-Credentials", "true")
	}
	if len(c.ExposeHeaders) > 0 {
		p.shown.Add("Access-Control-Expose-Headers", strings.Join(c.ExposeHeaders, ","))
	}
	if len(c.AllowHeaders) > 0 {
		p.allowed.Add("Access-Control-Allow-Headers", strings.Join(c.AllowHeaders, ","))
	}
	if c.MaxAge != nil {
		seconds := time.Duration(*c.MaxAge) / time.Second
		p.allowed.Add("Access-Control-Max-Age", strconv.Itoa(int(seconds)))
	}
	return p, nil
}

// preflight answers preflights.
type preflight struct{}

// Run answers a preflight with 204, whatever its origin: without the fields that
// allow it, which last adds, the browser won't send the request. AWS: "Configuring
// CORS for an HTTP API".
func (preflight) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	if _, is := ex.Preflight(); !is {
		return proxy.Continue, nil
	}
	ex.Reply = proxy.Response{Status: 204, Fields: ex.Reply.Fields[:0]}
	return proxy.Answered, nil
}

// last sets the fields of every answer.
type last struct{ policy }

// Run drops what anybody else said of CORS, and says what the policy does.
func (l *last) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	from := ex.In.Fields.Get("Origin")
	fields := withoutCORS(ex.Reply.Fields)
	allowed := l.origins.Any || l.origins.Allow(from)
	if l.origins.Any {
		// Fetch Standard, "CORS protocol and HTTP caches": "*" goes with every answer, so
		// that one which a cache kept for a request without an origin serves all.
		from = "*"
	} else {
		fields = vary(fields, "Origin")
	}
	if allowed {
		fields = append(fields, http1.NewField("Access-Control-Allow-Origin", from))
	}
	method, preflight := ex.Preflight()
	switch {
	case !preflight && allowed:
		fields = append(fields, l.shown...)
	case preflight:
		if l.methods == "" {
			fields = vary(fields, "Access-Control-Request-Method")
		}
		if allowed {
			fields = l.appendAllowed(fields, ex, method)
		}
	}
	ex.Reply.Fields = fields
	return proxy.Continue, nil
}

// appendAllowed appends what a preflight for method is told.
func (l *last) appendAllowed(fields http1.Fields, ex *proxy.Exchange, method string) http1.Fields {
	switch {
	case l.methods != "":
		method = l.methods
	case ex.Route == nil || ex.Route.Resource == "" || !http1.ValidFieldName(method):
		method = "" // no route takes it
	}
	if method != "" {
		fields = append(fields, http1.NewField("Access-Control-Allow-Methods", method))
	}
	return append(fields, l.allowed...)
}

// withoutCORS removes the fields of CORS from fs, in place.
func withoutCORS(fs http1.Fields) http1.Fields {
	kept := fs[:0]
	for i := range fs {
		if !ofCORS(fs[i].Name) {
			kept = append(kept, fs[i])
		}
	}
	return kept
}

// ofCORS reports whether a response field is one that browsers heed for CORS.
func ofCORS(name string) bool {
	const prefix = "access-control-"
	return len(name) > len(prefix) && name[0]|0x20 == 'a' && strings.EqualFold(name[:len(prefix)], prefix)
}

// vary says in fs that the answer depends on the request field called name,
// whoever asked: a cache that kept it for one mustn't serve it to another.
func vary(fs http1.Fields, name string) http1.Fields {
	for i := range fs {
		if strings.EqualFold(fs[i].Name, "Vary") && varies(fs[i].Value, name) {
			return fs
		}
	}
	return append(fs, http1.NewField("Vary", name))
}

// varies reports whether a value of Vary covers name.
func varies(value, name string) bool {
	for rest := value; rest != ""; {
		var one string
		one, rest, _ = strings.Cut(rest, ",")
		one = strings.Trim(one, " \t")
		if one == "*" || strings.EqualFold(one, name) {
			return true
		}
	}
	return false
}
