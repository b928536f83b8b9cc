package snapshot

import (
	"strings"

	"github.com/postern-gateway/postern/proxy"
)

// node is a resource, or a step on the way to one. The nodes of one stage form
// a tree, so a search meets each of them at most once, whatever the path is.
type node struct {
	literals table[node]
	param    *node // {name}
	greedy   *node // {name+}; has no children

	name   string                  // of the parameter that leads here
	path   string                  // of the first route that made it, for findings
	routes [verbCount]*proxy.Route // ANY is already spread over the verbs
	all    *proxy.Route            // of ANY
	reach  uint8                   // bit per verb: answered here or further down
}

// seal spreads ANY and works out reach, once all routes are in.
func (n *node) seal() {
	n.reach = 0
	for v := range n.routes {
		if n.routes[v] == nil {
			n.routes[v] = n.all // an explicit verb beats ANY on the same resource
		}
		if n.routes[v] != nil {
			n.reach |= 1 << v
		}
	}
	n.literals.each(func(child *node) {
		child.seal()
		n.reach |= child.reach
	})
	for _, child := range []*node{n.param, n.greedy} {
		if child != nil {
			child.seal()
			n.reach |= child.reach
		}
	}
}

// search looks for the route of one request.
type search struct {
	path    string // without the first slash and one slash at the end
	escaped bool
	verb    verb
	params  []proxy.Param // of the way so far
}

// from returns the best route below n for the path from offset at on, which is
// where a segment starts, or len(path)+1 when none is left.
//
// A literal is better than {param}, which is better than {param+}, and the
// first segment in which two resources differ decides. A resource without the
// verb is as if it weren't there. AWS, recorded: a verb that the literal
// resource lacks falls through to its greedy sibling.
func (s *search) from(n *node, at int) *proxy.Route {
	for n.reach&(1<<s.verb) != 0 {
		if at > len(s.path) {
			return n.routes[s.verb]
		}
		end := strings.IndexByte(s.path[at:], '/')
		if end < 0 {
			end = len(s.path)
		} else {
			end += at
		}
		segment := s.path[at:end]
		var next *node
		if s.escaped {
			next = n.literals.findEscaped(segment)
		} else {
			next = n.literals.find(segment)
		}
		if next != nil {
			if n.param == nil && n.greedy == nil {
				n, at = next, end+1
				continue
			}
			mark := len(s.params)
			if r := s.from(next, end+1); r != nil {
				return r
			}
			s.params = s.params[:mark]
		}
		if n.param != nil && segment != "" {
			mark := len(s.params)
			s.params = append(s.params, proxy.Param{Name: n.param.name, Value: segment})
			if n.greedy == nil {
				n, at = n.param, end+1
				continue
			}
			if r := s.from(n.param, end+1); r != nil {
				return r
			}
			s.params = s.params[:mark]
		}
		return s.rest(n.greedy, at)
	}
	return nil
}

// rest gives everything from offset at on to the greedy resource n.
func (s *search) rest(n *node, at int) *proxy.Route {
	if n == nil || at >= len(s.path) {
		return nil // it needs at least one segment
	}
	r := n.routes[s.verb]
	if r != nil {
		s.params = append(s.params, proxy.Param{Name: n.name, Value: s.path[at:]})
	}
	return r
}
