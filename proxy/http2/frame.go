// Package http2 is the server's side of HTTP/2 connections: frames, streams, flow
// control and the table of HPACK. It knows nothing of what requests mean; whoever
// serves a Stream does. RFC 9113, RFC 7541.
//
// One goroutine reads a connection's frames. Each request is served by a goroutine
// of its own, which appends its frames to the connection's output; one of those
// who append sends for all. No frame goes through a channel.
package http2

import "encoding/binary"

// Code is the reason by which a stream or a connection ends. RFC 9113, 7.
type Code uint32

// The codes that are sent.
const (
	noError          Code = 0x0
	protocolError    Code = 0x1
	internalError    Code = 0x2
	flowControlError Code = 0x3
	streamClosed     Code = 0x5
	frameSizeError   Code = 0x6
	refusedStream    Code = 0x7
	compressionError Code = 0x9
	enhanceYourCalm  Code = 0xb
)

// The types of frames. RFC 9113, 6.
const (
	frameData         = 0x0
	frameHeaders      = 0x1
	framePriority     = 0x2
	frameReset        = 0x3
	frameSettings     = 0x4
	framePushPromise  = 0x5
	framePing         = 0x6
	frameGoAway       = 0x7
	frameWindowUpdate = 0x8
	frameContinuation = 0x9
)

// The flags of frames.
const (
	flagAck        = 0x1
	flagEndStream  = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

// The settings. RFC 9113, 6.5.2.
const (
	settingTableSize     = 0x1
	settingPush          = 0x2
	settingStreams       = 0x3
	settingInitialWindow = 0x4
	settingFrameSize     = 0x5
	settingHeaderList    = 0x6
)

// Preface is what a client begins with. RFC 9113, 3.4.
const Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

const (
	// frameHead is the length of a frame's header in bytes.
	frameHead = 9
	// maxFrame is the largest frame that is accepted and sent, in bytes of payload:
	// the least that RFC 9113, 4.2 lets either side announce.
	maxFrame = 16384
	// firstWindow is every window's size until somebody changes it. RFC 9113, 6.9.2.
	firstWindow = 65535
	// maxWindow is the largest window. RFC 9113, 6.9.1.
	maxWindow = 1<<31 - 1
	// lastStream is the largest number of a stream.
	lastStream = 1<<31 - 1
)

// frame is a received frame. Its payload is a view of the read buffer.
type frame struct {
	kind, flags byte
	stream      uint32
	payload     []byte
}

func (f *frame) has(flag byte) bool { return f.flags&flag != 0 }

// unpad returns the payload without padding; false means that there is more of it
// than payload. RFC 9113, 6.1.
func (f *frame) unpad() ([]byte, bool) {
	p := f.payload
	if !f.has(flagPadded) {
		return p, true
	}
	if len(p) == 0 || int(p[0]) > len(p)-1 {
		return nil, false
	}
	return p[1 : len(p)-int(p[0])], true
}

// parseFrameHead returns the frame that b begins with, still without its payload,
// and how long that is.
func parseFrameHead(b []byte) (f frame, length int) {
	length = int(b[0])<<16 | int(b[1])<<8 | int(b[2])
	return frame{kind: b[3], flags: b[4], stream: binary.BigEndian.Uint32(b[5:]) & lastStream}, length
}

func appendFrameHead(b []byte, length int, kind, flags byte, stream uint32) []byte {
	return append(b, byte(length>>16), byte(length>>8), byte(length), kind, flags,
		byte(stream>>24), byte(stream>>16), byte(stream>>8), byte(stream))
}

func appendReset(b []byte, stream uint32, code Code) []byte {
	b = appendFrameHead(b, 4, frameReset, 0, stream)
	return binary.BigEndian.AppendUint32(b, uint32(code))
}

func appendWindowUpdate(b []byte, stream uint32, n int) []byte {
	b = appendFrameHead(b, 4, frameWindowUpdate, 0, stream)
	return binary.BigEndian.AppendUint32(b, uint32(n))
}

func appendGoAway(b []byte, last uint32, code Code) []byte {
	b = appendFrameHead(b, 8, frameGoAway, 0, 0)
	b = binary.BigEndian.AppendUint32(b, last)
	return binary.BigEndian.AppendUint32(b, uint32(code))
}

func appendSetting(b []byte, id uint16, value int) []byte {
	b = binary.BigEndian.AppendUint16(b, id)
	return binary.BigEndian.AppendUint32(b, uint32(value))
}

// appendHeaders appends a block of fields as HEADERS and as many CONTINUATION as
// it needs.
func appendHeaders(b []byte, stream uint32, block []byte, endStream bool) []byte {
	kind, flags := byte(frameHeaders), byte(0)
	if endStream {
		flags = flagEndStream
	}
	for {
		n := min(len(block), maxFrame)
		if n == len(block) {
			flags |= flagEndHeaders
		}
		b = appendFrameHead(b, n, kind, flags, stream)
		b = append(b, block[:n]...)
		if block = block[n:]; len(block) == 0 {
			return b
		}
		kind, flags = frameContinuation, 0
	}
}
