//go:build wasip1

package postern

import (
	"unsafe"

	"github.com/postern-gateway/postern/sdk/abi"
)

// Regex is a compiled expression (RE2), matched at the speed of the gateway's own
// code. One of Configure lasts as long as the instance, any other as long as the
// call.
type Regex int32

// CompileRegex compiles an expression.
func CompileRegex(pattern string) (Regex, error) {
	at, n := stringAt(pattern)
	r := rawTextRegex(at, n)
	return Regex(r), failed(r)
}

// Match reports whether the expression is found in text.
func (r Regex) Match(text string) bool {
	at, n := stringAt(text)
	return rawTextMatch(int32(r), at, n) == 1
}

// Find returns a group of the first place where the expression is found; 0 is all
// of it.
func (r Regex) Find(text string, group int) (string, bool) {
	at, n := stringAt(text)
	return registered.in.get(func(to unsafe.Pointer, size uint32) int32 {
		return rawTextFind(int32(r), at, n, int32(group), to, size)
	})
}

// Replace returns text with each place replaced; $1 in by is a group.
func (r Regex) Replace(text, by string) string {
	at, n := stringAt(text)
	byAt, byLen := stringAt(by)
	s, _ := registered.in.get(func(to unsafe.Pointer, size uint32) int32 {
		return rawTextReplace(int32(r), at, n, byAt, byLen, to, size)
	})
	return s
}

// Coding is how bytes are written as text.
type Coding int32

// The codings.
const (
	Base64    Coding = abi.Base64
	Base64URL Coding = abi.Base64URL
	Hex       Coding = abi.Hex
	Percent   Coding = abi.Percent
	Form      Coding = abi.Form
)

// Encode writes b as text.
func Encode(c Coding, b []byte) string {
	at, n := bytesAt(b)
	s, _ := registered.in.get(func(to unsafe.Pointer, size uint32) int32 {
		return rawTextEncode(int32(c), at, n, to, size)
	})
	return s
}

// Decode returns what text stands for, nil if it is malformed.
func Decode(c Coding, text string) []byte {
	at, n := stringAt(text)
	return read(nil, func(to unsafe.Pointer, size uint32) int32 { return rawTextDecode(int32(c), at, n, to, size) })
}
