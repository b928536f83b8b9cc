package server

import (
	"net/http"
	"sync"
	"time"
)

// stall resets an HTTP/2 stream whose client leaves it no room to send for too
// long: x/net's server bounds writes to the connection, but not the wait for the
// client's flow control. RFC 9113, 10.5. The zero value is ready to use, by one
// stream after another.
type stall struct {
	timer *time.Timer // set by the first begin

	mu     sync.Mutex // guards what follows
	writer http.ResponseWriter
}

// begin gives the writes up to the next end the time d.
func (t *stall) begin(w http.ResponseWriter, d time.Duration) {
	t.mu.Lock()
	t.writer = w
	t.mu.Unlock()
	if t.timer == nil {
		t.timer = time.AfterFunc(d, t.cut)
		return
	}
	t.timer.Reset(d)
}

func (t *stall) end() {
	t.timer.Stop()
	t.mu.Lock() // waits for a cut under way
	t.writer = nil
	t.mu.Unlock()
}

func (t *stall) cut() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w, ok := t.writer.(interface{ SetWriteDeadline(time.Time) error }); ok {
		_ = w.SetWriteDeadline(time.Unix(1, 0)) // it has passed: the stream is reset at once
	}
}
