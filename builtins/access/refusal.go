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

// reason is why somebody is kept out.
type reason uint8

const (
	noAuthorizer reason = iota // the authorizer's policy doesn't allow it
	byAuthorizer               // the authorizer's policy denies it
	noIdentity                 // the principal's policies don't allow it
	byIdentity
	noResource // the resource policy doesn't allow it
	byResource
)

// What AWS says since 2025; before, it ended at "explicit deny" or the ARN.
const (
	identityDenies   = " with an explicit deny in an identity-based policy"
	resourceDenies   = " with an explicit deny in a resource-based policy"
	identityIsSilent = " because no identity-based policy allows the execute-api:Invoke action"
	resourceIsSilent = " because no resource-based policy allows the execute-api:Invoke action"
)

// refuse returns the fault with AWS's text for why.
func refuse(ex *proxy.Exchange, why reason, cause error) error {
	f := proxy.Fault{Kind: proxy.AccessDenied, Cause: cause}
	switch why {
	case byAuthorizer:
		f.Message = "User is not authorized to access this resource" + identityDenies
	case noIdentity:
		f.Message = userRefused(ex, identityIsSilent)
	case byIdentity:
		f.Message = userRefused(ex, identityDenies)
	case noResource:
		f.Message = userRefused(ex, resourceIsSilent)
	case byResource:
		f.Message = userRefused(ex, resourceDenies)
	}
	return f
}

// userRefused names the user and the method, whose account shows its last digits
// only.
func userRefused(ex *proxy.Exchange, why string) string {
	user := ex.Caller.Identity.UserARN
	if user == "" {
		user = "anonymous"
	}
	api := ex.Route.Stage.API
	hidden := max(0, len(api.AccountID)-4)
	path := strings.TrimSuffix(strings.TrimPrefix(ex.Path, "/"), "/")
	return ex.Text.Concat("User: ", user, " is not authorized to perform: ", iam.Invoke.String(), " on resource: arn:aws:execute-api:",
		api.Region, ":", strings.Repeat("*", hidden), api.AccountID[hidden:], ":", api.ID, "/", ex.Route.Stage.Name, "/", ex.Method, "/", path, why)
}
