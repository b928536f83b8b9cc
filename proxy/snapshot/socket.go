package snapshot

import (
	"strings"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// socketKind is the name of the kind that has connections of WebSocket APIs.
const socketKind = "websocket"

// connectionPath is where connections are managed, and its parameter is their id. AWS:
// "Use @connections commands in your backend service".
const connectionPath = "/@connections/{connectionId}"

// parseSocketRouteKey reads a route key of a WebSocket API.
func parseSocketRouteKey(key string) (routeKey, error) {
	return routeKey{verb: verbOf("GET"), word: key, path: key}, nil
}

// socketSteps are the steps of a route of a WebSocket API: of an upgrade, a message, or
// the end of a connection. Who may send messages, $connect's authorizer has said.
func socketSteps(c *compiler, st *stage, r *proxy.Route, configured *config.Route, at []string, parts []proxy.Steps) []proxy.Steps {
	own := *configured
	own.Integration.Upgrade = false
	r.Verb, r.Resource, r.Answers = "", r.Key, own.RouteResponse // logs show the resource
	api := c.cfg.API[r.Stage.API.Name]
	if r.Key == config.ConnectRoute {
		parts = append(parts, c.sockets(r))
		parts = c.entrance(st, r, &own, at, parts)
	} else {
		own.Authorizer = api.Route[config.ConnectRoute].Authorizer
		if r.Key != config.DisconnectRoute { // which nobody can prevent
			parts = c.all(parts, proxy.GuardKind, r, &own)
			parts = c.all(parts, proxy.AccessKind, r, &own)
			parts = append(parts, c.validator(r, &own, at)...)
		}
	}
	if own.Integration.Type == "" {
		return parts
	}
	return c.answering(r, &own, at, parts)
}

// placeSocket puts a route where upgrades or messages find it.
func placeSocket(st *stage, k routeKey, r *proxy.Route) error {
	m := st.stage.Messages
	switch r.Key {
	case config.ConnectRoute:
		m.Connect = r
		return insert(st.root, routeKey{verb: k.verb, word: "GET", path: "/"}, r)
	case config.DisconnectRoute:
		m.Disconnect = r
	case config.DefaultName:
		m.Default = r
	default:
		m.Routes[r.Key] = r
	}
	return nil
}

// sockets returns the steps of the kind that has connections.
func (c *compiler) sockets(r *proxy.Route) proxy.Steps {
	kind, found := c.kinds[kindName{proxy.SocketKind, socketKind}]
	if !found {
		return proxy.Steps{}
	}
	steps, err := kind.New(c.build(r), proxy.Options{Config: c.cfg})
	c.kindErrors(err, []string{"api", r.Stage.API.Name}, nil)
	return steps
}

// socketStage completes a stage of a WebSocket API: it takes upgrades also without a
// route for them, and lets others manage its connections.
func (c *compiler) socketStage(st *stage) {
	name := st.stage.API.Name
	api := c.cfg.API[name]
	if _, configured := api.Route[config.ConnectRoute]; !configured {
		c.route(st, method{key: routeKey{verb: verbOf("GET"), word: config.ConnectRoute}, name: config.ConnectRoute})
	}
	if api.Connections == nil {
		return
	}
	at := []string{"api", name, "connections"}
	for _, word := range []string{"GET", "POST", "DELETE"} {
		key, err := parseRouteKey(word + " " + connectionPath)
		if err != nil {
			c.wrong(err, at...)
			return
		}
		r := &proxy.Route{
			Stage: st.stage, Key: word + " " + connectionPath, Verb: word, Resource: connectionPath,
			Kind: socketKind, Action: proxy.ManageConnections,
			BodyLimit: 2 * int64(api.Socket.Message), // more is refused before it is read whole
		}
		asks := config.Route{Authorizer: api.Connections.Authorizer}
		parts := c.all(nil, proxy.GuardKind, r, &asks)
		parts = append(parts, c.authorizer(r, asks.Authorizer, at))
		parts = c.all(parts, proxy.AccessKind, r, &asks)
		parts = append(parts, c.sockets(r))
		r.Pipeline = proxy.NewPipeline(parts...)
		if err := insert(st.root, key, r); err != nil {
			c.wrong(err, at...)
		}
	}
}

// Messages returns what becomes of messages to a stage; nil if there is no such stage, or
// it is none of a WebSocket API.
func (s *Snapshot) Messages(api, stage string) *proxy.Messages {
	st := s.stages[api][stage]
	if st == nil {
		return nil
	}
	return st.stage.Messages
}

// messagesOf returns the messages of a stage of an API that has them; nil for others.
func messagesOf(st *proxy.Stage) *proxy.Messages {
	if !strings.EqualFold(st.API.Type, config.WebSocketType) {
		return nil
	}
	return &proxy.Messages{Stage: st, Routes: map[string]*proxy.Route{}}
}
