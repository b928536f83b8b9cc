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
	buf  []byte
	next []byte // written behind buf
	at   int    // how much of buf is written
	n    int    // bytes so far
	err  error
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

// send implements raw writes of what is left of c.out.buf and c.out.next.
func (c *Conn) send(fd uintptr) bool {
	for {
		if c.out.at == len(c.out.buf) {
			if len(c.out.next) == 0 {
				return true
			}
			c.out.buf, c.out.next, c.out.at = c.out.next, nil, 0
		}
		n, errno := c.sendSome(fd)
		switch {
		case errno == syscall.EINTR:
			continue
		case errno == syscall.EAGAIN:
			return false
		case errno != 0:
			c.out.err = os.NewSyscallError("send", errno)
			return true
		}
		c.out.n += n
		if rest := len(c.out.buf) - c.out.at; n >= rest && len(c.out.next) > 0 {
			c.out.buf, c.out.next, c.out.at = c.out.next, nil, n-rest
			continue
		}
		c.out.at += n
	}
}

// sendSome is one system call: sendto, or sendmsg for two pieces.
func (c *Conn) sendSome(fd uintptr) (int, syscall.Errno) {
	rest := c.out.buf[c.out.at:]
	if len(c.out.next) == 0 {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, fd,
			uintptr(unsafe.Pointer(unsafe.SliceData(rest))), uintptr(len(rest)), syscall.MSG_NOSIGNAL, 0, 0)
		return int(n), errno
	}
	pieces := [2]syscall.Iovec{{Base: unsafe.SliceData(rest)}, {Base: unsafe.SliceData(c.out.next)}}
	pieces[0].SetLen(len(rest))
	pieces[1].SetLen(len(c.out.next))
	message := syscall.Msghdr{Iov: &pieces[0], Iovlen: 2}
	n, _, errno := syscall.RawSyscall(syscall.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&message)), syscall.MSG_NOSIGNAL)
	return int(n), errno
}

// readRaw reads into p from the socket itself; p is not empty.
func (c *Conn) readRaw(p []byte) (int, error) {
	if c.within {
		return 0, errWithin
	}
	c.in = transfer{buf: p}
	if err := c.raw.Read(c.recvFunc); err != nil {
		c.in.buf = nil
		return 0, err
	}
	c.in.buf = nil
	return c.in.n, c.in.err
}

// writeRaw writes p and then q to the socket itself.
func (c *Conn) writeRaw(p, q []byte) (int, error) {
	c.out = transfer{buf: p, next: q}
	var err error
	if !c.owned || !c.send(c.fd) {
		err = c.raw.Write(c.sendFunc)
	}
	c.out.buf, c.out.next = nil, nil
	if err == nil {
		err = c.out.err
	}
	return c.out.n, err
}

// askRaw is Ask for a plain socket: the message is sent by the poller's first call
// of what reads. What becomes readable later makes it call again. What was there
// before, which nobody asked for, is found with what comes next, or when the read
// deadline has passed.
func (c *Conn) askRaw(p, q []byte) (wrote bool, err error) {
	c.out, c.in = transfer{buf: p, next: q}, transfer{buf: c.buf[c.w:]}
	c.begun, c.sent = false, false
	err = c.raw.Read(c.askFunc)
	n, failed := c.in.n, c.out.err
	c.in.buf = nil
	if failed == nil && c.begun && !c.sent { // the socket takes no more for now
		if failed = c.raw.Write(c.sendFunc); failed == nil {
			failed = c.out.err
		}
		c.sent = failed == nil
	}
	c.out.buf, c.out.next = nil, nil
	if failed != nil {
		return false, failed
	}
	if err == nil {
		err = c.in.err
	}
	c.w += n
	return c.sent, err
}

// ask implements askRaw.
func (c *Conn) ask(fd uintptr) bool {
	if c.begun {
		return c.recv(fd)
	}
	c.begun = true
	c.sent = c.send(fd) && c.out.err == nil
	return !c.sent
}

// shutdown ends both directions of a socket without closing it.
func shutdown(raw syscall.RawConn) {
	_ = raw.Control(func(fd uintptr) { _ = syscall.Shutdown(int(fd), syscall.SHUT_RDWR) }) // fails when it has ended
}

// rawSockets says that readRaw and writeRaw work here.
const rawSockets = true
