package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Lengths of an API key. AWS: "API Gateway quotas for configuring and running a REST API".
const (
	minKeyValue = 20
	maxKeyValue = 128
)

// usage checks plans, API keys, and what stages say of single methods.
func (x *crosser) usage() {
	for _, name := range x.entries("plan") {
		x.plan(name)
	}
	values := map[string]string{}
	for _, name := range x.entries("key") {
		x.apiKey(name, values)
	}
	for _, api := range x.entries("api") {
		for _, stage := range x.entries("api", api, "stage") {
			x.routeKeys(api, []string{EveryMethod}, "api", api, "stage", stage, "method")
		}
		x.opened(api)
	}
}

// plan checks one plan.
func (x *crosser) plan(name string) {
	plan := x.cfg.Plan[name]
	for i, stage := range plan.Stages {
		path := []string{"plan", name, "stages", strconv.Itoa(i)}
		x.mapped(path, stage)
		x.planned(path, stage)
		if slices.Contains(plan.Stages[:i], stage) {
			x.value(path, "", "the plan has this stage already", "remove one of the two")
		}
	}
	if q := plan.Quota; q != nil && q.Offset > q.Limit {
		x.value([]string{"plan", name, "quota", "offset"}, "", "more than the limit", "the offset is taken off the limit in a key's first period")
	}
	for _, stage := range x.entries("plan", name, "method") {
		path := []string{"plan", name, "method", stage}
		if !slices.Contains(plan.Stages, stage) {
			x.key(path, "the plan hasn't this stage", "stages of the plan: "+strings.Join(plan.Stages, ", "))
			continue
		}
		api, _, _ := strings.Cut(stage, ":")
		x.routeKeys(api, nil, path...)
		for _, key := range x.entries(path...) {
			if route, there := x.cfg.API[api].Route[key]; there && !route.APIKeyRequired {
				x.key(append(slices.Clone(path), key), "not used: the method needs no API key", "say api_key_required = true there, or throttle the method itself, in its stage")
			}
		}
	}
}

// routeKeys checks that the keys of a table are route keys of an API, or among others.
func (x *crosser) routeKeys(api string, others []string, table ...string) {
	routes := x.entries("api", api, "route")
	for _, key := range x.entries(table...) {
		if !slices.Contains(routes, key) && !slices.Contains(others, key) && !x.lost("api", api, "route") {
			x.key(append(slices.Clone(table), key), fmt.Sprintf("API %q has no route %q", api, key), x.existing("routes", key, "api", api, "route"))
		}
	}
}

// apiKey checks one API key. No message quotes a value; values are the keys so far,
// by hash.
func (x *crosser) apiKey(name string, values map[string]string) {
	key := x.cfg.Key[name]
	path := []string{"key", name}
	below := func(key string) []string { return append(slices.Clone(path), key) }
	hash := strings.ToLower(key.SHA256)
	switch {
	case key.Value != "" && hash != "":
		x.value(below("sha256"), "", "a value, and its hash all the same", "remove one of the two")
	case key.Value == "" && hash == "":
		if !x.spoiled[joined(below("value"))] && !x.spoiled[joined(below("sha256"))] {
			x.value(path, "", `missing key "value" or "sha256"`, `add value = "${env:NAME}", or sha256 = the output of: printf %s "$KEY" | sha256sum`)
		}
	case hash != "":
		if raw, err := hex.DecodeString(hash); err != nil || len(raw) != sha256.Size {
			x.value(below("sha256"), "", "want 64 hexadecimal digits", "")
		}
	// The place is the table: a finding shows its line.
	case len(key.Value) < minKeyValue || len(key.Value) > maxKeyValue || strings.ContainsFunc(key.Value, func(r rune) bool { return r >= 0x80 || !isBare(byte(r)) }):
		x.value(path, "", fmt.Sprintf(`its value doesn't fit: want %d to %d letters, digits, "-" and "_"`, minKeyValue, maxKeyValue), "openssl rand -hex 20 makes one")
	default:
		sum := sha256.Sum256([]byte(key.Value))
		hash = hex.EncodeToString(sum[:])
	}
	if other, twice := values[hash]; twice && hash != "" {
		x.value(path, "", fmt.Sprintf("the same value as key %q at %v", other, x.nearest([]string{"key", other})), "values tell keys apart: choose another")
	}
	values[hash] = name
	x.keyPlans(below("plans"), key.Plans)
}

// keyPlans checks that no stage is in two plans of one key. AWS: "Usage plans and
// API keys for REST APIs in API Gateway".
func (x *crosser) keyPlans(path []string, plans []string) {
	if len(plans) == 0 {
		at := x.nearest(path[:2])
		x.add(SeverityWarning, at, at.keySpan(), path[:2], "opens nothing", "a key opens the stages of its plans: add plans = [\"NAME\"]")
	}
	in := map[string]string{}
	for i, plan := range plans {
		for _, stage := range x.cfg.Plan[plan].Stages {
			if other, twice := in[stage]; twice {
				x.value(append(slices.Clone(path), strconv.Itoa(i)), "", fmt.Sprintf("the plans %q and %q both have the stage %s", other, plan, stage), "a key is in one plan of a stage")
			}
			in[stage] = plan
		}
	}
}

// opened warns of a stage with methods that need an API key, which no plan opens.
func (x *crosser) opened(api string) {
	needed := false
	for _, route := range x.cfg.API[api].Route {
		needed = needed || route.APIKeyRequired
	}
	for _, stage := range x.entries("api", api, "stage") {
		planned := false
		for _, plan := range x.cfg.Plan {
			planned = planned || slices.Contains(plan.Stages, api+":"+stage)
		}
		if needed && !planned {
			path := []string{"api", api, "stage", stage}
			at := x.nearest(path)
			x.add(SeverityWarning, at, at.keySpan(), path, "no plan has this stage: its methods with api_key_required refuse everybody", fmt.Sprintf("add %q to the stages of a [plan.NAME]", api+":"+stage))
		}
	}
}
