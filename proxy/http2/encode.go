package http2

import (
	"strconv"
	"unsafe"

	"golang.org/x/net/http2/hpack"
)

// The fields that are sent use HPACK's static table and Huffman code only. What
// would be put into the dynamic table is mostly different in each reply, a lookup
// in it costs more than the bytes it saves on the rest, and without it every
// goroutine makes its block by itself. RFC 7541.

// AppendStatus appends the pseudo-field of a reply, which comes before all fields.
// RFC 9113, 8.3.2. status has three digits.
func AppendStatus(b []byte, status int) []byte {
	switch status {
	case 200:
		return append(b, 0x88)
	case 204:
		return append(b, 0x89)
	case 206:
		return append(b, 0x8a)
	case 304:
		return append(b, 0x8b)
	case 400:
		return append(b, 0x8c)
	case 404:
		return append(b, 0x8d)
	case 500:
		return append(b, 0x8e)
	}
	b = append(b, 8, 3)
	return strconv.AppendInt(b, int64(status), 10)
}

// AppendField appends one field, whose name goes out in lower case. RFC 9113, 8.2.
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
	// Literal without indexing: RFC 7541, 6.2.2.
	if index := staticIndex(lower); index > 0 {
		b = AppendInteger(b, 0, 4, index)
	} else {
		b = append(b, 0)
		b = AppendText(b, 0, 7, unsafe.String(unsafe.SliceData(lower), len(lower))) // used within the call only
	}
	return AppendText(b, 0, 7, value)
}

// AppendLength appends Content-Length.
func AppendLength(b []byte, n int64) []byte {
	var room [20]byte
	digits := strconv.AppendInt(room[:0], n, 10)
	b = AppendInteger(b, 0, 4, 28)
	b = append(b, byte(len(digits)))
	return append(b, digits...)
}

// AppendText appends a string, by Huffman's code where that is shorter, with its
// length in so many bits below a flag for that, and first above. RFC 7541, 5.2;
// RFC 9204, 4.1.2.
func AppendText(b []byte, first byte, bits uint, s string) []byte {
	if n := hpack.HuffmanEncodeLength(s); n < uint64(len(s)) {
		b = AppendInteger(b, first|1<<bits, bits, int(n))
		return hpack.AppendHuffmanString(b, s)
	}
	b = AppendInteger(b, first, bits, len(s))
	return append(b, s...)
}

// AppendInteger appends n with a prefix of so many bits, above which first has
// its own. RFC 7541, 5.1.
func AppendInteger(b []byte, first byte, bits uint, n int) []byte {
	limit := 1<<bits - 1
	if n < limit {
		return append(b, first|byte(n))
	}
	b = append(b, first|byte(limit))
	for n -= limit; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// staticIndex returns where name, in lower case, stands in the static table, or 0.
// Names that only requests have are left out. RFC 7541, appendix A.
func staticIndex(name []byte) int {
	switch string(name) {
	case "accept-ranges":
		return 18
	case "access-control-allow-origin":
		return 20
	case "age":
		return 21
	case "allow":
		return 22
	case "cache-control":
		return 24
	case "content-disposition":
		return 25
	case "content-encoding":
		return 26
	case "content-language":
		return 27
	case "content-length":
		return 28
	case "content-location":
		return 29
	case "content-range":
		return 30
	case "content-type":
		return 31
	case "date":
		return 33
	case "etag":
		return 34
	case "expires":
		return 36
	case "last-modified":
		return 44
	case "link":
		return 45
	case "location":
		return 46
	case "retry-after":
		return 53
	case "server":
		return 54
	case "set-cookie":
		return 55
	case "strict-transport-security":
		return 56
	case "vary":
		return 59
	case "via":
		return 60
	case "www-authenticate":
		return 61
	}
	return 0
}
