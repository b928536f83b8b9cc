package snapshot

import (
	"strings"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// parseHTTPRouteKey reads a route key of an HTTP API. AWS: "Create routes for HTTP APIs in
// API Gateway".
func parseHTTPRouteKey(key string) (routeKey, error) {
	if key == config.DefaultName {
		return routeKey{verb: noVerb, word: anyVerb, path: key}, nil
	}
	return parseRouteKey(key)
}

// httpSteps are the steps of an HTTP API's route: a REST API's method's without what looks
// into content. AWS: "Choose between REST APIs and HTTP APIs".
func httpSteps(c *compiler, st *stage, r *proxy.Route, configured *config.Route, at []string, parts []proxy.Steps) []proxy.Steps {
	return c.answering(r, configured, at, c.entrance(st, r, configured, at, parts))
}

// placeHTTP puts $default beside the tree: it is for what nothing in it takes.
func placeHTTP(st *stage, k routeKey, r *proxy.Route) error {
	if k.path == config.DefaultName {
		st.fallback = r
		return nil
	}
	r.Names = []string{} // which are the route's own: resources don't have any here
	for _, seg := range k.segments {
		if seg.kind != literalSegment {
			r.Names = append(r.Names, seg.text)
		}
	}
	return insert(st.root, k, r)
}

// httpRoute is route for the stages of HTTP APIs: a route that has the whole path comes
// before all greedy ones, of which the longest counts, and $default after all. AWS: "Create
// routes for HTTP APIs in API Gateway", "Route requests to APIs".
func (st *stage) httpRoute(ex *proxy.Exchange, escaped bool) *proxy.Route {
	v := verbOf(ex.Method)
	if v == noVerb {
		return nil
	}
	if path := ex.Path[1:]; path == "" {
		if r := st.root.routes[v]; r != nil {
			return r
		}
	} else {
		look := search{path: strings.TrimSuffix(path, "/"), escaped: escaped, verb: v, params: ex.Params}
		r := look.whole(st.root, 0)
		if r == nil {
			r, _ = look.longest(st.root, 0, 0)
		}
		ex.Params = look.params
		if r != nil {
			for i := range r.Names {
				ex.Params[i].Name = r.Names[i]
			}
			return r
		}
	}
	ex.Params = ex.Params[:0]
	return st.fallback
}

// whole is from without greedy resources.
func (s *search) whole(n *node, at int) *proxy.Route {
	if n.reach&(1<<s.verb) == 0 {
		return nil
	}
	if at > len(s.path) {
		return n.routes[s.verb]
	}
	end := segmentEnd(s.path, at)
	segment := s.path[at:end]
	if next := lookUp(&n.literals, segment, s.escaped); next != nil {
		mark := len(s.params)
		if r := s.whole(next, end+1); r != nil {
			return r
		}
		s.params = s.params[:mark]
	}
	if n.param == nil || segment == "" {
		return nil
	}
	mark := len(s.params)
	s.params = append(s.params, proxy.Param{Name: n.param.name, Value: segment})
	r := s.whole(n.param, end+1)
	if r == nil {
		s.params = s.params[:mark]
	}
	return r
}

// longest returns the greedy route below n, which is depth segments deep, that has the most
// segments in front of its parameter, and how many. Among equals a literal beats {param} in
// the first segment in which they differ.
func (s *search) longest(n *node, at, depth int) (best *proxy.Route, deep int) {
	if n.reach&(1<<s.verb) == 0 || at >= len(s.path) {
		return nil, 0
	}
	end := segmentEnd(s.path, at)
	segment := s.path[at:end]
	begin := len(s.params)
	if next := lookUp(&n.literals, segment, s.escaped); next != nil {
		best, deep = s.longest(next, end+1, depth+1)
	}
	if n.param != nil && segment != "" {
		mark := len(s.params) // what belongs to best stands before
		s.params = append(s.params, proxy.Param{Name: n.param.name, Value: segment})
		if r, d := s.longest(n.param, end+1, depth+1); r != nil && (best == nil || d > deep) {
			best, deep = r, d
			s.params = append(s.params[:begin], s.params[mark:]...)
		} else {
			s.params = s.params[:mark]
		}
	}
	if best == nil {
		best, deep = s.rest(n.greedy, at), depth
	}
	return best, deep
}
