//go:build race

package responsecache

// raced says that the race detector is on: then sync.Pool forgets what it is given now and
// again.
const raced = true
