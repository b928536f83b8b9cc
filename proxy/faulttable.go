package proxy

// faultRow is what a kind of fault looks like to the client.
type faultRow struct {
	name      string // AWS's gateway response type, or ours
	status    int
	message   string // "" prints null
	errorType string // x-amzn-ErrorType
	capital   bool   // the body's key is "Message"
}

// String returns the gateway response type: ACCESS_DENIED, …
func (k FaultKind) String() string { return k.row().name }

// Status returns the default status.
func (k FaultKind) Status() int { return k.row().status }

// row is the table of defaults. AWS: "Gateway response types for API Gateway".
func (k FaultKind) row() faultRow {
	switch k {
	case NoFault:
		return faultRow{name: "NONE", status: 200}
	case AccessDenied:
		return faultRow{"ACCESS_DENIED", 403, "User is not authorized to access this resource", "AccessDeniedException", true}
	case APIConfigurationError:
		return faultRow{"API_CONFIGURATION_ERROR", 500, "Internal server error", "InternalServerErrorException", false}
	case AuthorizerConfigurationError:
		return faultRow{"AUTHORIZER_CONFIGURATION_ERROR", 500, "", "AuthorizerConfigurationException", false}
	case AuthorizerFailure:
		return faultRow{"AUTHORIZER_FAILURE", 500, "", "AuthorizerFailureException", false}
	case BadRequestParameters:
		return faultRow{"BAD_REQUEST_PARAMETERS", 400, "Bad Request", "BadRequestException", false}
	case BadRequestBody:
		return faultRow{"BAD_REQUEST_BODY", 400, "Invalid request body", "BadRequestException", false}
	case ExpiredToken:
		return faultRow{"EXPIRED_TOKEN", 403, "The security token included in the request is expired", "ExpiredTokenException", false}
	case ExpiredIdentity:
		return faultRow{"EXPIRED_TOKEN", 401, "The incoming token has expired", "UnauthorizedException", false}
	case IntegrationFailure:
		// Differs from AWS, which documents 504 here: a connection that fails is 502
		// and only a time-out is 504, because operators' alarms tell the two apart.
		return faultRow{"INTEGRATION_FAILURE", 502, "Network error communicating with endpoint", "InternalServerErrorException", false}
	case BadIntegration:
		return faultRow{"INTEGRATION_FAILURE", 502, "Internal server error", "InternalServerErrorException", false}
	case IntegrationTimeout:
		return faultRow{"INTEGRATION_TIMEOUT", 504, "Endpoint request timed out", "InternalServerErrorException", false}
	case InvalidAPIKey:
		return faultRow{"INVALID_API_KEY", 403, "Forbidden", "ForbiddenException", false}
	case InvalidSignature:
		return faultRow{"INVALID_SIGNATURE", 403, "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.", "InvalidSignatureException", false}
	case MissingAuthenticationToken:
		return faultRow{"MISSING_AUTHENTICATION_TOKEN", 403, "Missing Authentication Token", "MissingAuthenticationTokenException", false}
	case QuotaExceeded:
		return faultRow{"QUOTA_EXCEEDED", 429, "Limit Exceeded", "LimitExceededException", false}
	case RequestTooLarge:
		return faultRow{"REQUEST_TOO_LARGE", 413, "Request Too Long", "RequestTooLargeException", false}
	case ResourceNotFound:
		return faultRow{"RESOURCE_NOT_FOUND", 404, "Not Found", "NotFoundException", false}
	case Throttled:
		return faultRow{"THROTTLED", 429, "Too Many Requests", "TooManyRequestsException", false}
	case Unauthorized:
		return faultRow{"UNAUTHORIZED", 401, "Unauthorized", "UnauthorizedException", false}
	case UnsupportedMediaType:
		return faultRow{"UNSUPPORTED_MEDIA_TYPE", 415, "Unsupported Media Type", "BadRequestException", false}
	case WAFFiltered:
		return faultRow{"WAF_FILTERED", 403, "Forbidden", "ForbiddenException", false}
	}
	return k.ownRow()
}

// ownRow is the rest of the table: what a caller of AWS never meets.
func (k FaultKind) ownRow() faultRow {
	switch k {
	case BadRequest:
		return faultRow{"BAD_REQUEST", 400, "Bad Request", "BadRequestException", false}
	case HeadTooLarge:
		return faultRow{"HEADER_TOO_LARGE", 431, "Request Header Fields Too Large", "BadRequestException", false}
	case URITooLong:
		return faultRow{"URI_TOO_LONG", 414, "URI Too Long", "BadRequestException", false}
	case RequestTimeout:
		return faultRow{"REQUEST_TIMEOUT", 408, "Request Timeout", "BadRequestException", false}
	case UnknownCoding:
		return faultRow{"UNKNOWN_CODING", 501, "Transfer coding not supported", "BadRequestException", false}
	case UnknownVersion:
		return faultRow{"UNKNOWN_VERSION", 505, "HTTP version not supported", "BadRequestException", false}
	case UnknownAPI:
		return faultRow{"UNKNOWN_API", 404, "No API answers to this host", "NotFoundException", false}
	case Forbidden:
		return faultRow{"FORBIDDEN", 403, "Forbidden", "ForbiddenException", false}
	case Misdirected:
		return faultRow{"MISDIRECTED_REQUEST", 421, "Misdirected Request", "ForbiddenException", false}
	case IncompleteSignature:
		return faultRow{"INCOMPLETE_SIGNATURE", 403, "The request signature does not conform to AWS standards", "IncompleteSignatureException", false}
	case UnrecognizedClient:
		return faultRow{"UNRECOGNIZED_CLIENT", 403, "The security token included in the request is invalid.", "UnrecognizedClientException", false}
	case Overloaded:
		return faultRow{"OVERLOADED", 503, "Service Unavailable", "ServiceUnavailableException", false}
	case PluginFailure:
		return faultRow{"PLUGIN_FAILURE", 500, "Internal server error", "InternalServerErrorException", false}
	case PluginTimeout:
		return faultRow{"PLUGIN_TIMEOUT", 504, "Endpoint request timed out", "InternalServerErrorException", false}
	case ClientGone:
		return faultRow{"CLIENT_GONE", 499, "", "", false}
	}
	return faultRow{"INTERNAL", 500, "Internal server error", "InternalServerErrorException", false}
}
