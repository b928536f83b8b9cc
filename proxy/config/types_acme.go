package config

import (
	"net/netip"
	"slices"
	"strings"
)

// ACME is how domains get certificates by themselves. RFC 8555.
type ACME struct {
	// Where authorities write to when something is wrong. ZeroSSL needs it.
	Email string `toml:"email" pattern:"[^@\\s]+@[^@\\s]+" want:"an e-mail address" example:"you@example.com" aka:"mail,contact"`
	// You agree to the terms of service of the authorities. Nothing is asked for before.
	Agreed bool `toml:"agreed" required:"true" example:"true" aka:"agree,agree_tos,accept_terms,tos"`
	// Authorities, best first: those after the first are asked when it gives nothing.
	// "letsencrypt", "letsencrypt-staging" and "zerossl" need no table. Default: the
	// tables' names; without any, letsencrypt, and zerossl if there is an e-mail address.
	Issuers []string `toml:"issuers" example:"[\"letsencrypt\", \"zerossl\"]" aka:"cas,ca,providers"`
	// Authorities by name.
	Issuer map[string]Issuer `toml:"issuer" name:"[A-Za-z0-9_.-]{1,64}" names:"1 to 64 letters, digits, \"_\", \"-\" and \".\""`
	// How authorities may see that a name is ours: "tls-alpn-01" on port 443,
	// "http-01" on port 80, "dns-01" for all names whose certificate names no zones of
	// its own, by the one table of dns.
	Challenges []string `toml:"challenges" enum:"tls-alpn-01,http-01,dns-01" default:"tls-alpn-01,http-01" aka:"challenge"`
	// Keys of certificates. Each certificate gets a new one.
	KeyType string `toml:"key_type" enum:"p256,p384,rsa2048,rsa4096" default:"p256" aka:"keyType,key"`
	// The last part of a certificate's life, in percent, in which it is renewed, if the
	// authority suggests no other time (RFC 9773).
	RenewWindow int `toml:"renew_window" default:"33" min:"1" max:"90" aka:"renewal_window,renew_before"`
	// Who lets us put records into zones, by name: for dns-01, and so for wildcards.
	DNS map[string]Zones `toml:"dns" name:"[A-Za-z0-9_.-]{1,64}" names:"1 to 64 letters, digits, \"_\", \"-\" and \".\"" aka:"dns_provider,dns01"`
	// Certificates for names below wildcard domains, when they are first asked for.
	// Absent: none.
	OnDemand *OnDemand `toml:"on_demand" example:"{ ask = \"http://127.0.0.1:9000/may-have\" }" aka:"ondemand,on_demand_tls"`
	// Orders placed in a minute, at all authorities together.
	OrdersPerMinute int `toml:"orders_per_minute" default:"10" min:"1" max:"300" aka:"rate_limit"`
	// When the gateway is ready, as far as certificates go: once "any" name that is to
	// have one has it, or "all" of them have, or "always". Behind a load balancer that
	// sends nothing to who isn't ready, authorities reach a new gateway only with "always".
	Ready string `toml:"ready" enum:"any,all,always" default:"any" aka:"readiness,ready_when"`
}

// Issuer is an authority that speaks ACME.
type Issuer struct {
	// URL of its directory. The ones with a name of their own have it.
	Directory string `toml:"directory" pattern:"https?://\\S+" want:"an http or https URL" example:"https://ca.example.com/acme/directory" aka:"url,ca,endpoint,server"`
	// PEM file with the roots that its own TLS certificate leads to. Default: the
	// system's.
	Roots string `toml:"roots" file:"true" example:"roots.pem" aka:"ca_file,trusted_roots,ca_root"`
	// An account there that ours belongs to: external account binding (RFC 8555, 7.3.4).
	EAB *EAB `toml:"eab" example:"{ key_id = \"kid\", key = \"${env:EAB_KEY}\" }" aka:"external_account,external_account_binding"`
	// What to write to it as, if not acme.email.
	Email string `toml:"email" pattern:"[^@\\s]+@[^@\\s]+" want:"an e-mail address" example:"you@example.com"`
	// Which of its kinds of certificates to get. Default: the one it gives unasked.
	Profile string `toml:"profile" example:"shortlived"`
}

// EAB names an account at an authority, with its key.
type EAB struct {
	// The account's identifier.
	KeyID string `toml:"key_id" required:"true" example:"kid-1" aka:"kid,keyId"`
	// The account's key, in base64url.
	Key string `toml:"key" required:"true" secret:"true" example:"${env:EAB_KEY}" aka:"mac_key,hmac,hmac_key"`
}

// Sources of a domain's certificate.
const (
	CertificateACME     = "acme"
	CertificateInternal = "internal"
	CertificateListener = "listener"
)

// DomainCertificate is where the certificate of a domain comes from: "acme" gets it,
// "internal" makes it, "listener" leaves it to the listeners' own, and a table names
// its files.
type DomainCertificate struct {
	// "acme", "on_demand", "internal" or "listener".
	Source string `toml:"source" enum:"acme,on_demand,internal,listener" example:"acme" aka:"from"`
	// The table of acme.dns by which it is proved to be ours, and by nothing else. A
	// wildcard takes the only one there is.
	DNS string `toml:"dns" example:"zones"`
	// File with the certificate chain, leaf first.
	Cert string `toml:"cert" file:"true" example:"api.pem" aka:"certificate,cert_file"`
	// File with its private key.
	Key string `toml:"key" file:"true" example:"api-key.pem" aka:"private_key,key_file"`
}

// publicIssuers are the authorities whose directories we know, by name.
const publicIssuers = "letsencrypt letsencrypt-staging zerossl"

// IsKnownIssuer reports whether name is an authority's that needs no directory.
func IsKnownIssuer(name string) bool { return slices.Contains(strings.Fields(publicIssuers), name) }

// Public reports whether authorities of the public may certify name: one that is
// theirs to check, and neither an address nor reserved. RFC 6761, RFC 6762, RFC 8375,
// and ICANN's ".internal".
func publicName(name string) bool {
	name = strings.TrimPrefix(name, "*.")
	if _, err := netip.ParseAddr(name); err == nil {
		return false
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	return last != name && !slices.Contains([]string{"localhost", "local", "internal", "test", "invalid", "example", "onion", "arpa"}, last)
}

// acme checks [acme], and decides where each domain's certificate comes from.
func (x *crosser) acme() {
	a := x.cfg.ACME
	if a != nil {
		if !a.Agreed && x.has("acme", "agreed") {
			x.value([]string{"acme", "agreed"}, "", "no certificate without agreement", "read the authorities' terms of service and write agreed = true, or leave [acme] out")
		}
		x.issuers(a)
		x.answerable(a)
		x.zones(a)
		x.onDemand(a)
		if slices.Contains(a.Challenges, "dns-01") && len(x.entries("acme", "dns")) != 1 && !x.lost("acme", "dns") {
			x.value([]string{"acme", "challenges"}, "dns-01", "dns-01 without exactly one table of zones", "add one [acme.dns.NAME], or take dns-01 out and write dns where a domain's certificate comes from")
		}
	}
	for _, name := range x.entries("domain") {
		x.certificate(name, a)
	}
}

func (x *crosser) has(path ...string) bool {
	return slices.Contains(x.entries(path[:len(path)-1]...), path[len(path)-1])
}

// issuers completes the list of authorities.
func (x *crosser) issuers(a *ACME) {
	tables := x.entries("acme", "issuer")
	for i, name := range a.Issuers {
		if !IsKnownIssuer(name) && !slices.Contains(tables, name) {
			x.value([]string{"acme", "issuers"}, name, "no authority "+name, "add [acme.issuer."+name+"] with its directory; known by name: "+strings.Join(strings.Fields(publicIssuers), ", "))
		}
		if slices.Contains(a.Issuers[:i], name) {
			x.value([]string{"acme", "issuers"}, name, name+" is there twice", "remove one of the two")
		}
	}
	for _, name := range tables {
		path := []string{"acme", "issuer", name}
		if a.Issuer[name].Directory == "" && !IsKnownIssuer(name) && !x.lost(append(path, "directory")...) {
			x.key(path, "no directory", "write directory = \"https://…\", the URL of the authority's ACME directory")
		}
		if len(a.Issuers) > 0 && !slices.Contains(a.Issuers, name) {
			at := x.nearest(path)
			x.add(SeverityWarning, at, at.keySpan(), path, "never asked", "acme.issuers doesn't name it")
		}
	}
	if len(a.Issuers) > 0 {
		return
	}
	a.Issuers = tables
	if len(tables) == 0 {
		a.Issuers = []string{"letsencrypt"}
		if a.Email != "" {
			a.Issuers = append(a.Issuers, "zerossl")
		}
	}
}

// answerable takes out of the challenges those that authorities would ask in vain,
// for no listener answers: a try that fails counts against limits. One that is
// written down is a mistake.
func (x *crosser) answerable(a *ACME) {
	secure, clear := false, false
	for _, l := range x.cfg.Listen {
		secure, clear = secure || l.TLS != nil, clear || l.TLS == nil
	}
	if x.lost("listen") {
		return
	}
	path := []string{"acme", "challenges"}
	a.Challenges = slices.DeleteFunc(slices.Clone(a.Challenges), func(kind string) bool {
		needs := ""
		switch {
		case kind == "tls-alpn-01" && !secure:
			needs = "one with tls"
		case kind == "http-01" && !clear:
			needs = "one without tls"
		default:
			return false
		}
		if x.has(path...) {
			x.value(path, kind, "no listener answers "+kind, "add "+needs+", which authorities reach, or take "+kind+" out")
		}
		return true
	})
}

// certificate checks where the certificate of one domain comes from. A domain that
// doesn't say gets one by ACME if it can have one, else what the listeners have.
func (x *crosser) certificate(name string, a *ACME) {
	d := x.cfg.Domain[name]
	path := []string{"domain", name, "certificate"}
	wildcard := strings.HasPrefix(name, "*.")
	possible := a != nil && (!wildcard || len(x.entries("acme", "dns")) == 1) && (publicName(name) || x.private(a))
	c := d.Certificate
	switch {
	case c == nil:
		source := CertificateListener
		if possible {
			source = CertificateACME
		}
		d.Certificate = &DomainCertificate{Source: source}
		x.cfg.Domain[name] = d
	case x.lost(path...):
	case c.Source != "" && (c.Cert != "" || c.Key != ""):
		x.key(path, "a source and files", "a certificate comes from one place: remove the other")
	case c.Source == "" && (c.Cert == "") != (c.Key == ""):
		x.key(path, "cert and key belong together", `write { cert = "chain.pem", key = "key.pem" }`)
	case c.Source == "" && c.Cert == "":
		x.key(path, "no source and no files", `write "acme", "internal", "listener" or { cert = "chain.pem", key = "key.pem" }`)
	case c.Source != CertificateACME && c.DNS != "":
		x.value(append(path, "dns"), "", "dns is for certificates of source \"acme\"", `write { source = "acme", dns = "`+c.DNS+`" }`)
	case c.Source == CertificateOnDemand:
		x.demanded(name, a)
	case c.Source != CertificateACME:
	case a == nil:
		x.value(path, "", "there is no [acme] table", "add [acme] with agreed = true and your e-mail address")
	case wildcard && len(x.entries("acme", "dns")) == 0:
		x.value(path, "", "authorities give certificates for wildcards only by dns-01", "add [acme.dns.NAME], give the certificate's files, or name the hosts one by one")
	case !publicName(name) && !x.private(a):
		x.value(path, "", "no public authority gives a certificate for this name", "give the certificate's files, or an authority of your own in acme.issuers")
	}
	if a != nil && x.cfg.Domain[name].Certificate.Source == CertificateACME && !x.lost(path...) {
		x.provable(name, a)
	}
}

// private reports whether an authority of a's is one's own.
func (x *crosser) private(a *ACME) bool {
	return slices.ContainsFunc(a.Issuers, func(name string) bool { return !IsKnownIssuer(name) })
}
