package wire

import (
	"net"
	"syscall"
	"time"
)

// Records is a socket for crypto/tls that gives it one TLS record at a time.
// What crypto/tls would otherwise read ahead, and keep a buffer for as long as
// the connection lives, stays here, where a connection that waits has none; and
// it is known when nothing is left anywhere, so that Conn.Await can wait for the
// socket. RFC 8446, 5.1.
//
// One goroutine reads and one writes at a time.
type Records struct {
	socket net.Conn
	wire   *Conn // the socket, buffered

	// Owned by the reading goroutine.
	header [recordHeader]byte // of the record that is being given
	have   int                // how many bytes of it were given
	left   int                // bytes of the record's content still to be given
}

// recordHeader is the length of a record's header, whose last two bytes are the
// length of its content.
const recordHeader = 5

// NewRecords returns the Records of socket.
func NewRecords(socket net.Conn, buffers *Buffers) *Records {
	return &Records{socket: socket, wire: NewConn(socket, socket, buffers)}
}

// NewTLS returns a Conn for session, a TLS connection on top of records.
func NewTLS(session net.Conn, records *Records, buffers *Buffers) *Conn {
	if !records.wire.plain {
		return NewConn(session, records.socket, buffers)
	}
	return &Conn{net: session, records: records, buffers: buffers, size: Small}
}

// Read gives at most what is left of one record.
func (r *Records) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := r.await(); err != nil {
		return 0, err
	}
	n := r.give(p)
	r.wire.Release()
	return n, nil
}

// await waits until there is something to give.
func (r *Records) await() error {
	w := r.wire
	if len(w.Buffered()) > 0 {
		return nil
	}
	if err := w.Await(); err != nil {
		return err
	}
	// Much at once is likely to be followed by more.
	if n := len(w.Buffered()); n == w.size {
		w.SetSize(min(4*w.size, Large))
	} else if n < w.size/4 {
		w.SetSize(Small)
	}
	return nil
}

// give copies into p up to the end of the record, and returns how many bytes.
func (r *Records) give(p []byte) (n int) {
	for r.have < recordHeader || r.left > 0 {
		b := r.wire.Buffered()
		if len(b) == 0 || n == len(p) {
			return n
		}
		if r.have < recordHeader {
			p[n], r.header[r.have] = b[0], b[0]
			r.have++
			n++
			r.wire.Discard(1)
			if r.have == recordHeader {
				r.left = int(r.header[3])<<8 | int(r.header[4])
			}
			continue
		}
		took := copy(p[n:], b[:min(len(b), r.left)])
		n += took
		r.left -= took
		r.wire.Discard(took)
	}
	r.have = 0
	return n
}

// empty reports whether crypto/tls was given whole records and nothing is here.
func (r *Records) empty() bool { return r.have == 0 && len(r.wire.Buffered()) == 0 }

// Write implements net.Conn.
func (r *Records) Write(p []byte) (int, error) { return r.wire.Write(p) }

// Close implements net.Conn.
func (r *Records) Close() error { return r.socket.Close() }

// CloseWrite ends our direction of the connection, if it can be ended alone.
func (r *Records) CloseWrite() error { return r.wire.CloseWrite() }

// LocalAddr implements net.Conn.
func (r *Records) LocalAddr() net.Addr { return r.socket.LocalAddr() }

// RemoteAddr implements net.Conn.
func (r *Records) RemoteAddr() net.Addr { return r.socket.RemoteAddr() }

// SetDeadline implements net.Conn.
func (r *Records) SetDeadline(t time.Time) error { return r.socket.SetDeadline(t) }

// SetReadDeadline implements net.Conn.
func (r *Records) SetReadDeadline(t time.Time) error { return r.socket.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (r *Records) SetWriteDeadline(t time.Time) error { return r.socket.SetWriteDeadline(t) }

// SyscallConn implements syscall.Conn; it fails when the socket has none.
func (r *Records) SyscallConn() (syscall.RawConn, error) {
	if s, ok := r.socket.(syscall.Conn); ok {
		return s.SyscallConn()
	}
	return nil, syscall.EINVAL
}
