package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"

	"strings"

	"github.com/spf13/cobra"

	"github.com/postern-gateway/postern/plugins/trial"
)

func newPluginTest(s *streams) *cobra.Command {
	var t target
	var plugin string
	var update bool
	c := &cobra.Command{
		Use:   "test [DIR|FILE]...",
		Short: "Run a plugin's cases",
		Long: "Run the cases in a folder, tests/ by default: files NAME.txtar, each with a request and\n" +
			"what should come of it. Time and random numbers are the same in every run. The exit\n" +
			"code is 5 when a case fails. A case:\n\n" +
			"  # Who knows the word gets in.\n" +
			"  role authorize\n" +
			"  -- request --\n" +
			"  GET /private\n" +
			"  Authorization: Bearer sesame\n" +
			"  -- want --\n" +
			"  verdict: allow\n" +
			"  not header Set-Cookie\n\n" +
			"Above the request may stand: plugin NAME, role ROLE, resource /pets/{id}, client ADDRESS,\n" +
			"variable NAME=VALUE, skip REASON. A file \"backend\" is the backend's answer (200, headers,\n" +
			"an empty line, content), \"want.body\" the content for the client. Lines of \"want\" are\n" +
			"those that \"postern plugin run\" prints; --update writes all of them.",
		Example: "  postern plugin test\n" +
			"  postern plugin test --plugin guard.wasm --set config.token=sesame cases/\n" +
			"  postern plugin test --update tests/known.txtar && git diff",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{"tests"}
			}
			files, err := caseFiles(args)
			if err != nil {
				return err
			}
			return testPlugin(c.Context(), s, &t, plugin, files, update)
		},
	}
	t.flags(c)
	c.Flags().StringVar(&plugin, "plugin", "", "the `PLUGIN` of cases that name none")
	c.Flags().BoolVar(&update, "update", false, "write what came out into the cases as what they want")
	return c
}

// caseFiles are the files that args, files and folders, mean.
func caseFiles(args []string) ([]string, error) {
	var files []string
	for _, arg := range args {
		st, err := os.Stat(arg)
		if err != nil {
			return nil, fmt.Errorf("no cases: %w", err)
		}
		if !st.IsDir() {
			files = append(files, arg)
			continue
		}
		entries, err := os.ReadDir(arg)
		if err != nil {
			return nil, &failure{exitFailed, err}
		}
		found := 0
		for _, e := range entries {
			if filepath.Ext(e.Name()) == ".txtar" && !e.IsDir() {
				files = append(files, filepath.Join(arg, e.Name()))
				found++
			}
		}
		if found == 0 {
			return nil, fmt.Errorf("%s has no cases: files NAME.txtar", arg)
		}
	}
	return files, nil
}

// seed gives guests the same random numbers in every run.
func seed() io.Reader { return rand.NewChaCha8([32]byte{}) }

// caseRun runs cases; plugins that several of them need are loaded once.
type caseRun struct {
	*streams
	target  *target
	plugin  string
	update  bool
	benches map[string]*trial.Bench

	passed, failed, skipped int
}

func testPlugin(ctx context.Context, s *streams, t *target, plugin string, files []string, update bool) error {
	r := &caseRun{streams: s, target: t, plugin: plugin, update: update, benches: map[string]*trial.Bench{}}
	defer func() {
		for _, b := range r.benches {
			b.Close()
		}
	}()
	for _, file := range files {
		if err := r.file(ctx, file); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintf(s.out, "%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped); err != nil {
		return wrote(err)
	}
	if r.failed > 0 {
		return &failure{code: exitTests}
	}
	return nil
}

// file runs one case. An error ends the run: nothing can be said of the plugin.
func (r *caseRun) file(ctx context.Context, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return &failure{exitFailed, err}
	}
	c, err := trial.ParseCase(file, text)
	if err != nil {
		return &failure{exitInvalid, err}
	}
	if c.Skip != "" {
		r.skipped++
		_, err := fmt.Fprintf(r.out, "skip %s: %s\n", file, c.Skip)
		return wrote(err)
	}
	b, err := r.bench(ctx, c)
	if err != nil {
		return err
	}
	outcome, err := b.Run(ctx, c)
	var wrong []string
	switch {
	case err != nil:
		wrong = []string{err.Error()}
	case r.update:
		if now := c.Update(outcome); !bytes.Equal(now, text) {
			if err := os.WriteFile(file, now, 0o644); err != nil {
				return &failure{exitFailed, err}
			}
			r.passed++
			_, err := fmt.Fprintf(r.out, "new  %s\n", file)
			return wrote(err)
		}
	case len(c.Want) == 0 && c.WantBody == nil:
		wrong = []string{"it wants nothing: add a file want, or run with --update"}
	default:
		wrong = c.Check(outcome)
	}
	if len(wrong) == 0 {
		r.passed++
		_, err := fmt.Fprintf(r.out, "ok   %s\n", file)
		return wrote(err)
	}
	r.failed++
	if outcome != nil && outcome.Cause != "" {
		wrong = append(wrong, "cause: "+outcome.Cause)
	}
	_, err = fmt.Fprintf(r.out, "FAIL %s\n       %s\n", file, strings.Join(wrong, "\n       "))
	return wrote(err)
}

// bench returns the loaded plugin of a case.
func (r *caseRun) bench(ctx context.Context, c *trial.Case) (*trial.Bench, error) {
	plugin := c.Plugin
	if plugin == "" {
		plugin = r.plugin
	}
	if b := r.benches[plugin]; b != nil {
		return b, nil
	}
	cfg, name, err := r.target.find(plugin)
	if err != nil {
		return nil, err
	}
	cache, artifacts := folders(cfg)
	b, findings, err := trial.Open(ctx, cfg, name, trial.Options{CacheDir: cache, ArtifactDir: artifacts, Seed: seed()})
	if findings.Failed() {
		return nil, invalidFindings(findings)
	}
	if err != nil {
		return nil, &failure{exitFailed, err}
	}
	r.benches[plugin] = b
	return b, nil
}
