package config

import (
	"fmt"
	"slices"
	"strings"
)

// maxBasePath is the length of a base path. AWS: "Use API mappings to connect
// API stages to a custom domain name for REST APIs".
const maxBasePath = 300

// domain checks one custom domain name and its base paths.
func (x *crosser) domain(name string) {
	if bad := badDomain(name); bad != nil {
		at := x.nearest([]string{"domain", name})
		x.add(SeverityError, at, at.partOfKey(bad.part), []string{"domain", name}, bad.text, bad.hint)
	}
	for _, base := range x.entries("domain", name, "map") {
		path := []string{"domain", name, "map", base}
		if bad := badBasePath(base); bad != nil {
			at := x.nearest(path)
			x.add(SeverityError, at, at.partOfKey(bad.part), path, bad.text, bad.hint)
		}
		if to, there := x.cfg.Domain[name].Map[base]; there && (to != "" || x.isString(path)) {
			x.mapped(path, to)
		}
	}
}

// badDomain says what is wrong with a domain name. AWS: "Custom domain name for
// public REST APIs", "Wildcard custom domain names": "*" is the first label.
func badDomain(name string) *mistake {
	host, port, hasPort := strings.Cut(name, ":")
	switch {
	case strings.Contains(name, "://") || strings.Contains(name, "/"):
		return &mistake{"", "a domain is a host name alone", "scheme and path don't belong here; base paths stand in its map"}
	case hasPort:
		return &mistake{":" + port, "a domain has no port", fmt.Sprintf("write %q; it answers on every listener", host)}
	case name == "*":
		return &mistake{"", `"*" alone isn't a domain`, `a wildcard takes the place of the first label: "*.example.com"`}
	}
	rest, _ := strings.CutPrefix(name, "*.")
	if below := strings.TrimLeft(rest, "*."); len(rest) < len(name) && strings.HasPrefix(rest, "*.") && below != "" && !strings.Contains(below, "*") {
		// RFC 9525, 6.3: neither is there such a certificate, and on demand a client would
		// choose how deep names go.
		return &mistake{"", "a wildcard is one label, also for certificates on demand", fmt.Sprintf(`write a domain for each parent that there is, such as "*.eu.%s"`, below)}
	}
	if strings.Contains(rest, "*") {
		return &mistake{"", `"*" can only be the whole first label`, `write "*.example.com"`}
	}
	return badHost(rest)
}

// badBasePath says what is wrong with a base path.
func badBasePath(base string) *mistake {
	switch {
	case base == "/":
		return nil
	case base == "" || base == "(none)":
		return &mistake{"", "the base path is empty", `write "/" for what no other base path takes`}
	case base[0] != '/':
		return &mistake{"", `the base path must begin with "/"`, fmt.Sprintf("write %q", "/"+base)}
	case base[len(base)-1] == '/':
		return &mistake{"", `the base path ends with "/"`, fmt.Sprintf("write %q", "/"+strings.Trim(base, "/"))}
	case len(base)-1 > maxBasePath:
		return &mistake{"", fmt.Sprintf("the base path is longer than %d characters", maxBasePath), ""}
	}
	for segment := range strings.SplitSeq(base[1:], "/") {
		if segment == "" {
			return &mistake{"//", "an empty segment", `write one "/"`}
		}
		for _, r := range segment {
			if r >= 0x80 || !isBare(byte(r)) && !strings.ContainsRune("$.+!*'()", r) {
				return &mistake{string(r), fmt.Sprintf("%q can't be in a base path", r), "base paths are made of letters, digits and $-_.+!*'()"}
			}
		}
	}
	return nil
}

// mapped checks the "api:stage" that a base path leads to.
func (x *crosser) mapped(path []string, to string) {
	apiName, stage, found := strings.Cut(to, ":")
	if !found || apiName == "" || stage == "" {
		hint := `write "api:stage"`
		if stages := x.entries("api", to, "stage"); len(stages) > 0 {
			hint = fmt.Sprintf("write %q", to+":"+stages[0])
		}
		x.value(path, "", fmt.Sprintf(`want "api:stage", got %s`, x.shownAt(to, path)), hint)
		return
	}
	names := x.entries("api")
	if !slices.Contains(names, apiName) {
		if !x.lost("api") {
			x.value(path, apiName, fmt.Sprintf("no API %q", apiName), x.existing("APIs", apiName, "api"))
		}
		return
	}
	if !slices.Contains(x.entries("api", apiName, "stage"), stage) && !x.lost("api", apiName, "stage") {
		x.value(path, stage, fmt.Sprintf("API %q has no stage %q", apiName, stage), x.existing("stages", stage, "api", apiName, "stage"))
	}
}

// shownAt is shown for the value of path.
func (x *crosser) shownAt(s string, path []string) string {
	x.path = append(x.path[:0], path...)
	defer func() { x.path = x.path[:0] }()
	return x.shown(s, x.nearest(path))
}

// existing lists what there is in a table instead of name, with places.
func (x *crosser) existing(what, name string, table ...string) string {
	names := x.entries(table...)
	if len(names) == 0 {
		return "there is no [" + keyPath(table, nil) + ".…] at all"
	}
	var places []string
	for _, n := range names {
		places = append(places, fmt.Sprintf("%s (%v)", n, x.nearest(append(slices.Clone(table), n))))
	}
	hint := what + ": " + listed(places, 8)
	if meant := closest(name, names); meant != "" {
		hint = fmt.Sprintf("did you mean %q? ", meant) + hint
	}
	return hint
}
