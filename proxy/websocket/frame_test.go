package websocket

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

// framed returns a client's frame: first is its first byte.
func framed(first byte, content string) string {
	mask := [4]byte{0x12, 0x34, 0x56, 0x78}
	b := []byte{first}
	switch n := len(content); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	b = append(b, mask[:]...)
	for i := range len(content) {
		b = append(b, content[i]^mask[i&3])
	}
	return string(b)
}

const (
	fin          = 0x80
	textFrame    = fin | byte(opText)
	textBegin    = byte(opText)
	continuation = byte(opContinuation)
	lastFrame    = fin | byte(opContinuation)
	pingFrame    = fin | byte(opPing)
	pongFrame    = fin | byte(opPong)
	closeFrame   = fin | byte(opClose)
)

// transcript decodes what arrives in pieces of a size, and says what came of it.
func transcript(wire string, piece int) string {
	d := decoder{maxFrame: 1 << 10, maxMessage: 4 << 10}
	var told strings.Builder
	for len(wire) > 0 {
		b := []byte(wire[:min(piece, len(wire))])
		wire = wire[len(b):]
		for len(b) > 0 {
			n, r, complete, err := d.decode(b)
			b = b[n:]
			var why *violation
			if errors.As(err, &why) {
				fmt.Fprintf(&told, "!%d ", why.code)
				return told.String()
			}
			switch {
			case !complete && len(b) > 0:
				return told.String() + "stuck"
			case !complete:
			case r.op == opClose:
				fmt.Fprintf(&told, "close(%d,%s) ", r.code, r.content)
			case r.op == opText && len(r.content) > 20:
				fmt.Fprintf(&told, "text(%d bytes) ", len(r.content))
			default:
				fmt.Fprintf(&told, "%s(%s) ", map[opcode]string{opText: "text", opPing: "ping", opPong: "pong"}[r.op], r.content)
			}
		}
	}
	return told.String()
}

// What clients may send, and what ends a connection, however it comes in pieces.
func TestDecode(t *testing.T) {
	f := func(want string, frames ...string) {
		t.Helper()
		wire := strings.Join(frames, "")
		for _, piece := range []int{len(wire), 1, 2, 3, 7, 100} {
			if piece > 0 {
				if got := strings.TrimSpace(transcript(wire, piece)); got != want {
					t.Errorf("in pieces of %d: got %q, want %q", piece, got, want)
				}
			}
		}
	}
	f("text(hello)", framed(textFrame, "hello"))
	f("text()", framed(textFrame, ""))
	f("text(126 bytes)", framed(textFrame, strings.Repeat("x", 126)))
	f("text(1024 bytes) text(a)", framed(textFrame, strings.Repeat("x", 1024)), framed(textFrame, "a"))
	f("text(héllo)", framed(textBegin, "h\xc3"), framed(lastFrame, "\xa9llo"))
	// A control frame may stand inside of a message.
	f("ping(p) text(ab)", framed(textBegin, "a"), framed(pingFrame, "p"), framed(lastFrame, "b"))
	f("text(ab)", framed(textBegin, "a"), framed(continuation, ""), framed(lastFrame, "b"))
	f("pong() ping() close(1005,)", framed(pongFrame, ""), framed(pingFrame, ""), framed(closeFrame, ""))
	f("close(1000,bye)", framed(closeFrame, "\x03\xe8bye"))
	f("text(4096 bytes)", framed(textBegin, strings.Repeat("a", 1024)), framed(continuation, strings.Repeat("a", 1024)),
		framed(continuation, strings.Repeat("a", 1024)), framed(lastFrame, strings.Repeat("a", 1024)))

	// Too long: one frame, and a message of several.
	f("!1009", framed(textFrame, strings.Repeat("x", 1025)))
	f("!1009", framed(textBegin, strings.Repeat("a", 1024)), framed(continuation, strings.Repeat("a", 1024)),
		framed(continuation, strings.Repeat("a", 1024)), framed(continuation, strings.Repeat("a", 1024)), framed(lastFrame, "b"))
	f("!1009", "\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00")
	f("!1003", framed(fin|byte(opBinary), "x"))
	f("!1007", framed(textFrame, "\xff"))
	f("!1007", framed(textBegin, "\xed"), framed(lastFrame, "\xa0\x80")) // half a surrogate pair
	f("!1007", framed(textFrame, "\xc3"))
	// Frames that no client may send.
	f("!1002", "\x81\x05hello")                                // no mask
	f("!1002", framed(textFrame|0x40, "x"))                    // a reserved bit
	f("!1002", framed(fin|3, ""), framed(fin|0xb, ""))         // reserved opcodes
	f("!1002", framed(fin|0xb, ""))                            //
	f("!1002", framed(lastFrame, "x"))                         // of nothing
	f("!1002", framed(textBegin, "a"), framed(textFrame, "b")) // inside of another
	f("!1002", framed(byte(opPing), "x"))                      // in pieces
	f("!1002", framed(pingFrame, strings.Repeat("x", 126)))    // too long
	f("!1002", framed(closeFrame, strings.Repeat("x", 126)))   //
	f("!1002", framed(closeFrame, "\x03"))                     // half a code
	f("!1007", framed(closeFrame, "\x03\xe8\xff"))             //
	f("!1002", "\x81\xfe\x00\x05\x00\x00\x00\x00hello")        // a length that could be shorter
	f("!1002", "\x81\xff\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00hello")
	f("!1002", "\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	for _, code := range []int{0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		f("!1002", framed(closeFrame, string(binary.BigEndian.AppendUint16(nil, uint16(code)))))
	}
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 4999} {
		f(fmt.Sprintf("close(%d,)", code), framed(closeFrame, string(binary.BigEndian.AppendUint16(nil, uint16(code)))))
	}
	f("!1008", framed(textBegin, "a"), strings.Repeat(framed(continuation, ""), maxIdleFragments+1))
}

// A message that trickles in takes no more memory than a few times what has arrived.
func TestDecodeMemory(t *testing.T) {
	d := decoder{maxFrame: 16 << 20, maxMessage: 16 << 20}
	wire := framed(textFrame, strings.Repeat("x", 8<<20))[:14+1000]
	for i := range len(wire) {
		if _, _, complete, err := d.decode([]byte(wire[i : i+1])); complete || err != nil {
			t.Fatal(complete, err)
		}
	}
	if cap(d.message) > 4<<10 {
		t.Errorf("%d bytes of memory for %d that arrived", cap(d.message), len(d.message))
	}
}

// Our own frames are those that a client reads.
func TestAppendFrame(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 0xffff, 0x10000} {
		content := bytes.Repeat([]byte("x"), n)
		got := appendFrame([]byte("<"), opText, content)
		if want := "<" + unmasked(framed(textFrame, string(content))); string(got) != want {
			t.Errorf("%d bytes: got %.20q, want %.20q", n, got, want)
		}
	}
	if got := appendClose(nil, closeNoCode, "x"); string(got) != "\x88\x00" {
		t.Errorf("got %q", got)
	}
	if got := appendClose(nil, 1001, strings.Repeat("é", 100)); len(got) > 2+maxControl || !utf8.Valid(got[4:]) {
		t.Errorf("got %q", got)
	}
}

// unmasked returns a client's frame as a server would send it.
func unmasked(frame string) string {
	b := []byte(frame)
	head := 2
	switch b[1] & 0x7f {
	case 126:
		head = 4
	case 127:
		head = 10
	}
	mask := [4]byte(b[head : head+4])
	content := b[head+4:]
	for i := range content {
		content[i] ^= mask[i&3]
	}
	b[1] &= 0x7f
	return string(b[:head]) + string(content)
}

// unmask is what the plain loop is, wherever it begins.
func TestUnmask(t *testing.T) {
	mask := [4]byte{1, 2, 4, 8}
	for n := range 40 {
		for at := range 5 {
			b := make([]byte, n)
			for i := range b {
				b[i] = byte(rand.Uint32())
			}
			want := bytes.Clone(b)
			for i := range want {
				want[i] ^= mask[(at+i)&3]
			}
			if unmask(b, b, mask, at); !bytes.Equal(b, want) {
				t.Fatalf("%d bytes from %d: got %x, want %x", n, at, b, want)
			}
		}
	}
}

// Whatever arrives, in whatever pieces: the decoder comes to the same end, in bounds.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(framed(textFrame, "hello")+framed(closeFrame, "\x03\xe8")), byte(3))
	f.Add([]byte(framed(textBegin, "a")+framed(pingFrame, "p")+framed(lastFrame, "b")), byte(1))
	f.Add([]byte("\x81\xff\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00hello"), byte(2))
	f.Fuzz(func(t *testing.T, wire []byte, piece byte) {
		if len(wire) == 0 {
			return
		}
		whole := transcript(string(wire), len(wire))
		if strings.Contains(whole, "stuck") {
			t.Fatal(whole)
		}
		if pieces := transcript(string(wire), max(1, int(piece))); pieces != whole {
			t.Fatalf("in pieces %q, at once %q", pieces, whole)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	for _, size := range []int{30, 1 << 10, 32 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			wire := []byte(framed(textFrame, strings.Repeat("x", size)))
			d := decoder{maxFrame: 1 << 20, maxMessage: 1 << 20}
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				if _, _, complete, err := d.decode(wire); !complete || err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
