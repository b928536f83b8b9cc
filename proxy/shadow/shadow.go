// Package shadow sends copies of a stage's requests to another stage and compares the
// answers. What it counts and keeps outlives configurations.
package shadow

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// Set has the shadows of all stages. Safe for concurrent use.
type Set struct {
	ctx    context.Context
	cancel context.CancelFunc
	copies sync.WaitGroup

	mu      sync.Mutex // guards what follows
	records map[Name]*record
}

// Name is the stage whose requests are copied.
type Name struct{ API, Stage string }

// NewSet returns a Set without shadows.
func NewSet() *Set {
	s := &Set{records: map[Name]*record{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Close gives up the copies under way and waits for them.
func (s *Set) Close() {
	s.cancel()
	s.copies.Wait()
}

// Counts are what became of a stage's requests.
type Counts struct {
	Same      uint64 `json:"same"`
	Different uint64 `json:"different"`
	// Dropped weren't copied: there were too many under way.
	Dropped uint64 `json:"dropped"`
	// Skipped weren't compared: their content is too long, or an answer broke off.
	Skipped uint64 `json:"skipped"`
}

// Report is what is known of one shadow.
type Report struct {
	API    string `json:"api"`
	Stage  string `json:"stage"`
	Counts Counts `json:"counts"`
	// Differences are the latest, newest first.
	Differences []Difference `json:"differences"`
}

// Difference is one request whose answers differ. It has no values of theirs, which may
// be secrets.
type Difference struct {
	Time      time.Time `json:"time"`
	RequestID string    `json:"request_id"`
	Method    string    `json:"method"`
	Path      string    `json:"path"`
	Status    [2]int    `json:"status"` // the stage's, and the shadow's
	// Headers are fields that only one has, or that differ.
	Headers []string `json:"headers,omitempty"`
	// Body are the paths in JSON that differ, or "byte N" for where other content does.
	Body []string `json:"body,omitempty"`
}

// Reports returns what is known of all shadows, in the order of their names.
func (s *Set) Reports() []Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Report, 0, len(s.records))
	for name, r := range s.records {
		all = append(all, r.report(name))
	}
	slices.SortFunc(all, func(a, b Report) int {
		return cmp.Or(strings.Compare(a.API, b.API), strings.Compare(a.Stage, b.Stage))
	})
	return all
}

// record is what is kept of one shadow.
type record struct {
	same, different, dropped, skipped atomic.Uint64

	underWay atomic.Int64

	mu   sync.Mutex // guards what follows
	ring []Difference
	next int // in ring
}

func (r *record) report(n Name) Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Difference, 0, len(r.ring))
	for i := range r.ring {
		if d := r.ring[(r.next-1-i+2*len(r.ring))%len(r.ring)]; !d.Time.IsZero() {
			all = append(all, d)
		}
	}
	return Report{n.API, n.Stage, Counts{r.same.Load(), r.different.Load(), r.dropped.Load(), r.skipped.Load()}, all}
}

// keep adds d in place of the oldest.
func (r *record) keep(d Difference) {
	r.different.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ring[r.next] = d
	r.next = (r.next + 1) % len(r.ring)
}

// size makes room for n differences; the newest stay.
func (r *record) size(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ring) == n {
		return
	}
	ring := make([]Difference, n)
	kept := 0
	for i := 0; i < len(r.ring) && kept < n; i++ {
		d := r.ring[(r.next-1-i+2*len(r.ring))%len(r.ring)]
		if d.Time.IsZero() {
			break
		}
		kept++
		ring[n-kept] = d
	}
	r.ring, r.next = ring, 0
}

// Mirror returns who copies the requests of a stage as c says.
func (s *Set) Mirror(api, stage string, c *config.Shadow) proxy.Mirror {
	s.mu.Lock()
	name := Name{api, stage}
	r := s.records[name]
	if r == nil {
		r = &record{}
		s.records[name] = r
	}
	s.mu.Unlock()
	r.size(c.Keep)
	m := &mirror{
		set: s, record: r, share: float64(c.Percent) / 100, methods: c.Methods, maxBody: int64(c.MaxBody), maxAnswer: int(c.MaxAnswer),
		most: int64(c.MaxConcurrent), timeout: time.Duration(c.Timeout), headers: c.IgnoreHeaders,
	}
	for _, path := range c.Ignore {
		m.masks = append(m.masks, parseMask(path))
	}
	return m
}

// Keep forgets all shadows but those of cfg.
func (s *Set) Keep(cfg *config.Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.records {
		if stage, there := cfg.API[name.API].Stage[name.Stage]; !there || stage.Shadow == nil {
			delete(s.records, name)
		}
	}
}

// mirror is a proxy.Mirror.
type mirror struct {
	set       *Set
	record    *record
	share     float64 // 0 to 1
	methods   []string
	maxBody   int64
	maxAnswer int
	most      int64
	timeout   time.Duration
	headers   []string
	masks     []mask
}

var _ proxy.Mirror = (*mirror)(nil)

// Begin implements proxy.Mirror.
func (m *mirror) Begin(ex *proxy.Exchange, to proxy.Shadow) {
	if !slices.Contains(m.methods, ex.Method) || rand.Float64() >= m.share || ex.In.Upgrade != "" {
		return
	}
	if ex.In.Length > m.maxBody {
		m.record.skipped.Add(1)
		return
	}
	if m.record.underWay.Add(1) > m.most || m.set.ctx.Err() != nil || !to.Hold() {
		m.record.underWay.Add(-1)
		m.record.dropped.Add(1)
		return
	}
	c := newDouble(m, ex, to)
	ex.Keep(doubleKey{}, c)
	ex.OnDone(func() { c.leave(ex) })
}

// Watch implements proxy.Mirror.
func (m *mirror) Watch(next proxy.Step) proxy.Step { return &watch{next} }

// watch is a route's last step, which has the content of replies that are compared
// copied as they are sent.
type watch struct{ next proxy.Step }

// Run implements proxy.Step.
func (w *watch) Run(ctx context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	if w.next != nil {
		_, _ = w.next.Run(ctx, ex) // it can't fail
	}
	if c, _ := ex.Kept(doubleKey{}).(*double); c != nil && ex.Reply.Body != nil {
		ex.Reply.Body = &tee{Body: ex.Reply.Body, into: &c.answer}
	}
	return proxy.Continue, nil
}
