package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/control"
	"github.com/postern-gateway/postern/proxy/explain"
	"github.com/postern-gateway/postern/proxy/server"
)

// invokeOptions are the options of the command `invoke`.
type invokeOptions struct {
	file, format            string
	stage, data, host, from string
	headers                 []string
}

func newInvoke(s *streams) *cobra.Command {
	var o invokeOptions
	c := &cobra.Command{
		Use:   "invoke API 'VERB /PATH'",
		Short: "Run a request and show what becomes of it, phase by phase",
		Long: "Run a request through the pipeline of its route, and show what each phase made of it:\n" +
			"values before and after, what decided, the time in each. The path is the one in the\n" +
			"API, without the stage. Authorizers, keys, limits and backends are the real ones;\n" +
			"logs and metrics don't count it. Credentials are masked.\n\n" +
			"The gateway that runs with the configuration is asked; when none runs, the\n" +
			"configuration is loaded and the request run here.",
		Example: "  postern invoke pets 'GET /pets/1?x=y' --stage prod\n" +
			"  postern invoke pets 'POST /pets' --stage prod -H 'Content-Type: application/json' -d '{\"name\":\"Rex\"}'\n" +
			"  postern invoke pets 'POST /pets' --stage prod -d @pet.json --format aws",
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c.Context(), s, args[0], args[1]) },
	}
	f := c.Flags()
	addFile(c, &o.file)
	f.StringVar(&o.stage, "stage", "", "the `NAME` of the stage; needed when there are several")
	f.StringArrayVarP(&o.headers, "header", "H", nil, "a request header, `NAME: VALUE`; may be repeated")
	f.StringVarP(&o.data, "data", "d", "", "the content, as `TEXT`; @FILE for a file's, @- for the standard input")
	f.StringVar(&o.host, "host", "", "the `NAME` that the request is for; the API's default without it")
	f.StringVar(&o.from, "source-ip", "", "the client's `ADDRESS`; 127.0.0.1 without it")
	f.StringVar(&o.format, "format", "text", "text, json, or aws: the log of AWS's TestInvokeMethod")
	return c
}

func (o *invokeOptions) run(ctx context.Context, s *streams, api, request string) error {
	if err := checkWord("format", o.format, "text", "json", "aws"); err != nil {
		return err
	}
	verb, path, found := strings.Cut(request, " ")
	if !found || !strings.HasPrefix(path, "/") {
		return fmt.Errorf("%q isn't a request, such as 'GET /pets/1'", request)
	}
	q := control.Question{API: api, Stage: o.stage, Method: strings.ToUpper(verb), Path: path, Host: o.host, SourceIP: o.from}
	headers, err := pairs("--header", ":", o.headers)
	if err != nil {
		return err
	}
	for _, h := range headers {
		q.Headers = append(q.Headers, explain.Value{Name: h.Name, Value: h.Value})
	}
	if q.Body, err = content(o.data); err != nil {
		return &failure{exitFailed, err}
	}
	return atTracing(ctx, s, o.file, inProcess, func(t control.Tracing, cfg *config.Config) error {
		if stages := cfg.API[api].Stage; q.Stage == "" && len(stages) > 0 {
			if q.Stage, err = one("stage", "--stage", "", sortedKeys(stages)); err != nil {
				return &failure{exitUsage, err}
			}
		}
		trace, err := t.Invoke(ctx, q)
		if err != nil {
			return err
		}
		return o.tell(s, trace)
	})
}

// content is what -d names, nil for nothing.
func content(data string) ([]byte, error) {
	file, is := strings.CutPrefix(data, "@")
	switch {
	case data == "":
		return nil, nil
	case !is:
		return []byte(data), nil
	case file == "-":
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(file)
}

// tell writes a trace.
func (o *invokeOptions) tell(s *streams, t *explain.Trace) error {
	switch o.format {
	case "json":
		return s.printJSON(t)
	case "aws":
		_, err := io.WriteString(s.out, t.AWS())
		return wrote(err)
	}
	return wrote(t.WriteText(s.out))
}

// Where a command about traces can run.
type place bool

const (
	atGateway place = false // that runs
	inProcess place = true  // or here, when none does
)

// atTracing calls f with the gateway that runs with the configuration in file or, where
// that will do, with one that serves nobody else.
func atTracing(ctx context.Context, s *streams, file string, where place, f func(control.Tracing, *config.Config) error) error {
	cfg, findings, err := decoded(s, file)
	if err != nil {
		return err
	}
	return reach(ctx, cfg, func(c *control.Client) error { return f(c, cfg) }, func(address string, nobody error) error {
		switch {
		case where == atGateway:
			return fmt.Errorf("admin address %s: %w", address, nobody)
		case findings.Failed():
			return refused(s, findings)
		}
		return atOwn(ctx, s, cfg, func(t control.Tracing) error { return f(t, cfg) })
	})
}

// atOwn calls f with a gateway of its own, which has no listeners. Keys that a running
// gateway made aren't known to it, only those of the configuration.
func atOwn(ctx context.Context, s *streams, cfg *config.Config, f func(control.Tracing) error) error {
	p, err := newParts(cfg, zap.NewNop())
	if err != nil {
		return err
	}
	defer p.close()
	made, findings := p.build(ctx, cfg, nil, unrecorded{})
	if made == nil {
		return refused(s, findings)
	}
	p.catalog(cfg)
	alone := *cfg
	alone.Listen = nil
	own := server.New(server.Options{Certificates: p.certificates})
	if err := own.Apply(&alone, made.snapshot); err != nil {
		made.discard()
		return err
	}
	defer own.Close()
	made.commit()
	return f(&tracer{own, &explain.Desk{}, func() *config.Config { return cfg }})
}
