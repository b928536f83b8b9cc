// Package manifest reads and writes what a plugin says of itself: a custom
// section of its module with name, version, roles, what it wants to be granted
// and the JSON Schema of its configuration. It grants nothing: the module's
// imports and the operator's configuration decide what a plugin can do.
package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// MaxSize is the largest manifest, in bytes.
const MaxSize = 64 << 10

// Manifest is what a plugin says of itself.
type Manifest struct {
	Name        string `json:"name"`    // lower-case letters, digits and "-"
	Version     string `json:"version"` // as its author counts
	Description string `json:"description,omitempty"`
	Homepage    string `json:"homepage,omitempty"`
	License     string `json:"license,omitempty"`
	// Roles that it is meant for, by their names in package abi.
	Roles []string `json:"roles,omitempty"`
	// Wants are the capability groups that it needs: "http", "kv", "metric", ….
	Wants []string `json:"wants,omitempty"`
	// Hosts are the origins that it calls: "https://api.example.com".
	Hosts []string `json:"hosts,omitempty"`
	// Config is the JSON Schema of its configuration; nil for any.
	Config json.RawMessage `json:"config,omitempty"`

	schema *schema
}

// Read returns the manifest of wasm, or nil when it has none.
func Read(wasm []byte) (*Manifest, error) {
	text, _, err := find(wasm)
	if text == nil || err != nil {
		return nil, err
	}
	m, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("section %s: %w", Section, err)
	}
	return m, nil
}

// Parse reads a manifest and checks all of it, the schema included.
func Parse(text []byte) (*Manifest, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("it has %d bytes; at most %d are allowed", len(text), MaxSize)
	}
	m := new(Manifest)
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(m); err != nil {
		return nil, fmt.Errorf("want a JSON object of the manifest's keys: %w", place(text, err))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something after the JSON object")
	}
	return m, m.check()
}

// place adds the line to an error of package json, which counts bytes.
func place(text []byte, err error) error {
	var syntax *json.SyntaxError
	var wrong *json.UnmarshalTypeError
	offset := int64(0)
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &wrong):
		offset = wrong.Offset
	default:
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	line := 1 + bytes.Count(text[:min(offset, int64(len(text)))], []byte("\n"))
	return fmt.Errorf("line %d: %s", line, strings.TrimPrefix(err.Error(), "json: "))
}

func (m *Manifest) check() error {
	name, err := regexp.MatchString(`^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$`, m.Name)
	switch {
	case err != nil || !name:
		return fmt.Errorf("name: %q isn't 1 to 64 lower-case letters, digits and \"-\"", m.Name)
	case m.Version == "" || len(m.Version) > 64:
		return fmt.Errorf("version: %q isn't 1 to 64 characters", m.Version)
	}
	for _, host := range m.Hosts {
		u, err := url.Parse(host)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
			return fmt.Errorf("hosts: %q isn't an origin such as https://api.example.com", host)
		}
	}
	if m.Config != nil {
		if m.schema, err = compile(m.Config); err != nil {
			return fmt.Errorf("config: %w", err)
		}
	}
	return nil
}

// Differences says what of m isn't as before: what an operator should read
// before an upgrade. It is empty when only what people read differs.
func (m *Manifest) Differences(before *Manifest) []string {
	var all []string
	if m.Version != before.Version {
		all = append(all, "version "+before.Version+" → "+m.Version)
	}
	list := func(what string, old, now []string) {
		for _, s := range now {
			if !slices.Contains(old, s) {
				all = append(all, "new: "+what+" "+s)
			}
		}
		for _, s := range old {
			if !slices.Contains(now, s) {
				all = append(all, "gone: "+what+" "+s)
			}
		}
	}
	list("role", before.Roles, m.Roles)
	list("capability", before.Wants, m.Wants)
	list("host", before.Hosts, m.Hosts)
	if !sameJSON(before.Config, m.Config) {
		all = append(all, "another schema of the configuration")
	}
	return all
}

func sameJSON(a, b json.RawMessage) bool {
	var x, y bytes.Buffer
	if json.Compact(&x, a) != nil || json.Compact(&y, b) != nil { // of nil
		return len(a) == len(b)
	}
	return bytes.Equal(x.Bytes(), y.Bytes())
}
