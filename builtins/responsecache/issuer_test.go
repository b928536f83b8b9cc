package responsecache

import (
	"strconv"
	"strings"
	"testing"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// Names are told apart by who gave them: token issuers, accounts, authorities.
func TestIssuersAreToldApart(t *testing.T) {
	token := func(iss, sub string) func(*proxy.Exchange) {
		return func(ex *proxy.Exchange) {
			ex.Caller.Principal = sub
			ex.Caller.Context = append(ex.Caller.Context[:0], proxy.Param{Name: "claims.sub", Value: sub}, proxy.Param{Name: "claims.iss", Value: iss})
		}
	}
	signer := func(account, arn, user string) func(*proxy.Exchange) {
		return func(ex *proxy.Exchange) {
			ex.Caller.Identity = proxy.Identity{AccountID: account, User: user, Caller: user, UserARN: arn}
		}
	}
	shown := func(digest, subject, serial string) func(*proxy.Exchange) {
		return func(ex *proxy.Exchange) {
			ex.Domain.Certificate = &proxy.ClientCertificate{Subject: subject, Serial: serial, Digest: digest}
		}
	}
	f := func(parameter string, callers ...func(*proxy.Exchange)) {
		t.Helper()
		for _, shared := range []bool{false, true} {
			cache := stageCacheOf()
			cache.Shared = shared
			r := newRig(t, cache, config.Integration{CacheKeyParameters: []string{parameter}})
			route := r.cfg.API["x"].Route["GET /a"]
			if !strings.Contains(parameter, "clientCert") {
				route.Authorizer = "who" // it is what knows the callers
			}
			r.cfg.API["x"].Route["GET /a"] = route
			r.build()
			for round := range 2 {
				for i, caller := range callers {
					r.origin.answer = says("for " + strconv.Itoa(i))
					ex := r.fill(&proxy.Exchange{}, "GET /a")
					caller(ex)
					if _, got := r.run(t.Context(), ex); got != "for "+strconv.Itoa(i) {
						t.Errorf("%s, shared %v, round %d: caller %d got the answer %s", parameter, shared, round, i, got)
					}
				}
			}
			if got := r.origin.calls.Load(); got != int64(len(callers)) {
				t.Errorf("%s, shared %v: %d calls for %d callers", parameter, shared, got, len(callers))
			}
		}
	}
	for _, parameter := range []string{"context.authorizer.claims.sub", "context.authorizer.principalId"} {
		f(parameter, token("https://a.example/", "anna"), token("https://b.example/", "anna"), token("https://a.example/", "bert"))
	}
	for _, parameter := range []string{"context.identity.user", "context.identity.caller", "context.identity.userArn"} {
		f(parameter, signer("111111111111", "arn:aws:iam::111111111111:user/a", "x"), signer("222222222222", "arn:aws:iam::222222222222:user/a", "x"),
			signer("222222222222", "arn:aws:iam::222222222222:user/b", "y"))
	}
	for _, parameter := range []string{"context.identity.clientCert.serialNumber", "context.identity.clientCert.subjectDN"} {
		f(parameter, shown("1", "CN=a", "01"), shown("2", "CN=a", "01"))
	}
}
