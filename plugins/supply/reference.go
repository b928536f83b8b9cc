// Package supply brings plugin modules from OCI registries: references by
// digest, a lock file for those by tag, a local store that works without a
// network, and signatures. Nothing here runs while a request is served.
package supply

import (
	"fmt"
	"strings"

	"oras.land/oras-go/v2/registry"
)

// Scheme begins every reference to a registry.
const Scheme = "oci://"

// Reference names an artifact in a registry: by its manifest's digest, or by a
// tag that a lock file pins.
type Reference struct {
	Registry   string // host, with a port where one was given
	Repository string // path below the host
	Tag        string // "" when there is a digest
	Digest     string // "sha256:" and 64 hex digits, or ""
}

// Error is what is wrong with a module's source, and what to do about it. Err
// is the cause for errors.Is, or nil.
type Error struct {
	Text string
	Hint string // "" for none
	Err  error
}

func (e *Error) Error() string { return e.Text }

func (e *Error) Unwrap() error { return e.Err }

// Remote reports whether module names an artifact in a registry and not a file.
func Remote(module string) bool { return strings.HasPrefix(module, Scheme) }

// ParseReference reads oci://HOST[:PORT]/NAME@sha256:… or oci://HOST/NAME:TAG.
// The error is an *Error.
func ParseReference(module string) (Reference, error) {
	text, found := strings.CutPrefix(module, Scheme)
	wrong := func(format string, args ...any) (Reference, error) {
		return Reference{}, &Error{
			Text: fmt.Sprintf("%q: %s", module, fmt.Sprintf(format, args...)),
			Hint: "write " + Scheme + "registry.example.com/plugins/name@sha256:…",
		}
	}
	if !found {
		return wrong("a reference begins with %s", Scheme)
	}
	if !strings.Contains(text, "/") {
		return wrong("there is no name after the registry's host")
	}
	parsed, err := registry.ParseReference(text)
	if err != nil {
		return wrong("not a reference to an artifact in a registry: %v", err)
	}
	r := Reference{Registry: parsed.Registry, Repository: parsed.Repository}
	if parsed.Reference == "" {
		return wrong("neither a digest nor a tag")
	}
	if d, err := parsed.Digest(); err == nil {
		if d.Algorithm() != "sha256" {
			return wrong("the digest is %s; only sha256 is taken", d.Algorithm())
		}
		r.Digest = d.String()
		return r, nil
	}
	r.Tag = parsed.Reference
	return r, nil
}

// String returns the reference as ParseReference reads it.
func (r Reference) String() string {
	if r.Digest != "" {
		return r.name() + "@" + r.Digest
	}
	return r.name() + ":" + r.Tag
}

func (r Reference) name() string { return Scheme + r.Registry + "/" + r.Repository }
