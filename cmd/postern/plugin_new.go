package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postern-gateway/postern/plugins/scaffold"
	"github.com/postern-gateway/postern/sdk/abi"
)

func languageNames() string {
	var names []string
	for _, l := range scaffold.Languages() {
		names = append(names, l.Name)
	}
	return strings.Join(names, ", ")
}

func roleNames() string {
	var names []string
	for _, r := range abi.Roles() {
		if slices.Contains(scaffold.Roles(), r.Name) {
			names = append(names, r.Name)
		}
	}
	return strings.Join(names, ", ")
}

func newPluginNew(s *streams) *cobra.Command {
	var language, role string
	var noBuild bool
	c := &cobra.Command{
		Use:   "new NAME",
		Short: "Begin a plugin",
		Long: "Begin a plugin: a folder NAME with its source, the SDK, a configuration that serves it,\n" +
			"a manifest and two test cases; then build it, if its compiler is there.\n\n" +
			"  languages  " + languageNames() + "\n" +
			"  roles      " + roleNames(),
		Example: "  postern plugin new --lang go --role authorize guard\n" +
			"  cd guard && postern plugin run -H 'Authorization: Bearer sesame' /hello",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			dir, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			p := scaffold.Project{Language: language, Role: role, Name: filepath.Base(dir), Dir: args[0]}
			files, err := p.Create()
			if err != nil {
				if len(files) > 0 { // it began to write
					return &failure{exitFailed, err}
				}
				return err
			}
			return began(c.Context(), s, &p, files, noBuild)
		},
	}
	c.Flags().StringVarP(&language, "lang", "l", "go", "language: "+languageNames())
	c.Flags().StringVarP(&role, "role", "r", "authorize", "role: "+roleNames())
	c.Flags().BoolVar(&noBuild, "no-build", false, "don't build it")
	return c
}

// began tells what was made of a project, and builds it.
func began(ctx context.Context, s *streams, p *scaffold.Project, files []string, noBuild bool) error {
	for _, name := range files {
		if !strings.HasPrefix(name, "postern/") {
			if _, err := fmt.Fprintf(s.out, "  %s\n", filepath.Join(p.Dir, name)); err != nil {
				return wrote(err)
			}
		}
	}
	next := "cd " + p.Dir + " && " + p.BuildCommand() + " && postern plugin test"
	if !noBuild {
		var log bytes.Buffer
		module, err := scaffold.Build(ctx, scaffold.BuildOptions{Dir: p.Dir, Language: p.Language, Log: &log})
		switch {
		case errors.Is(err, scaffold.ErrTool):
			fmt.Fprintf(s.err, "not built: %v\n", err)
		case err != nil:
			return &failure{exitFailed, fmt.Errorf("%w\n%s", err, log.String())}
		default:
			fmt.Fprintf(s.out, "  %s\n", module)
			next = "cd " + p.Dir + " && postern plugin test"
		}
	}
	_, err := fmt.Fprintf(s.out, "\nNext: %s\n%s tells the rest.\n", next, filepath.Join(p.Dir, "README.md"))
	return wrote(err)
}

func newPluginBuild(s *streams) *cobra.Command {
	o := scaffold.BuildOptions{}
	c := &cobra.Command{
		Use:   "build [DIR]",
		Short: "Build a plugin that \"plugin new\" began",
		Long: "Build the plugin in a folder, this one by default, with its language's compiler, and put\n" +
			"manifest.json into the module. The commands are shown. Compilers are looked for in PATH\n" +
			"and, those from npm, in node_modules; when one is missing you are told how to get it.",
		Example: "  postern plugin build\n" +
			"  postern plugin build guard --output build/guard.wasm\n" +
			"  postern plugin build --lang tinygo    # a Go plugin by TinyGo",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if o.Dir = strings.Join(args, ""); o.Dir == "" {
				o.Dir = "."
			}
			o.Log = s.err
			module, err := scaffold.Build(c.Context(), o)
			if err != nil {
				return &failure{exitFailed, err}
			}
			_, err = fmt.Fprintln(s.out, module)
			return wrote(err)
		},
	}
	c.Flags().StringVarP(&o.Language, "lang", "l", "", "language, when the files don't tell: "+languageNames())
	c.Flags().StringVarP(&o.Output, "output", "o", "", "the module's `file`; NAME.wasm by default")
	return c
}
