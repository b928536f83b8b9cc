package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-gateway/postern/builtins/access"
	"github.com/postern-gateway/postern/proxy/config"
)

func newPolicy(s *streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "Say who may call what, and why",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newPolicyExplain(s))
	return c
}

// policyOptions are the options of the command `policy explain`.
type policyOptions struct {
	file, format, expect string

	api, stage          string
	principal, document string
	address, at, scheme string
	headers, tags       []string
}

func newPolicyExplain(s *streams) *cobra.Command {
	var o policyOptions
	c := &cobra.Command{
		Use:   "explain [CONFIG] ['VERB /PATH']",
		Short: "Say who may call a method, and which statement of which policy decides",
		Long: "Say of one request whether the policies let it in: the API's own, and those of the\n" +
			"principal who signs it. Each statement is shown, and why it doesn't fit. Nothing is\n" +
			"sent, and no authorizer is asked: what a function would answer can be given as a policy\n" +
			"with --answer.\n\n" +
			"Without a request there is a table of all routes, for anonymous callers and each\n" +
			"principal. A path parameter stands for itself there: a policy that tells values of it\n" +
			"apart shows what it does only when it is asked about a request.\n\n" +
			"The exit code is 3 when the configuration is wrong, and 5 when the request comes to\n" +
			"something else than --expect says.",
		Example: "  postern policy explain                                    # who can call what?\n" +
			"  postern policy explain 'GET /pets/1' --source-ip 192.0.2.7\n" +
			"  postern policy explain gateway.toml --api pets --stage prod 'GET /pets/1' --principal alice\n" +
			"  postern policy explain 'GET /pets/1' --answer allow.json --time 2026-12-24T20:00:00Z\n" +
			"  postern policy explain 'DELETE /pets/1' --expect denied   # in CI",
		Args: cobra.MaximumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, s, args) },
	}
	f := c.Flags()
	addFile(c, &o.file)
	f.StringVar(&o.api, "api", "", "the `NAME` of the API; needed for a request when there are several")
	f.StringVar(&o.stage, "stage", "", "the `NAME` of the stage; needed for a request when there are several")
	f.StringVar(&o.principal, "principal", "", "the `NAME` of the principal who signs the request")
	f.StringArrayVar(&o.tags, "tag", nil, "a further tag of the principal, `KEY=VALUE`; may be repeated")
	f.StringVar(&o.document, "answer", "", "the policy in `FILE` is what a function that decides would answer")
	f.StringVar(&o.address, "source-ip", "", "the client's `ADDRESS`; without it, it isn't known")
	f.StringVar(&o.at, "time", "", "when the request comes, as `2026-01-31T08:30:00Z`; without it, now")
	f.StringArrayVarP(&o.headers, "header", "H", nil, "a request header, `NAME: VALUE`; may be repeated")
	f.StringVar(&o.scheme, "scheme", "https", "http or https")
	f.StringVar(&o.expect, "expect", "", "allowed, denied or depends: what the request must come to")
	f.StringVar(&o.format, "format", "text", "text or json")
	return c
}

func (o *policyOptions) run(c *cobra.Command, s *streams, args []string) error {
	request := ""
	for _, arg := range args {
		switch {
		case strings.Contains(arg, " /") && request == "":
			request = arg
		case c.Flags().Changed("config") || strings.Contains(arg, " "):
			return fmt.Errorf("%q is neither a request, such as 'GET /pets', nor the only configuration", arg)
		default:
			o.file = arg
			if err := c.Flags().Set("config", arg); err != nil {
				return err
			}
		}
	}
	if err := o.check(request); err != nil {
		return err
	}
	if err := absent(o.file); err != nil {
		return &failure{exitInvalid, err}
	}
	cfg, findings := config.Load(o.file)
	if cfg == nil || findings.Failed() {
		return invalidFindings(findings)
	}
	r, err := newPolicyReader(cfg, o)
	if err != nil {
		return err
	}
	if request == "" {
		return o.tellTable(s, r)
	}
	return o.tellRequest(s, r, request)
}

// check checks the flags.
func (o *policyOptions) check(request string) error {
	if err := checkFormat(o.format); err != nil {
		return err
	}
	if err := checkWord("scheme", o.scheme, "http", "https"); err != nil {
		return err
	}
	if o.address != "" {
		if _, err := netip.ParseAddr(o.address); err != nil {
			return fmt.Errorf("--source-ip: %q isn't an address", o.address)
		}
	}
	if o.at != "" {
		if _, err := time.Parse(time.RFC3339, o.at); err != nil {
			return fmt.Errorf("--time: %q isn't a time such as 2026-01-31T08:30:00Z", o.at)
		}
	}
	if request != "" && len(o.tags) > 0 && o.principal == "" {
		return errors.New("--tag is for a --principal")
	}
	if o.expect == "" {
		return nil
	}
	if request == "" {
		return errors.New("--expect is for a request")
	}
	return checkWord("expect", o.expect, string(access.Allow), string(access.Deny), string(access.Depends))
}

func (o *policyOptions) tellRequest(s *streams, r *policyReader, request string) error {
	x, err := r.request(request)
	if err != nil {
		return err
	}
	if o.format == "json" {
		err = s.printJSON(x)
	} else {
		_, werr := fmt.Fprint(s.out, describePolicies(x))
		err = wrote(werr)
	}
	if err == nil && o.expect != "" && o.expect != string(x.Outcome) {
		return &failure{exitTests, fmt.Errorf("%s is %s, not %s", x.Request, x.Outcome, o.expect)}
	}
	return err
}

// describePolicies is an explanation for people.
func describePolicies(x *access.Explanation) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s by %s\n", x.Request, x.Caller)
	fmt.Fprintf(&b, "route %q of API %s, stage %s", x.Route, x.API, x.Stage)
	if x.Authorizer != "" {
		fmt.Fprintf(&b, ", authorizer %s", x.Authorizer)
	}
	fmt.Fprintf(&b, "\n%s\n", x.Resource)
	for _, p := range x.Policies {
		fmt.Fprintf(&b, "\n%s: %s\n", p.Policy, p.Decision)
		for _, st := range p.Statements {
			if st.Fits {
				fmt.Fprintf(&b, "  %-5s  %s fits\n", st.Effect, st.Name)
				continue
			}
			fmt.Fprintf(&b, "  -      %s (%s): %s\n", st.Name, st.Effect, st.Why)
		}
	}
	fmt.Fprintf(&b, "\n%s: %s\n", x.Outcome, x.Reason)
	return b.String()
}

// policyRow is what a table says of one route.
type policyRow struct {
	API     string                    `json:"api"`
	Stage   string                    `json:"stage"`
	Route   string                    `json:"route"`
	Callers map[string]access.Outcome `json:"callers"`
}

func (o *policyOptions) tellTable(s *streams, r *policyReader) error {
	rows, err := r.table()
	if err != nil {
		return err
	}
	if o.format == "json" {
		return s.printJSON(rows)
	}
	_, err = fmt.Fprint(s.out, describeTable(rows, r.callers()))
	return wrote(err)
}

// describeTable is a table for people: a column for each caller.
func describeTable(rows []policyRow, callers []string) string {
	cells := [][]string{append([]string{"API", "STAGE", "ROUTE"}, callers...)}
	for _, row := range rows {
		line := []string{row.API, row.Stage, row.Route}
		for _, caller := range callers {
			line = append(line, string(row.Callers[caller]))
		}
		cells = append(cells, line)
	}
	widths := make([]int, len(cells[0]))
	for _, line := range cells {
		for i, cell := range line {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	var b strings.Builder
	for _, line := range cells {
		text := ""
		for i, cell := range line {
			text += cell + strings.Repeat(" ", widths[i]-len([]rune(cell))+2)
		}
		b.WriteString(strings.TrimRight(text, " ") + "\n")
	}
	return b.String()
}

// readAnswer reads the policy that a function would answer: a document, or an
// answer that has it as policyDocument.
func readAnswer(file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, &failure{exitFailed, err}
	}
	var answer struct {
		PolicyDocument json.RawMessage `json:"policyDocument"`
	}
	if json.Unmarshal(text, &answer) == nil && len(answer.PolicyDocument) > 0 {
		return answer.PolicyDocument, nil
	}
	return text, nil
}
