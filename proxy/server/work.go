package server

import (
	"sync"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
)

// work is what a connection needs for a request only: a connection that waits
// has none.
type work struct {
	ex      proxy.Exchange
	request http1.Request
	body    requestBody
	reply   replyWriter
	shard   uint8 // of counters
}

// desks lends work to connections. The zero value is ready to use; safe for
// concurrent use.
//
// What a processor gives back is what it is lent next, so that counters which go by
// work's shard stay in that processor's memory; by connections' they'd go back and
// forth.
type desks struct{ pool sync.Pool }

func (d *desks) take(c *conn) *work {
	w, _ := d.pool.Get().(*work)
	if w == nil {
		w = &work{shard: c.server.nextShard()}
	}
	w.body.conn, w.reply.conn = c, c
	return w
}

func (d *desks) give(w *work) {
	w.body.conn, w.reply.conn = nil, nil // a mistake hits nobody else's connection
	d.pool.Put(w)
}
