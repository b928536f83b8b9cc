package config

import (
	"fmt"
	"slices"
	"strings"
)

// parseSocketRouteKey takes the key of a WebSocket API's route, or says what is wrong. A
// custom key is whatever a message may select. AWS: "Create routes for WebSocket APIs in
// API Gateway".
func parseSocketRouteKey(key string) (routeKey, *mistake) {
	switch {
	case key == ConnectRoute, key == DisconnectRoute, key == DefaultName:
		return routeKey{verb: key}, nil
	case strings.HasPrefix(key, "$"):
		return routeKey{}, &mistake{"", fmt.Sprintf("there is no route %q", key), `with "$" begin only "$connect", "$disconnect" and "$default"`}
	case key == "", len(key) > 128:
		return routeKey{}, &mistake{"", "a route key has 1 to 128 bytes", ""}
	}
	if verb, path, found := strings.Cut(key, " "); found && strings.HasPrefix(path, "/") && slices.Contains(verbs(), verb) {
		return routeKey{}, &mistake{"", "messages have neither verb nor path", `write what route_selection_expression makes of them: "join"`}
	}
	return routeKey{verb: key}, nil
}

// optional reports whether a required key may be absent here: $connect and $disconnect of
// a WebSocket API can do without an integration.
func (c *checker) optional(f *field) bool {
	if c.apiType != WebSocketType || f.key != "integration" || len(c.path) < 2 {
		return false
	}
	route := c.path[len(c.path)-1]
	return c.path[len(c.path)-2] == "route" && (route == ConnectRoute || route == DisconnectRoute)
}

// socketAPI checks what only WebSocket APIs have, and what they don't.
func (x *crosser) socketAPI(api *API, path []string) {
	below := func(keys ...string) []string { return slices.Concat(path, keys) }
	if c := api.Connections; c != nil {
		at := below("connections", "authorizer")
		a, found := x.authorizerOf(api, c.Authorizer)
		switch {
		case c.Authorizer == noAuthorizer:
			x.value(at, "", "somebody has to say who may use connections", "name an authorizer, or remove the table: nobody may then, but for the admin listener")
		case found && (a.Type == "jwt" || a.Type == "cognito"):
			x.value(at, "", fmt.Sprintf("authorizer %q has the type %q: it knows who callers are, and not what they may do", c.Authorizer, a.Type), `one of type "iam" does`)
		}
		x.requestEvent(api, at, c.Authorizer)
	}
	s := &api.Socket
	if s.Frame > s.Message && !x.lost(below("socket")...) && x.there(below("socket", "frame")) {
		x.value(below("socket", "frame"), "", "more than a message may have", "a message is one frame at least")
	}
	for _, name := range x.entries(below("stage")...) {
		for _, key := range []string{"cache", "canary", "shadow"} {
			if at := below("stage", name, key); x.there(at) {
				x.key(at, fmt.Sprintf("not used in APIs of type %q", WebSocketType), "remove it")
			}
		}
	}
}

func (x *crosser) authorizerOf(api *API, name string) (Authorizer, bool) {
	a, found := api.Authorizer[name]
	if !found {
		a, found = x.cfg.Authorizer[name]
	}
	return a, found
}

// requestEvent checks that an authorizer is one for WebSocket APIs. AWS: "Control access
// to WebSocket APIs with AWS Lambda REQUEST authorizers".
func (x *crosser) requestEvent(api *API, path []string, name string) {
	a, found := x.authorizerOf(api, name)
	switch {
	case !found:
	case a.Event == "token":
		x.value(path, "", fmt.Sprintf(`authorizer %q has event = "token", which isn't for WebSocket APIs`, name),
			`write event = "request" with identity_source = ["route.request.header.Authorization"]`)
	case a.PayloadFormat == "2.0":
		x.value(path, "", fmt.Sprintf("authorizer %q has the payload format 2.0, which isn't for WebSocket APIs", name), `write payload_format = "1.0"`)
	case a.Type == "cognito":
		x.value(path, "", fmt.Sprintf(`authorizer %q has the type "cognito", which isn't for WebSocket APIs`, name), `write type = "jwt", or use a function`)
	}
}

// socketRoute checks a route of a WebSocket API.
func (x *crosser) socketRoute(api *API, path []string, route *Route) {
	below := func(key string) []string { return append(slices.Clone(path), key) }
	connects := path[3] == ConnectRoute
	only := func(key, text string) {
		if x.there(below(key)) {
			x.key(below(key), text, fmt.Sprintf("move it to the route %q", ConnectRoute))
		}
	}
	if !connects {
		only("authorizer", "callers are known from $connect on")
		only("authorization_scopes", "callers are known from $connect on")
		only("api_key_required", "API keys are looked at when a client connects")
	}
	if route.RouteResponse && (connects || path[3] == DisconnectRoute) {
		x.key(below("route_response"), fmt.Sprintf("nothing is sent back of %q", path[3]), "remove it: messages have answers")
	}
	x.requestEvent(api, below("authorizer"), route.Authorizer)
	typ := route.Integration.Type
	if route.Response != nil && (typ == "http_proxy" || typ == "wasm") {
		x.key(below("response"), fmt.Sprintf("not used by type %q", typ), `answers are made here for the types "mock" and "http"; others pass the integration's on`)
	}
}
