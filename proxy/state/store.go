// Package state keeps what outlives the gateway: documents, and counters. It
// knows nothing of what they mean.
package state

import (
	"errors"
	"fmt"
)

// Store keeps entries in tables. An entry is a document or a counter; a table
// comes into being with its first entry.
//
// All methods are safe for concurrent use. What Update took is there after the
// process was killed. An error leaves everything as it was.
type Store interface {
	// Each calls f with the entries of table whose keys k are from <= k < to, in the
	// order of the keys' bytes; "" for to has no end. They are of one moment. An error
	// of f ends it and is returned. f must not call the store; what it gets is its own.
	Each(table, from, to string, f func(Entry) error) error

	// Update makes all changes, in their order, or none. It sets the Count of those that
	// Add to what their counters came to: where several gateways share a store, that is
	// how one learns of the others.
	Update(changes []Change) error

	// Close gives everything back. Then each method returns ErrClosed.
	Close() error
}

// Entry is a document or a counter.
type Entry struct {
	Key   string
	Value []byte // of a document; nil for a counter
	Count int64  // of a counter
}

// Change is one change of an entry: to a document with this Value, to a counter that
// has Add more (one that isn't there has 0), or to nothing. An entry of the other sort
// is replaced.
type Change struct {
	Table, Key string
	Value      []byte // not nil: what the document becomes
	Delete     bool
	Add        int64

	Count int64 // set by Update
}

// MaxKey is the length of the longest key, in bytes.
const MaxKey = 1024

// Errors of stores.
var (
	ErrClosed = errors.New("the state is closed")
	ErrInUse  = errors.New("in use by another process")
	ErrBroken = errors.New("damaged")
)

// check reports a change that no store takes.
func check(changes []Change) error {
	for i := range changes {
		c := &changes[i]
		if c.Table == "" || c.Key == "" || len(c.Key) > MaxKey || len(c.Table) > MaxKey {
			return fmt.Errorf("state: a table and a key need 1 to %d bytes", MaxKey)
		}
	}
	return nil
}
