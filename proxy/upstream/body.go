package upstream

import (
	"io"
	"time"

	"github.com/postern-gateway/postern/proxy/http1"
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
	if len(c.wire.Buffered()) == 0 {
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
	c.limit = now.Add(c.backend.idle)
	return now
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
type tunnel conn

// tunnelWrite is how long a write to the backend may take.
const tunnelWrite = 30 * time.Second

func (t *tunnel) Read(p []byte) (int, error) {
	if len(t.wire.Buffered()) == 0 {
		// The client's side decides when the tunnel has been idle for too long.
		if err := t.wire.SetReadDeadline(time.Time{}); err != nil {
			return 0, err
		}
	}
	return t.wire.Read(p)
}

func (t *tunnel) Write(p []byte) (int, error) {
	if err := t.wire.SetWriteTimeout(time.Now(), tunnelWrite); err != nil {
		return 0, err
	}
	return t.wire.Write(p)
}

func (t *tunnel) CloseWrite() error { return t.wire.CloseWrite() }

func (t *tunnel) Close() error { return t.wire.Close() }
