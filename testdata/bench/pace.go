package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// paced sends requests at a fixed rate, whatever the answers do: the moment of
// each is settled before the run, and its latency counts from that moment, so
// that one slow answer shows in all requests that had to wait behind it.
//
// wrk has no rate. h2load's works in bursts: a timer of 10 ms or more for each
// connection, all started together.
func paced(ctx context.Context, s *scenario, p *proxy, connections int, length time.Duration) (load, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	request := s.request(p)
	var clients []*client
	defer func() {
		for _, c := range clients {
			_ = c.conn.Close() // nothing is under way
		}
	}()
	for range connections {
		c, err := dial(p)
		if err != nil {
			return load{}, err
		}
		clients = append(clients, c)
	}
	total := int(float64(s.rate) * length.Seconds())
	due := make(chan time.Time, total) // never full: the pace doesn't wait for anybody
	var sending sync.WaitGroup
	for _, c := range clients {
		sending.Go(func() {
			for at := range due {
				c.send(ctx, request, len(s.want), at)
			}
		})
	}
	began := time.Now()
	pace(ctx, began.Add(10*time.Millisecond), time.Second/time.Duration(s.rate), total, due)
	sending.Wait()
	l := load{length: time.Since(began)}
	var all []time.Duration
	for _, c := range clients {
		all = append(all, c.latencies...)
		l.failures += c.failures
		if c.err != nil {
			l.detail = c.err.Error()
		}
	}
	if ctx.Err() != nil {
		return l, ctx.Err()
	}
	l.requests = int64(len(all))
	slices.Sort(all)
	l.p50, l.p99 = quantile(all, 0.5), quantile(all, 0.99)
	return l, nil
}

// pace sends the moments at which requests are due, each when it has come.
func pace(ctx context.Context, start time.Time, gap time.Duration, total int, due chan<- time.Time) {
	defer close(due)
	// A thread of its own that sleeps in the kernel: Go's timers wake up to 1 ms
	// late when nothing else goes on.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for i := range total {
		at := start.Add(time.Duration(i) * gap)
		for wait := time.Until(at); wait > 0; wait = time.Until(at) {
			t := syscall.NsecToTimespec(int64(wait))
			_ = syscall.Nanosleep(&t, nil) // a signal may wake it early; the loop looks again
		}
		if ctx.Err() != nil {
			return
		}
		due <- at
	}
}

// client is one connection that waits for each answer.
type client struct {
	conn      net.Conn
	in        *bufio.Reader
	address   string
	latencies []time.Duration
	failures  int64
	err       error // the newest
}

func dial(p *proxy) (*client, error) {
	c := &client{address: host + ":" + strconv.Itoa(p.place.plain)}
	return c, c.connect()
}

func (c *client) connect() error {
	conn, err := net.DialTimeout("tcp", c.address, 5*time.Second)
	if err != nil {
		return err
	}
	c.conn, c.in = conn, bufio.NewReaderSize(conn, 8<<10)
	return nil
}

// send does one request that was due at a moment.
func (c *client) send(ctx context.Context, request []byte, want int, due time.Time) {
	if ctx.Err() != nil {
		return
	}
	err := c.exchange(request, want)
	if err == nil {
		c.latencies = append(c.latencies, time.Since(due))
		return
	}
	c.failures++
	_ = c.conn.Close() // a fresh one takes its place
	c.err = errors.Join(err, c.connect())
}

// exchange sends a request and reads the answer: status 200 and want bytes.
func (c *client) exchange(request []byte, want int) error {
	if err := c.conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	first, err := c.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(first, []byte("HTTP/1.1 200 ")) {
		return fmt.Errorf("answer %q", first)
	}
	chunked := false
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		chunked = chunked || bytes.EqualFold(bytes.TrimSpace(line), []byte("transfer-encoding: chunked"))
	}
	if chunked {
		return errors.New("a chunked answer, whose length this client doesn't check")
	}
	_, err = c.in.Discard(want)
	return err
}
