package proxy

import (
	"strings"

	"github.com/postern-gateway/postern/proxy/http1"
)

// Passing tells which fields of one message may go on beyond the gateway.
type Passing struct {
	fields http1.Fields
	lists  bool // a Connection field names further fields
}

// PassingOf returns what Connection says about the message with these fields.
func PassingOf(fields http1.Fields) Passing {
	for i := range fields {
		if fields[i].Known() == http1.Connection && !ordinaryConnection(fields[i].Value) {
			return Passing{fields, true}
		}
	}
	return Passing{fields, false}
}

// ordinaryConnection reports whether a Connection field is one of those that
// nearly every message has, which name nothing that isn't dropped anyway.
func ordinaryConnection(value string) bool {
	switch len(value) {
	case 5:
		return strings.EqualFold(value, "close")
	case 7:
		return strings.EqualFold(value, "upgrade")
	case 10:
		return strings.EqualFold(value, "keep-alive")
	}
	return false
}

// HopByHop reports whether f belongs to one connection only.
// RFC 9110, 7.6.1: the fields that Connection names, and those that are known
// to be sent without being named.
func (p *Passing) HopByHop(f *http1.Field) bool {
	return hopByHop.Has(f.Known()) || p.lists && p.listed(f.Name)
}

const hopByHop = http1.Set(1<<http1.Connection | 1<<http1.KeepAlive | 1<<http1.ProxyConnection | 1<<http1.TE |
	1<<http1.Trailer | 1<<http1.TransferEncoding | 1<<http1.Upgrade | 1<<http1.HTTP2Settings)

func (p *Passing) listed(name string) bool {
	for i := range p.fields {
		if p.fields[i].Known() != http1.Connection {
			continue
		}
		for rest := p.fields[i].Value; rest != ""; {
			var option string
			option, rest, _ = strings.Cut(rest, ",")
			if strings.EqualFold(strings.Trim(option, " \t"), name) {
				return true
			}
		}
	}
	return false
}

// FromClient reports whether a client's field f ends at the gateway: what is
// hop by hop, what AWS drops before anything sees it, and what a gateway says
// of the client, which the client mustn't say itself.
func (p *Passing) FromClient(f *http1.Field) bool {
	switch k := f.Known(); k {
	case http1.Other:
		// CGI makes HTTP_PROXY of a field called Proxy, and programs take that for
		// the proxy to send their own requests by.
		if vouches(f.Name) || len(f.Name) == 5 && strings.EqualFold(f.Name, "proxy") {
			return true
		}
	case http1.ContentLength, http1.ContentMD5, http1.Expect, http1.MaxForwards,
		http1.ProxyAuthenticate, http1.Server, http1.WWWAuthenticate:
		return true // AWS: "Amazon API Gateway important notes", as recorded
	case http1.ProxyAuthorization:
		// Differs from AWS, which has no such row: it is a credential for a proxy
		// (RFC 9110, 11.7.2), and nobody beyond this one has a use for it.
		return true
	case http1.Forwarded, http1.XForwardedFor, http1.XForwardedHost, http1.XForwardedPort,
		http1.XForwardedProto, http1.XAmznTraceID, http1.XAmznAPIGatewayAPIID:
		return true
	case http1.Authorization:
		// AWS: a SigV4 signature proves something to the gateway only.
		return strings.HasPrefix(f.Value, "AWS4-")
	}
	return p.HopByHop(f)
}

// vouches reports whether name, which http1 doesn't number, is one that a backend
// takes for a gateway's own word: of where a client is (X-Forwarded-…, X-Real-IP), who
// it is (what load balancers say of certificates and tokens; RFC 9440 for Client-Cert;
// X-Postern-… for what there may be), or what it is to be taken to ask for instead of
// what was routed and authorized (X-Original-URL, X-Method-Override, …). It is so in
// every spelling of these and of the gateway's own fields with "_" for "-", because CGI
// and WSGI servers take the two for the same.
func vouches(name string) bool {
	if len(name) < 9 {
		return false
	}
	switch name[0] | 0x20 {
	case 'x':
		return vouchesX(name)
	case 'c':
		return foldDash(name, "client-cert", false)
	case 's':
		return foldDash(name, "ssl-client-", false)
	case 'p':
		return foldDash(name, "proxy-authorization", true)
	}
	return false
}

// vouchesX is vouches for names that begin with X, which most don't get past.
func vouchesX(name string) bool {
	switch name[2] | 0x20 {
	case 'f':
		return foldDash(name, "x-forwarded-", false)
	case 'r':
		return foldDash(name, "x-real-ip", true) || foldDash(name, "x-rewrite-url", true)
	case 'h':
		// The first without "_" is known: the gateway heeds it, and it ends there too.
		return foldDash(name, "x-http-method-override", true) || foldDash(name, "x-http-method", true)
	case 'a':
		return vouchesAmazon(name)
	case 'c':
		return foldDash(name, "x-client-cert", false)
	case 's':
		return foldDash(name, "x-ssl-", false)
	case 'p':
		return foldDash(name, "x-postern-", false)
	case 'o':
		return foldDash(name, "x-original-url", true)
	case 'm':
		return foldDash(name, "x-method-override", true)
	}
	return false
}

// vouchesAmazon is vouches for what AWS's gateways and load balancers say. A client
// of AWS's services has other fields that begin so.
func vouchesAmazon(name string) bool {
	return foldDash(name, "x-amzn-trace-id", true) || foldDash(name, "x-amzn-apigateway-api-id", true) ||
		foldDash(name, "x-amzn-oidc-", false) || foldDash(name, "x-amzn-mtls-", false) || foldDash(name, "x-amzn-lattice-", false) ||
		name[1] == '_' && (foldDash(name, "x-amzn-requestid", true) || foldDash(name, "x-amz-apigw-id", true))
}

// foldDash reports whether name is lower, or only begins with it, when letters
// are lowered and "_" counts as "-".
func foldDash(name, lower string, whole bool) bool {
	if len(name) < len(lower) || whole && len(name) != len(lower) {
		return false
	}
	for i := 0; i < len(lower); i++ {
		c := name[i]
		switch {
		case 'A' <= c && c <= 'Z':
			c |= 0x20
		case c == '_':
			c = '-'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
