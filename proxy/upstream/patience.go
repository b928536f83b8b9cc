package upstream

import (
	"fmt"
	"math"
	"os"
	"time"

	"github.com/postern-gateway/postern/proxy"
)

// noLimit is the time that an answer's content may take when nothing bounds it.
const noLimit = time.Duration(math.MaxInt64)

// patience returns how long the content of the answer to out may be waited for,
// all waits added up.
func (s *settings) patience(out *proxy.Outgoing) time.Duration {
	switch {
	case out.ContentTimeout > 0:
		return out.ContentTimeout
	case s.content > 0:
		return s.content
	}
	return noLimit
}

// silent is the fault of content that did not go on for so long.
func silent(idle time.Duration) error {
	return proxy.Fault{Kind: proxy.IntegrationTimeout, Cause: fmt.Errorf("no content for %s: %w", idle, os.ErrDeadlineExceeded)}
}

// long is the fault of content that kept us waiting for all of its time.
func long(limit time.Duration) error {
	return proxy.Fault{Kind: proxy.IntegrationTimeout, Cause: longError{limit}}
}

// longError is an answer that is cut because it takes too long in all. That is
// not held against its target: a stream of events may just be that long.
type longError struct{ limit time.Duration }

func (e longError) Error() string {
	return fmt.Sprintf("the content kept us waiting for %s in all", e.limit)
}

func (e longError) Unwrap() error { return os.ErrDeadlineExceeded }
