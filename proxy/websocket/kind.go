package websocket

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/document"
	"github.com/postern-gateway/postern/proxy/http1"
)

// ConnectKey is the key of the route that a client's upgrade takes. The kind builds its
// steps for it, and for every other route those that manage connections.
const ConnectKey = "$connect"

// Kind returns the kind that makes connections of upgrades, and lets backends manage
// them. hub may be nil to check a configuration.
func Kind(hub *Hub) proxy.Kind {
	if hub == nil {
		hub = NewHub(nil)
	}
	return proxy.Kind{Name: "websocket", Role: proxy.SocketKind, New: hub.newSteps}
}

func (h *Hub) newSteps(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
	configured := o.Config.API[b.Route.Stage.API.Name]
	bounds := newLimits(&configured.Socket)
	if b.Route.Key != ConnectKey {
		return proxy.Steps{proxy.Integration: &manage{hub: h, limits: bounds}}, nil
	}
	selector, err := newSelector(configured.RouteSelectionExpression, b.Route.Stage.Variables)
	if err != nil {
		return proxy.Steps{}, &config.KeyError{Path: []string{"route_selection_expression"}, Text: err.Error(),
			Hint: `as "$request.body.action", or "${request.body.service}/${request.body.action}"`}
	}
	b.Route.Stage.Messages.Selector = selector
	return proxy.Steps{
		proxy.MethodRequest:  &handshake{h},
		proxy.MethodResponse: &accept{h, bounds},
	}, nil
}

// handshake judges the upgrade itself, before anybody is asked about the client.
type handshake struct{ hub *Hub }

// wanted is the version of the protocol. RFC 6455, 4.1.
const wanted = "13"

// Run refuses what is no handshake of RFC 6455, 4.2.1, and names the connection.
func (s *handshake) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	in := &ex.In
	key := strings.Trim(in.Fields.Get("Sec-WebSocket-Key"), " \t")
	raw, err := base64.StdEncoding.DecodeString(key)
	switch {
	case !strings.EqualFold(in.Upgrade, "websocket") || in.Proto != "HTTP/1.1" || in.Body != nil || len(in.Content) > 0:
		return proxy.Continue, proxy.Fault{Kind: proxy.BadRequest, Message: "This is a WebSocket API", Cause: errNoUpgrade}
	case in.Fields.Get("Sec-WebSocket-Version") != wanted:
		ex.Reply = proxy.Response{Status: 400, Fields: append(ex.Reply.Fields[:0], http1.NewField("Sec-WebSocket-Version", wanted)),
			Content: []byte(`{"message":"Unsupported WebSocket version"}`)}
		return proxy.Answered, nil
	case err != nil || len(raw) != 16:
		return proxy.Continue, proxy.Fault{Kind: proxy.BadRequest, Message: "Bad Sec-WebSocket-Key", Cause: errNoUpgrade}
	}
	ex.Socket = &proxy.Socket{ConnectionID: s.hub.newID(), ConnectedAt: ex.Start, Event: proxy.SocketConnect}
	ex.ID = ex.ExtendedID // AWS: the same in WebSocket APIs
	return proxy.Continue, nil
}

// errNoUpgrade is why a request to a WebSocket API is refused.
var errNoUpgrade = errors.New("no handshake of a WebSocket: RFC 6455, 4.2.1")

// accept makes a connection of an upgrade that nobody objected to.
type accept struct {
	hub    *Hub
	limits *limits
}

// Run answers with 101 unless the reply says otherwise: then that is the answer. AWS:
// "Manage connected users and client apps: $connect and $disconnect routes".
func (s *accept) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	if ex.Fault != nil || ex.Socket == nil {
		return proxy.Continue, nil
	}
	r := &ex.Reply
	if r.Status != 0 && (r.Status < 200 || r.Status > 299) {
		return proxy.Continue, nil
	}
	protocol := chosen(ex.In.Fields, r.Fields)
	discard(ex)
	c := s.hub.open(ex, s.limits)
	fields := append(r.Fields[:0],
		http1.NewField("Upgrade", "websocket"),
		http1.NewField("Sec-WebSocket-Accept", ex.Text.Concat(acceptance(strings.Trim(ex.In.Fields.Get("Sec-WebSocket-Key"), " \t")))))
	if protocol != "" {
		fields = append(fields, http1.NewField("Sec-WebSocket-Protocol", protocol))
	}
	ex.Reply = proxy.Response{Status: 101, Fields: fields, Takeover: c}
	return proxy.Continue, nil
}

// acceptance proves that we speak the protocol. RFC 6455, 4.2.2.
func acceptance(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// chosen returns the subprotocol that the integration chose, if the client has asked for
// it; else none.
func chosen(asked, answered http1.Fields) string {
	own := strings.Trim(answered.Get("Sec-WebSocket-Protocol"), " \t")
	if own == "" {
		return ""
	}
	for i := range asked {
		if !strings.EqualFold(asked[i].Name, "Sec-WebSocket-Protocol") {
			continue
		}
		for one := range strings.SplitSeq(asked[i].Value, ",") {
			if strings.Trim(one, " \t") == own {
				return own
			}
		}
	}
	return ""
}

// open makes the connection of an exchange, whose texts it copies.
func (h *Hub) open(ex *proxy.Exchange, bounds *limits) *Conn {
	in := &ex.In
	c := &Conn{
		hub: h, api: ex.Stage.API.Name, stage: ex.Stage.Name, limits: bounds,
		socket: *ex.Socket, tls: in.TLS, scheme: in.Scheme, client: in.Client, local: in.Local,
		host: strings.Clone(in.Host), port: strings.Clone(in.Port), hops: strings.Clone(in.Hops),
		address: strings.Clone(ex.ClientAddress()), agent: strings.Clone(in.Fields.GetKnown(http1.UserAgent)),
		path: strings.Clone(ex.FullPath), private: in.Private, trusted: in.Trusted, shard: uint8(h.counters.Add(1)),
		decoder: decoder{maxFrame: bounds.frame, maxMessage: bounds.message},
		caller:  cloned(&ex.Caller), domain: ex.Domain,
	}
	c.domain.Name, c.domain.Prefix, c.domain.BasePath = strings.Clone(ex.Domain.Name), strings.Clone(ex.Domain.Prefix), strings.Clone(ex.Domain.BasePath)
	c.changed.L = &c.mu
	c.touch()
	h.add(c)
	return c
}

// cloned returns a caller that outlives the exchange. What signs nothing any more, the
// value of an API key, isn't kept.
func cloned(from *proxy.Caller) proxy.Caller {
	id := &from.Identity
	to := proxy.Caller{
		Principal: strings.Clone(from.Principal), Policy: from.Policy, KeyID: strings.Clone(from.KeyID), Key: strings.Clone(from.Key),
		Context: clonedParams(from.Context),
		Identity: proxy.Identity{
			AccountID: strings.Clone(id.AccountID), Caller: strings.Clone(id.Caller), User: strings.Clone(id.User),
			UserARN: strings.Clone(id.UserARN), AccessKey: strings.Clone(id.AccessKey), OrgID: strings.Clone(id.OrgID),
			Tags: clonedParams(id.Tags),
		},
	}
	return to
}

func clonedParams(from []proxy.Param) []proxy.Param {
	if len(from) == 0 {
		return nil
	}
	to := make([]proxy.Param, len(from))
	for i, p := range from {
		to[i] = proxy.Param{Name: strings.Clone(p.Name), Value: strings.Clone(p.Value)}
	}
	return to
}

// manage is what backends do with connections: post to them, look at them, end them.
// AWS: "Use @connections commands in your backend service".
type manage struct {
	hub    *Hub
	limits *limits
}

// NeedsWholeBody has what is posted read before.
func (*manage) NeedsWholeBody() {}

// Run does what the verb says to the connection that the path names.
func (s *manage) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	raw, _ := ex.Param(ConnectionParam)
	id, err := url.PathUnescape(raw)
	if err != nil || !isID(id) {
		s.refuse(ex, 400, "BadRequestException", ex.Text.Concat("Invalid connectionId: ", id))
		return proxy.Answered, nil
	}
	stage := ex.Route.Stage
	outcome := s.hub.Manage(stage.API.Name, stage.Name, id, ex.Method, ex.In.Content)
	if outcome.Problem != "" {
		s.refuse(ex, outcome.Status, outcome.Problem, outcome.Message)
		return proxy.Answered, nil
	}
	ex.Reply = proxy.Response{Status: outcome.Status, Fields: ex.Reply.Fields[:0], Content: outcome.Content, Length: int64(len(outcome.Content))}
	return proxy.Answered, nil
}

// ConnectionParam is the path parameter that names a connection.
const ConnectionParam = "connectionId"

func (s *manage) refuse(ex *proxy.Exchange, status int, kind, message string) {
	content := document.AppendString([]byte(`{"message":`), message)
	ex.Reply = proxy.Response{
		Status:  status,
		Fields:  append(ex.Reply.Fields[:0], http1.NewField("x-amzn-ErrorType", kind), http1.NewField("Content-Type", "application/json")),
		Content: append(content, '}'),
	}
}

// Outcome is what became of a command to a connection.
type Outcome struct {
	Status  int    // of HTTP
	Problem string // AWS's exception; "" for none
	Message string
	Content []byte
}

// Manage does what method says to a connection of a stage: POST sends content, GET
// describes it, and DELETE ends it.
func (h *Hub) Manage(api, stage, id, method string, content []byte) Outcome {
	c := h.Find(api, stage, id)
	if c == nil {
		return gone()
	}
	switch method {
	case "GET":
		return Outcome{Status: 200, Content: c.describe(nil)}
	case "DELETE":
		c.Close(closeNormal, "Connection closed normally")
		return Outcome{Status: 204}
	}
	switch {
	case len(content) > c.limits.message:
		return Outcome{Status: 413, Problem: "PayloadTooLargeException", Message: fmt.Sprintf("More than %d bytes", c.limits.message)}
	case !utf8.Valid(content):
		return Outcome{Status: 400, Problem: "BadRequestException", Message: "The message isn't UTF-8"}
	}
	switch err := c.Send(content); {
	case errors.Is(err, ErrFull):
		return Outcome{Status: 429, Problem: "LimitExceededException", Message: "The client reads too slowly"}
	case err != nil:
		return gone()
	}
	return Outcome{Status: 200}
}

// gone is the outcome for a connection that isn't there, or not any more.
func gone() Outcome { return Outcome{Status: 410, Problem: "GoneException", Message: "Gone"} }

// describe appends what there is to know of a connection.
func (c *Conn) describe(dst []byte) []byte {
	const layout = "2006-01-02T15:04:05.000Z"
	dst = append(dst, `{"connectedAt":"`...)
	dst = c.socket.ConnectedAt.UTC().AppendFormat(dst, layout)
	dst = append(dst, `","identity":{"sourceIp":`...)
	dst = document.AppendString(dst, c.address)
	dst = append(dst, `,"userAgent":`...)
	dst = document.AppendString(dst, c.agent)
	dst = append(dst, `},"lastActiveAt":"`...)
	dst = time.Unix(0, c.last.Load()).UTC().AppendFormat(dst, layout)
	return append(dst, `"}`...)
}
