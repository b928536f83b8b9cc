package control

import (
	"net"
	"syscall"
)

// credentials returns the numbers of the user and the process at the other end.
func credentials(c *net.UnixConn) (user uint32, process int32, known bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, 0, false
	}
	var cred *syscall.Ucred
	controlErr := raw.Control(func(fd uintptr) {
		cred, err = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if controlErr != nil || err != nil {
		return 0, 0, false
	}
	return cred.Uid, cred.Pid, true
}
