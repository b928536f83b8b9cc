package access

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/postern-gateway/postern/proxy/config"
)

// Document is a policy of a caller, and what people call it.
type Document struct {
	Name   string
	Policy *Policy
}

// CompileDocuments compiles the policies of a principal, which stand at path of cfg. The
// error is a *config.KeyError with the whole path, or several that are joined.
func CompileDocuments(cfg *config.Config, documents []config.Policy, networks *Networks, path ...string) ([]Document, error) {
	var all []Document
	var wrong []error
	for i, d := range documents {
		at := append(slices.Clone(path), fmt.Sprint(i))
		name := strings.Join(at, ".")
		text, err := d.Read()
		var key *config.KeyError
		if errors.As(err, &key) {
			key.Path = append(at, key.Path...)
			wrong = append(wrong, key)
			continue
		}
		if d.File != "" {
			at = append(at, "file")
			name += " (" + d.File + ")"
		}
		p, err := Compile([]byte(text), Options{Networks: networks, MaxSize: d.Limit, Line: lines(cfg, &d, at)})
		if err != nil {
			wrong = append(wrong, Findings(err, text, d.File, at...)...)
			continue
		}
		all = append(all, Document{name, p})
	}
	return all, errors.Join(wrong...)
}

// lines returns what people call the lines of d, which stands at path of cfg.
func lines(cfg *config.Config, d *config.Policy, path []string) func(int) string {
	if d.File != "" {
		return nil // its name is said already
	}
	return func(line int) string { return cfg.Line(d.Text, line, path...) }
}

// PoliciesOf returns documents as the one policy that they are together.
func PoliciesOf(documents []Document) Policies {
	all := make(Policies, len(documents))
	for i, d := range documents {
		all[i] = d.Policy
	}
	return all
}
