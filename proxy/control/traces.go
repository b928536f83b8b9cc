package control

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/postern-gateway/postern/proxy/explain"
	"github.com/postern-gateway/postern/proxy/usage"
)

// Paths of traces.
//
//	POST /invoke        {"api", "stage", "method", "path", "headers", "body"} runs a request: its trace
//	POST /traces/token  {"api", "stage", "seconds"} makes a token for live requests
//	GET  /traces        {"traces": […]} of live requests, the newest first
//	GET  /traces/ID     one, by the request's id
const (
	invokePath = "/invoke"
	tokenPath  = "/traces/token"
	tracesPath = "/traces"
	tracePath  = "/traces/{id}"
)

// maxInvoke is the most of a question about a request, in bytes: content of 10 MiB in
// base64, and the rest.
const maxInvoke = 14<<20 + maxQuestion

// Question is a request that is tried out.
type Question struct {
	API      string          `json:"api"`
	Stage    string          `json:"stage"`
	Method   string          `json:"method"`
	Path     string          `json:"path"` // in the API, with its query
	Host     string          `json:"host,omitempty"`
	Headers  []explain.Value `json:"headers,omitempty"`
	Body     []byte          `json:"body,omitempty"`      // base64
	SourceIP string          `json:"source_ip,omitempty"` // whom it seems to come from
}

// Tracing runs requests to see what becomes of them, and keeps traces of live ones.
type Tracing interface {
	// Invoke runs a request through the pipeline, once it has checked it.
	Invoke(ctx context.Context, q Question) (*explain.Trace, error)
	// Token makes a token that has live requests traced.
	Token(ctx context.Context, s explain.Scope) (string, error)
	// Traces returns those of live requests that are kept.
	Traces(ctx context.Context) ([]explain.Summary, error)
	// Trace returns the one of a request. The error is usage.ErrUnknown for none.
	Trace(ctx context.Context, id string) (*explain.Trace, error)
}

// tokenOrder asks for a token.
type tokenOrder struct {
	API     string `json:"api"`
	Stage   string `json:"stage,omitempty"`
	Seconds int64  `json:"seconds"`
}

// token is an answer.
type token struct {
	Token   string    `json:"token"`
	Header  string    `json:"header"` // that a request has it in
	Expires time.Time `json:"expires"`
}

// traceList is an answer.
type traceList struct {
	Traces []explain.Summary `json:"traces"`
}

// offerTraces adds the paths of traces.
func (s *Server) offerTraces() {
	t := s.options.Tracing
	s.guarded(http.MethodPost, invokePath, jsonType, told(func(r *http.Request) (any, error) {
		var q Question
		if err := readUpTo(r, &q, maxInvoke); err != nil {
			return nil, err
		}
		return t.Invoke(r.Context(), q)
	}))
	s.guarded(http.MethodPost, tokenPath, jsonType, told(func(r *http.Request) (any, error) {
		var o tokenOrder
		if err := read(r, &o); err != nil {
			return nil, err
		}
		if o.Seconds < 1 || o.Seconds > int64(explain.MaxLife/time.Second) {
			return nil, fmt.Errorf("%w: seconds is 1 to %d", usage.ErrInvalid, int64(explain.MaxLife/time.Second))
		}
		scope := explain.Scope{API: o.API, Stage: o.Stage, Expires: time.Now().Add(time.Duration(o.Seconds) * time.Second).UTC().Truncate(time.Second)}
		made, err := t.Token(r.Context(), scope)
		return token{made, explain.Header, scope.Expires}, err
	}))
	s.offer(tracesPath, told(func(r *http.Request) (any, error) {
		all, err := t.Traces(r.Context())
		if all == nil {
			all = []explain.Summary{} // an empty list, not null
		}
		return traceList{all}, err
	}))
	s.offer(tracePath, told(func(r *http.Request) (any, error) { return t.Trace(r.Context(), r.PathValue("id")) }))
}

// Check says what is wrong with a request: usage.ErrInvalid.
func (q *Question) Check() error {
	switch {
	case q.Method == "" || strings.ContainsAny(q.Method, " \r\n"):
		return fmt.Errorf("%w: the method %q isn't one", usage.ErrInvalid, q.Method)
	case !strings.HasPrefix(q.Path, "/"):
		return fmt.Errorf("%w: the path begins with \"/\", and is the one in the API, without the stage", usage.ErrInvalid)
	case q.SourceIP != "":
		if _, err := netip.ParseAddr(q.SourceIP); err != nil {
			return fmt.Errorf("%w: %q isn't an address", usage.ErrInvalid, q.SourceIP)
		}
	}
	return nil
}

// Invoke implements Tracing.
func (c *Client) Invoke(_ context.Context, q Question) (*explain.Trace, error) {
	t := &explain.Trace{}
	return t, c.send(http.MethodPost, invokePath, q, t)
}

// Token implements Tracing.
func (c *Client) Token(_ context.Context, s explain.Scope) (string, error) {
	var made token
	seconds := int64((time.Until(s.Expires) + time.Second/2) / time.Second)
	err := c.send(http.MethodPost, tokenPath, tokenOrder{s.API, s.Stage, seconds}, &made)
	return made.Token, err
}

// Traces implements Tracing.
func (c *Client) Traces(context.Context) ([]explain.Summary, error) {
	var found traceList
	return found.Traces, c.get(tracesPath, nil, &found)
}

// Trace implements Tracing.
func (c *Client) Trace(_ context.Context, id string) (*explain.Trace, error) {
	t := &explain.Trace{}
	return t, c.get(tracesPath+"/"+url.PathEscape(id), nil, t)
}

var _ Tracing = (*Client)(nil)
