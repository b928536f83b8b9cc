package explain

import "sync"

// How many traces of live requests are kept, and how many bytes of them: the newest.
const (
	maxKept  = 256
	keptRoom = 16 << 20
)

// Ring has the newest traces. The zero value is ready to use. Safe for concurrent use.
type Ring struct {
	mu    sync.Mutex // guards what follows
	kept  []*Trace   // oldest first
	bytes int
}

// Add keeps a finished trace.
func (r *Ring) Add(t *Trace) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept, r.bytes = append(r.kept, t), r.bytes+t.size()
	for len(r.kept) > maxKept || r.bytes > keptRoom {
		r.bytes -= r.kept[0].size()
		r.kept[0] = nil
		r.kept = r.kept[1:]
	}
}

// Find returns the newest trace of a request's id, nil for none.
func (r *Ring) Find(id string) *Trace {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(r.kept) - 1; i >= 0; i-- {
		if r.kept[i].ID == id {
			return r.kept[i]
		}
	}
	return nil
}

// List returns all that are kept, newest first.
func (r *Ring) List() []Summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Summary, 0, len(r.kept))
	for i := len(r.kept) - 1; i >= 0; i-- {
		t := r.kept[i]
		s := Summary{ID: t.ID, Time: t.Time, API: t.API, Stage: t.Stage, Request: t.Request.Method + " " + t.Request.Target, Status: t.Reply.Status, Took: t.Took}
		if t.Fault != nil {
			s.Fault = t.Fault.Kind
		}
		all = append(all, s)
	}
	return all
}

// size is about how much memory t takes.
func (t *Trace) size() int { return maxTrace - max(t.room, 0) + 4<<10 }
