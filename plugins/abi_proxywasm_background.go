package plugins

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/sdk/abi"
)

// wasmBackground runs the callbacks of a plugin that no request waits for: ticks,
// new items in its queues, and answers to its own requests. Its first use starts
// it; stop waits for its goroutines. Safe for concurrent use.
type wasmBackground struct {
	pool *boundPool

	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup
	again  chan struct{} // one element: look what is due

	mu      sync.Mutex // guards what follows
	running bool
	stopped bool
	queues  []uint32 // that have got an item; each once
}

// maxQueued is how many queues may wait for their callback.
const maxQueued = 64

// minPeriod is the shortest time between two ticks of one instance.
const minPeriod = 10 * time.Millisecond

func newWasmBackground(pool *boundPool) *wasmBackground {
	b := &wasmBackground{pool: pool, again: make(chan struct{}, 1)}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b
}

// stop ends the goroutines and waits for them. Nothing starts afterwards.
func (b *wasmBackground) stop() {
	b.mu.Lock()
	b.stopped = true
	b.mu.Unlock()
	b.cancel()
	b.work.Wait()
}

// begin runs f in a goroutine, unless everything ends.
func (b *wasmBackground) begin(f func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return false
	}
	b.work.Go(f)
	return true
}

// look has the background look what is due.
func (b *wasmBackground) look() {
	b.mu.Lock()
	start := !b.running && !b.stopped
	if start {
		b.running = true
		b.work.Go(b.run)
	}
	b.mu.Unlock()
	select {
	case b.again <- struct{}{}:
	default:
	}
}

// queued notes that a queue has a new item.
func (b *wasmBackground) queued(number uint32) {
	b.mu.Lock()
	if len(b.queues) < maxQueued {
		b.queues = append(b.queues, number)
	}
	b.mu.Unlock()
	b.look()
}

func (b *wasmBackground) nextQueue() (number uint32, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queues) == 0 {
		return 0, false
	}
	number = b.queues[0]
	b.queues = b.queues[1:]
	return number, true
}

// run does what is due until stop.
func (b *wasmBackground) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		for number, ok := b.nextQueue(); ok && b.ctx.Err() == nil; number, ok = b.nextQueue() {
			b.tellQueue(number)
		}
		due, next := b.pool.due()
		for _, in := range due {
			b.tick(in)
		}
		if len(due) > 0 {
			_, next = b.pool.due()
		}
		timer.Reset(max(0, next))
		select {
		case <-b.ctx.Done():
			return
		case <-b.again:
		case <-timer.C:
		}
	}
}

// tick runs an instance's tick, and says when the next is due.
func (b *wasmBackground) tick(in *instance) {
	b.visit(in, func(g *proxyWasm) error {
		now := in.plugin.host.now()
		if g.period == 0 || g.due > now {
			return nil
		}
		g.due = now + int64(g.period)
		return g.call(g.on.tick, rootContext)
	})
}

// tellQueue has one instance look after a queue.
func (b *wasmBackground) tellQueue(number uint32) {
	in, err := b.pool.take(b.ctx)
	if err != nil {
		return // the item stays, and the next one tells again
	}
	b.attend(in, func(g *proxyWasm) error { return g.call(g.on.queueReady, rootContext, uint64(number)) })
}

// visit returns to an instance and runs f with the plugin's own context.
func (b *wasmBackground) visit(in *instance, f func(g *proxyWasm) error) {
	if in.plugin.retake(in) == nil {
		b.attend(in, f)
	}
}

// attend runs f in an instance that was taken, and gives it back.
func (b *wasmBackground) attend(in *instance, f func(g *proxyWasm) error) {
	g := in.proxyWasm
	in.begin(abi.Start, nil, nil, in.plugin.limit(shortTimeout))
	g.enter(nil)
	err := f(g)
	if err == nil {
		g.look(nil)
		err = g.release()
	}
	if err == nil {
		in.plugin.lend(in)
		return
	}
	in.plugin.logger.Warn("a plugin failed in the background", zap.Error(err))
	in.plugin.give(in, err)
}

// release lets go of the streams that the guest has finished with since.
func (g *proxyWasm) release() error {
	for len(g.leaving) > 0 {
		s := g.leaving[0]
		g.leaving = g.leaving[1:]
		if err := g.forget(s); err != nil {
			return err
		}
	}
	return nil
}

// setPeriod is proxy_set_tick_period_milliseconds.
func (g *proxyWasm) setPeriod(milliseconds uint64) wasmStatus {
	g.period, g.due = 0, 0
	if milliseconds > 0 && g.on.tick != nil {
		g.period = max(minPeriod, time.Duration(milliseconds)*time.Millisecond)
		g.due = g.in.plugin.host.now() + int64(g.period)
	}
	return statusOK
}
