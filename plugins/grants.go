package plugins

import "github.com/postern-gateway/postern/proxy/config"

// checkGrants refuses a module that imports from a capability group that o
// doesn't grant.
func checkGrants(m *module, o config.Plugin) error {
	for _, group := range m.groups {
		if !granted(o, group) {
			return refuse("", "the module imports from the group %q, which isn't granted", group)
		}
	}
	return nil
}

// granted reports whether o grants group. The groups that only compute are
// granted to everybody.
func granted(_ config.Plugin, group string) bool {
	switch group {
	case "crypto", "json", "text":
		return true
	}
	return false
}
