package config

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// stageVariable is how a URL refers to a stage variable.
const stageVariable = "${stageVariables."

// url checks an integration's URL: its placeholders, and what it is in each stage.
func (x *crosser) url(api *API, path []string, template string, key routeKey) {
	bad := x.badURL(api, path[1], template, key)
	if bad == nil {
		return
	}
	if _, was := x.expanded[joined(path)]; was { // what it became may be a secret
		bad = &mistake{"", "not the URL of a backend once it is expanded", `it must become "http://host:port/path"; placeholders must fit the route`}
	}
	x.value(path, bad.part, bad.text, bad.hint)
}

func (x *crosser) badURL(api *API, apiName, template string, key routeKey) *mistake {
	params, variables, bad := placeholders(template)
	if bad != nil {
		return bad
	}
	for _, p := range params {
		if key.verb != "" && !slices.Contains(key.params, p) {
			return x.noParameter(p, key)
		}
	}
	stages := x.entries("api", apiName, "stage")
	for _, v := range variables {
		var lacking []string
		for _, s := range stages {
			if _, there := api.Stage[s].Variables[v]; !there && !x.lost("api", apiName, "stage", s, "variables", v) {
				lacking = append(lacking, s)
			}
		}
		if len(lacking) > 0 {
			return x.noVariable(v, apiName, lacking)
		}
	}
	if len(variables) == 0 || len(stages) == 0 {
		return badURL(substitute(template, nil), "")
	}
	for _, v := range x.variants(apiName, api) {
		where := " in " + v.String()
		u := substitute(template, v.variables)
		if !x.secretVariables(apiName, v.stage, variables) {
			where += ", where it is " + strconv.Quote(u)
		}
		if bad := badURL(u, where); bad != nil {
			return &mistake{"", bad.text, bad.hint}
		}
	}
	return nil
}

// secretVariables reports whether one of the variables, or what a canary has in its
// place, came from outside the file.
func (x *crosser) secretVariables(api, stage string, variables []string) bool {
	return slices.ContainsFunc(variables, func(v string) bool {
		_, own := x.expanded[joined([]string{"api", api, "stage", stage, "variables", v})]
		_, canary := x.expanded[joined([]string{"api", api, "stage", stage, "canary", "variables", v})]
		return own || canary
	})
}

func (x *crosser) noParameter(name string, key routeKey) *mistake {
	hint := "the path of the route has no parameters"
	if len(key.params) > 0 {
		hint = "path parameters here: " + strings.Join(key.params, ", ")
	}
	if meant := closest(name, key.params); meant != "" {
		hint = fmt.Sprintf("did you mean {%s}?", meant)
	}
	return &mistake{"{" + name + "}", fmt.Sprintf("the route has no path parameter %q", name), hint}
}

func (x *crosser) noVariable(name, api string, lacking []string) *mistake {
	var known []string
	var places []string
	for _, s := range lacking {
		known = append(known, x.entries("api", api, "stage", s, "variables")...)
		places = append(places, fmt.Sprintf("%s (%v)", s, x.nearest([]string{"api", api, "stage", s})))
	}
	hint := "add it to these stages: " + listed(places, 8)
	if meant := closest(name, known); meant != "" {
		hint = fmt.Sprintf("did you mean %q?", meant)
	}
	return &mistake{stageVariable + name + "}", fmt.Sprintf("the stage variable %q isn't set in every stage", name), hint}
}

// placeholders returns the names of the path parameters and stage variables in
// a URL.
func placeholders(s string) (params, variables []string, bad *mistake) {
	authority := 0 // where host and port end
	if i := strings.Index(s, "://"); i >= 0 {
		authority = len(s)
		if j := pathStart(s[i+3:]); j >= 0 {
			authority = i + 3 + j
		}
	}
	for i := 0; i < len(s); i++ {
		switch {
		case strings.HasPrefix(s[i:], "${"):
			end := strings.IndexByte(s[i:], '}')
			if end < 0 {
				return nil, nil, &mistake{s[i:], "${ without }", ""}
			}
			whole := s[i : i+end+1]
			name, is := strings.CutPrefix(whole[:end], stageVariable)
			if !is || name == "" {
				return nil, nil, &mistake{whole, "only stage variables can be in a URL", `write "${stageVariables.name}" or "{parameter}"`}
			}
			variables = append(variables, name)
			i += end
		case s[i] == '{':
			end := strings.IndexByte(s[i:], '}')
			if end < 0 {
				return nil, nil, &mistake{s[i:], "{ without }", "write %7B for the brace itself"}
			}
			whole, name := s[i:i+end+1], s[i+1:i+end]
			if i < authority {
				return nil, nil, &mistake{whole, "a path parameter can't choose the host", "callers could send requests anywhere; use a stage variable"}
			}
			if plain, greedy := strings.CutSuffix(name, "+"); greedy {
				return nil, nil, &mistake{whole, "the + belongs to the route only", fmt.Sprintf("write {%s}", plain)}
			}
			params = append(params, name)
			i += end
		case s[i] == '}':
			return nil, nil, &mistake{"}", "} without {", "write %7D for the brace itself"}
		}
	}
	return params, variables, nil
}

// pathStart returns where the authority of a URL, which s begins with, ends, or
// -1 when nothing follows it. A stage variable may hold any character.
func pathStart(s string) int {
	for i := 0; i < len(s); i++ {
		if strings.HasPrefix(s[i:], "${") {
			if end := strings.IndexByte(s[i:], '}'); end > 0 {
				i += end
				continue
			}
		}
		if s[i] == '/' || s[i] == '?' || s[i] == '#' {
			return i
		}
	}
	return -1
}

// substitute returns the URL of one stage with "x" for each path parameter.
func substitute(s string, variables map[string]string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '{')
		if i < 0 {
			return b.String() + s
		}
		end := i + strings.IndexByte(s[i:], '}')
		if name, is := strings.CutPrefix(s[max(0, i-1):end], stageVariable); is {
			b.WriteString(s[:i-1] + variables[name])
		} else {
			b.WriteString(s[:i] + "x")
		}
		s = s[end+1:]
	}
}

// badURL says what is wrong with a URL without placeholders; in says where it is
// so, "" when it is so in all stages.
func badURL(s, in string) *mistake {
	u, err := url.Parse(s)
	switch {
	case strings.ContainsAny(s, " \t\r\n"):
		return &mistake{" ", "a space in the URL" + in, "write %20"}
	case !strings.Contains(s, "://"):
		return &mistake{"", "the URL has no scheme" + in, `begin it with "http://" or "https://"`}
	case err != nil:
		return &mistake{"", "not a URL" + in, "it has the form http://host:port/path?query"}
	case u.Scheme != "http" && u.Scheme != "https":
		return &mistake{u.Scheme, fmt.Sprintf("the scheme %q isn't http or https", u.Scheme) + in, ""}
	case u.Hostname() == "":
		return &mistake{"", "the URL has no host" + in, ""}
	case u.User != nil:
		return &mistake{u.User.String() + "@", "a URL with user and password", "they would not be sent: leave them out"}
	case u.Fragment != "" || strings.Contains(s, "#"):
		return &mistake{"#", "a fragment never reaches a backend" + in, "write %23 for the character itself"}
	}
	if p := u.Port(); p != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return &mistake{":" + p, fmt.Sprintf("%q isn't a port", p) + in, "ports are numbers from 1 to 65535"}
		}
	}
	return nil
}
