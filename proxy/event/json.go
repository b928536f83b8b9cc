package event

import (
	"unsafe"

	"github.com/postern-gateway/postern/proxy/document"
)

// appendOrNull is document.AppendString that takes "" for null.
func appendOrNull(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return document.AppendString(dst, s)
}

// appendMember appends what stands in front of a member's value.
func appendMember(dst []byte, first bool, name string) []byte {
	if first {
		dst = append(dst, '{')
	} else {
		dst = append(dst, ',')
	}
	return append(document.AppendString(dst, name), ':')
}

// view returns b as a string without copying it, for as long as b stays.
func view(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b))
}
