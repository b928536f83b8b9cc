package websocket

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// shards is how many locks the table of connections has.
const shards = 64

// Hub has the connections of all WebSocket APIs by their ids. It outlives snapshots.
// Safe for concurrent use.
type Hub struct {
	logger    *zap.Logger
	seed      maphash.Seed
	table     [shards]shard
	counters  atomic.Uint32 // connections so far
	exchanges sync.Pool     // of *proxy.Exchange
}

// shard is a part of the table.
type shard struct {
	mu    sync.RWMutex // guards what follows
	conns map[string]*Conn
}

// NewHub returns a hub without connections. logger may be nil.
func NewHub(logger *zap.Logger) *Hub {
	if logger == nil {
		logger = zap.NewNop()
	}
	h := &Hub{logger: logger, seed: maphash.MakeSeed()}
	for i := range h.table {
		h.table[i].conns = map[string]*Conn{}
	}
	h.exchanges.New = func() any { return new(proxy.Exchange) }
	return h
}

func (h *Hub) shard(id string) *shard { return &h.table[maphash.String(h.seed, id)%shards] }

// Find returns the connection of that id to a stage; nil if there is none.
func (h *Hub) Find(api, stage, id string) *Conn {
	s := h.shard(id)
	s.mu.RLock()
	c := s.conns[id]
	s.mu.RUnlock()
	if c == nil || c.api != api || c.stage != stage {
		return nil
	}
	return c
}

// Count says how many connections a stage has.
type Count struct {
	API   string `json:"api"`
	Stage string `json:"stage"`
	Open  int    `json:"open"`
}

// Counts returns how many connections each stage has, in the order of their names; those
// without any are left out.
func (h *Hub) Counts() []Count {
	open := map[[2]string]int{}
	for i := range h.table {
		s := &h.table[i]
		s.mu.RLock()
		for _, c := range s.conns {
			open[[2]string{c.api, c.stage}]++
		}
		s.mu.RUnlock()
	}
	all := make([]Count, 0, len(open))
	for name, n := range open {
		all = append(all, Count{name[0], name[1], n})
	}
	slices.SortFunc(all, func(a, b Count) int {
		return cmp.Or(cmp.Compare(a.API, b.API), cmp.Compare(a.Stage, b.Stage))
	})
	return all
}

func (h *Hub) add(c *Conn) {
	s := h.shard(c.ID())
	s.mu.Lock()
	s.conns[c.ID()] = c
	s.mu.Unlock()
}

func (h *Hub) remove(c *Conn) {
	s := h.shard(c.ID())
	s.mu.Lock()
	delete(s.conns, c.ID())
	s.mu.Unlock()
}

// take lends an exchange.
func (h *Hub) take() *proxy.Exchange { return h.exchanges.Get().(*proxy.Exchange) }

// give ends an exchange and takes it back.
func (h *Hub) give(ex *proxy.Exchange) {
	ex.End()
	ex.In.Content, ex.Reply, ex.Back = nil, proxy.Response{Fields: ex.Reply.Fields[:0]}, proxy.Response{Fields: ex.Back.Fields[:0]}
	h.exchanges.Put(ex)
}

// idBytes is how many random bytes an id has: as many as AWS's.
const idBytes = 11

// newID returns an id of 15 letters and "=", as AWS's have. Nobody can guess it. The
// letters are those that a URL's path can hold as they are, so that one who forgets to
// encode the id finds its connection.
func (h *Hub) newID() string {
	var raw [idBytes]byte
	_, _ = rand.Read(raw[:]) // never fails
	return base64.URLEncoding.EncodeToString(raw[:])
}

// isID reports whether text could be an id.
func isID(text string) bool {
	raw, err := base64.URLEncoding.DecodeString(text)
	return err == nil && len(raw) == idBytes
}

// limits bound a connection.
type limits struct {
	frame, message int // bytes
	idle, life     time.Duration
	queue          int // messages
	unread         int // bytes
}

func newLimits(c *config.Socket) *limits {
	return &limits{
		frame: int(c.Frame), message: int(c.Message), idle: time.Duration(c.Idle), life: time.Duration(c.Life),
		queue: c.Queue, unread: int(c.SendBuffer),
	}
}

// lastWords is how long $disconnect may take when everything is to end now.
const lastWords = 3 * time.Second

// farewell returns the context of $disconnect: the one of the connection is over.
func (c *Conn) farewell() (context.Context, context.CancelFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		return context.WithTimeout(context.Background(), lastWords)
	}
	return context.WithCancel(context.Background())
}
