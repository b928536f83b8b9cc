package http3

import (
	"strconv"
	"unsafe"

	"github.com/postern-gateway/postern/proxy/http2"
)

// The fields that are sent use QPACK's static table and Huffman's code only: then no
// stream ever waits for another. RFC 9204, 2.1.2.

// AppendStatus appends the pseudo-field of a reply, which comes before all fields.
// RFC 9114, 4.3.2. status has three digits.
func AppendStatus(b []byte, status int) []byte {
	if index := statusIndex(status); index > 0 {
		return http2.AppendInteger(b, 0xc0, 6, index) // RFC 9204, 4.5.2
	}
	b = http2.AppendInteger(b, 0x50, 4, 24) // RFC 9204, 4.5.4
	b = append(b, 3)
	return strconv.AppendInt(b, int64(status), 10)
}

// AppendField appends one field, whose name goes out in lower case. RFC 9114, 4.2.
func AppendField(b []byte, name, value string) []byte {
	var room [64]byte
	lower := room[:0]
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		lower = append(lower, c)
	}
	if index := nameIndex(lower); index > 0 {
		b = http2.AppendInteger(b, 0x50, 4, index)
	} else { // RFC 9204, 4.5.6
		b = http2.AppendText(b, 0x20, 3, unsafe.String(unsafe.SliceData(lower), len(lower))) // used within the call only
	}
	return http2.AppendText(b, 0, 7, value)
}

// AppendLength appends Content-Length.
func AppendLength(b []byte, n int64) []byte {
	var room [20]byte
	digits := strconv.AppendInt(room[:0], n, 10)
	b = http2.AppendInteger(b, 0x50, 4, 4)
	b = append(b, byte(len(digits)))
	return append(b, digits...)
}

// statusIndex returns where a status stands in the static table, or 0. RFC 9204,
// appendix A.
func statusIndex(status int) int {
	switch status {
	case 100:
		return 63
	case 103:
		return 24
	case 200:
		return 25
	case 204:
		return 64
	case 206:
		return 65
	case 302:
		return 66
	case 304:
		return 26
	case 400:
		return 67
	case 403:
		return 68
	case 404:
		return 27
	case 421:
		return 69
	case 425:
		return 70
	case 500:
		return 71
	case 503:
		return 28
	}
	return 0
}

// nameIndex returns where name, in lower case, stands first in the static table, or
// 0. Names that only requests have are left out.
func nameIndex(name []byte) int {
	switch string(name) {
	case "accept-ranges":
		return 32
	case "access-control-allow-credentials":
		return 73
	case "access-control-allow-headers":
		return 33
	case "access-control-allow-methods":
		return 76
	case "access-control-allow-origin":
		return 35
	case "access-control-expose-headers":
		return 79
	case "age":
		return 2
	case "alt-svc":
		return 83
	case "cache-control":
		return 36
	case "content-disposition":
		return 3
	case "content-encoding":
		return 42
	case "content-length":
		return 4
	case "content-security-policy":
		return 85
	case "content-type":
		return 44
	case "date":
		return 6
	case "etag":
		return 7
	case "last-modified":
		return 10
	case "link":
		return 11
	case "location":
		return 12
	case "server":
		return 92
	case "set-cookie":
		return 14
	case "strict-transport-security":
		return 56
	case "vary":
		return 59
	case "x-content-type-options":
		return 61
	case "x-frame-options":
		return 97
	}
	return 0
}
