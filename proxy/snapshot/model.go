package snapshot

import (
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// model is what makes the APIs of one type what they are: how their route keys read, which
// steps their routes get, and where the routes stand for requests to find them.
type model struct {
	parse func(key string) (routeKey, error)
	// steps adds to parts what stands between the filters and the codings of content.
	steps func(c *compiler, st *stage, r *proxy.Route, configured *config.Route, at []string, parts []proxy.Steps) []proxy.Steps
	place func(st *stage, k routeKey, r *proxy.Route) error
}

// modelOf returns the model of a type of APIs; config has seen to it that there is one.
func modelOf(apiType string) model {
	switch apiType {
	case config.HTTPType:
		return model{parseHTTPRouteKey, httpSteps, placeHTTP}
	case config.WebSocketType:
		return model{parseSocketRouteKey, socketSteps, placeSocket}
	}
	return model{parseRouteKey, restSteps, placeREST}
}

// restSteps are the steps of a REST API's method.
func restSteps(c *compiler, st *stage, r *proxy.Route, configured *config.Route, at []string, parts []proxy.Steps) []proxy.Steps {
	parts = c.entrance(st, r, configured, at, parts)
	parts = append(parts, c.validator(r, configured, at)...)
	parts = c.all(parts, proxy.CacheKind, r, configured)
	return c.answering(r, configured, at, parts)
}

// entrance adds who may say no before a request is looked at: preflights and guards, the
// authorizer, and what depends on who calls.
func (c *compiler) entrance(st *stage, r *proxy.Route, configured *config.Route, at []string, parts []proxy.Steps) []proxy.Steps {
	parts = c.routeCORS(st, r, configured.CORS, at, parts)
	parts = c.all(parts, proxy.GuardKind, r, configured)
	parts = append(parts, c.authorizer(r, configured.Authorizer, at))
	return c.all(parts, proxy.AccessKind, r, configured)
}

// answering adds the integration, and the plugins that map for it.
func (c *compiler) answering(r *proxy.Route, configured *config.Route, at []string, parts []proxy.Steps) []proxy.Steps {
	in := &configured.Integration
	return append(parts,
		c.integration(r, *configured, at),
		c.plugin(r, proxy.RequestMapperKind, in.MapRequest, under(at, "integration", "map_request")),
		c.plugin(r, proxy.ResponseMapperKind, in.MapResponse, under(at, "integration", "map_response")))
}

func placeREST(st *stage, k routeKey, r *proxy.Route) error { return insert(st.root, k, r) }
