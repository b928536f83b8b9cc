package config

import (
	"fmt"
	"slices"
)

// maxScopes is how many authorization_scopes a route may have. AWS: "Quotas for
// configuring and running an HTTP API in API Gateway".
const maxScopes = 10

// scopes checks that there is somebody who asks for a route's authorization_scopes.
func (x *crosser) scopes(path []string, api *API, route *Route) {
	n := len(route.AuthorizationScopes)
	if n == 0 {
		return
	}
	path = append(slices.Clone(path), "authorization_scopes")
	a, found := api.Authorizer[route.Authorizer]
	if !found {
		a, found = x.cfg.Authorizer[route.Authorizer]
	}
	switch {
	case n > maxScopes:
		x.value(path, "", fmt.Sprintf("%d scopes, more than %d", n, maxScopes), "")
	case route.Authorizer == "" || route.Authorizer == noAuthorizer:
		x.key(path, "the route has no authorizer that asks for scopes", "add authorizer, with the name of one of type jwt or cognito")
	case found && a.Type != "" && a.Type != "jwt" && a.Type != "cognito":
		x.key(path, fmt.Sprintf("authorizer %q has the type %q, which knows no scopes", route.Authorizer, a.Type), "types that do: jwt, cognito")
	}
}
