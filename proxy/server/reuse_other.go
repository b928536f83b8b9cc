//go:build !unix

package server

import (
	"errors"
	"syscall"
)

// reusePort fails: there is no such option here.
func reusePort(string, string, syscall.RawConn) error {
	return errors.New("reuse_port isn't supported on this operating system")
}
