package config

import (
	"net/netip"
	"strconv"
	"strings"
)

// OnDemand is how names below wildcard domains whose certificate is "on_demand" get
// certificates of their own: when a client first asks for one. A wildcard is one label:
// a.eu.example.com is below "*.eu.example.com" alone.
type OnDemand struct {
	// Who decides if a name may have a certificate: GET with the parameters domain and
	// client (the address of who asked). A status of 200 to 299 allows it.
	Ask string `toml:"ask" pattern:"https?://[!-~]+" want:"a URL" example:"http://127.0.0.1:9000/may-have" aka:"url,decision,permission"`
	// The plugin that decides: one with the role certify. With both, both must allow it.
	Plugin string `toml:"plugin" ref:"plugin" example:"customers"`
	// Addresses of this gateway. A name that leads to none of them gets no certificate.
	PointsTo []string `toml:"points_to" example:"[\"203.0.113.7\"]" aka:"addresses,points_here"`
	// Who is asked where names lead to, as host:port. Default: the system's resolvers.
	Resolvers []string `toml:"resolvers" example:"[\"1.1.1.1:53\"]" aka:"resolver,nameservers,dns_servers"`
	// New names in an hour below one domain.
	PerParent int `toml:"per_parent" default:"20" min:"1" max:"100000" aka:"per_domain"`
	// Names without a certificate that one client may ask for in an hour. An IPv6 /64 is
	// one client.
	PerClient int `toml:"per_client" default:"10" min:"1" max:"100000" aka:"per_address,per_ip"`
	// New names in a day, in all.
	PerDay int `toml:"per_day" default:"100" min:"1" max:"1000000" aka:"orders,budget"`
	// Names in memory. Those that nobody asked for longest make room; what was got for
	// them stays stored.
	Names int `toml:"names" default:"10000" min:"1" max:"1000000" aka:"max_names"`
	// How long a name that was refused isn't asked about again.
	Refused Duration `toml:"refused" default:"10m" min:"1s" max:"24h" aka:"negative_ttl"`
	// Longest wait of a connection for its certificate.
	Wait Duration `toml:"wait" default:"20s" min:"1s" max:"1m" aka:"timeout"`
}

// CertificateOnDemand is the source of certificates for names below a wildcard.
const CertificateOnDemand = "on_demand"

// onDemand checks [acme.on_demand].
func (x *crosser) onDemand(a *ACME) {
	d, path := a.OnDemand, []string{"acme", "on_demand"}
	if d == nil {
		return
	}
	for i, p := range d.PointsTo {
		if _, err := netip.ParseAddr(p); err != nil {
			x.value(append(path, "points_to", strconv.Itoa(i)), "", "want an IP address", "")
		}
	}
	for i, r := range d.Resolvers {
		if text := badServer(r); text != "" {
			x.value(append(path, "resolvers", strconv.Itoa(i)), "", text, `write "192.0.2.53:53"`)
		}
	}
	if d.Ask == "" && d.Plugin == "" && !x.lost(append(path, "ask")...) && !x.lost(append(path, "plugin")...) {
		at := x.nearest(path)
		x.add(SeverityWarning, at, at.keySpan(), path, "nobody decides which names get certificates", "whoever connects has them ordered, per_day of them; give ask or plugin")
	}
}

// demanded checks a domain whose certificate is "on_demand".
func (x *crosser) demanded(name string, a *ACME) {
	path := []string{"domain", name, "certificate"}
	switch {
	case a == nil:
		x.value(path, "", "there is no [acme] table", "add [acme] with agreed = true and your e-mail address")
	case !strings.HasPrefix(name, "*."):
		x.value(path, "", "on demand is for wildcards", `write "acme": the name is known`)
	case a.OnDemand == nil && !x.lost("acme", "on_demand"):
		x.value(path, "", "there is no [acme.on_demand] table", "add it, with who decides: ask or plugin")
	case !publicName(name) && !x.private(a):
		x.value(path, "", "no public authority gives certificates for such names", "give an authority of your own in acme.issuers")
	}
}
