package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-gateway/postern/plugins/trial"
	"github.com/postern-gateway/postern/proxy/config"
)

// runPluginOptions are the options of the command `plugin run`.
type runPluginOptions struct {
	target
	role, method, data, client string
	resource, request, format  string
	headers, variables         []string
	quiet                      bool
}

func newPluginRun(s *streams) *cobra.Command {
	var o runPluginOptions
	c := &cobra.Command{
		Use:   "run [PLUGIN] [URL]",
		Short: "Give a plugin one request and show every call it makes",
		Long: "Give a plugin one request, as a route would, and show every function of the gateway\n" +
			"that it calls, with the values, and what comes of it. The backend, where the role has\n" +
			"one, is a stand-in. The request is built from the flags as with curl, or read from a\n" +
			"file: a case as \"postern plugin test\" takes, or JSON. The exit code is 1 when the\n" +
			"plugin fails; to deny a request is no failure.",
		Example: "  postern plugin run guard.wasm --set config.token=sesame -H 'Authorization: Bearer sesame' /\n" +
			"  postern plugin run -X POST -d '{\"a\":1}' -H 'Content-Type: application/json' /orders\n" +
			"  postern plugin run guard --request tests/known.txtar\n" +
			"  postern plugin run greeter --resource '/hello/{name}' --var greeting=Moin /hello/Ada",
		Args: cobra.MaximumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkFormat(o.format); err != nil {
				return err
			}
			plugin, url := "", ""
			for _, arg := range args {
				switch {
				case url == "" && isURL(arg):
					url = arg
				case plugin == "":
					plugin = arg
				default:
					return fmt.Errorf("%q: want one PLUGIN and one URL (https://HOST/PATH or /PATH)", arg)
				}
			}
			request, err := o.readCase(c, url)
			if err != nil {
				return err
			}
			if plugin == "" {
				plugin = request.Plugin
			}
			cfg, name, err := o.find(plugin)
			if err != nil {
				return err
			}
			return runPlugin(c.Context(), s, cfg, name, request, &o)
		},
	}
	o.flags(c)
	f := c.Flags()
	f.StringVar(&o.role, "role", "", "the role to run it in; needed when it has several")
	f.StringVarP(&o.method, "request-method", "X", "GET", "the request's method; POST when there is data")
	f.StringArrayVarP(&o.headers, "header", "H", nil, "a request header, `NAME: VALUE`; may be repeated")
	f.StringVarP(&o.data, "data", "d", "", "the request's content; `@FILE` reads it, @- from standard input")
	f.StringVar(&o.client, "client", "", "the client's address")
	f.StringVar(&o.resource, "resource", "", "the route's resource, such as /pets/{id}")
	f.StringArrayVar(&o.variables, "var", nil, "a stage variable, `NAME=VALUE`; may be repeated")
	f.StringVar(&o.request, "request", "", "`FILE` with the request: a case (txtar) or JSON; - is standard input")
	f.StringVar(&o.format, "format", "text", "text or json")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "only what comes of it, not the calls")
	return c
}

// isURL tells a URL, or the part of one from the path on, from a module's file.
func isURL(arg string) bool {
	if strings.HasPrefix(arg, "http://") || strings.HasPrefix(arg, "https://") {
		return true
	}
	st, err := os.Stat(arg)
	return strings.HasPrefix(arg, "/") && !strings.HasSuffix(arg, ".wasm") && (err != nil || st.IsDir())
}

// readCase makes the case that the flags, or the file that they name, describe.
func (o *runPluginOptions) readCase(c *cobra.Command, url string) (*trial.Case, error) {
	request := &trial.Case{Request: trial.Request{Method: o.method}}
	if o.request != "" {
		for _, flag := range []string{"request-method", "header", "data", "client"} {
			if c.Flags().Changed(flag) {
				return nil, fmt.Errorf("--%s and --request: the file has the request", flag)
			}
		}
		if url != "" {
			return nil, errors.New("a URL and --request: the file has the request")
		}
		text, err := readInput(o.request, c.InOrStdin())
		if err != nil {
			return nil, &failure{exitFailed, err}
		}
		if strings.HasPrefix(strings.TrimSpace(string(text)), "{") {
			request, err = parseJSONCase(o.request, text)
		} else {
			request, err = trial.ParseCase(o.request, text)
		}
		if err != nil {
			return nil, &failure{exitInvalid, err}
		}
	} else if err := o.buildRequest(c, url, &request.Request); err != nil {
		return nil, err
	}
	if o.role != "" {
		request.Role = o.role
	}
	if o.resource != "" {
		request.Resource = o.resource
	}
	for _, v := range o.variables {
		name, value, found := strings.Cut(v, "=")
		if !found {
			return nil, fmt.Errorf("--var %q: want NAME=VALUE", v)
		}
		if request.Variables == nil {
			request.Variables = map[string]string{}
		}
		request.Variables[name] = value
	}
	return request, nil
}

// buildRequest fills r from the flags.
func (o *runPluginOptions) buildRequest(c *cobra.Command, url string, r *trial.Request) error {
	if r.URL = url; url == "" {
		r.URL = "/"
	}
	r.Client = o.client
	for _, h := range o.headers {
		name, value, found := strings.Cut(h, ":")
		if !found || strings.TrimSpace(name) != name || name == "" {
			return fmt.Errorf("-H %q: want NAME: VALUE", h)
		}
		r.Headers = append(r.Headers, trial.Header{Name: name, Value: strings.TrimSpace(value)})
	}
	if !c.Flags().Changed("data") {
		return nil
	}
	if !c.Flags().Changed("request-method") {
		r.Method = "POST"
	}
	r.Body = o.data
	if file, found := strings.CutPrefix(o.data, "@"); found {
		text, err := readInput(file, c.InOrStdin())
		if err != nil {
			return &failure{exitFailed, err}
		}
		r.Body = string(text)
	}
	return nil
}

// readInput reads a file, or standard input for "-".
func readInput(file string, stdin io.Reader) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(file)
}

func parseJSONCase(name string, text []byte) (*trial.Case, error) {
	request := new(trial.Case)
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(request); err != nil {
		return nil, fmt.Errorf("%s: want {\"request\": {\"method\": …, \"url\": …, \"headers\": [{\"name\": …, \"value\": …}], \"body\": …}}: %w", name, err)
	}
	if request.Request.Method == "" || request.Request.URL == "" {
		return nil, fmt.Errorf("%s: request.method and request.url must be there", name)
	}
	return request, nil
}

func runPlugin(ctx context.Context, s *streams, cfg *config.Config, name string, request *trial.Case, o *runPluginOptions) error {
	cache, artifacts := folders(cfg)
	b, findings, err := trial.Open(ctx, cfg, name, trial.Options{CacheDir: cache, ArtifactDir: artifacts, Calls: !o.quiet})
	if findings.Failed() {
		return invalidFindings(findings)
	}
	if err != nil {
		return &failure{exitFailed, err}
	}
	defer b.Close()
	outcome, err := b.Run(ctx, request)
	if err != nil {
		if errors.Is(err, trial.ErrRole) {
			return fmt.Errorf("%w (--role)", err)
		}
		return &failure{exitFailed, err}
	}
	if o.format == "json" {
		err = s.printJSON(outcome)
	} else {
		_, werr := fmt.Fprint(s.out, describeOutcome(outcome))
		err = wrote(werr)
	}
	if err == nil && outcome.Verdict == "failed" {
		return &failure{code: exitFailed}
	}
	return err
}

// describeOutcome is an outcome for people.
func describeOutcome(o *trial.Outcome) string {
	var b strings.Builder
	inHost := time.Duration(0)
	for i := range o.Calls {
		inHost += o.Calls[i].Took
		fmt.Fprintf(&b, "  %s\n", o.Calls[i].String())
	}
	for _, line := range o.Lines() {
		b.WriteString(line + "\n")
	}
	if o.Cause != "" {
		fmt.Fprintf(&b, "cause: %s\n", o.Cause)
	}
	if o.Reply.Body != "" {
		fmt.Fprintf(&b, "\n%s\n", strings.TrimSuffix(o.Reply.Body, "\n"))
	}
	took := fmt.Sprintf("%v, %v of CPU", o.Took.Round(time.Microsecond), o.CPU.Round(time.Microsecond))
	if len(o.Calls) > 0 {
		took += fmt.Sprintf(", %d calls of the gateway with %v", len(o.Calls), inHost.Round(time.Microsecond))
	}
	fmt.Fprintf(&b, "\n%s; %d KiB of memory\n", took, o.Memory>>10)
	return b.String()
}
