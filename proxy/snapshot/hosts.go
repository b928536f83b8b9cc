package snapshot

import (
	"strings"

	"github.com/postern-gateway/postern/proxy"
)

// stage is one stage of one API, ready to be searched.
type stage struct {
	stage             *proxy.Stage
	root              *node
	http              bool         // it is of an HTTP API
	fallback          *proxy.Route // $default of an HTTP API; nil for none
	allowEncodedSlash bool
	ambiguous         string       // what becomes of paths that have two readings
	preflights        bool         // some route, or nowhere, answers preflights of CORS
	nowhere           *proxy.Route // answers preflights for what no route takes; nil for nobody
	door              *door        // nil: it is open to all
	mirror            proxy.Mirror // copies its requests; nil for nobody
	shadow            *shadow      // where copies go; nil for nowhere
	canary            *canary      // what a share of the requests run instead; nil for nothing
	other             *stage       // the canary's side, also when nobody comes to it; nil for none
	origin            origin
}

// host is what a host name answers.
type host struct {
	isDefault bool
	// Of the default host {api}.<suffix>, where the path's first segment names
	// the stage.
	stages   table[stageEntry]
	fallback *stage // whose name isn't in paths: $default; nil for none
	http     bool   // it is for HTTP APIs alone
	// Of a custom domain.
	mappings mapping
	clients  *Clients // nil: they aren't asked for certificates
	manners  *manners // nil: requests come as they like
	door     *door    // nil: from wherever they like; stages have their APIs'
	policy   string   // of TLS; "" for the listener's
}

type stageEntry struct{ stage *stage }

// mapping is a step in the tree of a domain's base paths.
type mapping struct {
	longer   table[mapping]
	stage    *stage // nil when no base path ends here
	basePath string // without slashes at its ends, "" for "/"
}

// hosts finds hosts. A custom domain beats a wildcard domain, and either beats
// a default host, because the operator wrote it down.
type hosts struct {
	suffix   string           // of default hosts
	exact    map[string]*host // custom domains, and default hosts that no domain hides
	wildcard map[string]*host // "*.example.com" by "example.com"
}

// find returns what name answers, or nil. name is in lower case without port.
func (h *hosts) find(name string) *host {
	if found := h.exact[name]; found != nil {
		return found
	}
	if len(h.wildcard) == 0 {
		return nil
	}
	label, parent, _ := strings.Cut(name, ".")
	if label == "" || label == "*" {
		return nil
	}
	return h.wildcard[parent]
}

// named returns the default host of the API whose name is in X-Apigw-Api-Id, by which
// those who come by a private listener can call it under whatever host they know; nil
// for none. AWS: "Invoke a private API".
func (h *hosts) named(in *proxy.Request) *host {
	api := in.Fields.Get("x-apigw-api-id")
	if api == "" {
		return nil
	}
	if found := h.exact[strings.ToLower(api)+"."+h.suffix]; found != nil && found.isDefault && found.door != nil {
		return found
	}
	return nil
}

// mapped finds whom path belongs to, and the rest of it: "" or from the slash
// on. Base paths and stages compare by whole segments. AWS: "Working with API
// mappings": the longest base path wins, and only base paths decide.
func (h *host) mapped(path string, escaped bool) (s *stage, basePath, rest string) {
	if h.isDefault {
		end := segmentEnd(path, 1)
		if found := lookUp(&h.stages, path[1:end], escaped); found != nil {
			return found.stage, "", path[end:]
		}
		return h.fallback, "", path
	}
	best, rest := &h.mappings, path
	for m, at := best, 1; at <= len(path); {
		end := segmentEnd(path, at)
		if m = lookUp(&m.longer, path[at:end], escaped); m == nil {
			break
		}
		if m.stage != nil {
			best, rest = m, path[end:]
		}
		at = end + 1
	}
	return best.stage, best.basePath, rest
}

func lookUp[T any](t *table[T], segment string, escaped bool) *T {
	if escaped {
		return t.findEscaped(segment)
	}
	return t.find(segment)
}

// segmentEnd returns where the segment of path that starts at at ends.
func segmentEnd(path string, at int) int {
	if n := strings.IndexByte(path[at:], '/'); n >= 0 {
		return at + n
	}
	return len(path)
}
