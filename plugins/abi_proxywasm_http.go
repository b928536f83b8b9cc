package plugins

import (
	"cmp"
	"io"
	"net"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/postern-gateway/postern/plugins/outbound"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/sdk/abi"
)

// wasmReply is the answer to a request of a guest's own; without a status it failed.
type wasmReply struct {
	status   int
	fields   http1.Fields
	content  []byte
	trailers http1.Fields
}

// wasmCall is a request of a guest's own that is on its way.
type wasmCall struct {
	in      *instance
	stream  *wasmStream // whose it is; nil for the plugin's own context
	token   uint32
	account *account // who it is booked to; nil for nobody
	session *outbound.Session
	reply   *outbound.Reply
}

// uses: an import of proxy_http_call or proxy_define_metric says nothing, as SDKs
// import everything.
func (proxyWasmABI) uses() []string { return []string{groupHTTP, groupMetric} }

// callPatience bounds nothing that the configuration's time for a request doesn't.
const callPatience = time.Hour

// httpCall is proxy_http_call: it sends a request, whose answer the plugin's own
// context gets in the background.
func (g *proxyWasm) httpCall(a []uint64) wasmStatus {
	name, ok := g.text(a[0], a[1])
	head, ok2 := g.bytes(a[2], a[3])
	content, ok3 := g.bytes(a[4], a[5])
	_, ok4 := g.bytes(a[6], a[7]) // trailers: the request is framed by its length
	if !ok || !ok2 || !ok3 || !ok4 || !g.set32(a[9], 0) {
		return statusMemory
	}
	pairs, ok := readPairs(head)
	if !ok {
		return statusParse
	}
	client := g.in.plugin.grants.http
	if client == nil {
		g.in.log(zapcore.WarnLevel, []byte("proxy_http_call: the configuration has no http = { allow = [ … ] }"))
		return statusBadArgument
	}
	request, status := callRequest(client, name, pairs)
	if status != statusOK {
		g.in.log(zapcore.WarnLevel, []byte("proxy_http_call: no allowed server is meant by "+name))
		return status
	}
	request.Content, request.Timeout = content, time.Duration(a[8])*time.Millisecond
	return g.send(client, request, a[9])
}

// send sends a request and writes its number to address at.
func (g *proxyWasm) send(client *outbound.Client, request *outbound.Request, at uint64) wasmStatus {
	in, sent := g.in, &g.sent
	var s *wasmStream
	if g.flow != nil {
		s = g.flow.stream
		sent = &s.sent
	}
	if *sent >= client.Calls() || !in.charge(workPerSend+len(request.Content)/16*workPer16Bytes) {
		return statusInternal
	}
	background := in.plugin.bound.background
	session := client.Begin(outbound.Asker{Context: background.ctx, Patience: callPatience})
	reply, err := session.Send(request)
	if err != nil {
		session.End()
		if in.httpCode("proxy_http_call", err) == abi.Limit {
			return statusInternal
		}
		return statusBadArgument
	}
	g.tokens++
	c := &wasmCall{in, s, g.tokens, in.account, session, reply}
	if !background.begin(c.finish) {
		session.End()
		return statusInternal
	}
	*sent++
	if s != nil {
		s.calls++
	}
	if in.ex != nil && !in.late {
		in.ex.Notes.PluginRequests++
	}
	return g.put32(at, c.token)
}

// callRequest makes a request of the pairs in which guests describe one.
func callRequest(client *outbound.Client, upstream string, pairs wasmPairs) (*outbound.Request, wasmStatus) {
	request := &outbound.Request{}
	var path, authority string
	var lines strings.Builder
	var none proxy.Passing
	for name, value, more := pairs.next(); more; name, value, more = pairs.next() {
		switch f := http1.NewField(name, value); {
		case name == ":method":
			request.Method = value
		case name == ":path":
			path = value
		case name == ":authority", f.Known() == http1.Host:
			authority = value
		case strings.HasPrefix(name, ":"), none.HopByHop(&f), f.Known() == http1.ContentLength, f.Known() == http1.Expect:
			// How it is sent isn't the guest's to say.
		default:
			lines.WriteString(name + ": " + value + "\n")
		}
	}
	if _, url, ok := strings.Cut(upstream, "://"); ok { // MOSN: it may be a URL
		host, rest, _ := strings.Cut(url, "/")
		upstream, authority, request.Method = host, cmp.Or(authority, host), cmp.Or(request.Method, "GET")
		if rest != "" || path == "" {
			path = "/" + rest
		}
	}
	origin, ok := upstreamOf(client, upstream, authority)
	if request.Method == "" || !strings.HasPrefix(path, "/") || authority == "" || !ok {
		return nil, statusBadArgument
	}
	request.URL, request.Header = origin+path, lines.String()
	return request, statusOK
}

// upstreamOf returns the origin that a guest means by an upstream's name: a host
// with or without a port, or Istio's direction|port|subset|host. A name that only a configuration of Envoy knows means the server that the request
// itself names. There is none when nothing of that may be spoken to.
func upstreamOf(client *outbound.Client, name, authority string) (origin string, ok bool) {
	if parts := strings.Split(name, "|"); len(parts) == 4 {
		name = net.JoinHostPort(parts[3], parts[1])
	}
	for _, server := range [...]string{name, authority} {
		host, port, err := http1.ParseHost(server)
		if err != nil {
			continue
		}
		if origin, ok := client.Origin(host, port); ok {
			return origin, true
		}
	}
	return "", false
}

// finish waits for the answer and tells the guest.
func (c *wasmCall) finish() {
	answer := c.fetch()
	c.book(c.session.End())
	c.in.plugin.bound.background.visit(c.in, func(g *proxyWasm) error {
		if c.stream == nil {
			g.sent--
		} else {
			c.stream.calls--
		}
		g.reply = answer
		defer func() { g.reply = nil }()
		fields := uint64(0)
		if answer.status != 0 {
			fields = uint64(len(answer.fields)) + 1 // and :status
		}
		return g.call(g.on.httpCallResponse, rootContext, uint64(c.token), fields, uint64(len(answer.content)), uint64(len(answer.trailers)))
	})
}

func (c *wasmCall) book(f outbound.Figures) {
	if a := c.account; a != nil {
		a.requests.Add(f.Requests)
		a.rejected.Add(f.Failures)
		a.sent.Add(f.Sent)
		a.received.Add(f.Received)
	}
}

// fetch reads the whole answer. One that breaks off is none.
func (c *wasmCall) fetch() *wasmReply {
	if c.reply.Wait() != nil {
		return &wasmReply{}
	}
	content, err := io.ReadAll(c.reply)
	if err != nil {
		return &wasmReply{}
	}
	answer := &wasmReply{status: c.reply.Status(), content: content}
	for _, f := range c.reply.Fields() {
		answer.fields = append(answer.fields, http1.NewField(f.Name, f.Value))
	}
	return answer
}
