package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// defaultFile is the configuration when no -c names one.
const defaultFile = "postern.toml"

func newValidate(s *streams) *cobra.Command {
	var file, format string
	c := &cobra.Command{
		Use:     "validate [FILE]",
		Aliases: []string{"check"},
		Short:   "Check a configuration and everything it names",
		Long: "Check a configuration as run does before it serves: the files, the plugins'\n" +
			"modules, the certificates, every route. No listener is opened. The exit code\n" +
			"is 3 when something is wrong.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				if c.Flags().Changed("config") {
					return errors.New("a file was given twice, as argument and with -c")
				}
				file = args[0]
			}
			if format != "text" && format != "json" {
				return fmt.Errorf("--format is text or json, not %q", format)
			}
			return validate(c.Context(), s, file, format)
		},
	}
	addFile(c, &file)
	c.Flags().StringVar(&format, "format", "text", "of the findings: text or json")
	return c
}

func addFile(c *cobra.Command, file *string) {
	c.Flags().StringVarP(file, "config", "c", defaultFile, "configuration `file`")
}

func validate(ctx context.Context, s *streams, file, format string) error {
	if err := absent(file); err != nil {
		return &failure{exitInvalid, err}
	}
	cfg, findings := config.Load(file)
	if cfg != nil {
		more, err := inspect(ctx, cfg)
		if err != nil && !findings.Failed() {
			return &failure{exitFailed, err}
		}
		findings = findings.And(more)
	}
	var err error
	switch {
	case format == "json":
		_, err = s.out.Write(findings.JSON())
	case findings.Failed():
		_, err = fmt.Fprint(s.err, findings.Text())
	default:
		if len(findings) > 0 { // warnings
			_, _ = fmt.Fprint(s.err, findings.Text()) // the verdict below reports a broken output
		}
		_, err = fmt.Fprintf(s.out, "%s is valid\n", file)
	}
	if err != nil {
		return wrote(err)
	}
	if findings.Failed() {
		return &failure{code: exitInvalid}
	}
	return nil
}

// inspect builds everything that run builds from cfg, and throws it away.
func inspect(ctx context.Context, cfg *config.Config) (config.Findings, error) {
	p, err := newParts(cfg, zap.NewNop())
	if err != nil {
		return nil, err
	}
	defer p.close()
	next, findings := p.build(ctx, cfg, nil, unrecorded{})
	if next != nil {
		next.discard()
	}
	return findings, nil
}

// unrecorded is the recorder of stages that will never serve.
type unrecorded struct{}

func (unrecorded) Record(*proxy.Exchange) {}

// Stage and Canary implement recorders.
func (u unrecorded) Stage(string, string) proxy.Recorder  { return u }
func (u unrecorded) Canary(string, string) proxy.Recorder { return u }

// absent explains what to do when there is no file of the default name.
func absent(file string) error {
	if file != defaultFile {
		return nil
	}
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	here, err := filepath.Abs(".")
	if err != nil {
		here = "this folder"
	}
	return fmt.Errorf("there is no %s in %s; go where yours is, or name one with -c FILE", defaultFile, here)
}
