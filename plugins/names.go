package plugins

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/libdns/libdns"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/zone"
	"github.com/postern-gateway/postern/sdk/abi"
)

// dnsABI is a guestABI with the role dns.
type dnsABI interface {
	// dns has the guest put or remove the record that in.naming describes.
	dns(in *instance) error
}

// certifierABI is a guestABI with the role certify.
type certifierABI interface {
	// certify returns the guest's decision about the name that in.naming describes:
	// abi.Allow or abi.Deny; any other number is a failure.
	certify(in *instance) (decision int32, err error)
}

// naming is what a call is about that isn't about an exchange.
type naming struct {
	name   string
	client netip.Addr
	action string // abi.RecordPresent or abi.RecordCleanup
	zone   string
	value  string
	ttl    time.Duration
}

// field returns a field of a name or a record.
func (n *naming) field(number int32) (string, bool) {
	switch number {
	case abi.FieldDomainName:
		return n.name, true
	case abi.FieldSourceIP:
		if !n.client.IsValid() {
			return "", true
		}
		return n.client.String(), true
	case abi.FieldRecordAction:
		return n.action, true
	case abi.FieldRecordZone:
		return n.zone, true
	case abi.FieldRecordName:
		return n.name, true
	case abi.FieldRecordValue:
		return n.value, true
	case abi.FieldRecordTTL:
		return strconv.FormatInt(int64(n.ttl/time.Second), 10), true
	}
	return "", false
}

// The time that a call about a name may take unless the plugin's timeout says
// otherwise.
const (
	recordTimeout  = 5 * time.Second
	certifyTimeout = time.Second
)

// checkNames finds plugins that cfg wants for names and that can't.
func (g *Generation) checkNames(cfg *config.Config) config.Findings {
	if cfg.ACME == nil {
		return nil
	}
	var all config.Findings
	check := func(name string, role uint32, path ...string) {
		if p := g.plugins[name]; p != nil && p.roles&role == 0 {
			all = append(all, cfg.Finding(path, fmt.Sprintf("plugin %q can't %s: %s", name, verbs(role), p.abilities()), ""))
		}
	}
	for name, z := range cfg.ACME.DNS {
		if z.Type == "wasm" {
			check(z.Plugin, abi.RoleDNS, "acme", "dns", name, "plugin")
		}
	}
	if d := cfg.ACME.OnDemand; d != nil && d.Plugin != "" {
		check(d.Plugin, abi.RoleCertify, "acme", "on_demand", "plugin")
	}
	return all
}

// about calls the plugin called name in a role that isn't about an exchange.
func (h *Host) about(ctx context.Context, name string, role uint32, fallback time.Duration, n naming, call func(p *plugin, in *instance) error) error {
	h.mu.Lock()
	var p *plugin
	if h.current != nil {
		if p = h.current.plugins[name]; p != nil {
			p.refs++
		}
	}
	h.mu.Unlock()
	if p == nil {
		return fmt.Errorf("there is no plugin %q", name)
	}
	defer h.release(p)
	if p.roles&role == 0 {
		return fmt.Errorf("plugin %q can't %s", name, verbs(role))
	}
	in, err := p.take(ctx)
	if err != nil {
		return fmt.Errorf("plugin %q: %w", name, err)
	}
	at := slices.IndexFunc(abi.Roles(), func(r abi.Role) bool { return r.Bit == role })
	in.begin(abi.Roles()[at].Phase, nil, nil, p.limit(fallback))
	in.caller, in.account, in.naming = ctx, h.account(p.name, ""), n
	err = call(p, in)
	in.naming = naming{}
	p.give(in, err)
	if err != nil {
		return fmt.Errorf("plugin %q, %s: %w", name, abi.Roles()[at].Name, err)
	}
	return nil
}

// Certify asks the plugin called asked, of the running generation, if a name may have a
// certificate; client is who asked for it, if anybody did. An error is neither.
func (h *Host) Certify(ctx context.Context, asked, name string, client netip.Addr) (bool, error) {
	var decision int32
	err := h.about(ctx, asked, abi.RoleCertify, certifyTimeout, naming{name: name, client: client}, func(p *plugin, in *instance) (err error) {
		decision, err = p.module.abi.(certifierABI).certify(in)
		if err == nil && decision != abi.Allow && decision != abi.Deny {
			err = &failure{"answer", fmt.Errorf("the decision is %d", decision)}
		}
		return err
	})
	return err == nil && decision == abi.Allow, err
}

// Zones returns the plugin called name as one who lets us put records into zones. It
// is looked for in the running generation when it is called.
func (h *Host) Zones(plugin string) zone.Provider { return &zones{host: h, plugin: plugin} }

// zones is a plugin with the role dns.
type zones struct {
	host   *Host
	plugin string
}

// AppendRecords implements libdns.RecordAppender, for TXT records: one by one.
func (z *zones) AppendRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return z.each(ctx, abi.RecordPresent, zone, records)
}

// DeleteRecords implements libdns.RecordDeleter, for TXT records: one by one.
func (z *zones) DeleteRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return z.each(ctx, abi.RecordCleanup, zone, records)
}

func (z *zones) each(ctx context.Context, action, in string, records []libdns.Record) ([]libdns.Record, error) {
	var done []libdns.Record
	for _, r := range records {
		rr := r.RR()
		if rr.Type != "TXT" {
			return done, errors.New("plugins know only TXT records")
		}
		n := naming{
			action: action, zone: strings.TrimSuffix(in, "."), name: strings.TrimSuffix(zone.Absolute(rr.Name, in), "."), value: rr.Data, ttl: rr.TTL,
		}
		err := z.host.about(ctx, z.plugin, abi.RoleDNS, recordTimeout, n, func(p *plugin, in *instance) error {
			return p.module.abi.(dnsABI).dns(in)
		})
		if err != nil {
			return done, err
		}
		done = append(done, r)
	}
	return done, nil
}
