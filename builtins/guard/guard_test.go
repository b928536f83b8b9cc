package guard

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/postern-gateway/postern/builtins/internal/origin"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/clients"
	"github.com/postern-gateway/postern/proxy/http1"
)

// exchange returns an exchange of a client's.
func exchange(address string) *proxy.Exchange {
	ex := &proxy.Exchange{}
	ex.Begin(time.Now(), nil)
	ex.In.Client = netip.AddrPortFrom(netip.MustParseAddr(address), 1)
	return ex
}

func throttled(err error) bool { return errors.Is(err, proxy.Fault{Kind: proxy.Throttled}) }

// A client has as many requests under way as it may, until one is done. The addresses
// of a /64 are one client, and scopes don't share counts.
func TestClientConcurrency(t *testing.T) {
	m := NewMemory()
	g := &clientConcurrency{memory: m, scope: m.scope(scope{"g", "api", "prod", ""}), most: 2}
	other := &clientConcurrency{memory: m, scope: m.scope(scope{"g", "api", "test", ""}), most: 2}
	run := func(g *clientConcurrency, ex *proxy.Exchange, want bool) {
		t.Helper()
		if _, err := g.Run(context.Background(), ex); throttled(err) == want || err != nil && want {
			t.Errorf("%v: %v, want let in = %v", ex.In.Client, err, want)
		}
	}
	first, second := exchange("2001:db8::1"), exchange("2001:db8::2")
	run(g, first, true)
	run(g, second, true)
	run(g, exchange("2001:db8::3"), false)
	run(g, exchange("2001:db8:0:1::3"), true)
	run(g, exchange("192.0.2.1"), true)
	run(other, exchange("2001:db8::3"), true)
	first.End()
	third := exchange("2001:db8::4")
	run(g, third, true)
	run(g, exchange("2001:db8::5"), false)
	second.End()
	third.End()
	nobody := &proxy.Exchange{}
	run(g, nobody, true)
}

// Many goroutines: never more than allowed, and all is given back.
func TestClientConcurrencyHammer(t *testing.T) {
	const most = 3
	m := NewMemory()
	g := &clientConcurrency{memory: m, scope: 7, most: most}
	var mu sync.Mutex
	inside, worst, refused := 0, 0, 0
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			ex := exchange("192.0.2.1")
			for range 2000 {
				_, err := g.Run(context.Background(), ex)
				mu.Lock()
				if err != nil {
					refused++
					mu.Unlock()
					continue
				}
				inside++
				worst = max(worst, inside)
				mu.Unlock()
				runtime.Gosched()
				mu.Lock()
				inside--
				mu.Unlock()
				ex.End()
			}
		})
	}
	work.Wait()
	if worst > most {
		t.Errorf("%d at the same time, want at most %d", worst, most)
	}
	if refused == 0 {
		t.Log("nobody was refused: the processor ran them one after the other")
	}
	for range most {
		if _, err := g.Run(context.Background(), exchange("192.0.2.1")); err != nil {
			t.Fatal("places weren't given back:", err)
		}
	}
}

// A million clients fit, and stay bounded when more come.
func TestMillionClients(t *testing.T) {
	m := NewMemory()
	g := &clientRate{memory: m, scope: 1, rate: clients.NewRate(0.001, 1)}
	ex := exchange("192.0.2.1")
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	client := func(i int) {
		ex.In.Client = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1)
	}
	const many = 1_000_000
	for i := range many {
		client(i)
		if _, err := g.Run(context.Background(), ex); err != nil {
			t.Fatal(i, err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if size := int64(after.HeapAlloc) - int64(before.HeapAlloc); size > 36<<20 {
		t.Errorf("%d bytes for a million clients", size)
	}
	remembered := 0
	for i := range many {
		client(i)
		if _, err := g.Run(context.Background(), ex); throttled(err) {
			remembered++
		}
	}
	t.Logf("%d of %d remembered, %d bytes", remembered, many, int64(after.HeapAlloc)-int64(before.HeapAlloc))
	if remembered < many*999/1000 {
		t.Errorf("%d of %d remembered", remembered, many)
	}
}

// The guards that let a request pass allocate nothing.
func TestAllocations(t *testing.T) {
	m := NewMemory()
	all := guards{
		&clientRate{memory: m, scope: 1, rate: clients.NewRate(1e6, 1e6)},
		&clientConcurrency{memory: m, scope: 2, most: 10},
		&webSocketOrigin{origins: origin.New([]string{"https://*.example.com"})},
		&addresses{allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}},
	}
	ex := exchange("192.0.2.1")
	n := testing.AllocsPerRun(1000, func() {
		ex.Begin(time.Now(), nil)
		ex.In.Client = netip.MustParseAddrPort("192.0.2.1:1")
		ex.In.Upgrade = "websocket"
		ex.In.Fields = append(ex.In.Fields, http1.NewField("Origin", "https://a.example.com"))
		if _, err := all.Run(context.Background(), ex); err != nil {
			t.Fatal(err)
		}
		ex.End()
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkGuards(b *testing.B) {
	m := NewMemory()
	all := map[string]proxy.Step{
		"client_rate":        &clientRate{memory: m, scope: 1, rate: clients.NewRate(1e9, 1e9)},
		"client_concurrency": &clientConcurrency{memory: m, scope: 2, most: 1e6},
		"ip":                 &addresses{allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.0/24")}},
	}
	for name, g := range all {
		b.Run(name, func(b *testing.B) {
			ex := exchange("192.0.2.1")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := g.Run(context.Background(), ex); err != nil {
					b.Fatal(err)
				}
				ex.End()
			}
		})
	}
}
