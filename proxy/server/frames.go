package server

import "encoding/binary"

// frames follows the WebSocket frames of one direction, to know where one ends:
// only there another can be put in between. RFC 6455, 5.2.
type frames struct {
	head   [14]byte
	have   int    // bytes of the next frame's head
	left   uint64 // bytes of the current frame's content that are still to come
	closed bool   // a Close frame went by: nothing may follow
}

// opClose is the opcode of a Close frame.
const opClose = 8

// pass takes note of bytes that went by.
func (f *frames) pass(b []byte) {
	for len(b) > 0 {
		if f.left > 0 {
			n := min(f.left, uint64(len(b)))
			f.left -= n
			b = b[n:]
			continue
		}
		f.head[f.have] = b[0]
		f.have++
		b = b[1:]
		if f.have >= 2 && f.have == f.size() {
			f.begin()
		}
	}
}

// size is how long the head is, as its first two bytes tell.
func (f *frames) size() int {
	size := 2
	switch f.head[1] & 0x7f {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if f.head[1]&0x80 != 0 {
		size += 4 // the mask
	}
	return size
}

// begin ends the head.
func (f *frames) begin() {
	switch n := f.head[1] & 0x7f; n {
	case 126:
		f.left = uint64(binary.BigEndian.Uint16(f.head[2:]))
	case 127:
		f.left = binary.BigEndian.Uint64(f.head[2:])
	default:
		f.left = uint64(n)
	}
	f.closed = f.closed || f.head[0]&0x0f == opClose
	f.have = 0
}

// between reports whether a frame can be put here.
func (f *frames) between() bool { return f.have == 0 && f.left == 0 && !f.closed }

// goingAway is a Close frame with the status 1001, without a reason. RFC 6455, 7.4.1.
const goingAway = "\x88\x02\x03\xe9"
