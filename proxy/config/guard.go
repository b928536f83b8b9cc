package config

import "strconv"

// guard checks one guard.
func (x *crosser) guard(name string) {
	g := x.cfg.Guard[name]
	at := []string{"guard", name}
	if g.Type == "ip" && len(g.Allow) == 0 && len(g.Deny) == 0 && !x.lost(append(at, "allow")...) && !x.lost(append(at, "deny")...) {
		x.key(at, "it neither allows nor denies anybody", `add allow = ["10.0.0.0/8"], or deny`)
	}
	for key, list := range map[string][]string{"allow": g.Allow, "deny": g.Deny} {
		for i, text := range list {
			path := append(at[:2:2], key, strconv.Itoa(i))
			if _, err := ParsePrefix(text); err != nil && !x.lost(path...) {
				x.value(path, "", err.Error(), `write "192.0.2.1", "10.0.0.0/8" or "2001:db8::/32"`)
			}
		}
	}
}
