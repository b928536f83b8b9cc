package proxy

// FaultKind says why an exchange failed. The list is closed: it holds AWS's
// gateway response types and the few that a self-hosted gateway needs besides.
type FaultKind uint8

// The fault kinds. AWS: "Gateway response types for API Gateway"; each has its default
// status, message and x-amzn-ErrorType in faultTable.
const (
	NoFault FaultKind = iota
	AccessDenied
	APIConfigurationError
	AuthorizerConfigurationError
	AuthorizerFailure
	BadRequestParameters
	BadRequestBody
	ExpiredToken
	ExpiredIdentity    // the same type for a bearer token: 401
	IntegrationFailure // the backend can't be reached, or broke off before its head
	BadIntegration     // the integration answered something malformed: 502
	IntegrationTimeout
	InvalidAPIKey
	InvalidSignature
	MissingAuthenticationToken
	QuotaExceeded
	RequestTooLarge
	ResourceNotFound
	Throttled
	Unauthorized
	UnsupportedMediaType
	WAFFiltered
	BadRequest          // the request isn't well-formed
	HeadTooLarge        // 431
	URITooLong          // 414
	RequestTimeout      // the request's head took too long: 408
	UnknownCoding       // a transfer coding that isn't chunked: 501
	UnknownVersion      // neither HTTP/1.0 nor HTTP/1.1: 505
	UnknownAPI          // no API or domain answers to this host
	Forbidden           // a known host without such a stage or base path, or closed to this client
	Misdirected         // the connection was opened for another name: 421
	IncompleteSignature // what the request says of its signature can't be read: 403
	UnrecognizedClient  // nobody has the access key that signed, or not with this token: 403
	Overloaded          // 503, with Retry-After
	PluginFailure       // a filter, mapping or validator failed: 500
	PluginTimeout       // one of these missed its deadline: 504
	Internal            // our own mistake: 500
	ClientGone          // the client left; nobody reads the answer

	FaultKinds // how many there are
)

// Fault is why an exchange failed. Steps return it as their error.
type Fault struct {
	Kind FaultKind
	// Message replaces the kind's default text in the answer; "" keeps it.
	Message string
	// Detail says what is wrong with the request's content:
	// $context.error.validationErrorString. "" for nothing.
	Detail string
	// RetryAfter, in seconds, tells the client when to come again; 0 leaves the
	// field out, but for Overloaded.
	RetryAfter int
	// Challenge says how to authenticate: WWW-Authenticate. "" leaves the field out.
	Challenge string
	// Cause is for the log only.
	Cause error
}

// Error describes the fault for logs.
func (f Fault) Error() string {
	s := f.Kind.String()
	if f.Message != "" {
		s += ": " + f.Message
	}
	if f.Cause != nil {
		s += ": " + f.Cause.Error()
	}
	return s
}

// Text returns what the client is told: $context.error.message. "" is null.
func (f Fault) Text() string {
	if f.Message != "" {
		return f.Message
	}
	return f.Kind.row().message
}

// Unwrap returns the cause.
func (f Fault) Unwrap() error { return f.Cause }

// Is makes errors.Is(err, Fault{Kind: k}) compare kinds.
func (f Fault) Is(target error) bool {
	t, ok := target.(Fault)
	return ok && t.Kind == f.Kind
}
