package observe

import (
	"strconv"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/mask"
)

// measured are the variables of access logs that are appended without a text of their
// own: numbers, and what is cached.
type measured uint8

const (
	unmeasured measured = iota
	replyStatus
	replyLength
	replyLatency
	integrationLatency
	integrationStatus
	authorizerLatency
	processed
	requestTime
	errorMessageString
)

// measures are their names. AWS: "Variables for access logging for API Gateway"; those of
// HTTP APIs that aren't REST APIs' too: dataProcessed.
var measures = map[string]measured{
	"status":                        replyStatus,
	"responseLength":                replyLength,
	"responseLatency":               replyLatency,
	"integrationLatency":            integrationLatency,
	"integration.latency":           integrationLatency,
	"integrationStatus":             integrationStatus,
	"integration.status":            integrationStatus,
	"integration.integrationStatus": integrationStatus,
	"authorizer.latency":            authorizerLatency,
	"authorizer.integrationLatency": authorizerLatency,
	"authorize.latency":             authorizerLatency,
	"authenticate.latency":          authorizerLatency,
	"dataProcessed":                 processed,
	"requestTime":                   requestTime,
	"error.messageString":           errorMessageString,
}

// measure appends p's value for ex, "-" for none.
func (f *format) measure(b []byte, p *part, ex *proxy.Exchange) []byte {
	switch p.what {
	case replyStatus:
		return strconv.AppendInt(b, int64(ex.Reply.Status), 10)
	case replyLength:
		return strconv.AppendInt(b, ex.Notes.BytesOut, 10)
	case replyLatency:
		return strconv.AppendInt(b, ex.Times.Total.Milliseconds(), 10)
	case processed:
		return strconv.AppendInt(b, ex.Notes.BytesIn+ex.Notes.BytesOut, 10)
	case integrationLatency:
		return appendLatency(b, ex.Times.Integration)
	case authorizerLatency:
		return appendLatency(b, ex.Times.Authorizer)
	case integrationStatus:
		if ex.Notes.BackendStatus == 0 {
			return append(b, '-')
		}
		return strconv.AppendInt(b, int64(ex.Notes.BackendStatus), 10)
	case requestTime:
		return append(b, f.days.second(ex.Start)...)
	case errorMessageString:
		message := errorMessage(ex)
		if message == "" {
			return append(b, '-')
		}
		return append(escapeText(append(b, '"'), message), '"')
	}
	return b
}

// appendLatency appends d in milliseconds; 0 is no latency.
func appendLatency(b []byte, d time.Duration) []byte {
	if d <= 0 {
		return append(b, '-')
	}
	return strconv.AppendInt(b, d.Milliseconds(), 10)
}

// ownVariables are the texts that only access logs have, or that are something else in
// them. Those that nothing here has are always "-": there is no WAF of AWS's, no X-Ray
// request of an authorizer, no routing rule.
var ownVariables = map[string]Variable{
	"error.message":                     errorMessage,
	"error.responseType":                errorType,
	"error.validationErrorString":       validationError,
	"integrationErrorMessage":           integrationError,
	"integration.error":                 integrationError,
	"authorizer.error":                  authorizerError,
	"authorize.error":                   authorizerError,
	"authenticate.error":                authorizerError,
	"authorizer.status":                 authorizerStatus,
	"authorizer.integrationStatus":      authorizerStatus,
	"authorize.status":                  authorizerStatus,
	"authenticate.status":               authorizerStatus,
	"customDomain.basePathMatched":      basePath,
	"endpointType":                      endpointType,
	"identity.apiKey":                   apiKey,
	"protocol":                          protocol,
	"routeKey":                          routeKey,
	"tlsVersion":                        tlsVersion,
	"cipherSuite":                       cipherSuite,
	"xrayTraceId":                       traceRoot,
	"authorizer.requestId":              nothing,
	"customDomain.routingRuleIdMatched": nothing,
	"integration.requestId":             nothing,
	"awsEndpointRequestId2":             nothing,
	"waf.error":                         nothing,
	"waf.latency":                       nothing,
	"waf.status":                        nothing,
}

func nothing(*proxy.Exchange) string { return "" }

func errorMessage(ex *proxy.Exchange) string {
	if ex.Fault == nil {
		return ""
	}
	return ex.Fault.Text()
}

func errorType(ex *proxy.Exchange) string {
	if ex.Fault == nil {
		return ""
	}
	return ex.Fault.Kind.String()
}

func validationError(ex *proxy.Exchange) string {
	if ex.Fault == nil {
		return ""
	}
	return ex.Fault.Detail
}

// causeOf returns why an exchange failed: what the client isn't told.
func causeOf(f *proxy.Fault) string {
	if f.Cause == nil {
		return f.Text()
	}
	return f.Cause.Error()
}

func integrationError(ex *proxy.Exchange) string {
	if ex.Fault == nil {
		return ""
	}
	switch ex.Fault.Kind {
	case proxy.IntegrationFailure, proxy.BadIntegration, proxy.IntegrationTimeout:
		return causeOf(ex.Fault)
	}
	return ""
}

// deniedBy reports whether the fault is what became of asking who calls, and may he.
func deniedBy(kind proxy.FaultKind) bool {
	switch kind {
	case proxy.AccessDenied, proxy.AuthorizerConfigurationError, proxy.AuthorizerFailure, proxy.ExpiredToken, proxy.ExpiredIdentity,
		proxy.InvalidSignature, proxy.MissingAuthenticationToken, proxy.Unauthorized, proxy.IncompleteSignature, proxy.UnrecognizedClient:
		return true
	}
	return false
}

func authorizerError(ex *proxy.Exchange) string {
	if ex.Fault == nil || !deniedBy(ex.Fault.Kind) {
		return ""
	}
	return causeOf(ex.Fault)
}

// authorizerStatus returns what became of asking: the refusal's status, or 200 if
// somebody is known to call.
func authorizerStatus(ex *proxy.Exchange) string {
	switch {
	case ex.Fault != nil && deniedBy(ex.Fault.Kind):
		return strconv.Itoa(ex.Reply.Status)
	case ex.Caller.Principal != "" || ex.Caller.Identity.AccessKey != "":
		return "200"
	}
	return ""
}

func basePath(ex *proxy.Exchange) string { return ex.Domain.BasePath }

func endpointType(ex *proxy.Exchange) string {
	if ex.In.Private {
		return "PRIVATE"
	}
	return "REGIONAL"
}

// apiKey returns enough of the caller's API key to tell it from others: whoever reads a
// log must not be able to use it. Differs from AWS, which writes all of it.
func apiKey(ex *proxy.Exchange) string {
	if ex.Caller.Key == "" {
		return ""
	}
	return mask.Tail(ex.Caller.Key)
}

// protocol differs from $context.protocol of templates, which is always HTTP/1.1: a log
// is to say what the client spoke.
func protocol(ex *proxy.Exchange) string { return ex.In.Proto }

func routeKey(ex *proxy.Exchange) string {
	if ex.Route == nil {
		return ""
	}
	return ex.Route.Key
}

func tlsVersion(ex *proxy.Exchange) string {
	if ex.In.TLS == nil {
		return ""
	}
	return ex.In.TLS.Version
}

func cipherSuite(ex *proxy.Exchange) string {
	if ex.In.TLS == nil {
		return ""
	}
	return ex.In.TLS.CipherSuite
}

func traceRoot(ex *proxy.Exchange) string { return ex.TraceRoot() }
