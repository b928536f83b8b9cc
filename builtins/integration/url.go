package integration

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/uri"
)

// address is an integration's URL, taken apart for one route of one stage.
type address struct {
	origin string // scheme://host[:port], lower case: names the backend
	host   string // value of Host

	path  []piece // what the target's path is made of
	query []piece // the same of its query string; empty for none
	fixed string  // the whole target, if it has no parameter, else ""

	appends bool // the request's path follows the URL's: the route is $default

	// rest is the greedy parameter that ends both the route's path and the
	// URL's, "" for none.
	rest string
}

// piece is literal text or, if param isn't empty, a path parameter.
type piece struct {
	text   string
	param  string
	greedy bool // the parameter may hold "/"
}

// Characters of a URL besides letters, digits and escapes. RFC 3986, 3.3 and 3.4.
const (
	pathMarks  = "-._~!$&'()*+,;=:@/"
	queryMarks = pathMarks + "?"
	valueMarks = "-._~:/?#&=," // AWS: "Amazon API Gateway stage variables reference"
)

// parseURL takes text apart: the url of an integration, with {param} for path
// parameters of route, and for those that are mapped, and
// ${stageVariables.name} for variables of its stage.
func parseURL(text string, route *proxy.Route, mapped []string) (address, *config.KeyError) {
	if text == "" {
		return address{}, urlError("an integration of this type needs a url", `for example "http://127.0.0.1:9000/"`)
	}
	full, err := expand(text, route.Stage)
	if err != nil {
		return address{}, err
	}
	origin, host, rest, err := splitOrigin(full)
	if err != nil {
		return address{}, err
	}
	a := address{origin: origin, host: host}
	path, query, hasQuery := strings.Cut(rest, "?")
	if path == "" {
		path = "/"
	}
	// AWS: "Create HTTP proxy integrations for HTTP APIs", as it is for $default; messages of
	// WebSocket APIs, which have a route of that name too, have no path.
	if a.appends = route.Resource == config.DefaultName && route.Stage.API.Type == config.HTTPType; a.appends {
		path = strings.TrimSuffix(path, "/")
	}
	params := paramsOf(route.Resource)
	for _, name := range mapped {
		if !slices.ContainsFunc(params, func(p piece) bool { return p.param == name }) {
			params = append(params, piece{param: name})
		}
	}
	if a.path, err = pieces(path, "path", pathMarks, params); err != nil {
		return address{}, err
	}
	if a.query, err = pieces(query, "query string", queryMarks, params); err != nil {
		return address{}, err
	}
	if literalDots(a.path) {
		return address{}, urlError(`the path has a segment "." or ".."`, "write the path that it leads to")
	}
	if !a.appends && !hasParams(a.path) && !hasParams(a.query) {
		a.fixed = path
		if hasQuery && query != "" {
			a.fixed += "?" + query
		}
	}
	if a.appends {
		return a, nil
	}
	if last := a.path[len(a.path)-1]; last.greedy && strings.HasSuffix(route.Resource, "{"+last.param+"+}") {
		a.rest = last.param
	}
	return a, nil
}

func urlError(text, hint string) *config.KeyError {
	return &config.KeyError{Path: []string{"url"}, Text: text, Hint: hint}
}

// expand replaces the references to stage variables. AWS: "Using API Gateway
// stage variables", HTTP integration: host, path, query string, or all of what
// follows the scheme.
//
// Differs from AWS: a variable that the stage doesn't have is refused here
// instead of leaving a hole in the URL, because nobody means that.
func expand(text string, stage *proxy.Stage) (string, *config.KeyError) {
	var full strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		full.WriteString(before)
		if !found {
			return full.String(), nil
		}
		reference, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", urlError(`"${" without "}"`, "a stage variable is ${stageVariables.name}")
		}
		name, known := strings.CutPrefix(reference, "stageVariables.")
		if !known || name == "" {
			return "", urlError(fmt.Sprintf("${%s}: a url can refer to stage variables only", reference), "a stage variable is ${stageVariables.name}")
		}
		value, set := stage.Variables[name]
		if !set {
			return "", urlError(fmt.Sprintf("stage %q has no variable %q", stage.Name, name),
				listed("its variables", stage.Variables)+`; give it one under [api.x.stage.`+stage.Name+`.variables], or "" if nothing is meant`)
		}
		if i := foreign(value, valueMarks); i >= 0 {
			return "", urlError(fmt.Sprintf("stage %q: variable %q holds %q, which a url can't take", stage.Name, name, value[i:i+1]),
				"letters, digits and "+valueMarks)
		}
		full.WriteString(value)
		text = after
	}
}

// splitOrigin cuts scheme and authority off text and checks them. What is wrong
// isn't quoted, because variables may come from where secrets are.
func splitOrigin(text string) (origin, host, rest string, err *config.KeyError) {
	scheme, after, found := strings.Cut(text, "://")
	scheme = strings.ToLower(scheme)
	if !found || strings.ContainsAny(scheme, "/?{") {
		return "", "", "", urlError("the url isn't absolute", `begin it with "http://" or "https://"`)
	}
	if scheme != "http" && scheme != "https" {
		hint := "http or https"
		if scheme == "ws" || scheme == "wss" {
			hint = `write "http` + scheme[2:] + `": a WebSocket begins as an HTTP request, and passes with type = "http_proxy"`
		}
		return "", "", "", urlError(fmt.Sprintf("the scheme %q isn't supported", scheme), hint)
	}
	end := strings.IndexAny(after, "/?#")
	if end < 0 {
		end = len(after)
	}
	host, rest = strings.ToLower(after[:end]), after[end:]
	switch {
	case strings.ContainsAny(host, "{}"):
		return "", "", "", urlError("a path parameter can't choose the host", "use a stage variable: ${stageVariables.name}")
	case strings.Contains(host, "@"):
		return "", "", "", urlError("a url can't hold a user name or password", "let the backend check the caller's own Authorization header")
	case strings.Contains(rest, "#"):
		return "", "", "", urlError(`a url can't hold a fragment ("#…")`, "no client ever sends one to a server; write %23 for the character")
	}
	parsed, parseErr := url.Parse(scheme + "://" + host)
	if parseErr != nil || parsed.Hostname() == "" || foreign(strings.Trim(parsed.Hostname(), "[]"), "-._:") >= 0 {
		return "", "", "", urlError("the url has no host, or none that can be one", `a host is a name or an address and perhaps ":port": "backend.internal:8080", "[::1]:9000"`)
	}
	if port := parsed.Port(); port != "" {
		if n, numErr := strconv.Atoi(port); numErr != nil || n < 1 || n > 65535 {
			return "", "", "", urlError(fmt.Sprintf("%q isn't a port", port), "ports are 1 to 65535")
		}
	} else if strings.HasSuffix(host, ":") {
		return "", "", "", urlError(`":" without a port`, "ports are 1 to 65535")
	}
	origin = scheme + "://" + host
	// RFC 9110, 4.2.1 and 4.2.2: the scheme's own port is left out.
	if port := parsed.Port(); scheme == "http" && port == "80" || scheme == "https" && port == "443" {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return origin, host, rest, nil
}

// pieces takes the path or query string of a URL apart.
func pieces(text, what, marks string, params []piece) ([]piece, *config.KeyError) {
	var all []piece
	for text != "" {
		literal, rest, found := strings.Cut(text, "{")
		if i := foreign(literal, marks); i >= 0 {
			return nil, urlError(fmt.Sprintf("the %s holds %q", what, literal[i:i+1]), fmt.Sprintf("write %%%02X for it", literal[i]))
		}
		if literal != "" {
			all = append(all, piece{text: literal})
		}
		if !found {
			break
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return nil, urlError(`"{" without "}"`, "a path parameter is {name}")
		}
		i := slices.IndexFunc(params, func(p piece) bool { return p.param == name })
		if i < 0 {
			hint := listed("the route's parameters", paramNames(params))
			if cut := strings.TrimSuffix(name, "+"); slices.ContainsFunc(params, func(p piece) bool { return p.param == cut }) {
				hint = fmt.Sprintf("write {%s}: the \"+\" stands in the route's path only", cut)
			}
			return nil, urlError(fmt.Sprintf("the route has no path parameter %q", name), hint)
		}
		all = append(all, params[i])
		text = after
	}
	return all, nil
}

// foreign returns the index of the first byte of text that is neither a letter,
// a digit, an escape nor one of marks; -1 for none.
func foreign(text, marks string) int {
	for i := 0; i < len(text); i++ {
		c := text[i]
		_, escape := uri.Unescape(text, i)
		switch {
		case 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9', strings.IndexByte(marks, c) >= 0:
		case escape && marks != valueMarks:
			i += 2
		default:
			return i
		}
	}
	return -1
}

// paramsOf returns the parameters of a resource's path, as /pets/{id}/{rest+}.
func paramsOf(resource string) []piece {
	var all []piece
	for segment := range strings.SplitSeq(resource, "/") {
		if name, found := strings.CutPrefix(segment, "{"); found {
			name, greedy := strings.CutSuffix(strings.TrimSuffix(name, "}"), "+")
			all = append(all, piece{param: name, greedy: greedy})
		}
	}
	return all
}

func paramNames(params []piece) map[string]string {
	names := map[string]string{}
	for _, p := range params {
		names["{"+p.param+"}"] = ""
	}
	return names
}

func hasParams(all []piece) bool {
	return slices.ContainsFunc(all, func(p piece) bool { return p.param != "" })
}

// literalDots reports whether the literal parts of a path have a dot segment.
func literalDots(all []piece) bool {
	var text []byte
	for _, p := range all {
		if p.param != "" {
			text = append(text, 'x')
		}
		text = append(text, p.text...)
	}
	return uri.HasDotSegment(text)
}

// listed is a hint that names what there is.
func listed[V any](what string, there map[string]V) string {
	if len(there) == 0 {
		return what + ": none"
	}
	return what + ": " + strings.Join(sortedKeys(there), ", ")
}

// Endpoint takes apart the URL of somebody whom the gateway itself asks on a route of
// a stage: origin names the backend, host is the value of Host, and target the path and
// query string. It may have stage variables, but no path parameters.
func Endpoint(text string, route *proxy.Route) (origin, host, target string, err error) {
	a, wrong := parseURL(text, route, nil)
	if wrong != nil {
		return "", "", "", wrong
	}
	if a.fixed == "" {
		return "", "", "", urlError("this URL can't have path parameters", "the event has them")
	}
	return a.origin, a.host, a.fixed, nil
}
