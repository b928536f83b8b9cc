// Package abi holds the names, numbers and limits that the plugin host and the
// guests agree on: postern ABI v1. plugins/ABI.md explains them.
//
// Numbers are never given a second meaning; a later minor version only adds.
package abi

import "strings"

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

// Role is one thing that a plugin can do.
type Role struct {
	Bit    uint32
	Name   string
	Export string // the native ABI's
	Verb   string // "the plugin can …"
}

// Roles returns all roles.
func Roles() []Role {
	return []Role{
		{RoleAuthorize, "authorize", ExportAuthorize, "authorize"},
		{RoleIntegrate, "integrate", ExportIntegrate, "be an integration"},
	}
}

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

	Request = Authorize | Integrate // those with a request
	Always  = Start | Request
)

// Function is one function that guests import. Args describes its parameters: a
// list of name=kind, with the kinds of Params.
type Function struct {
	Module string // import module
	Name   string
	Args   string
	Result byte // 'i' for i32, 'I' for i64
	Phases Phase
}

// Params has one letter for each parameter: 'i' for i32, 'I' for i64. An argument
// of the kinds i and I is one parameter; t (text, UTF-8), d (bytes) and b (a
// buffer to fill) are two, address and length.
func (f *Function) Params() string {
	var letters []byte
	for arg := range strings.FieldsSeq(f.Args) {
		switch kind := arg[len(arg)-1]; kind {
		case 'i', 'I':
			letters = append(letters, kind)
		default:
			letters = append(letters, "ii"...)
		}
	}
	return string(letters)
}

// Results has the letter of the result.
func (f *Function) Results() string { return string(f.Result) }

// Functions returns all functions of the ABI, in a fixed order.
func Functions() []Function {
	return []Function{
		{Module, "field_get", "field=i buffer=b", 'i', Request},
		{Module, "map_count", "map=i", 'i', Request},
		{Module, "map_get", "map=i name=t buffer=b", 'i', Request},
		{Module, "map_entry", "map=i index=i name=b value=b", 'I', Request},
		{Module, "principal_set", "principal=t", 'i', Authorize},
		{Module, "context_set", "name=t value=t", 'i', Authorize},
		{Module, "event_read", "buffer=b", 'i', Integrate},
		{Module, "result_write", "answer=d", 'i', Integrate},
		{Module, "config_read", "buffer=b", 'i', Always},
		{Module, "log", "level=i text=t", 'i', Always},
		{Module, "log_enabled", "level=i", 'i', Always},
		{Module, "time", "", 'I', Always},
		{Module, "random", "buffer=b", 'i', Always},
		{Module, "deadline_left", "", 'I', Always},
		{Module, "fail", "code=i text=t", 'i', Always},
	}
}
