package integration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/postern-gateway/postern/builtins/mapping"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// defaultTimeout is AWS's longest integration timeout.
const defaultTimeout = 29 * time.Second

// outgoing is what http and http_proxy share of the way to a backend.
type outgoing struct {
	address   address
	backend   proxy.Backend
	method    string // "" for the client's
	timeout   time.Duration
	content   time.Duration // for the answer's content; 0: the backend's
	forwarded bool
	apiID     string

	// What is mapped of the request; nil for nothing.
	mapped *mapped
	mapper *mapping.Mapper
	edits  *edits // the same in an HTTP API
}

// newOutgoing checks the integration's options. What is wrong is added to bad.
func newOutgoing(b proxy.Build, o proxy.Options, mapper *mapping.Mapper, bad *problems) *outgoing {
	in := o.Integration
	t := &outgoing{
		timeout:   time.Duration(in.Timeout),
		content:   time.Duration(in.ContentTimeout),
		forwarded: in.Forwarded != "off",
		apiID:     b.Route.Stage.API.ID,
	}
	if t.timeout <= 0 {
		t.timeout = defaultTimeout
	}
	if b.Route.Stage.API.Type == config.HTTPType {
		t.edits = newEdits(in.Parameters, mapping.Request, b.Route, bad, "parameters")
	} else if t.mapped = newMapped(b, in, newContent(b, in, bad), bad); t.mapped != nil {
		t.mapper = mapper
	}
	if in.Method != "ANY" {
		t.method = in.Method
	}
	if f := in.Forwarded; f != "" && f != "set" && f != "off" {
		bad.add(fmt.Sprintf("%q is neither set nor off", f), "", "forwarded")
	}
	var options *config.Backend
	if in.Backend != "" {
		if options = optionsOf(b, o.Config, in.Backend); options == nil {
			bad.add(fmt.Sprintf("no backend %q", in.Backend), listed("backends", o.Config.Backend), "backend")
			return t
		}
	}
	address, err := parseURL(in.URL, b.Route, t.mapped.pathNames())
	if err != nil {
		*bad = append(*bad, err)
		return t
	}
	t.address = address
	backend, backendErr := b.Backend(address.origin, options.Showing(b.Route.Stage.ClientCertificate))
	if backendErr != nil {
		var key *config.KeyError
		if errors.As(backendErr, &key) {
			*bad = append(*bad, backendErr)
			return t
		}
		bad.add(backendErr.Error(), "", "url")
	}
	t.backend = backend
	return t
}

// backendNamed is the key of what routes share of [backend.x].
type backendNamed struct{ name string }

// optionsOf returns [backend.x], the same for all routes, which saves the backends much
// work; nil if there is none.
func optionsOf(b proxy.Build, cfg *config.Config, name string) *config.Backend {
	read := func() any {
		named, found := cfg.Backend[name]
		if !found {
			return (*config.Backend)(nil)
		}
		return &named
	}
	var options any
	if b.Shared == nil {
		options = read()
	} else {
		options = b.Shared(backendNamed{name}, read)
	}
	found, _ := options.(*config.Backend)
	return found
}

// prepare fills what ex.Out has besides its fields. t is the template that was
// chosen for the content, and mem what is kept of the mapping; nil for none.
func (t *outgoing) prepare(ex *proxy.Exchange, passQuery bool) (chosen *mapping.Template, mem *mapping.Memory, err error) {
	m := t.mapped
	switch {
	case m == nil && t.edits == nil:
		return nil, nil, t.request(ex, passQuery, nil)
	case m == nil:
		return nil, nil, t.prepareEdits(ex)
	}
	mem = t.mapper.Memory(ex)
	var content []byte
	var whole bool
	if m.content != nil {
		if content, whole, chosen, err = m.mapContent(ex, mem); err != nil {
			return nil, nil, err
		}
	}
	v := values{path: mem.Path[:0]}
	err = m.mapRequest(ex, mem, &v)
	if mem.Path = v.path; err != nil {
		return nil, nil, err
	}
	if err = t.request(ex, passQuery, &v); err != nil || !whole {
		return chosen, mem, err
	}
	// AWS, recorded: what a template makes isn't sent with these.
	if chosen != nil && !typed(ex.Out.Method) {
		content = nil
	}
	ex.Out.Content, ex.Out.Body, ex.Out.Length = content, nil, int64(len(content))
	return chosen, mem, nil
}

// typed reports whether requests of this method have a Content-Type, and so
// content that was made by a template. AWS, recorded.
func typed(method string) bool { return method != "GET" && method != "HEAD" && method != "OPTIONS" }

// finish makes fields those of ex.Out, with what is mapped to them, and has the
// plugin run that stands for the template.
func (t *outgoing) finish(ctx context.Context, ex *proxy.Exchange, fields http1.Fields, chosen *mapping.Template, mem *mapping.Memory) (proxy.Verdict, error) {
	if t.mapped != nil {
		var err error
		if fields, err = t.mapped.mapHeaders(ex, mem, fields); err != nil {
			return proxy.Continue, err
		}
	}
	if t.edits != nil {
		var err error
		if fields, err = t.edits.requestHeaders(ex, fields); err != nil {
			return proxy.Continue, err
		}
	}
	ex.Out.Fields = fields
	if chosen != nil && chosen.Plugin != nil {
		return chosen.Plugin.Run(ctx, ex)
	}
	return proxy.Continue, nil
}

// request fills what ex.Out has besides its fields.
func (t *outgoing) request(ex *proxy.Exchange, passQuery bool, mapped *values) error {
	target, err := t.address.target(ex, passQuery, mapped)
	if err != nil {
		return err
	}
	out := &ex.Out
	out.Target, out.Host, out.Timeout, out.ContentTimeout = target, t.address.host, t.timeout, t.content
	out.Method = t.method
	if out.Method == "" {
		out.Method = ex.Method
	}
	if ex.Rewrite != (proxy.Rewrite{}) {
		rewrite(ex, mapped)
	}
	if ex.In.Whole {
		out.Content = ex.In.Content
	} else {
		out.Body, out.Length = ex.In.Body, ex.In.Length
	}
	if ex.Explain != nil {
		ex.Explain.Scheme, _, _ = strings.Cut(t.address.origin, "://")
	}
	return nil
}

// rewrite puts what a request filter wants in the place of the configured.
func rewrite(ex *proxy.Exchange, mapped *values) {
	out := &ex.Out
	query := ex.In.RawQuery
	if mapped != nil && mapped.filtered {
		query = mapped.client
	}
	if ex.Rewrite.Method != "" {
		out.Method = ex.Rewrite.Method
	}
	switch path := ex.Rewrite.Path; {
	case path == "":
	case ex.In.HasQuery:
		out.Target = ex.Text.Concat(path, "?", query)
	default:
		out.Target = path
	}
}

// appendOwn appends what the gateway itself has to say to a backend.
// The client's fields of these names have been dropped before.
func (t *outgoing) appendOwn(fields http1.Fields, ex *proxy.Exchange) http1.Fields {
	fields = http1.AppendKnown(fields, http1.XAmznAPIGatewayAPIID, t.apiID)
	fields = http1.AppendKnown(fields, http1.XAmznTraceID, ex.TraceID())
	fields = ex.AppendTrace(fields)
	if !t.forwarded {
		return fields
	}
	in := &ex.In
	client := ex.ClientAddress()
	if client != "" {
		chain := client
		if in.Hops != "" {
			chain = ex.Text.Concat(client, ", ", in.Hops)
		}
		fields = http1.AppendKnown(fields, http1.XForwardedFor, chain)
	}
	authority := authorityOf(ex)
	if authority != "" {
		fields = http1.AppendKnown(fields, http1.XForwardedHost, authority)
	}
	if port := in.Local.Port(); port != 0 {
		fields = http1.AppendKnown(fields, http1.XForwardedPort, portText(ex, port))
	}
	fields = http1.AppendKnown(fields, http1.XForwardedProto, in.Scheme)
	return http1.AppendKnown(fields, http1.Forwarded, forwardedElement(ex, client, authority))
}

// authorityOf returns host and port as the client named them; "" if it didn't.
func authorityOf(ex *proxy.Exchange) string {
	host, port := ex.In.Host, ex.In.Port
	literal := strings.IndexByte(host, ':') >= 0 // IPv6, its brackets taken off
	switch {
	case port == "" && !literal:
		return host
	case port == "":
		return ex.Text.Concat("[", host, "]")
	case literal:
		return ex.Text.Concat("[", host, "]:", port)
	}
	return ex.Text.Concat(host, ":", port)
}

// forwardedElement returns the gateway's element of Forwarded, and those of the
// trusted proxies. RFC 7239, 4.
func forwardedElement(ex *proxy.Exchange, client, authority string) string {
	b := appendNode(ex.Text.Begin(), client)
	if authority != "" {
		b = append(append(append(b, `;host="`...), authority...), '"')
	}
	b = append(append(b, ";proto="...), ex.In.Scheme...)
	for rest := ex.In.Hops; rest != ""; {
		var hop string
		hop, rest, _ = strings.Cut(rest, ", ")
		b = appendNode(append(b, ", "...), hop)
	}
	return ex.Text.Finish(b)
}

// appendNode appends the parameter "for" of an address as text. RFC 7239, 6.
func appendNode(b []byte, address string) []byte {
	b = append(b, "for="...)
	switch {
	case address == "":
		return append(b, "unknown"...) // RFC 7239, 6.2
	case strings.IndexByte(address, ':') >= 0:
		return append(append(append(b, `"[`...), address...), `]"`...)
	}
	return append(b, address...)
}

func portText(ex *proxy.Exchange, port uint16) string {
	switch port { // nearly always one of these
	case 80:
		return "80"
	case 443:
		return "443"
	case 8080:
		return "8080"
	}
	return ex.Text.Finish(strconv.AppendUint(ex.Text.Begin(), uint64(port), 10))
}

// send is the integration step of http and http_proxy.
type send struct{ backend proxy.Backend }

// errSwitched is an answer 101 that can't be passed on. RFC 9110, 15.2.2.
var errSwitched = errors.New("101 (Switching Protocols) that nobody asked for")

// Run sends ex.Out to the backend.
func (s *send) Run(ctx context.Context, ex *proxy.Exchange) (proxy.Verdict, error) {
	if err := s.backend.Send(ctx, ex); err != nil {
		return proxy.Continue, err
	}
	switch status := ex.Back.Status; {
	case status == 101 && ex.Out.Upgrade != "" && ex.Back.Tunnel != nil, status >= 200 && status <= 599:
		return proxy.Continue, nil
	case status == 101:
		return proxy.Continue, proxy.Fault{Kind: proxy.BadIntegration, Cause: errSwitched}
	default:
		return proxy.Continue, proxy.Fault{Kind: proxy.BadIntegration, Cause: fmt.Errorf("status %d", status)}
	}
}

// passContent makes the backend's content the reply's, as a stream if it is one.
func passContent(reply *proxy.Response, ex *proxy.Exchange) {
	back := &ex.Back
	if noContent(reply.Status) && back.Status != reply.Status {
		return
	}
	reply.Content, reply.Body, reply.Length = back.Content, back.Body, back.Length
	// An answer without content to HEAD, and 304, may tell the length that content
	// would have; to another method it would promise bytes that never come.
	if back.Body == nil && ex.In.Method != "HEAD" && reply.Status != 304 {
		reply.Length = int64(len(back.Content))
	}
}

// noContent reports whether answers of this status never have content.
// RFC 9110, 6.4.1.
func noContent(status int) bool { return status == 204 || status == 304 }

// problems are what is wrong with one integration, all of it.
type problems []error

// add adds a *config.KeyError; path is relative to the integration's table,
// unless it begins with "response", which stands beside it in the route's.
func (p *problems) add(text, hint string, path ...string) {
	*p = append(*p, &config.KeyError{Path: path, Text: text, Hint: hint})
}

func (p problems) err() error { return errors.Join(p...) }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
