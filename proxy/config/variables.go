package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// AWS: "API Gateway stage variables reference" (names and values), quotas page.
const (
	maxVariables     = 100
	maxVariableName  = 64
	maxVariableValue = 512
)

// variant is one of the two sets of variables that a stage can have.
type variant struct {
	stage     string
	canary    bool
	variables map[string]string
}

// String is for messages.
func (v variant) String() string {
	if v.canary {
		return fmt.Sprintf("the canary of stage %q", v.stage)
	}
	return fmt.Sprintf("stage %q", v.stage)
}

// variants returns the variables of an API's stages, and those of their canaries.
func (x *crosser) variants(name string, api *API) []variant {
	var all []variant
	for _, s := range x.entries("api", name, "stage") {
		stage := api.Stage[s]
		all = append(all, variant{s, false, stage.Variables})
		if stage.Canary != nil && len(stage.Canary.Variables) > 0 {
			all = append(all, variant{s, true, stage.CanaryVariables()})
		}
	}
	return all
}

// CanaryVariables returns the variables of the stage's canary: the stage's, and the
// canary's own above them. They are only read.
func (s *Stage) CanaryVariables() map[string]string {
	if s.Canary == nil || len(s.Canary.Variables) == 0 {
		return s.Variables
	}
	all := make(map[string]string, len(s.Variables)+len(s.Canary.Variables))
	maps.Copy(all, s.Variables)
	maps.Copy(all, s.Canary.Variables)
	return all
}

// ExpandVariables returns s with the values of the stage variables that it refers to, as
// in "pets:${stageVariables.alias}". missing is the name of one that isn't there, or
// what else stands in ${}.
func ExpandVariables(s string, variables map[string]string) (expanded, missing string) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "${")
		b.WriteString(before)
		if !found {
			return b.String(), ""
		}
		reference, after, _ := strings.Cut(rest, "}")
		name, _ := strings.CutPrefix("${"+reference, stageVariable)
		value, there := variables[name]
		if !there {
			return "", name
		}
		b.WriteString(value)
		s = after
	}
}

// aliases looks up a plugin whose name stage variables choose: there has to be one in
// every stage. AWS: "Using API Gateway stage variables", Lambda functions.
func (x *crosser) aliases(r reference) {
	if badReference(r.name) {
		x.value(r.path, "", "only stage variables can be in the name of a plugin", `write "name:${stageVariables.alias}"`)
		return
	}
	for _, api := range x.referrers(r) {
		configured, seen := x.cfg.API[api], map[string]bool{}
		for _, v := range x.variants(api, &configured) {
			name, missing := ExpandVariables(r.name, v.variables)
			switch {
			case missing != "" && x.lost("api", api, "stage", v.stage, "variables", missing):
			case missing != "":
				x.value(r.path, "", fmt.Sprintf("%v has no variable %q", v, missing), fmt.Sprintf("add it to [api.%s.stage.%s.variables]", api, v.stage))
			case seen[name]:
			default:
				seen[name] = true
				resolved := r
				resolved.name, resolved.where = name, " in "+v.String()
				if tables := [][]string{{r.table}}; !x.refer(resolved, tables) {
					x.dangling(resolved, tables)
				}
			}
		}
	}
}

// badReference reports whether something other than a stage variable stands in ${}.
func badReference(s string) bool {
	for i := strings.Index(s, "${"); i >= 0; i = strings.Index(s, "${") {
		s = s[i:]
		end := strings.IndexByte(s, '}')
		if end <= len(stageVariable) || !strings.HasPrefix(s, stageVariable) {
			return true
		}
		s = s[end:]
	}
	return false
}

// referrers returns the APIs whose stages' variables count at r: the one that it
// stands in or, for an authorizer of the gateway, those that have routes with it.
func (x *crosser) referrers(r reference) []string {
	if r.path[0] == "api" {
		return r.path[1:2]
	}
	var all []string
	for _, api := range x.entries("api") {
		if _, own := x.cfg.API[api].Authorizer[r.path[1]]; own {
			continue
		}
		for _, route := range x.cfg.API[api].Route {
			if route.Authorizer == r.path[1] {
				all = append(all, api)
				break
			}
		}
	}
	return all
}

// stage checks what one stage says by itself.
func (x *crosser) stage(path []string, stage *Stage) {
	x.variables(append(slices.Clone(path), "variables"), stage.Variables)
	x.tags(append(slices.Clone(path), "tags"), stage.Tags)
	if stage.Shadow != nil {
		x.shadow(path, stage.Shadow)
	}
	if stage.Canary == nil {
		return
	}
	own := append(slices.Clone(path), "canary", "variables")
	x.variables(own, stage.Canary.Variables)
	if n := len(stage.CanaryVariables()); n > maxVariables && len(stage.Variables) <= maxVariables {
		x.key(own, fmt.Sprintf("with the stage's they are %d stage variables; at most %d are allowed", n, maxVariables), "")
	}
}

// AWS: "Tag restrictions for API Gateway REST API and HTTP API resources".
const (
	maxTags     = 50
	maxTagName  = 128
	maxTagValue = 256
)

// tags checks a stage's tags.
func (x *crosser) tags(path []string, tags map[string]string) {
	if len(tags) > maxTags {
		x.key(path, fmt.Sprintf("%d tags; at most %d are allowed", len(tags), maxTags), "")
	}
	for _, name := range x.entries(path...) {
		at := append(slices.Clone(path), name)
		switch {
		case name == "" || utf8.RuneCountInString(name) > maxTagName:
			x.key(at, fmt.Sprintf("names of tags have 1 to %d characters", maxTagName), "")
		case strings.HasPrefix(strings.ToLower(name), "aws:"):
			x.key(at, `names of tags don't begin with "aws:"`, "AWS keeps these for itself")
		case utf8.RuneCountInString(tags[name]) > maxTagValue:
			x.value(at, "", fmt.Sprintf("the value is longer than %d characters", maxTagValue), "")
		}
	}
}

// variables checks stage variables.
func (x *crosser) variables(path []string, variables map[string]string) {
	if len(variables) > maxVariables {
		x.key(path, fmt.Sprintf("%d stage variables; at most %d are allowed", len(variables), maxVariables), "")
	}
	for _, name := range x.entries(path...) {
		at := append(slices.Clone(path), name)
		if i := strings.IndexFunc(name, func(r rune) bool { return r >= 0x80 || r == '-' || !isBare(byte(r)) }); i >= 0 || name == "" {
			x.key(at, "not a name for a stage variable", `names are made of letters, digits and "_"`)
		} else if len(name) > maxVariableName {
			x.key(at, fmt.Sprintf("the name is longer than %d characters", maxVariableName), "")
		}
		value := variables[name]
		if i := strings.IndexFunc(value, func(r rune) bool { return !isVariableRune(r) }); i >= 0 {
			bad := string([]rune(value[i:])[0])
			if _, secret := x.expanded[joined(at)]; secret {
				bad = ""
			}
			x.value(at, bad, "a character that stage variables can't hold", "values are made of letters, digits and -._~:/?#&=,")
		} else if len(value) > maxVariableValue {
			x.value(at, "", fmt.Sprintf("the value is longer than %d characters", maxVariableValue), "")
		} else if value == "" && x.isString(at) {
			x.value(at, "", "must not be empty", "leave the variable out, and its uses")
		}
	}
}

// isString reports whether the value of path is a string that needed no
// expansion: if it is empty now, then it is so in the file.
func (x *crosser) isString(path []string) bool {
	at := x.nearest(path)
	return at.form == scalar && !x.spoiled[joined(path)] && !strings.Contains(at.src.text[at.value.start:at.value.end], "${")
}

func isVariableRune(r rune) bool {
	return r < 0x80 && (isBare(byte(r)) || strings.ContainsRune(".~:/?#&=,", r))
}
