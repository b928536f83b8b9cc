//go:build unix

package overload

import (
	"math"

	"golang.org/x/sys/unix"
)

// fileLimit returns RLIMIT_NOFILE, 0 when it is unknown or there is none.
func fileLimit() uint64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || uint64(limit.Cur) >= math.MaxInt64 {
		return 0
	}
	return uint64(limit.Cur)
}
