package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/explain"
	"github.com/postern-gateway/postern/proxy/http1"
)

// trace has ex traced if it brings a token that is good for its stage; where no stage
// takes it, any good token will do. What comes of it is kept, for whoever may ask at the
// admin listener; the client learns nothing.
func (s *Server) trace(ex *proxy.Exchange) {
	token := ex.In.Fields.Get(explain.Header)
	if token == "" {
		return
	}
	if st := ex.Stage; st != nil && !s.traces.Admits(token, st.API.Name, st.Name, ex.Start) || st == nil && !s.traces.Knows(token, ex.Start) {
		return
	}
	ex.StartTrace()
	ex.OnDone(func() {
		if t := ex.FinishTrace(); t != nil {
			s.traces.Add(t)
		}
	})
}

// refuseTraced refuses ex, which is traced, and says what AWS's words for it leave open.
func refuseTraced(ex *proxy.Exchange, refused proxy.Fault) {
	if refused.Cause == nil {
		switch {
		case refused.Kind == proxy.MissingAuthenticationToken:
			refused.Cause = fmt.Errorf("no route of the API takes %s %s", ex.Method, ex.Path)
		case refused.Kind == proxy.UnknownAPI:
			refused.Cause = fmt.Errorf("no API or domain answers to the host %q", ex.In.Host)
		case refused.Kind == proxy.Forbidden && ex.Stage == nil:
			refused.Cause = fmt.Errorf("no stage or base path of the host %q begins %s", ex.In.Host, ex.In.Path)
		}
	}
	ex.RefuseTraced(refused)
}

// Invocation is a request that no client sends.
type Invocation struct {
	API, Stage string
	Method     string
	Path       string // in the API, with its query
	Host       string // "" for the API's default
	Headers    []explain.Value
	Content    []byte
	Client     netip.Addr // whom it seems to come from; the zero Addr for loopback
	BodyLimit  int64      // of what steps read of it, in bytes; above 0
}

// ErrInvocation is what Invoke fails with when a request isn't one that could be sent,
// or is for no stage.
var ErrInvocation = errors.New("this can't be asked")

// maxInvoked is how much of an answer's content Invoke reads, in bytes.
const maxInvoked = 10 << 20

// Invoke runs a request through the pipeline of its route, as if a client had sent it,
// and returns what became of it. It isn't recorded in logs and metrics. ctx bounds it.
func (s *Server) Invoke(ctx context.Context, r Invocation) (*explain.Trace, error) {
	snap := s.snapshot()
	if snap == nil {
		return nil, errors.New("no configuration is loaded")
	}
	defer snap.Release()
	ex := &proxy.Exchange{}
	ex.Begin(time.Now(), nil)
	defer ex.End()
	identify(s, ex)
	in := &ex.In
	in.Method, in.Scheme, in.Proto = r.Method, "https", "HTTP/1.1"
	for _, h := range r.Headers {
		if !http1.ValidFieldName(h.Name) || !http1.ValidFieldValue(h.Value) {
			return nil, fmt.Errorf("%w: the header %q can't be sent", ErrInvocation, h.Name)
		}
		in.Fields.Add(h.Name, h.Value)
	}
	in.Content, in.Whole, in.Length = r.Content, true, int64(len(r.Content))
	if in.Host = r.Host; in.Host == "" {
		in.Host = strings.ToLower(r.API) + ".localhost"
	}
	if !r.Client.IsValid() {
		r.Client = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	in.Client, in.Private = netip.AddrPortFrom(r.Client, 0), true
	if refused, ok := fillTarget(in, r.Path); !ok {
		return nil, fmt.Errorf("%w: %q: %w", ErrInvocation, r.Path, refused)
	}
	takeClientID(ex)
	ex.StartTrace()
	refused, ok, unknown := snap.Pick(ex, r.API, r.Stage)
	switch {
	case unknown:
		return nil, fmt.Errorf("%w: API %s has no stage %q", ErrInvocation, r.API, r.Stage)
	case ok:
		ex.Route.Pipeline.Run(ctx, ex, r.BodyLimit)
	default:
		refuseTraced(ex, refused)
	}
	if body := ex.Reply.Body; body != nil {
		if _, err := io.Copy(io.Discard, io.LimitReader(body, maxInvoked)); err != nil {
			ex.Interrupt(err)
		}
	}
	if tunnel := ex.Reply.Tunnel; tunnel != nil {
		_ = tunnel.Close() // there is nobody to talk to
	}
	return ex.FinishTrace(), nil
}
