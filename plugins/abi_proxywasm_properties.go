package plugins

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/sdk/abi"
)

// getProperty tells what is known of the exchange, of its connection and of the
// plugin. A path's parts are divided by zero bytes. Numbers have eight bytes,
// booleans one, times are nanoseconds, maps as in header maps.
// Envoy: "Attributes".
func (g *proxyWasm) getProperty(s []uint64) wasmStatus {
	path, ok := g.text(s[0], s[1])
	if !ok {
		return statusMemory
	}
	path = strings.TrimRight(path, "\x00")
	if value, ok := g.ownProperty(path); ok {
		return g.hand(s[2], s[3], value)
	}
	if g.flow == nil || g.in.ex == nil {
		return statusNotFound
	}
	if number, name, ok := headerProperty(path); ok {
		return g.mapProperty(number, name, s)
	}
	for _, look := range [...]func(*proxyWasm, string) (string, bool){
		(*proxyWasm).requestProperty, (*proxyWasm).responseProperty, (*proxyWasm).peerProperty, (*proxyWasm).keptProperty,
	} {
		if value, ok := look(g, path); ok {
			return g.hand(s[2], s[3], value)
		}
	}
	return statusNotFound
}

// headerProperty takes apart the path of a map or of a header field.
func headerProperty(path string) (number int32, name string, ok bool) {
	if rest, ok := strings.CutPrefix(path, "request\x00headers"); ok {
		return mapRequestHeaders, strings.TrimPrefix(rest, "\x00"), true
	}
	rest, ok := strings.CutPrefix(path, "response\x00headers")
	return mapResponseHeaders, strings.TrimPrefix(rest, "\x00"), ok
}

func (g *proxyWasm) mapProperty(number int32, name string, s []uint64) wasmStatus {
	if _, ok := g.fieldsIn(number); !ok {
		return statusNotFound
	}
	if name != "" {
		value, status := g.value(number, name)
		if status != statusOK {
			return status
		}
		return g.hand(s[2], s[3], value)
	}
	fields := g.pairs(number)
	b, status := g.handOver(s[2], s[3], pairsSize(fields))
	if status == statusOK {
		writePairs(b, fields)
	}
	return status
}

// ownProperty is what a plugin knows of itself.
func (g *proxyWasm) ownProperty(path string) (string, bool) {
	p := g.in.plugin
	switch path {
	case "plugin_name", "plugin_vm_id":
		return p.name, true
	case "plugin_root_id":
		return p.rootID, true
	case "node\x00id", "node\x00cluster":
		return "postern", true
	case "listener_direction":
		return g.number(1), true // inbound
	}
	return "", false
}

func (g *proxyWasm) requestProperty(path string) (string, bool) {
	ex := g.in.ex
	made := func(name string) (string, bool) { return g.flow.stream.made(name) }
	switch path {
	case "request\x00path":
		return made(":path")
	case "request\x00url_path":
		return ex.In.Path, true
	case "request\x00query":
		return g.in.query(), true
	case "request\x00host":
		return made(":authority")
	case "request\x00scheme":
		return ex.In.Scheme, true
	case "request\x00method":
		return ex.Method, true
	case "request\x00referer":
		return ex.In.Fields.GetKnown(http1.Referer), ex.In.Fields.HasKnown(http1.Referer)
	case "request\x00useragent":
		return ex.In.Fields.GetKnown(http1.UserAgent), ex.In.Fields.HasKnown(http1.UserAgent)
	case "request\x00time":
		return g.number(ex.Start.UnixNano()), true
	case "request\x00id":
		return ex.ID, true
	case "request\x00protocol":
		switch ex.In.Proto {
		case "HTTP/2.0":
			return "HTTP/2", true
		case "HTTP/3.0":
			return "HTTP/3", true
		}
		return ex.In.Proto, true
	case "request\x00size":
		if ex.In.Whole {
			return g.number(int64(len(ex.In.Content))), true
		}
		return g.number(max(0, ex.In.Length)), true
	case "route_name", "xds\x00route_name":
		return ex.Route.Key, true
	}
	return "", false
}

func (g *proxyWasm) responseProperty(path string) (string, bool) {
	if g.flow.side != responseSide {
		return "", false
	}
	ex, over := g.in.ex, g.flow.over
	switch path {
	case "response\x00code":
		return g.number(int64(ex.Reply.Status)), true
	case "response\x00code_details":
		if ex.Fault != nil {
			return ex.Fault.Kind.String(), true
		}
		return "via_upstream", true
	case "response\x00size":
		return g.number(ex.Notes.BytesOut), over
	case "request\x00duration":
		return g.number(int64(ex.Times.Total)), over
	case "upstream\x00address":
		return ex.Notes.Target, ex.Notes.Target != ""
	case "upstream\x00port":
		_, port, found := strings.Cut(ex.Notes.Target[strings.LastIndexByte(ex.Notes.Target, ']')+1:], ":")
		return g.number(decimal(port)), found
	}
	return "", false
}

func decimal(s string) (n int64) {
	for i := 0; i < len(s) && s[i] >= '0' && s[i] <= '9' && i < 9; i++ {
		n = 10*n + int64(s[i]-'0')
	}
	return n
}

func (g *proxyWasm) peerProperty(path string) (string, bool) {
	in := &g.in.ex.In
	switch path {
	case "source\x00address":
		return g.address(in.Client), in.Client.IsValid()
	case "source\x00port":
		return g.number(int64(in.Client.Port())), in.Client.IsValid()
	case "destination\x00address":
		return g.address(in.Local), in.Local.IsValid()
	case "destination\x00port":
		return g.number(int64(in.Local.Port())), in.Local.IsValid()
	}
	if in.TLS == nil {
		return "", false
	}
	switch path {
	case "connection\x00tls_version":
		return in.TLS.Version, true
	case "connection\x00requested_server_name":
		return in.TLS.ServerName, true
	case "connection\x00mtls":
		if g.in.ex.Domain.Certificate == nil {
			return "\x00", true
		}
		return "\x01", true
	case "connection\x00subject_peer_certificate":
		if c := g.in.ex.Domain.Certificate; c != nil {
			return c.Subject, true
		}
	}
	return "", false
}

func (g *proxyWasm) address(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	g.scratch = netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port()).AppendTo(g.scratch[:0])
	return viewString(g.scratch)
}

// number writes n as eight bytes.
func (g *proxyWasm) number(n int64) string {
	g.scratch = binary.LittleEndian.AppendUint64(g.scratch[:0], uint64(n))
	return viewString(g.scratch)
}

// keptProperty is what the guest has set about the exchange.
func (g *proxyWasm) keptProperty(path string) (string, bool) {
	s := g.flow.stream
	if at := s.property(path); at >= 0 {
		return s.set[at].Value, true
	}
	return "", false
}

func (s *wasmStream) property(path string) int {
	return slices.IndexFunc(s.set, func(p proxy.Param) bool { return p.Name == path })
}

// setProperty keeps a value about the exchange, for the guest itself.
func (g *proxyWasm) setProperty(a []uint64) wasmStatus {
	path, ok := g.text(a[0], a[1])
	value, ok2 := g.text(a[2], a[3])
	if !ok || !ok2 {
		return statusMemory
	}
	if g.flow == nil || g.in.ex == nil {
		return statusNotFound
	}
	s := g.flow.stream
	path = strings.TrimRight(path, "\x00")
	at := s.property(path)
	if s.setSize+len(path)+len(value) > abi.MaxBag || at < 0 && len(s.set) >= abi.MaxBagEntries {
		return statusInternal
	}
	s.setSize += len(path) + len(value) // what a value before takes stays taken
	if at < 0 {
		s.set = append(s.set, proxy.Param{Name: g.in.lasting(path)})
		at = len(s.set) - 1
	}
	s.set[at].Value = g.in.lasting(value)
	return statusOK
}
