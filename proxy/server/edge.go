package server

import (
	"slices"
	"strconv"
	"strings"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/proxy/snapshot"
)

// redirect sends clients to HTTPS. Immutable.
type redirect struct {
	status int
	port   string // ":8443"; "" for the usual one
	except []string
}

// newRedirect returns nil for none.
func newRedirect(c *config.Redirect) *redirect {
	if c == nil || !c.On {
		return nil
	}
	r := &redirect{status: c.Status, except: c.Except}
	if c.Port != 443 {
		r.port = ":" + strconv.Itoa(c.Port)
	}
	return r
}

// answer redirects ex and reports true, or leaves it as it is. Only hosts of snap's
// are redirected: where a client goes isn't for whoever made up its Host to say.
func (r *redirect) answer(snap *snapshot.Snapshot, ex *proxy.Exchange) bool {
	in := &ex.In
	if in.Scheme != "http" || in.Host == "" || snap == nil || slices.Contains(r.except, in.Path) || !snap.Answers(in.Host) {
		return false
	}
	host := in.Host
	if strings.Contains(host, ":") { // an IPv6 address, which RFC 3986, 3.2.2 puts into brackets
		host = "[" + host + "]"
	}
	location := "https://" + host + r.port + in.Path
	if in.Path == "*" {
		location = "https://" + host + r.port
	}
	if in.HasQuery {
		location += "?" + in.RawQuery
	}
	ex.Answer(r.status, nil, http1.NewField("Location", location))
	return true
}

// advertise adds to ex's reply what the listener and the domain say of themselves,
// in place of what a backend says, which speaks of its own connections.
func (l *listener) advertise(ex *proxy.Exchange) {
	if d := l.datagrams.Load(); d != nil && d.up.Load() && ex.In.TLS != nil && ex.Reply.Status >= 200 && ex.In.Proto != l.server.h3.name {
		offerHTTP3(ex)
	}
	if ex.Domain.HSTS != "" && ex.In.Scheme == "https" { // RFC 6797, 7.2: not without TLS
		ex.Reply.Fields.Set("Strict-Transport-Security", ex.Domain.HSTS)
	}
}
