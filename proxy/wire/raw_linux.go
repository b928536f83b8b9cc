package wire

import (
	"io"
	"os"
	"syscall"
	"unsafe"
)

// On Linux a plain socket is read and written by recvfrom and sendto, without
// telling the scheduler: the calls never wait, since the socket is non-blocking,
// and being looked after costs as much as they do. What waits is Go's poller, as
// for any connection. BenchmarkEcho compares the two ways.

// transfer is one read or write in progress. The poller calls try until it
// returns true.
type transfer struct {
	buf []byte
	n   int
	err error
}

// recv implements raw reads into c.in.buf.
func (c *Conn) recv(fd uintptr) bool {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd,
			uintptr(unsafe.Pointer(unsafe.SliceData(c.in.buf))), uintptr(len(c.in.buf)), 0, 0, 0)
		switch {
		case errno == syscall.EINTR:
			continue
		case errno == syscall.EAGAIN:
			return false
		case errno != 0:
			c.in.err = os.NewSyscallError("recvfrom", errno)
		case n == 0:
			c.in.err = io.EOF
		default:
			c.in.n = int(n)
		}
		return true
	}
}

// send implements raw writes of what is left of c.out.buf.
func (c *Conn) send(fd uintptr) bool {
	for c.out.n < len(c.out.buf) {
		rest := c.out.buf[c.out.n:]
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, fd,
			uintptr(unsafe.Pointer(unsafe.SliceData(rest))), uintptr(len(rest)), syscall.MSG_NOSIGNAL, 0, 0)
		switch {
		case errno == syscall.EINTR:
			continue
		case errno == syscall.EAGAIN:
			return false
		case errno != 0:
			c.out.err = os.NewSyscallError("sendto", errno)
			return true
		}
		c.out.n += int(n)
	}
	return true
}

// readRaw reads into p from the socket itself; p is not empty.
func (c *Conn) readRaw(p []byte) (int, error) {
	c.in = transfer{buf: p}
	if err := c.raw.Read(c.recvFunc); err != nil {
		c.in.buf = nil
		return 0, err
	}
	c.in.buf = nil
	return c.in.n, c.in.err
}

// writeRaw writes p to the socket itself.
func (c *Conn) writeRaw(p []byte) (int, error) {
	c.out = transfer{buf: p}
	err := c.raw.Write(c.sendFunc)
	c.out.buf = nil
	if err == nil {
		err = c.out.err
	}
	return c.out.n, err
}

// rawSockets says that readRaw and writeRaw work here.
const rawSockets = true
