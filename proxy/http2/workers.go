package http2

import "sync"

// idleWorkers is how many goroutines wait for requests at most. They keep their
// stacks, which new ones would have to grow.
const idleWorkers = 256

// Workers lends goroutines to streams. The zero value is ready to use; Close ends
// those that wait. Safe for concurrent use.
type Workers struct {
	all   sync.WaitGroup
	heads sync.Pool // of *Head

	mu     sync.Mutex // guards what follows
	idle   []chan *Stream
	closed bool
}

// run has s served.
func (w *Workers) run(s *Stream) {
	w.mu.Lock()
	if n := len(w.idle); n > 0 {
		next := w.idle[n-1]
		w.idle = w.idle[:n-1]
		w.mu.Unlock()
		next <- s
		return
	}
	w.all.Add(1)
	w.mu.Unlock()
	go w.work(s)
}

func (w *Workers) work(s *Stream) {
	defer w.all.Done()
	next := make(chan *Stream, 1) // who gives work doesn't wait for the worker to wake up
	for s != nil {
		s.conn.answer(s)
		w.mu.Lock()
		if w.closed || len(w.idle) == idleWorkers {
			w.mu.Unlock()
			return
		}
		w.idle = append(w.idle, next)
		w.mu.Unlock()
		s = <-next
	}
}

// Close ends the goroutines that wait, and waits for all. No stream is served any
// more when it's called.
func (w *Workers) Close() {
	w.mu.Lock()
	w.closed = true
	for _, next := range w.idle {
		close(next)
	}
	w.idle = nil
	w.mu.Unlock()
	w.all.Wait()
}

// keptFields is for how many fields a head may have room that is used again.
const keptFields = 256

// giveHead takes back the head of a request that was served.
func (w *Workers) giveHead(h *Head) {
	if cap(h.Fields) <= keptFields {
		h.Reset()
		w.heads.Put(h)
	}
}
