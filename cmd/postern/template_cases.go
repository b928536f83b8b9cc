package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postern-gateway/postern/builtins/workbench"
)

func newTemplateTest(s *streams) *cobra.Command {
	var suite workbench.Suite
	var format string
	var missed bool
	c := &cobra.Command{
		Use:   "test [PATH]...",
		Short: "Run templates' cases",
		Long: "Run the cases in files and folders, tests/ by default, and tell what they cover of the\n" +
			"templates. The exit code is 5 when a case fails. A case is a file NAME.case.json:\n\n" +
			"  {\n" +
			"    \"template_file\": \"../order.vtl\",\n" +
			"    \"body\": {\"id\": 7, \"name\": \"Ada\"},\n" +
			"    \"querystring\": {\"page\": \"2\"}\n" +
			"  }\n\n" +
			"and beside it NAME.golden is what the template prints, byte by byte; --update writes it.\n" +
			"What a template sees is as for \"postern template eval --input\". A case may also have:\n\n" +
			"  template   the template itself         profile  gateway or velocity\n" +
			"  output     in place of NAME.golden     side     request or response\n" +
			"  overrides  {\"responseOverride\": {\"status\": 404}}: what it sets, all of it\n" +
			"  error      \"parse\" or \"eval\": the template is to fail\n" +
			"  skip       why it isn't run            name     what it is called\n" +
			"  body_file  the body, in a file         assumed  what the output rests on\n\n" +
			"A file NAME.jsonl has many cases, one a line.",
		Example: "  postern template test\n" +
			"  postern template test tests/first.case.json --explain   # why does it fail?\n" +
			"  postern template test --update && git diff              # take what comes out\n" +
			"  postern template test templates/ cases.jsonl --format json",
		RunE: func(_ *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			if err := checkWord("profile", suite.Profile, workbench.Profiles()...); err != nil {
				return err
			}
			if len(args) == 0 {
				args = []string{"tests"}
			}
			report, err := suite.Run(args)
			if errors.Is(err, workbench.ErrNoCases) {
				return err
			}
			if err != nil {
				return &failure{exitFailed, err}
			}
			return tellReport(s, report, format, missed)
		},
	}
	f := c.Flags()
	f.BoolVar(&suite.Update, "update", false, "write what came out into the cases as what they want")
	f.BoolVar(&suite.Explain, "explain", false, "of cases that fail, say what each reference was")
	f.BoolVar(&missed, "missed", false, "list the lines and branches that no case reaches")
	f.StringVar(&format, "format", "text", "text or json")
	addProfile(c, &suite.Profile, "render cases that name no profile as")
	return c
}

func tellReport(s *streams, r *workbench.Report, format string, missed bool) error {
	var err error
	if format == "json" {
		err = s.printJSON(r)
	} else {
		_, werr := fmt.Fprint(s.out, describeSuite(r, missed))
		err = wrote(werr)
	}
	if err == nil && r.Failed > 0 {
		return &failure{code: exitTests}
	}
	return err
}

// describeSuite is a report for people. Of a file of many cases that pass only
// their number is told.
func describeSuite(r *workbench.Report, missed bool) string {
	var b strings.Builder
	many := map[string]int{}
	for i := range r.Results {
		if c := &r.Results[i]; c.Line > 0 && c.Verdict == workbench.Passed {
			many[c.File]++
		}
	}
	for i := range r.Results {
		c := &r.Results[i]
		place := c.File
		if c.Line > 0 {
			place = fmt.Sprintf("%s:%d", c.File, c.Line)
			if c.Name != "" {
				place += " " + c.Name
			}
		}
		switch {
		case c.Verdict == workbench.Failed:
			fmt.Fprintf(&b, "FAIL %s\n       %s\n", place, strings.Join(c.Text, "\n       "))
			if len(c.References) > 0 {
				b.WriteString(describeReferences(c.References))
			}
		case c.Verdict == workbench.Skipped:
			fmt.Fprintf(&b, "skip %s: %s\n", place, strings.Join(c.Text, " "))
		case c.Line == 0:
			fmt.Fprintf(&b, "ok   %s\n", place)
		case many[c.File] > 0:
			fmt.Fprintf(&b, "ok   %s: %d cases\n", c.File, many[c.File])
			many[c.File] = 0
		}
	}
	for _, name := range r.Written {
		fmt.Fprintf(&b, "new  %s\n", name)
	}
	for i := range r.Coverage {
		c := &r.Coverage[i]
		fmt.Fprintf(&b, "covered %s\n", c.String())
		if missed {
			for j := range c.Missed {
				b.WriteString(c.Missed[j].String())
			}
		}
	}
	fmt.Fprintf(&b, "%d passed, %d failed, %d skipped\n", r.Passed, r.Failed, r.Skipped)
	return b.String()
}
