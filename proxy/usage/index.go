package usage

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"sync"
	"sync/atomic"
)

// Sum is the SHA-256 of an API key's value.
type Sum [sha256.Size]byte

// SumOf returns the Sum of value without copying it to the heap.
func SumOf(value string) Sum {
	var buf [MaxValue]byte
	return sha256.Sum256(append(buf[:0], value...))
}

// Index finds credentials by their Sum. Find may be called while others change it,
// and takes no lock. The zero value is empty.
type Index struct {
	table atomic.Pointer[[]place] // its length is a power of two

	mu   sync.Mutex // guards what follows, and changes of the table
	used int        // places that aren't empty, gone credentials among them
	live int
}

// place is where a credential may be. Its tag, a part of the sum, tells others apart
// without a look at them: they are rarely in a cache. It is set before the credential,
// and never changes.
type place struct {
	tag        atomic.Uint64
	credential atomic.Pointer[Credential]
}

func tagOf(sum *Sum) uint64 { return binary.LittleEndian.Uint64(sum[8:]) }

// Find returns the credential whose value has that sum, or nil. Sums are compared in
// constant time; which places are looked at depends on the sum alone, and so tells
// nothing of a value.
func (x *Index) Find(sum *Sum) *Credential {
	table := x.table.Load()
	if table == nil {
		return nil
	}
	places := *table
	mask, tag := uint64(len(places)-1), tagOf(sum)
	for at := binary.LittleEndian.Uint64(sum[:]); ; at++ {
		p := &places[at&mask]
		c := p.credential.Load()
		if c == nil {
			return nil
		}
		if p.tag.Load() != tag {
			continue
		}
		if subtle.ConstantTimeCompare(c.sum[:], sum[:]) == 1 && !c.gone.Load() {
			return c
		}
	}
}

// Add adds c, or puts it in the place of the one with the same sum.
func (x *Index) Add(c *Credential) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.reserve(1)
	x.put(*x.table.Load(), c)
}

// Reserve makes room for n more, so that they needn't be moved again and again.
func (x *Index) Reserve(n int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.reserve(n)
}

// Remove takes c out.
func (x *Index) Remove(c *Credential) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !c.gone.Swap(true) {
		x.live--
	}
}

// Len returns how many there are.
func (x *Index) Len() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.live
}

// put puts c into places, which have room.
func (x *Index) put(places []place, c *Credential) {
	mask := uint64(len(places) - 1)
	for at := binary.LittleEndian.Uint64(c.sum[:]); ; at++ {
		p := &places[at&mask]
		old := p.credential.Load()
		switch {
		case old == nil:
			p.tag.Store(tagOf(&c.sum))
			x.used++
			x.live++
		case old.sum == c.sum:
			if old.gone.Load() {
				x.live++
			}
		default:
			continue
		}
		p.credential.Store(c)
		return
	}
}

// reserve keeps a third of the places empty, at least.
func (x *Index) reserve(n int) {
	size := 0
	if table := x.table.Load(); table != nil {
		size = len(*table)
	}
	if (x.used+n)*3 <= size*2 {
		return
	}
	wanted := 16
	for (x.live+n)*3 > wanted*2 {
		wanted *= 2
	}
	places := make([]place, wanted)
	x.used, x.live = 0, 0
	if table := x.table.Load(); table != nil {
		for i := range *table {
			if c := (*table)[i].credential.Load(); c != nil && !c.gone.Load() {
				x.put(places, c)
			}
		}
	}
	x.table.Store(&places)
}
