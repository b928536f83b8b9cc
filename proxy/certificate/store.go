package certificate

import (
	"context"
	"time"
)

// Store keeps documents, and claims on names. One that several processes can reach
// lets them share certificates, accounts and challenges.
//
// Keys are made of parts between slashes, without one at the ends. All methods are
// safe for concurrent use, and return early when ctx ends. Package storetest says
// it in tests.
type Store interface {
	// Get returns the document and when it was put; fs.ErrNotExist when there is none.
	Get(ctx context.Context, key string) (value []byte, put time.Time, err error)

	// Put makes value the document, or leaves the one before as it was: nobody sees
	// half of one, whatever ends the process.
	Put(ctx context.Context, key string, value []byte) error

	// Delete removes the document, and those below key. Without any it does nothing.
	Delete(ctx context.Context, key string) error

	// List returns the keys of the documents below key, in order.
	List(ctx context.Context, key string) ([]string, error)

	// Claim makes owner the one who has name, for ttl from now on, and reports whether
	// it did. Who has it may claim it again, for longer. Somebody else gets it after
	// Release, or once ttl passed: that is how a claim ends whose owner is no more.
	Claim(ctx context.Context, name, owner string, ttl time.Duration) (bool, error)

	// Release ends owner's claim. Claims of others stay.
	Release(ctx context.Context, name, owner string) error
}
