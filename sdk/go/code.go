//go:build wasip1

package postern

import (
	"strconv"

	"github.com/postern-gateway/postern/sdk/abi"
)

// Code is why a host function did not do what it was asked.
type Code int32

// The codes.
const (
	NotFound    Code = abi.NotFound    // there is no such thing
	Denied      Code = abi.Denied      // the configuration doesn't allow it, or it isn't good
	WrongPhase  Code = abi.WrongPhase  // not in this role
	BadArgument Code = abi.BadArgument // malformed
	Limit       Code = abi.Limit       // more than the limits allow
	Unavailable Code = abi.Unavailable // whoever was asked didn't answer properly
	Deadline    Code = abi.Deadline    // whoever was asked took too long
)

// Error says what the code means.
func (c Code) Error() string {
	switch c {
	case NotFound:
		return "not found"
	case Denied:
		return "denied"
	case WrongPhase:
		return "not in this role"
	case BadArgument:
		return "bad argument"
	case Limit:
		return "limit reached"
	case Unavailable:
		return "unavailable"
	case Deadline:
		return "took too long"
	}
	return "code " + strconv.Itoa(int(c))
}

// failed makes an error of a negative result.
func failed(result int32) error {
	if result < 0 {
		return Code(result)
	}
	return nil
}
