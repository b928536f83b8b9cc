package http1

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
	Traceparent
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

// Set is a set of numbered names, which a constant can hold: a test of one bit
// where a switch compares with one after the other.
//
//	const ours = http1.Set(1<<http1.Host | 1<<http1.TE)
type Set uint64

// Has reports whether k is in s.
func (s Set) Has(k Known) bool { return s>>(k&63)&1 != 0 }

const _ = uint(63 - KnownCount) // all fit into a Set

// String returns the name in its usual spelling; "" for Other.
func (k Known) String() string {
	if k < KnownCount {
		return knownNames[k]
	}
	return ""
}

// KnownName returns the number of name, without regard to case, or Other.
func KnownName(name string) Known {
	if len(name) < 2 {
		return Other
	}
	k := candidates[slot(name)]
	if known := knownNames[k]; len(known) != len(name) || !sameName(name, known) {
		return Other
	}
	return k
}

// slot is where name would stand in candidates: the factors are such that no two
// numbered names stand in one place.
func slot(name string) uint {
	n := uint(len(name))
	return (7*n + 48*uint(name[0]|0x20) + uint(name[n-2]|0x20)) & (candidateSlots - 1)
}

const candidateSlots = 128 // a power of two

// candidates has the only number that a name can have, by its slot; it is only
// read. Where none is, the name of the number is empty.
var candidates = spread()

func spread() (at [candidateSlots]Known) {
	for k := Other + 1; k < KnownCount; k++ {
		at[slot(knownNames[k])] = k
	}
	return at
}

// knownNames are the usual spellings; the table is only read.
var knownNames = [KnownCount]string{
	Accept:               "Accept",
	Authorization:        "Authorization",
	Connection:           "Connection",
	ContentEncoding:      "Content-Encoding",
	ContentLength:        "Content-Length",
	ContentMD5:           "Content-MD5",
	ContentType:          "Content-Type",
	Cookie:               "Cookie",
	Date:                 "Date",
	Expect:               "Expect",
	Forwarded:            "Forwarded",
	Host:                 "Host",
	HTTP2Settings:        "HTTP2-Settings",
	KeepAlive:            "Keep-Alive",
	MaxForwards:          "Max-Forwards",
	ProxyAuthenticate:    "Proxy-Authenticate",
	ProxyAuthorization:   "Proxy-Authorization",
	ProxyConnection:      "Proxy-Connection",
	Referer:              "Referer",
	Server:               "Server",
	TE:                   "TE",
	Traceparent:          "traceparent",
	Trailer:              "Trailer",
	TransferEncoding:     "Transfer-Encoding",
	Upgrade:              "Upgrade",
	UserAgent:            "User-Agent",
	Via:                  "Via",
	WWWAuthenticate:      "WWW-Authenticate",
	XAmzApigwID:          "x-amz-apigw-id",
	XAmznAPIGatewayAPIID: "X-Amzn-Apigateway-Api-Id",
	XAmznErrorType:       "x-amzn-ErrorType",
	XAmznRequestID:       "x-amzn-RequestId",
	XAmznTraceID:         "X-Amzn-Trace-Id",
	XForwardedFor:        "X-Forwarded-For",
	XForwardedHost:       "X-Forwarded-Host",
	XForwardedPort:       "X-Forwarded-Port",
	XForwardedProto:      "X-Forwarded-Proto",
	XHTTPMethodOverride:  "X-HTTP-Method-Override",
}

// sameName reports whether name is known without regard to case. known consists
// of letters, digits and "-".
//
// Eight bytes at a time: in known only letters have the bit 0x40, and half of it
// is the bit that makes a letter lower case.
func sameName(name, known string) bool {
	if len(name) < 8 || len(known) != len(name) {
		return equalFold(name, known)
	}
	for at := 0; ; at += 8 {
		at = min(at, len(name)-8) // the last eight overlap those before
		want := eight(known, at)
		letters := want >> 1 & (0x20 * ones)
		if eight(name, at)|letters != want|letters {
			return false
		}
		if at == len(name)-8 {
			return true
		}
	}
}

// eight returns the eight bytes of s from at on.
func eight(s string, at int) uint64 {
	s = s[at : at+8]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}
