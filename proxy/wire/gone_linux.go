package wire

import "golang.org/x/sys/unix"

// probeGone asks the kernel for the state of the socket fd without waiting.
func (c *Conn) probeGone(fd uintptr) {
	events := int16(unix.POLLRDHUP)
	if c.eager {
		events |= unix.POLLIN
	}
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: events}}
	n, err := unix.Poll(fds[:], 0)
	c.gone = err == nil && n > 0 && fds[0].Revents&(events|unix.POLLHUP|unix.POLLERR) != 0
}
