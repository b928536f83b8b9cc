package responsecache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
)

// What a client gets that asks for a fresh answer and may not.
const (
	failUnauthorized   = "fail_with_403"
	warnUnauthorized   = "succeed_with_response_header"
	ignoreUnauthorized = "succeed_without_response_header"
)

// warning is the value of Warning for such a client. AWS's wording.
const warning = "199 Cache-control headers were ignored because the caller was unauthorized."

// passFor is for how long requests don't wait for each other after an answer that isn't
// kept.
const passFor = 5 * time.Second

// pending is what the look-up leaves for who keeps the answer.
type pending struct {
	key          []byte
	generation   uint64
	flight       *flight // nil: nobody waits
	warn         bool
	credentialed bool
}

type pendingKey struct{}

// pendings lends memory for keys.
type pendings struct{ pool sync.Pool }

func (p *pendings) take() *pending {
	if one, _ := p.pool.Get().(*pending); one != nil {
		return one
	}
	return &pending{key: make([]byte, 0, 256)}
}

// give takes one back; nobody may use its key any more.
func (p *pendings) give(one *pending) {
	*one = pending{key: one.key[:0]}
	p.pool.Put(one)
}

// lookUp is the step that answers from the cache.
type lookUp stageCache

// Run makes what is kept the reply, waits for somebody else's answer, or leaves the
// request to the integration.
func (l *lookUp) Run(ctx context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	c := (*stageCache)(l)
	if ex.Method != c.verb {
		return proxy.Continue, nil
	}
	t := c.look(ex)
	if t.special {
		return proxy.Continue, nil
	}
	p := c.store.memory.pendings.take()
	if t.fresh && c.requireAuthorization && !c.mayInvalidate(ex) {
		if c.unauthorized == failUnauthorized {
			c.store.memory.pendings.give(p)
			return proxy.Continue, proxy.Fault{Kind: proxy.AccessDenied, Cause: errInvalidate}
		}
		t.fresh, p.warn = false, c.unauthorized == warnUnauthorized
	}
	p.credentialed = t.credentialed
	p.generation = c.store.generation.Load()
	var err error
	if p.key, err = c.keys.append(p.key, ex, p.generation); err != nil {
		c.store.memory.pendings.give(p)
		return proxy.Continue, err
	}
	if !t.fresh {
		answered, err := c.find(ctx, ex, p, t)
		if answered || err != nil {
			c.store.memory.pendings.give(p)
			return proxy.Answered, err
		}
	}
	ex.Notes.Cache = proxy.CacheMiss
	c.store.misses.Add(1)
	ex.Keep(pendingKey{}, p)
	return proxy.Continue, nil
}

// readingLookUp is lookUp with a key that has something of the request's content.
type readingLookUp struct{ *lookUp }

// NeedsWholeBody implements proxy.WholeBody.
func (readingLookUp) NeedsWholeBody() {}

// NeedsDecodedBody implements proxy.DecodedBody.
func (readingLookUp) NeedsDecodedBody() {}

// errInvalidate is why a request is refused.
var errInvalidate = errors.New("the caller may not have a kept answer replaced (execute-api:InvalidateCache)")

// mostTries is how often a request looks again, after the answer to another that it waited
// for was of no use to it.
const mostTries = 3

// find answers ex from what is kept, or from what somebody else is being answered, and
// reports whether it did.
func (c *stageCache) find(ctx context.Context, ex *proxy.Exchange, p *pending, t traits) (answered bool, err error) {
	primary := len(p.key)
	for range mostTries {
		p.key = p.key[:primary]
		e, found := c.store.kept.Get(text(p.key), ex.Lately())
		if found && len(e.vary) > 0 && e.status == 0 {
			p.key = appendVary(p.key, e.vary, ex.In.Fields)
			e, found = c.store.kept.Get(text(p.key), ex.Lately())
		}
		switch {
		case found && e.status != 0 && (e.public || !p.credentialed):
			return c.answer(ex, e, p), nil
		case found, p.credentialed, t.conditional:
			// An answer for somebody else, one that isn't kept, or one that need not be the whole:
			// nobody is to wait for it.
			p.key = p.key[:primary]
			return false, nil
		}
		f, leads, err := c.store.join(text(p.key))
		if err != nil {
			return false, err
		}
		if leads {
			if _, found = c.store.kept.Get(text(p.key), ex.Lately()); found {
				f.land() // the answer came between the look and the flight
				continue
			}
			p.flight, p.key = f, p.key[:primary]
			return false, nil
		}
		landed, err := f.wait(ctx, c.wait)
		switch {
		case err != nil:
			return false, err
		case !landed:
			p.key = p.key[:primary]
			return false, nil
		case f.failed != nil:
			return false, f.failed
		case f.answer != nil && f.matches(ex):
			ex.Now() // it has waited
			return c.answer(ex, f.answer, p), nil
		case f.answer == nil && !f.again:
			p.key = p.key[:primary]
			return false, nil
		}
		ex.Now()
	}
	p.key = p.key[:primary]
	return false, nil
}

// matches reports whether the answer of f, which is for a key of its own, is for ex as well.
func (f *flight) matches(ex *proxy.Exchange) bool {
	if len(f.answer.vary) == 0 {
		return true
	}
	return string(appendVary(nil, f.answer.vary, ex.In.Fields)) == f.varied
}

// answer makes e the reply. It fails for what can't be read.
func (c *stageCache) answer(ex *proxy.Exchange, e *entry, p *pending) bool {
	fields, content, ok := e.open(c.store.memory, ex.Reply.Fields[:0])
	if !ok {
		return false
	}
	ex.Reply = proxy.Response{Status: e.status, Fields: fields, Content: content, Length: int64(len(content))}
	if p.warn {
		ex.Reply.Fields = append(ex.Reply.Fields, http1.Field{Name: "Warning", Value: warning})
	}
	ex.Notes.Cache = proxy.CacheHit
	c.store.hits.Add(1)
	return true
}

// keep is the step that keeps answers.
type keep stageCache

// Run keeps the reply if it is for more than one request, and lets those go on who wait for
// it.
func (k *keep) Run(ctx context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	p, _ := ex.Kept(pendingKey{}).(*pending)
	if p == nil {
		return proxy.Continue, nil
	}
	c := (*stageCache)(k)
	ex.Keep(pendingKey{}, nil)
	err := c.keep(ctx, ex, p)
	if p.warn {
		ex.Reply.Fields = append(ex.Reply.Fields, http1.Field{Name: "Warning", Value: warning})
	}
	if p.flight != nil {
		p.flight.land()
	}
	c.store.memory.pendings.give(p)
	return proxy.Continue, err
}

// keep keeps the reply under p.key and gives it to those who wait.
func (c *stageCache) keep(ctx context.Context, ex *proxy.Exchange, p *pending) error {
	f := p.flight
	if ex.Fault != nil {
		if f != nil && ex.Fault.Kind != proxy.ClientGone {
			// Not kept, but those who waited needn't run into it one after the other.
			f.failed = proxy.Fault{Kind: ex.Fault.Kind, Message: strings.Clone(ex.Fault.Message), RetryAfter: ex.Fault.RetryAfter, Cause: ex.Fault.Cause}
		}
		return nil
	}
	vary, public, fit := c.fit(ex, p.credentialed)
	if fit {
		all, err := readWhole(&ex.Reply, c.most)
		if err != nil {
			err = brokenOff(err)
			if f != nil && ctx.Err() == nil && !errors.Is(err, proxy.Fault{Kind: proxy.ClientGone}) {
				f.failed = err
			}
			return err
		}
		fit = all
	}
	if f != nil {
		f.again = false
	}
	if c.store.generation.Load() != p.generation {
		return nil // flushed meanwhile
	}
	key, now := string(p.key), ex.Now()
	if !fit {
		if f != nil { // nothing was kept that this could take the place of
			c.store.put(key, &entry{pass: true}, now.Add(min(passFor, c.ttl)))
		}
		return nil
	}
	e := newEntry(ex.Reply.Status, ex.Reply.Fields, ex.Reply.Content)
	e.vary, e.public = vary, public
	if c.encrypted {
		e.seal(c.store.memory)
	}
	expires := now.Add(c.ttl)
	if len(vary) > 0 {
		c.store.put(key, &entry{vary: vary}, expires)
		varied := string(appendVary(nil, vary, ex.In.Fields))
		key += varied
		if f != nil {
			f.varied = varied
		}
	}
	c.store.put(key, e, expires)
	if f != nil && (public || !p.credentialed) {
		f.answer = e
	}
	return nil
}

// brokenOff is the fault of an answer that can't be read to its end.
func brokenOff(err error) error {
	if f, is := err.(proxy.Fault); is {
		return f
	}
	return proxy.Fault{Kind: proxy.IntegrationFailure, Cause: fmt.Errorf("read the answer to keep it: %w", err)}
}

// fit reports whether the reply may be given to others, by its head: never errors, parts,
// answers that a client's own conditions led to, and what is for one client alone.
func (c *stageCache) fit(ex *proxy.Exchange, credentialed bool) (vary []string, public, fit bool) {
	r := &ex.Reply
	if r.Status < 200 || r.Status > 399 || r.Status == partialContent || r.Status == notModified || r.Tunnel != nil {
		return nil, false, false
	}
	for i := range r.Fields {
		f := &r.Fields[i]
		switch {
		case setsCookie(f):
			return nil, false, false
		case f.Known() == http1.ContentType && streams(f.Value):
			return nil, false, false
		}
	}
	d := parseDirectives(r.Fields)
	if d.noStore || d.private || d.noCache || d.maxAge.set && d.maxAge.n == 0 && !d.sharedMaxAge.set || d.sharedMaxAge.set && d.sharedMaxAge.n == 0 {
		return nil, false, false
	}
	public = d.public || d.sharedMaxAge.set
	if credentialed && !public {
		return nil, false, false
	}
	vary, anything := varyOf(r.Fields)
	return vary, public, !anything
}

// setsCookie reports whether f gives the client a cookie, which is for it alone.
func setsCookie(f *http1.Field) bool {
	return f.Known() == http1.Other && (strings.EqualFold(f.Name, "Set-Cookie") || strings.EqualFold(f.Name, "Set-Cookie2"))
}

// streams reports whether content of this type has no end to wait for.
func streams(contentType string) bool {
	return strings.EqualFold(proxy.FirstMediaType(contentType), "text/event-stream")
}
