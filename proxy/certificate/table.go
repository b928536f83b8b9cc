package certificate

import (
	"crypto/tls"
	"strings"
	"sync/atomic"
)

// table finds certificates by the names that clients ask for. It never changes but
// for the certificates in its places.
type table struct {
	exact map[string]*place
	below map[string]*place // "*.example.com" by "example.com"
}

// place is where a name's certificate is, once there is one.
type place struct {
	certificate atomic.Pointer[tls.Certificate]
}

// newTable returns the table of places by name.
func newTable(places map[string]*place) *table {
	t := &table{exact: make(map[string]*place, len(places)), below: map[string]*place{}}
	for name, p := range places {
		if parent, wildcard := strings.CutPrefix(name, "*."); wildcard {
			t.below[parent] = p
			continue
		}
		t.exact[name] = p
	}
	return t
}

// find returns the certificate for name, as SNI has it (RFC 6066, 3): the name's
// own, else the wildcard's whose "*" stands for its first label (RFC 9525, 6.3);
// nil when there is neither. It allocates only for names with upper-case letters.
func (t *table) find(name string) *tls.Certificate {
	name = lower(name)
	if p := t.exact[name]; p != nil {
		if c := p.certificate.Load(); c != nil {
			return c
		}
	}
	if _, parent, found := strings.Cut(name, "."); found {
		if p := t.below[parent]; p != nil {
			return p.certificate.Load()
		}
	}
	return nil
}

func lower(name string) string {
	for i := range len(name) {
		if name[i] >= 'A' && name[i] <= 'Z' {
			return strings.ToLower(name)
		}
	}
	return name
}
