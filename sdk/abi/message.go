package abi

// Fields are the numbers for field_get and field_set.
const (
	FieldMethod        = 1
	FieldPath          = 2
	FieldFullPath      = 3
	FieldRawQuery      = 4
	FieldRouteKey      = 5
	FieldResource      = 6
	FieldStage         = 7
	FieldAPIID         = 8
	FieldRequestID     = 9
	FieldSourceIP      = 10
	FieldProtocol      = 11
	FieldHost          = 12
	FieldScheme        = 13
	FieldPrincipal     = 14
	FieldAccountID     = 15
	FieldRegion        = 16
	FieldDomainName    = 17
	FieldMethodARN     = 18
	FieldStatus        = 19
	FieldMessage       = 20
	FieldFault         = 21
	FieldBackendMethod = 22
	FieldBackendTarget = 23
	FieldBackendHost   = 24
	FieldBackendStatus = 25
	FieldRecordAction  = 26
	FieldRecordZone    = 27
	FieldRecordName    = 28
	FieldRecordValue   = 29
	FieldRecordTTL     = 30
)

// Maps are the numbers for the functions map_….
const (
	MapHeaders                = 1
	MapQuery                  = 2
	MapPathParams             = 3
	MapStageVariables         = 4
	MapContext                = 5
	MapResponseHeaders        = 6
	MapBag                    = 7
	MapBackendHeaders         = 8
	MapBackendResponseHeaders = 9
)

// Bodies are the numbers for the functions body_….
const (
	BodyRequest  = 1
	BodyResponse = 2
	BodyBackend  = 3
)

// Part is something of a message that guests name by a number.
type Part struct {
	Number   int32
	Name     string
	Readable Phase // in these it may be read
	Writable Phase // in these it may be changed
	Doc      string
}

const (
	answering = Integrate | Request | Response | MapResponse // roles that may make the client's answer
	replied   = Response | MapResponse                       // roles that see one
	returning = replied | ResponseBody                       // and those that see what it was made from
)

// The parts, in the order of their numbers, which begin at 1. Only read.
var (
	fieldParts = [...]Part{
		{FieldMethod, "method", Requests, 0, "The effective verb."},
		{FieldPath, "path", Requests, 0, "The path after stage or base path, as sent."},
		{FieldFullPath, "full_path", Requests, 0, "The path with stage or base path, as sent."},
		{FieldRawQuery, "raw_query", Requests, Request, `The query without "?", as sent.`},
		{FieldRouteKey, "route_key", Requests, 0, `The route, as "GET /pets/{id}".`},
		{FieldResource, "resource", Requests, 0, `The resource, as "/pets/{id}".`},
		{FieldStage, "stage", Requests, 0, "The stage's name."},
		{FieldAPIID, "api_id", Requests, 0, "The API's id."},
		{FieldRequestID, "request_id", Requests, 0, "The request's id."},
		{FieldSourceIP, "source_ip", Requests | Certify, 0, "The client's address."},
		{FieldProtocol, "protocol", Requests, 0, `The client's protocol, as "HTTP/1.1".`},
		{FieldHost, "host", Requests, 0, "The host that the client named, in lower case, without port."},
		{FieldScheme, "scheme", Requests, 0, `"http" or "https".`},
		{FieldPrincipal, "principal", Requests, 0, "Who calls, as the authorizer found out."},
		{FieldAccountID, "account_id", Requests, 0, "The account id that ARNs name."},
		{FieldRegion, "region", Requests, 0, "The region that ARNs name."},
		{FieldDomainName, "domain_name", Requests | Certify, 0, "The whole host name by which the request came in, or that a certificate is wanted for."},
		{FieldMethodARN, "method_arn", Requests, 0, "The ARN of the called method."},
		{FieldStatus, "status", returning, answering, "The status for the client, three digits from 200 to 599. Whoever answers and sets none answers 200."},
		{FieldMessage, "message", 0, Authorize | Validate | RequestBody, "What a client that is refused is told; at most 1 KiB of text."},
		{FieldFault, "fault", Response | ResponseBody, 0, `The gateway response type when the gateway itself answers, as "THROTTLED"; else empty.`},
		{FieldBackendMethod, "backend_method", MapRequest, MapRequest, "The verb for the backend."},
		{FieldBackendTarget, "backend_target", MapRequest, MapRequest, "Path and query for the backend, encoded."},
		{FieldBackendHost, "backend_host", MapRequest, MapRequest, "The Host for the backend. It doesn't change who is connected to."},
		{FieldBackendStatus, "backend_status", returning, 0, "The backend's status; empty when there was no answer."},
		{FieldRecordAction, "record_action", DNS, 0, `"present" or "cleanup".`},
		{FieldRecordZone, "record_zone", DNS, 0, "The zone that the record goes into, without a dot at its end."},
		{FieldRecordName, "record_name", DNS, 0, "The record's name with that of the zone, without a dot at its end."},
		{FieldRecordValue, "record_value", DNS, 0, "The record's text."},
		{FieldRecordTTL, "record_ttl", DNS, 0, "How long others may keep it, in seconds."},
	}
	mapParts = [...]Part{
		{MapHeaders, "headers", Requests, Request, "Request headers, names without regard to case. Hidden are fields of the connection, what AWS drops, and what a client can't say of itself (X-Forwarded-For, Forwarded, …)."},
		{MapQuery, "query", Requests, 0, `Query parameters, decoded; they end at "&" and ";".`},
		{MapPathParams, "path_params", Requests, 0, "Path parameters, decoded."},
		{MapStageVariables, "stage_variables", Requests, 0, "Stage variables."},
		{MapContext, "context", Requests, 0, "What the authorizer has found out."},
		{MapResponseHeaders, "response_headers", answering | ResponseBody, answering, "Headers for the client: of the answer that is under way, or of the guest's own."},
		{MapBag, "bag", Requests, Requests, "What plugins have kept for later calls about the same request, each plugin for itself."},
		{MapBackendHeaders, "backend_headers", MapRequest, MapRequest, "Headers for the backend."},
		{MapBackendResponseHeaders, "backend_response_headers", returning, 0, "Headers of the backend's answer."},
	}
	bodyParts = [...]Part{
		{BodyRequest, "request", Whole &^ replied, Request, "The request's content."},
		{BodyResponse, "response", replied, answering, "The content for the client."},
		{BodyBackend, "backend", MapRequest, MapRequest, "The content for the backend."},
	}
)

// FieldParts describes the fields, in the order of their numbers.
func FieldParts() []Part { return fieldParts[:] }

// MapParts describes the maps, in the order of their numbers.
func MapParts() []Part { return mapParts[:] }

// BodyParts describes the bodies, in the order of their numbers.
func BodyParts() []Part { return bodyParts[:] }

// FieldAccess returns the phases in which field n may be read and changed; none
// for a number that is no field's.
func FieldAccess(n int32) (readable, writable Phase) { return access(fieldParts[:], n) }

// MapAccess is FieldAccess for maps.
func MapAccess(n int32) (readable, writable Phase) { return access(mapParts[:], n) }

// BodyAccess is FieldAccess for bodies.
func BodyAccess(n int32) (readable, writable Phase) { return access(bodyParts[:], n) }

func access(parts []Part, n int32) (readable, writable Phase) {
	if i := int(n) - 1; i >= 0 && i < len(parts) {
		return parts[i].Readable, parts[i].Writable
	}
	return 0, 0
}
