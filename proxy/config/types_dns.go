package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Zones is somebody who lets us put records into DNS zones: how a name is proved to
// be ours by dns-01, which is the one way for wildcards. RFC 8555, 8.4.
type Zones struct {
	// What to talk to: "rfc2136" is a server that takes signed updates (BIND, Knot,
	// PowerDNS, …), "wasm" a plugin.
	Type string `toml:"type" enum:"rfc2136,route53,cloudflare,wasm" required:"true" example:"rfc2136" aka:"provider,kind"`
	// The zone that the records go into. Default: found out by asking the resolvers.
	Zone string `toml:"zone" example:"example.com" aka:"zone_name,origin"`
	// Who is asked about names, as host:port, and until it knows a new record. Default:
	// the system's resolvers, and the zone's own servers for new records.
	Resolvers []string `toml:"resolvers" example:"[\"1.1.1.1:53\"]" aka:"resolver,nameservers,dns_servers"`
	// How long to wait before the authority is called, whatever the servers know.
	Delay Duration `toml:"delay" default:"0s" min:"0s" max:"5m" aka:"propagation_delay"`
	// Longest wait until all servers know a new record; 0s: they aren't asked.
	Propagation Duration `toml:"propagation" default:"2m" min:"0s" max:"10m" aka:"propagation_timeout,wait"`
	// How long others may keep a record.
	TTL Duration `toml:"ttl" default:"1m" min:"1s" max:"24h"`

	// The primary server of the zone, as host:port.
	Server string `toml:"server" for:"rfc2136" required:"true" example:"192.0.2.53:53" aka:"nameserver,address,host"`
	// The name of the key that updates are signed with (TSIG, RFC 8945). Absent: they
	// aren't signed.
	KeyName string `toml:"key_name" for:"rfc2136" example:"postern" aka:"tsig_key,tsig_name,keyname"`
	// How they are signed.
	KeyAlgorithm string `toml:"key_algorithm" for:"rfc2136" enum:"hmac-sha1,hmac-sha224,hmac-sha256,hmac-sha384,hmac-sha512" default:"hmac-sha256" aka:"tsig_algorithm,algorithm"`
	// The key itself, in base64.
	Key string `toml:"key" for:"rfc2136" secret:"true" example:"${env:TSIG_KEY}" aka:"tsig_secret,secret"`

	// An AWS access key with the permissions route53:ListHostedZonesByName
	// (without zone_id), route53:ListResourceRecordSets,
	// route53:ChangeResourceRecordSets and route53:GetChange.
	AccessKeyID string `toml:"access_key_id" for:"route53" required:"true" example:"AKIDEXAMPLE" aka:"access_key,aws_access_key_id"`
	// Its secret.
	SecretAccessKey string `toml:"secret_access_key" for:"route53" required:"true" secret:"true" example:"${env:AWS_SECRET_ACCESS_KEY}" aka:"secret_key,aws_secret_access_key"`
	// Its session, if it is a key for a time.
	SessionToken string `toml:"session_token" for:"route53" secret:"true" aka:"aws_session_token"`
	// The zone's id there. Default: asked for by the zone's name.
	ZoneID string `toml:"zone_id" for:"route53,cloudflare" pattern:"[0-9A-Za-z]{1,64}" want:"letters and digits" example:"Z0123456789ABC" aka:"hosted_zone_id,zoneId"`
	// A token with the permission Zone.DNS:Edit, and Zone.Zone:Read without zone_id.
	Token string `toml:"token" for:"cloudflare" required:"true" secret:"true" example:"${env:CLOUDFLARE_TOKEN}" aka:"api_token,apiToken"`
	// Where its API is, if not where everybody's is.
	Endpoint string `toml:"endpoint" for:"route53,cloudflare" pattern:"https?://[!-~]+" want:"a URL" example:"https://route53.amazonaws.com" aka:"url,base_url"`

	// The plugin that puts and removes records: one with the role dns.
	Plugin string `toml:"plugin" for:"wasm" required:"true" ref:"plugin" example:"zones"`
}

// zones checks [acme.dns].
func (x *crosser) zones(a *ACME) {
	for _, name := range x.entries("acme", "dns") {
		z, path := a.DNS[name], []string{"acme", "dns", name}
		if z.Zone != "" {
			if bad := badHost(strings.TrimSuffix(strings.ToLower(z.Zone), ".")); bad != nil {
				x.value(append(path, "zone"), bad.part, bad.text, bad.hint)
			}
		}
		for i, r := range z.Resolvers {
			if text := badServer(r); text != "" {
				x.value(append(path, "resolvers", strconv.Itoa(i)), "", text, `write "192.0.2.53:53"`)
			}
		}
		if z.Server != "" {
			if text := badServer(z.Server); text != "" {
				x.value(append(path, "server"), "", text, `write "192.0.2.53:53"`)
			}
		}
		if (z.KeyName == "") != (z.Key == "") && !x.lost(append(path, "key")...) {
			x.key(path, "key_name and key belong together", "give both, or none for a server that takes updates from everybody")
		}
	}
}

// badServer says what is wrong with the address of a DNS server.
func badServer(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		if _, err := netip.ParseAddr(address); err == nil {
			return "no port"
		}
		return "want host:port"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Sprintf("%q is no port", port)
	}
	if host == "" || strings.ContainsAny(host, " /") {
		return "no host"
	}
	return ""
}

// provable decides how the domain called name is proved to be ours: by the zones that
// it names, or by those that it has to take.
func (x *crosser) provable(name string, a *ACME) {
	d := x.cfg.Domain[name]
	c := d.Certificate
	path := []string{"domain", name, "certificate"}
	all := x.entries("acme", "dns")
	switch {
	case c.DNS == "" && len(all) == 1 && strings.HasPrefix(name, "*."):
		taken := *c
		taken.DNS = all[0]
		d.Certificate = &taken
		x.cfg.Domain[name] = d
	case c.DNS == "" && strings.HasPrefix(name, "*.") && len(all) > 1:
		x.value(path, "", "which zones is it in? there are "+listed(all, 8), `write { source = "acme", dns = "`+all[0]+`" }`)
	case c.DNS != "" && !slices.Contains(all, c.DNS):
		x.value(append(path, "dns"), "", fmt.Sprintf("no [acme.dns.%s]", c.DNS), x.existing("zones", c.DNS, "acme", "dns"))
	}
}
