package http2

import (
	"encoding/binary"
	"time"

	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/wire"
)

// take acts on a frame. The error ends the connection.
func (c *Conn) take(f *frame) error {
	switch {
	case !c.greeted && (f.kind != frameSettings || f.has(flagAck)):
		return connError{protocolError, "the first frame isn't SETTINGS"}
	case (c.block.stream != 0) != (f.kind == frameContinuation) || c.block.stream != 0 && f.stream != c.block.stream:
		return connError{protocolError, "a header block isn't in one piece"}
	}
	c.mu.Lock()
	for len(c.out) >= maxOut && c.err == nil { // who reads nothing gets no answers
		if c.flush(); c.writing {
			c.room.Wait()
		}
	}
	dead := c.err
	c.mu.Unlock()
	if dead != nil {
		return dead
	}
	if err := f.check(); err != nil {
		return err
	}
	switch f.kind {
	case frameData:
		return c.takeData(f)
	case frameHeaders:
		return c.takeHeaders(f)
	case frameContinuation:
		if err := c.calm.bother(1); err != nil {
			return err
		}
		return c.takeBlock(f.payload, f.has(flagEndHeaders))
	case frameSettings:
		return c.takeSettings(f)
	case frameWindowUpdate:
		return c.takeWindowUpdate(f)
	case frameReset:
		return c.takeReset(f)
	case framePing:
		return c.takePing(f)
	case framePriority:
		return c.takePriority(f)
	}
	return c.calm.bother(1) // GOAWAY of a client says nothing, and what is unknown is ignored: RFC 9113, 4.1
}

// check says what is wrong with f on its own. RFC 9113, 6.
func (f *frame) check() error {
	size, onStream := -1, 0 // of the payload; -1: on no stream, 1: on one
	switch f.kind {
	case frameData, frameHeaders, frameContinuation:
		onStream = 1
	case framePriority:
		onStream = 1 // of a wrong size it's an error of the stream
	case frameReset:
		size, onStream = 4, 1
	case frameWindowUpdate:
		size = 4
	case framePing:
		size, onStream = 8, -1
	case frameSettings:
		onStream = -1
		if len(f.payload)%6 != 0 || f.has(flagAck) && len(f.payload) > 0 {
			return connError{frameSizeError, "SETTINGS of a wrong size"}
		}
	case frameGoAway:
		onStream = -1
	case framePushPromise:
		return connError{protocolError, "PUSH_PROMISE from a client"}
	}
	if onStream == 1 && f.stream == 0 || onStream == -1 && f.stream != 0 {
		return connError{protocolError, "a frame on the wrong stream"}
	}
	if size >= 0 && len(f.payload) != size {
		return connError{frameSizeError, "a frame of a wrong size"}
	}
	return nil
}

// idle reports whether nobody has opened the stream yet. c.mu is held.
func (c *Conn) idle(stream uint32) bool { return stream > c.last || stream%2 == 0 }

// refuse resets a stream that isn't open, unless it was reset just now. c.mu is held.
func (c *Conn) refuse(stream uint32, code Code) {
	for _, dropped := range c.dropped {
		if dropped == stream {
			return
		}
	}
	c.makeRoom(frameHead + 4)
	c.out = appendReset(c.out, stream, code)
	c.dropped[c.drop] = stream
	c.drop = (c.drop + 1) % len(c.dropped)
}

func (c *Conn) takeData(f *frame) error {
	content, ok := f.unpad()
	if !ok {
		return connError{protocolError, "more padding than frame"}
	}
	if len(content) == 0 && !f.has(flagEndStream) {
		if err := c.calm.bother(1); err != nil {
			return err
		}
	} else {
		c.calm.credit.Add(1)
	}
	if len(content) >= wire.Small {
		c.wire.SetSize(wire.Large) // who sends much sends more
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idle(f.stream) {
		return connError{protocolError, "DATA on an idle stream"}
	}
	if c.received -= len(f.payload); c.received < 0 {
		return connError{flowControlError, "more content than allowed"}
	}
	s := c.streams[f.stream]
	if s == nil || s.gotEnd {
		c.credit(len(f.payload))
		if s == nil {
			c.refuse(f.stream, streamClosed)
		} else {
			s.reset(streamClosed, errBroken)
		}
		return nil
	}
	if s.received -= len(f.payload); s.received < 0 {
		c.credit(len(f.payload))
		s.reset(flowControlError, errBroken)
		return nil
	}
	if s.left >= 0 {
		s.left -= int64(len(content))
		if s.left < 0 || f.has(flagEndStream) && s.left > 0 {
			c.credit(len(f.payload))
			s.reset(protocolError, errBroken) // RFC 9113, 8.1.1
			return nil
		}
	}
	s.receive(content)
	if padding := len(f.payload) - len(content); padding > 0 {
		c.readSome(s, padding)
	}
	if f.has(flagEndStream) {
		s.closeRemote()
	} else {
		s.changed.Broadcast()
	}
	return nil
}

// closeRemote notes that the request is complete. conn.mu is held.
func (s *Stream) closeRemote() {
	s.gotEnd = true
	s.changed.Broadcast()
	if s.sentEnd {
		s.conn.remove(s)
	}
}

// credit counts content that is out of the way towards what the client may send.
// c.mu is held.
func (c *Conn) credit(n int) {
	if c.unread += n; c.unread >= c.settings.ConnWindow/4 && c.err == nil {
		c.makeRoom(frameHead + 4)
		c.out = appendWindowUpdate(c.out, 0, c.unread)
		c.received += c.unread
		c.unread = 0
	}
}

// readSome is credit for content of s. c.mu is held.
func (c *Conn) readSome(s *Stream, n int) {
	c.credit(n)
	if s.unread += n; s.unread >= c.settings.StreamWindow/4 && !s.gotEnd && s.err == nil {
		c.makeRoom(frameHead + 4)
		c.out = appendWindowUpdate(c.out, s.id, s.unread)
		s.received += s.unread
		s.unread = 0
	}
	c.flush()
}

// takeHeaders begins a block of fields.
func (c *Conn) takeHeaders(f *frame) error {
	p, ok := f.unpad()
	if !ok {
		return connError{protocolError, "more padding than frame"}
	}
	b := &c.block
	*b = block{Section: Section{Left: c.settings.Header}, stream: f.stream, end: f.has(flagEndStream), raw: rawRoom(c.settings.Header)}
	if f.has(flagPriority) {
		if len(p) < 5 {
			return connError{frameSizeError, "HEADERS without its priority"}
		}
		if binary.BigEndian.Uint32(p)&lastStream == f.stream {
			b.selfish = true
		}
		p = p[5:]
	}
	if f.stream%2 == 0 {
		return connError{protocolError, "HEADERS on a stream of ours"}
	}
	c.mu.Lock()
	b.fresh = f.stream > c.last
	if b.fresh {
		c.last = f.stream
	}
	c.mu.Unlock()
	if b.fresh {
		c.wire.SetSize(wire.Small)
		b.Head, _ = c.workers.heads.Get().(*Head)
		if b.Head == nil {
			b.Head = new(Head)
		}
	}
	if !f.has(flagEndHeaders) {
		c.since = time.Now()
	}
	c.decoder.SetEmitEnabled(true)
	return c.takeBlock(p, f.has(flagEndHeaders))
}

// takeBlock takes a piece of a block of fields.
func (c *Conn) takeBlock(p []byte, last bool) error {
	b := &c.block
	if b.raw -= len(p); b.raw < 0 {
		return connError{enhanceYourCalm, "fields without end"}
	}
	if _, err := c.decoder.Write(p); err != nil {
		return connError{compressionError, err.Error()}
	}
	if !last {
		return nil
	}
	if err := c.decoder.Close(); err != nil {
		return connError{compressionError, err.Error()}
	}
	var err error
	if b.fresh {
		c.open()
	} else {
		err = c.endWithTrailers()
	}
	*b = block{}
	return err
}

// open begins to serve the request whose head is complete.
func (c *Conn) open() {
	b := &c.block
	b.Finish(b.end)
	s := &Stream{conn: c, id: b.stream, head: b.Head, left: -1, gotEnd: b.end, received: c.settings.StreamWindow}
	s.changed.L = &c.mu
	if b.Head.Length != http1.Unknown {
		s.left = b.Head.Length
	}
	c.mu.Lock()
	switch {
	case c.err != nil:
	case c.leaving == told: // the client knows from GOAWAY that it can ask elsewhere
		c.refuse(b.stream, refusedStream)
	case b.selfish: // RFC 7540, 5.3.1
		c.refuse(b.stream, protocolError)
	case len(c.streams) >= c.settings.Streams || c.serving >= 2*c.settings.Streams:
		// The latter is a client that resets streams quickly and opens others.
		c.refuse(b.stream, refusedStream)
	default:
		s.window = c.initial
		c.streams[s.id] = s
		c.serving++
		c.answering.Add(1)
		c.mu.Unlock()
		c.workers.run(s)
		return
	}
	c.mu.Unlock()
	c.workers.giveHead(b.Head)
}

// answer serves s.
func (c *Conn) answer(s *Stream) {
	defer c.answering.Done()
	c.serve(s)
	c.mu.Lock()
	switch {
	case !s.sentEnd:
		s.reset(internalError, errEnded)
	case s.head.Malformed != nil && s.err == nil && c.err == nil:
		c.refuse(s.id, protocolError)
		c.remove(s)
	case !s.gotEnd:
		s.reset(noError, errEnded) // the rest isn't needed: RFC 9113, 8.1
	}
	s.end(errEnded)
	c.serving--
	c.flush()
	c.mu.Unlock()
	c.workers.giveHead(s.head)
}

// endWithTrailers takes the fields at the end of a request.
func (c *Conn) endWithTrailers() error {
	b := &c.block
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.streams[b.stream]
	switch {
	case s == nil:
		for _, dropped := range c.dropped {
			if dropped == b.stream {
				return nil // it was on its way when we reset the stream
			}
		}
		return connError{streamClosed, "HEADERS on a closed stream"}
	case s.gotEnd:
		s.reset(streamClosed, errBroken)
	case !b.end || b.Bad != nil || b.Large || b.selfish || s.left > 0:
		s.reset(protocolError, errBroken)
	default:
		s.trailers = b.Trailers
		s.closeRemote()
	}
	return nil
}

func (c *Conn) takeSettings(f *frame) error {
	if f.has(flagAck) {
		return c.calm.bother(1)
	}
	if c.greeted {
		if err := c.calm.bother(1); err != nil {
			return err
		}
	}
	c.greeted = true
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := f.payload; len(p) > 0; p = p[6:] {
		value := binary.BigEndian.Uint32(p[2:])
		switch binary.BigEndian.Uint16(p) {
		case settingTableSize:
			c.resized = true
		case settingPush:
			if value > 1 {
				return connError{protocolError, "ENABLE_PUSH is neither 0 nor 1"}
			}
		case settingInitialWindow:
			if value > maxWindow {
				return connError{flowControlError, "INITIAL_WINDOW_SIZE is too large"}
			}
			for _, s := range c.streams {
				if s.window += int(value) - c.initial; s.window > maxWindow {
					return connError{flowControlError, "a window is too large"}
				}
			}
			c.initial = int(value)
			c.wakeBlocked()
		case settingFrameSize: // what is sent is never larger than the least
			if value < maxFrame || value > 1<<24-1 {
				return connError{protocolError, "MAX_FRAME_SIZE is out of range"}
			}
		}
	}
	c.makeRoom(frameHead)
	c.out = appendFrameHead(c.out, 0, frameSettings, flagAck, 0)
	return nil
}

func (c *Conn) takeWindowUpdate(f *frame) error {
	if err := c.calm.bother(1); err != nil {
		return err
	}
	n := int(binary.BigEndian.Uint32(f.payload) & maxWindow)
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.stream == 0 {
		if n == 0 {
			return connError{protocolError, "WINDOW_UPDATE by 0"}
		}
		if c.window += n; c.window > maxWindow {
			return connError{flowControlError, "the window is too large"}
		}
		c.wakeBlocked()
		return nil
	}
	if c.idle(f.stream) {
		return connError{protocolError, "WINDOW_UPDATE on an idle stream"}
	}
	s := c.streams[f.stream]
	if s == nil {
		return nil
	}
	if n == 0 {
		s.reset(protocolError, errBroken)
		return nil
	}
	if s.window += n; s.window > maxWindow {
		s.reset(flowControlError, errBroken)
		return nil
	}
	s.changed.Broadcast()
	return nil
}

func (c *Conn) takeReset(f *frame) error {
	if err := c.calm.bother(resetCost); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idle(f.stream) {
		return connError{protocolError, "RST_STREAM on an idle stream"}
	}
	if s := c.streams[f.stream]; s != nil {
		s.end(errReset)
		c.remove(s)
	}
	return nil
}

func (c *Conn) takePing(f *frame) error {
	if err := c.calm.bother(1); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.has(flagAck) {
		if c.leaving == announced && string(f.payload) == farewell {
			c.tell()
		}
		return nil
	}
	c.makeRoom(frameHead + 8)
	c.out = append(appendFrameHead(c.out, 8, framePing, flagAck, 0), f.payload...)
	return nil
}

// takePriority checks what is otherwise ignored, as RFC 9113, 5.3.2 allows.
func (c *Conn) takePriority(f *frame) error {
	if err := c.calm.bother(1); err != nil {
		return err
	}
	code := noError
	switch {
	case len(f.payload) != 5:
		code = frameSizeError
	case binary.BigEndian.Uint32(f.payload)&lastStream == f.stream:
		code = protocolError
	default:
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.streams[f.stream]; s != nil {
		s.reset(code, errBroken)
		return nil
	}
	if c.idle(f.stream) {
		return connError{code, "a malformed PRIORITY on an idle stream"}
	}
	c.refuse(f.stream, code)
	return nil
}
