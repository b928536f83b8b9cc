package server

import (
	"strings"
	"testing"
)

func TestFrames(t *testing.T) {
	// Whole frames, in pieces of every size, let a frame follow only at their ends.
	f := func(want bool, sent ...string) {
		t.Helper()
		all := strings.Join(sent, "")
		for size := 1; size <= max(1, len(all)); size++ {
			var s frames
			for rest := all; rest != ""; {
				n := min(size, len(rest))
				s.pass([]byte(rest[:n]))
				rest = rest[n:]
			}
			if got := s.between(); got != want {
				t.Errorf("%.20q in pieces of %d: got %v, want %v", all, size, got, want)
			}
		}
	}
	f(true)
	f(true, "\x81\x05hello")
	f(true, "\x81\x05hello", "\x82\x00")
	f(false, "\x81\x05hell")
	f(false, "\x81")
	f(true, "\x81\x85abcdhello") // with a mask
	f(false, "\x81\x85abcdhell")
	long := strings.Repeat("x", 300)
	f(true, "\x82\x7e\x01\x2c"+long)
	f(false, "\x82\x7e\x01\x2c"+long[1:])
	f(false, "\x82\x7f\x00\x00\x00\x00\x00")
	f(true, "\x82\x7f\x00\x00\x00\x00\x00\x00\x01\x2c"+long)
	f(true, "\x01\x03abc")        // between two fragments
	f(false, "\x88\x02\x03\xe8")  // after a Close frame
	f(false, "\x88\x00\x81\x01x") // whatever comes after it
}
