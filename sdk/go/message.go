//go:build wasip1

package postern

import (
	"strconv"

	"github.com/postern-gateway/postern/sdk/abi"
)

// Map is a list of names and values that the gateway keeps. Header names match
// without regard to case.
type Map int32

// Get returns the last value of a name, and "" when there is none.
func (m Map) Get(name string) string {
	s, _ := m.Lookup(name)
	return s
}

// Lookup is Get that also reports whether there is one.
func (m Map) Lookup(name string) (string, bool) { return registered.in.lookup(int32(m), name) }

// Len returns the number of entries.
func (m Map) Len() int { return int(rawMapCount(int32(m))) }

// Each calls f for each entry in order, until it returns false.
func (m Map) Each(f func(name, value string) bool) { registered.in.each(int32(m), f) }

// Set gives a name one value. It reports whether the gateway took it.
func (m Map) Set(name, value string) bool {
	nameAt, nameLen := stringAt(name)
	valueAt, valueLen := stringAt(value)
	return rawMapSet(int32(m), nameAt, nameLen, valueAt, valueLen) == abi.OK
}

// Add adds a value to a name. It reports whether the gateway took it.
func (m Map) Add(name, value string) bool {
	nameAt, nameLen := stringAt(name)
	valueAt, valueLen := stringAt(value)
	return rawMapAdd(int32(m), nameAt, nameLen, valueAt, valueLen) == abi.OK
}

// Del removes all values of a name. It reports whether there were any.
func (m Map) Del(name string) bool {
	at, n := stringAt(name)
	return rawMapDel(int32(m), at, n) > 0
}

// Body is content that the gateway keeps. What is read is the content as it was
// when the call began; what is written replaces it.
type Body int32

// Len returns the content's length in bytes.
func (b Body) Len() int { return int(rawBodyLen(int32(b))) }

// Read fills p with the next bytes. n is 0 at the end.
func (b Body) Read(p []byte) (n int) {
	at, size := bytesAt(p)
	return max(0, int(rawBodyRead(int32(b), at, size)))
}

// Bytes returns the rest of the content.
func (b Body) Bytes() []byte {
	content := make([]byte, max(0, b.Len()))
	n := 0
	for n < len(content) {
		more := b.Read(content[n:])
		if more == 0 {
			break
		}
		n += more
	}
	return content[:n]
}

// Write adds to the new content. It reports whether the gateway took it.
func (b Body) Write(p []byte) bool {
	at, n := bytesAt(p)
	return rawBodyWrite(int32(b), at, n) == abi.OK
}

// WriteString is Write for text.
func (b Body) WriteString(s string) bool {
	at, n := stringAt(s)
	return rawBodyWrite(int32(b), at, n) == abi.OK
}

// Reset makes the new content empty and begins reading again.
func (b Body) Reset() bool { return rawBodyReset(int32(b)) == abi.OK }

// Response is what the client gets: what the gateway has, or what the plugin
// answers by itself. It is valid until the call ends.
type Response struct{}

// Status is the status so far, 0 for an answer of the plugin's own.
func (r *Response) Status() int {
	n, _ := strconv.Atoi(registered.in.field(abi.FieldStatus))
	return n
}

// SetStatus sets the status: 200 to 599.
func (r *Response) SetStatus(status int) bool { return setField(abi.FieldStatus, strconv.Itoa(status)) }

// Fault is the gateway response type when the gateway itself answers, as
// "THROTTLED"; else "".
func (r *Response) Fault() string { return registered.in.field(abi.FieldFault) }

// BackendStatus is the backend's status, 0 when there was no answer.
func (r *Response) BackendStatus() int {
	n, _ := strconv.Atoi(registered.in.field(abi.FieldBackendStatus))
	return n
}

// Headers are the headers for the client.
func (r *Response) Headers() Map { return abi.MapResponseHeaders }

// BackendHeaders are the headers of the backend's answer.
func (r *Response) BackendHeaders() Map { return abi.MapBackendResponseHeaders }

// Body is the content for the client. A plugin that uses it gets its calls when
// all of the content is there.
func (r *Response) Body() Body { return abi.BodyResponse }

// Backend is what goes to the backend. It is valid until the call ends.
type Backend struct{}

// Method is the verb.
func (b *Backend) Method() string { return registered.in.field(abi.FieldBackendMethod) }

// SetMethod sets the verb. It reports whether the gateway took it.
func (b *Backend) SetMethod(method string) bool { return setField(abi.FieldBackendMethod, method) }

// Target is path and query, encoded.
func (b *Backend) Target() string { return registered.in.field(abi.FieldBackendTarget) }

// SetTarget sets path and query. It reports whether the gateway took it.
func (b *Backend) SetTarget(target string) bool { return setField(abi.FieldBackendTarget, target) }

// Host is the field Host.
func (b *Backend) Host() string { return registered.in.field(abi.FieldBackendHost) }

// SetHost sets the field Host. It reports whether the gateway took it.
func (b *Backend) SetHost(host string) bool { return setField(abi.FieldBackendHost, host) }

// Headers are the headers for the backend.
func (b *Backend) Headers() Map { return abi.MapBackendHeaders }

// Body is the content for the backend. A plugin that uses it gets its calls when
// all of the content is there.
func (b *Backend) Body() Body { return abi.BodyBackend }

func setField(field int32, value string) bool {
	at, n := stringAt(value)
	return rawFieldSet(field, at, n) == abi.OK
}
