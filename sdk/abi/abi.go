// Package abi holds the names, numbers and limits that the plugin host and the
// guests agree on: postern ABI v1. plugins/ABI.md explains them.
//
// Numbers are never given a second meaning; a later minor version only adds.
package abi

// The version that a guest returns from its export Version: major<<16 | minor.
// A host takes guests of its own major version whose minor isn't above its own.
const (
	Major   = 1
	Minor   = 2 // 1: the roles dns and certify; 2: content in pieces
	Version = Major<<16 | Minor
)

// The import modules that a guest may name.
const (
	Module       = "postern_v1" // what every guest may call
	ModuleHTTP   = "postern_v1_http"
	ModuleKV     = "postern_v1_kv"
	ModuleCrypto = "postern_v1_crypto"
	ModuleJSON   = "postern_v1_json"
	ModuleMetric = "postern_v1_metric"
	ModuleText   = "postern_v1_text"
	WASI         = "wasi_snapshot_preview1"
)

// The exports that the host looks for.
const (
	ExportVersion      = "postern_abi"           // () -> i32; makes a module a native plugin
	ExportRoles        = "postern_roles"         // () -> i32; optional: which of the role exports are meant
	ExportConfigure    = "postern_configure"     // () -> i32; optional: 0 accepts the configuration
	ExportAuthorize    = "postern_authorize"     // () -> i32; Allow, Deny or Unauthenticated
	ExportIntegrate    = "postern_integrate"     // () -> i32; 0 when the answer is there
	ExportRequest      = "postern_request"       // () -> i32; Continue or Answer
	ExportResponse     = "postern_response"      // () -> i32; Continue
	ExportMapRequest   = "postern_map_request"   // () -> i32; 0 when it's done
	ExportMapResponse  = "postern_map_response"  // () -> i32; 0 when it's done
	ExportValidate     = "postern_validate"      // () -> i32; Valid, InvalidBody or InvalidParameters
	ExportDNS          = "postern_dns"           // () -> i32; 0 when the record is there, or gone
	ExportCertify      = "postern_certify"       // () -> i32; Allow or Deny
	ExportRequestBody  = "postern_request_body"  // () -> i32; Continue or Refuse
	ExportResponseBody = "postern_response_body" // () -> i32; Continue
	ExportInitialize   = "_initialize"           // () ; a reactor's start, called once per instance
	ExportStart        = "_start"                // () ; a command's start: the event ABI
	ExportMemory       = "memory"
)

// Roles are the bits of what ExportRoles returns.
const (
	RoleAuthorize = 1 << iota
	RoleIntegrate
	RoleRequest
	RoleResponse
	RoleMapRequest
	RoleMapResponse
	RoleValidate
	RoleDNS
	RoleCertify
	RoleRequestBody
	RoleResponseBody
)

// Role is one thing that a plugin can do.
type Role struct {
	Bit    uint32
	Name   string
	Export string // the native ABI's
	Phase  Phase
	Verb   string // "the plugin can …"
	Doc    string
}

// Roles returns all roles, in the order of their bits.
func Roles() []Role {
	return []Role{
		{RoleAuthorize, "authorize", ExportAuthorize, Authorize, "authorize",
			"Decides about the caller: 1 allow, 2 deny (403), 3 unauthenticated (401)."},
		{RoleIntegrate, "integrate", ExportIntegrate, Integrate, "be an integration",
			"Answers the request: 0 when result_write has the answer, or status, response headers and response body make it up."},
		{RoleRequest, "request", ExportRequest, Request, "filter requests",
			"Sees and changes the request before anything else does: 1 continue, 2 answer with the status, headers and body that it has set."},
		{RoleResponse, "response", ExportResponse, Response, "filter responses",
			"Sees and changes what the client gets, the gateway's own answers included: 1 continue."},
		{RoleMapRequest, "map_request", ExportMapRequest, MapRequest, "map requests",
			"Changes what goes to the backend: 0 done."},
		{RoleMapResponse, "map_response", ExportMapResponse, MapResponse, "map responses",
			"Makes the client's answer from the backend's: 0 done."},
		{RoleValidate, "validate", ExportValidate, Validate, "validate",
			"Judges the request: 1 valid, 2 invalid content, 3 invalid parameters (400)."},
		{RoleDNS, "dns", ExportDNS, DNS, "change DNS zones",
			"Puts a TXT record into a zone, or removes it, as record_action says: 0 done. Others at the same name stay. Since 1.1."},
		{RoleCertify, "certify", ExportCertify, Certify, "decide about certificates",
			"Decides if domain_name may have a certificate, which source_ip asked for (empty at a renewal): 1 allow, 2 deny. Since 1.1."},
		{RoleRequestBody, "request_body", ExportRequestBody, RequestBody, "filter requests' content",
			"Sees and changes a piece of the request's content on its way: 1 continue, 3 refuse the request (403). Since 1.2."},
		{RoleResponseBody, "response_body", ExportResponseBody, ResponseBody, "filter responses' content",
			"Sees and changes a piece of what the client gets, on its way: 1 continue. Since 1.2."},
	}
}

// Phase says in which calls a host function may be used. Every role has one.
type Phase uint16

// The phases; a function's set of them is their sum. Start is everything before
// the first request: _initialize and postern_configure.
const (
	Start Phase = 1 << iota
	Authorize
	Integrate
	Request
	Response
	MapRequest
	MapResponse
	Validate
	DNS
	Certify
	RequestBody
	ResponseBody

	Pieces   = RequestBody | ResponseBody                                                       // those about a piece of content
	Whole    = Authorize | Integrate | Request | Response | MapRequest | MapResponse | Validate // those that see content whole
	Requests = Whole | Pieces                                                                   // those about a request
	Calls    = Requests | DNS | Certify                                                         // all but Start
	Always   = Start | Calls
)

// Record actions are what FieldRecordAction is.
const (
	RecordPresent = "present"
	RecordCleanup = "cleanup"
)

// Decisions are what ExportAuthorize and ExportCertify return; any other number is a failure.
// Zero is none of them, so that nobody is let in by an accident.
const (
	Allow           = 1
	Deny            = 2
	Unauthenticated = 3
)

// Verdicts are what ExportRequest, ExportResponse, ExportRequestBody and
// ExportResponseBody return; any other number is a failure.
const (
	Continue = 1
	Answer   = 2 // ExportRequest only: the gateway answers with what the guest has set
	Refuse   = 3 // ExportRequestBody only: 403, unless the client has an answer already
)

// Judgements are what ExportValidate returns; any other number is a failure.
const (
	Valid             = 1
	InvalidBody       = 2 // 400, BAD_REQUEST_BODY
	InvalidParameters = 3 // 400, BAD_REQUEST_PARAMETERS
)

// Codes are negative results of host functions; zero and above is success. An
// address range outside of the guest's memory isn't a code: it traps.
const (
	OK          = 0
	NotFound    = -1 // there is no such field, name or index
	Denied      = -2 // neither the configuration nor the rules of HTTP allow it
	WrongPhase  = -3 // not in this role
	BadArgument = -4 // an unknown number, or text that isn't UTF-8 or malformed
	Limit       = -5 // more than the limits allow
	Unavailable = -6 // whoever was asked couldn't be reached or didn't answer properly
	Deadline    = -7 // whoever was asked took too long
)

// Levels are the numbers for log and log_enabled.
const (
	LevelDebug = 0
	LevelInfo  = 1
	LevelWarn  = 2
	LevelError = 3
)

// Limits of one call, in bytes unless another unit is named.
const (
	MaxPrincipal      = 2 << 10
	MaxContextEntries = 64         // entries
	MaxContext        = 16 << 10   // names and values together
	MaxResult         = 10 << 20   // AWS allows a payload of 10 MB
	MaxLogLine        = 4 << 10    // what is longer is cut
	MaxLogLines       = 64         // lines
	MaxRandom         = 64 << 10   // of one request for random bytes
	MaxFailure        = 1 << 10    // what is longer is cut
	MaxFields         = 200        // header fields that a call adds to a message
	MaxFieldText      = 64 << 10   // names and values of the header fields that a call adds to a message
	MaxMessage        = 1 << 10    // text for a client that is refused
	MaxBag            = 16 << 10   // names and values together
	MaxBagEntries     = 64         // entries
	MaxBody           = 10 << 20   // content that one call writes
	MaxPiece          = 1 << 20    // content that a call about a piece holds back, and that it writes
	MaxHeld           = 256        // expressions, keys and documents with numbers, of each
	MaxPattern        = 4 << 10    // of a regular expression
	MaxProgram        = 20_000     // instructions of its program
	MaxWork           = 50_000_000 // what host functions compute and copy for a call, in nanoseconds at most
)
