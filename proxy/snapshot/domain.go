package snapshot

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/postern-gateway/postern/proxy/config"
)

// hosts builds the tables of host names.
func (c *compiler) hosts() {
	h := &c.snapshot.hosts
	h.exact, h.wildcard = map[string]*host{}, map[string]*host{}
	for _, name := range sortedKeys(c.cfg.Domain) {
		c.domain(h, name)
	}
	suffix := strings.Trim(strings.ToLower(c.cfg.Gateway.Suffix), ".")
	if suffix == "" || h.wildcard[suffix] != nil {
		return // no default hosts, or all of them hidden
	}
	h.suffix = suffix
	for api, stages := range c.matched {
		name := strings.ToLower(api) + "." + suffix
		if h.exact[name] != nil {
			continue
		}
		found := &host{isDefault: true, http: c.cfg.API[api].Type == config.HTTPType, door: c.door(c.cfg.API[api].Endpoint, []string{"api", api, "endpoint"})}
		for stageName, st := range stages {
			switch {
			case c.cfg.API[api].DisableDefaultEndpoint: // without stages it answers 403, as on AWS; or 404
			case stageName == config.DefaultName:
				found.fallback = st
			default:
				found.stages.add(stageName).stage = st
			}
		}
		h.exact[name] = found
	}
}

// domain builds one custom domain.
func (c *compiler) domain(h *hosts, name string) {
	at := []string{"domain", name}
	lower := strings.TrimSuffix(strings.ToLower(name), ".")
	table := h.exact
	parent, wild := strings.CutPrefix(lower, "*.")
	if wild {
		table, lower = h.wildcard, parent
	}
	if err := checkHostName(lower, wild); err != nil {
		c.wrong(err, at...)
		return
	}
	if table[lower] != nil {
		c.find(at, "the same name as another domain", "host names ignore case and a dot at the end")
		return
	}
	configured := c.cfg.Domain[name]
	d := &host{clients: c.clients(name, lower), manners: c.manners(name), door: c.door(configured.Endpoint, under(at, "endpoint")), policy: configured.TLSPolicy}
	for _, basePath := range sortedKeys(c.cfg.Domain[name].Map) {
		c.mapBasePath(d, basePath, c.cfg.Domain[name].Map[basePath], under(at, "map", basePath))
	}
	d.http = c.onlyHTTP(configured.Map)
	table[lower] = d
}

// onlyHTTP reports whether base paths lead to HTTP APIs and no others.
func (c *compiler) onlyHTTP(targets map[string]string) bool {
	for _, target := range targets {
		api, _, _ := strings.Cut(target, ":")
		if c.cfg.API[api].Type != config.HTTPType {
			return false
		}
	}
	return len(targets) > 0
}

// checkHostName judges a name in lower case: of a host, an IP address, or what
// follows "*." of a wildcard.
func checkHostName(name string, wildcard bool) error {
	if _, err := netip.ParseAddr(name); err == nil && !wildcard {
		return nil
	}
	if len(name) > 253 {
		return errors.New("a host name has at most 253 characters")
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return errors.New("a label of a host name has 1 to 63 characters")
		}
		if strings.Contains(label, "*") {
			return wrongKey(`as in "*.example.com"`, "a wildcard is the whole first label, once")
		}
		for i := 0; i < len(label); i++ {
			if c := label[i]; !alphanumeric(c) && c != '-' && c != '_' {
				return wrongKey("a domain is a host name without scheme, port and path; names in other alphabets are written as xn--…",
					"the character %q in a host name", c)
			}
		}
	}
	return nil
}

// mapBasePath adds one base path of a domain.
func (c *compiler) mapBasePath(d *host, basePath, target string, at []string) {
	st := c.target(target, at)
	m := &d.mappings
	path := strings.Trim(basePath, "/")
	if path != "" {
		for segment := range strings.SplitSeq(path, "/") {
			if err := checkBasePath(segment); err != nil {
				c.wrong(err, at...)
				return
			}
			m = m.longer.add(segment)
		}
	}
	if m.stage != nil {
		c.find(at, "the same base path as another", "slashes at the ends don't count")
		return
	}
	m.stage, m.basePath = st, path
}

// checkBasePath judges one segment. AWS: "Working with API mappings": letters,
// digits and $-_.+!*'()/.
func checkBasePath(segment string) error {
	if segment == "" || segment == "." || segment == ".." {
		return fmt.Errorf("a segment %q can't be requested", segment)
	}
	if len(segment) > longestDecode {
		return fmt.Errorf("a segment of more than %d characters", longestDecode)
	}
	for i := 0; i < len(segment); i++ {
		if c := segment[i]; !alphanumeric(c) && !strings.ContainsRune("$-_.+!*'()", rune(c)) {
			return wrongKey("use letters, digits and $-_.+!*'()", "the character %q in a base path", c)
		}
	}
	return nil
}

// target returns the stage that "api:stage" names, or nil with a finding.
func (c *compiler) target(target string, at []string) *stage {
	api, name, found := strings.Cut(target, ":")
	if !found {
		c.find(at, fmt.Sprintf("%q names no stage", target), `write it as "api:stage"`)
		return nil
	}
	stages, found := c.matched[api]
	if !found {
		c.find(at, fmt.Sprintf("no API %q", api), listed("APIs", sortedKeys(c.matched)))
		return nil
	}
	st := stages[name]
	if st == nil {
		c.find(at, fmt.Sprintf("no stage %q of API %q", name, api), listed("stages", sortedKeys(stages)))
	}
	return st
}
