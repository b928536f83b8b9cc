package snapshot

import (
	"errors"
	"fmt"
	"strings"

	"github.com/postern-gateway/postern/proxy"
)

// maxSegments is how deep a resource may lie. It bounds the recursion of a
// search; AWS's limit of 300 resources keeps its trees far below.
const maxSegments = 256

// routeKey is a parsed key: "GET /pets/{id}".
type routeKey struct {
	verb     verb // noVerb for ANY
	word     string
	path     string
	segments []segment // none for the root
}

// segment is one part of a resource's path.
type segment struct {
	kind segmentKind
	text string // decoded literal, or the parameter's name
}

type segmentKind uint8

const (
	literalSegment segmentKind = iota
	paramSegment
	greedySegment
)

// keyError is a wrong route key with what to do about it.
type keyError struct{ text, hint string }

func (e *keyError) Error() string { return e.text }

func wrongKey(hint, format string, args ...any) error {
	return &keyError{fmt.Sprintf(format, args...), hint}
}

// parseRouteKey reads a route key. AWS: "Amazon API Gateway important notes",
// and CreateResource about path parts. Literals may hold every character that
// RFC 3986, 3.3 allows in a segment, more than AWS takes.
func parseRouteKey(key string) (routeKey, error) {
	word, path, found := strings.Cut(key, " ")
	if !found || !strings.HasPrefix(path, "/") {
		return routeKey{}, wrongKey(`write it as "GET /path" or "ANY /path"`, "a route key is a verb, one space and a path")
	}
	k := routeKey{verb: verbOf(word), word: word, path: path}
	if k.verb == noVerb && word != anyVerb {
		return k, wrongKey("use DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT or ANY", "no verb %q", word)
	}
	if path == "/" {
		return k, nil
	}
	if strings.HasSuffix(path, "/") {
		return k, wrongKey(fmt.Sprintf("write %q; requests match with and without the slash", word+" "+strings.TrimRight(path, "/")),
			"a slash at the end of the path")
	}
	parts := strings.Split(path[1:], "/")
	if len(parts) > maxSegments {
		return k, wrongKey("", "%d segments; at most %d", len(parts), maxSegments)
	}
	names := map[string]bool{}
	for i, part := range parts {
		seg, err := parseSegment(part)
		if err != nil {
			return k, err
		}
		if seg.kind == greedySegment && i < len(parts)-1 {
			return k, wrongKey("end the path with it", "%s takes the rest of the path, so nothing can follow it", part)
		}
		if seg.kind != literalSegment {
			if names[seg.text] {
				return k, wrongKey("", "two parameters called %q", seg.text)
			}
			names[seg.text] = true
		}
		k.segments = append(k.segments, seg)
	}
	return k, nil
}

func parseSegment(part string) (segment, error) {
	switch {
	case part == "":
		return segment{}, wrongKey("", "an empty segment (two slashes in a row)")
	case part == "*" || part == "**":
		return segment{}, wrongKey("a greedy parameter takes the rest of the path: {proxy+}", "no wildcard %q", part)
	case part[0] == '{' && part[len(part)-1] == '}':
		return parseParam(part)
	case strings.ContainsAny(part, "{}"):
		return segment{}, wrongKey("make it a segment of its own, as in /pets/{id}", "a parameter takes a whole segment, not a part of %q", part)
	}
	return parseLiteral(part)
}

func parseParam(part string) (segment, error) {
	name, greedy := strings.CutSuffix(part[1:len(part)-1], "+")
	if name == "" {
		return segment{}, wrongKey("", "%s has no name", part)
	}
	for i := 0; i < len(name); i++ {
		if !alphanumeric(name[i]) && !strings.ContainsRune("_-.:$", rune(name[i])) {
			return segment{}, wrongKey("use letters, digits, '_', '-', '.', ':' and '$'", "the character %q in parameter %s", name[i], part)
		}
	}
	if greedy {
		return segment{greedySegment, name}, nil
	}
	return segment{paramSegment, name}, nil
}

func parseLiteral(part string) (segment, error) {
	for i := 0; i < len(part); i++ {
		if c := part[i]; !alphanumeric(c) && !strings.ContainsRune("-._~!$&'()*+,;=:@%", rune(c)) {
			return segment{}, wrongKey("write it percent-encoded", "the character %q in segment %q", c, part)
		}
	}
	view, why := checkPath("/" + part)
	if why != acceptable {
		return segment{}, wrongKey("", "no request may have the segment %q: %s", part, strings.TrimPrefix(why.Error(), "path: "))
	}
	if view.separators {
		return segment{}, wrongKey("use a parameter", "an encoded '/', '\\' or ';' in segment %q", part)
	}
	var buf [longestDecode]byte
	text, short := decodeInto(&buf, part)
	if !short {
		return segment{}, wrongKey("", "a segment of more than %d characters", longestDecode)
	}
	return segment{literalSegment, strings.Clone(text)}, nil
}

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// insert puts r into the tree below root. It changes nothing when it fails.
func insert(root *node, k routeKey, r *proxy.Route) error {
	// Look first, so that a refused route leaves no node behind.
	at := root
	for _, seg := range k.segments {
		if at == nil {
			break
		}
		if other := at.otherName(seg); other != nil && r.Names == nil {
			return wrongKey(fmt.Sprintf("call both parameters %q", other.name),
				"{%s} stands where the route for %s has {%s}; AWS has one name for each place", seg.text, other.path, other.name)
		}
		at = at.child(seg)
	}
	if at != nil && at.taken(k) {
		return errors.New("the same verb and path as another route")
	}
	for _, seg := range k.segments {
		root = root.grow(seg, k.path)
	}
	if k.verb == noVerb {
		root.all = r
	} else {
		root.routes[k.verb] = r
	}
	return nil
}

// otherName returns n's parameter child that seg would clash with, or nil.
func (n *node) otherName(seg segment) *node {
	child := n.param
	if seg.kind == greedySegment {
		child = n.greedy
	}
	if seg.kind == literalSegment || child == nil || child.name == seg.text {
		return nil
	}
	return child
}

// child returns n's child for seg, or nil.
func (n *node) child(seg segment) *node {
	switch seg.kind {
	case paramSegment:
		return n.param
	case greedySegment:
		return n.greedy
	}
	return n.literals.find(seg.text)
}

// grow returns n's child for seg and makes it for the resource path if need be.
func (n *node) grow(seg segment, path string) *node {
	var child *node
	switch seg.kind {
	case literalSegment:
		child = n.literals.add(seg.text)
	case paramSegment:
		if n.param == nil {
			n.param = new(node)
		}
		child = n.param
	case greedySegment:
		if n.greedy == nil {
			n.greedy = new(node)
		}
		child = n.greedy
	}
	if child.path == "" {
		child.path = path
		if seg.kind != literalSegment {
			child.name = seg.text
		}
	}
	return child
}

func (n *node) taken(k routeKey) bool {
	if k.verb == noVerb {
		return n.all != nil
	}
	return n.routes[k.verb] != nil
}
