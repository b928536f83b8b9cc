package responsecache

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
)

// storedFields returns those of a backend's fields that are kept: not what is of the
// connection, of a proxy, or of this cache. RFC 9111, 3.1.
func storedFields(fields http1.Fields) http1.Fields {
	passing := proxy.PassingOf(fields)
	var kept http1.Fields
	for i := range fields {
		if f := &fields[i]; !passing.HopByHop(f) && !ofProxy(f) && !setsCookie(f) {
			kept = append(kept, *f)
		}
	}
	return kept
}

func ofProxy(f *http1.Field) bool {
	return strings.EqualFold(f.Name, "Age") || len(f.Name) > 6 && strings.EqualFold(f.Name[:6], "Proxy-")
}

// ageOf returns the largest Age of an answer.
func ageOf(fields http1.Fields) (age time.Duration) {
	for i := range fields {
		if strings.EqualFold(fields[i].Name, "Age") {
			age = max(age, parseAge(fields[i].Value))
		}
	}
	return age
}

// fixed reports whether a 304 doesn't change the field: what is kept is the content, and
// this describes it. RFC 9111, 3.2.
func fixed(name string) bool {
	return slices.ContainsFunc([]string{"Content-Encoding", "Content-Length", "Content-MD5", "Content-Range", "ETag"}, func(one string) bool {
		return strings.EqualFold(one, name)
	})
}

// freshen goes on with stale, of which the backend said that it still holds. RFC 9111, 4.3.4.
func (c *backend) freshen(ex *proxy.Exchange, q *question, stale *entry, f *flight, asked time.Time) {
	said := storedFields(ex.Back.Fields)
	var fields http1.Fields
	for i := range stale.fields {
		old := &stale.fields[i]
		if _, renewed := said.Lookup(old.Name); !renewed || fixed(old.Name) {
			fields = append(fields, *old)
		}
	}
	for i := range said {
		if !fixed(said[i].Name) {
			fields = append(fields, said[i])
		}
	}
	var cookies http1.Fields // for this client alone
	for i := range ex.Back.Fields {
		if setsCookie(&ex.Back.Fields[i]) {
			cookies = append(cookies, ex.Back.Fields[i])
		}
	}
	now := ex.Now()
	d := parseDirectives(fields)
	e := newEntry(stale.status, fields, nil)
	e.content, e.vary = stale.content, stale.vary
	e.fresh = freshnessOf(e.fields, ageOf(ex.Back.Fields), &d, asked, now)
	c.guess.apply(e, &d, ex.Out.Target)
	kept := e
	if d.noStore || d.private {
		kept = nil
	} else {
		c.keep(ex, q, e)
	}
	if f != nil {
		f.tell(ex, kept, nil)
	}
	c.serve(ex, e, q)
	ex.Back.Fields = append(ex.Back.Fields, cookies...)
}

// isFor reports whether f's answer is for ex as well.
func (f *flight) isFor(ex *proxy.Exchange) bool {
	return len(f.answer.vary) == 0 || string(appendVary(nil, f.answer.vary, ex.Out.Fields)) == f.varied
}

// refresh asks the backend for a newer answer than e in the background, once for all.
func (c *backend) refresh(ex *proxy.Exchange, e *entry, q *question) {
	m := c.store.memory
	select {
	case m.places <- struct{}{}:
	default:
		return // as soon as one of the many is done, somebody will ask again
	}
	f, leads, _ := c.store.join(text(q.key))
	if !leads {
		if f != nil {
			c.store.leave(f)
		}
		<-m.places
		return
	}
	c.store.retain()
	own := &question{key: slices.Clone(q.key), primary: q.primary, generation: q.generation, epoch: q.epoch, authorized: q.authorized}
	bg := detached(ex)
	m.work.Go(func() {
		defer func() { <-m.places }()
		defer c.store.release()
		defer func() { _ = recover() }() // a mistake in a backend costs this answer only, as in a pipeline
		ctx, cancel := context.WithTimeout(m.background, bg.Out.Timeout+c.wait)
		defer cancel()
		_ = c.fetch(ctx, bg, own, e, f) // who asks next finds out
		bg.End()
	})
}

// retain is one more user of s.
func (s *store) retain() {
	s.memory.mu.Lock()
	s.users++
	s.memory.mu.Unlock()
}

// leave takes the caller off those who wait for f.
func (s *store) leave(f *flight) {
	s.mu.Lock()
	f.waiting--
	s.mu.Unlock()
}

// detached returns an exchange that asks the backend what ex asks, and ends by itself.
func detached(ex *proxy.Exchange) *proxy.Exchange {
	bg := &proxy.Exchange{}
	bg.Begin(time.Now(), nil)
	bg.Notes.Cache = proxy.CacheMiss // no client's, which counts
	bg.ID, bg.Stage, bg.Route, bg.Shard = strings.Clone(ex.ID), ex.Stage, ex.Route, ex.Shard
	bg.Method, bg.Path = strings.Clone(ex.Method), strings.Clone(ex.Path)
	bg.In = proxy.Request{
		Method: bg.Method, Scheme: ex.In.Scheme, Host: strings.Clone(ex.In.Host), Path: strings.Clone(ex.In.Path),
		Proto: ex.In.Proto, Client: ex.In.Client, Local: ex.In.Local, Fields: cloned(ex.In.Fields),
	}
	out := &ex.Out
	bg.Out = proxy.Outgoing{
		Method: strings.Clone(out.Method), Target: strings.Clone(out.Target), Host: strings.Clone(out.Host),
		Fields: cloned(out.Fields), Timeout: out.Timeout, ContentTimeout: out.ContentTimeout,
	}
	return bg
}

func cloned(fields http1.Fields) http1.Fields {
	own := make(http1.Fields, len(fields))
	for i := range fields {
		own[i] = http1.NewField(strings.Clone(fields[i].Name), strings.Clone(fields[i].Value))
	}
	return own
}

// change sends a request that may change things, and has forgotten what it changed: what
// its URL answers, and those that the backend names. RFC 9111, 4.4.
func (c *backend) change(ctx context.Context, ex *proxy.Exchange) error {
	err := c.next.Send(ctx, ex)
	if err != nil || ex.Back.Status < 200 || ex.Back.Status > 399 {
		return err
	}
	out := &ex.Out
	c.store.epoch(out.Host, out.Target).Add(1)
	for i := range ex.Back.Fields {
		f := &ex.Back.Fields[i]
		if strings.EqualFold(f.Name, "Location") || strings.EqualFold(f.Name, "Content-Location") {
			if target, own := targetOf(f.Value, out); own {
				c.store.epoch(out.Host, target).Add(1)
			}
		}
	}
	return nil
}

// targetOf returns the path and query of a URL that a backend names, and false for one of
// another host.
func targetOf(url string, out *proxy.Outgoing) (string, bool) {
	url, _, _ = strings.Cut(url, "#")
	if scheme, rest, found := strings.Cut(url, "://"); found && !strings.ContainsAny(scheme, "/?") {
		return afterHost(rest, out)
	}
	switch {
	case strings.HasPrefix(url, "//"):
		return afterHost(url[2:], out)
	case strings.HasPrefix(url, "/"):
		return url, true
	}
	base, _, _ := strings.Cut(out.Target, "?")
	return base[:strings.LastIndexByte(base, '/')+1] + strings.TrimPrefix(url, "./"), true
}

// afterHost is targetOf for what follows the scheme.
func afterHost(rest string, out *proxy.Outgoing) (string, bool) {
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		return "/", strings.EqualFold(rest, out.Host)
	}
	target := rest[end:]
	if target[0] == '?' {
		target = "/" + target
	}
	return target, strings.EqualFold(rest[:end], out.Host)
}
