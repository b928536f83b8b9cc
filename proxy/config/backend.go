package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Name returns b's key in the configuration; "" for a backend of no configuration.
func (b *Backend) Name() string { return b.name }

// Showing returns b with a certificate that it shows to targets that ask for one; b
// itself if c is nil. A nil b stands for the defaults.
func (b *Backend) Showing(c *ClientCertificate) *Backend {
	if c == nil {
		return b
	}
	if b == nil {
		return &Backend{shows: c, bare: true}
	}
	with := *b
	with.shows = c
	return &with
}

// Shows returns the certificate for targets that ask for one, nil for none.
func (b *Backend) Shows() *ClientCertificate { return b.shows }

// Bare reports whether b stands for the defaults, but for what it shows.
func (b *Backend) Bare() bool { return b.bare }

// SRV begins a target that DNS lists under a service's name. RFC 2782.
const SRV = "srv:"

// backend checks one backend and gives it its name.
func (x *crosser) backend(name string) {
	b := x.cfg.Backend[name]
	b.name = name
	x.cfg.Backend[name] = b
	at := func(keys ...string) []string { return append([]string{"backend", name}, keys...) }
	x.targets(&b, at)
	if b.TLS.ServerName != "" {
		if bad := badHost(b.TLS.ServerName); bad != nil {
			x.value(at("tls", "server_name"), bad.part, bad.text, bad.hint)
		}
	}
	switch {
	case b.Balance == "hash" && b.Hash == "" && !x.lost(at("hash")...):
		x.value(at("balance"), "", `"hash" needs the value to go by`, `add hash = "context.identity.sourceIp"`)
	case b.Hash != "" && (b.Balance == "round_robin" || b.Balance == "least_requests") && !x.lost(at("balance")...):
		x.key(at("hash"), fmt.Sprintf("not used by balance = %q", b.Balance), `write balance = "hash"`)
	}
	switch {
	case b.MinIdle == 0:
	case b.ProxyProtocol != "":
		x.key(at("min_idle"), "not possible with proxy_protocol", "a connection that tells a client's address can't be opened before the client is here")
	case b.Protocol == "h2" || b.Protocol == "h2c":
		x.key(at("min_idle"), fmt.Sprintf("not used by protocol = %q", b.Protocol), "requests share a connection, which stays open as long as keep_alive says")
	}
	if limit := b.MaxConnections; limit > 0 && b.MinIdle > limit {
		x.value(at("min_idle"), "", fmt.Sprintf("more than max_connections, which is %d", limit), "")
	} else if b.MinIdle > b.MaxIdle {
		x.value(at("min_idle"), "", fmt.Sprintf("more than max_idle, which is %d", b.MaxIdle), "")
	}
	if b.MaxRequests == 0 && b.MaxConnections == 0 {
		for _, key := range []string{"queue", "queue_timeout"} {
			if slices.Contains(x.entries("backend", name), key) {
				x.key(at(key), "nothing ever waits without max_requests or max_connections", "remove it, or set a bound")
			}
		}
	}
	if b.Eject.Time > b.Eject.MaxTime {
		x.value(at("eject", "time"), "", fmt.Sprintf("more than max_time, which is %s", b.Eject.MaxTime), "")
	}
	x.statuses(b.Eject.Status, at("eject", "status"))
	if h := b.Health; h != nil {
		if h.Timeout > h.Interval {
			x.value(at("health", "timeout"), "", fmt.Sprintf("more than interval, which is %s", h.Interval), "an answer must be in before the next question")
		}
		x.statuses(h.Status, at("health", "status"))
	}
}

// targets checks the addresses of a backend.
func (x *crosser) targets(b *Backend, at func(...string) []string) {
	backups := 0
	for i, target := range b.Targets {
		path := at("targets", strconv.Itoa(i), "address")
		if target.Backup {
			backups++
		}
		if target.Address == "" || x.lost(path...) {
			continue
		}
		if short := path[:len(path)-1]; x.nearest(short).form == scalar {
			path = short
		}
		if bad := badTarget(target.Address); bad != nil {
			x.value(path, bad.part, bad.text, bad.hint)
			continue
		}
		same := func(t Target) bool { return t.Address == target.Address }
		if first := slices.IndexFunc(b.Targets, same); first < i {
			x.value(path, "", fmt.Sprintf("the same as target %d", first), "remove one; a weight gives a target a larger share")
		}
	}
	if backups > 0 && backups == len(b.Targets) {
		x.key(at("targets"), "all targets are backups", "a backup stands in for targets that aren't")
	}
}

// badTarget says what is wrong with the address of a target.
func badTarget(address string) *mistake {
	service, listed := strings.CutPrefix(address, SRV)
	if !listed {
		_, bad := parseAddress(address, false)
		return bad
	}
	labels := strings.SplitN(service, ".", 3)
	if len(labels) != 3 || !strings.HasPrefix(labels[0], "_") || !strings.HasPrefix(labels[1], "_") {
		return &mistake{service, strconv.Quote(service) + " isn't the name of a service", `write "srv:_http._tcp.example.com"`}
	}
	return badHost(service)
}

// statuses checks that ranges of statuses don't run backwards.
func (x *crosser) statuses(list []string, path []string) {
	for i, s := range list {
		first, last, isRange := strings.Cut(s, "-")
		if isRange && len(first) == len(last) && first > last {
			x.value(append(slices.Clone(path), strconv.Itoa(i)), "", fmt.Sprintf("%q holds no status", s), fmt.Sprintf("write %q", last+"-"+first))
		}
	}
}
