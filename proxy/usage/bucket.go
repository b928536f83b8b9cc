// Package usage knows who may call how often: API keys, what each has used of its
// plans, and token buckets. It knows no exchange.
package usage

import (
	"math"
	"sync/atomic"
	"time"
)

// grain is how many parts a nanosecond has where buckets count time, so that the
// interval of a million requests a second is right to a hundredth of a percent.
const grain = 16

// Rate is what a token bucket gives. The zero value gives nothing.
type Rate struct {
	interval int64 // from one token to the next; 0: there are none
	depth    int64 // what a full bucket holds
}

// NewRate returns the rate of a bucket that holds burst tokens and gets perSecond
// new ones a second. Without one of the two it gives nothing.
func NewRate(perSecond float64, burst int) Rate {
	if !(perSecond > 0) || burst <= 0 {
		return Rate{}
	}
	const most = 1 << 60 // two years; sums of it still fit
	interval := min(max(math.Round(grain*float64(time.Second)/perSecond), 1), most)
	return Rate{interval: int64(interval), depth: int64(min(interval*float64(burst), most))}
}

// Instant is a moment of the monotonic clock, as buckets count time.
type Instant int64

// Bucket is a token bucket, kept as the moment at which it will be full again (GCRA):
// exact, and one word. The zero value is full. Safe for concurrent use.
type Bucket struct{ full atomic.Int64 }

// Take takes a token at the moment now. Without one it changes nothing and returns
// how long the next one takes; for ever if r gives none.
func (b *Bucket) Take(r Rate, now Instant) (wait time.Duration, ok bool) {
	if r.interval == 0 {
		return math.MaxInt64, false
	}
	for {
		full := b.full.Load()
		next := max(full, int64(now)) + r.interval
		if over := next - int64(now) - r.depth; over > 0 {
			return time.Duration((over + grain - 1) / grain), false
		}
		if b.full.CompareAndSwap(full, next) {
			return 0, true
		}
	}
}

// Return gives back a token that Take has just taken with r. Should the bucket have
// become full meanwhile, which takes r's interval, it may give one more than it has.
func (b *Bucket) Return(r Rate) { b.full.Add(-r.interval) }
