// Package upstream carries requests to backends: kept connections, HTTP/1.1 on
// the request's own goroutine, time limits, and retries only where they are safe.
package upstream

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/wire"
)

// Options are what a Set needs. The zero value is usable.
type Options struct {
	Logger *zap.Logger
	// Resolve looks up a host name. Default: the system's resolver.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// ResolveSRV looks up the SRV records of a service's name. Default: the
	// system's resolver.
	ResolveSRV func(ctx context.Context, name string) ([]*net.SRV, error)
	// Dial connects to an address. Default: a TCP connection.
	Dial func(ctx context.Context, address netip.AddrPort) (net.Conn, error)
	// Poison overwrites memory that is given back; see wire.Buffers.
	Poison bool
}

// Set owns the backends of a gateway over all its configurations: a backend
// that the next configuration names again keeps its connections. Safe for
// concurrent use.
type Set struct {
	options Options
	buffers wire.Buffers
	stop    chan struct{}
	work    sync.WaitGroup // goroutines

	mu       sync.Mutex // guards what follows
	backends map[string]*backend
}

// sweepEvery is how often unused connections are looked through.
const sweepEvery = 5 * time.Second

// NewSet returns an empty set. Close ends it.
func NewSet(o Options) *Set {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Resolve == nil {
		o.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if o.ResolveSRV == nil {
		o.ResolveSRV = func(ctx context.Context, name string) ([]*net.SRV, error) {
			_, records, err := net.DefaultResolver.LookupSRV(ctx, "", "", name)
			return records, err
		}
	}
	if o.Dial == nil {
		o.Dial = func(ctx context.Context, address netip.AddrPort) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", address.String())
		}
	}
	s := &Set{options: o, stop: make(chan struct{}), backends: make(map[string]*backend)}
	s.buffers.Poison = o.Poison
	s.work.Go(s.sweepLoop)
	return s
}

// Close closes all unused connections and ends the set's goroutines. Exchanges
// in progress keep their connections until they end.
func (s *Set) Close() {
	close(s.stop)
	s.mu.Lock()
	for _, b := range s.backends {
		s.end(b)
	}
	clear(s.backends)
	s.mu.Unlock()
	s.work.Wait()
}

// end closes b, whose goroutines end soon.
func (s *Set) end(b *backend) {
	b.close()
	s.work.Go(b.work.Wait)
}

func (s *Set) sweepLoop() {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case now := <-tick.C:
			for _, b := range s.all() {
				b.sweep(now)
			}
		}
	}
}

func (s *Set) all() []*backend {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*backend, 0, len(s.backends))
	for _, b := range s.backends {
		all = append(all, b)
	}
	return all
}

// Generation collects the backends that one configuration names.
type Generation struct {
	set   *Set
	named map[string]*backend
	asked map[question]*backend // for what, so that it needn't be read again
}

// question is what Backend was asked.
type question struct {
	url     string
	options *config.Backend
}

// Begin starts a generation. It ends with Commit or Discard.
func (s *Set) Begin() *Generation {
	return &Generation{set: s, named: make(map[string]*backend), asked: make(map[question]*backend)}
}

// Backend returns the backend for url, which is scheme://host[:port], under
// options, which don't change any more; nil options are the defaults. Equal arguments
// give the same backend, also across generations, and the very same without looking at
// them again.
//
// It fails when url or a file that options names is unusable.
func (g *Generation) Backend(url string, options *config.Backend) (proxy.Backend, error) {
	q := question{url, options}
	if b := g.asked[q]; b != nil {
		return b, nil
	}
	settings, err := newSettings(url, options)
	if err != nil {
		return nil, fmt.Errorf("backend %s: %w", url, err)
	}
	b := g.named[settings.key]
	if b == nil {
		g.set.mu.Lock()
		b = g.set.backends[settings.key]
		g.set.mu.Unlock()
	}
	if b == nil {
		b = newBackend(settings, &g.set.options, &g.set.buffers)
	}
	g.named[settings.key], g.asked[q] = b, b
	return b, nil
}

// Keep has b, which another generation returned and which serves, be one of g's as well.
func (g *Generation) Keep(b proxy.Backend) {
	if own, is := b.(*backend); is {
		g.named[own.key] = own
	}
}

// Commit makes g's backends the set's: those that g doesn't name are closed.
func (g *Generation) Commit() {
	g.set.mu.Lock()
	defer g.set.mu.Unlock()
	for key, b := range g.set.backends {
		if g.named[key] == nil {
			g.set.end(b)
			delete(g.set.backends, key)
		}
	}
	for key, b := range g.named {
		g.set.backends[key] = b
		b.start()
	}
}

// Discard gives g up; backends that only g named hold nothing open.
func (g *Generation) Discard() { g.named, g.asked = nil, nil }
