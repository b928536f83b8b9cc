package overload

import (
	"math"
	"os"
	"runtime/metrics"
	"strconv"
	"strings"
)

// reader reads memory figures without allocating for the runtime's part.
type reader struct {
	samples [6]metrics.Sample
	group   uint64 // limit of the control group in bytes; 0: none
}

func newReader(group uint64) *reader {
	r := &reader{group: group}
	for i, name := range []string{
		"/memory/classes/total:bytes", "/memory/classes/heap/released:bytes",
		"/memory/classes/heap/objects:bytes", "/memory/classes/heap/free:bytes",
		"/gc/heap/live:bytes", "/gc/gomemlimit:bytes",
	} {
		r.samples[i].Name = name
	}
	return r
}

// memory implements Options.Memory.
func (r *reader) memory() []Usage {
	all := []Usage{r.runtime()}
	if r.group > 0 {
		all = append(all, Usage{Used: ownPages(), Limit: r.group})
	}
	return all
}

// runtime returns what of GOMEMLIMIT is really in use: garbage fills a heap up to
// the limit before it is collected, so what the last collection left counts, and
// all that isn't heap.
func (r *reader) runtime() Usage {
	metrics.Read(r.samples[:])
	v := func(i int) uint64 { return r.samples[i].Value.Uint64() }
	limit := v(5)
	if limit == math.MaxInt64 {
		return Usage{}
	}
	return Usage{Used: v(0) - v(1) - v(2) - v(3) + min(v(4), v(2)), Limit: limit}
}

// ownPages returns the process's anonymous memory in bytes, 0 where /proc isn't.
func ownPages() uint64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 3 {
		return 0
	}
	resident, err1 := strconv.ParseUint(fields[1], 10, 64)
	shared, err2 := strconv.ParseUint(fields[2], 10, 64)
	if err1 != nil || err2 != nil || shared > resident {
		return 0
	}
	return (resident - shared) * uint64(os.Getpagesize())
}
