package plugins

import (
	"strings"
	"sync"
)

// wasmCommons are what the instances of all versions of one plugin share: data,
// queues and metrics of proxy-wasm. They outlive reloads. Safe for concurrent use.
type wasmCommons struct {
	refs int // plugins; guarded by host.mu

	mu      sync.Mutex // guards what follows
	data    map[string]wasmDatum
	size    int // of keys, values, queued items and names, bytes
	stamp   uint32
	queues  []*wasmQueue // a queue's number is its place, counted from 1
	metrics []wasmMetric // likewise
}

// wasmDatum is a shared value; stamp changes whenever it is set.
type wasmDatum struct {
	value string
	stamp uint32
}

type wasmQueue struct {
	name  string
	items []string
}

// wasmMetric is a counter, a gauge or a histogram, which keeps its sum.
type wasmMetric struct {
	kind  uint64
	name  string
	value uint64
}

const (
	// maxCommons is how much one plugin may share, in bytes.
	maxCommons = 4 << 20
	// commonsEntry is what an entry counts besides its bytes.
	commonsEntry = 64
)

// The kinds of metrics: proxy_metric_type_t.
const (
	metricCounter   = 0
	metricHistogram = 2
)

// admit makes room for n more bytes, if there may be.
func (c *wasmCommons) admit(n int) bool {
	if n > 0 && c.size+n > maxCommons {
		return false
	}
	c.size += n
	return true
}

// get returns a shared value, and its stamp to change it by.
func (c *wasmCommons) get(key string) (value string, stamp uint32, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d, ok := c.data[key]
	return d.value, d.stamp, ok
}

// put sets a shared value, if stamp is 0 or still its stamp.
func (c *wasmCommons) put(key, value string, stamp uint32) wasmStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	d, ok := c.data[key]
	if stamp != 0 && stamp != d.stamp {
		return statusCASMismatch
	}
	grows := len(value) - len(d.value)
	if !ok {
		grows += len(key) + commonsEntry
	}
	if !c.admit(grows) {
		return statusInternal
	}
	if c.stamp++; c.stamp == 0 {
		c.stamp++
	}
	if !ok {
		key = strings.Clone(key)
	}
	if c.data == nil {
		c.data = map[string]wasmDatum{}
	}
	c.data[key] = wasmDatum{strings.Clone(value), c.stamp}
	return statusOK
}

// queue returns the number of the queue called name, or 0. It makes one if make
// says so.
func (c *wasmCommons) queue(name string, make bool) (uint32, wasmStatus) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, q := range c.queues {
		if q.name == name {
			return uint32(i + 1), statusOK
		}
	}
	if !make {
		return 0, statusNotFound
	}
	if !c.admit(len(name) + commonsEntry) {
		return 0, statusInternal
	}
	c.queues = append(c.queues, &wasmQueue{name: strings.Clone(name)})
	return uint32(len(c.queues)), statusOK
}

func (c *wasmCommons) queueAt(number uint64) *wasmQueue {
	if number == 0 || number > uint64(len(c.queues)) {
		return nil
	}
	return c.queues[number-1]
}

func (c *wasmCommons) enqueue(number uint64, item string) wasmStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := c.queueAt(number)
	switch {
	case q == nil:
		return statusNotFound
	case !c.admit(len(item) + commonsEntry):
		return statusInternal
	}
	q.items = append(q.items, strings.Clone(item))
	return statusOK
}

func (c *wasmCommons) dequeue(number uint64) (string, wasmStatus) {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := c.queueAt(number)
	switch {
	case q == nil:
		return "", statusNotFound
	case len(q.items) == 0:
		return "", statusEmpty
	}
	item := q.items[0]
	q.items[0] = ""
	q.items = q.items[1:]
	c.size -= len(item) + commonsEntry
	return item, statusOK
}

// metric returns the number of the metric called name.
func (c *wasmCommons) metric(kind uint64, name string) (uint32, wasmStatus) {
	if kind > metricHistogram {
		return 0, statusBadArgument
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.metrics {
		if c.metrics[i].name == name && c.metrics[i].kind == kind {
			return uint32(i + 1), statusOK
		}
	}
	if !c.admit(len(name) + commonsEntry) {
		return 0, statusInternal
	}
	c.metrics = append(c.metrics, wasmMetric{kind: kind, name: strings.Clone(name)})
	return uint32(len(c.metrics)), statusOK
}

// count changes a metric: record sets a gauge and adds to a histogram.
func (c *wasmCommons) count(number uint64, change func(m *wasmMetric) wasmStatus) wasmStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	if number == 0 || number > uint64(len(c.metrics)) {
		return statusNotFound
	}
	return change(&c.metrics[number-1])
}

// wasmSharedCalls are about what outlives an exchange.
func wasmSharedCalls() []wasmEntry {
	return []wasmEntry{
		{"proxy_get_shared_data", "iiiii", (*proxyWasm).getShared},
		{"proxy_set_shared_data", "iiiii", (*proxyWasm).setShared},
		{"proxy_register_shared_queue", "iii", func(g *proxyWasm, s []uint64) wasmStatus { return g.findQueue(s[0], s[1], s[2], true) }},
		{"proxy_resolve_shared_queue", "iiiii", (*proxyWasm).resolveQueue},
		{"proxy_enqueue_shared_queue", "iii", (*proxyWasm).enqueue},
		{"proxy_dequeue_shared_queue", "iii", func(g *proxyWasm, s []uint64) wasmStatus {
			item, status := g.commons().dequeue(s[0])
			if status != statusOK {
				return status
			}
			return g.hand(s[1], s[2], item)
		}},
		{"proxy_define_metric", "iiii", (*proxyWasm).defineMetric},
		{"proxy_increment_metric", "iI", (*proxyWasm).incrementMetric},
		{"proxy_record_metric", "iI", (*proxyWasm).recordMetric},
		{"proxy_get_metric", "ii", (*proxyWasm).getMetric},
		{"proxy_http_call", "iiiiiiiiii", (*proxyWasm).httpCall},
	}
}

func (g *proxyWasm) commons() *wasmCommons { return g.in.plugin.bound.commons }

func (g *proxyWasm) getShared(s []uint64) wasmStatus {
	key, ok := g.text(s[0], s[1])
	if !ok {
		return statusMemory
	}
	value, stamp, ok := g.commons().get(key)
	if !ok {
		return statusNotFound
	}
	if !g.set32(s[4], stamp) {
		return statusMemory
	}
	return g.hand(s[2], s[3], value)
}

func (g *proxyWasm) setShared(s []uint64) wasmStatus {
	key, ok := g.text(s[0], s[1])
	value, ok2 := g.text(s[2], s[3])
	if !ok || !ok2 {
		return statusMemory
	}
	return g.commons().put(key, value, uint32(s[4]))
}

func (g *proxyWasm) findQueue(at, n, to uint64, make bool) wasmStatus {
	name, ok := g.text(at, n)
	if !ok {
		return statusMemory
	}
	number, status := g.commons().queue(name, make)
	if status != statusOK {
		return status
	}
	return g.put32(to, number)
}

// resolveQueue finds a queue of the plugin's own: others' can't be reached.
func (g *proxyWasm) resolveQueue(s []uint64) wasmStatus {
	machine, ok := g.text(s[0], s[1])
	if !ok {
		return statusMemory
	}
	if machine != "" && machine != g.in.plugin.name {
		return statusNotFound
	}
	return g.findQueue(s[2], s[3], s[4], false)
}

func (g *proxyWasm) enqueue(s []uint64) wasmStatus {
	item, ok := g.text(s[1], s[2])
	if !ok {
		return statusMemory
	}
	status := g.commons().enqueue(s[0], item)
	if status == statusOK {
		g.in.plugin.bound.background.queued(uint32(s[0]))
	}
	return status
}

func (g *proxyWasm) defineMetric(s []uint64) wasmStatus {
	name, ok := g.text(s[1], s[2])
	if !ok {
		return statusMemory
	}
	number, status := g.commons().metric(s[0], name)
	if status != statusOK {
		return status
	}
	g.in.plugin.bound.show(number, MetricKind(s[0])+Counter, name)
	return g.put32(s[3], number)
}

// show has a metric shown on the metrics page, if the plugin's are and its name,
// made fit, allows it.
func (b *boundPool) show(number uint32, kind MetricKind, name string) {
	to := b.plugin.grants.metrics
	if to == nil {
		return
	}
	n := to.define(kind, shownName(name))
	if n <= 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shown == nil {
		b.shown = map[uint32]*metric{}
	}
	b.shown[number] = to.all()[n-1]
}

// shownMetric returns the metric that is shown for a number, or nil.
func (b *boundPool) shownMetric(number uint64) *metric {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.shown[uint32(number)]
}

// shownName makes a name that metrics pages can have of what Envoy's have.
func shownName(name string) string {
	b := []byte(name[:min(len(name), maxMetricName)])
	for i, c := range b {
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9' || i == 0) {
			b[i] = '_'
		}
	}
	name = string(b)
	for at := strings.LastIndexByte(name, '_'); at > 0 && !metricName(name); at = strings.LastIndexByte(name, '_') {
		name = name[:at] // an ending that has a meaning there
	}
	return name
}

func (g *proxyWasm) incrementMetric(s []uint64) wasmStatus {
	by := int64(s[1])
	status := g.commons().count(s[0], func(m *wasmMetric) wasmStatus {
		if m.kind == metricHistogram || m.kind == metricCounter && by < 0 {
			return statusBadArgument
		}
		m.value += uint64(by)
		return statusOK
	})
	if status == statusOK {
		if m := g.in.plugin.bound.shownMetric(s[0]); m != nil {
			m.value.Add(by)
		}
	}
	return status
}

func (g *proxyWasm) recordMetric(s []uint64) wasmStatus {
	value := s[1]
	status := g.commons().count(s[0], func(m *wasmMetric) wasmStatus {
		if m.kind == metricHistogram {
			m.value += value
			return statusOK
		}
		m.value = value
		return statusOK
	})
	if status == statusOK {
		if m := g.in.plugin.bound.shownMetric(s[0]); m != nil && m.kind == Histogram {
			m.observe(int64(value))
		} else if m != nil {
			m.value.Store(int64(value))
		}
	}
	return status
}

func (g *proxyWasm) getMetric(s []uint64) wasmStatus {
	value := uint64(0)
	status := g.commons().count(s[0], func(m *wasmMetric) wasmStatus {
		value = m.value
		return statusOK
	})
	if status != statusOK {
		return status
	}
	return g.put64(s[1], value)
}
