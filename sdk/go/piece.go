//go:build wasip1

package postern

import (
	"io"

	"github.com/postern-gateway/postern/sdk/abi"
)

// Piece is some content on its way. What isn't written goes on as it is; what is
// written goes on in place of the piece. It is valid until the call ends: what a later
// piece needs to know belongs into the request's Bag, or is held back by Keep.
type Piece struct{}

// Len returns the piece's length in bytes.
func (p *Piece) Len() int { return max(0, int(rawChunkLen())) }

// Last reports whether the content ends with the piece, which may then be empty.
func (p *Piece) Last() bool { return rawChunkLast() == 1 }

// Read fills b with the next bytes of the piece. n is 0 at its end.
func (p *Piece) Read(b []byte) (n int) {
	at, size := bytesAt(b)
	return max(0, int(rawChunkRead(at, size)))
}

// Bytes returns the piece, once.
func (p *Piece) Bytes() []byte {
	b := make([]byte, p.Len())
	return b[:p.Read(b)]
}

// Write adds to what goes on in place of the piece. It reports whether the gateway
// took it: at most 1 MiB for a piece.
func (p *Piece) Write(b []byte) bool {
	at, n := bytesAt(b)
	return rawChunkWrite(at, n) == abi.OK
}

// WriteString is Write for text.
func (p *Piece) WriteString(s string) bool {
	at, n := stringAt(s)
	return rawChunkWrite(at, n) == abi.OK
}

// Keep holds back the last n bytes of the piece: the next one begins with them. It
// reports false at the last piece, and for more bytes than there are.
func (p *Piece) Keep(n int) bool { return rawChunkKeep(int32(n)) == abi.OK }

// Incoming is the request's content as it comes, for Integrate. It is an io.Reader.
type Incoming struct{}

// Incoming returns the content, of which nothing is waited for before. A plugin that
// uses Body or an event gets it all at once.
func (r *Request) Incoming() Incoming { return Incoming{} }

// Read waits for the next bytes. Besides io.EOF its error is a Code: Unavailable when
// the client has left, Limit and Deadline when it sent too much or too slowly.
func (Incoming) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	at, size := bytesAt(b)
	switch n := rawChunkRead(at, size); {
	case n < 0:
		return 0, Code(n)
	case n == 0:
		return 0, io.EOF
	default:
		return int(n), nil
	}
}

// Outgoing is the answer's content as it is made, for Integrate. It is an io.Writer.
type Outgoing struct{}

// Outgoing returns the content for the client: what is written is sent.
func (r *Response) Outgoing() Outgoing { return Outgoing{} }

// Write sends b and waits until the client takes it. The first one, even of nothing,
// sends status and headers before, which can't be changed from then on. The error is a
// Code: Unavailable when the client has left.
func (Outgoing) Write(b []byte) (int, error) {
	at, n := bytesAt(b)
	if code := rawChunkWrite(at, n); code != abi.OK {
		return 0, Code(code)
	}
	return len(b), nil
}
