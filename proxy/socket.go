package proxy

import (
	"context"
	"time"
)

// SocketEvent says what an exchange of a WebSocket API is about.
type SocketEvent uint8

// The events. AWS: "$context.eventType".
const (
	SocketConnect SocketEvent = iota
	SocketMessage
	SocketDisconnect
)

// String returns AWS's word.
func (e SocketEvent) String() string {
	switch e {
	case SocketMessage:
		return "MESSAGE"
	case SocketDisconnect:
		return "DISCONNECT"
	}
	return "CONNECT"
}

// Socket is what an exchange of a WebSocket API knows of its connection. It is only
// read, and valid as long as the exchange.
type Socket struct {
	ConnectionID string
	ConnectedAt  time.Time
	Event        SocketEvent
	MessageID    string // of SocketMessage
	// How the connection ended, of SocketDisconnect: the code of the Close frame, 1005
	// for one without, 1006 for none; and what was said of it.
	Code   int
	Reason string
}

// Messages are what becomes of the messages of a WebSocket API's stage.
type Messages struct {
	Stage      *Stage
	Connect    *Route            // for upgrades
	Routes     map[string]*Route // by what a message selects; without the others here
	Default    *Route            // for messages that select none of Routes; nil for none
	Disconnect *Route            // for the end of a connection; nil for none
	// Selector finds out which route a message is for.
	Selector Selector
}

// Route returns the route of a key, whatever it is for; nil for none.
func (m *Messages) Route(key string) *Route {
	for _, r := range []*Route{m.Connect, m.Default, m.Disconnect} {
		if r != nil && r.Key == key {
			return r
		}
	}
	return m.Routes[key]
}

// Selector finds out which route a message is for.
type Selector interface {
	// Select returns a route's key, or "" for none. It is safe for concurrent use; the
	// text may be a view of content.
	Select(content []byte) string
}

// Takeover is who has a client's connection from a reply 101 (Switching Protocols) on.
type Takeover interface {
	// Serve speaks with the client until the connection is to be closed. It is called once,
	// also when the reply couldn't be sent: then l's methods fail. ctx ends when
	// what is under way is to be given up.
	Serve(ctx context.Context, l Link)
	// Leave asks for an end soon: what has arrived is answered, and the client is told.
	// It doesn't wait, and neither do the next two. All may be called before Serve.
	Leave()
	// Cut asks for an end now.
	Cut()
	// Renew says that another configuration serves.
	Renew()
}

// Link is a client's connection. Next is called by one goroutine at a time, and so is
// Write; the others by any.
type Link interface {
	// Next waits for the next bytes, and holds no memory for them while it waits. They are
	// valid until it is called again. The error is io.EOF when the client ended the
	// connection, and os.ErrDeadlineExceeded past until or after Interrupt.
	Next(until time.Time) ([]byte, error)
	// Interrupt makes a Next that waits, or else the next one, fail.
	Interrupt()
	// Write sends bytes; how long the client may leave them unread is bounded.
	Write(b []byte) error
	// Hurry bounds how long a Write in progress, and all later ones, may take.
	Hurry(d time.Duration)
	// Hold returns what the configuration that serves makes of a stage's messages, which
	// is good until Release; nil and nil if there is no such stage.
	Hold(api, stage string) (*Messages, Held)
}

// Held is a configuration in use.
type Held interface{ Release() }
