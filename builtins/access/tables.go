package access

import (
	"github.com/postern-gateway/postern/builtins/internal/iam"
	"github.com/postern-gateway/postern/proxy"
)

// reason is why somebody is kept out.
type reason uint8

const (
	noReason           reason = iota // let in
	authorizerDenies                 // by the policy that it answered
	authorizerIsSilent               // its policy doesn't allow it
	identityDenies                   // by one of the principal's policies
	identityIsSilent
	resourceDenies
	resourceIsSilent
)

// The tables of AWS: "How API Gateway resource policies affect authorization
// workflow".

// weighResource is for callers about whom no other policy says anything.
func weighResource(resource iam.Effect) reason {
	switch resource {
	case iam.Allow:
		return noReason
	case iam.Deny:
		return resourceDenies
	}
	return resourceIsSilent
}

// weighCaller is for APIs without a resource policy.
func weighCaller(caller proxy.Decision, signed bool) reason {
	switch {
	case caller == proxy.Allowed:
		return noReason
	case signed && caller == proxy.Denied:
		return identityDenies
	case signed:
		return identityIsSilent
	case caller == proxy.Denied:
		return authorizerDenies
	}
	return authorizerIsSilent
}

// weigh is for both together. A Deny of either wins; then, in one account, either
// may allow (table A), and a caller of another account needs both (table B). A
// function's answer counts as of the API's own account.
func weigh(caller proxy.Decision, resource iam.Effect, signed, foreign bool) reason {
	switch {
	case resource == iam.Deny:
		return resourceDenies
	case caller == proxy.Denied:
		return weighCaller(caller, signed)
	case signed && foreign && caller == proxy.Allowed:
		return weighResource(resource)
	case caller == proxy.Allowed, resource == iam.Allow && !(signed && foreign):
		return noReason
	}
	return weighCaller(caller, signed)
}
