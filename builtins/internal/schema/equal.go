package schema

import (
	"cmp"
	"hash/maphash"
	"slices"

	"github.com/postern-gateway/postern/proxy/document"
)

// digest stands for a value: equal values have the same one, and no others have,
// as far as 128 bits and seeds that nobody knows can say. Comparing values member
// by member would let large ones cost the square of their size.
type digest [2]uint64

// seeds are for the two halves of digests.
type seeds [2]maphash.Seed

func newSeeds() seeds { return seeds{maphash.MakeSeed(), maphash.MakeSeed()} }

func (s *seeds) of(kind byte, text string) digest {
	var d digest
	for i := range d {
		var h maphash.Hash
		h.SetSeed(s[i])
		_ = h.WriteByte(kind) // it never fails
		_, _ = h.WriteString(text)
		d[i] = h.Sum64()
	}
	return d
}

// then mixes the digest of what follows into d.
func (d digest) then(s *seeds, next digest) digest {
	var mixed digest
	for i := range d {
		mixed[i] = maphash.Comparable(s[i], [2]uint64{d[i], next[i]})
	}
	return mixed
}

// digest returns the digest of n. Numbers count by value, members of objects in
// any order.
func (c *check) digest(n document.Node) digest {
	if !c.step() {
		return digest{}
	}
	s := &c.seeds
	switch kind := c.doc.Kind(n); kind {
	case document.Number:
		v := parseNumber(c.doc.Text(n)).decimal()
		sign := byte('+')
		if v.negative {
			sign = '-'
		}
		return s.of(sign, v.digits).then(s, digest{uint64(v.exponent), uint64(v.exponent)})
	case document.Array:
		d := s.of('[', "")
		for i := range c.doc.Count(n) {
			d = d.then(s, c.digest(c.doc.At(n, i)))
		}
		return d
	case document.Object:
		var sum digest
		for i := range c.doc.Count(n) {
			kid := c.doc.At(n, i)
			member := s.of('.', c.doc.Name(kid)).then(s, c.digest(kid))
			sum[0] += member[0]
			sum[1] += member[1]
		}
		return s.of('{', "").then(s, sum)
	default:
		return s.of(byte(kind), c.doc.Text(n))
	}
}

// distinct reports whether no two elements of an array are equal.
func (c *check) distinct(n document.Node) bool {
	all := make([]digest, c.doc.Count(n))
	for i := range all {
		all[i] = c.digest(c.doc.At(n, i))
	}
	slices.SortFunc(all, func(a, b digest) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	for i := 1; i < len(all); i++ {
		if all[i] == all[i-1] {
			return false
		}
	}
	return true
}

// listed reports whether n is one of the values of an enum.
func (c *check) listed(s *Schema, n document.Node) bool {
	kind := c.doc.Kind(n)
	for i := range s.enum {
		v := &s.enum[i]
		if v.kind != kind {
			continue
		}
		switch kind {
		case document.Number:
			if v.number.compare(parseNumber(c.doc.Text(n))) == 0 {
				return true
			}
		case document.Array, document.Object:
			if v.digest == c.digest(n) {
				return true
			}
		default:
			if v.text == c.doc.Text(n) {
				return true
			}
		}
	}
	return false
}
