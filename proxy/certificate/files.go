package certificate

import (
	"crypto/tls"
	"fmt"

	"github.com/postern-gateway/postern/proxy/config"
)

// sourceFiles is the source of a certificate that has files.
const sourceFiles = "files"

// pairFiles are certificates by the names of their two files: several domains may
// have one certificate.
type pairFiles map[[2]string]*tls.Certificate

// read reads a certificate and its key. The finding is at the table of path.
func (p pairFiles) read(cfg *config.Config, path []string, cert, key string) (*tls.Certificate, *config.Finding) {
	if c := p[[2]string{cert, key}]; c != nil {
		return c, nil
	}
	c, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		f := cfg.Finding(path, fmt.Sprintf("certificate %s with key %s: %v", cert, key, err), "")
		return nil, &f
	}
	p[[2]string{cert, key}] = &c
	return &c, nil
}
