package server

// A new goroutine's stack is 2 KiB. Where a request's way leads deep, it would be doubled
// twice with many frames on it, each of which the runtime has to look up: two fifths of
// our own instructions for a connection that is there for one request. So it grows once,
// while there is little on it. BenchmarkDeepen compares the two.

// stackRoom is how many bytes of it answering a request needs, about.
const stackRoom = 5 << 10

// deepen makes the goroutine's stack large enough to answer a request.
//
//go:noinline
func deepen() {
	var room [stackRoom]byte
	touch(&room)
}

// touch keeps the compiler from leaving room out.
//
//go:noinline
func touch(room *[stackRoom]byte) { room[0] = 1 }
