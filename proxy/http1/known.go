package http1

import "strings"

// Known numbers the field names that the gateway treats specially, so that the
// request path compares a byte instead of a name.
type Known uint8

// The numbered names. Other is every name that is not listed.
const (
	unset Known = iota
	Other
	Accept
	Authorization
	Connection
	ContentEncoding
	ContentLength
	ContentMD5
	ContentType
	Cookie
	Date
	Expect
	Forwarded
	Host
	HTTP2Settings
	KeepAlive
	MaxForwards
	ProxyAuthenticate
	ProxyAuthorization
	ProxyConnection
	Referer
	Server
	TE
	Trailer
	TransferEncoding
	Upgrade
	UserAgent
	Via
	WWWAuthenticate
	XAmzApigwID
	XAmznAPIGatewayAPIID
	XAmznErrorType
	XAmznRequestID
	XAmznTraceID
	XForwardedFor
	XForwardedHost
	XForwardedPort
	XForwardedProto
	XHTTPMethodOverride

	// KnownCount is the size of an array that is indexed by Known.
	KnownCount
)

// String returns the name in its usual spelling; "" for Other.
func (k Known) String() string {
	switch k {
	case Accept:
		return "Accept"
	case Authorization:
		return "Authorization"
	case Connection:
		return "Connection"
	case ContentEncoding:
		return "Content-Encoding"
	case ContentLength:
		return "Content-Length"
	case ContentMD5:
		return "Content-MD5"
	case ContentType:
		return "Content-Type"
	case Cookie:
		return "Cookie"
	case Date:
		return "Date"
	case Expect:
		return "Expect"
	case Forwarded:
		return "Forwarded"
	case Host:
		return "Host"
	case HTTP2Settings:
		return "HTTP2-Settings"
	case KeepAlive:
		return "Keep-Alive"
	case MaxForwards:
		return "Max-Forwards"
	case ProxyAuthenticate:
		return "Proxy-Authenticate"
	case ProxyAuthorization:
		return "Proxy-Authorization"
	case ProxyConnection:
		return "Proxy-Connection"
	case Referer:
		return "Referer"
	case Server:
		return "Server"
	case TE:
		return "TE"
	case Trailer:
		return "Trailer"
	case TransferEncoding:
		return "Transfer-Encoding"
	case Upgrade:
		return "Upgrade"
	case UserAgent:
		return "User-Agent"
	case Via:
		return "Via"
	case WWWAuthenticate:
		return "WWW-Authenticate"
	case XAmzApigwID:
		return "x-amz-apigw-id"
	case XAmznAPIGatewayAPIID:
		return "X-Amzn-Apigateway-Api-Id"
	case XAmznErrorType:
		return "x-amzn-ErrorType"
	case XAmznRequestID:
		return "x-amzn-RequestId"
	case XAmznTraceID:
		return "X-Amzn-Trace-Id"
	case XForwardedFor:
		return "X-Forwarded-For"
	case XForwardedHost:
		return "X-Forwarded-Host"
	case XForwardedPort:
		return "X-Forwarded-Port"
	case XForwardedProto:
		return "X-Forwarded-Proto"
	case XHTTPMethodOverride:
		return "X-HTTP-Method-Override"
	}
	return ""
}

// KnownName returns the number of name, without regard to case, or Other.
func KnownName(name string) Known {
	// The length and the first letter leave at most a handful of candidates.
	for k := Other + 1; k < KnownCount; k++ {
		if s := k.String(); len(s) == len(name) && strings.EqualFold(s, name) {
			return k
		}
	}
	return Other
}
