package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// routeKey is a route's key, taken apart.
type routeKey struct {
	verb     string
	segments []string // "pets", "{id}", "{path+}"
	params   []string // names, without "+"
}

// mapping returns r with the path parameters that an integration's parameters map,
// which its URL can have besides the route's own.
func (r routeKey) mapping(parameters map[string]string) routeKey {
	r.params = slices.Clone(r.params)
	for _, target := range slices.Sorted(maps.Keys(parameters)) {
		if name, is := strings.CutPrefix(target, "integration.request.path."); is && !slices.Contains(r.params, name) {
			r.params = append(r.params, name)
		}
	}
	return r
}

// mistake is what is wrong with a part of a string.
type mistake struct {
	part string // where to point; "" for the whole
	text string
	hint string
}

// verbs returns the verbs of REST methods. AWS: "Set up a method using the API
// Gateway console", "HTTP method"; HEAD isn't answered by GET.
func verbs() []string {
	return []string{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "ANY"}
}

// parseRouteKey takes the key of a REST API's method, such as "GET /pets/{id}", apart, or
// says what is wrong.
func parseRouteKey(key string) (routeKey, *mistake) {
	if key == DefaultName {
		return routeKey{}, &mistake{"", `"$default" is for HTTP APIs`, `for all requests write "ANY /{proxy+}", and "ANY /" for the root`}
	}
	r, bad := parseVerbPath(key)
	// AWS: "Amazon API Gateway important notes", "/ping and /sping are reserved".
	if bad == nil && len(r.segments) == 1 && (r.segments[0] == "ping" || r.segments[0] == "sping") {
		return r, &mistake{"/" + r.segments[0], "the path is reserved for health checks", `choose another, such as "/health"`}
	}
	return r, bad
}

// parseVerbPath takes a verb and a path apart.
func parseVerbPath(key string) (routeKey, *mistake) {
	verb, path, found := strings.Cut(key, " ")
	switch {
	case strings.HasPrefix(key, "/"):
		return routeKey{}, &mistake{"", "the verb is missing", fmt.Sprintf("write %q, or ANY for all verbs", "GET "+key)}
	case !slices.Contains(verbs(), verb):
		hint := "verbs are " + strings.Join(verbs(), ", ")
		if meant := closest(verb, verbs()); meant != "" && found {
			hint = fmt.Sprintf("write %q", meant+" "+path)
		}
		return routeKey{}, &mistake{verb, fmt.Sprintf("no verb %q", verb), hint}
	case !found || path == "":
		return routeKey{}, &mistake{"", "the path is missing", fmt.Sprintf("write %q", verb+" /")}
	case strings.ContainsAny(path, " \t"):
		return routeKey{}, &mistake{path, "a space in the path", `verb and path are parted by one space, and there are no others: "GET /pets/{id}"`}
	case path[0] != '/':
		return routeKey{}, &mistake{path, `the path must begin with "/"`, fmt.Sprintf("write %q", verb+" /"+path)}
	}
	r := routeKey{verb: verb}
	if path == "/" {
		return r, nil
	}
	if trimmed := strings.TrimRight(path, "/"); trimmed != path {
		return r, &mistake{path, `the path ends with "/"`, fmt.Sprintf("write %q; callers may add a slash", verb+" /"+strings.Trim(path, "/"))}
	}
	r.segments = strings.Split(path[1:], "/")
	for i, segment := range r.segments {
		name, bad := parseSegment(segment, i == len(r.segments)-1)
		if bad != nil {
			return r, bad
		}
		if name == "" {
			continue
		}
		if slices.Contains(r.params, name) {
			return r, &mistake{segment, fmt.Sprintf("the parameter %q stands twice in the path", name), "rename one"}
		}
		r.params = append(r.params, name)
	}
	return r, nil
}

// parseSegment checks one segment and returns its parameter's name, if it has one.
// AWS: "Amazon API Gateway important notes", characters of paths.
func parseSegment(s string, last bool) (name string, bad *mistake) {
	if s == "" {
		return "", &mistake{"//", "an empty segment", `write one "/"`}
	}
	if !strings.ContainsAny(s, "{}") {
		for _, r := range s {
			if r == '*' {
				return "", &mistake{s, `"*" isn't a wildcard here`, `write "{name}" for one segment and "{name+}" for the rest`}
			}
			if r >= 0x80 || !isBare(byte(r)) && !strings.ContainsRune(".,:", r) {
				return "", &mistake{s, fmt.Sprintf("%q can't be in a path", r), `segments are made of letters, digits and _-.,: or are one parameter "{name}"`}
			}
		}
		return "", nil
	}
	if s[0] != '{' || s[len(s)-1] != '}' || strings.ContainsAny(s[1:len(s)-1], "{}") {
		return "", &mistake{s, "a parameter takes a whole segment", `write it between slashes: "/{name}/"`}
	}
	name, greedy := strings.CutSuffix(s[1:len(s)-1], "+")
	if greedy && !last {
		return "", &mistake{s, "a greedy parameter can only be the last segment", fmt.Sprintf(`write "{%s}" for one segment`, name)}
	}
	for _, r := range name {
		if r >= 0x80 || !isBare(byte(r)) && r != '.' {
			return "", &mistake{s, fmt.Sprintf("%q can't be in the name of a parameter", r), "names are made of letters, digits and _-."}
		}
	}
	if name == "" {
		return "", &mistake{s, "the parameter has no name", `write "{name}", or "{name+}" for the rest of the path`}
	}
	return name, nil
}

// branch is a resource of the tree of routes, to find those that clash.
type branch struct {
	fixed  map[string]*branch
	param  *branch // {name}
	greedy *branch // {name+}

	segment string            // of a parameter, as its first route wrote it
	first   string            // that route's key
	told    bool              // that another name was used
	methods map[string]string // verb → route key
}

// names are two names for the parameter at one place.
type names struct{ here, other string }

// insert adds a route. If it clashes with one before, first is that one's key:
// same is true for the same route, else the names of a parameter differ.
func (b *branch) insert(r routeKey, key string) (first string, differ names, same bool) {
	for _, segment := range r.segments {
		if segment[0] != '{' {
			if b.fixed == nil {
				b.fixed = map[string]*branch{}
			}
			if b.fixed[segment] == nil {
				b.fixed[segment] = new(branch)
			}
			b = b.fixed[segment]
			continue
		}
		next := &b.param
		if strings.HasSuffix(segment, "+}") {
			next = &b.greedy
		}
		if *next == nil {
			*next = &branch{segment: segment, first: key}
		}
		b = *next
		if b.segment != segment && !b.told && first == "" {
			first, differ, b.told = b.first, names{segment, b.segment}, true
		}
	}
	if before, taken := b.methods[r.verb]; taken {
		return before, names{}, true
	}
	if b.methods == nil {
		b.methods = map[string]string{}
	}
	b.methods[r.verb] = key
	return first, differ, false
}
