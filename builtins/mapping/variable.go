package mapping

import (
	"slices"
	"strconv"
	"strings"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
)

// Variable is one context variable: what parameter mappings call context.x, and
// templates $context.x. The zero value is none.
type Variable struct {
	what variable
	name string // of an authorizer's own value
}

type variable uint8

const (
	noVariable variable = iota
	accountID
	apiID
	canaryRequest
	authorizerPrincipal
	authorizerValue
	domainName
	domainPrefix
	extendedRequestID
	httpMethod
	identityAccessKey
	identityAccount
	identityAPIKey
	identityAPIKeyID
	identityCaller
	identityOrganization
	identityUser
	identityUserARN
	sourceIP
	userAgent
	fullPath
	protocol
	requestID
	requestTime
	requestTimeEpoch
	resourceID
	resourcePath
	stageName
	deploymentID
	connectionID // this one and the next are for WebSocket APIs
	connectedAt
	eventType
	messageID
	messageDirection
	socketRouteKey
	disconnectCode
	disconnectReason
	certificatePEM
	certificateSubject
	certificateIssuer
	certificateSerial
	certificateNotBefore
	certificateNotAfter
	unset // known on AWS, but there is no such thing here: always empty
)

// variables are the names of $context that don't stand below another. AWS: "API
// Gateway mapping template and access logging variable reference".
var variables = map[string]variable{
	"accountId":            accountID,
	"apiId":                apiID,
	"awsEndpointRequestId": unset,
	"deploymentId":         deploymentID,
	"domainName":           domainName,
	"domainPrefix":         domainPrefix,
	"extendedRequestId":    extendedRequestID,
	"httpMethod":           httpMethod,
	"isCanaryRequest":      canaryRequest,
	"path":                 fullPath,
	"protocol":             protocol,
	"requestId":            requestID,
	"requestTime":          requestTime,
	"requestTimeEpoch":     requestTimeEpoch,
	"resourceId":           resourceID,
	"resourcePath":         resourcePath,
	"stage":                stageName,
	"wafResponseCode":      unset,
	"webaclArn":            unset,
}

// identities are the names below $context.identity.
var identities = map[string]variable{
	"accessKey":                     identityAccessKey,
	"accountId":                     identityAccount,
	"apiKey":                        identityAPIKey,
	"apiKeyId":                      identityAPIKeyID,
	"caller":                        identityCaller,
	"cognitoAuthenticationProvider": unset,
	"cognitoAuthenticationType":     unset,
	"cognitoIdentityId":             unset,
	"cognitoIdentityPoolId":         unset,
	"principalOrgId":                identityOrganization,
	"sourceIp":                      sourceIP,
	"user":                          identityUser,
	"userAgent":                     userAgent,
	"userArn":                       identityUserARN,
	"vpcId":                         unset,
	"vpceId":                        unset,
}

// certificates are the names below $context.identity.clientCert.
var certificates = map[string]variable{
	"clientCertPem":      certificatePEM,
	"subjectDN":          certificateSubject,
	"issuerDN":           certificateIssuer,
	"serialNumber":       certificateSerial,
	"validity.notBefore": certificateNotBefore,
	"validity.notAfter":  certificateNotAfter,
}

// ParseVariable returns the variable called name, without "context." or
// "$context.", and false if AWS has none of that name. It is for load time.
func ParseVariable(name string) (Variable, bool) {
	if below, found := strings.CutPrefix(name, "identity."); found {
		if member, found := strings.CutPrefix(below, certificatePrefix); found {
			return Variable{what: certificates[member]}, certificates[member] != noVariable
		}
		return Variable{what: identities[below]}, identities[below] != noVariable
	}
	if below, found := strings.CutPrefix(name, "authorizer."); found {
		switch below {
		case "":
			return Variable{}, false
		case "principalId":
			return Variable{what: authorizerPrincipal}, true
		}
		return Variable{what: authorizerValue, name: below}, true
	}
	if what := sockets[name]; what != noVariable {
		return Variable{what: what}, true
	}
	return Variable{what: variables[name]}, variables[name] != noVariable
}

// VariableNames returns the names that ParseVariable knows, sorted.
func VariableNames() []string {
	names := []string{"authorizer.principalId", "authorizer.NAME"}
	for name := range variables {
		names = append(names, name)
	}
	for name := range identities {
		names = append(names, "identity."+name)
	}
	for name := range certificates {
		names = append(names, "identity."+certificatePrefix+name)
	}
	slices.Sort(names)
	return names
}

// Text returns the variable's value for ex, and false if it has none. The text
// is valid as long as the exchange.
func (v *Variable) Text(ex *proxy.Exchange) (string, bool) {
	s := v.text(ex)
	return s, s != ""
}

func (v *Variable) text(ex *proxy.Exchange) string {
	switch v.what {
	case accountID:
		return ex.Route.Stage.API.AccountID
	case apiID:
		return ex.Route.Stage.API.ID
	case canaryRequest:
		if ex.Route.Stage.Canaried { // it is there for stages with a canary alone
			return strconv.FormatBool(ex.Route.Stage.Canary)
		}
	case authorizerPrincipal:
		return ex.Caller.Principal
	case authorizerValue:
		for i := range ex.Caller.Context {
			if ex.Caller.Context[i].Name == v.name {
				return ex.Caller.Context[i].Value
			}
		}
	case domainName:
		return ex.Domain.Name
	case domainPrefix:
		return ex.Domain.Prefix
	case extendedRequestID:
		if ex.HTTP { // which has one alone
			return ex.ID
		}
		return ex.ExtendedID
	case httpMethod:
		return ex.Method
	case identityAPIKey:
		return ex.Caller.Key
	case identityAPIKeyID:
		return ex.Caller.KeyID
	case sourceIP:
		return ex.ClientAddress()
	case userAgent:
		return ex.In.Fields.GetKnown(http1.UserAgent)
	case fullPath:
		return ex.FullPath
	case protocol:
		return "HTTP/1.1" // AWS says so whatever the client speaks
	case requestID:
		return ex.ID
	case requestTime:
		return ex.Text.Finish(ex.Start.UTC().AppendFormat(ex.Text.Begin(), "02/Jan/2006:15:04:05 -0700"))
	case requestTimeEpoch:
		return ex.Text.Finish(strconv.AppendInt(ex.Text.Begin(), ex.Start.UnixMilli(), 10))
	case resourceID:
		return ex.Route.ResourceID
	case resourcePath:
		return ex.Route.Resource
	case stageName:
		return ex.Route.Stage.Name
	case deploymentID:
		return ex.Route.Stage.Deployment
	}
	if v.what >= connectionID && v.what <= disconnectReason {
		return v.ofSocket(ex)
	}
	if c := ex.Domain.Certificate; c != nil && v.what >= certificatePEM {
		return v.ofCertificate(c)
	}
	return v.ofIdentity(&ex.Caller.Identity)
}

// ofIdentity returns the variable's value if it says who signed the request.
func (v *Variable) ofIdentity(id *proxy.Identity) string {
	switch v.what {
	case identityAccessKey:
		return id.AccessKey
	case identityAccount:
		return id.AccountID
	case identityCaller:
		return id.Caller
	case identityOrganization:
		return id.OrgID
	case identityUser:
		return id.User
	case identityUserARN:
		return id.UserARN
	}
	return ""
}

// AppendIssuer appends what tells v's value in ex from the same one that somebody else
// gave to somebody else: token issuers, accounts and authorities each give names as
// they like. It appends nothing for other values.
func (v *Variable) AppendIssuer(dst []byte, ex *proxy.Exchange) []byte {
	switch v.what {
	case authorizerValue:
		if !strings.HasPrefix(v.name, claimPrefix) {
			return dst
		}
		fallthrough
	case authorizerPrincipal:
		issuer := Variable{what: authorizerValue, name: claimPrefix + "iss"}
		return append(dst, issuer.text(ex)...)
	case identityCaller, identityUser, identityUserARN:
		id := &ex.Caller.Identity
		return append(append(append(dst, id.AccountID...), ' '), id.UserARN...) // an account has no space
	case certificateSubject, certificateSerial:
		if c := ex.Domain.Certificate; c != nil {
			return append(dst, c.Digest...)
		}
	}
	return dst
}

// claimPrefix is what the names of a token's claims begin with, among an authorizer's.
const claimPrefix = "claims."

// certificatePrefix stands below $context.identity.
const certificatePrefix = "clientCert."

// ofCertificate returns the variable's value if it is one of a client's certificate.
func (v *Variable) ofCertificate(c *proxy.ClientCertificate) string {
	switch v.what {
	case certificatePEM:
		return c.PEM
	case certificateSubject:
		return c.Subject
	case certificateIssuer:
		return c.Issuer
	case certificateSerial:
		return c.Serial
	case certificateNotBefore:
		return c.NotBefore
	case certificateNotAfter:
		return c.NotAfter
	}
	return ""
}
