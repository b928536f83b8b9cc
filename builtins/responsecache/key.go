package responsecache

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"github.com/postern-gateway/postern/builtins/mapping"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// keys make the keys of a route's answers. Each part of a key has its length before it,
// so that no two requests have the same one by shifting bytes from part to part.
type keys struct {
	scope  string
	target bool // all of path and query
	parts  []mapping.Source
	path   []bool // of parts: it is a path parameter
	body   bool   // a part comes from the content
	accept bool   // the mapping goes by Accept
	// issued are the parts that somebody gave to callers, such as names. Somebody else may
	// give the same one to somebody else, and another authorizer may have it, of a route
	// with the same namespace.
	issued     []mapping.Variable
	authorizer string
}

// newKeys compiles the keys of a route.
func newKeys(b proxy.Build, o proxy.Options, wrong *[]error) keys {
	in := &o.Route.Integration
	namespace := in.CacheNamespace
	if namespace == "" {
		namespace = b.Route.ResourceID
	}
	k := keys{scope: scopeOf(b, o, "stage", namespace), target: in.CacheKeyParameters == nil, accept: goesByAccept(o, b.Route.Stage.API.Name)}
	for i, text := range in.CacheKeyParameters {
		at := []string{"route", b.Route.Key, "integration", "cache_key_parameters", strconv.Itoa(i)}
		source, err := parseKey(text, b, o)
		if err != nil {
			*wrong = append(*wrong, &config.KeyError{Path: at, Text: err.Text, Hint: err.Hint})
			continue
		}
		_, path := source.PathParam()
		k.parts, k.path = append(k.parts, source), append(k.path, path)
		k.body = k.body || source.NeedsBody()
	}
	return k
}

// parseKey reads what a key is made of. All values of a header or of a query parameter
// count: a backend may take another one of several than the key would.
func parseKey(text string, b proxy.Build, o proxy.Options) (mapping.Source, *config.KeyError) {
	if strings.HasPrefix(text, "integration.request.") {
		from, mapped := o.Route.Integration.Parameters[text]
		if !mapped {
			return mapping.Source{}, &config.KeyError{Text: fmt.Sprintf("nothing is mapped to %q", text), Hint: "map it under parameters of the integration"}
		}
		text = from
	}
	if name, found := strings.CutPrefix(text, "method.request.querystring."); found {
		text = "method.request.multivaluequerystring." + name
	}
	if name, found := strings.CutPrefix(text, "method.request.header."); found {
		text = "method.request.multivalueheader." + name
	}
	return mapping.ParseSource(text, mapping.Request, b.Route)
}

// goesByAccept reports whether what a route answers depends on the client's Accept.
func goesByAccept(o proxy.Options, api string) bool {
	if len(o.Config.API[api].BinaryMediaTypes) > 0 {
		return true
	}
	for _, r := range o.Route.Response {
		if len(r.Template) > 1 {
			return true
		}
	}
	return false
}

// scopeKey is under which the routes of a stage share what their keys begin with. Its canary
// is another stage: one with variables of its own.
type scopeKey struct{ stage *proxy.Stage }

// scopeOf returns what the keys of all answers in a namespace begin with. Stages have
// answers of their own, and so has everything that answers may depend on as it is
// deployed.
func scopeOf(b proxy.Build, o proxy.Options, mode, namespace string) string {
	stage := b.Route.Stage
	deployed := b.Shared(scopeKey{stage}, func() any {
		definition, err := o.Config.Definition(stage.API.Name)
		if err != nil {
			definition = nil // somebody else has reported the file
		}
		text, err := json.Marshal([]any{stage.API.Name, stage.API.ID, stage.Name, stage.Deployment, stage.Variables, definition})
		if err != nil {
			panic(err) // it comes from a file
		}
		return sha256.Sum256(text)
	}).([sha256.Size]byte)
	sum := sha256.Sum256(append(deployed[:], mode+"\x00"+namespace...))
	return string(sum[:])
}

// text returns b as a string, which is valid until b is written to.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// append appends the key of ex to dst.
func (k *keys) append(dst []byte, ex *proxy.Exchange, generation uint64) ([]byte, error) {
	dst = append(dst, k.scope...)
	dst = binary.LittleEndian.AppendUint64(dst, generation)
	dst = appendPart(dst, ex.Method)
	// What a filter wants the backend to get instead.
	dst = appendPart(appendPart(dst, ex.Rewrite.Method), ex.Rewrite.Path)
	if k.accept {
		dst = appendValues(dst, ex.In.Fields, "Accept")
	}
	if k.target {
		dst = appendPart(dst, ex.Path)
		if ex.In.HasQuery {
			dst = appendPart(dst, ex.In.RawQuery)
		}
	}
	document := mapping.Document{Content: ex.In.Content}
	for i := range k.parts {
		at := len(dst)
		dst = append(dst, 0, 0, 0, 0)
		var err error
		if k.path[i] {
			dst, _, err = k.parts[i].AppendPath(dst, ex, &document)
		} else {
			dst, err = k.parts[i].AppendQuery(dst, "", ex, &document)
		}
		if err != nil {
			return dst, proxy.Fault{Kind: proxy.BadRequestBody, Cause: fmt.Errorf("cache key: %w", err)}
		}
		binary.LittleEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	}
	for i := range k.issued {
		if i == 0 {
			dst = appendPart(dst, k.authorizer)
		}
		at := len(dst)
		dst = k.issued[i].AppendIssuer(append(dst, 0, 0, 0, 0), ex)
		binary.LittleEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	}
	return dst, nil
}

func appendPart(dst []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint32(dst, uint32(len(s))), s...)
}

// appendValues appends all values that a request has for a field.
func appendValues(dst []byte, fields http1.Fields, name string) []byte {
	at := len(dst)
	dst = append(dst, 0)
	for i := range fields {
		if f := &fields[i]; len(f.Name) == len(name) && strings.EqualFold(f.Name, name) {
			dst[at]++
			dst = appendPart(dst, f.Value)
		}
	}
	return dst
}

// appendVary appends what tells a request from others with the same key: its values of the
// fields that are named. RFC 9111, 4.1.
func appendVary(dst []byte, vary []string, fields http1.Fields) []byte {
	dst = append(dst, "vary"...)
	for _, name := range vary {
		dst = appendPart(dst, name)
		dst = appendValues(dst, fields, name)
	}
	return dst
}

// varyOf returns the names of the fields by which an answer was chosen; any is an answer that
// no other request gets. Content that is coded was chosen by Accept-Encoding, and leave for
// one origin by Origin, whether the backend says so or not.
func varyOf(fields http1.Fields) (names []string, any bool) {
	for i := range fields {
		f := &fields[i]
		switch {
		case f.Known() == http1.ContentEncoding:
			names = addName(names, "accept-encoding")
		case strings.EqualFold(f.Name, "Access-Control-Allow-Origin") && f.Value != "*":
			names = addName(names, "origin")
		}
		if len(f.Name) != len("Vary") || !strings.EqualFold(f.Name, "Vary") {
			continue
		}
		for name := range strings.SplitSeq(f.Value, ",") {
			name = strings.ToLower(strings.Trim(name, " \t"))
			if name == "*" {
				return nil, true
			}
			if name != "" {
				names = addName(names, name)
			}
		}
	}
	return names, false
}

// addName appends name, unless it is there, in memory of its own.
func addName(names []string, name string) []string {
	if slices.Contains(names, name) {
		return names
	}
	return append(names, strings.Clone(name))
}
