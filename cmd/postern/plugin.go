package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postern-gateway/postern/plugins/supply"
	"github.com/postern-gateway/postern/plugins/trial"
	"github.com/postern-gateway/postern/proxy/config"
)

func newPlugin(s *streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "plugin",
		Short: "Make, try, test and bring WebAssembly plugins",
		Long: "Make, try, test and bring WebAssembly plugins. Where a command takes a PLUGIN, that\n" +
			"is a module's file, a reference oci://… to a registry, or the name of a plugin in\n" +
			"the configuration; none is the configuration's only one.",
		Example: "  postern plugin new --lang go --role authorize guard   # begin one\n" +
			"  postern plugin run guard.wasm -H 'Authorization: x' /  # give it a request\n" +
			"  postern plugin test                                    # run the cases in tests/\n" +
			"  postern plugin inspect guard.wasm                      # what is it, what does it want?",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newPluginNew(s), newPluginBuild(s), newPluginRun(s), newPluginTest(s), newPluginCheck(s),
		newPluginInspect(s), newPluginManifest(s), newPluginFetch(s))
	return c
}

// target is what tells a command of which plugin it is to work with.
type target struct {
	file     string   // configuration
	settings []string // options of a plugin that is given by its module
}

func (t *target) flags(c *cobra.Command) {
	addFile(c, &t.file)
	c.Flags().StringArrayVar(&t.settings, "set", nil, "`KEY=VALUE`: an option, as in [plugin.x], of a PLUGIN that is a file; may be repeated")
}

// find returns a configuration with the plugin that name means, and what it is
// called there. name is "" for the only one.
func (t *target) find(name string) (*config.Config, string, error) {
	for _, s := range t.settings {
		if key, _, found := strings.Cut(s, "="); !found || strings.TrimSpace(key) == "" {
			return nil, "", fmt.Errorf("--set %q: want KEY=VALUE, such as config.token=sesame", s)
		}
	}
	if isModule(name) {
		return t.module(name)
	}
	if len(t.settings) > 0 {
		return nil, "", errors.New("--set is for a PLUGIN that is a file; the options of others stand in the configuration")
	}
	if err := absent(t.file); err != nil {
		if name != "" {
			err = fmt.Errorf("there is no file %q; and as the name of a plugin: %w", name, err)
		}
		return nil, "", &failure{exitInvalid, err}
	}
	cfg, findings := config.Load(t.file)
	if cfg == nil || findings.Failed() {
		return nil, "", invalidFindings(findings)
	}
	names := sortedKeys(cfg.Plugin)
	switch {
	case name == "" && len(names) == 1:
		return cfg, names[0], nil
	case name == "":
		return nil, "", fmt.Errorf("which plugin? %s has %s", t.file, listed(names))
	}
	if _, found := cfg.Plugin[name]; !found {
		return nil, "", &failure{exitInvalid, fmt.Errorf("there is neither a file %q nor a plugin of that name: %s has %s", name, t.file, listed(names))}
	}
	return cfg, name, nil
}

func listed(names []string) string {
	if len(names) == 0 {
		return "no plugins"
	}
	return strings.Join(names, ", ")
}

// isModule tells a module from the name of a plugin.
func isModule(name string) bool {
	if supply.Remote(name) || strings.HasSuffix(name, ".wasm") || strings.ContainsRune(name, filepath.Separator) {
		return true
	}
	st, err := os.Stat(name)
	return err == nil && st.Mode().IsRegular()
}

// module makes a configuration for a module that is given by itself.
func (t *target) module(module string) (*config.Config, string, error) {
	name := strings.TrimSuffix(filepath.Base(module), ".wasm")
	if supply.Remote(module) {
		ref, err := supply.ParseReference(module)
		if err != nil {
			return nil, "", &failure{exitInvalid, withHint(err)}
		}
		name = filepath.Base(ref.Repository)
	} else if _, err := os.Stat(module); errors.Is(err, fs.ErrNotExist) {
		return nil, "", &failure{exitInvalid, fmt.Errorf("there is no file %s", module)}
	}
	cfg, findings := trial.File(plain(name), module, t.settings...)
	if cfg == nil || findings.Failed() {
		return nil, "", invalidFindings(findings)
	}
	return cfg, plain(name), nil
}

// plain makes a name that a plugin may have.
func plain(name string) string {
	name = strings.Map(func(r rune) rune {
		if r < 0x80 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_.-", r)) {
			return r
		}
		return '-'
	}, name)
	if len(name) > 64 {
		name = name[:64]
	}
	if name == "" {
		return "plugin"
	}
	return name
}

// withHint adds an error's hint to its text.
func withHint(err error) error {
	var e *supply.Error
	if errors.As(err, &e) && e.Hint != "" {
		return fmt.Errorf("%w\n  hint: %s", err, e.Hint)
	}
	return err
}

// folders are where compiled modules and those from registries are kept, "" when
// there is no such place.
func folders(cfg *config.Config) (cache, artifacts string) {
	dir, err := dataDir(cfg)
	if err != nil {
		return "", ""
	}
	return filepath.Join(dir, "plugins"), artifactDir(dir)
}

// checkFormat checks the flag --format.
func checkFormat(format string) error {
	if format != "text" && format != "json" {
		return fmt.Errorf("--format is text or json, not %q", format)
	}
	return nil
}

// printJSON writes v for programs.
func (s *streams) printJSON(v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return &failure{exitFailed, err}
	}
	_, err = fmt.Fprintf(s.out, "%s\n", text)
	return wrote(err)
}

// invalidFindings is the failure of findings. Those about the command line have
// no place to point at.
func invalidFindings(findings config.Findings) error {
	if f := findings[0]; f.File == trial.CommandLine {
		text := f.Text
		if f.Hint != "" {
			text += "\n  hint: " + f.Hint
		}
		if strings.Contains(f.Key, ".config") || strings.Contains(f.Text, "config") {
			text += "\n  hint: --set config.KEY=VALUE configures a plugin that is a file"
		}
		return &failure{exitInvalid, errors.New(text)}
	}
	return &failure{exitInvalid, errors.New(strings.TrimSuffix(findings.Text(), "\n"))}
}
