// Package websocket has the connections of WebSocket APIs: what clients send is
// taken apart into messages, each of which becomes an exchange, and what backends
// post to a connection goes out to its client.
package websocket

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// opcode says what a frame is. RFC 6455, 5.2.
type opcode byte

const (
	opContinuation opcode = 0
	opText         opcode = 1
	opBinary       opcode = 2
	opClose        opcode = 8
	opPing         opcode = 9
	opPong         opcode = 10
)

// The codes of Close frames that are ours to send, or that say how a connection ended
// without one. RFC 6455, 7.4.1.
const (
	closeNormal      = 1000
	closeGoingAway   = 1001
	closeProtocol    = 1002
	closeUnsupported = 1003
	closeNoCode      = 1005 // never sent: the client's Close frame had none
	closeAbnormal    = 1006 // never sent: there was no Close frame
	closeInvalidText = 1007
	closePolicy      = 1008
	closeTooBig      = 1009
	closeInternal    = 1011
)

// maxControl is how much content a control frame may have, in bytes. RFC 6455, 5.5.
const maxControl = 125

// maxIdleFragments is how many frames of one message may bring nothing: more are no
// way to send a message, but one to keep us busy.
const maxIdleFragments = 16

// violation is why a connection is ended because of what its client sends.
type violation struct {
	code   int
	reason string // for the client and the log
}

func (v *violation) Error() string { return v.reason }

func violates(code int, format string, args ...any) error {
	return &violation{code, fmt.Sprintf(format, args...)}
}

// received is a message or a control frame that is complete.
type received struct {
	op      opcode // opText, opClose, opPing or opPong
	content []byte // of a message: memory of its own; else valid until the next call of decode
	code    int    // of opClose; closeNoCode for none
}

// decoder takes a client's bytes apart. It holds no more of a message than what has
// arrived of it. The zero value has to be given its limits.
type decoder struct {
	maxFrame, maxMessage int // bytes

	head    [14]byte
	have    int    // bytes of head
	open    bool   // head is complete, and content is due
	op      opcode // of the frame
	fin     bool
	mask    [4]byte
	size    int // content of the frame, in bytes
	got     int // of it
	control [maxControl]byte

	within    bool   // a message has begun and isn't complete
	message   []byte // of what arrived
	fragments int    // frames of it that brought nothing
}

// decode takes bytes from b up to the end of a message or a control frame, or all of
// them; then complete is false. After an error, which is a *violation, the connection
// is of no more use.
func (d *decoder) decode(b []byte) (n int, r received, complete bool, err error) {
	for n < len(b) || d.open && d.got == d.size {
		if !d.open {
			taken, err := d.readHead(b[n:])
			n += taken
			if err != nil {
				return n, received{}, false, err
			}
			continue
		}
		n += d.readContent(b[n:])
		if d.got < d.size {
			break
		}
		d.open = false
		if r, complete, err = d.end(); complete || err != nil {
			return n, r, complete, err
		}
	}
	return n, received{}, false, nil
}

// readHead takes bytes of a frame's head, and judges it as soon as it is complete.
func (d *decoder) readHead(b []byte) (n int, err error) {
	for n < len(b) {
		d.head[d.have] = b[n]
		d.have++
		n++
		if d.have == 2 {
			if err := d.judge(); err != nil {
				return n, err
			}
		}
		if d.have >= 2 && d.have == d.headSize() {
			d.have = 0
			return n, d.begin()
		}
	}
	return n, nil
}

// headSize is how long the head is, as its first two bytes tell: all have a mask.
func (d *decoder) headSize() int {
	switch d.head[1] & 0x7f {
	case 126:
		return 2 + 2 + 4
	case 127:
		return 2 + 8 + 4
	}
	return 2 + 4
}

// judge looks at a frame's first two bytes.
func (d *decoder) judge() error {
	d.fin, d.op = d.head[0]&0x80 != 0, opcode(d.head[0]&0x0f)
	short := d.head[1] & 0x7f
	switch {
	case d.head[0]&0x70 != 0: // no extension was agreed on. RFC 6455, 5.2
		return violates(closeProtocol, "reserved bits are set")
	case d.head[1]&0x80 == 0: // RFC 6455, 5.1
		return violates(closeProtocol, "a frame isn't masked")
	}
	switch d.op {
	case opContinuation:
		if !d.within {
			return violates(closeProtocol, "a continuation of nothing")
		}
	case opText, opBinary:
		if d.within {
			return violates(closeProtocol, "a message inside of another")
		}
		if d.op == opBinary { // AWS: "WebSocket APIs", binary frames aren't supported
			return violates(closeUnsupported, "binary frames aren't supported")
		}
	case opClose, opPing, opPong:
		if !d.fin || short > maxControl { // RFC 6455, 5.5
			return violates(closeProtocol, "a control frame that is fragmented or too long")
		}
	default:
		return violates(closeProtocol, "unknown opcode %d", d.op)
	}
	return nil
}

// begin ends a head: its length counts, before any content is taken.
func (d *decoder) begin() error {
	size, mask := uint64(d.head[1]&0x7f), d.head[2:]
	switch size {
	case 126:
		if size = uint64(binary.BigEndian.Uint16(mask)); size < 126 {
			return violates(closeProtocol, "a length that isn't written as short as it could be")
		}
		mask = mask[2:]
	case 127:
		if size = binary.BigEndian.Uint64(mask); size <= 0xffff || size>>63 != 0 {
			return violates(closeProtocol, "a length that isn't written as short as it could be")
		}
		mask = mask[8:]
	}
	if d.op < opClose {
		if size > uint64(d.maxFrame) {
			return violates(closeTooBig, "a frame of more than %d bytes", d.maxFrame)
		}
		if int(size) > d.maxMessage-len(d.message) {
			return violates(closeTooBig, "a message of more than %d bytes", d.maxMessage)
		}
		if size == 0 && !d.fin {
			if d.fragments++; d.fragments > maxIdleFragments {
				return violates(closePolicy, "more than %d empty fragments", maxIdleFragments)
			}
		}
	}
	copy(d.mask[:], mask)
	d.open, d.size, d.got = true, int(size), 0
	return nil
}

// readContent takes content of the frame.
func (d *decoder) readContent(b []byte) (n int) {
	n = min(len(b), d.size-d.got)
	if d.op >= opClose {
		unmask(d.control[d.got:], b[:n], d.mask, d.got)
	} else {
		at := len(d.message)
		if d.fin && !d.within && n == d.size {
			d.message = make([]byte, 0, n) // nearly always a message comes in one piece
		}
		d.message = append(d.message, b[:n]...)
		unmask(d.message[at:], d.message[at:], d.mask, d.got)
	}
	d.got += n
	return n
}

// unmask writes b without its mask to to. The first byte is number at of the frame's
// content. RFC 6455, 5.3.
func unmask(to, b []byte, mask [4]byte, at int) {
	to = to[:len(b)]
	key := [4]byte{mask[at&3], mask[(at+1)&3], mask[(at+2)&3], mask[(at+3)&3]}
	wide := uint64(binary.LittleEndian.Uint32(key[:]))
	wide |= wide << 32
	i := 0
	for ; i <= len(b)-8; i += 8 {
		binary.LittleEndian.PutUint64(to[i:], binary.LittleEndian.Uint64(b[i:])^wide)
	}
	for ; i < len(b); i++ {
		to[i] = b[i] ^ key[i&3]
	}
}

// end ends a frame.
func (d *decoder) end() (r received, complete bool, err error) {
	switch {
	case d.op == opClose:
		return d.endClose()
	case d.op > opClose:
		return received{op: d.op, content: d.control[:d.size]}, true, nil
	case !d.fin:
		d.within = true
		return received{}, false, nil
	}
	message := d.message
	d.message, d.within, d.fragments = nil, false, 0
	if !utf8.Valid(message) { // RFC 6455, 8.1
		return received{}, false, violates(closeInvalidText, "a message that isn't UTF-8")
	}
	return received{op: opText, content: message}, true, nil
}

// endClose reads the content of a Close frame. RFC 6455, 5.5.1 and 7.4.
func (d *decoder) endClose() (r received, complete bool, err error) {
	content := d.control[:d.size]
	if len(content) == 0 {
		return received{op: opClose, code: closeNoCode}, true, nil
	}
	if len(content) == 1 {
		return received{}, false, violates(closeProtocol, "half a code in a Close frame")
	}
	code := int(binary.BigEndian.Uint16(content))
	if !validCode(code) {
		return received{}, false, violates(closeProtocol, "the code %d in a Close frame", code)
	}
	if !utf8.Valid(content[2:]) {
		return received{}, false, violates(closeInvalidText, "a reason that isn't UTF-8")
	}
	return received{op: opClose, code: code, content: content[2:]}, true, nil
}

// validCode reports whether a Close frame may have the code. RFC 6455, 7.4.2, and
// IANA's registry of close codes.
func validCode(code int) bool {
	switch {
	case code >= 1000 && code <= 1003, code >= 1007 && code <= 1014, code >= 3000 && code <= 4999:
		return true
	}
	return false
}

// appendFrame appends a whole frame of ours, which has no mask. RFC 6455, 5.1.
func appendFrame(dst []byte, op opcode, content []byte) []byte {
	dst = append(dst, 0x80|byte(op))
	switch n := len(content); {
	case n <= maxControl:
		dst = append(dst, byte(n))
	case n <= 0xffff:
		dst = binary.BigEndian.AppendUint16(append(dst, 126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 127), uint64(n))
	}
	return append(dst, content...)
}

// appendClose appends a Close frame; closeNoCode has neither code nor reason. A reason
// that is too long is cut.
func appendClose(dst []byte, code int, reason string) []byte {
	if code == closeNoCode {
		return appendFrame(dst, opClose, nil)
	}
	for len(reason) > maxControl-2 || !utf8.ValidString(reason) {
		reason = reason[:min(len(reason)-1, maxControl-2)]
	}
	content := binary.BigEndian.AppendUint16(make([]byte, 0, maxControl), uint16(code))
	return appendFrame(dst, opClose, append(content, reason...))
}
