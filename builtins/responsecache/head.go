package responsecache

import (
	"context"
	"strings"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
)

// head is Send for HEAD: what is kept of GET answers it while that is fresh. RFC 9111, 4.
// Else the backend does, and what it says of an answer that isn't the one that is kept
// makes that one forgotten. RFC 9111, 4.3.5.
func (c *backend) head(ctx context.Context, ex *proxy.Exchange) error {
	lent := c.store.memory.pendings.take()
	q := question{key: lent.key}
	defer func() {
		lent.key = q.key
		c.store.memory.pendings.give(lent)
	}()
	if !c.ask(ex, &q) {
		return c.next.Send(ctx, ex)
	}
	e := c.look(ex, &q)
	if e != nil && e.status == 0 {
		e = nil
	}
	if e != nil && c.usable(ex, e, &q) {
		c.serve(ex, e, &q)
		if back := &ex.Back; back.Status == e.status {
			back.Content, back.Length = nil, int64(len(e.content))
		}
		return nil
	}
	if q.wish.onlyIfCached { // RFC 9111, 5.2.1.7
		ex.Back = proxy.Response{Status: gatewayTimeout, Fields: ex.Back.Fields[:0]}
		return nil
	}
	if ex.Notes.Cache == proxy.CacheUnasked {
		ex.Notes.Cache = proxy.CacheMiss
		c.store.misses.Add(1)
	}
	err := c.next.Send(ctx, ex)
	if err == nil && e != nil && ex.Back.Status == 200 && !e.describedBy(&ex.Back) {
		c.store.epoch(ex.Out.Host, ex.Out.Target).Add(1)
	}
	return err
}

// describedBy reports whether an answer to HEAD can be about e: nothing that both say
// of the content differs.
func (e *entry) describedBy(head *proxy.Response) bool {
	if head.Length > 0 && head.Length != int64(len(e.content)) {
		return false
	}
	for i := range head.Fields {
		f := &head.Fields[i]
		own := ""
		switch {
		case f.Known() != http1.Other:
			continue
		case strings.EqualFold(f.Name, "ETag"):
			own = e.fresh.etag
		case strings.EqualFold(f.Name, "Last-Modified"):
			own = e.fresh.modified
		default:
			continue
		}
		if own != f.Value {
			return false
		}
	}
	return true
}
