package responsecache

import (
	"context"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// keepStale is for how long an answer is kept that isn't fresh any more, but of which the
// backend can be asked whether it still holds.
const keepStale = 24 * time.Hour

// Around returns an integration's kind whose backends answer from what they answered before,
// as RFC 9111 has it for caches that many share, on routes that say so; and which on the
// other routes of such an API notices what requests change. Without memory it is kind.
func Around(kind proxy.Kind, memory *Memory) proxy.Kind {
	if memory == nil {
		return kind
	}
	build := kind.New
	kind.New = func(b proxy.Build, o proxy.Options) (proxy.Steps, error) {
		inner := b.Backend
		if cached(b, o) {
			b.Backend = func(url string, options *config.Backend) (proxy.Backend, error) {
				next, err := inner(url, options)
				if err != nil || next == nil {
					return next, err
				}
				return memory.newBackend(b, o, next), nil
			}
		}
		return build(b, o)
	}
	return kind
}

// routesOf is the key of what is shared about an API's routes.
type routesOf struct{ api string }

// cached reports whether one of the API's routes has a cache of its own; they are gone
// through once, not for each of them.
func cached(b proxy.Build, o proxy.Options) bool {
	api := b.Route.Stage.API.Name
	has, _ := b.Shared(routesOf{api}, func() any { return caches(o.Config.API[api].Route) }).(bool)
	return has
}

// caches reports whether one of the routes has a cache of its own.
func caches(routes map[string]config.Route) bool {
	for key := range routes {
		if routes[key].Integration.Cache != nil {
			return true
		}
	}
	return false
}

func (m *Memory) newBackend(b proxy.Build, o proxy.Options, next proxy.Backend) *backend {
	api := b.Route.Stage.API.Name
	route := o.Config.API[api].Route[b.Route.Key]
	c := &backend{
		next: next, store: m.open(b, o), most: defaultEntry, wait: defaultWait,
		scope:      scopeOf(b, o, mode9111, b.Route.Key),
		answers:    o.Integration.Cache != nil,
		identified: route.Authorizer != "" && route.Authorizer != "none" || route.APIKeyRequired,
	}
	if own := o.Integration.Cache; own != nil {
		c.guess = guess(own.Heuristic)
	}
	if all := o.Config.API[api].Stage[b.Route.Stage.Name].Cache; all != nil {
		c.most, c.wait = int64(all.MaxEntry), time.Duration(all.Wait)
	}
	return c
}

// backend is a cache in front of a backend. It stands behind the request's mapping: what the
// backend would be asked is what tells answers apart.
type backend struct {
	next  proxy.Backend
	store *store
	scope string
	most  int64 // bytes of content
	wait  time.Duration

	answers    bool // not only what requests change
	identified bool // the gateway asks who calls
	guess      guess
}

// question is what a request asks of the cache.
type question struct {
	key     []byte
	primary int // of key, without what Vary adds
	wish    directives

	generation uint64
	epoch      uint32
	authorized bool   // the answer is for the caller alone, unless it says otherwise
	match      string // If-None-Match
	since      string // If-Modified-Since
}

// Send implements proxy.Backend.
func (c *backend) Send(ctx context.Context, ex *proxy.Exchange) error {
	switch ex.Out.Method {
	case "GET":
		if c.answers {
			return c.get(ctx, ex)
		}
	case "HEAD":
		if c.answers {
			return c.head(ctx, ex)
		}
	case "OPTIONS", "TRACE":
	default:
		return c.change(ctx, ex)
	}
	return c.next.Send(ctx, ex)
}

// get is Send for GET.
func (c *backend) get(ctx context.Context, ex *proxy.Exchange) error {
	lent := c.store.memory.pendings.take()
	q := question{key: lent.key}
	var err error
	if c.ask(ex, &q) {
		err = c.find(ctx, ex, &q)
	} else {
		err = c.next.Send(ctx, ex)
	}
	lent.key = q.key
	c.store.memory.pendings.give(lent)
	return err
}

// ask fills q, and reports false for a request that isn't one for the cache.
func (c *backend) ask(ex *proxy.Exchange, q *question) bool {
	out := &ex.Out
	if out.Upgrade != "" || out.Body != nil || len(out.Content) > 0 {
		return false
	}
	pragma := false
	q.authorized = c.identified || ex.Domain.Certificate != nil || ex.In.Fields.HasKnown(http1.Authorization)
	for i := range out.Fields {
		f := &out.Fields[i]
		if f.Known() == http1.Authorization {
			q.authorized = true
		}
		if f.Known() != http1.Other {
			continue
		}
		is := func(name string) bool { return len(f.Name) == len(name) && strings.EqualFold(f.Name, name) }
		switch {
		case is("Cache-Control"):
			q.wish.some = true
			q.wish.read(f.Value)
		case is("Pragma"):
			pragma = pragma || strings.EqualFold(f.Value, "no-cache")
		case is("If-None-Match"):
			q.match = f.Value
		case is("If-Modified-Since"):
			q.since = f.Value
		case is("Range"), is("If-Range"), is("If-Match"), is("If-Unmodified-Since"):
			return false
		}
	}
	q.wish.noCache = q.wish.noCache || pragma && !q.wish.some // RFC 9111, 5.4
	if q.wish.noStore {
		return false
	}
	q.generation = c.store.generation.Load()
	q.epoch = c.store.epoch(out.Host, out.Target).Load()
	q.key = append(q.key, c.scope...)
	q.key = binary.LittleEndian.AppendUint64(q.key, q.generation)
	q.key = appendPart(appendPart(q.key, out.Host), out.Target)
	q.primary = len(q.key)
	return true
}

// look returns what is kept for ex, fresh or not; nil for nothing.
func (c *backend) look(ex *proxy.Exchange, q *question) *entry {
	q.key = q.key[:q.primary]
	e, found := c.store.kept.Get(text(q.key), ex.Lately())
	if found && e.status == 0 && len(e.vary) > 0 {
		q.key = appendVary(q.key, e.vary, ex.Out.Fields)
		e, found = c.store.kept.Get(text(q.key), ex.Lately())
	}
	if !found || e.status == 0 && !e.pass || e.status != 0 && e.fresh.epoch != q.epoch {
		return nil
	}
	return e
}

// find answers ex from what is kept, from what somebody else is being answered, or by the
// backend.
func (c *backend) find(ctx context.Context, ex *proxy.Exchange, q *question) error {
	for range mostTries {
		e := c.look(ex, q)
		if e != nil && e.status != 0 && c.usable(ex, e, q) {
			c.serve(ex, e, q)
			return nil
		}
		if q.wish.onlyIfCached { // RFC 9111, 5.2.1.7
			ex.Back = proxy.Response{Status: gatewayTimeout, Fields: ex.Back.Fields[:0]}
			return nil
		}
		if e != nil && e.pass {
			return c.fetch(ctx, ex, q, nil, nil)
		}
		if e == nil && (q.match != "" || q.since != "") {
			return c.fetch(ctx, ex, q, nil, nil) // the answer need not be the whole
		}
		f, leads, err := c.store.join(text(q.key))
		if err != nil {
			return err
		}
		if leads {
			if c.look(ex, q) != e {
				f.land() // the answer came between the look and the flight
				continue
			}
			return c.fetch(ctx, ex, q, e, f)
		}
		landed, err := f.wait(ctx, c.wait)
		ex.Now()
		switch {
		case err != nil:
			return err
		case !landed:
			return c.fetch(ctx, ex, q, e, nil)
		case f.failed != nil:
			return f.failed
		case f.answer == nil && !f.again:
			return c.fetch(ctx, ex, q, e, nil)
		case f.answer != nil && f.isFor(ex) && c.usable(ex, f.answer, q):
			c.serve(ex, f.answer, q)
			return nil
		}
	}
	return c.fetch(ctx, ex, q, nil, nil)
}

// usable reports whether e may answer ex without asking the backend first. If e is used
// while it is stale, the backend is asked afterwards. RFC 9111, 4.
func (c *backend) usable(ex *proxy.Exchange, e *entry, q *question) bool {
	f, w := &e.fresh, &q.wish
	age := f.ageAt(ex.Lately())
	if w.noCache || f.always || w.maxAge.set && age > w.maxAge.n {
		return false
	}
	left := f.lifetime - age
	if left > 0 {
		return !w.minFresh.set || left >= w.minFresh.n
	}
	switch {
	case f.strict || w.minFresh.set:
		return false
	case w.maxStale.set && -left <= w.maxStale.n:
		return true
	case -left < f.whileRevalidate && ex.Out.Method == "GET": // RFC 5861, 3
		c.refresh(ex, e, q)
		return true
	}
	return false
}

// serve makes e what the backend answered.
func (c *backend) serve(ex *proxy.Exchange, e *entry, q *question) {
	fields, content, status := append(ex.Back.Fields[:0], e.fields...), e.content, e.status
	if status == 200 && e.fresh.unchanged(q) {
		status, content = notModified, nil
		fields = withoutContent(fields)
	}
	age := e.fresh.ageAt(ex.Lately()) / time.Second
	fields = append(fields, http1.Field{Name: "Age", Value: ex.Text.Finish(strconv.AppendInt(ex.Text.Begin(), int64(age), 10))})
	ex.Back = proxy.Response{Status: status, Fields: fields, Content: content, Length: int64(len(content))}
	if ex.Notes.Cache == proxy.CacheUnasked {
		ex.Notes.Cache = proxy.CacheHit
		c.store.hits.Add(1)
	}
}

// unchanged reports whether the client has the answer already. RFC 9110, 13.1: a date counts
// only without tags.
func (f *freshness) unchanged(q *question) bool {
	if q.match != "" {
		return f.etag != "" && matchesTag(q.match, f.etag)
	}
	if q.since == "" || f.modified == "" {
		return false
	}
	if q.since == f.modified {
		return true
	}
	since, ok := parseDate(q.since)
	modified, known := parseDate(f.modified)
	return ok && known && !modified.After(since)
}

// matchesTag compares weakly. RFC 9110, 8.8.3.2.
func matchesTag(list, tag string) bool {
	if strings.Trim(list, " \t") == "*" {
		return true
	}
	tag = strings.TrimPrefix(tag, "W/")
	for list != "" {
		list = strings.TrimPrefix(strings.TrimLeft(list, " \t,"), "W/")
		if !strings.HasPrefix(list, `"`) {
			one, rest, _ := strings.Cut(list, ",")
			if strings.TrimRight(one, " \t") == tag {
				return true
			}
			list = rest
			continue
		}
		end := strings.IndexByte(list[1:], '"')
		if end < 0 {
			return false
		}
		if list[:end+2] == tag {
			return true
		}
		list = list[end+2:]
	}
	return false
}

// withoutContent drops what describes content that isn't sent. RFC 9110, 15.4.5.
func withoutContent(fields http1.Fields) http1.Fields {
	kept := fields[:0]
	for i := range fields {
		f := &fields[i]
		if len(f.Name) > 8 && strings.EqualFold(f.Name[:8], "Content-") && !strings.EqualFold(f.Name, "Content-Location") {
			continue
		}
		kept = http1.AppendCopy(kept, f)
	}
	return kept
}

// fetch asks the backend, whether stale still holds if that isn't nil, and keeps its answer
// if it may. f is told; nil for nobody who waits.
func (c *backend) fetch(ctx context.Context, ex *proxy.Exchange, q *question, stale *entry, f *flight) error {
	if f != nil {
		defer f.land()
	}
	if ex.Notes.Cache == proxy.CacheUnasked {
		ex.Notes.Cache = proxy.CacheMiss
		c.store.misses.Add(1)
	}
	asks := stale != nil && stale.fresh.validators()
	if asks {
		ex.Out.Fields = stale.fresh.conditions(ex.Out.Fields)
	}
	asked := ex.Now()
	err := c.next.Send(ctx, ex)
	if err != nil || ex.Back.Status >= 500 {
		if stale != nil && ctx.Err() == nil && stale.mayFail(ex.Now()) { // RFC 5861, 4
			if f != nil {
				f.again = false
			}
			c.serve(ex, stale, q)
			return nil
		}
	}
	if err != nil {
		if f != nil && ctx.Err() == nil {
			f.failed, f.again = err, false
		}
		return err
	}
	if asks && ex.Back.Status == notModified {
		c.freshen(ex, q, stale, f, asked)
		return nil
	}
	e, err := c.store9111(ex, q, asked)
	if f != nil && ctx.Err() == nil && !errors.Is(err, proxy.Fault{Kind: proxy.ClientGone}) {
		f.tell(ex, e, err)
		if e == nil && err == nil && stale == nil {
			c.put(ex, q, nil, &entry{pass: true}, passFor)
		}
	}
	return err
}

// tell leaves in f what came of the question.
func (f *flight) tell(ex *proxy.Exchange, e *entry, err error) {
	f.again, f.answer, f.failed = false, e, err
	if e != nil && len(e.vary) > 0 {
		f.varied = string(appendVary(nil, e.vary, ex.Out.Fields))
	}
}

// mayFail reports whether e can stand in for an answer that failed.
func (e *entry) mayFail(now time.Time) bool {
	f := &e.fresh
	return !f.strict && f.ageAt(now)-f.lifetime < f.ifError
}

// conditions returns a request's fields that ask whether an answer still holds.
func (f *freshness) conditions(fields http1.Fields) http1.Fields {
	kept := fields[:0]
	for i := range fields {
		one := &fields[i]
		if strings.EqualFold(one.Name, "If-None-Match") || strings.EqualFold(one.Name, "If-Modified-Since") {
			continue
		}
		kept = http1.AppendCopy(kept, one)
	}
	if f.etag != "" {
		kept.Add("If-None-Match", f.etag)
	}
	if f.modified != "" {
		kept.Add("If-Modified-Since", f.modified)
	}
	return kept
}

// store9111 keeps the backend's answer, if it may be, and returns what is kept; nil for
// nothing. RFC 9111, 3.
func (c *backend) store9111(ex *proxy.Exchange, q *question, asked time.Time) (*entry, error) {
	back := &ex.Back
	d := parseDirectives(back.Fields)
	vary, fit := storable(back, &d, q)
	if fit {
		var err error
		if fit, err = readWhole(back, c.most); err != nil {
			return nil, brokenOff(err)
		}
	}
	if !fit {
		return nil, nil
	}
	now := ex.Now()
	e := newEntry(back.Status, storedFields(back.Fields), back.Content)
	e.vary = vary
	e.fresh = freshnessOf(e.fields, ageOf(back.Fields), &d, asked, now)
	c.guess.apply(e, &d, ex.Out.Target)
	c.keep(ex, q, e)
	return e, nil
}

// keep keeps e.
func (c *backend) keep(ex *proxy.Exchange, q *question, e *entry) {
	f := &e.fresh
	f.epoch = q.epoch
	left := f.lifetime - f.age + max(f.whileRevalidate, f.ifError)
	if f.validators() {
		left = max(left, 0) + keepStale
	}
	c.put(ex, q, e.vary, e, left)
}

// put keeps e for ex's question, under a key with what vary names.
func (c *backend) put(ex *proxy.Exchange, q *question, vary []string, e *entry, ttl time.Duration) {
	if c.store.generation.Load() != q.generation || ttl <= 0 {
		return
	}
	key, expires := string(q.key[:q.primary]), ex.Lately().Add(ttl)
	if len(vary) > 0 {
		c.store.put(key, &entry{vary: vary}, expires)
		key += string(appendVary(nil, vary, ex.Out.Fields))
	}
	c.store.put(key, e, expires)
}

// storable reports whether an answer may be given to others, and what it varies by.
func storable(back *proxy.Response, d *directives, q *question) (vary []string, fit bool) {
	switch {
	case back.Status < 200 || back.Status == partialContent || back.Status == notModified || back.Tunnel != nil,
		d.noStore, d.private,
		d.mustUnderstand && !understood(back.Status),
		q.authorized && !d.public && !d.sharedMaxAge.set && !d.mustRevalidate: // RFC 9111, 3.5
		return nil, false
	}
	validates := false
	for i := range back.Fields {
		f := &back.Fields[i]
		switch {
		case setsCookie(f), f.Known() == http1.ContentType && streams(f.Value):
			return nil, false
		case strings.EqualFold(f.Name, "ETag"), strings.EqualFold(f.Name, "Last-Modified"):
			validates = true
		}
	}
	if !validates && !explicit(back.Fields, d) {
		return nil, false // how long it is good is nobody's guess
	}
	vary, anything := varyOf(back.Fields)
	return vary, !anything
}

// understood reports whether status is one that caches know all about. RFC 9111, 5.2.2.3.
func understood(status int) bool {
	switch status {
	case 200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 421, 451, 501:
		return true
	}
	return false
}
