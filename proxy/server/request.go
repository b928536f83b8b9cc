package server

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/certificate"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/snapshot"
)

// identify gives the exchange its two ids.
func (c *conn) identify() { identify(c.server, &c.ex) }

func identify(s *Server, ex *proxy.Exchange) {
	ex.ID = ex.Text.Finish(appendUUID(ex.Text.Begin(), s.entropy(), s.entropy()))
	ex.ExtendedID = ex.Text.Finish(appendExtendedID(ex.Text.Begin(), s.entropy(), s.entropy()))
}

// fill makes ex.In from the parsed head: the one view of the request that
// everything else uses. ok is false when the request can't be served.
func (c *conn) fill() (refused proxy.Fault, ok bool) {
	r, in := &c.request, &c.ex.In
	in.Method, in.Fields = r.Method, r.Fields
	in.Proto = "HTTP/1.1"
	if r.Minor == 0 {
		in.Proto = "HTTP/1.0"
	}
	in.Scheme = "http"
	if c.session != nil {
		in.Scheme, in.TLS = "https", c.session
	}
	in.Client, in.ClientText, in.Local, in.Upgrade = c.client, c.address, c.local, r.Upgrade
	in.Length = r.Length
	if r.Chunked || r.Length > 0 {
		c.busy.Store(true)
		c.body.begin(r)
		in.Body = &c.body
	} else {
		c.body.none()
		in.Length = 0
	}
	takeClientID(&c.ex)
	in.Host, in.Port = r.Name, r.Port
	if refused, ok = fillTarget(in, r.Target); ok && c.settings.trust != nil {
		return c.settings.trust.believe(&c.ex)
	}
	return refused, ok
}

// fillTarget parses target into in, which has the host already. RFC 9112, 3.2 and
// 3.3.
func fillTarget(in *proxy.Request, rawTarget string) (refused proxy.Fault, ok bool) {
	target, err := http1.ParseTarget(in.Method, rawTarget)
	if err != nil {
		return proxy.Fault{Kind: proxy.BadRequest, Cause: err}, false
	}
	in.Path, in.RawQuery, in.HasQuery = target.Path, target.RawQuery, target.HasQuery
	if in.Method == "CONNECT" {
		return proxy.Fault{Kind: proxy.BadRequest, Message: "CONNECT is not supported", Cause: errors.New("CONNECT")}, false
	}
	if target.Authority != "" {
		host, port, err := http1.ParseHost(target.Authority)
		if in.Host == "" {
			in.Host, in.Port = host, port
		}
		if err != nil || host != in.Host {
			return proxy.Fault{Kind: proxy.BadRequest, Cause: fmt.Errorf("the target's host %q and Host %q disagree", host, in.Host)}, false
		}
	}
	return proxy.Fault{}, true
}

// dispatch takes an exchange whose In is filled to its reply: is it admitted, has
// it a route, is its content small enough; then the route's pipeline runs. flying
// is how many requests are under way; limit gets the most bytes of content that
// the body may give. What is too large by its own account is refused before
// anything else is done with it.
func (l *listener) dispatch(ctx context.Context, s *settings, snap *snapshot.Snapshot, ex *proxy.Exchange, flying int64, limit *int64) {
	refused, ok := l.admitRequest(s, ex, flying)
	if ok && strings.HasPrefix(ex.In.Path, certificate.ChallengePath) && l.server.prove(ctx, ex) {
		return
	}
	if ok && s.redirect != nil && s.redirect.answer(snap, ex) {
		return
	}
	if ok {
		ex.In.Private = s.private
		refused, ok = route(snap, ex)
	}
	l.perform(ctx, s, ex, refused, ok, limit)
	if ex.Domain.HSTS != "" || s.h3 {
		l.advertise(ex)
	}
}

// prove answers an authority that checks whether a name is ours, and reports true;
// it leaves all other requests as they are. RFC 8555, 8.3.
func (s *Server) prove(ctx context.Context, ex *proxy.Exchange) bool {
	text, asked := s.certificates.Answer(ctx, ex.In.Host, ex.In.Path)
	if !asked || ex.In.Method != "GET" {
		return false
	}
	ex.Answer(200, []byte(text), http1.NewField("Content-Type", "application/octet-stream"))
	return true
}

// perform runs the pipeline of ex's route, or refuses it if it has none.
func (l *listener) perform(ctx context.Context, s *settings, ex *proxy.Exchange, refused proxy.Fault, ok bool, limit *int64) {
	if l.server.traces.Asked() {
		l.server.trace(ex)
	}
	if ok {
		*limit = int64(s.Body)
		if ex.Route.BodyLimit > 0 && ex.Route.BodyLimit < *limit {
			*limit = ex.Route.BodyLimit
		}
		if ex.In.Length <= *limit {
			ex.Route.Pipeline.Run(ctx, ex, *limit)
			return
		}
		refused = proxy.Fault{Kind: proxy.RequestTooLarge, Cause: fmt.Errorf("%d bytes of content, limit %d", ex.In.Length, *limit)}
	}
	if ex.Explain != nil {
		refuseTraced(ex, refused)
		return
	}
	ex.Refuse(refused)
}

// route finds the exchange's route in snap, which may be nil.
func route(snap *snapshot.Snapshot, ex *proxy.Exchange) (refused proxy.Fault, ok bool) {
	if snap == nil {
		return proxy.Fault{Kind: proxy.Overloaded, Cause: errors.New("no configuration is loaded")}, false
	}
	return snap.Match(ex)
}

// recorderOf returns who is told of ex: its route's recorder, or its stage's, if it has
// such.
func (s *Server) recorderOf(ex *proxy.Exchange) proxy.Recorder {
	if ex.Route != nil && ex.Route.Recorder != nil {
		return ex.Route.Recorder
	}
	if ex.Stage != nil {
		return ex.Stage.Recorder
	}
	return s.recorder
}

// panicked logs a panic that reached the connection.
func (s *Server) panicked(r any) {
	s.logger.Error("panic while a request was answered", zap.Any("panic", r), zap.ByteString("stack", debug.Stack()))
}

// takeClientID uses the request id that the client chose, if it is a UUID.
// AWS: "$context Variables for data models, authorizers, mapping templates":
// requestId can be overridden by the client.
func takeClientID(ex *proxy.Exchange) {
	if id := strings.TrimSpace(ex.In.Fields.GetKnown(http1.XAmznRequestID)); isUUID(id) {
		ex.ID = id
	}
}
