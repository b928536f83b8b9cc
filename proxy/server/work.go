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
}

// desks lends work to connections. The zero value is ready to use; safe for
// concurrent use.
type desks struct{ pool sync.Pool }

func (d *desks) take(c *conn) *work {
	w, _ := d.pool.Get().(*work)
	if w == nil {
		w = new(work)
	}
	w.body.conn, w.reply.conn = c, c
	return w
}

func (d *desks) give(w *work) {
	w.body.conn, w.reply.conn = nil, nil // a mistake hits nobody else's connection
	d.pool.Put(w)
}
