package zone

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Resolver asks DNS servers. It keeps no answers: what it is asked about is about to
// change. Safe for concurrent use.
type Resolver struct {
	servers []string // none: those of the system, as they are when it is asked
}

// NewResolver returns a resolver that asks servers ("host:port"), one after the other
// until one answers; without any, those of the system.
func NewResolver(servers []string) *Resolver { return &Resolver{servers: servers} }

// Patience with one DNS server.
const (
	askTime = 5 * time.Second
	// aliases is how many a name may lead over.
	aliases = 8
	// resolvers is where the system says whom it asks.
	resolvers = "/etc/resolv.conf"
)

// recursive returns who answers about all names.
func (r *Resolver) recursive() ([]string, error) {
	if len(r.servers) > 0 {
		return r.servers, nil
	}
	c, err := dns.ClientConfigFromFile(resolvers)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, s := range c.Servers {
		all = append(all, net.JoinHostPort(s, c.Port))
	}
	if len(all) == 0 {
		return nil, errors.New("no DNS server in " + resolvers)
	}
	return all, nil
}

// ask returns the first server's answer that is one: that there is such a name, or
// that there isn't.
func ask(ctx context.Context, servers []string, name string, kind uint16, recurse bool) (*dns.Msg, error) {
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), kind)
	m.RecursionDesired = recurse
	m.SetEdns0(1232, false)
	var failures []error
	for _, server := range servers {
		client := &dns.Client{Timeout: askTime}
		answer, _, err := client.ExchangeContext(ctx, m, server)
		if err == nil && answer.Truncated {
			client.Net = "tcp"
			answer, _, err = client.ExchangeContext(ctx, m, server)
		}
		switch {
		case err != nil:
		case answer.Rcode == dns.RcodeSuccess || answer.Rcode == dns.RcodeNameError:
			return answer, nil
		default:
			err = errors.New(dns.RcodeToString[answer.Rcode])
		}
		failures = append(failures, fmt.Errorf("%s asked for %s: %w", server, name, err))
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(failures...)
}

// Target returns the name that name is an alias of, over as many as there are; name
// itself when it is none. That is how records for one zone are kept in another.
func (r *Resolver) Target(ctx context.Context, name string) (string, error) {
	servers, err := r.recursive()
	if err != nil {
		return "", err
	}
	name = dns.CanonicalName(name)
	for range aliases {
		answer, err := ask(ctx, servers, name, dns.TypeCNAME, true)
		if err != nil {
			return "", err
		}
		i := slices.IndexFunc(answer.Answer, func(rr dns.RR) bool {
			c, is := rr.(*dns.CNAME)
			return is && dns.CanonicalName(c.Hdr.Name) == name
		})
		if i < 0 {
			return name, nil
		}
		name = dns.CanonicalName(answer.Answer[i].(*dns.CNAME).Target)
	}
	return "", fmt.Errorf("%s is an alias of an alias, more than %d times", name, aliases)
}

// Zone returns the zone that name is in, with a dot at its end: the nearest name
// above it, or itself, that somebody answers for. RFC 1035, 4.3.2.
func (r *Resolver) Zone(ctx context.Context, name string) (string, error) {
	servers, err := r.recursive()
	if err != nil {
		return "", err
	}
	name = dns.CanonicalName(name)
	for _, at := range dns.Split(name) {
		answer, err := ask(ctx, servers, name[at:], dns.TypeSOA, true)
		if err != nil {
			return "", err
		}
		// Of a name within the zone, its SOA comes as the reason why there is none.
		for _, rr := range slices.Concat(answer.Answer, answer.Ns) {
			if soa, is := rr.(*dns.SOA); is {
				if owner := dns.CanonicalName(soa.Hdr.Name); owner != "." && dns.IsSubDomain(owner, name) {
					return owner, nil
				}
			}
		}
	}
	return "", fmt.Errorf("nobody seems to answer for a zone that %s is in", name)
}

// Knows reports whether all who are asked have a TXT record with value at name: the
// resolver's servers if it was given any, else all servers of zone. The error says
// who hasn't it, or wasn't to be reached.
func (r *Resolver) Knows(ctx context.Context, zone, name, value string) error {
	if len(r.servers) > 0 {
		return knowAll(ctx, r.servers, name, value, true)
	}
	servers, err := r.authoritative(ctx, zone)
	if err != nil {
		return err
	}
	return knowAll(ctx, servers, name, value, false)
}

// knowAll asks each of servers.
func knowAll(ctx context.Context, servers []string, name, value string, recurse bool) error {
	for _, server := range servers {
		answer, err := ask(ctx, []string{server}, name, dns.TypeTXT, recurse)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(answer.Answer, func(rr dns.RR) bool {
			t, is := rr.(*dns.TXT)
			return is && strings.Join(t.Txt, "") == value
		}) {
			return fmt.Errorf("%s hasn't the record at %s yet", server, name)
		}
	}
	return nil
}

// authoritative returns the addresses of those who answer for zone: one of each.
func (r *Resolver) authoritative(ctx context.Context, zone string) ([]string, error) {
	servers, err := r.recursive()
	if err != nil {
		return nil, err
	}
	answer, err := ask(ctx, servers, zone, dns.TypeNS, true)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, rr := range answer.Answer {
		ns, is := rr.(*dns.NS)
		if !is {
			continue
		}
		addresses, err := r.Addresses(ctx, ns.Ns)
		if err != nil || len(addresses) == 0 {
			return nil, errors.Join(fmt.Errorf("no address of %s, which answers for %s", ns.Ns, zone), err)
		}
		all = append(all, net.JoinHostPort(addresses[0].String(), "53"))
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("nobody is said to answer for %s", zone)
	}
	return all, nil
}

// Addresses returns the addresses of host, over aliases: IPv4 first.
func (r *Resolver) Addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	servers, err := r.recursive()
	if err != nil {
		return nil, err
	}
	var all []netip.Addr
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		answer, err := ask(ctx, servers, host, kind, true)
		if err != nil {
			return nil, err
		}
		for _, rr := range answer.Answer {
			var ip net.IP
			switch rr := rr.(type) {
			case *dns.A:
				ip = rr.A
			case *dns.AAAA:
				ip = rr.AAAA
			}
			if a, ok := netip.AddrFromSlice(ip); ok {
				all = append(all, a.Unmap())
			}
		}
	}
	return all, nil
}
