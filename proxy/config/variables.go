package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
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

// stage checks what one stage says by itself.
func (x *crosser) stage(path []string, stage *Stage) {
	x.variables(append(slices.Clone(path), "variables"), stage.Variables)
	if stage.Canary == nil {
		return
	}
	own := append(slices.Clone(path), "canary", "variables")
	x.variables(own, stage.Canary.Variables)
	if n := len(stage.CanaryVariables()); n > maxVariables && len(stage.Variables) <= maxVariables {
		x.key(own, fmt.Sprintf("with the stage's they are %d stage variables; at most %d are allowed", n, maxVariables), "")
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
