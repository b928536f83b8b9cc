package certificate

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/zone"
)

// demand has the names that get certificates when somebody first asks for one. What
// it remembers of others is bounded, whatever names they ask for.
type demand struct {
	keeper *Keeper
	asking chan struct{} // one element for each name that is decided about
	client *http.Client
	ctx    context.Context
	end    context.CancelFunc

	rules atomic.Pointer[rules] // nil: nothing is got on demand

	mu      sync.RWMutex // guards what follows
	names   map[string]*demanded
	refused map[string]refusal
	parents map[string]count
	clients map[netip.Prefix]count
	day     count
	figures DemandFigures
	closed  bool
}

// rules are what a configuration says. Immutable.
type rules struct {
	config.OnDemand
	parents  map[string]bool // "example.com" for "*.example.com"
	points   []netip.Addr
	resolver *zone.Resolver
}

// demanded is a name that somebody asked for.
type demanded struct {
	*name
	parent  string
	used    atomic.Int64 // Unix time, seconds
	adopted bool         // it is among the keeper's names; guarded by demand.mu

	// Closed when it is known what becomes of it: it has a certificate, or gets none.
	settled chan struct{}
	once    sync.Once
}

func (n *demanded) settle() { n.once.Do(func() { close(n.settled) }) }

// refusal is why a name isn't asked about for a while.
type refusal struct {
	until    time.Time
	failures int // of authorities, in a row
}

// count is how often something happened since a time.
type count struct {
	since time.Time
	n     int
}

// take counts once more if there were fewer than limit within span.
func (c *count) take(now time.Time, span time.Duration, limit int) bool {
	if now.Sub(c.since) >= span {
		*c = count{since: now}
	}
	if c.n >= limit {
		return false
	}
	c.n++
	return true
}

// left returns how often take would count within span.
func (c *count) left(now time.Time, span time.Duration, limit int) int {
	if now.Sub(c.since) >= span {
		return limit
	}
	return max(0, limit-c.n)
}

// DemandFigures are what there is to tell of certificates on demand.
type DemandFigures struct {
	Names   int   // in memory
	Left    int   // new ones that the day still allows for
	Granted int64 // names that were allowed to have a certificate
	Refused int64 // that weren't, those remembered as refused not included
	Limited int64 // that a limit stood against
}

// Bounds of what is remembered, and of what goes on at a time.
const (
	mostRefused = 10_000
	mostClients = 10_000
	mostAsking  = 32
	askTime     = 5 * time.Second // for a decision, by each who has a say
	// failedAsk is how long a name counts as refused when it couldn't be decided.
	failedAsk = 10 * time.Second
)

func newDemand(k *Keeper) *demand {
	d := &demand{
		keeper: k, asking: make(chan struct{}, mostAsking), names: map[string]*demanded{},
		refused: map[string]refusal{}, parents: map[string]count{}, clients: map[netip.Prefix]count{},
		client: &http.Client{
			Timeout:       askTime,
			Transport:     &http.Transport{MaxConnsPerHost: mostAsking, IdleConnTimeout: time.Minute},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	d.ctx, d.end = context.WithCancel(context.Background())
	return d
}

// newRules returns the rules of cfg; nil when nothing is got on demand.
func newRules(cfg *config.Config) *rules {
	if cfg.ACME == nil || cfg.ACME.OnDemand == nil {
		return nil
	}
	r := &rules{OnDemand: *cfg.ACME.OnDemand, parents: map[string]bool{}, resolver: zone.NewResolver(cfg.ACME.OnDemand.Resolvers)}
	for domain, d := range cfg.Domain {
		if parent, wild := strings.CutPrefix(domain, "*."); wild && d.Certificate != nil && d.Certificate.Source == config.CertificateOnDemand {
			r.parents[strings.ToLower(parent)] = true
		}
	}
	for _, p := range r.PointsTo {
		if a, err := netip.ParseAddr(p); err == nil { // checked at load
			r.points = append(r.points, a.Unmap())
		}
	}
	return r
}

// parent returns the domain that name, in lower case, may have a certificate below.
func (r *rules) parent(name string) (string, bool) {
	label, parent, _ := strings.Cut(name, ".")
	return parent, r.parents[parent] && isLabel(label)
}

// isLabel reports whether s can be the first label of a host's name. RFC 1123, 2.1.
func isLabel(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && (c != '-' || i == 0 || i == len(s)-1) {
			return false
		}
	}
	return s != "" && len(s) <= 63
}

// For returns the certificate for a client: the one that Find has, else one that is
// got for it now, if the name may have one. It is nil when there is none.
func (k *Keeper) For(hello *tls.ClientHelloInfo) *tls.Certificate {
	if c := k.Find(hello.ServerName); c != nil {
		return c
	}
	r := k.demand.rules.Load()
	if r == nil {
		return nil
	}
	name := lower(hello.ServerName)
	parent, may := r.parent(name)
	if !may {
		return nil
	}
	return k.demand.certificate(r, name, parent, hello)
}

// clientOf returns who is at the other end of a connection.
func clientOf(c net.Conn) netip.Addr {
	if c == nil {
		return netip.Addr{}
	}
	at, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}

// certificate returns name's, and waits for it if it is about to be got.
func (d *demand) certificate(r *rules, name, parent string, hello *tls.ClientHelloInfo) *tls.Certificate {
	d.mu.RLock()
	n, refused := d.names[name], d.refused[name]
	d.mu.RUnlock()
	now := d.keeper.now()
	if n == nil {
		if now.Before(refused.until) {
			return nil
		}
		if n = d.open(r, name, parent, clientOf(hello.Conn), refused.failures); n == nil {
			return nil
		}
	}
	n.used.Store(now.Unix())
	if c := n.place.certificate.Load(); c != nil {
		return c
	}
	ctx := hello.Context()
	if ctx == nil { // of a hello that came over no connection
		ctx = context.Background()
	}
	patience := time.NewTimer(time.Duration(r.Wait))
	defer patience.Stop()
	select {
	case <-n.settled:
	case <-patience.C: // it goes on without this client
	case <-ctx.Done():
	}
	return n.place.certificate.Load()
}

// open has name decided about, unless too much goes on.
func (d *demand) open(r *rules, name, parent string, client netip.Addr, failures int) *demanded {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := d.names[name]; n != nil {
		return n
	}
	if d.closed {
		return nil
	}
	select {
	case d.asking <- struct{}{}:
	default:
		d.figures.Limited++
		return nil
	}
	n := &demanded{name: newName(name, config.CertificateACME), parent: parent, settled: make(chan struct{})}
	n.name.demand, n.failures = n, failures
	d.names[name] = n
	d.keeper.work.Go(func() {
		defer func() { <-d.asking }()
		d.decide(r, n, client)
	})
	return n
}

// decide finds out what becomes of n: it has a certificate in the store, or may get
// one, or gets none.
func (d *demand) decide(r *rules, n *demanded, client netip.Addr) {
	ctx, cancel := context.WithTimeout(d.ctx, 4*askTime)
	defer cancel()
	k := d.keeper
	k.mu.Lock()
	p := k.plan
	k.mu.Unlock()
	if p == nil || d.rules.Load() == nil { // a configuration came in between
		d.refuse(n, failedAsk)
		return
	}
	if k.restore(ctx, p, n.name) == nil {
		n.plan(p, k.now())
		d.adopt(r, n)
		n.settle()
		return
	}
	if !d.within(r, n.parent, client) {
		d.refuse(n, failedAsk)
		return
	}
	switch may, err := d.allowed(ctx, r, n.name.name, client); {
	case err != nil:
		k.logger.Warn("it can't be decided if a name may have a certificate", zap.String("name", n.name.name), zap.Error(err))
		d.refuse(n, failedAsk)
	case !may:
		d.count(func(f *DemandFigures) { f.Refused++ })
		d.refuse(n, time.Duration(r.Refused))
	case !d.grant(r, n.parent):
		k.logger.Warn("no more names for now", zap.String("name", n.name.name), zap.String("below", n.parent))
		d.refuse(n, failedAsk)
	default:
		d.adopt(r, n) // which gets its certificate, and then settles it
	}
}

func (d *demand) count(f func(*DemandFigures)) {
	d.mu.Lock()
	f(&d.figures)
	d.mu.Unlock()
}

// within counts a question of client's, and reports whether it may be asked. None is
// when the names of the day are gone.
func (d *demand) within(r *rules, parent string, client netip.Addr) bool {
	now := d.keeper.now()
	bits := 32
	if client.Is6() {
		bits = 64
	}
	prefix, _ := client.Prefix(bits) // of nobody's address: all nobodies are one
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.clients) >= mostClients {
		for p, c := range d.clients {
			if now.Sub(c.since) >= time.Hour || len(d.clients) >= mostClients {
				delete(d.clients, p)
			}
		}
	}
	asked := d.clients[prefix]
	ok := asked.take(now, time.Hour, r.PerClient)
	d.clients[prefix] = asked
	if below := d.parents[parent]; ok {
		ok = below.left(now, time.Hour, r.PerParent) > 0 && d.day.left(now, 24*time.Hour, r.PerDay) > 0
	}
	if !ok {
		d.figures.Limited++
	}
	return ok
}

// grant counts a name that may have a certificate, if one is left.
func (d *demand) grant(r *rules, parent string) bool {
	now := d.keeper.now()
	d.mu.Lock()
	defer d.mu.Unlock()
	below := d.parents[parent]
	if d.day.left(now, 24*time.Hour, r.PerDay) == 0 || !below.take(now, time.Hour, r.PerParent) {
		d.figures.Limited++
		return false
	}
	d.parents[parent] = below
	d.day.take(now, 24*time.Hour, r.PerDay)
	d.figures.Granted++
	return true
}

// allowed asks everybody who has a say if name may have a certificate.
func (d *demand) allowed(ctx context.Context, r *rules, name string, client netip.Addr) (bool, error) {
	if r.Ask != "" {
		if may, err := d.ask(ctx, r.Ask, name, client); !may || err != nil {
			return false, err
		}
	}
	if r.Plugin != "" {
		if may, err := d.keeper.extensions.Certify(ctx, r.Plugin, name, client); !may || err != nil {
			return false, err
		}
	}
	if len(r.points) == 0 {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	addresses, err := r.resolver.Addresses(ctx, name)
	return slices.ContainsFunc(addresses, func(a netip.Addr) bool { return slices.Contains(r.points, a) }), err
}

// ask asks a URL.
func (d *demand) ask(ctx context.Context, where, name string, client netip.Addr) (bool, error) {
	u, err := url.Parse(where)
	if err != nil {
		return false, err
	}
	query := u.Query()
	query.Set("domain", name)
	if client.IsValid() {
		query.Set("client", client.String())
	}
	u.RawQuery = query.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return false, err
	}
	answer, err := d.client.Do(r)
	if err != nil {
		return false, err
	}
	_ = answer.Body.Close() // the status says it all
	if answer.StatusCode >= 500 || answer.StatusCode == http.StatusTooManyRequests {
		return false, fmt.Errorf("ask %s: %s", u.Redacted(), answer.Status)
	}
	return answer.StatusCode >= 200 && answer.StatusCode < 300, nil
}

// adopt has the keeper look after n. The name that nobody asked for longest makes room
// if there are too many.
func (d *demand) adopt(r *rules, n *demanded) {
	k := d.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.names[n.name.name] != n || k.names[n.name.name] != nil { // a configuration came in between
		n.settle()
		return
	}
	n.adopted = true
	k.names[n.name.name] = n.name
	for len(d.names) > r.Names {
		var oldest *demanded
		for _, other := range d.names {
			if other != n && other.adopted && (oldest == nil || other.used.Load() < oldest.used.Load()) {
				oldest = other
			}
		}
		if oldest == nil {
			break
		}
		d.forget(oldest)
	}
	k.poke()
}

// forget drops n. k.mu and d.mu are held.
func (d *demand) forget(n *demanded) {
	n.drop()
	n.settle()
	domain := n.name.name
	if d.names[domain] == n {
		delete(d.names, domain)
	}
	if d.keeper.names[domain] == n.name {
		delete(d.keeper.names, domain)
	}
}

// refuse drops n, and doesn't ask about it again for a while.
func (d *demand) refuse(n *demanded, pause time.Duration) {
	k := d.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forget(n)
	now := k.now()
	if len(d.refused) >= mostRefused {
		for name, r := range d.refused {
			if now.After(r.until) || len(d.refused) >= mostRefused {
				delete(d.refused, name)
			}
		}
	}
	n.mu.Lock()
	failures := n.failures
	n.mu.Unlock()
	d.refused[n.name.name] = refusal{now.Add(pause), failures}
}

// visit gets n a certificate, the first or another one. Names that nobody asked for in
// the time before their renewal that is as long as what follows, or that may not have
// one any more, aren't renewed. A first one that fails is given up until somebody asks
// for it again.
func (d *demand) visit(ctx context.Context, n *demanded, p *plan) {
	k := d.keeper
	n.mu.Lock()
	had, due, end := n.leaf, n.due, time.Time{}
	if had != nil {
		end = had.NotAfter
	}
	n.mu.Unlock()
	if had != nil {
		r := d.rules.Load()
		if r == nil {
			return
		}
		if wanted := time.Unix(n.used.Load(), 0); wanted.Before(due.Add(due.Sub(end))) {
			d.refuse(n, 0) // and whoever asks next has it looked up and renewed
			return
		}
		switch may, err := d.allowed(ctx, r, n.name.name, netip.Addr{}); {
		case err != nil:
			n.fail(k.now(), fmt.Errorf("may it have a certificate: %w", err))
			return
		case !may:
			d.refuse(n, time.Duration(r.Refused))
			return
		}
	}
	err := k.renew(ctx, n.name, p)
	if err == nil {
		n.settle()
		return
	}
	if had != nil {
		return // that one serves on
	}
	n.mu.Lock()
	pause := n.retry.Sub(k.now())
	n.mu.Unlock()
	d.refuse(n, max(pause, failedAsk))
}

// commit makes r the rules, and keeps the names that they allow for among g's. k.mu is
// held.
func (d *demand) commit(g *Generation) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := g.rules
	d.rules.Store(r)
	clear(d.refused) // whoever decides now may see it otherwise
	for domain, n := range d.names {
		switch {
		case r == nil || !r.parents[n.parent] || g.names[domain] != nil:
			d.forget(n)
		case n.adopted:
			g.names[domain] = n.name
		}
	}
}

// close ends what is under way.
func (d *demand) close() {
	d.mu.Lock()
	d.closed = true
	for _, n := range d.names {
		n.settle()
	}
	d.mu.Unlock()
	d.end()
	d.client.CloseIdleConnections()
}

// left returns current figures.
func (d *demand) left() DemandFigures {
	r := d.rules.Load()
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.figures
	f.Names = len(d.names)
	if r != nil {
		f.Left = d.day.left(d.keeper.now(), 24*time.Hour, r.PerDay)
	}
	return f
}
