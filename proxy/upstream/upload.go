package upstream

import (
	"fmt"
	"io"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/wire"
)

// upload streams a request's content to the backend on a goroutine of its own,
// so that an answer which comes before the content's end is passed on.
type upload struct {
	conn   *conn
	head   []byte
	body   proxy.Body
	length int64 // http1.Unknown: chunked
	ended  chan struct{}

	stopped atomic.Bool // stop was called: failures are of our making
	aborted atomic.Bool // the content failed, and so reading the answer was made to
	written atomic.Bool // all of it

	fault error // the content could not be read; written by the goroutine, read after ended
}

// Aborter is implemented by bodies whose Read can be made to fail from another
// goroutine.
type Aborter interface{ Abort() }

// Continuer is implemented by bodies whose sender may be waiting for leave to
// send them. Continue is called before an upload reads on its own goroutine.
type Continuer interface{ Continue() error }

func startUpload(c *conn, head []byte, body proxy.Body, length int64) *upload {
	u := &upload{conn: c, head: head, body: body, length: length, ended: make(chan struct{})}
	go u.run()
	return u
}

func (u *upload) run() {
	defer close(u.ended)
	defer func() {
		if r := recover(); r != nil { // costs this exchange only
			u.fault = proxy.Fault{Kind: proxy.Internal, Cause: fmt.Errorf("panic: %v\n%s", r, debug.Stack())}
			u.abort()
		}
	}()
	buf := u.conn.target.buffers.Take(wire.Large)
	defer u.conn.target.buffers.Give(buf)
	if err := u.write(u.head); err != nil {
		return // the reading side sees the connection's state
	}
	u.conn.target.buffers.Give(u.head)
	for {
		// Room for a chunk's size line in front and its line end behind.
		n, err := u.body.Read(buf[sizeRoom : len(buf)-2])
		if err != nil && err != io.EOF {
			if !u.stopped.Load() {
				u.fault = bodyFault(err)
				u.abort()
			}
			return
		}
		if werr := u.write(u.frame(buf, n, err == io.EOF)); werr != nil {
			return
		}
		if err == io.EOF {
			u.written.Store(true)
			return
		}
	}
}

// sizeRoom is the room for the line with a chunk's size: up to five digits.
const sizeRoom = 8

// frame returns the n bytes at buf[sizeRoom:] as they go over the wire.
func (u *upload) frame(buf []byte, n int, last bool) []byte {
	if u.length != http1.Unknown {
		return buf[sizeRoom : sizeRoom+n]
	}
	var framed []byte
	if n > 0 {
		var line [sizeRoom]byte
		size := http1.AppendChunkSize(line[:0], n)
		start := sizeRoom - len(size)
		copy(buf[start:], size)
		framed = append(buf[start:sizeRoom+n], "\r\n"...)
	}
	if last {
		framed = http1.AppendLastChunk(framed, u.body.Trailers())
	}
	return framed
}

func (u *upload) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if err := u.conn.wire.SetWriteTimeout(time.Now(), u.conn.backend.idle); err != nil {
		return err
	}
	_, err := u.conn.wire.Write(p)
	return err
}

// abort makes the goroutine that waits for the answer stop waiting.
func (u *upload) abort() {
	u.aborted.Store(true)
	u.conn.wire.Abort()
}

// stop ends the goroutine and returns why the content could not be read, if so. The
// connection can't be used again unless all was written before.
func (u *upload) stop() error {
	if u.written.Load() || !u.running() {
		<-u.ended // at once
		u.conn.failed = u.conn.failed || !u.written.Load()
		return u.fault
	}
	u.conn.failed = true
	u.stopped.Store(true)
	// Whoever is still reading from the client or writing to the backend fails.
	if a, ok := u.body.(Aborter); ok {
		a.Abort()
	}
	u.conn.close()
	<-u.ended
	if u.aborted.Load() { // it failed by itself, before we made it
		return u.fault
	}
	return nil
}

// running reports whether content is still being sent.
func (u *upload) running() bool {
	select {
	case <-u.ended:
		return false
	default:
		return true
	}
}
