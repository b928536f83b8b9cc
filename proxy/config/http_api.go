package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// httpTimeout is the longest wait for an integration of an HTTP API unless it says
// otherwise. AWS: "Quotas for configuring and running an HTTP API in API Gateway".
const httpTimeout = Duration(30 * time.Second)

// routeKeyOf takes a route key of an API of some type apart, or says what is wrong.
func routeKeyOf(apiType, key string) (routeKey, *mistake) {
	switch apiType {
	case HTTPType:
		return parseHTTPRouteKey(key)
	case WebSocketType:
		return parseSocketRouteKey(key)
	}
	return parseRouteKey(key)
}

// parseHTTPRouteKey is parseRouteKey for HTTP APIs.
func parseHTTPRouteKey(key string) (routeKey, *mistake) {
	if key == DefaultName {
		return routeKey{verb: DefaultName}, nil
	}
	return parseVerbPath(key)
}

// stageName checks the name of a stage that only HTTP APIs have.
func (x *crosser) stageName(api *API, path []string) {
	if path[3] == DefaultName && api.Type != HTTPType && api.Type != "" {
		x.key(path, `the stage "$default" is for HTTP APIs`, `give it a name; map a domain to it for paths without that name: map."/" = "API:STAGE"`)
	}
}

// httpRoute checks a route of an HTTP API, and completes it.
func (x *crosser) httpRoute(api *API, path []string, route *Route) {
	below := func(keys ...string) []string { return slices.Concat(path, keys) }
	in := &route.Integration
	if known := []string{"http_proxy", "wasm"}; in.Type != "" && !slices.Contains(known, in.Type) {
		x.value(below("integration", "type"), "", fmt.Sprintf("%q isn't for HTTP APIs", in.Type),
			fmt.Sprintf("write %s, or make the API one of type %q", oneOf(known), RESTType))
	}
	if x.there(below("integration")) && !x.there(below("integration", "timeout")) && !x.lost(below("integration", "timeout")...) {
		in.Timeout = httpTimeout
		api.Route[path[3]] = *route
	}
	for _, name := range x.entries(below("response")...) {
		if status, err := strconv.Atoi(name); err != nil || len(name) != 3 || status < 200 || status > 599 {
			x.key(below("response", name), "want the status of an answer", `200 to 599: "404"`)
		}
	}
	if route.Response != nil && in.Type == "wasm" {
		x.key(below("response"), `not used by type "wasm"`, "the plugin says itself what clients get")
	}
	x.httpAuthorizer(api, below("authorizer"), route.Authorizer)
}

// httpAuthorizer checks that an authorizer is one that HTTP APIs have.
func (x *crosser) httpAuthorizer(api *API, path []string, name string) {
	a, found := api.Authorizer[name]
	if !found {
		a, found = x.cfg.Authorizer[name]
	}
	switch {
	case !found:
	case a.Type == "cognito":
		x.value(path, "", fmt.Sprintf("authorizer %q has the type %q, which isn't for HTTP APIs", name, a.Type),
			`write type = "jwt" with the pool's issuer, https://cognito-idp.REGION.amazonaws.com/POOL, and audience`)
	case a.Event == "token":
		x.value(path, "", fmt.Sprintf(`authorizer %q has event = "token", which isn't for HTTP APIs`, name),
			`write event = "request" with identity_source = ["$request.header.Authorization"]`)
	}
}

// there reports whether something stands at path in the configuration.
func (x *crosser) there(path []string) bool {
	var v any = x.tree
	for _, part := range path {
		table, _ := v.(map[string]any)
		if v = table[part]; v == nil {
			return false
		}
	}
	return true
}

// planned checks that a stage of a plan is one that asks for API keys.
func (x *crosser) planned(path []string, stage string) {
	api, _, _ := strings.Cut(stage, ":")
	if x.cfg.API[api].Type == HTTPType {
		x.value(path, "", fmt.Sprintf("API %q is of type %q, which has no API keys", api, HTTPType), "throttle its stages; authorizers know callers")
	}
}

// instead says what to do without something that AWS has and nothing here is like: a key,
// or a word as the value of one. It is "" for anything else.
func instead(key, word string) string {
	switch key {
	case "integration_subtype", "integrationSubtype", "subtype":
		return "AWS's services aren't called directly, neither EventBridge, SQS, AppConfig, Kinesis nor Step Functions: " +
			`let a plugin with outbound HTTP do it (type = "wasm"), or a backend of yours (type = "http_proxy")`
	case typeKey:
		switch word {
		case "aws_proxy", "AWS_PROXY", "lambda":
			return `functions are plugins here: type = "wasm" and plugin; a function that speaks HTTP is a backend: type = "http_proxy" and url`
		case "aws", "AWS":
			return `functions are plugins here: type = "wasm_custom" in APIs of type "rest"; AWS's services aren't called directly`
		}
	}
	return ""
}
