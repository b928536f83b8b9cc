// Package abi holds the names, numbers and limits that the plugin host and the
// guests agree on: postern ABI v1. plugins/ABI.md explains them.
//
// Numbers are never given a second meaning; a later minor version only adds.
package abi

// The version that a guest returns from its export Version: major<<16 | minor.
// A host takes guests of its own major version whose minor isn't above its own.
const (
	Major   = 1
	Minor   = 0
	Version = Major<<16 | Minor
)

// The import modules that a guest may name.
const (
	Module = "postern_v1"
	WASI   = "wasi_snapshot_preview1"
)

// The exports that the host looks for.
const (
	ExportVersion    = "postern_abi"       // () -> i32; makes a module a native plugin
	ExportRoles      = "postern_roles"     // () -> i32; optional: which of the role exports are meant
	ExportConfigure  = "postern_configure" // () -> i32; optional: 0 accepts the configuration
	ExportAuthorize  = "postern_authorize" // () -> i32; a Decision
	ExportIntegrate  = "postern_integrate" // () -> i32; 0 when result_write has the answer
	ExportInitialize = "_initialize"       // () ; a reactor's start, called once per instance
	ExportStart      = "_start"            // () ; a command's start: the event ABI
	ExportMemory     = "memory"
)

// Roles are the bits of what ExportRoles returns.
const (
	RoleAuthorize = 1 << iota
	RoleIntegrate
)

// Decisions are what ExportAuthorize returns; any other number is a failure.
// Zero is none of them, so that nobody is let in by an accident.
const (
	Allow           = 1
	Deny            = 2
	Unauthenticated = 3
)

// Codes are negative results of host functions; zero and above is success. An
// address range outside of the guest's memory isn't a code: it traps.
const (
	OK          = 0
	NotFound    = -1 // there is no such field, name or index
	Denied      = -2 // the configuration doesn't allow it
	WrongPhase  = -3 // not in this role
	BadArgument = -4 // an unknown number, or text that isn't UTF-8
	Limit       = -5 // more than the limits below allow
)

// Fields are the numbers for field_get.
const (
	FieldMethod     = 1  // effective verb
	FieldPath       = 2  // path after stage or base path, as sent
	FieldFullPath   = 3  // path with stage or base path, as sent
	FieldRawQuery   = 4  // query without "?", as sent
	FieldRouteKey   = 5  // "GET /pets/{id}"
	FieldResource   = 6  // "/pets/{id}"
	FieldStage      = 7  // the stage's name
	FieldAPIID      = 8  // $context.apiId
	FieldRequestID  = 9  // $context.requestId
	FieldSourceIP   = 10 // $context.identity.sourceIp
	FieldProtocol   = 11 // "HTTP/1.1"
	FieldHost       = 12 // lower case, without port
	FieldScheme     = 13 // "http" or "https"
	FieldPrincipal  = 14 // principalId that the authorizer found
	FieldAccountID  = 15 // $context.accountId
	FieldRegion     = 16 // region of ARNs
	FieldDomainName = 17 // $context.domainName
	FieldMethodARN  = 18 // arn:aws:execute-api:{region}:{account}:{api}/{stage}/{VERB}/{path}
)

// Maps are the numbers for map_count, map_get and map_entry.
const (
	MapHeaders        = 1 // request headers, without those that concern the connection
	MapQuery          = 2 // query parameters, decoded
	MapPathParams     = 3 // path parameters, decoded
	MapStageVariables = 4
	MapContext        = 5 // authorizer context, in the role integrate
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
	MaxContextEntries = 64       // entries
	MaxContext        = 16 << 10 // names and values together
	MaxResult         = 10 << 20 // AWS allows a payload of 10 MB
	MaxLogLine        = 4 << 10  // what is longer is cut
	MaxLogLines       = 64       // lines
	MaxRandom         = 64 << 10 // of one request for random bytes
	MaxFailure        = 1 << 10  // what is longer is cut
)

// Phase says in which calls a host function may be used.
type Phase uint8

// The phases; a function's set of them is their sum. Start is everything before
// the first request: _initialize and postern_configure.
const (
	Start Phase = 1 << iota
	Authorize
	Integrate

	Always = Start | Authorize | Integrate
)

// Function is one host function of Module. Params and Results have one letter
// per value: 'i' for i32, 'I' for i64.
type Function struct {
	Name    string
	Params  string
	Results string
	Phases  Phase
}

// Functions returns all functions of Module, in a fixed order.
func Functions() []Function {
	const request = Authorize | Integrate
	return []Function{
		{"field_get", "iii", "i", request},
		{"map_count", "i", "i", request},
		{"map_get", "iiiii", "i", request},
		{"map_entry", "iiiiii", "I", request},
		{"principal_set", "ii", "i", Authorize},
		{"context_set", "iiii", "i", Authorize},
		{"event_read", "ii", "i", Integrate},
		{"result_write", "ii", "i", Integrate},
		{"config_read", "ii", "i", Always},
		{"log", "iii", "i", Always},
		{"log_enabled", "i", "i", Always},
		{"time", "", "I", Always},
		{"random", "ii", "i", Always},
		{"deadline_left", "", "I", Always},
		{"fail", "iii", "i", Always},
	}
}
