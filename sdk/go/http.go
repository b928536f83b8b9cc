//go:build wasip1

package postern

import (
	"io"
	"time"
	"unsafe"
)

// Call is a request to another server, one that the configuration names. Grant:
// http.
type Call struct {
	Method  string // "" is GET
	URL     string
	Headers []Header
	Body    []byte
	Timeout time.Duration // 0 is what the configuration says
}

// Send begins the request and doesn't wait: several may be under way at once.
func (c *Call) Send() (Reply, error) {
	method := c.Method
	if method == "" {
		method = "GET"
	}
	var lines []byte
	for _, h := range c.Headers {
		lines = append(append(append(append(lines, h.Name...), ": "...), h.Value...), '\n')
	}
	methodAt, methodLen := stringAt(method)
	urlAt, urlLen := stringAt(c.URL)
	linesAt, linesLen := bytesAt(lines)
	bodyAt, bodyLen := bytesAt(c.Body)
	r := rawHttpSend(methodAt, methodLen, urlAt, urlLen, linesAt, linesLen, bodyAt, bodyLen, int64(c.Timeout))
	return Reply(r), failed(r)
}

// Reply is an answer that is there or on its way. Its methods wait for what they
// return.
type Reply int32

// Status returns the status.
func (r Reply) Status() (int, error) {
	n := rawHttpStatus(int32(r))
	return int(n), failed(n)
}

// Header returns the last value of a header, "" if there is none.
func (r Reply) Header(name string) string {
	at, n := stringAt(name)
	s, _ := registered.in.get(func(to unsafe.Pointer, size uint32) int32 { return rawHttpHeader(int32(r), at, n, to, size) })
	return s
}

// Read fills p with the next bytes of the content; io.EOF is the end.
func (r Reply) Read(p []byte) (int, error) {
	at, size := bytesAt(p)
	n := rawHttpRead(int32(r), at, size)
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return int(max(0, n)), failed(n)
}
