package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/postern-gateway/postern/plugins"
	"github.com/postern-gateway/postern/plugins/supply"
	"github.com/postern-gateway/postern/proxy/config"
)

func newPluginFetch(s *streams) *cobra.Command {
	var file string
	var update, prune bool
	c := &cobra.Command{
		Use:   "fetch",
		Short: "Bring the configuration's plugins from their registries",
		Long: "Bring the plugins whose module is oci://… into the local store, from where they load\n" +
			"without a network, and write what their tags mean into postern.lock beside the\n" +
			"configuration. A tag that the lock has stays what it was, unless --update asks the\n" +
			"registry again. Commit the lock file: a deployment then runs what was tried.",
		Example: "  postern plugin fetch\n" +
			"  postern plugin fetch --update && git diff postern.lock\n" +
			"  postern plugin fetch -c gateway.toml --prune",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := absent(file); err != nil {
				return &failure{exitInvalid, err}
			}
			cfg, findings := config.Load(file)
			if cfg == nil || findings.Failed() {
				return invalidFindings(findings)
			}
			return fetchPlugins(c.Context(), s, cfg, update, prune)
		},
	}
	addFile(c, &file)
	c.Flags().BoolVar(&update, "update", false, "ask the registries what the tags mean now")
	c.Flags().BoolVar(&prune, "prune", false, "remove from the store and the lock file what this configuration doesn't use")
	return c
}

func fetchPlugins(ctx context.Context, s *streams, cfg *config.Config, update, prune bool) error {
	dir, err := dataDir(cfg)
	if err != nil {
		return &failure{exitFailed, err}
	}
	source := plugins.Supply(artifactDir(dir), cfg)
	lock, err := supply.ReadLock(plugins.LockFile(cfg))
	if err != nil {
		return &failure{exitFailed, withHint(err)}
	}
	var used, pinned []supply.Reference
	for _, name := range sortedKeys(cfg.Plugin) {
		module := cfg.Plugin[name].Module
		if !supply.Remote(module) {
			continue
		}
		ref, err := supply.ParseReference(module)
		if err != nil {
			return &failure{exitInvalid, fmt.Errorf("plugin %q: %w", name, withHint(err))}
		}
		pin, err := lock.Pin(ref)
		if ref.Digest == "" && (err != nil || update) {
			before := pin.Digest
			if pin, err = source.Resolve(ctx, ref); err == nil {
				lock.Set(ref, pin.Digest)
				err = s.tellPin(name, ref, before, pin.Digest)
			}
		}
		if err == nil {
			_, err = source.Load(ctx, pin)
		}
		if err != nil {
			// What was found out so far is worth keeping.
			return &failure{exitFailed, errors.Join(fmt.Errorf("plugin %q: %w", name, withHint(err)), lock.Save())}
		}
		used, pinned = append(used, ref), append(pinned, pin)
		if _, err := fmt.Fprintf(s.out, "%s: %s\n", name, pin); err != nil {
			return wrote(err)
		}
	}
	if prune {
		lock.Keep(used)
		files, size, err := source.Prune(pinned)
		if err != nil {
			return &failure{exitFailed, err}
		}
		if _, err := fmt.Fprintf(s.out, "removed %d files, %d bytes\n", files, size); err != nil {
			return wrote(err)
		}
	}
	if err := lock.Save(); err != nil {
		return &failure{exitFailed, err}
	}
	if len(used) == 0 {
		_, err := fmt.Fprintln(s.out, "no plugin comes from a registry")
		return wrote(err)
	}
	return nil
}

// tellPin says what a tag means from now on.
func (s *streams) tellPin(name string, ref supply.Reference, before, now string) error {
	var err error
	switch {
	case before == "":
		_, err = fmt.Fprintf(s.out, "%s: locked %s\n", name, ref)
	case before != now:
		_, err = fmt.Fprintf(s.out, "%s: %s was %s\n", name, ref, before)
	}
	return wrote(err)
}
