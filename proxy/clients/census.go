package clients

import "sync"

// Census counts what each client has open: connections, or requests. Its size is bounded by the
// number of those that can be open. The zero value is ready to
// use; safe for concurrent use.
type Census struct {
	mu   sync.Mutex // guards what follows
	open map[Key]int
}

// Enter counts one more, unless that would be more than limit.
func (c *Census) Enter(key Key, limit int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = make(map[Key]int)
	}
	n := c.open[key]
	if n >= limit {
		return false
	}
	c.open[key] = n + 1
	return true
}

// Leave counts one less; the key 0, which nobody has, counts nobody.
func (c *Census) Leave(key Key) {
	if key == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.open[key]; n > 1 {
		c.open[key] = n - 1
	} else {
		delete(c.open, key)
	}
}
