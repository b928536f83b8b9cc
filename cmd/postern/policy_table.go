package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern-gateway/postern/builtins/access"
	"github.com/postern-gateway/postern/proxy/config"
)

// nobody is the caller who doesn't sign.
const nobody = "anonymous"

// callers are the columns of the table: nobody and the principals, or the one that
// was chosen.
func (r *policyReader) callers() []string {
	if r.options.principal != "" {
		return []string{r.options.principal}
	}
	return append([]string{nobody}, sortedKeys(r.cfg.Principal)...)
}

// table explains every route of every stage, or of those that were chosen, to all
// callers.
func (r *policyReader) table() ([]policyRow, error) {
	rows := []policyRow{}
	chosen := func(flag, choice string, names []string) ([]string, error) {
		switch {
		case choice == "":
			return names, nil
		case !slices.Contains(names, choice):
			return nil, &failure{exitInvalid, fmt.Errorf("%s: there is no %q: there are %s", flag, choice, strings.Join(names, ", "))}
		}
		return []string{choice}, nil
	}
	apis, err := chosen("--api", r.options.api, sortedKeys(r.cfg.API))
	if err != nil {
		return nil, err
	}
	for _, api := range apis {
		stages, err := chosen("--stage", r.options.stage, sortedKeys(r.cfg.API[api].Stage))
		if err != nil {
			return nil, err
		}
		for _, stage := range stages {
			for _, route := range sortedKeys(r.cfg.API[api].Route) {
				row := policyRow{API: api, Stage: stage, Route: route, Callers: map[string]access.Outcome{}}
				for _, caller := range r.callers() {
					if row.Callers[caller], err = r.cell(api, stage, route, caller); err != nil {
						return nil, err
					}
				}
				rows = append(rows, row)
			}
		}
	}
	return rows, nil
}

// verbs are what ANY stands for.
var verbs = []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}

// cell is what a caller comes to at a route: what all of its verbs come to, or that
// it depends.
func (r *policyReader) cell(api, stage, route, caller string) (access.Outcome, error) {
	if r.cfg.API[api].Type == config.WebSocketType {
		x, err := r.explain(api, stage, route, "", caller)
		if err != nil {
			return "", err
		}
		return x.Outcome, nil
	}
	verb, path, _ := strings.Cut(route, " ")
	if route == config.DefaultName {
		verb, path = "ANY", "/"+route
	}
	path = strings.ReplaceAll(path, "+}", "}")
	of := []string{verb}
	switch {
	case route == config.DefaultName: // as far as no other route has the path
		of = slices.DeleteFunc(slices.Clone(verbs), func(verb string) bool {
			ex := r.exchange(api, stage, verb, path)
			_, found := r.routes.Match(ex)
			return !found || ex.Route.Key != route
		})
		if len(of) == 0 {
			return access.Depends, nil
		}
	case verb == "ANY":
		of = slices.DeleteFunc(slices.Clone(verbs), func(verb string) bool {
			_, own := r.cfg.API[api].Route[verb+strings.TrimPrefix(route, "ANY")]
			return own
		})
	}
	var outcome access.Outcome
	for _, verb := range of {
		x, err := r.explain(api, stage, verb, path, caller)
		if err != nil {
			return "", err
		}
		if outcome != "" && outcome != x.Outcome {
			return access.Depends, nil
		}
		outcome = x.Outcome
	}
	return outcome, nil
}
