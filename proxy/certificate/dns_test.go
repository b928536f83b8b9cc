package certificate

import (
	"strings"
	"testing"

	"github.com/postern-gateway/postern/proxy/certificate/pebbletest"
	"github.com/postern-gateway/postern/proxy/zone/zonetest"
)

// zoneKey is the key of updates in tests.
const zoneKey = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IQ=="

// zoneTable is the table of zones for a server.
func zoneTable(s *zonetest.Server, more string) string {
	return "[acme.dns.main]\ntype = \"rfc2136\"\nserver = \"" + s.Addr + "\"\nkey_name = \"postern\"\nkey = \"" + zoneKey +
		"\"\nresolvers = [\"" + s.Addr + "\"]\n" + more + "\n"
}

// A wildcard and the name that it is below get their certificates at the same time by
// records at the same place, which are gone afterwards. A wildcard's is good for what
// is directly below it.
func TestACMEWildcard(t *testing.T) {
	f := newFront(t, Options{})
	names := zonetest.Start(t, zonetest.Options{Zones: []string{"postern.test."}, KeyName: "postern", Key: zoneKey})
	names.Delay(2) // the authority isn't called too early
	ca := f.pebble(pebbletest.Options{DNS: names.Addr})
	f.apply(ca.Config("")+zoneTable(names, ""), "*.postern.test", "postern.test certificate = { source = \"acme\", dns = \"main\" }")
	f.got("a.postern.test")
	f.got("postern.test")
	roots := ca.Issued()
	for name, good := range map[string]bool{"a.postern.test": true, "b.postern.test": true, "postern.test": true, "a.b.postern.test": false} {
		if err := f.get(name, roots); (err == nil) != good {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := f.Figures().Orders; n != 2 {
		t.Errorf("%d orders, want 2", n)
	}
	until(t, "no records", func() bool { return len(names.Texts("_acme-challenge.postern.test")) == 0 })
	if n := names.Updates(); n != 4 {
		t.Errorf("%d updates, want 4", n)
	}
}

// The records of names go where their challenge names are aliases of: a zone for
// nothing else, whose key may do nothing else. With dns-01 alone all names are proved
// by the one table.
func TestACMEDelegated(t *testing.T) {
	f := newFront(t, Options{})
	names := zonetest.Start(t, zonetest.Options{Zones: []string{"postern.test.", "proofs.test."}, KeyName: "postern", Key: zoneKey})
	names.Alias("_acme-challenge.a.postern.test", "a-proof.proofs.test")
	ca := f.pebble(pebbletest.Options{DNS: names.Addr})
	f.apply(ca.Config(`challenges = ["dns-01"]`)+zoneTable(names, "zone = \"proofs.test\""), "a.postern.test")
	f.got("a.postern.test")
	if n := names.Updates(); n != 2 {
		t.Errorf("%d updates, want 2", n)
	}
}

// A server that refuses our key is named in the failure, and the other names aren't
// concerned.
func TestACMEZonesRefuse(t *testing.T) {
	f := newFront(t, Options{})
	names := zonetest.Start(t, zonetest.Options{Zones: []string{"postern.test."}, KeyName: "another", Key: zoneKey})
	ca := f.pebble(pebbletest.Options{DNS: names.Addr})
	f.apply(ca.Config("")+zoneTable(names, ""), "*.postern.test", "b.postern.test")
	f.got("b.postern.test")
	until(t, "a failure", func() bool { return f.status("*.postern.test").Failure != "" })
	if s := f.status("*.postern.test"); !strings.Contains(s.Failure, "update of postern.test. at "+names.Addr) || s.Has {
		t.Errorf("failure %q", s.Failure)
	}
}
