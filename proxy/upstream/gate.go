package upstream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/postern-gateway/postern/proxy"
)

// gate bounds the requests of a backend and of each of its targets. Who finds no
// place waits in a bounded queue; places are given in the order of arrival.
type gate struct {
	// Set at construction.
	requests int // at the same time; 0: no bound
	queue    int
	wait     time.Duration

	spare sync.Pool // of *waiter

	mu          sync.Mutex // guards what follows
	active      int
	first, last *waiter
	waiting     int
	refused     uint64
}

// waiter is one request in the queue.
type waiter struct {
	given chan struct{} // of one place: a target was given
	timer *time.Timer

	// Guarded by the gate's mu.
	want       want
	got        *target
	prev, next *waiter
}

func newGate(s *settings) *gate {
	if s.requests == 0 && s.perOne == 0 {
		return nil
	}
	return &gate{requests: s.requests, queue: s.queue, wait: s.wait}
}

// enter returns a target with a place for the request, which leave gives back.
// It waits for one, if there are bounds, and for the first look-up of names.
func (b *backend) enter(ctx context.Context, ex *proxy.Exchange, w *want, now, limit time.Time) (*target, error) {
	for {
		p := b.picks.Load()
		if len(p.members) == 0 {
			if err := b.nobody(ctx, p, limit); err != nil {
				return nil, err
			}
			continue
		}
		if b.gate != nil {
			return b.gate.enter(ctx, ex, b, w, now, limit)
		}
		t := b.choose(p, w, now)
		t.begun.Add(1)
		return t, nil
	}
}

// leave gives a place back.
func (b *backend) leave(t *target) {
	t.ended.Add(1)
	if g := b.gate; g != nil {
		g.mu.Lock()
		g.active--
		g.admit(b)
		g.mu.Unlock()
	}
}

// nobody waits for the first look-up of the targets' names. The error says why
// there is no target.
func (b *backend) nobody(ctx context.Context, p *picks, limit time.Time) error {
	if p.refuse {
		return proxy.Fault{Kind: proxy.Overloaded, Cause: errors.New("no target is healthy")}
	}
	select {
	case <-b.looked:
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.picks.Load().members) > 0 {
			return nil
		}
		return connectError{b.broken}
	default:
	}
	limited, cancel := context.WithDeadline(ctx, earlier(time.Now().Add(b.connect), limit))
	defer cancel()
	select {
	case <-b.looked:
		return nil
	case <-limited.Done():
		return connectError{fmt.Errorf("look up the targets: %w", limited.Err())}
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func (g *gate) enter(ctx context.Context, ex *proxy.Exchange, b *backend, w *want, now, limit time.Time) (*target, error) {
	g.mu.Lock()
	if g.first == nil {
		if t := g.place(b, w, now); t != nil {
			g.mu.Unlock()
			return t, nil
		}
	}
	if g.waiting >= g.queue {
		g.refused++
		g.mu.Unlock()
		return nil, proxy.Fault{Kind: proxy.Overloaded, Cause: fmt.Errorf("backend %s is at its bounds and %d requests wait", b.name, g.queue)}
	}
	q, _ := g.spare.Get().(*waiter)
	if q == nil {
		q = &waiter{given: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
	}
	q.want, q.got = *w, nil
	g.append(q)
	g.mu.Unlock()
	err := g.await(ctx, ex, q, now, limit)
	if err == nil {
		t := q.got
		w.turn = q.want.turn
		g.spare.Put(q)
		return t, nil
	}
	g.mu.Lock()
	if t := q.got; t != nil { // at the last moment
		g.mu.Unlock()
		<-q.given
		g.spare.Put(q)
		return t, nil
	}
	g.remove(q)
	g.refused++
	g.mu.Unlock()
	g.spare.Put(q)
	return nil, err
}

// await waits until q gets a target.
func (g *gate) await(ctx context.Context, ex *proxy.Exchange, q *waiter, now, limit time.Time) error {
	end := earlier(now.Add(g.wait), limit)
	defer q.timer.Stop()
	for {
		q.timer.Reset(min(waitSlice, end.Sub(now)))
		select {
		case <-q.given:
			return nil
		case <-ctx.Done():
			return proxy.Fault{Kind: proxy.ClientGone, Cause: ctx.Err()}
		case <-q.timer.C:
		}
		if ex.ClientGone() {
			return proxy.Fault{Kind: proxy.ClientGone, Cause: errors.New("the client left while its request waited for a backend")}
		}
		if now = time.Now(); !now.Before(end) {
			return proxy.Fault{Kind: proxy.Overloaded, Cause: fmt.Errorf("no place at a target within %s", g.wait)}
		}
	}
}

// place takes a place for w, if there is one. The caller holds mu.
func (g *gate) place(b *backend, w *want, now time.Time) *target {
	p := b.picks.Load()
	if len(p.members) == 0 || g.requests > 0 && g.active >= g.requests {
		return nil
	}
	t := b.choose(p, w, now)
	if t != nil {
		g.active++
		t.begun.Add(1)
	}
	return t
}

// admit gives places to those who wait. The caller holds mu.
func (g *gate) admit(b *backend) {
	if g.first == nil {
		return
	}
	now := time.Now()
	for g.first != nil {
		q := g.first
		t := g.place(b, &q.want, now)
		if t == nil {
			return
		}
		q.got = t
		g.remove(q)
		q.given <- struct{}{}
	}
}

// wake gives places that have come up by other ways than leave.
func (g *gate) wake(b *backend) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.admit(b)
}

func (g *gate) append(q *waiter) {
	q.prev, q.next = g.last, nil
	if g.last == nil {
		g.first = q
	} else {
		g.last.next = q
	}
	g.last = q
	g.waiting++
}

func (g *gate) remove(q *waiter) {
	if q.prev == nil {
		g.first = q.next
	} else {
		q.prev.next = q.next
	}
	if q.next == nil {
		g.last = q.prev
	} else {
		q.next.prev = q.prev
	}
	q.prev, q.next = nil, nil
	g.waiting--
}
