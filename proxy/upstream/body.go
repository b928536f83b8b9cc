package upstream

import (
	"io"
	"time"

	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/wire"
)

// Read implements proxy.Body for the answer's content.
func (c *conn) Read(p []byte) (int, error) {
	if c.ended {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := c.readContent(p)
	if err != nil && err != io.EOF {
		c.failed = true
		err = c.overdue(err)
		c.cut = c.cut || c.theirs(err)
		err = endOf(err)
	}
	if err == io.EOF {
		c.ended = true
	}
	return n, err
}

func (c *conn) readContent(p []byte) (int, error) {
	switch c.kind {
	case byChunks:
		return c.readChunks(p)
	case byClose:
		n, err := c.readSome(p)
		if err == io.EOF {
			c.failed = true // the connection is used up
		}
		return n, err
	}
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.readSome(p)
	c.left -= int64(n)
	if err == io.EOF {
		return n, io.ErrUnexpectedEOF
	}
	if err == nil && c.left == 0 {
		return n, io.EOF
	}
	return n, err
}

// readSome reads what there is, at least a byte.
func (c *conn) readSome(p []byte) (int, error) {
	var now time.Time
	waits := len(c.wire.Buffered()) == 0
	if waits {
		now = c.startWait()
	}
	for {
		if len(c.wire.Buffered()) == 0 {
			if err := c.arm(now); err != nil {
				return 0, err
			}
		}
		n, err := c.wire.Read(p)
		if n > 0 {
			if waits {
				c.endWait()
			}
			return n, nil // an error comes again
		}
		if err == nil {
			err = io.ErrNoProgress
		}
		if err = c.waited(err); err != nil {
			return 0, err
		}
		now = time.Now()
	}
}

// startWait begins the wait for further content and returns the time.
func (c *conn) startWait() time.Time {
	now := time.Now()
	if c.patience == 0 {
		c.patience = c.backend.patience(&c.ex.Out)
	}
	c.began = now
	c.limit = c.bounded(now.Add(c.backend.idle))
	return now
}

// endWait counts the wait that ended with content.
func (c *conn) endWait() {
	if c.patience != noLimit {
		c.spent += time.Since(c.began)
	}
}

// bounded returns limit, or what is left of the patience with the answer's
// content if that is over before.
func (c *conn) bounded(limit time.Time) time.Time {
	if left := c.patience - c.spent; c.patience > 0 && left < limit.Sub(c.began) {
		return c.began.Add(left)
	}
	return limit
}

// overdue says of err, which ended the content, which of the time limits it is.
func (c *conn) overdue(err error) error {
	switch {
	case !wire.TimedOut(err) || c.upload != nil && c.upload.aborted.Load():
		return err
	case time.Since(c.began) >= c.patience-c.spent:
		return long(c.patience)
	}
	return silent(c.backend.idle)
}

func (c *conn) readChunks(p []byte) (int, error) {
	for {
		if b := c.wire.Buffered(); len(b) > 0 {
			nd, ns, err := c.chunked.Decode(p, b)
			c.wire.Discard(ns)
			if err == io.EOF {
				return nd, io.EOF
			}
			if err != nil {
				return nd, malformed(err)
			}
			if nd > 0 {
				return nd, nil
			}
		}
		if err := c.fill(c.startWait()); err != nil {
			return 0, endOf(err)
		}
		c.endWait()
	}
}

// Buffered returns how many bytes Read gives without waiting, or fewer.
func (c *conn) Buffered() int {
	if c.ended {
		return 0
	}
	return len(c.wire.Buffered())
}

// Trailers implements proxy.Body.
func (c *conn) Trailers() http1.Fields {
	if c.kind != byChunks {
		return nil
	}
	return c.chunked.Trailers()
}

// tunnel is a conn after 101 (Switching Protocols). proxy.Tunnel.
type tunnel struct {
	wire  *wire.Conn
	given int // bytes that Next returned last
}

// tunnelWrite is how long a write to the backend may take.
const tunnelWrite = 30 * time.Second

// Next implements proxy.Tunnel.
func (t *tunnel) Next() ([]byte, error) {
	w := t.wire
	w.Discard(t.given)
	t.given = 0
	if len(w.Buffered()) == 0 {
		w.Hold()
		w.Release()
		// The client's side decides when the tunnel has been idle for too long.
		if err := w.SetReadDeadline(time.Time{}); err != nil {
			return nil, err
		}
		if err := w.Await(); err != nil {
			return nil, err
		}
	}
	t.given = len(w.Buffered())
	return w.Buffered(), nil
}

func (t *tunnel) Write(p []byte) (int, error) {
	if err := t.wire.SetWriteTimeout(time.Now(), tunnelWrite); err != nil {
		return 0, err
	}
	return t.wire.Write(p)
}

func (t *tunnel) CloseWrite() error { return t.wire.CloseWrite() }

func (t *tunnel) Close() error { return t.wire.Close() }
