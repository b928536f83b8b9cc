// Package http1 is a strict HTTP/1.1 codec: heads, chunked bodies, limits. It
// is pure: it sees bytes, never a socket.
//
// What two parsers could read differently is refused (RFC 9112, 2.2, 5.1, 6.1,
// 6.3, 7.1; request smuggling), and everything that is sent is framed anew.
package http1

import "errors"

// Limits bound a message's head and, apart from that, its trailer section. A
// field that is not above zero, and a nil *Limits, mean the default.
type Limits struct {
	Line   int // bytes of the request line or status line, without CR LF
	Head   int // bytes of all field lines together, each with its CR LF
	Fields int // number of field lines
}

// The defaults: AWS allows 10,240 bytes of header values and of URL.
const (
	DefaultLine   = 10240 + 32 // a URL of 10,240 bytes, the method and the version
	DefaultHead   = 16 << 10
	DefaultFields = 200
)

// orDefault returns l with every default filled in.
func (l *Limits) orDefault() Limits {
	out := Limits{Line: DefaultLine, Head: DefaultHead, Fields: DefaultFields}
	if l == nil {
		return out
	}
	if l.Line > 0 {
		out.Line = l.Line
	}
	if l.Head > 0 {
		out.Head = l.Head
	}
	if l.Fields > 0 {
		out.Fields = l.Fields
	}
	return out
}

// HeadFrame is how many bytes a head has besides its lines at most: the line
// ends that Limits don't count. A buffer for Line+Head+HeadFrame bytes holds
// every head that the limits allow.
const HeadFrame = 6

// Framing says how a message's content is delimited. RFC 9112, 6.3.
type Framing struct {
	// Length is the number of content bytes; Unknown when it is Chunked or
	// (responses only) ends with the connection.
	Length  int64
	Chunked bool
}

// Unknown is the Length of content whose size isn't known beforehand.
const Unknown = -1

// Request is a parsed request head. Its strings are views of the parsed bytes.
// A Request is reused: Parse overwrites it and keeps the capacity of Fields.
type Request struct {
	Method string
	Target string // request target as received
	Minor  int    // the x of HTTP/1.x: 0 or 1
	Fields Fields // in order and spelling of arrival, all of them
	Framing

	Host           string // value of the Host field, "" in HTTP/1.0 without one
	Name, Port     string // of Host, as ParseHost takes it apart
	KeepAlive      bool   // the client can take another answer on this connection
	ExpectContinue bool   // it waits for 100 (Continue) before it sends content
	Upgrade        string // value of Upgrade if Connection names it, else ""

	progress progress // over a head that arrives in pieces
	named    named    // Host, Name and Port of the last request that had a new one
}

// Response is a parsed response head, under the same rules as Request.
type Response struct {
	Status int
	Reason string
	Minor  int
	Fields Fields
	Framing

	KeepAlive bool   // the connection can be used again once the content is read
	Upgrade   string // value of Upgrade if Connection names it, else ""

	progress progress // over a head that arrives in pieces
	lines    lines    // of the last head
}

// ErrIncomplete says that the bytes so far are the beginning of a head: read
// more of them and parse again.
var ErrIncomplete = errors.New("incomplete head")

// Error is a message that this package refuses. How the connection goes on
// after it can't be known: it is closed.
type Error struct {
	Status int    // what a server answers: 400, 414, 431, 501 or 505; 502 for a response
	Reason string // what is wrong, one of a fixed set of phrases
}

func (e *Error) Error() string { return e.Reason }

// refuse returns the error of a request that is answered with status.
func refuse(status int, reason string) *Error {
	return &Error{Status: status, Reason: reason}
}
