package certificate

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"
	"golang.org/x/crypto/ocsp"

	"github.com/postern-gateway/postern/proxy/config"
)

// Pauses before a responder is asked again: after it failed, and after a word on a
// certificate that has no end.
const (
	stapleRetry = time.Hour
	stapleAgain = 24 * time.Hour
)

// staple asks the authority's responder for its word on n's certificate, which
// clients get with it. A certificate that was revoked is replaced, if ACME is for it.
// Without an answer, clients get the last one while it holds.
func (k *Keeper) staple(ctx context.Context, n *name) {
	c := n.place.certificate.Load()
	now := k.now()
	word, raw, err := askResponder(ctx, c)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.leaf != c.Leaf {
		return // replaced meanwhile
	}
	// Thousands don't ask at once the next time either.
	n.staple = now.Add(stapleRetry + time.Duration(rand.Int64N(int64(stapleRetry))))
	if err != nil {
		k.logger.Debug("no staple", zap.String("name", n.name), zap.Error(err))
		if len(c.OCSPStaple) > 0 && k.ended(c.OCSPStaple) {
			n.restaple(c, nil)
		}
		return
	}
	switch {
	case word.Status == ocsp.Revoked:
		k.logger.Error("the certificate is revoked", zap.String("name", n.name), zap.Time("at", word.RevokedAt), zap.Int("reason", word.RevocationReason))
		n.revoked = n.source == config.CertificateACME
		n.restaple(c, nil)
	case word.Status == ocsp.Good && word.NextUpdate.After(now):
		n.restaple(c, raw)
		n.staple = word.ThisUpdate.Add(word.NextUpdate.Sub(word.ThisUpdate) / 2)
	case word.Status == ocsp.Good && word.NextUpdate.IsZero():
		n.restaple(c, raw)
		n.staple = now.Add(stapleAgain)
	}
	if soon := now.Add(longestNap); n.staple.Before(soon) {
		n.staple = soon
	}
}

// restaple replaces the certificate by one with another staple. n.mu is held.
func (n *name) restaple(c *tls.Certificate, raw []byte) {
	next := *c
	next.OCSPStaple = raw
	n.place.certificate.Store(&next)
}

// ended reports whether a staple holds no longer.
func (k *Keeper) ended(raw []byte) bool {
	word, err := ocsp.ParseResponse(raw, nil)
	return err != nil || !word.NextUpdate.IsZero() && k.now().After(word.NextUpdate)
}

// maxWord bounds a responder's answer, in bytes.
const maxWord = 64 << 10

// askResponder asks a certificate's responder about it. RFC 6960, A.1.
func askResponder(ctx context.Context, c *tls.Certificate) (*ocsp.Response, []byte, error) {
	if len(c.Leaf.OCSPServer) == 0 || len(c.Certificate) < 2 {
		return nil, nil, errors.New("the certificate names no responder, or its issuer isn't there")
	}
	issuer, err := x509.ParseCertificate(c.Certificate[1])
	if err != nil {
		return nil, nil, err
	}
	question, err := ocsp.CreateRequest(c.Leaf, issuer, &ocsp.RequestOptions{Hash: crypto.SHA1}) // as responders expect it. RFC 5019, 2.1.1
	if err != nil {
		return nil, nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Leaf.OCSPServer[0], bytes.NewReader(question))
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("Content-Type", "application/ocsp-request")
	r.Header.Set("Accept", "application/ocsp-response")
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: connectTime}).DialContext, DisableKeepAlives: true}
	client := &http.Client{Transport: transport, Timeout: answerTime}
	answer, err := client.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, maxWord))
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", answer.StatusCode)
	}
	if err != nil {
		return nil, nil, err
	}
	word, err := ocsp.ParseResponseForCert(raw, c.Leaf, issuer)
	return word, raw, err
}
