package certificate

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy/certificate/pebbletest"
	"github.com/postern-gateway/postern/proxy/zone/zonetest"
)

// decider is who decides which names may have certificates: those that begin with "a".
type decider struct {
	*httptest.Server

	mu     sync.Mutex
	asked  map[string]int
	client string
	broken bool
}

func newDecider(t *testing.T) *decider {
	d := &decider{asked: map[string]int{}}
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Query().Get("domain")
		d.mu.Lock()
		defer d.mu.Unlock()
		d.asked[name]++
		d.client = r.URL.Query().Get("client")
		switch {
		case d.broken:
			w.WriteHeader(503)
		case !strings.HasPrefix(name, "a"):
			w.WriteHeader(404)
		}
	}))
	t.Cleanup(d.Close)
	return d
}

func (d *decider) times(name string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked[name]
}

func (d *decider) breaks(is bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.broken = is
}

// table is [acme.on_demand].
func (d *decider) table(more string) string {
	return fmt.Sprintf("[acme.on_demand]\nask = %q\n%s\n", d.URL+"/may?x=1", more)
}

const demandDomain = "*.shops.test certificate = \"on_demand\""

// Fault 27: a name that may have a certificate gets it when it is first asked for; one
// that may not costs nothing at the authority, however often anybody asks.
func TestOnDemand(t *testing.T) {
	f := newFront(t, Options{Logger: zap.NewNop()})
	ca := f.pebble(pebbletest.Options{})
	d := newDecider(t)
	f.apply(ca.Config("")+d.table(""), demandDomain)
	roots := ca.Issued()
	var work sync.WaitGroup
	for range 5 { // who come together wait for one certificate
		work.Go(func() {
			if err := f.get("a1.shops.test", roots); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	if err := f.get("a1.shops.test", roots); err != nil {
		t.Error(err)
	}
	if n := d.times("a1.shops.test"); n != 1 || d.client != "127.0.0.1" {
		t.Errorf("asked %d times, want once, by %q", n, d.client)
	}
	if s := f.status("a1.shops.test"); !s.OnDemand || !s.Has {
		t.Errorf("status %+v", s)
	}
	before := f.Figures().Orders
	for range 3 {
		for _, name := range []string{"b.shops.test", "a.b.shops.test", "shops.test", "a.elsewhere.test", "a_.shops.test", ""} {
			if err := f.get(name, roots); err == nil {
				t.Errorf("%q has a certificate", name)
			}
		}
	}
	if n := d.times("b.shops.test"); n != 1 {
		t.Errorf("asked %d times about what was refused, want once", n)
	}
	d.mu.Lock()
	if len(d.asked) != 2 {
		t.Errorf("asked about %v", d.asked)
	}
	d.mu.Unlock()
	fig := f.Figures()
	if before != 1 || fig.Orders != before {
		t.Errorf("%d orders, then %d; want 1 and no further one", before, fig.Orders)
	}
	if fig.Demand.Granted != 1 || fig.Demand.Refused != 1 || fig.Demand.Left != 99 || fig.Demand.Names != 1 {
		t.Errorf("figures %+v", fig.Demand)
	}
	if missing := f.Missing(); len(missing) > 0 {
		t.Errorf("not ready: %q", missing)
	}
}

// What was got serves after a start and a reload, without an order and a question; not
// when its pattern is gone.
func TestOnDemandAgain(t *testing.T) {
	f := newFront(t, Options{})
	ca := f.pebble(pebbletest.Options{})
	d := newDecider(t)
	f.apply(ca.Config("")+d.table(""), demandDomain)
	roots := ca.Issued()
	if err := f.get("a1.shops.test", roots); err != nil {
		t.Fatal(err)
	}
	f.apply(ca.Config("")+d.table(""), demandDomain, "x.postern.test certificate = \"listener\"")
	if err := f.get("a1.shops.test", roots); err != nil {
		t.Error(err)
	}
	f.apply(ca.Config(""), "x.postern.test certificate = \"listener\"")
	if err := f.get("a1.shops.test", roots); err == nil {
		t.Error("serves without its pattern")
	}
	f.Close()
	again := newFront(t, Options{Store: NewDirectory(filepath.Join(f.dir, "store"))})
	again.apply(ca.Config("")+d.table(""), demandDomain)
	if err := again.get("a1.shops.test", roots); err != nil {
		t.Error(err)
	}
	if n := again.Figures().Orders; n != 0 || d.times("a1.shops.test") != 1 {
		t.Errorf("%d orders, asked %d times", n, d.times("a1.shops.test"))
	}
}

// A name must lead to the gateway, if it says where that is; nobody is asked again
// about a name that couldn't be decided, for a while, nor ordered one that failed.
func TestOnDemandRefused(t *testing.T) {
	f := newFront(t, Options{Logger: zap.NewNop()})
	names := zonetest.Start(t, zonetest.Options{})
	names.Point("a-else.shops.test", netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1"))
	names.Point("a-none.shops.test")
	ca := f.pebble(pebbletest.Options{DNS: names.Addr, Blocked: []string{"a-blocked.shops.test"}})
	d := newDecider(t)
	f.apply(ca.Config("")+d.table("points_to = [\"2001:db8::7\", \"127.0.0.1\"]\nresolvers = [\""+names.Addr+"\"]"), demandDomain)
	roots := ca.Issued()
	for range 2 {
		for _, name := range []string{"a-else.shops.test", "a-none.shops.test", "a-blocked.shops.test"} {
			if err := f.get(name, roots); err == nil {
				t.Errorf("%s has a certificate", name)
			}
			if n := d.times(name); n != 1 {
				t.Errorf("asked %d times about %s", n, name)
			}
		}
	}
	if n := f.Figures().Orders; n != 1 { // the one that the authority refused
		t.Errorf("%d orders, want 1", n)
	}
	if err := f.get("a-here.shops.test", roots); err != nil {
		t.Error(err)
	}
	d.breaks(true)
	for range 2 {
		if err := f.get("a-undecided.shops.test", roots); err == nil {
			t.Error("undecided, and has a certificate")
		}
	}
	if n := d.times("a-undecided.shops.test"); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// ask is a client's hello from an address.
func (f *front) ask(name, from string) *tls.Certificate {
	return f.For(&tls.ClientHelloInfo{ServerName: name, Conn: distant{addr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 1))}})
}

// distant is a connection from anywhere.
type distant struct {
	net.Conn
	addr net.Addr
}

func (d distant) RemoteAddr() net.Addr { return d.addr }

// Limits stand between questions and orders: for one client, below one domain, for a
// day.
func TestOnDemandLimits(t *testing.T) {
	var ahead atomic.Int64
	f := newFront(t, Options{Logger: zap.NewNop(), Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	ca := f.pebble(pebbletest.Options{})
	d := newDecider(t)
	f.apply(ca.Config("")+d.table("per_client = 3\nper_parent = 2\nper_day = 3"), demandDomain, "*.other.test certificate = \"on_demand\"")
	// Four names that one client asks for: the last one isn't even asked about.
	for _, name := range []string{"b1.shops.test", "b2.shops.test", "b3.shops.test", "a4.shops.test"} {
		if f.ask(name, "2001:db8::1") != nil {
			t.Errorf("%s has a certificate", name)
		}
	}
	f.ask("b5.shops.test", "2001:db8::2") // its neighbour is the same client
	if d.times("b3.shops.test") != 1 || d.times("a4.shops.test")+d.times("b5.shops.test") != 0 {
		t.Errorf("asked about %v", d.asked)
	}
	// Two names below a domain, three in all.
	for i, name := range []string{"a1.shops.test", "a2.shops.test", "a3.shops.test", "a1.other.test", "a2.other.test"} {
		c := f.ask(name, fmt.Sprintf("192.0.2.%d", i))
		if want := name != "a3.shops.test" && name != "a2.other.test"; (c != nil) != want {
			t.Errorf("%s has a certificate: %v", name, c != nil)
		}
	}
	if fig := f.Figures(); fig.Orders != 3 || fig.Demand.Left != 0 || fig.Demand.Limited == 0 {
		t.Errorf("figures %+v", fig)
	}
	ahead.Store(int64(25 * time.Hour))
	if left := f.Figures().Demand.Left; left != 3 {
		t.Errorf("%d left on the next day", left)
	}
}

// Names that nobody asked for longest make room, and are found in the store again.
func TestOnDemandRoom(t *testing.T) {
	f := newFront(t, Options{})
	ca := f.pebble(pebbletest.Options{})
	d := newDecider(t)
	f.apply(ca.Config("")+d.table("names = 2"), demandDomain)
	roots := ca.Issued()
	for _, name := range []string{"a1.shops.test", "a2.shops.test", "a3.shops.test", "a1.shops.test"} {
		if err := f.get(name, roots); err != nil {
			t.Error(err)
		}
	}
	if fig := f.Figures(); fig.Orders != 3 || fig.Demand.Names != 2 {
		t.Errorf("figures %+v", fig)
	}
}

// Fault 27: a flood of unknown names, from many addresses, costs no orders, few
// questions, and no memory.
func TestOnDemandFlood(t *testing.T) {
	f := newFront(t, Options{Logger: zap.NewNop()})
	ca := f.pebble(pebbletest.Options{})
	d := newDecider(t)
	f.apply(ca.Config("")+d.table("per_client = 100000"), demandDomain, "own.postern.test")
	f.got("own.postern.test")
	flood := func(from, to int) {
		var work sync.WaitGroup
		for w := range 16 {
			work.Go(func() {
				for i := from + w; i < to; i += 16 {
					name := fmt.Sprintf("b%d.shops.test", i)
					if i%2 == 0 {
						name = fmt.Sprintf("b%d.elsewhere.test", i)
					}
					if f.ask(name, fmt.Sprintf("10.%d.%d.%d", i>>16&255, i>>8&255, i&255)) != nil {
						t.Errorf("%s has a certificate", name)
					}
				}
			})
		}
		work.Wait()
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	flood(0, 4000)
	before := heap()
	flood(4000, 12_000)
	if after := heap(); after > before+8<<20 {
		t.Errorf("heap of %d bytes grew to %d", before, after)
	}
	f.demand.mu.Lock()
	refused, clients := len(f.demand.refused), len(f.demand.clients)
	f.demand.mu.Unlock()
	if refused > mostRefused || clients > mostClients {
		t.Errorf("%d refusals, %d clients are remembered", refused, clients)
	}
	if n := f.Figures().Orders; n != 1 {
		t.Errorf("%d orders, want the one of the configured name", n)
	}
	if f.Find("own.postern.test") == nil {
		t.Error("the configured name doesn't serve any more")
	}
}

// A renewal asks again if the name may have one, and a name that may not any more
// isn't renewed.
func TestOnDemandRenewal(t *testing.T) {
	t.Parallel()
	f := newFront(t, Options{Logger: zap.NewNop()})
	ca := f.pebble(pebbletest.Options{Life: 15 * time.Second})
	d := newDecider(t)
	f.apply(ca.Config("renew_window = 80")+d.table(""), demandDomain)
	roots := ca.Issued()
	if err := f.get("a1.shops.test", roots); err != nil {
		t.Fatal(err)
	}
	first := f.ask("a1.shops.test", "127.0.0.1").Leaf
	until(t, "a renewal", func() bool { return !f.ask("a1.shops.test", "127.0.0.1").Leaf.Equal(first) })
	if n := d.times("a1.shops.test"); n < 2 {
		t.Errorf("asked %d times", n)
	}
}

func BenchmarkOnDemandHit(b *testing.B) {
	k := New(Options{Store: NewDirectory(b.TempDir())})
	defer k.Close()
	r := &rules{parents: map[string]bool{"shops.test": true}}
	r.Names = 10
	k.demand.rules.Store(r)
	n := &demanded{name: newName("a.shops.test", "acme"), parent: "shops.test", settled: make(chan struct{})}
	n.place.certificate.Store(new(tls.Certificate))
	k.demand.names["a.shops.test"] = n
	hello := &tls.ClientHelloInfo{ServerName: "a.shops.test", Conn: distant{addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}}}
	b.ReportAllocs()
	for b.Loop() {
		if k.For(hello) == nil {
			b.Fatal("not found")
		}
	}
}
