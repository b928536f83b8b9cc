package deployment

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/postern-gateway/postern/proxy/config"
)

// Document is what a deployment has: all that an API is.
type Document struct {
	Format     int               `json:"format"` // of the document: 1
	API        string            `json:"api"`
	Definition config.Definition `json:"definition"`
	Modules    map[string]string `json:"modules,omitempty"` // SHA-256 of the plugins' modules, in hex, by plugin
}

// format is that of documents and histories.
const format = 1

// Encode returns the document as it is kept, and its digest. Equal documents have
// equal digests.
func (d *Document) Encode() (text []byte, digest string, err error) {
	d.Format = format
	var b bytes.Buffer
	e := json.NewEncoder(&b) // it sorts the keys of maps
	e.SetEscapeHTML(false)
	if err := e.Encode(d); err != nil {
		return nil, "", fmt.Errorf("API %q: %w", d.API, err)
	}
	return b.Bytes(), sum(b.Bytes()), nil
}

// ReadDocument is the reverse of Encode.
func ReadDocument(text []byte) (*Document, error) {
	var d Document
	r := json.NewDecoder(bytes.NewReader(text))
	r.UseNumber() // whole numbers stay whole
	if err := r.Decode(&d); err != nil {
		return nil, err
	}
	if d.Format != format {
		return nil, fmt.Errorf("its format is %d, not %d; perhaps a newer version wrote it", d.Format, format)
	}
	return &d, nil
}

// sum returns the SHA-256 of b in hex.
func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}
