package access

import (
	"errors"
	"strings"

	"github.com/postern-gateway/postern/builtins/internal/iam"
	"github.com/postern-gateway/postern/proxy"
)

// The causes of refusals, for the log.
var (
	errNotAllowed    = errors.New("the resource policy doesn't allow it")
	errCallerDenied  = errors.New("the caller's policy denies it")
	errCallerNeutral = errors.New("the caller's policy doesn't allow it")
)

func causeOf(d proxy.Decision) error {
	if d == proxy.Denied {
		return errCallerDenied
	}
	return errCallerNeutral
}

// What AWS says since 2025; before, it ended at "explicit deny" or the ARN.
const (
	toldIdentityDenies   = " with an explicit deny in an identity-based policy"
	toldResourceDenies   = " with an explicit deny in a resource-based policy"
	toldIdentityIsSilent = " because no identity-based policy allows the "
	toldResourceIsSilent = " because no resource-based policy allows the "
)

// refuse returns the fault with AWS's text for why; nil for noReason.
func refuse(ex *proxy.Exchange, why reason, cause error) error {
	if why == noReason {
		return nil
	}
	return proxy.Fault{Kind: proxy.AccessDenied, Message: told(ex, why), Cause: cause}
}

// told is what the client gets to read; "" for the fault's own text.
func told(ex *proxy.Exchange, why reason) string {
	switch why {
	case authorizerDenies:
		return "User is not authorized to access this resource" + toldIdentityDenies
	case identityIsSilent:
		return userRefused(ex, toldIdentityIsSilent, actionOf(ex), " action")
	case identityDenies:
		return userRefused(ex, toldIdentityDenies)
	case resourceIsSilent:
		return userRefused(ex, toldResourceIsSilent, actionOf(ex), " action")
	case resourceDenies:
		return userRefused(ex, toldResourceDenies)
	}
	return ""
}

// userRefused names the user and the method, whose account shows its last digits
// only.
func userRefused(ex *proxy.Exchange, why ...string) string {
	user := ex.Caller.Identity.UserARN
	if user == "" {
		user = "anonymous"
	}
	api := ex.Route.Stage.API
	hidden := max(0, len(api.AccountID)-4)
	method := ex.Text.Concat(ex.Method, "/", strings.TrimSuffix(strings.TrimPrefix(ex.Path, "/"), "/"))
	if ex.Socket != nil {
		method = ex.Route.Key
	}
	return ex.Text.Concat("User: ", user, " is not authorized to perform: ", actionOf(ex), " on resource: arn:aws:execute-api:",
		api.Region, ":", strings.Repeat("*", hidden), api.AccountID[hidden:], ":", api.ID, "/", ex.Route.Stage.Name, "/", method, ex.Text.Concat(why...))
}

// actionOf names what the caller of ex asks for.
func actionOf(ex *proxy.Exchange) string { return iam.Action(1 << ex.Route.Action).String() }
