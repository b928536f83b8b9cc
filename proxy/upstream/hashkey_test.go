package upstream

import (
	"net/netip"
	"testing"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
)

func TestHashKey(t *testing.T) {
	ex := new(proxy.Exchange)
	ex.In.Fields = http1.Fields{http1.NewField("X-User", "ann"), http1.NewField("X-Empty", "")}
	ex.In.RawQuery = "a=1&us%65r=b%6Fb+x&empty=&a=2"
	ex.Params = []proxy.Param{{Name: "id", Value: "b%6fb+x"}}
	ex.In.Client = netip.MustParseAddrPort("192.0.2.1:5555")
	ex.Caller = proxy.Caller{Principal: "ann", Context: []proxy.Param{{Name: "tenant", Value: "blue"}}}
	f := func(text, same string, found bool) {
		t.Helper()
		k, err := parseHashKey(text)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := k.of(ex)
		if ok != found || ok && got != hashText(same) {
			t.Errorf("%s: got %x, %v; want the hash of %q, %v", text, got, ok, same, found)
		}
	}
	f("method.request.header.X-User", "ann", true)
	f("method.request.header.x-user", "ann", true)
	f("method.request.header.X-Empty", "", false)
	f("method.request.header.X-None", "", false)
	f("method.request.querystring.user", "bob x", true)
	f("method.request.querystring.a", "2", true) // the last one, as AWS maps it
	f("method.request.querystring.empty", "", false)
	f("method.request.querystring.use", "", false)
	f("method.request.path.id", "bob+x", true)
	f("method.request.path.x", "", false)
	f("context.authorizer.principalId", "ann", true)
	f("context.authorizer.tenant", "blue", true)
	f("context.authorizer.x", "", false)

	// An address counts without its port, and in both its forms.
	k, _ := parseHashKey("context.identity.sourceIp")
	first, found := k.of(ex)
	ex.In.Client = netip.MustParseAddrPort("[::ffff:192.0.2.1]:1")
	second, _ := k.of(ex)
	ex.In.Client = netip.MustParseAddrPort("192.0.2.2:1")
	third, _ := k.of(ex)
	if !found || first != second || first == third {
		t.Errorf("got %x, %x, %x, %v; want two equal and one other", first, second, third, found)
	}
	ex.In.Client = netip.AddrPort{}
	if _, found := k.of(ex); found {
		t.Error("got a hash without an address")
	}
	for _, bad := range []string{"", "method.request.header.", "method.request.cookie.x", "$request.header.x"} {
		if _, err := parseHashKey(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
