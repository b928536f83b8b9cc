package access

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/postern-gateway/postern/builtins/internal/iam"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
)

// request is what policies see of ex. The method's path is the one that the route
// was found by: decoded once, less a slash at its end.
func request(ex *proxy.Exchange, a proxy.Action) iam.Request {
	stage := ex.Route.Stage
	id := &ex.Caller.Identity
	r := iam.Request{
		Action:        1 << a,
		Region:        stage.API.Region,
		Account:       stage.API.AccountID,
		Resource:      resource(ex, ex.Path),
		CallerARN:     id.UserARN,
		CallerAccount: id.AccountID,
		Facts:         (*facts)(ex),
	}
	if ex.PlainPath != "" {
		r.Other = resource(ex, ex.PlainPath)
	}
	return r
}

// resource is API/STAGE/VERB/PATH, or API/STAGE/ROUTE in a WebSocket API.
func resource(ex *proxy.Exchange, path string) string {
	stage := ex.Route.Stage
	b := append(ex.Text.Begin(), stage.API.ID...)
	b = append(b, '/')
	b = append(b, stage.Name...)
	b = append(b, '/')
	if ex.Socket != nil {
		return ex.Text.Finish(iam.AppendPath(b, ex.Route.Key))
	}
	b = append(b, ex.Method...)
	b = append(b, '/')
	return ex.Text.Finish(iam.AppendPath(b, strings.TrimSuffix(strings.TrimPrefix(path, "/"), "/")))
}

// facts are the condition keys of an exchange.
type facts proxy.Exchange

// Value returns a condition key's value.
func (f *facts) Value(k iam.Key) (string, bool) {
	ex := (*proxy.Exchange)(f)
	id := &ex.Caller.Identity
	switch k.ID {
	case iam.SourceIP, iam.VPCSourceIP:
		return filled(ex.ClientAddress())
	case iam.CurrentTime:
		return ex.Text.Finish(f.Time().UTC().AppendFormat(ex.Text.Begin(), time.RFC3339)), true
	case iam.EpochTime:
		return ex.Text.Finish(strconv.AppendInt(ex.Text.Begin(), f.Time().Unix(), 10)), true
	case iam.SecureTransport:
		if ex.In.Scheme == "https" {
			return "true", true
		}
		return "false", true
	case iam.UserAgent:
		return filled(ex.In.Fields.GetKnown(http1.UserAgent))
	case iam.Referer:
		return filled(ex.In.Fields.GetKnown(http1.Referer))
	case iam.RequestedRegion:
		return filled(ex.Route.Stage.API.Region)
	case iam.PrincipalARN:
		return f.principalARN()
	case iam.PrincipalAccount:
		return filled(id.AccountID)
	case iam.PrincipalOrgID:
		return filled(id.OrgID)
	case iam.PrincipalType:
		return principalType(id.UserARN), true
	case iam.UserID:
		return filled(id.Caller)
	case iam.UserName:
		return userName(id.UserARN)
	case iam.PrincipalTag:
		for i := range id.Tags {
			if strings.EqualFold(id.Tags[i].Name, k.Tag) {
				return id.Tags[i].Value, true
			}
		}
	}
	return "", false
}

func filled(s string) (string, bool) { return s, s != "" }

// Address is the client's address.
func (f *facts) Address() (netip.Addr, bool) {
	a := f.In.Client.Addr().Unmap().WithZone("")
	return a, a.IsValid()
}

// Time is when the exchange was last known to be going on.
func (f *facts) Time() time.Time { return (*proxy.Exchange)(f).Lately() }

// The ARNs of principals. AWS: "IAM identifiers".
const (
	iamARN       = "arn:aws:iam::"
	sessionARN   = "arn:aws:sts::"
	roleSession  = "assumed-role/"
	userResource = "user/"
)

// principalARN is the caller's ARN; for the session of a role, the role's. AWS:
// "AWS global condition context keys", aws:PrincipalArn.
func (f *facts) principalARN() (string, bool) {
	arn := f.Caller.Identity.UserARN
	account, name, _ := cutARN(arn)
	session, found := strings.CutPrefix(name, roleSession)
	if !found {
		return filled(arn)
	}
	role, _, _ := strings.Cut(session, "/")
	return (*proxy.Exchange)(f).Text.Concat(iamARN, account, ":role/", role), true
}

// principalType is what a caller with this ARN is. AWS: aws:PrincipalType.
func principalType(arn string) string {
	_, name, _ := cutARN(arn)
	switch {
	case arn == "":
		return "Anonymous"
	case name == "root":
		return "Account"
	case strings.HasPrefix(name, roleSession):
		return "AssumedRole"
	case strings.HasPrefix(name, "federated-user/"):
		return "FederatedUser"
	}
	return "User"
}

// userName is the last part of a user's ARN, behind its path; others have none.
func userName(arn string) (string, bool) {
	_, name, _ := cutARN(arn)
	rest, found := strings.CutPrefix(name, userResource)
	return rest[strings.LastIndexByte(rest, '/')+1:], found
}

// cutARN returns account and name of a principal's ARN.
func cutARN(arn string) (account, name string, found bool) {
	rest, found := strings.CutPrefix(arn, iamARN)
	if !found {
		rest, found = strings.CutPrefix(arn, sessionARN)
	}
	if !found {
		return "", "", false
	}
	account, name, found = strings.Cut(rest, ":")
	return account, name, found
}
