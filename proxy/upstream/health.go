package upstream

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy"
)

// health is how targets are asked whether they are well.
type health struct {
	path     string // "": a connection is enough
	host     string // "": the target's address
	interval time.Duration
	timeout  time.Duration
	rise     int // good answers in a row make it well
	fall     int // bad answers in a row make it sick
	status   statuses
}

// watch begins to ask t, until b or t ends. The caller holds mu.
func (b *backend) watch(t *target) {
	var ctx context.Context
	ctx, t.unwatch = context.WithCancel(b.running)
	b.spawn(ctx, func(ctx context.Context) { b.ask(ctx, t) })
}

// ask asks t again and again. Many targets aren't asked all at once: the first
// questions are spread over a tenth of the interval.
func (b *backend) ask(ctx context.Context, t *target) {
	h := b.health
	good, bad := h.rise-1, h.fall-1 // the first answer counts at once
	for wait := part(h.interval / 10); rest(ctx, wait); {
		begin := time.Now()
		err := b.check(ctx, t)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			good, bad = good+1, 0
		} else {
			good, bad = 0, bad+1
		}
		b.heard(t, good >= h.rise, bad >= h.fall, err)
		wait = h.interval*9/10 + part(h.interval/5) - time.Since(begin)
	}
}

// part returns a random part of d.
func part(d time.Duration) time.Duration { return time.Duration(rand.Int64N(int64(d) + 1)) }

// rest waits for d and reports whether ctx goes on.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// heard takes over what the answers so far mean.
func (b *backend) heard(t *target, well, sick bool, why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case well && t.sick:
		t.sick = false
		b.rise(t)
		b.options.Logger.Info("target is healthy again", zap.String("backend", b.name), zap.String("target", t.address))
	case sick && !t.sick:
		t.sick = true
		b.options.Logger.Warn("target is unhealthy", zap.String("backend", b.name), zap.String("target", t.address), zap.Error(why))
	default:
		return
	}
	b.publish()
}

// check asks t once, over a connection of its own.
func (b *backend) check(ctx context.Context, t *target) error {
	h := b.health
	limit := time.Now().Add(h.timeout)
	limited, cancel := context.WithDeadline(ctx, limit)
	defer cancel()
	if t.sessions != nil && h.path != "" {
		return b.checkStream(limited, t, limit)
	}
	c, err := t.dial(limited, netip.AddrPort{}, netip.AddrPort{})
	if err != nil {
		return err
	}
	defer c.close()
	if h.path == "" {
		return nil
	}
	defer context.AfterFunc(limited, func() { _ = c.wire.Close() })() // whoever reads then fails
	ex := h.question(t)
	if err := c.exchange(ex, nil, false, time.Now(), limit, b); err != nil {
		return err
	}
	c.failed = true // it isn't kept
	ex.End()
	return h.judge(ex.Back.Status)
}

// checkStream is check over HTTP/2, where requests share the connection.
func (b *backend) checkStream(ctx context.Context, t *target, limit time.Time) error {
	ex := b.health.question(t)
	defer ex.End()
	if err := t.sessions.exchange(ctx, ex, nil, nil, false, limit); err != nil {
		return err
	}
	return b.health.judge(ex.Back.Status)
}

// question returns the exchange that asks t.
func (h *health) question(t *target) *proxy.Exchange {
	ex := new(proxy.Exchange)
	ex.Begin(time.Now(), nil)
	ex.Out = proxy.Outgoing{Method: "GET", Target: h.path, Host: h.host, Timeout: h.timeout}
	if ex.Out.Host == "" {
		ex.Out.Host = t.address
	}
	return ex
}

func (h *health) judge(status int) error {
	if !h.status.has(status) {
		return fmt.Errorf("status %d", status)
	}
	return nil
}
