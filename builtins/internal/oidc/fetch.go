package oidc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/postern-gateway/postern/proxy/document"
	"github.com/postern-gateway/postern/proxy/jose"
	"github.com/postern-gateway/postern/proxy/reach"
)

const (
	// maxContent is the size of a discovery document and of a JWK set, in bytes. AWS:
	// "Control access to HTTP APIs with JWT authorizers", limits of issuers.
	maxContent = 150_000
	// maxHead is the size of an answer's head, in bytes.
	maxHead = 16 << 10
	// maxRedirects is how many are followed, all of them to the same server.
	maxRedirects = 3
)

// wellKnown is where the discovery document is. OpenID Connect Discovery 1.0, 4.
const wellKnown = "/.well-known/openid-configuration"

// fetcher fetches one issuer's keys.
type fetcher struct {
	source Source
	client *http.Client
}

// authorities returns the system's certificates and those of text; nil, which
// stands for the system's, without any.
func authorities(text string) (*x509.CertPool, error) {
	if text == "" {
		return nil, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // the system has none
	}
	if !roots.AppendCertsFromPEM([]byte(text)) {
		return nil, ErrCA
	}
	return roots, nil
}

func newFetcher(s Source, roots *x509.CertPool, dial func(ctx context.Context, network, address string) (net.Conn, error)) *fetcher {
	if dial == nil {
		allowed := reach.Including(s.Private)
		if s.plain() {
			allowed = reach.Own
		}
		dial = (&net.Dialer{ControlContext: reach.Control(allowed)}).DialContext
	}
	return &fetcher{source: s, client: &http.Client{
		// The proxy of the environment isn't asked: it would connect for us, to whom we
		// wouldn't see.
		Transport: &http.Transport{
			DialContext: dial, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
			DisableKeepAlives:      true, // the next fetch is an hour away
			DisableCompression:     true, // a small answer could become a large one
			MaxResponseHeaderBytes: maxHead,
		},
		CheckRedirect: sameServer,
	}}
}

// sameServer lets a redirect go where the first request went, so that no issuer has
// the gateway speak to somebody else.
func sameServer(next *http.Request, before []*http.Request) error {
	switch first := before[0].URL; {
	case next.URL.Scheme != first.Scheme || next.URL.Host != first.Host:
		return fmt.Errorf("a redirect to another server, %s", next.URL.Host)
	case len(before) > maxRedirects:
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	return nil
}

// keys fetches the keys, and how long the issuer says that they last; 0 if it
// doesn't.
func (f *fetcher) keys(ctx context.Context) (jose.Keys, time.Duration, error) {
	from := f.source.KeysURL
	if from == "" {
		var err error
		if from, err = f.discover(ctx); err != nil {
			return nil, 0, fmt.Errorf("discovery: %w", err)
		}
	}
	text, head, err := f.get(ctx, from)
	if err != nil {
		return nil, 0, fmt.Errorf("keys: %w", err)
	}
	keys, err := parse(text)
	if err != nil {
		return nil, 0, fmt.Errorf("keys from %s: %w", from, err)
	}
	return keys, lifetime(head), nil
}

// parse reads a JWK set. Nothing else is one: an issuer has no PEM.
func parse(text []byte) (jose.Keys, error) {
	if d, err := document.Parse(text); err != nil {
		return nil, err
	} else if _, found := d.Member(d.Root(), "keys"); !found {
		return nil, errors.New("not a JWK set")
	}
	return jose.ParseKeys(text)
}

// discover asks the discovery document where the keys are.
func (f *fetcher) discover(ctx context.Context) (string, error) {
	text, _, err := f.get(ctx, strings.TrimSuffix(f.source.Issuer, "/")+wellKnown)
	if err != nil {
		return "", err
	}
	d, err := document.Parse(text)
	if err != nil {
		return "", err
	}
	member := func(name string) string {
		if n, found := d.Member(d.Root(), name); found && d.Kind(n) == document.String {
			return d.Text(n)
		}
		return ""
	}
	// OpenID Connect Discovery 1.0, 4.3: exactly the same.
	if issuer := member("issuer"); issuer != f.source.Issuer {
		return "", fmt.Errorf("it is of another issuer, %.100q", issuer)
	}
	from, err := url.Parse(member("jwks_uri"))
	if err != nil || from.Host == "" || from.User != nil {
		return "", errors.New("jwks_uri isn't a URL")
	}
	// An issuer that is trusted over TLS can't say that its keys come without.
	if from.Scheme != "https" && (from.Scheme != "http" || strings.HasPrefix(f.source.Issuer, "https:")) {
		return "", fmt.Errorf("jwks_uri has the scheme %.20q", from.Scheme)
	}
	return from.String(), nil
}

// get fetches the content at from.
func (f *fetcher) get(ctx context.Context, from string) ([]byte, http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, f.source.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "postern")
	answer, err := f.client.Do(r)
	if err != nil {
		return nil, nil, err // it names the URL
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("%s answers %d", from, answer.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxContent+1))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", from, err)
	}
	if len(text) > maxContent {
		return nil, nil, fmt.Errorf("%s has more than %d bytes", from, maxContent)
	}
	return text, answer.Header, nil
}

// lifetime is how long an answer says that it stays right: Cache-Control's max-age
// without the time that it was under way. RFC 9111, 4.2.
func lifetime(head http.Header) time.Duration {
	for _, line := range head.Values("Cache-Control") {
		for part := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			if !strings.EqualFold(name, "max-age") {
				continue
			}
			seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
			if err != nil {
				return 0
			}
			age, _ := strconv.ParseUint(head.Get("Age"), 10, 31)
			// Used up already is not the same as unknown.
			return time.Duration(max(int64(seconds)-int64(age), 1)) * time.Second
		}
	}
	return 0
}
