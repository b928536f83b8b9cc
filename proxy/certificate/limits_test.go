package certificate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy/certificate/pebbletest"
)

// clock is a time that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	c.mu.Unlock()
}

// No minute has more orders than the limit, wherever it begins, and none waits
// longer than it must.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &budget{now: time.Now, limit: 10}
		var placed []time.Time
		for range 35 {
			if err := b.take(t.Context()); err != nil {
				t.Fatal(err)
			}
			placed = append(placed, time.Now())
			time.Sleep(time.Second)
		}
		for i := range placed[10:] {
			if apart := placed[i+10].Sub(placed[i]); apart < orderWindow || apart > orderWindow+2*time.Second {
				t.Errorf("orders %d and %d are %v apart", i, i+10, apart)
			}
		}
		if _, total := b.left(); total != 35 {
			t.Errorf("%d placed", total)
		}
		time.Sleep(orderWindow)
		if left, _ := b.left(); left != 10 {
			t.Errorf("%d left after a minute", left)
		}
		if wait := b.try(); wait != 0 {
			t.Fatalf("waits %v", wait)
		}
		b.back()
		if left, total := b.left(); left != 10 || total != 35 {
			t.Errorf("taken back: %d left, %d placed", left, total)
		}
		b.set(1)
		_ = b.try()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.take(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("over the limit: %v", err)
		}
	})
}

// More names than may be got in a minute are got one after the other.
func TestBudgetOrders(t *testing.T) {
	f := newFront(t, Options{Logger: zap.NewNop()})
	ca := f.pebble(pebbletest.Options{})
	var domains []string
	for i := range 7 {
		domains = append(domains, fmt.Sprintf("n%d.postern.test", i))
	}
	f.apply(ca.Config("orders_per_minute = 3"), domains...)
	count := func() (n int) {
		for _, d := range domains {
			if f.Find(d) != nil {
				n++
			}
		}
		return n
	}
	until(t, "as many as may be got", func() bool { return count() == 3 })
	time.Sleep(100 * time.Millisecond) // what shouldn't happen gets its chance
	if n, figures := count(), f.Figures(); n != 3 || figures.Orders != 3 || figures.OrdersLeft != 0 {
		t.Errorf("%d certificates, %d orders, %d left; the limit is 3", n, figures.Orders, figures.OrdersLeft)
	}
}

// busyCA is an authority that has no time.
type busyCA struct {
	*httptest.Server
	asked  atomic.Int64
	orders atomic.Int64
	answer atomic.Pointer[http.HandlerFunc] // to orders
}

func newBusyCA(t *testing.T) *busyCA {
	ca := new(busyCA)
	mux := http.NewServeMux()
	nonce := func(w http.ResponseWriter) { w.Header().Set("Replay-Nonce", fmt.Sprint("n", ca.asked.Load())) }
	mux.HandleFunc("/dir", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"newNonce": ca.URL + "/nonce", "newAccount": ca.URL + "/account", "newOrder": ca.URL + "/order", "revokeCert": ca.URL + "/revoke", "keyChange": ca.URL + "/key"})
	})
	mux.HandleFunc("/nonce", func(w http.ResponseWriter, _ *http.Request) { nonce(w) })
	mux.HandleFunc("/account", func(w http.ResponseWriter, _ *http.Request) {
		nonce(w)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Location", ca.URL+"/account/1")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"status":"valid"}`)
	})
	mux.HandleFunc("/order", func(w http.ResponseWriter, r *http.Request) {
		nonce(w)
		ca.orders.Add(1)
		(*ca.answer.Load())(w, r)
	})
	ca.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ca.asked.Add(1)
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(ca.Close)
	return ca
}

func (ca *busyCA) config() string {
	return fmt.Sprintf("[acme]\nagreed = true\n[acme.issuer.busy]\ndirectory = %q\n", ca.URL+"/dir")
}

func problem(status int, retryAfter, kind string) *http.HandlerFunc {
	f := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"type":"urn:ietf:params:acme:error:%s","detail":"no","status":%d}`, kind, status)
	})
	return &f
}

// Fault 25: an authority that says when to come back isn't asked before, by nobody,
// whatever is reloaded meanwhile, and then again.
func TestRetryAfter(t *testing.T) {
	now := &clock{now: time.Now()}
	f := newFront(t, Options{Logger: zap.NewNop(), Now: now.Now, Store: NewDirectory(t.TempDir())})
	ca := newBusyCA(t)
	ca.answer.Store(problem(429, "3600", "rateLimited"))
	var domains []string
	for i := range 20 {
		domains = append(domains, fmt.Sprintf("n%d.postern.test", i))
	}
	f.apply(ca.config(), domains...)
	until(t, "an order", func() bool { return ca.orders.Load() > 0 && len(f.Figures().Paused) > 0 })
	until(t, "the end of what is under way", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return f.busy == 0 })
	first, asked := ca.orders.Load(), ca.asked.Load()
	if first > workers {
		t.Errorf("%d orders before anybody noticed", first)
	}
	for range 3 {
		now.add(19 * time.Minute)
		f.apply(ca.config(), domains...)
		f.poke()
		time.Sleep(50 * time.Millisecond) // what shouldn't happen gets its chance
	}
	if n := ca.asked.Load() - asked; n != 0 {
		t.Errorf("asked %d times before the hour was over", n)
	}
	for _, why := range f.Missing() {
		if !strings.Contains(why, "isn't asked before") {
			t.Errorf("the reason is %q", why)
		}
	}
	now.add(5 * time.Minute)
	f.poke()
	until(t, "another order", func() bool { return ca.orders.Load() > first })
}

// A limit that is about one name, or those of one domain, stops nobody else.
func TestLimitOfOneName(t *testing.T) {
	now := &clock{now: time.Now()}
	f := newFront(t, Options{Logger: zap.NewNop(), Now: now.Now, Store: NewDirectory(t.TempDir())})
	ca := newBusyCA(t)
	limited := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "7200")
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(429)
		fmt.Fprint(w, `{"type":"urn:ietf:params:acme:error:rateLimited","status":429,"detail":"too many certificates (50) already issued for \"postern.test\" in the last 168h0m0s"}`)
	})
	ca.answer.Store(&limited)
	f.apply(ca.config(), "a.postern.test", "b.postern.test")
	until(t, "two orders", func() bool { return f.status("a.postern.test").Failures > 0 && f.status("b.postern.test").Failures > 0 })
	if paused := f.Figures().Paused; len(paused) > 0 {
		t.Errorf("nobody may ask: %q", paused)
	}
	for _, name := range []string{"a.postern.test", "b.postern.test"} {
		if next := f.status(name).Next.Sub(now.Now()); next < 2*time.Hour || next > 2*time.Hour+time.Minute {
			t.Errorf("%s again in %v, the authority said 2h", name, next)
		}
	}
	now.add(time.Hour)
	f.poke()
	time.Sleep(50 * time.Millisecond) // what shouldn't happen gets its chance
	if n := ca.orders.Load(); n != 2 {
		t.Errorf("%d orders", n)
	}
	g := func(detail, name string, want bool) {
		t.Helper()
		if got := concerns(detail, name); got != want {
			t.Errorf("%q about %s: %v", detail, name, got)
		}
	}
	g(`too many failed authorizations (5) for "a.example.com" in the last 1h0m0s`, "a.example.com", true)
	g(`too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s`, "a.example.com", true)
	g(`too many certificates (50) already issued for "example.com" in the last 168h0m0s`, "*.example.com", true)
	g(`too many certificates (50) already issued for "ample.com" in the last 168h0m0s`, "a.example.com", false)
	g(`too many new orders (300) from this account in the last 3h0m0s`, "a.example.com", false)
}

// The pauses of an authority that fails for itself grow; a 503 with a date counts as
// one that says when to come back.
func TestPausesGrow(t *testing.T) {
	now := &clock{now: time.Now()}
	f := newFront(t, Options{Logger: zap.NewNop(), Now: now.Now, Store: NewDirectory(t.TempDir())})
	ca := newBusyCA(t)
	ca.answer.Store(problem(500, "", "serverInternal"))
	cfg := load(t, f.dir, ca.config(), "a.postern.test")
	g, findings := f.Begin(t.Context(), cfg)
	if g == nil {
		t.Fatal(findings.Text())
	}
	f.budget.set(1000)
	a := g.plan.authorities[0]
	ask := func() time.Duration {
		t.Helper()
		_, err := a.Issue(t.Context(), request(t, "a.postern.test"))
		var paused *pausedError
		if !errors.As(err, &paused) {
			t.Fatal(err)
		}
		return paused.until.Sub(now.Now()).Round(time.Second)
	}
	for _, want := range []time.Duration{firstPause, 2 * firstPause, 4 * firstPause} {
		if got := ask(); got != want {
			t.Errorf("a pause of %v, want %v", got, want)
		}
		now.add(want + time.Second)
	}
	ca.answer.Store(problem(503, now.Now().Add(7*time.Minute).UTC().Format(http.TimeFormat), "serverInternal"))
	if got := ask(); got < 6*time.Minute || got > 7*time.Minute {
		t.Errorf("a pause of %v, want 7m", got)
	}
	now.add(8 * time.Minute)
	ca.answer.Store(problem(403, "", "rejectedIdentifier"))
	if _, err := a.Issue(t.Context(), request(t, "a.postern.test")); err == nil || a.paused() != nil {
		t.Errorf("the name's own fault: %v, %v", err, a.paused())
	}
	// It may ask for a day at most.
	ca.answer.Store(problem(429, "99999999", "rateLimited"))
	if got := ask(); got != longPause {
		t.Errorf("a pause of %v", got)
	}
	g.Discard()
}

// Fault 24: when the time is set, only those are renewed whose time has come, and
// no more than the limit at once.
func TestClockJumps(t *testing.T) {
	now := &clock{now: time.Now()}
	store := NewDirectory(t.TempDir())
	f := newFront(t, Options{Logger: zap.NewNop(), Now: now.Now, Store: store})
	ca := newBusyCA(t)
	ca.answer.Store(problem(403, "", "rejectedIdentifier"))
	cfg := load(t, f.dir, ca.config()) // for the authority's key
	g, findings := f.Begin(t.Context(), cfg)
	if g == nil {
		t.Fatal(findings.Text())
	}
	key := g.plan.authorities[0].key
	g.Discard()
	var domains []string
	for i := range 60 {
		d := fmt.Sprintf("n%d.postern.test", i)
		domains = append(domains, d)
		keep(t, f.storage, key, d, now.Now().Add(-time.Hour), 90*24*time.Hour)
	}
	f.apply(ca.config(), domains...)
	jump := func(d time.Duration) int64 {
		before := ca.orders.Load()
		now.add(d)
		f.poke()
		time.Sleep(100 * time.Millisecond) // what shouldn't happen gets its chance
		return ca.orders.Load() - before
	}
	for _, d := range []time.Duration{time.Hour, -2 * time.Hour, time.Hour, 24 * time.Hour, -24 * time.Hour} {
		if n := jump(d); n != 0 {
			t.Errorf("after %v: %d orders", d, n)
		}
	}
	for _, d := range domains {
		if f.Find(d) == nil {
			t.Fatalf("%s isn't served", d)
		}
	}
	// Past the end of all of them: as many as may be asked for in a minute.
	before := ca.orders.Load()
	now.add(100 * 24 * time.Hour)
	f.poke()
	until(t, "orders", func() bool { return ca.orders.Load()-before >= 10 })
	time.Sleep(100 * time.Millisecond)
	if n := ca.orders.Load() - before; n != 10 {
		t.Errorf("%d orders in a minute", n)
	}
	if n := len(f.Missing()); n != len(domains) {
		t.Errorf("%d are told to have ended, of %d", n, len(domains))
	}
}

// When to renew: what the authority suggests, else near the end, and never too late.
func TestRenewAt(t *testing.T) {
	leaf := selfSigned(t, "a.test", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), 90*24*time.Hour).Leaf
	day := func(at time.Time) float64 { return at.Sub(leaf.NotBefore).Hours() / 24 }
	none := suggestion(time.Time{}, time.Time{})
	// A third of the life is left, less what keeps names apart.
	for _, name := range []string{"a.test", "b.test", "c.test"} {
		if d := day(renewAt(name, leaf, none, 1.0/3)); d < 60 || d > 63 {
			t.Errorf("%s on day %v", name, d)
		}
	}
	if renewAt("a.test", leaf, none, 1.0/3).Equal(renewAt("b.test", leaf, none, 1.0/3)) {
		t.Error("all at once")
	}
	// As suggested, even at once; but not in the last twentieth.
	if d := day(renewAt("a.test", leaf, suggestion(leaf.NotBefore, leaf.NotBefore.Add(time.Hour)), 1.0/3)); d > 0.1 {
		t.Errorf("on day %v", d)
	}
	if d := day(renewAt("a.test", leaf, suggestion(leaf.NotAfter, leaf.NotAfter.Add(time.Hour)), 1.0/3)); d != 85.5 {
		t.Errorf("on day %v", d)
	}
}
