package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postern-gateway/postern/builtins/workbench"
)

// evalOptions are the options of the command `template eval`.
type evalOptions struct {
	routeTemplate
	text, input, data    string
	path, query, headers []string
	after, afterData     string
	contexts, variables  []string
	profile, format      string
	explain              bool
	fromStdin            string // what reads standard input already
}

func newTemplateEval(s *streams) *cobra.Command {
	var o evalOptions
	c := &cobra.Command{
		Use:   "eval [FILE]",
		Short: "Render a template and print what comes out",
		Long: "Render the template in FILE, or from standard input, with what the flags give it, and\n" +
			"print what it prints, byte by byte. What else there is to say goes to standard error:\n" +
			"what it set below $context.requestOverride and responseOverride, warnings, and with\n" +
			"--explain each reference, what it was, and why it was empty.\n\n" +
			"--input reads all at once from a JSON file; flags add to it or replace it:\n\n" +
			"  {\"body\": {\"id\": 7}, \"path\": {\"petId\": \"7\"}, \"querystring\": {\"q\": [\"a\", \"b\"]},\n" +
			"   \"header\": {\"Accept\": \"text/plain\"}, \"stageVariables\": {\"table\": \"pets\"},\n" +
			"   \"context\": {\"requestId\": \"r-1\", \"identity\": {\"sourceIp\": \"192.0.2.1\"}}}\n\n" +
			"A body that is a JSON text in quotes stands for what it says, any other for itself. A\n" +
			"case of \"postern template test\" is such a file, too, and has its template with it. The\n" +
			"exit code is 3 when the template can't be read, 1 when it fails while it is rendered.",
		Example: "  postern template eval order.vtl -d '{\"id\": 7}' -q page=2 -H 'Accept: text/plain'\n" +
			"  postern template eval order.vtl -d @order.json --path petId=7 --var table=pets\n" +
			"  postern template eval --input tests/first.case.json --explain\n" +
			"  postern template eval answer.vtl --side response --context identity.sourceIp=192.0.2.1\n" +
			"  postern template eval -c postern.toml --route 'GET /pets' -d @order.json\n" +
			"  echo '$input.params(\"a\")' | postern template eval --query a=b",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return o.run(c, s, strings.Join(args, ""))
		},
	}
	f := c.Flags()
	f.StringVarP(&o.text, "template", "e", "", "the template's `text`, in place of a file")
	f.StringVarP(&o.data, "data", "d", "", "the body; `@FILE` reads it, @- from standard input")
	f.StringArrayVarP(&o.path, "path", "p", nil, "a path parameter, `NAME=VALUE`; may be repeated")
	f.StringArrayVarP(&o.query, "query", "q", nil, "a parameter of the query string, `NAME=VALUE`; may be repeated")
	f.StringArrayVarP(&o.headers, "header", "H", nil, "a request header, `NAME: VALUE`; may be repeated")
	f.StringArrayVar(&o.variables, "var", nil, "a stage variable, `NAME=VALUE`; may be repeated")
	f.StringArrayVar(&o.contexts, "context", nil, "a value of $context, `NAME=VALUE` as in identity.sourceIp=192.0.2.1, or @FILE with a JSON object; may be repeated")
	f.StringVar(&o.input, "input", "", "`FILE` with all of these as JSON, - for standard input, or FILE.jsonl:LINE")
	f.StringVar(&o.after, "after", "", "for a response template: the `FILE` of the request template that was rendered before")
	f.StringVar(&o.afterData, "after-data", "", "the request's body, for --after; `@FILE` reads it")
	f.BoolVar(&o.explain, "explain", false, "say of each reference what it was, and why it was empty")
	f.StringVar(&o.format, "format", "text", "text or json")
	addProfile(c, &o.profile, "render as")
	o.routeTemplate.flags(c)
	return c
}

func (o *evalOptions) run(c *cobra.Command, s *streams, file string) error {
	if err := checkFormat(o.format); err != nil {
		return err
	}
	if err := checkWord("profile", o.profile, workbench.Profiles()...); err != nil {
		return err
	}
	if err := checkWord("side", o.side, workbench.RequestSide, workbench.ResponseSide); err != nil {
		return err
	}
	given, err := o.given(c)
	if err != nil {
		return err
	}
	if given.Side != "" && !c.Flags().Changed("side") {
		o.side = given.Side
	}
	given.Side = o.side
	name, text, err := o.source(c, file, given)
	if err != nil {
		return err
	}
	if err := o.add(c, &given.Input); err != nil {
		return err
	}
	if given.Profile == "" || c.Flags().Changed("profile") {
		given.Profile = o.profile
	}
	return o.eval(s, name, text, given)
}

// given reads --input; without it nothing is given.
func (o *evalOptions) given(c *cobra.Command) (*workbench.Case, error) {
	if o.input == "" {
		return new(workbench.Case), nil
	}
	var given *workbench.Case
	var err error
	if o.input == "-" {
		var text []byte
		if text, err = o.read(c, "--input", "-"); err == nil {
			given, err = workbench.ParseCase("stdin", text)
		}
	} else {
		given, err = workbench.ReadCase(o.input)
	}
	var m *workbench.Mistake
	switch {
	case errors.As(err, &m):
		return nil, &failure{exitInvalid, err}
	case err != nil:
		return nil, &failure{exitFailed, fmt.Errorf("--input: %w", err)}
	}
	return given, nil
}

// read reads the file that a flag names, standard input for "-", which only one
// of them can have.
func (o *evalOptions) read(c *cobra.Command, flag, file string) ([]byte, error) {
	if file == "-" {
		if o.fromStdin != "" {
			return nil, fmt.Errorf("%s and %s can't both be read from standard input", o.fromStdin, flag)
		}
		o.fromStdin = flag
	}
	text, err := readInput(file, c.InOrStdin())
	if err != nil {
		return nil, &failure{exitFailed, fmt.Errorf("%s: %w", flag, err)}
	}
	return text, nil
}

// source returns the template and what it is called in messages.
func (o *evalOptions) source(c *cobra.Command, file string, given *workbench.Case) (name, text string, err error) {
	inline, route := c.Flags().Changed("template"), c.Flags().Changed("route")
	for _, flag := range []string{"config", "api", "stage", "response", "media-type"} {
		if c.Flags().Changed(flag) && !route {
			return "", "", fmt.Errorf("--%s is for --route, as in --route 'GET /pets'", flag)
		}
	}
	switch {
	case inline && file != "", route && file != "", inline && route:
		return "", "", errors.New("the template was given twice: FILE, --template and --route exclude one another")
	case inline:
		return "--template", o.text, nil
	case route:
		return o.routeTemplate.find(given)
	case file == "" && given.HasTemplate():
		if given.TemplateFile != "" {
			return given.TemplateFile, given.Template, nil
		}
		return o.input + ": template", given.Template, nil
	case file == "" && typed(c.InOrStdin()):
		return "", "", errors.New("which template? Name its FILE, - for standard input, or write it behind -e")
	case file == "":
		file = "-"
	}
	content, err := o.read(c, "the template", file)
	if err != nil && strings.ContainsAny(file, "$#") {
		err = &failure{exitFailed, fmt.Errorf("there is no file %s\n  hint: -e takes the template itself", file)}
	}
	if file == "-" {
		file = "stdin"
	}
	return file, string(content), err
}

// typed reports whether somebody would have to type what is read from r.
func typed(r io.Reader) bool {
	w, ok := r.(io.Writer)
	return ok && isTerminal(w)
}

// add adds what the flags give to in.
func (o *evalOptions) add(c *cobra.Command, in *workbench.Input) (err error) {
	if c.Flags().Changed("data") {
		if in.Body, err = o.content(c, "--data", o.data); err != nil {
			return err
		}
	}
	if c.Flags().Changed("after") {
		text, err := o.read(c, "--after", o.after)
		if err != nil {
			return err
		}
		in.After = &workbench.After{Name: o.after, Template: string(text)}
	}
	if c.Flags().Changed("after-data") {
		if in.After == nil {
			return errors.New("--after-data is for --after, as in --after request.vtl")
		}
		if in.After.Body, err = o.content(c, "--after-data", o.afterData); err != nil {
			return err
		}
	}
	for _, list := range []struct {
		flag, separator, want string
		from                  []string
		to                    *[]workbench.Pair
	}{
		{"--path", "=", "NAME=VALUE", o.path, &in.Path},
		{"--query", "=", "NAME=VALUE", o.query, &in.Query},
		{"--header", ":", "NAME: VALUE", o.headers, &in.Header},
		{"--var", "=", "NAME=VALUE", o.variables, &in.Stage},
	} {
		if err := addPairs(list.to, list.from, list.flag, list.separator, list.want); err != nil {
			return err
		}
	}
	for _, text := range o.contexts {
		if err := o.addContext(c, in, text); err != nil {
			return err
		}
	}
	return nil
}

// content is what a flag gives for a body: itself, or the file behind "@".
func (o *evalOptions) content(c *cobra.Command, flag, value string) ([]byte, error) {
	if file, found := strings.CutPrefix(value, "@"); found {
		return o.read(c, flag, file)
	}
	return []byte(value), nil
}

// addPairs adds what a flag gave; its names replace those that are there.
func addPairs(to *[]workbench.Pair, from []string, flag, separator, want string) error {
	var added []workbench.Pair
	for _, text := range from {
		name, value, found := strings.Cut(text, separator)
		if !found || name == "" || strings.TrimSpace(name) != name {
			return fmt.Errorf("%s %q: want %s", flag, text, want)
		}
		if separator == ":" {
			value = strings.TrimSpace(value)
		}
		added = append(added, workbench.Pair{Name: name, Value: value})
	}
	var kept []workbench.Pair
	for _, old := range *to {
		replaced := false
		for _, p := range added {
			replaced = replaced || p.Name == old.Name
		}
		if !replaced {
			kept = append(kept, old)
		}
	}
	*to = append(kept, added...)
	return nil
}

func (o *evalOptions) addContext(c *cobra.Command, in *workbench.Input, text string) error {
	file, found := strings.CutPrefix(text, "@")
	if !found {
		name, value, found := strings.Cut(text, "=")
		if !found {
			return fmt.Errorf("--context %q: want NAME=VALUE, or @FILE with a JSON object", text)
		}
		if err := in.SetContext(name, value); err != nil {
			return fmt.Errorf("--context %w", err)
		}
		return nil
	}
	content, err := o.read(c, "--context", file)
	if err != nil {
		return err
	}
	if err := in.AddContext(file, content); err != nil {
		return &failure{exitInvalid, err}
	}
	return nil
}

// eval renders the template and tells what came of it.
func (o *evalOptions) eval(s *streams, name, text string, given *workbench.Case) error {
	outcome := new(workbench.Outcome)
	t, err := workbench.Parse(name, text, given.Profile)
	switch {
	case err != nil:
		outcome.Failed = workbench.ParseError
		if !errors.As(err, &outcome.Failure) {
			return &failure{exitFailed, err}
		}
	case o.explain:
		outcome = t.Explain(&given.Input)
	default:
		outcome = t.Render(&given.Input)
	}
	code := exitFailed
	if outcome.Failed == workbench.ParseError {
		code = exitInvalid
	}
	if o.format == "json" {
		if err := s.printJSON(outcome); err != nil || outcome.Failure == nil {
			return err
		}
		return &failure{code: code}
	}
	var aside strings.Builder
	if o.explain && outcome.Failed != workbench.ParseError {
		aside.WriteString(describeReferences(outcome.References))
	}
	for _, w := range outcome.Warnings {
		aside.WriteString(w + "\n")
	}
	aside.WriteString(describeOverrides(outcome.Overrides))
	_, _ = fmt.Fprint(s.err, aside.String()) // nothing is left to tell it to
	if outcome.Failure != nil {
		return &failure{code, outcome.Failure}
	}
	return writeOutput(s.out, outcome.Output)
}
