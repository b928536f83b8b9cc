package guard

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/clients"
)

// rememberedClients is how many clients all guards together remember the rates of:
// 32 MiB when there are so many. A million of them drive out nobody.
const rememberedClients = 2 << 20

// censuses is how many locks the counts of requests under way have.
const censuses = 64

// Memory is what guards count. It outlives snapshots. Safe for concurrent use.
type Memory struct {
	seed     maphash.Seed // so that nobody can choose whose count to share
	rates    *clients.Rates
	underway [censuses]clients.Census
	tickets  sync.Pool // of *ticket
}

// NewMemory returns a memory that has counted nothing.
func NewMemory() *Memory {
	m := &Memory{seed: maphash.MakeSeed(), rates: clients.NewRates(time.Now(), rememberedClients)}
	m.tickets.New = func() any {
		t := &ticket{memory: m}
		t.leave = t.giveBack
		return t
	}
	return m
}

// scope is where a guard counts.
type scope struct{ guard, api, stage, route string }

// scope returns a number for s, the same after a reload.
func (m *Memory) scope(s scope) uint64 { return maphash.Comparable(m.seed, s) }

// counted is a client in a scope.
type counted struct {
	scope  uint64
	client clients.Key
}

// key returns the key of ex's client in a scope; known is false when the client has
// no address. Two have the same one by chance only, once in 2^64.
func (m *Memory) key(scope uint64, ex *proxy.Exchange) (key clients.Key, known bool) {
	client, known := clients.KeyOf(ex.In.Client.Addr())
	return clients.Key(maphash.Comparable(m.seed, counted{scope, client})), known
}

// enter counts one more request of a client until ex is done, unless there are most.
func (m *Memory) enter(key clients.Key, most int, ex *proxy.Exchange) bool {
	if !m.underway[key%censuses].Enter(key, most) {
		return false
	}
	t := m.tickets.Get().(*ticket)
	t.key = key
	ex.OnDone(t.leave)
	return true
}

// ticket is a request that is counted. It is used again, for a function that knows
// its request would have to be made for each.
type ticket struct {
	memory *Memory
	key    clients.Key
	leave  func()
}

// giveBack counts one less.
func (t *ticket) giveBack() {
	t.memory.underway[t.key%censuses].Leave(t.key)
	t.memory.tickets.Put(t)
}
