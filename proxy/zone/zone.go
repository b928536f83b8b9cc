// Package zone puts records into DNS zones, at those who answer for them, and asks
// DNS servers what they know.
package zone

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/libdns/libdns"

	"github.com/postern-gateway/postern/proxy/config"
)

// Provider puts records into zones and removes them: what the libdns packages of most
// who host DNS implement. A zone is a name with a dot at its end.
type Provider interface {
	libdns.RecordAppender
	libdns.RecordDeleter
}

// New returns the provider that z describes, which isn't a plugin. The error is a
// *config.KeyError.
func New(z config.Zones) (Provider, error) {
	switch z.Type {
	case "rfc2136":
		return newUpdates(z)
	case "route53":
		return newRoute53(z), nil
	case "cloudflare":
		return newCloudflare(z), nil
	}
	return nil, &config.KeyError{Path: []string{"type"}, Text: fmt.Sprintf("no zones of type %q", z.Type)}
}

// Absolute returns name in zone with a dot at its end.
func Absolute(name, zone string) string {
	return strings.TrimSuffix(libdns.AbsoluteName(name, zone), ".") + "."
}

// patience bounds one exchange with a provider's API.
const patience = 30 * time.Second

// maxReply bounds what it answers, in bytes.
const maxReply = 4 << 20

// newClient returns a client for a provider's API.
func newClient() *http.Client {
	return &http.Client{
		Timeout: patience,
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: patience / 2}).DialContext,
			TLSHandshakeTimeout: patience / 2,
			IdleConnTimeout:     time.Minute,
			ForceAttemptHTTP2:   true,
		},
		// The key isn't for whoever the API would send us to.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// read returns the whole of an answer's content.
func read(answer *http.Response) ([]byte, error) {
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxReply+1))
	if err == nil && len(text) > maxReply {
		err = errors.New("the answer is too long")
	}
	return text, err
}

// textOf returns the value of a TXT record.
func textOf(r libdns.Record) (libdns.TXT, error) {
	if t, is := r.(libdns.TXT); is {
		return t, nil
	}
	rr := r.RR()
	if rr.Type != "TXT" {
		return libdns.TXT{}, fmt.Errorf("a record of type %s: only TXT", rr.Type)
	}
	return libdns.TXT{Name: rr.Name, TTL: rr.TTL, Text: rr.Data}, nil
}

// excerpt is what a log gets of an answer.
func excerpt(text []byte) string {
	const most = 300
	s := strings.Join(strings.Fields(string(text[:min(len(text), most)])), " ")
	if len(text) > most {
		s += "…"
	}
	return s
}
