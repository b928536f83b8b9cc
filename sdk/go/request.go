//go:build wasip1

package postern

import (
	"time"
	"unsafe"

	"github.com/postern-gateway/postern/sdk/abi"
)

// Request is the request that an authorizer decides about. Each method asks the
// gateway for just what it returns. It is valid until the authorizer returns.
type Request struct {
	buf   [256]byte // most values fit; longer ones get memory of their own
	other []byte
}

// get returns a value as a new string. f is one host function. field and lookup do
// the same without a closure, for which TinyGo allocates its variables.
func (r *Request) get(f func(at unsafe.Pointer, size uint32) int32) (string, bool) {
	need := f(r.buffer())
	if need > int32(len(r.buf)) {
		f(r.larger(need))
	}
	return r.taken(need)
}

func (r *Request) field(number int32) string {
	at, size := r.buffer()
	need := rawFieldGet(number, at, size)
	if need > int32(len(r.buf)) {
		at, size = r.larger(need)
		rawFieldGet(number, at, size)
	}
	s, _ := r.taken(need)
	return s
}

func (r *Request) lookup(m int32, name string) (string, bool) {
	key, n := stringAt(name)
	at, size := r.buffer()
	need := rawMapGet(m, key, n, at, size)
	if need > int32(len(r.buf)) {
		at, size = r.larger(need)
		rawMapGet(m, key, n, at, size)
	}
	return r.taken(need)
}

// buffer is where a value is tried to be put first.
func (r *Request) buffer() (unsafe.Pointer, uint32) {
	return unsafe.Pointer(&r.buf[0]), uint32(len(r.buf))
}

// larger is where a value that needs more is put.
func (r *Request) larger(need int32) (unsafe.Pointer, uint32) {
	if int(need) > cap(r.other) {
		r.other = make([]byte, need)
	}
	return bytesAt(r.other[:cap(r.other)])
}

// taken returns the value that needed so many bytes; below 0, there is none.
func (r *Request) taken(need int32) (string, bool) {
	switch {
	case need < 0:
		return "", false
	case int(need) <= len(r.buf):
		return string(r.buf[:need]), true
	}
	return string(r.other[:need]), true
}

// Method is the verb.
func (r *Request) Method() string { return r.field(abi.FieldMethod) }

// Path is the path after the stage or base path, as sent.
func (r *Request) Path() string { return r.field(abi.FieldPath) }

// RawQuery is the query without "?", as sent.
func (r *Request) RawQuery() string { return r.field(abi.FieldRawQuery) }

// RouteKey is the route that matched, as "GET /pets/{id}".
func (r *Request) RouteKey() string { return r.field(abi.FieldRouteKey) }

// Stage is the stage's name.
func (r *Request) Stage() string { return r.field(abi.FieldStage) }

// API is the API's id.
func (r *Request) API() string { return r.field(abi.FieldAPIID) }

// ID is the request's id.
func (r *Request) ID() string { return r.field(abi.FieldRequestID) }

// SourceIP is the client's address.
func (r *Request) SourceIP() string { return r.field(abi.FieldSourceIP) }

// Host is the host that the client named, in lower case, without port.
func (r *Request) Host() string { return r.field(abi.FieldHost) }

// DomainName is the whole host name by which the request came in, or that a
// certificate is wanted for.
func (r *Request) DomainName() string { return r.field(abi.FieldDomainName) }

// MethodARN is the ARN of the called method, as AWS gives it to authorizers.
func (r *Request) MethodARN() string { return r.field(abi.FieldMethodARN) }

// Field returns a field by its number in sdk/abi, and "" for an unknown one.
func (r *Request) Field(number int32) string { return r.field(number) }

// Header returns the last value of a header, without regard to case, and "" when
// there is none.
func (r *Request) Header(name string) string {
	s, _ := r.lookup(abi.MapHeaders, name)
	return s
}

// LookupHeader is Header that also reports whether there is one.
func (r *Request) LookupHeader(name string) (string, bool) { return r.lookup(abi.MapHeaders, name) }

// Query returns the last value of a query parameter, decoded.
func (r *Request) Query(name string) string {
	s, _ := r.lookup(abi.MapQuery, name)
	return s
}

// PathParam returns a path parameter, decoded.
func (r *Request) PathParam(name string) string {
	s, _ := r.lookup(abi.MapPathParams, name)
	return s
}

// StageVariable returns a stage variable.
func (r *Request) StageVariable(name string) string {
	s, _ := r.lookup(abi.MapStageVariables, name)
	return s
}

// Headers calls f for each header in the order of arrival until it returns false.
func (r *Request) Headers(f func(name, value string) bool) { r.each(abi.MapHeaders, f) }

// Queries calls f for each query parameter, decoded, until it returns false.
func (r *Request) Queries(f func(name, value string) bool) { r.each(abi.MapQuery, f) }

func (r *Request) each(m int32, f func(name, value string) bool) {
	name, value := make([]byte, 64), make([]byte, 256)
	for i, n := int32(0), rawMapCount(m); i < n; i++ {
		for {
			nameAt, nameSize := bytesAt(name)
			valueAt, valueSize := bytesAt(value)
			lengths := rawMapEntry(m, i, nameAt, nameSize, valueAt, valueSize)
			if lengths < 0 {
				return
			}
			nameLen, valueLen := int(lengths>>32), int(uint32(lengths))
			if nameLen <= len(name) && valueLen <= len(value) {
				if !f(string(name[:nameLen]), string(value[:valueLen])) {
					return
				}
				break
			}
			name, value = make([]byte, max(nameLen, len(name))), make([]byte, max(valueLen, len(value)))
		}
	}
}

// SetHeader gives a header one value, for everything after a request filter. It
// reports whether the gateway took it: fields of the connection and what only the
// gateway may say are refused, and so are values with control characters.
func (r *Request) SetHeader(name, value string) bool { return Map(abi.MapHeaders).Set(name, value) }

// AddHeader adds a value to a header; see SetHeader.
func (r *Request) AddHeader(name, value string) bool { return Map(abi.MapHeaders).Add(name, value) }

// DelHeader removes a header; see SetHeader.
func (r *Request) DelHeader(name string) bool { return Map(abi.MapHeaders).Del(name) }

// SetRawQuery replaces the query, in a request filter. It reports whether the
// gateway took it.
func (r *Request) SetRawQuery(query string) bool { return setField(abi.FieldRawQuery, query) }

// SetMessage says what a client is told that an authorizer or a validator
// refuses, in place of AWS's text. It reports whether the gateway took it: valid
// UTF-8 of at most 1 KiB.
func (r *Request) SetMessage(text string) bool { return setField(abi.FieldMessage, text) }

// Principal is who calls, as the authorizer found out.
func (r *Request) Principal() string { return r.field(abi.FieldPrincipal) }

// Context is what the authorizer has found out besides.
func (r *Request) Context() Map { return abi.MapContext }

// Bag is what this plugin keeps for later calls about the same request.
func (r *Request) Bag() Map { return abi.MapBag }

// Body is the request's content. A plugin that uses it gets its calls when all
// of the content is there.
func (r *Request) Body() Body { return abi.BodyRequest }

// SetPrincipal says who calls: $context.authorizer.principalId. It reports
// whether the gateway took it: valid UTF-8 of at most 2 KiB.
func (r *Request) SetPrincipal(id string) bool {
	at, n := stringAt(id)
	return rawPrincipalSet(at, n) == abi.OK
}

// SetContext sets an entry of $context.authorizer. It reports whether the
// gateway took it: valid UTF-8, at most 64 entries and 16 KiB together.
func (r *Request) SetContext(name, value string) bool {
	nameAt, nameLen := stringAt(name)
	valueAt, valueLen := stringAt(value)
	return rawContextSet(nameAt, nameLen, valueAt, valueLen) == abi.OK
}

// DeadlineLeft is the time until the gateway stops the current call.
func DeadlineLeft() time.Duration { return time.Duration(rawDeadlineLeft()) }

// Level is how important a log line is.
type Level int32

// The levels.
const (
	Debug   Level = abi.LevelDebug
	Info    Level = abi.LevelInfo
	Warning Level = abi.LevelWarn
	Error   Level = abi.LevelError
)

// Log writes a line to the gateway's log. It reports false when the call has
// written as many as it may.
func Log(level Level, text string) bool {
	at, n := stringAt(text)
	return rawLog(int32(level), at, n) == abi.OK
}

// LogEnabled reports whether lines of level are kept at all.
func LogEnabled(level Level) bool { return rawLogEnabled(int32(level)) == 1 }
