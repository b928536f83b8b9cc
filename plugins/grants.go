package plugins

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/postern-gateway/postern/plugins/keyvalue"
	"github.com/postern-gateway/postern/plugins/outbound"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// Capability groups that a plugin must be granted.
const (
	groupHTTP   = "http"
	groupKV     = "kv"
	groupMetric = "metric"
)

// granted reports whether o grants group. The groups that only compute are
// granted to everybody.
func granted(o config.Plugin, group string) bool {
	switch group {
	case "crypto", "json", "text":
		return true
	case groupHTTP:
		return o.HTTP != nil
	case groupKV:
		return o.KV != nil
	case groupMetric:
		return o.Metrics
	}
	return false
}

// grantOf is the line of a plugin's table that grants group.
func grantOf(group string) string {
	switch group {
	case groupHTTP:
		return `http = { allow = ["https://api.example.com"] }`
	case groupKV:
		return `kv = { size = "1MiB" }`
	case groupMetric:
		return "metrics = true"
	}
	return ""
}

// granting returns o with groups granted, as far as that matters to a start: no
// server may be asked.
func granting(o config.Plugin, groups []string) config.Plugin {
	for _, group := range groups {
		switch {
		case granted(o, group):
		case group == groupHTTP:
			o.HTTP = &config.PluginHTTP{}
		case group == groupKV:
			o.KV = &config.PluginKV{Size: 1 << 20}
		case group == groupMetric:
			o.Metrics = true
		}
	}
	return o
}

// checkGrants refuses a module that imports from capability groups that o
// doesn't grant.
func checkGrants(m *module, name string, o config.Plugin) error {
	var missing, lines []string
	for _, group := range m.groups {
		if !granted(o, group) {
			missing, lines = append(missing, group), append(lines, grantOf(group))
		}
	}
	if missing == nil {
		return nil
	}
	return refuse(fmt.Sprintf("if it may, add to [plugin.%s]: %s", name, strings.Join(lines, "; ")),
		"the module imports from what isn't granted: %s", strings.Join(missing, ", "))
}

// idleGrants warns of grants that the module can't use.
func (p *plugin) idleGrants(cfg *config.Config) config.Findings {
	used := p.module.groups
	if a, ok := p.module.abi.(grantedABI); ok {
		used = a.uses()
	}
	var all config.Findings
	for _, g := range []struct{ group, key string }{{groupKV, "kv"}, {groupHTTP, "http"}, {groupMetric, "metrics"}} {
		if granted(cfg.Plugin[p.name], g.group) && !slices.Contains(used, g.group) {
			f := cfg.Finding([]string{"plugin", p.name, g.key}, "the module imports nothing that this grants", "leave it out")
			f.Severity = config.SeverityWarning
			all = append(all, f)
		}
	}
	return all
}

// grants are what a plugin has beyond what only computes.
type grants struct {
	space   *space           // nil: no kv
	http    *outbound.Client // nil: no requests
	metrics *metrics         // nil: none
}

// grant gives p what o grants, and its pace. With an error it returns the option
// that is to blame.
func (p *plugin) grant(o config.Plugin, s settings) (key string, err error) {
	if o.HTTP != nil {
		if p.grants.http, err = outbound.New(o.HTTP, s.authorities); err != nil {
			return "http", err
		}
	}
	if o.KV != nil {
		p.grants.space = p.host.space(spaceName(p.name, o.KV), int64(o.KV.Size))
	}
	if o.Metrics {
		p.grants.metrics = &metrics{shown: &p.counters.shown}
	}
	if o.Rate > 0 {
		p.pace = &pace{rate: int64(o.Rate)}
		p.tooMany = proxy.Fault{Kind: proxy.Overloaded, Cause: fmt.Errorf("plugin %q: more than %d calls in a second", p.name, o.Rate)}
	}
	return "", nil
}

// close gives up what was granted.
func (g *grants) close(h *Host) {
	if g.space != nil {
		h.leaveSpace(g.space)
	}
	if g.http != nil {
		g.http.Close()
	}
	if g.metrics != nil {
		g.metrics.close()
	}
}

// addGrants notes what the keys of grants say. With an error it returns the
// option that is to blame.
func (s *settings) addGrants(o config.Plugin) (key string, err error) {
	s.identity += fmt.Sprintf(" %v %d", o.Metrics, o.Rate)
	if o.KV != nil {
		s.identity += fmt.Sprintf(" kv %s", o.KV.Namespace) // the size is the space's
	}
	if o.HTTP == nil {
		return "", nil
	}
	if o.HTTP.CA != "" {
		if s.authorities, err = os.ReadFile(o.HTTP.CA); err != nil {
			return "http", &config.KeyError{Path: []string{"ca"}, Text: err.Error()}
		}
	}
	s.identity += fmt.Sprintf(" http %q %x", fmt.Sprint(*o.HTTP), sha256.Sum256(s.authorities))
	return "", nil
}

// space is a namespace of kv. It lives while a plugin refers to it.
type space struct {
	*keyvalue.Space
	name string
	refs int // guarded by host.mu
}

func spaceName(plugin string, o *config.PluginKV) string {
	if o.Namespace != "" {
		return o.Namespace
	}
	return plugin
}

// space returns the namespace called name, made with size bytes if there is none,
// referred to once more.
func (h *Host) space(name string, size int64) *space {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.spaces[name]
	if s == nil {
		s = &space{Space: keyvalue.NewSpace(size, h.clock), name: name}
		h.spaces[name] = s
	}
	s.refs++
	return s
}

func (h *Host) leaveSpace(s *space) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.refs--; s.refs == 0 {
		delete(h.spaces, s.name)
	}
}

// Namespace is what a namespace of kv holds.
type Namespace struct {
	Name    string
	Entries int64
	Bytes   int64
	Size    int64  // bytes that there may be
	Evicted uint64 // entries that had to make room so far
}

// Namespaces returns what the plugins' namespaces hold, by name.
func (h *Host) Namespaces() []Namespace {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []Namespace
	for _, name := range slices.Sorted(maps.Keys(h.spaces)) {
		f := h.spaces[name].Figures()
		all = append(all, Namespace{name, f.Entries, f.Bytes, f.Size, f.Evicted})
	}
	return all
}

// sizeSpaces notes how large g's namespaces are to be, and refuses plugins that
// share one and differ about that.
func (g *Generation) sizeSpaces(cfg *config.Config, names []string) config.Findings {
	var all config.Findings
	by := map[string]string{} // namespace to the plugin that sized it
	for _, name := range names {
		o := cfg.Plugin[name].KV
		if o == nil {
			continue
		}
		space := spaceName(name, o)
		if first, taken := by[space]; taken && g.sizes[space] != int64(o.Size) {
			all = append(all, cfg.Finding([]string{"plugin", name, "kv"},
				fmt.Sprintf("plugin %q shares the namespace %q and has another size for it", first, space),
				"give both the same size, or one of them another namespace"))
			continue
		}
		by[space], g.sizes[space] = name, int64(o.Size)
	}
	return all
}

// resizeSpaces gives h's namespaces the sizes that g wants. h.mu is held.
func (h *Host) resizeSpaces(g *Generation) {
	for name, s := range h.spaces {
		if size, ok := g.sizes[name]; ok {
			s.Resize(size)
		}
	}
}

// pace lets so many calls begin in a second, of which all may come at once. Safe
// for concurrent use.
type pace struct {
	rate int64
	due  atomic.Int64 // when all calls so far would have come, had they kept their distance
}

// admit reports whether a call may begin now. It is the generic cell rate
// algorithm: ITU-T I.371.
func (p *pace) admit(now int64) bool {
	apart := int64(time.Second) / p.rate
	for {
		before := p.due.Load()
		due := max(before, now) + apart
		if due-now > int64(time.Second) {
			return false
		}
		if p.due.CompareAndSwap(before, due) {
			return true
		}
	}
}
