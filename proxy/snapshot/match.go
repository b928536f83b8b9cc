package snapshot

import (
	"strings"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// Match finds the route of ex.In and fills the matcher's part of ex: Route,
// Domain, Path, FullPath, Method and Params. When no route takes the request it
// returns false and why: BadRequest for a request that is refused before
// routing (see checkPath), UnknownAPI for a host that nothing answers to,
// Forbidden for an unknown stage or base path, or for a client without the
// certificate that the domain asks for or from around a CDN, Misdirected when the
// connection was opened for another name than such a domain's, UnknownAPI again for
// a private endpoint from elsewhere, MissingAuthenticationToken when no
// resource has the path and the verb. HTTP APIs have ResourceNotFound for an unknown stage
// and for no route. ex.Route is nil then, and ex.Stage is
// set if host and path led to one.
//
// The resource is the most specific one that has the verb: {param} needs one
// segment that isn't empty, {param+} at least one; an explicit verb beats ANY
// on its resource, and HEAD isn't answered by GET. One slash at the path's end
// changes nothing but Path; slashes doubled at its start count as one in Path.
// The field X-HTTP-Method-Override replaces the verb, in any case of letters, but in HTTP
// APIs; what isn't one of the seven is refused, since a backend could obey it.
// /ping and /sping, which AWS keeps for itself, are paths like any other.
//
// Match does not allocate once ex.Params has grown. Safe for concurrent use.
func (s *Snapshot) Match(ex *proxy.Exchange) (f proxy.Fault, ok bool) {
	in := &ex.In
	ex.Stage, ex.Route, ex.Params, ex.PlainPath, ex.HTTP = nil, nil, ex.Params[:0], "", false
	ex.Path, ex.FullPath, ex.Method = in.Path, in.Path, in.Method
	ex.Domain = proxy.Domain{Name: strings.TrimSuffix(in.Host, ".")} // RFC 3986, 3.2.2: the root's dot

	h := s.hosts.find(ex.Domain.Name)
	if h == nil && in.Private {
		h = s.hosts.named(in)
	}
	if h == nil {
		return proxy.Fault{Kind: proxy.UnknownAPI}, false
	}
	if h.door != nil {
		if f, ok := h.door.admit(in); !ok {
			return f, false
		}
	}
	ex.Domain.Default, ex.HTTP = h.isDefault, h.http
	ex.Domain.Prefix, _, _ = strings.Cut(ex.Domain.Name, ".")
	if h.manners != nil {
		if f, ok := h.manners.admit(ex); !ok {
			return f, false
		}
	}
	if h.clients != nil {
		if f, ok := h.clients.admit(ex); !ok {
			return f, false
		}
	}
	if why := override(ex); why != acceptable {
		return refuse(why), false
	}
	if !strings.HasPrefix(in.Path, "/") {
		if in.Path == "*" { // OPTIONS *: RFC 9110, 9.3.7
			return proxy.Fault{Kind: proxy.MissingAuthenticationToken}, false
		}
		return refuse(pathIsNoPath), false
	}
	view, why := checkPath(in.Path)
	if why != acceptable {
		return refuse(why), false
	}
	if !goodQuery(in.RawQuery) {
		return refuse(badQuery), false
	}

	st, basePath, rest := h.mapped(in.Path, view.escaped)
	if st == nil {
		return h.nowhere(), false
	}
	if st.door != nil {
		if f, ok := st.door.admit(in); !ok {
			return f, false
		}
	}
	ex.Domain.BasePath = basePath
	if view.ambiguous && st.ambiguous != config.PassAmbiguous {
		plain := ex.Text.Finish(plainPath(ex.Text.Begin(), in.Path))
		if other, base, _ := h.mapped(plain, view.escaped); other != st || base != basePath {
			return refuse(twoRoutes), false
		}
	}
	f, ok = st.enter(ex, rest, view)
	if ok && st.shadow != nil {
		st.shadow.mirror.Begin(ex, st.shadow)
	}
	return f, ok
}

// enter finds the route of the path rest in the stage or its canary.
func (st *stage) enter(ex *proxy.Exchange, rest string, view pathView) (f proxy.Fault, ok bool) {
	if st.canary != nil && st.canary.drawn() {
		st = st.canary.stage
	}
	ex.Stage, ex.HTTP = st.stage, st.http
	if st.http { // where nothing overrides the verb
		ex.Method = ex.In.Method
	}
	ex.Path = oneLeadingSlash(rest)
	if view.separators && !st.allowEncodedSlash {
		return refuse(encodedSlash), false
	}
	ex.Route = st.route(ex, view.escaped)
	if view.ambiguous && st.ambiguous != config.PassAmbiguous && ex.Route != nil {
		if why := st.weigh(ex, view.escaped); why != acceptable {
			ex.Route, ex.Params = nil, ex.Params[:0]
			return refuse(why), false
		}
	}
	if st.preflights && ex.Method == "OPTIONS" {
		ex.Route = st.preflight(ex, view.escaped, ex.Route)
	}
	if ex.Route == nil {
		return st.unrouted(), false
	}
	return proxy.Fault{}, true
}

// weigh judges a path that some backends read as another one: whoever may call one may
// not call the other by that. What else judges paths finds the other reading in
// ex.PlainPath.
func (st *stage) weigh(ex *proxy.Exchange, escaped bool) refusal {
	plain := ex.Text.Finish(plainPath(ex.Text.Begin(), ex.Path))
	switch {
	case plain == ex.Path || strings.Contains(ex.Route.Resource, ";"): // the route itself says how to read it
		return acceptable
	case st.ambiguous == config.RefuseAmbiguous:
		return ambiguousPath
	}
	path := ex.Path
	ex.Path, ex.Params = plain, ex.Params[:0]
	other := st.route(ex, escaped)
	ex.Path, ex.Params = path, ex.Params[:0]
	if st.route(ex, escaped) != other {
		return twoRoutes
	}
	ex.PlainPath = plain
	return acceptable
}

// nowhere is the fault of a request to h that leads to no stage.
func (h *host) nowhere() proxy.Fault {
	if h.http {
		return proxy.Fault{Kind: proxy.ResourceNotFound}
	}
	return proxy.Fault{Kind: proxy.Forbidden}
}

// unrouted is the fault of a request that no route of st takes.
func (st *stage) unrouted() proxy.Fault {
	if st.http {
		return proxy.Fault{Kind: proxy.ResourceNotFound}
	}
	return proxy.Fault{Kind: proxy.MissingAuthenticationToken}
}

// override makes X-HTTP-Method-Override the verb. AWS: "Amazon API Gateway
// important notes".
func override(ex *proxy.Exchange) refusal {
	seen := false
	for i := range ex.In.Fields {
		if ex.In.Fields[i].Known() != http1.XHTTPMethodOverride {
			continue
		}
		value := ex.In.Fields[i].Value
		v := verb(0)
		for v < verbCount && !strings.EqualFold(v.String(), value) {
			v++
		}
		if seen || v == noVerb {
			return badOverride
		}
		seen, ex.Method = true, v.String()
	}
	return acceptable
}

// oneLeadingSlash returns rest, which is empty or starts with a slash, with
// exactly one slash in front. AWS, recorded: "//proxy-value" after the stage is
// the path "/proxy-value".
func oneLeadingSlash(rest string) string {
	for len(rest) > 1 && rest[1] == '/' {
		rest = rest[1:]
	}
	if rest == "" {
		return "/"
	}
	return rest
}

// route returns the route for ex.Path and ex.Method and fills ex.Params.
func (st *stage) route(ex *proxy.Exchange, escaped bool) *proxy.Route {
	if st.http {
		return st.httpRoute(ex, escaped)
	}
	v := verbOf(ex.Method)
	if v == noVerb {
		return nil
	}
	path := ex.Path[1:]
	if path == "" {
		return st.root.routes[v]
	}
	path = strings.TrimSuffix(path, "/")
	look := search{path: path, escaped: escaped, verb: v, params: ex.Params}
	r := look.from(st.root, 0)
	ex.Params = look.params
	if r == nil {
		ex.Params = ex.Params[:0]
	}
	return r
}
