package websocket

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/document"
	"github.com/postern-gateway/postern/proxy/http1"
)

// errVanished says that a reload has taken the stage away.
var errVanished = errors.New("there is no such stage any more")

// handle makes an exchange of a message and answers it. It reports false for a mistake
// of ours.
func (c *Conn) handle(m message) (good bool) {
	defer func() {
		if r := recover(); r != nil { // outside of the pipeline's own boundary
			c.hub.logger.Error("panic while a message was answered", zap.Any("panic", r), zap.ByteString("stack", debug.Stack()))
			good = false
		}
	}()
	routes, held := c.link.Hold(c.api, c.stage)
	if routes == nil {
		c.Leave()
		return true
	}
	defer held.Release()
	ex := c.hub.take()
	defer c.hub.give(ex)
	s := c.socket
	s.Event, s.MessageID = proxy.SocketMessage, c.hub.newID()
	c.begin(ex, &s, m.arrived, routes)
	ex.In.Method, ex.Method = "POST", "POST"
	ex.In.Content, ex.In.Length = m.content, int64(len(m.content))
	ex.Notes.BytesIn = ex.In.Length

	route := routes.Default
	if key := routes.Selector.Select(m.content); key != "" {
		if own := routes.Routes[key]; own != nil {
			route = own
		}
	}
	if route == nil {
		ex.Refuse(proxy.Fault{Kind: proxy.Forbidden, Cause: errNoRoute})
	} else {
		ex.Route = route
		route.Pipeline.Run(c.ctx, ex, int64(c.limits.message))
	}
	c.reply(ex)
	c.record(ex)
	return true
}

// errNoRoute is why a message is refused that selects no route, where there is no
// "$default".
var errNoRoute = errors.New(`the message selects no route, and there is no "$default"`)

// disconnect runs the route $disconnect.
func (c *Conn) disconnect(end ending) {
	defer func() {
		if r := recover(); r != nil {
			c.hub.logger.Error("panic while a connection ended", zap.Any("panic", r), zap.ByteString("stack", debug.Stack()))
		}
	}()
	routes, held := c.link.Hold(c.api, c.stage)
	if routes == nil {
		return
	}
	defer held.Release()
	if routes.Disconnect == nil {
		return
	}
	ex := c.hub.take()
	defer c.hub.give(ex)
	s := c.socket
	s.Event, s.Code, s.Reason = proxy.SocketDisconnect, end.code, end.reason
	c.begin(ex, &s, time.Now(), routes)
	ex.In.Method, ex.Method = "POST", "POST"
	ex.Route = routes.Disconnect
	ctx, cancel := c.farewell()
	defer cancel()
	ex.Route.Pipeline.Run(ctx, ex, int64(c.limits.message))
	discard(ex)
	c.record(ex)
}

// begin fills what an exchange has of its connection.
func (c *Conn) begin(ex *proxy.Exchange, s *proxy.Socket, start time.Time, routes *proxy.Messages) {
	ex.Begin(start, nil)
	ex.ID = c.hub.newID() // AWS: requestId and extendedRequestId are the same
	ex.ExtendedID = ex.ID
	ex.Shard = c.shard
	ex.Socket = s
	ex.Stage = routes.Stage
	ex.Domain = c.domain
	ex.Path, ex.FullPath = "/", c.path
	in := &ex.In
	in.Scheme, in.Host, in.Port, in.Path, in.Proto = c.scheme, c.host, c.port, "/", "HTTP/1.1"
	in.Client, in.ClientText, in.Hops, in.Local = c.client, c.address, c.hops, c.local
	in.TLS, in.Trusted, in.Private, in.Whole = c.tls, c.trusted, c.private, true
	if c.agent != "" {
		in.Fields = http1.AppendKnown(in.Fields[:0], http1.UserAgent, c.agent)
	}
	context := append(ex.Caller.Context[:0], c.caller.Context...)
	ex.Caller = c.caller
	ex.Caller.Context = context
}

// record ends an exchange.
func (c *Conn) record(ex *proxy.Exchange) {
	ex.Times.Total = ex.Now().Sub(ex.Start)
	switch {
	case ex.Route != nil && ex.Route.Recorder != nil:
		ex.Route.Recorder.Record(ex)
	default:
		ex.Stage.Recorder.Record(ex)
	}
}

// reply sends the client what became of its message: what the integration answered,
// if that is for the client, or why there is nothing. What can't be sent is lost with
// the connection.
func (c *Conn) reply(ex *proxy.Exchange) {
	var text []byte
	var err error
	if ex.Fault == nil && ex.Route != nil && ex.Route.Answers {
		if text, err = c.content(ex); err != nil {
			ex.Fail(proxy.Fault{Kind: proxy.BadIntegration, Cause: err})
		}
	} else {
		discard(ex)
	}
	if ex.Fault != nil {
		text = c.problem(nil, ex)
	}
	if len(text) == 0 {
		return
	}
	if err := c.answer(text); err != nil {
		ex.Notes.ClientGone = true
		return
	}
	ex.Notes.BytesOut = int64(len(text))
}

// content returns the reply's content, which has to be a text of a message's size.
func (c *Conn) content(ex *proxy.Exchange) ([]byte, error) {
	r := &ex.Reply
	text := r.Content
	if r.Body != nil {
		var b bytes.Buffer
		if _, err := io.Copy(&b, io.LimitReader(r.Body, int64(c.limits.message)+1)); err != nil {
			return nil, fmt.Errorf("read the answer: %w", err)
		}
		text = b.Bytes()
	}
	switch {
	case len(text) > c.limits.message:
		return nil, fmt.Errorf("the answer has more than %d bytes", c.limits.message)
	case !utf8.Valid(text):
		return nil, errors.New("the answer isn't UTF-8")
	}
	return text, nil
}

// leftover is how much of an answer that nobody gets is read, so that its connection
// can be used again, in bytes.
const leftover = 64 << 10

// discard reads what is left of an answer.
func discard(ex *proxy.Exchange) {
	if ex.Reply.Body != nil {
		_, _ = io.CopyN(io.Discard, ex.Reply.Body, leftover) // nobody misses it
	}
}

// problem appends what the client is told of a fault. AWS: "WebSocket API error
// responses"; what it says of the reason is no more than that.
func (c *Conn) problem(dst []byte, ex *proxy.Exchange) []byte {
	dst = append(dst, `{"message": `...)
	dst = document.AppendString(dst, told(ex.Fault))
	dst = append(dst, `, "connectionId":`...)
	dst = document.AppendString(dst, c.ID())
	if ex.Fault.Kind == proxy.BadRequestBody {
		dst = append(dst, `, "messageId":`...)
		dst = document.AppendString(dst, ex.Socket.MessageID)
		return append(dst, '}')
	}
	dst = append(dst, `, "requestId":`...)
	dst = document.AppendString(dst, ex.ID)
	return append(dst, '}')
}

// told is what the client reads of a fault.
func told(f *proxy.Fault) string {
	switch kind := f.Kind; {
	case kind == proxy.BadRequestBody:
		return "Bad request body"
	case kind == proxy.IntegrationTimeout || kind == proxy.PluginTimeout:
		return "Endpoint request timed out"
	case kind.Status() == 401 || kind.Status() == 403:
		return "Forbidden"
	case kind.Status() >= 500 && kind != proxy.Overloaded:
		return "Internal server error"
	}
	return f.Text()
}
