//go:build unix

package server

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// reusePort lets other sockets listen on the same address.
func reusePort(_, _ string, raw syscall.RawConn) error {
	var failed error
	if err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}); err != nil {
		return err
	}
	return failed
}
