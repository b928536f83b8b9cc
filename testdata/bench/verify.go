package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"time"
)

// verify asks a proxy once, as any client would, and compares the answer.
func verify(ctx context.Context, s *scenario, p *proxy) error {
	config := p.place.clientTLS()
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: config, ForceAttemptHTTP2: s.tool == byH2load}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, s.method, s.url(p), bytes.NewReader(bytes.Repeat([]byte("x"), s.send)))
	if err != nil {
		return err
	}
	for field, value := range s.header {
		req.Header.Set(field, value)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	switch {
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: status %d: %s", s.url(p), resp.StatusCode, tail(body, 300))
	case !bytes.Equal(body, s.want):
		return fmt.Errorf("%s: %d bytes that aren't the %d wanted", s.url(p), len(body), len(s.want))
	case s.tool == byH2load && resp.ProtoMajor != 2:
		return fmt.Errorf("%s: %s instead of HTTP/2", s.url(p), resp.Proto)
	case s.secure:
		return sameCipher(resp)
	}
	return nil
}

// sameCipher refuses connections that would compare ciphers, not proxies.
func sameCipher(resp *http.Response) error {
	if resp.TLS == nil || resp.TLS.Version != tls.VersionTLS13 || resp.TLS.CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
		return fmt.Errorf("not TLS 1.3 with AES-128-GCM: %+v", resp.TLS)
	}
	return nil
}
