package guard

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/postern-gateway/postern/builtins/internal/origin"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// webSocketOrigin is the guard of type origin. Browsers let every site's pages open
// WebSockets to everywhere, with cookies, and leave it to the server to look at where
// they come from. RFC 6455, 10.2.
type webSocketOrigin struct {
	origins origin.Set
	missing bool // requests without an Origin pass
}

// Run judges a request that asks for an upgrade.
func (g *webSocketOrigin) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	if ex.In.Upgrade == "" {
		return proxy.Continue, nil
	}
	from, n := "", 0
	for i := range ex.In.Fields {
		if f := &ex.In.Fields[i]; len(f.Name) == 6 && isOrigin(f.Name) {
			from = f.Value
			n++
		}
	}
	if n == 0 && g.missing || n == 1 && (g.origins.Any || g.origins.Allow(from)) {
		return proxy.Continue, nil
	}
	return proxy.Continue, refuse(ErrOrigin)
}

// isOrigin reports whether name, of six bytes, is Origin.
func isOrigin(name string) bool {
	const origin = "origin"
	for i := range len(origin) {
		if name[i]|0x20 != origin[i] {
			return false
		}
	}
	return true
}

// addresses is the guard of type ip.
type addresses struct{ allow, deny []netip.Prefix }

func newAddresses(c *config.Guard) (*addresses, error) {
	g := &addresses{}
	for _, list := range []struct {
		texts []string
		into  *[]netip.Prefix
	}{{c.Allow, &g.allow}, {c.Deny, &g.deny}} {
		for _, text := range list.texts {
			p, err := config.ParsePrefix(text)
			if err != nil {
				return nil, fmt.Errorf("%q: %w", text, err)
			}
			*list.into = append(*list.into, p)
		}
	}
	return g, nil
}

// Run judges the client's address. One that isn't known is nobody's.
func (g *addresses) Run(_ context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	client := ex.In.Client.Addr().Unmap().WithZone("")
	if contains(g.deny, client) || len(g.allow) > 0 && !contains(g.allow, client) || !client.IsValid() {
		return proxy.Continue, refuse(ErrAddress)
	}
	return proxy.Continue, nil
}

func contains(all []netip.Prefix, addr netip.Addr) bool {
	for _, p := range all {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
