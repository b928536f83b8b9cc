package sigv4

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/postern-gateway/postern/proxy/uri"
)

// Verify checks the signature against the request with payload, which is the hash of
// its content in hexadecimal, or what Payload says instead of a hash. Admit must have
// agreed with key before. The error is an *Error.
func (c *Check) Verify(key *Key, payload string) error {
	if !isDigest(c.signature, c.sign(key, payload)) {
		return mismatch("")
	}
	return nil
}

// sign returns the signature of the request. AWS: "Create a signed AWS API request".
func (c *Check) sign(key *Key, payload string) [sha256.Size]byte {
	c.text = c.appendCanonical(c.text[:0], payload)
	hash := sha256.Sum256(c.text)
	c.text = append(append(c.text[:0], algorithm+"\n"...), c.date...)
	c.text = append(append(append(c.text, '\n'), c.scope...), '\n')
	c.text = hex.AppendEncode(c.text, hash[:])
	signing := key.signing(c.when, c.scope)
	return mac(&signing, c.text)
}

// appendCanonical appends the canonical request. AWS: "Create a canonical request".
func (c *Check) appendCanonical(dst []byte, payload string) []byte {
	r := &c.request
	dst = append(append(dst, r.Method...), '\n')
	if c.verifier.normalize {
		dst = appendNormalized(dst, r.Path)
	} else {
		dst = appendPath(dst, r.Path)
	}
	dst = append(dst, '\n')
	dst = append(c.appendQuery(dst), '\n')
	dst = append(c.appendFields(dst), '\n')
	dst = append(append(dst, c.signed...), '\n')
	return append(dst, payload...)
}

// appendPath appends path encoded, though it is already: AWS wants it twice for all
// but S3.
func appendPath(dst []byte, path string) []byte {
	if path == "" {
		return append(dst, '/')
	}
	for i := 0; i < len(path); i++ {
		if path[i] == '/' {
			dst = append(dst, '/')
			continue
		}
		dst = uri.AppendEscaped(dst, path[i])
	}
	return dst
}

// appendNormalized is appendPath without dot segments and doubled slashes.
// RFC 3986, 5.2.4.
func appendNormalized(dst []byte, path string) []byte {
	start := len(dst)
	for rest := path; rest != ""; {
		var segment string
		segment, rest, _ = strings.Cut(rest, "/")
		switch segment {
		case "", ".":
		case "..":
			dst = dst[:start+max(0, bytes.LastIndexByte(dst[start:], '/'))]
		default:
			dst = append(dst, '/')
			dst = appendPath(dst, segment)
		}
	}
	if len(dst) == start || strings.HasSuffix(path, "/") {
		dst = append(dst, '/')
	}
	return dst
}

// appendQuery appends the parameters, without the signature itself, encoded and
// sorted by name and value.
func (c *Check) appendQuery(dst []byte) []byte {
	memory, params := c.param[:0], c.params[:0]
	for rest := c.request.Query; rest != ""; {
		name, value, after, ok := uri.NextParam(rest)
		if !ok {
			break
		}
		rest = after
		if c.Presigned && whichParam(name) == querySignature {
			continue
		}
		p := param{start: len(memory)}
		memory = appendEncoded(memory, name)
		p.equals = len(memory)
		memory = appendEncoded(memory, value)
		p.end = len(memory)
		params = append(params, p)
	}
	c.param, c.params = memory, params
	slices.SortFunc(params, func(a, b param) int {
		if by := bytes.Compare(memory[a.start:a.equals], memory[b.start:b.equals]); by != 0 {
			return by
		}
		return bytes.Compare(memory[a.equals:a.end], memory[b.equals:b.end])
	})
	for i, p := range params {
		if i > 0 {
			dst = append(dst, '&')
		}
		dst = append(append(dst, memory[p.start:p.equals]...), '=')
		dst = append(dst, memory[p.equals:p.end]...)
	}
	return dst
}

// appendEncoded appends a part of a query string as everybody encodes it.
func appendEncoded(dst []byte, s string) []byte {
	for s != "" {
		c, n := uri.FormByte(s)
		dst, s = uri.AppendEscaped(dst, c), s[n:]
	}
	return dst
}

// appendFields appends the signed fields, one a line: those of one name together, in
// the order in which they came.
func (c *Check) appendFields(dst []byte) []byte {
	for rest := c.signed; rest != ""; {
		var name string
		name, rest, _ = strings.Cut(rest, ";")
		dst = append(append(dst, name...), ':')
		if name == "host" {
			dst = append(dst, c.request.Host...)
		} else {
			dst = c.appendValues(dst, name)
		}
		dst = append(dst, '\n')
	}
	return dst
}

func (c *Check) appendValues(dst []byte, name string) []byte {
	first := true
	for i := range c.request.Fields {
		f := &c.request.Fields[i]
		if !strings.EqualFold(f.Name, name) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = appendTrimmed(dst, f.Value)
	}
	return dst
}

// appendTrimmed appends value with one space for several, and none at its ends.
func appendTrimmed(dst []byte, value string) []byte {
	value = strings.Trim(value, " ")
	for i := 0; i < len(value); i++ {
		if value[i] != ' ' || value[i-1] != ' ' {
			dst = append(dst, value[i])
		}
	}
	return dst
}
