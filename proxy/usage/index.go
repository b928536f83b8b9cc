package usage

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
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

// equal compares in constant time.
func (s *Sum) equal(other *Sum) bool {
	var differ uint64
	for i := 0; i < len(s); i += 8 {
		differ |= binary.LittleEndian.Uint64(s[i:]) ^ binary.LittleEndian.Uint64(other[i:])
	}
	return differ == 0
}

// Index finds credentials by their Sum. Find may be called while others change it,
// and takes no lock. The zero value is empty.
type Index struct {
	table atomic.Pointer[table]

	mu   sync.Mutex // guards what follows, and changes of the table
	used int        // places that aren't empty, those of gone credentials among them
	live int
	slab int // the one of the table that is being filled
	next int // free place in it
}

// table is where credentials are. Among a million, what costs time is memory that is
// in no cache: places are small, so that these mostly are in one, and a place leads to
// the credential itself, which then costs the only wait.
type table struct {
	places []atomic.Uint32 // 0: nobody; else a tag, and the number of a credential and 1
	shift  uint            // how many bits of a place are the number; those above are the tag
	// Credential n is slabs[n/slabSize][n%slabSize]. Slabs are there before a place
	// leads to them, and never move: what a credential has used is in them.
	slabs [][]Credential
}

// How many credentials a slab has: the first ones few. Large ones begin with a page,
// so that no credential has a part of a third cache line.
const (
	firstSlab = 8
	slabSize  = 512
)

// number returns the number of the credential that place leads to.
func (t *table) number(place uint32) uint32 { return place&(1<<t.shift-1) - 1 }

func (t *table) at(place uint32) *Credential {
	n := t.number(place)
	return &t.slabs[n/slabSize][n%slabSize]
}

// start returns where to look for sum first, and what its tag is.
func (t *table) start(sum *Sum) (at int, tag uint32) {
	high, _ := bits.Mul64(binary.LittleEndian.Uint64(sum[:]), uint64(len(t.places)))
	return int(high), binary.LittleEndian.Uint32(sum[8:]) << t.shift
}

// Find returns the credential whose value has that sum, or nil. Sums are compared in
// constant time; which places are looked at depends on the sum alone, and so tells
// nothing of a value.
func (x *Index) Find(sum *Sum) *Credential {
	t := x.table.Load()
	if t == nil {
		return nil
	}
	for at, tag := t.start(sum); ; at++ {
		if at == len(t.places) {
			at = 0
		}
		place := t.places[at].Load()
		if place == 0 {
			return nil
		}
		if (place^tag)>>t.shift != 0 {
			continue
		}
		if c := t.at(place); c.sum.equal(sum) && !c.gone() {
			return c
		}
	}
}

// add adds a credential, or puts it in the place of the one with the same sum.
func (x *Index) add(sum *Sum, id string, plans *planSet, shared *Account, off bool) *Credential {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.reserve(1)
	t := x.table.Load()
	if len(t.slabs[x.slab]) == x.next {
		if x.next > 0 {
			x.slab++
		}
		t.slabs[x.slab], x.next = make([]Credential, min(max(x.live, firstSlab), slabSize)), 0
	}
	n := uint32(x.slab*slabSize + x.next)
	c := &t.slabs[x.slab][x.next]
	x.next++
	c.sum, c.own.id, c.shared = *sum, id, shared
	c.plans.Store(plans)
	if off {
		c.own.flags.Store(isOff)
	}
	x.put(t, sum, n)
	return c
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
	if c.own.flags.Or(isGone)&isGone == 0 {
		x.live--
	}
}

// Len returns how many there are.
func (x *Index) Len() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.live
}

// put has a place of t, which has room, lead to the credential numbered n.
func (x *Index) put(t *table, sum *Sum, n uint32) {
	at, tag := t.start(sum)
	for ; ; at++ {
		if at == len(t.places) {
			at = 0
		}
		place := t.places[at].Load()
		if place == 0 {
			x.used++
			x.live++
			break
		}
		if (place^tag)>>t.shift != 0 {
			continue
		}
		if old := t.at(place); old.sum == *sum {
			if old.own.flags.Or(isGone)&isGone != 0 {
				x.live++
			}
			break
		}
	}
	t.places[at].Store(tag | (n + 1))
}

// reserve keeps a third of the places empty, at least, and has slabs for n more. What
// it makes new has nobody who is gone.
func (x *Index) reserve(n int) {
	old := x.table.Load()
	if old == nil {
		old = &table{}
	}
	// Besides full slabs there are some that were small when they were made.
	const small = 8
	if (x.used+n)*3 <= len(old.places)*2 && x.slab+(x.next+n)/slabSize+small <= len(old.slabs) {
		return
	}
	room := max(16, x.live+n, x.live+x.live/3)
	kept := make([]bool, len(old.slabs))
	for i := range old.places {
		if place := old.places[i].Load(); place != 0 && !old.at(place).gone() {
			kept[old.number(place)/slabSize] = true
		}
	}
	t := &table{places: make([]atomic.Uint32, room*3/2+1)}
	moved := make([]int, len(old.slabs)) // where the slabs of old are in t
	for i, slab := range old.slabs {
		if kept[i] {
			moved[i] = len(t.slabs)
			t.slabs = append(t.slabs, slab)
		}
	}
	if len(kept) > 0 && kept[x.slab] {
		x.slab = moved[x.slab] // it is still the last
	} else {
		x.slab, x.next = len(t.slabs), 0
	}
	t.slabs = append(t.slabs, make([][]Credential, room/slabSize+2*small)...)
	t.shift = uint(bits.Len(uint(len(t.slabs) * slabSize)))
	x.used, x.live = 0, 0
	for i := range old.places {
		if place := old.places[i].Load(); place != 0 && !old.at(place).gone() {
			n := int(old.number(place))
			x.put(t, &old.at(place).sum, uint32(moved[n/slabSize]*slabSize+n%slabSize))
		}
	}
	x.table.Store(t)
}
