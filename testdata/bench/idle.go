package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// settle is how long connections wait before memory is read.
const settle = 3 * time.Second

// idle measures what a kept connection costs while nothing happens on it: each
// has had one request. Proxies are measured one after the other.
func (b *bench) idle(ctx context.Context, s *scenario, r *report) error {
	for _, name := range b.Proxies {
		row := &idleReport{Name: name, Connections: s.idle}
		err := b.idleOf(ctx, name, s, row)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			row.Failed = err.Error()
			fmt.Fprintf(b.stderr, "bench: %s: %s: %v\n", s.name, name, err)
		}
		r.Idle = append(r.Idle, row)
	}
	return nil
}

func (b *bench) idleOf(ctx context.Context, name string, s *scenario, row *idleReport) (err error) {
	p, err := b.start(ctx, name, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.child.stop()) }()
	if err := b.warm(ctx, s, p); err != nil {
		return err
	}
	pid := p.child.cmd.Process.Pid
	before, err := resident(pid, "VmRSS")
	if err != nil {
		return err
	}
	clients, err := open(ctx, s, p)
	defer func() {
		for _, c := range clients {
			_ = c.conn.Close() // idle
		}
	}()
	if err != nil {
		return err
	}
	select {
	case <-time.After(settle):
	case <-ctx.Done():
		return ctx.Err()
	}
	after, err := resident(pid, "VmRSS")
	if err != nil {
		return err
	}
	// They must all be there still, or the figure is of fewer.
	for _, c := range clients {
		if err := c.exchange(s.request(p), len(s.want)); err != nil {
			return fmt.Errorf("an idle connection doesn't answer any more: %w", err)
		}
	}
	row.BaseMiB = float64(before) / (1 << 20)
	row.AllMiB = float64(after) / (1 << 20)
	row.KiBEach = float64(after-before) / 1024 / float64(len(clients))
	return nil
}

// open opens the connections, several at a time, with one request on each.
func open(ctx context.Context, s *scenario, p *proxy) ([]*client, error) {
	const openers = 16
	var (
		mu      sync.Mutex // guards what follows
		clients []*client
		failed  error
	)
	left := make(chan struct{}, s.idle) // one token for each connection to open
	for range s.idle {
		left <- struct{}{}
	}
	close(left)
	var opening sync.WaitGroup
	for range openers {
		opening.Go(func() {
			for range left {
				if ctx.Err() != nil {
					return
				}
				c, err := dial(p)
				if err == nil {
					err = c.exchange(s.request(p), len(s.want))
				}
				mu.Lock()
				if c.conn != nil {
					clients = append(clients, c)
				}
				failed = errors.Join(failed, err)
				stop := failed != nil
				mu.Unlock()
				if stop {
					return
				}
			}
		})
	}
	opening.Wait()
	return clients, errors.Join(ctx.Err(), failed)
}
