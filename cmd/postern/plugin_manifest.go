package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/postern-gateway/postern/plugins/manifest"
)

func newPluginManifest(s *streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "manifest",
		Short: "Write or show what a module says of itself",
		Long: "Write or show what a module says of itself: a custom section \"" + manifest.Section + "\" with\n" +
			"JSON. Keys: name, version (both required), description, homepage, license, roles,\n" +
			"wants (capabilities), hosts (origins that it calls), config (the JSON Schema of its\n" +
			"configuration, which the gateway then checks at load).",
		Example: "  postern plugin manifest add guard.wasm manifest.json\n" +
			"  postern plugin manifest show guard.wasm",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	var output string
	add := &cobra.Command{
		Use:     "add MODULE MANIFEST",
		Short:   "Write a manifest into a module",
		Example: "  postern plugin manifest add guard.wasm manifest.json",
		Args:    cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			if output == "" {
				output = args[0]
			}
			return addManifest(s, args[0], args[1], output)
		},
	}
	add.Flags().StringVarP(&output, "output", "o", "", "write the module to this `file` and not in place")
	show := &cobra.Command{
		Use:     "show MODULE",
		Short:   "Print a module's manifest",
		Example: "  postern plugin manifest show guard.wasm",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			wasm, err := os.ReadFile(args[0])
			if err != nil {
				return &failure{exitFailed, err}
			}
			m, err := manifest.Read(wasm)
			if err != nil {
				return &failure{exitInvalid, fmt.Errorf("%s: %w", args[0], err)}
			}
			if m == nil {
				return &failure{exitInvalid, fmt.Errorf("%s has no manifest; add one: postern plugin manifest add %s manifest.json", args[0], args[0])}
			}
			return s.printJSON(m)
		},
	}
	c.AddCommand(add, show)
	return c
}

func addManifest(s *streams, module, file, output string) error {
	wasm, err := os.ReadFile(module)
	if err != nil {
		return &failure{exitFailed, err}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return &failure{exitFailed, err}
	}
	m, err := manifest.Parse(text)
	if err != nil {
		return &failure{exitInvalid, fmt.Errorf("%s: %w", file, err)}
	}
	with, err := manifest.Add(wasm, text)
	if err != nil {
		return &failure{exitInvalid, fmt.Errorf("%s: %w", module, err)}
	}
	if err := os.WriteFile(output, with, 0o644); err != nil {
		return &failure{exitFailed, err}
	}
	_, err = fmt.Fprintf(s.out, "%s: %s %s\n", output, m.Name, m.Version)
	return wrote(err)
}
