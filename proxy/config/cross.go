package config

import (
	"fmt"
	"slices"
	"strings"
)

// crosser checks what no single value shows: references, routes, addresses.
type crosser struct {
	*checker
	cfg  *Config
	tree map[string]any
	used map[*place]bool // entries that something refers to
}

// cross completes cfg, which was decoded from tree, and checks it as a whole.
func (c *checker) cross(cfg *Config, tree map[string]any) {
	x := &crosser{checker: c, cfg: cfg, tree: tree, used: map[*place]bool{}}
	x.references()
	x.listeners()
	x.outputs()
	ids := map[string]string{}
	for _, name := range x.entries("api") {
		x.api(name, ids)
	}
	for _, name := range x.entries("domain") {
		x.domain(name)
	}
	x.acme()
	for _, name := range x.entries("backend") {
		x.backend(name)
	}
	x.edges()
	for _, name := range x.entries("guard") {
		x.guard(name)
	}
	x.principals()
	x.networks()
	x.usage()
	if !c.findings.Failed() {
		x.unused()
	}
}

// key adds an error that points at the key of path.
func (x *crosser) key(path []string, text, hint string) {
	at := x.nearest(path)
	x.add(SeverityError, at, at.keySpan(), path, text, hint)
}

// value adds an error that points at the value of path or, if that is a string
// with part in it, at part.
func (x *crosser) value(path []string, part, text, hint string) {
	at := x.nearest(path)
	sp := at.whole()
	if part != "" {
		sp = at.part(part)
	}
	x.add(SeverityError, at, sp, path, text, hint)
}

// lost reports whether path, or a table on the way to it, was misspelt, has the
// wrong type or may stand in a file that couldn't be read, so that errors about
// what is missing in it say nothing new.
func (x *crosser) lost(path ...string) bool {
	if x.incomplete {
		return true
	}
	for i := range path {
		if x.spoiled[joined(path[:i+1])] {
			return true
		}
	}
	return false
}

// entries returns the names in the table of path, in the order of the file.
func (o *origin) entries(tree map[string]any, path ...string) []string {
	at := o.root
	for _, part := range path {
		tree, _ = tree[part].(map[string]any)
		at = at.kid(part)
	}
	return keysOf(tree, at)
}

func (x *crosser) entries(path ...string) []string { return x.origin.entries(x.tree, path...) }

// noAuthorizer is the authorizer of a route that nobody guards.
const noAuthorizer = "none"

// references looks up what names an entry of another table.
func (x *crosser) references() {
	for _, r := range x.refs {
		tables := [][]string{{r.table}}
		if r.table == pluginTable && strings.Contains(r.name, "${") && (r.path[0] == "api" || r.path[0] == "authorizer") {
			x.aliases(r)
			continue
		}
		if r.table == "authorizer" {
			if r.name == noAuthorizer {
				continue
			}
			tables = [][]string{append(slices.Clone(r.path[:2]), r.table), {r.table}}
		}
		if x.refer(r, tables) {
			continue
		}
		x.dangling(r, tables)
	}
	for _, path := range x.authorizerTables() {
		if slices.Contains(x.entries(path...), noAuthorizer) {
			x.key(append(slices.Clone(path), noAuthorizer), `the name "none" is taken: a route says with it that nobody is asked`, "rename it")
		}
	}
}

func (x *crosser) authorizerTables() [][]string {
	tables := [][]string{{"authorizer"}}
	for _, api := range x.entries("api") {
		tables = append(tables, []string{"api", api, "authorizer"})
	}
	return tables
}

// refer marks the entry that r names as used.
func (x *crosser) refer(r reference, tables [][]string) bool {
	for _, table := range tables {
		at := x.root
		for _, part := range append(slices.Clone(table), r.name) {
			at = at.kid(part)
		}
		if at != nil {
			x.used[at] = true
			return true
		}
	}
	return false
}

func (x *crosser) dangling(r reference, tables [][]string) {
	var names, places []string
	for _, table := range tables {
		if x.lost(table...) {
			return
		}
		for _, name := range x.entries(table...) {
			names = append(names, name)
			places = append(places, fmt.Sprintf("%s (%v)", name, x.nearest(append(slices.Clone(table), name))))
		}
	}
	hint := fmt.Sprintf("there is no [%s.…] at all", r.table)
	if len(names) > 0 {
		hint = r.table + "s: " + listed(places, 8)
	}
	if r.name == "" && r.table == "authorizer" {
		hint = `for nobody write "none"; ` + hint
	}
	if meant := closest(r.name, names); meant != "" {
		hint = fmt.Sprintf("did you mean %q? ", meant) + hint
	}
	x.value(r.path, "", fmt.Sprintf("no %s %q", r.table, r.name)+r.where, hint)
}

// unused warns of entries that nothing refers to.
func (x *crosser) unused() {
	tables := append(x.authorizerTables(), []string{"plugin"}, []string{"backend"}, []string{"client_certificate"}, []string{"guard"})
	for _, table := range tables {
		for _, name := range x.entries(table...) {
			path := append(slices.Clone(table), name)
			at := x.nearest(path)
			if !x.used[at] {
				x.add(SeverityWarning, at, at.keySpan(), path, "never used", "nothing refers to this "+strings.ReplaceAll(table[len(table)-1], "_", " "))
			}
		}
	}
}

// api checks one API and fills in its id.
func (x *crosser) api(name string, ids map[string]string) {
	api := x.cfg.API[name]
	path := []string{"api", name}
	if api.ID == "" {
		api.ID = name
		x.cfg.API[name] = api
	}
	if other, twice := ids[api.ID]; twice {
		x.value(append(path, "id"), "", fmt.Sprintf("API %q has the id %q already", other, api.ID), "ids tell APIs apart in ARNs and events: choose another")
	}
	ids[api.ID] = name
	for _, stage := range x.entries("api", name, "stage") {
		configured := api.Stage[stage]
		x.stageName(&api, []string{"api", name, "stage", stage})
		x.stage([]string{"api", name, "stage", stage}, &configured)
	}
	if api.Type == WebSocketType {
		x.socketAPI(&api, path)
	}
	paths := new(branch)
	for _, key := range x.entries("api", name, "route") {
		x.route(&api, []string{"api", name, "route", key}, paths)
	}
}

// route checks one route.
func (x *crosser) route(api *API, path []string, paths *branch) {
	route := api.Route[path[3]]
	key, bad := routeKeyOf(api.Type, path[3])
	if bad != nil {
		at := x.nearest(path)
		x.add(SeverityError, at, at.partOfKey(bad.part), path, bad.text, bad.hint)
	} else {
		x.clash(key, path, paths)
	}
	typ := route.Integration.Type
	if api.Type == HTTPType {
		x.httpRoute(api, path, &route)
	} else if api.Type == WebSocketType {
		x.socketRoute(api, path, &route)
	} else if route.Response != nil && (typ == "http_proxy" || typ == "wasm") {
		x.key(append(slices.Clone(path), "response"), fmt.Sprintf("not used by type %q", typ), `answers are made here for the types "mock" and "http"; others pass the integration's on`)
	}
	if route.Integration.URL != "" {
		x.url(api, append(slices.Clone(path), "integration", "url"), route.Integration.URL, key.mapping(route.Integration.Parameters))
		x.speaks(append(slices.Clone(path), "integration"), &route.Integration)
	}
	x.unchecked(path, &route)
	x.scopes(path, api, &route)
}

// unchecked warns of what a method declares and nobody checks, which AWS allows.
func (x *crosser) unchecked(path []string, route *Route) {
	v := route.Validator
	warn := func(key, flag string) {
		path := append(slices.Clone(path), key)
		at := x.nearest(path)
		x.add(SeverityWarning, at, at.keySpan(), path, "nobody checks it", fmt.Sprintf("add validator = { %s = true }", flag))
	}
	if len(route.RequestModels) > 0 && (v == nil || !v.Body) {
		warn("request_models", "body")
	}
	if len(route.RequestParameters) > 0 && (v == nil || !v.Parameters) {
		warn("request_parameters", "parameters")
	}
}

// clash reports a route that another one has already taken.
func (x *crosser) clash(key routeKey, path []string, paths *branch) {
	first, name, same := paths.insert(key, path[3])
	if first == "" || !same && x.cfg.API[path[1]].Type == HTTPType {
		return
	}
	at := x.nearest(path)
	other := x.nearest(append(slices.Clone(path[:3]), first))
	text := fmt.Sprintf("the same route as %q at %v", first, other)
	hint := "names of parameters don't tell routes apart: remove one of the two"
	sp := at.keySpan()
	if !same {
		text = fmt.Sprintf("the parameter at this place is called %s in %q at %v", name.other, first, other)
		hint = "a resource has one child that is a parameter: write " + name.other + " here too, or rename it there"
		sp = at.partOfKey(name.here)
	}
	x.add(SeverityError, at, sp, path, text, hint)
}

// partOfKey returns the part of p's key that is written as text, or all of it.
func (p *place) partOfKey(text string) span {
	if p == nil {
		return span{}
	}
	if i := strings.Index(p.src.text[p.key.start:p.key.end], text); i >= 0 && text != "" {
		return span{p.key.start + i, p.key.start + i + len(text)}
	}
	return p.key
}
