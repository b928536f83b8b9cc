package observe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
)

// syslogTLS is how a syslog server is spoken to by TLS: files, which are read for each
// connection, so that certificates can be renewed. RFC 5425.
type syslogTLS struct {
	ca        string // who is trusted; "" for whom the system does
	cert, key string // what the gateway shows; "" for nothing
	name      string // in the server's certificate; "" for its host
}

// set takes a parameter of an address, and reports false for one that there isn't.
func (t *syslogTLS) set(key, value string) bool {
	switch key {
	case "ca":
		t.ca = value
	case "cert":
		t.cert = value
	case "key":
		t.key = value
	case "name":
		t.name = value
	default:
		return false
	}
	return true
}

// config reads the files.
func (t *syslogTLS) config(host string) (*tls.Config, error) {
	c := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if t.name != "" {
		c.ServerName = t.name
	}
	if t.ca != "" {
		text, err := os.ReadFile(t.ca)
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("ca: %s has no certificate", t.ca)
		}
	}
	if t.cert != "" || t.key != "" {
		pair, err := tls.LoadX509KeyPair(t.cert, t.key)
		if err != nil {
			return nil, fmt.Errorf("cert and key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// secured begins TLS on a connection, which is closed if that fails.
func (a *syslogAddress) secured(conn net.Conn) (net.Conn, error) {
	host, _, err := net.SplitHostPort(a.address)
	var c *tls.Config
	if err == nil {
		c, err = a.secure.config(host)
	}
	if err != nil {
		_ = conn.Close() // nothing was sent
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), syslogPatience)
	defer cancel()
	secure := tls.Client(conn, c)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // likewise
		return nil, err
	}
	return secure, nil
}
