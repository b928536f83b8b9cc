package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postern-gateway/postern/builtins/workbench"
	"github.com/postern-gateway/postern/proxy/config"
)

// routeTemplate says which template of a configuration is meant.
type routeTemplate struct {
	file, route, api, stage string
	side, response, media   string
}

func (r *routeTemplate) flags(c *cobra.Command) {
	addFile(c, &r.file)
	f := c.Flags()
	f.StringVar(&r.route, "route", "", "take the template of this `ROUTE` of the configuration, such as 'GET /pets'")
	f.StringVar(&r.api, "api", "", "the route's API; needed when several have it")
	f.StringVar(&r.stage, "stage", "", "the stage whose variables it sees; needed when there are several")
	f.StringVar(&r.side, "side", workbench.RequestSide, "request or response: what the template is for, or which of a route's")
	f.StringVar(&r.response, "response", "", "the `NAME` of the response; needed when a route has several")
	f.StringVar(&r.media, "media-type", "", "the template's media `TYPE`; needed when there are several")
}

// find returns the template's text and what it is called in messages. What the
// configuration says of the stage goes to given where that has nothing.
func (r *routeTemplate) find(given *workbench.Case) (name, text string, err error) {
	if err := absent(r.file); err != nil {
		return "", "", &failure{exitInvalid, err}
	}
	cfg, findings := config.Load(r.file)
	if cfg == nil || findings.Failed() {
		return "", "", invalidFindings(findings)
	}
	apiName, err := one("API with the route "+r.route, "--api", r.api, having(cfg.API, func(api config.API) bool {
		_, found := api.Route[r.route]
		return found
	}))
	if err != nil {
		return "", "", &failure{exitInvalid, fmt.Errorf("%s: %w%s", r.file, err, allRoutes(cfg))}
	}
	api := cfg.API[apiName]
	if err := r.addStage(api, &given.Input); err != nil {
		return "", "", err
	}
	route := api.Route[r.route]
	templates, path := route.Integration.Template, []string{"api", apiName, "route", r.route, "integration"}
	if r.side == workbench.ResponseSide {
		chosen, err := one("response with templates", "--response", r.response, having(route.Response, func(response config.Response) bool {
			return len(response.Template) > 0
		}))
		if err != nil {
			return "", "", &failure{exitInvalid, fmt.Errorf("%s: the route %s: %w", r.file, r.route, err)}
		}
		templates, path = route.Response[chosen].Template, []string{"api", apiName, "route", r.route, "response", chosen}
	}
	media, err := one(r.side+" template", "--media-type", r.media, sortedKeys(templates))
	if err != nil {
		return "", "", &failure{exitInvalid, fmt.Errorf("%s: the route %s: %w%s", r.file, r.route, err, r.otherSide(&route))}
	}
	return r.text(cfg, templates[media], append(path, "template", media))
}

// text returns the template that stands at path in cfg.
func (r *routeTemplate) text(cfg *config.Config, t config.Template, path []string) (name, text string, err error) {
	switch {
	case t.Plugin != "":
		return "", "", fmt.Errorf("the plugin %s stands for this template; try it with \"postern plugin run %s\"", t.Plugin, t.Plugin)
	case t.File != "":
		content, err := os.ReadFile(t.File)
		if err != nil {
			return "", "", &failure{exitFailed, err}
		}
		return t.File, string(content), nil
	}
	at := cfg.Finding(path, "", "")
	return fmt.Sprintf("%s:%d (%s template)", at.File, at.Line, r.side), t.Text, nil
}

// otherSide is a hint to the templates of the other side.
func (r *routeTemplate) otherSide(route *config.Route) string {
	if r.side == workbench.ResponseSide || len(route.Response) == 0 {
		return ""
	}
	return "\n  hint: --side response is for the templates of its responses"
}

// addStage gives in the variables of a stage and $context.stage, where it has
// none of these names.
func (r *routeTemplate) addStage(api config.API, in *workbench.Input) error {
	name, err := one("stage", "--stage", r.stage, sortedKeys(api.Stage))
	if err != nil {
		return err
	}
	variables := api.Stage[name].Variables
	for _, key := range sortedKeys(variables) {
		if !slices.ContainsFunc(in.Stage, func(p workbench.Pair) bool { return p.Name == key }) {
			in.Stage = append(in.Stage, workbench.Pair{Name: key, Value: variables[key]})
		}
	}
	if in.HasContext("stage") {
		return nil
	}
	return in.SetContext("stage", name)
}

// one returns what a flag chose among names, or the only one. what says what
// they are.
func one(what, flag, chosen string, names []string) (string, error) {
	switch {
	case len(names) == 0:
		return "", errors.New("there is no " + what)
	case chosen == "" && len(names) == 1:
		return names[0], nil
	case chosen == "":
		return "", fmt.Errorf("which %s? There are %s; choose with %s", what, strings.Join(names, ", "), flag)
	case !slices.Contains(names, chosen):
		return "", fmt.Errorf("%s: there is no %s %q: there are %s", flag, what, chosen, strings.Join(names, ", "))
	}
	return chosen, nil
}

// having returns the keys of m whose values are wanted, in order.
func having[V any](m map[string]V, wanted func(V) bool) []string {
	return slices.DeleteFunc(sortedKeys(m), func(key string) bool { return !wanted(m[key]) })
}

// allRoutes is a hint to the routes of cfg.
func allRoutes(cfg *config.Config) string {
	var all []string
	for _, api := range sortedKeys(cfg.API) {
		for _, route := range sortedKeys(cfg.API[api].Route) {
			all = append(all, fmt.Sprintf("%q of %s", route, api))
		}
	}
	const shown = 12
	if len(all) > shown {
		all = append(all[:shown], "…")
	}
	return "\n  hint: the routes are " + strings.Join(all, ", ")
}
