package server

import (
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/wire"
)

// tunnelIdle is how long a tunnel may carry nothing either way: AWS's limit for
// an idle WebSocket connection, "Quotas for configuring and running a WebSocket API".
const tunnelIdle = 10 * time.Minute

// tunnel sends the 101 (Switching Protocols) reply and then copies both ways
// until one side ends. RFC 9110, 7.8.
func (c *conn) tunnel() {
	ex := &c.ex
	back := ex.Reply.Tunnel
	c.busy.Store(true)
	if err := c.reply.flush(c.appendSwitch(nil)); err != nil {
		_ = back.Close() // nobody is left to use it
		return
	}
	var last atomic.Int64 // when bytes last went by, in Unix nanoseconds
	last.Store(time.Now().UnixNano())
	over := make(chan struct{}) // closed when the backend has ended
	var up sync.WaitGroup
	up.Add(1)
	go func() {
		defer up.Done()
		c.toBackend(back, &last, over)
	}()
	c.server.tunnels.Add(1)
	defer c.server.tunnels.Add(-1)
	c.back.Store(&back)
	ex.Notes.BytesOut = c.toClient(back, &last)
	c.body.aborted.Store(true)
	close(over)
	c.wire.Abort()
	up.Wait()
	_ = back.Close()
	if c.leaving.Load() {
		c.outlast()
	}
}

// farewell is how long a tunnel's client may take for what it is still told.
const farewell = time.Second

// leave ends a tunnel that is open, at a point where its client can be told.
func (c *conn) leave() bool {
	back := c.back.Load()
	if back == nil {
		return false
	}
	c.leaving.Store(true)
	_ = c.socket.SetWriteDeadline(time.Now().Add(farewell)) // fails on a closed connection only
	_ = (*back).Close()                                     // ends toClient's read
	return true
}

// toBackend copies what the client sends until it ends or nothing went by for
// too long.
func (c *conn) toBackend(back proxy.Tunnel, last *atomic.Int64, over <-chan struct{}) {
	c.wire.SetSize(wire.Medium)
	c.wire.Hold()
	for {
		var err error
		if len(c.wire.Buffered()) == 0 {
			if c.wire.SetReadDeadline(time.Unix(0, last.Load()).Add(tunnelIdle)) != nil {
				break
			}
			if c.body.aborted.Load() { // the deadline above took back the one that Abort had set
				break
			}
			err = c.wire.Await() // with no buffer: most of its life a tunnel waits
		}
		if b := c.wire.Buffered(); len(b) > 0 {
			last.Store(time.Now().UnixNano())
			c.body.received.Add(int64(len(b)))
			if _, werr := back.Write(b); werr != nil {
				break
			}
			c.wire.Discard(len(b))
			c.wire.Release()
		}
		if err == io.EOF {
			_ = back.CloseWrite() // the other direction may still have something
			outwait(last, over)
			break
		}
		if wire.TimedOut(err) && time.Since(time.Unix(0, last.Load())) < tunnelIdle && !c.body.aborted.Load() {
			continue
		}
		if err != nil {
			break
		}
	}
	_ = back.Close() // ends toClient's read
}

// outwait returns when the tunnel is over, or nothing went by for too long.
func outwait(last *atomic.Int64, over <-chan struct{}) {
	for {
		left := time.Until(time.Unix(0, last.Load()).Add(tunnelIdle))
		if left <= 0 {
			return
		}
		timer := time.NewTimer(left)
		select {
		case <-over:
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// toClient copies what the backend sends and returns how many bytes.
func (c *conn) toClient(back proxy.Tunnel, last *atomic.Int64) (total int64) {
	var passed frames
	for {
		b, err := back.Next()
		if err != nil {
			break
		}
		last.Store(time.Now().UnixNano())
		total += int64(len(b))
		if c.reply.flush(b) != nil {
			return total
		}
		passed.pass(b)
	}
	if c.leaving.Load() && passed.between() && strings.EqualFold(c.request.Upgrade, "websocket") {
		_ = c.reply.flush([]byte(goingAway)) // a courtesy
	}
	return total
}

// appendSwitch appends the head of the 101 reply.
func (c *conn) appendSwitch(b []byte) []byte {
	b = http1.AppendStatusLine(b, 101)
	b = appendFields(b, c.ex.Reply.Fields)
	b = append(b, "Connection: Upgrade\r\n"...)
	protocol := c.ex.Reply.Fields.GetKnown(http1.Upgrade) // the backend's choice
	if protocol == "" {
		protocol = c.request.Upgrade
	}
	b = http1.AppendField(b, "Upgrade", protocol)
	return append(b, "\r\n"...)
}
