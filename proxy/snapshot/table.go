package snapshot

import "strings"

// table finds what a literal segment leads to. It is filled at compile time and
// then only read.
type table[T any] struct {
	few  []entry[T] // up to fewEntries of them, else empty
	many map[string]*T
}

type entry[T any] struct {
	segment string
	to      *T
}

// fewEntries is where hashing a segment becomes cheaper than comparing it.
const fewEntries = 8

// find returns what segment, decoded, leads to, or nil.
func (t *table[T]) find(segment string) *T {
	if t.many != nil {
		return t.many[segment]
	}
	for i := range t.few {
		if t.few[i].segment == segment {
			return t.few[i].to
		}
	}
	return nil
}

// findEscaped is find for a segment that may have escapes.
func (t *table[T]) findEscaped(segment string) *T {
	if strings.IndexByte(segment, '%') < 0 {
		return t.find(segment)
	}
	if t.few == nil && t.many == nil {
		return nil
	}
	var buf [longestDecode]byte
	decoded, short := decodeInto(&buf, segment)
	if !short {
		return nil
	}
	return t.find(decoded)
}

// add returns what segment leads to and makes it when there is nothing yet.
func (t *table[T]) add(segment string) *T {
	if to := t.find(segment); to != nil {
		return to
	}
	to := new(T)
	switch {
	case t.many != nil:
		t.many[segment] = to
	case len(t.few) < fewEntries:
		t.few = append(t.few, entry[T]{segment, to})
	default:
		t.many = make(map[string]*T, 2*fewEntries)
		for _, e := range t.few {
			t.many[e.segment] = e.to
		}
		t.many[segment] = to
		t.few = nil
	}
	return to
}

// each calls f for every entry, in no order.
func (t *table[T]) each(f func(*T)) {
	for i := range t.few {
		f(t.few[i].to)
	}
	for _, to := range t.many {
		f(to)
	}
}
