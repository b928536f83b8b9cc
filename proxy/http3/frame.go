// Package http3 is the server's side of HTTP/3 connections: frames, streams and the
// control stream, on QUIC as package quic has it. It knows nothing of what requests
// mean; whoever serves a Stream does. RFC 9114, RFC 9204.
//
// Each request is served by a goroutine of its own. QUIC's streams have their own
// flow control, deadlines and resets, so there is little to do but frames. Fields
// are coded with the static table of QPACK only.
package http3

import (
	"bufio"
	"io"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"
)

// Code is the reason by which a stream or a connection ends. RFC 9114, 8.1.
type Code = quic.ApplicationErrorCode

// The codes that are sent.
const (
	noError             Code = 0x100
	protocolError       Code = 0x101
	internalError       Code = 0x102
	streamCreationError Code = 0x103
	closedCritical      Code = 0x104
	frameUnexpected     Code = 0x105
	frameError          Code = 0x106
	excessiveLoad       Code = 0x107
	idError             Code = 0x108
	settingsError       Code = 0x109
	missingSettings     Code = 0x10a
	requestRejected     Code = 0x10b
	requestIncomplete   Code = 0x10d
	messageError        Code = 0x10e
	decompressionFailed Code = 0x200
	encoderStreamError  Code = 0x201
)

// The types of frames. RFC 9114, 7.2.
const (
	frameData        = 0x0
	frameHeaders     = 0x1
	frameCancelPush  = 0x3
	frameSettings    = 0x4
	framePushPromise = 0x5
	frameGoAway      = 0x7
	frameMaxPushID   = 0xd
)

// The types of unidirectional streams. RFC 9114, 6.2; RFC 9204, 4.2.
const (
	streamControl = 0x0
	streamPush    = 0x1
	streamEncoder = 0x2
	streamDecoder = 0x3
)

// settingFieldSection is the setting for the size of field sections. RFC 9114,
// 7.2.4.1.
const settingFieldSection = 0x6

// connError is a mistake of the client that ends the connection. RFC 9114, 8.
type connError struct {
	code   Code
	reason string
}

func (e connError) Error() string { return "HTTP/3: " + e.reason }

// streamError is a mistake that ends a stream.
type streamError struct {
	code   Code
	reason string
}

func (e streamError) Error() string { return "HTTP/3: " + e.reason }

// readFrameHead reads type and length of a frame. It returns io.EOF only where a
// frame could have begun.
func readFrameHead(r *bufio.Reader) (kind, length uint64, err error) {
	if _, err := r.Peek(1); err != nil {
		return 0, 0, err
	}
	if kind, err = quicvarint.Read(r); err != nil {
		return 0, 0, unexpected(err)
	}
	if length, err = quicvarint.Read(r); err != nil {
		return 0, 0, unexpected(err)
	}
	return kind, length, nil
}

// unexpected is what the end means in the middle of a frame. RFC 9114, 7.1.
func unexpected(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return connError{frameError, "a frame isn't complete"}
	}
	return err
}

// fromHTTP2 reports whether a frame of this type would mean something in HTTP/2, and
// must not be here. RFC 9114, 7.2.8.
func fromHTTP2(kind uint64) bool { return kind == 0x2 || kind == 0x6 || kind == 0x8 || kind == 0x9 }

// appendFrame appends a frame with a small payload.
func appendFrame(b []byte, kind uint64, payload ...uint64) []byte {
	length := 0
	for _, n := range payload {
		length += quicvarint.Len(n)
	}
	b = quicvarint.Append(b, kind)
	b = quicvarint.Append(b, uint64(length))
	for _, n := range payload {
		b = quicvarint.Append(b, n)
	}
	return b
}
