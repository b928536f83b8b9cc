package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
)

// handshakes opens a TLS connection for each request, one after the other on each of
// some lines, and asks for the fixed answer on it. With resume each line goes on with
// the session of its connection before.
//
// No other program of ours does both: wrk never resumes, h2load doesn't either.
func handshakes(ctx context.Context, s *scenario, p *proxy, lines int, length time.Duration) (load, error) {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	all := make([]greeter, lines)
	var working sync.WaitGroup
	began := time.Now()
	for i := range all {
		g := &all[i]
		*g = greeter{address: host + ":" + strconv.Itoa(p.place.secure), config: p.place.clientTLS(), want: s.want, resume: s.resume,
			request: fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", s.target(p.name), host)}
		// The one key exchange that all proxies have, or the figures were of it.
		g.config.CurvePreferences = []tls.CurveID{tls.X25519}
		if s.resume {
			g.config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		}
		working.Go(func() {
			for ctx.Err() == nil {
				g.greet()
			}
		})
	}
	working.Wait()
	l := load{length: time.Since(began)}
	var took []time.Duration
	for i := range all {
		took = append(took, all[i].took...)
		if l.failures += all[i].failures; all[i].err != nil {
			l.detail = all[i].err.Error()
		}
	}
	l.requests = int64(len(took))
	slices.Sort(took)
	if len(took) > 0 {
		l.p50, l.p99 = quantile(took, 0.5), quantile(took, 0.99)
	}
	return l, nil
}

// greeter opens one connection after the other.
type greeter struct {
	address string
	config  *tls.Config
	request []byte
	want    []byte
	resume  bool
	known   bool // it has a session to go on with

	took     []time.Duration
	failures int64
	err      error // the newest
}

var errNotResumed = errors.New("the session wasn't resumed")

// greet opens a connection, asks and closes it.
func (g *greeter) greet() {
	began := time.Now()
	if err := g.exchange(); err != nil {
		g.failures++
		g.err = err
		return
	}
	if g.resume && !g.known { // the first one has nothing to resume, and doesn't count
		g.known = true
		return
	}
	g.took = append(g.took, time.Since(began))
}

func (g *greeter) exchange() error {
	socket, err := net.DialTimeout("tcp", g.address, 5*time.Second)
	if err != nil {
		return err
	}
	defer socket.Close()
	if err := socket.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	c := tls.Client(socket, g.config)
	if _, err := c.Write(g.request); err != nil { // shakes hands first
		return err
	}
	answer, err := io.ReadAll(bufio.NewReader(c))
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")) || !bytes.HasSuffix(answer, g.want) {
		return fmt.Errorf("answer %q", tail(answer, 300))
	}
	if g.known && !c.ConnectionState().DidResume {
		return errNotResumed
	}
	return nil
}
