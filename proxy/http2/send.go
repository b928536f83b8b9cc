package http2

import (
	"time"

	"github.com/postern-gateway/postern/proxy/wire"
)

// maxOut is how many bytes of frames may wait to be sent before whoever has more
// waits, too. With one frame more they still fit into a pooled buffer.
const maxOut = 32 << 10

// makeRoom sees to free space for n bytes behind c.out. c.mu is held, as in all
// that appends to c.out.
func (c *Conn) makeRoom(n int) {
	if cap(c.out)-len(c.out) >= n {
		return
	}
	size := len(c.out) + n
	if c.out != nil || size > wire.Small {
		size = max(size, min(4*cap(c.out), wire.Large))
	}
	larger := c.buffers.Take(size)
	larger = larger[:copy(larger, c.out)]
	if c.out != nil {
		c.buffers.Give(c.out)
	}
	c.out = larger
}

// flush sends what waits, or leaves it to who is sending already. c.mu is held,
// but not while it sends.
func (c *Conn) flush() {
	if c.writing {
		return
	}
	c.writing = true
	for round := 0; len(c.out) > 0 && c.err == nil; round++ {
		if round == 2 {
			// What comes now isn't the caller's, who may have better things to do than to
			// send others' content for as long as they have some.
			c.answering.Add(1)
			go c.flushRest()
			return
		}
		c.push()
	}
	c.writing = false
}

func (c *Conn) flushRest() {
	defer c.answering.Done()
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.out) > 0 && c.err == nil {
		c.push()
	}
	c.writing = false
	c.room.Broadcast()
}

// push sends what waits, once.
func (c *Conn) push() {
	b := c.out
	c.out = nil
	c.mu.Unlock()
	err := c.wire.SetWriteTimeout(time.Now(), c.settings.WriteTimeout)
	if err == nil {
		_, err = c.wire.Write(b)
	}
	c.buffers.Give(b)
	c.mu.Lock()
	if err != nil && c.err == nil {
		c.mu.Unlock()
		c.fail(err)
		_ = c.socket.Close() // Serve notices
		c.mu.Lock()
	}
	c.room.Broadcast()
	if c.blocked > 0 {
		c.wakeBlocked()
	}
}

// wakeBlocked lets the streams that wait to send look again.
func (c *Conn) wakeBlocked() {
	for _, s := range c.streams {
		if s.blocked {
			s.changed.Broadcast()
		}
	}
}

// Inform sends an informational answer: a block made by AppendStatus and the like.
// It does nothing once the reply has begun. Any goroutine may call it.
func (s *Stream) Inform(block []byte) error {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.err != nil || s.began {
		return s.err
	}
	c.appendBlock(s.id, block, false)
	c.flush()
	return nil
}

// WriteHead sends a block made by AppendStatus and the like: the reply's head, or
// trailer fields. end says that nothing follows; else it goes out with what is
// written next, or with Flush.
func (s *Stream) WriteHead(block []byte, end bool) error {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := s.await(0); err != nil {
		return err
	}
	s.began = true
	c.appendBlock(s.id, block, end)
	if end {
		s.closeLocal()
		c.flush()
	}
	return nil
}

// appendBlock appends a block of fields. c.mu is held.
func (c *Conn) appendBlock(stream uint32, block []byte, end bool) {
	if c.resized { // RFC 7541, 4.2
		c.resized = false
		block = append([]byte{0x20}, block...)
	}
	c.makeRoom(len(block) + frameHead*(1+len(block)/maxFrame))
	c.out = appendHeaders(c.out, stream, block, end)
}

// Flush sends what was written.
func (s *Stream) Flush() {
	s.conn.mu.Lock()
	s.conn.flush()
	s.conn.mu.Unlock()
}

// Write sends content, which may wait for more until Flush or the end, and returns
// how much it sent. It waits as long as the client takes nothing, and resets the
// stream with os.ErrDeadlineExceeded when that is longer than WriteTimeout.
func (s *Stream) Write(p []byte, end bool) (sent int, err error) {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if err := s.await(len(p)); err != nil {
			return sent, err
		}
		n := min(len(p), s.window, c.window, maxFrame)
		n = max(n, 0)
		last := n == len(p)
		flags := byte(0)
		if last && end {
			flags = flagEndStream
		}
		c.makeRoom(frameHead + n)
		c.out = appendFrameHead(c.out, n, frameData, flags, s.id)
		c.out = append(c.out, p[:n]...)
		s.window -= n
		c.window -= n
		s.sent += int64(n)
		c.sent += int64(n)
		sent += n
		c.calm.credit.Add(creditData)
		if p = p[n:]; !last {
			continue
		}
		if end {
			s.closeLocal()
			c.flush()
		}
		return sent, nil
	}
}

// await waits until the stream may append a frame, with some content if n isn't 0.
// c.mu is held.
func (s *Stream) await(n int) error {
	c := s.conn
	var until time.Time
	for {
		switch {
		case s.err != nil:
			return s.err
		case s.sentEnd:
			return errEnded
		case len(c.out) < maxOut && (n == 0 || s.window > 0 && c.window > 0):
			return nil
		}
		if slow := s.pace.Judge(c.settings.Pace, s.sent, c.sent); slow != nil {
			s.reset(enhanceYourCalm, slow)
			c.flush()
			return slow
		}
		now := time.Now()
		if !c.writing && len(c.out) > 0 {
			c.flush() // the client gives room only for what it got
			s.pace.Wait(time.Since(now), ForLine)
			continue
		}
		if until.IsZero() {
			until = now.Add(c.settings.WriteTimeout)
		}
		why := Cause(n > 0 && s.window <= 0 && c.window > 0 && len(c.out) < maxOut)
		s.blocked = true
		c.blocked++
		timely := s.wait(now, until, &s.writeTimer)
		c.blocked--
		s.blocked = false
		s.pace.Wait(time.Since(now), why)
		if timely != nil {
			s.reset(internalError, timely)
			return timely
		}
	}
}

// closeLocal notes that the reply is sent. c.mu is held.
func (s *Stream) closeLocal() {
	s.sentEnd = true
	s.conn.calm.credit.Add(creditReply)
	if s.gotEnd {
		s.conn.remove(s)
	}
}
