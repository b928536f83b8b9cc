package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postern-gateway/postern/builtins/workbench"
)

func newTemplate(s *streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "template",
		Short: "Try, test and begin mapping templates",
		Long: "Try, test and begin mapping templates: VTL as AWS API Gateway renders it. No gateway and\n" +
			"no configuration are needed.",
		Example: "  postern template new dynamodb-put                      # begin one, with a case\n" +
			"  postern template eval order.vtl -d '{\"id\": 7}'         # what does it print?\n" +
			"  postern template eval order.vtl -d @in.json --explain  # and why is that empty?\n" +
			"  postern template test                                  # run the cases in tests/",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newTemplateEval(s), newTemplateTest(s), newTemplateNew(s))
	return c
}

// addProfile adds the flag --profile; what says what it is for.
func addProfile(c *cobra.Command, profile *string, what string) {
	c.Flags().StringVar(profile, "profile", workbench.GatewayProfile, what+": gateway, as AWS renders, or velocity, plain Velocity 1.7")
}

// checkWord checks a flag that takes one of words.
func checkWord(flag, word string, words ...string) error {
	for _, w := range words {
		if word == w {
			return nil
		}
	}
	return fmt.Errorf("--%s is %s, not %q", flag, strings.Join(words, " or "), word)
}

// describeOverrides is what a template set below $context, one a line.
func describeOverrides(overrides json.RawMessage) string {
	var b strings.Builder
	if len(overrides) > 0 {
		fmt.Fprintf(&b, "overrides: %s\n", overrides)
	}
	return b.String()
}

// describeReferences is an explanation for people.
func describeReferences(references []workbench.Reference) string {
	if len(references) == 0 {
		return "the template looked no reference up\n"
	}
	var b strings.Builder
	for i := range references {
		b.WriteString(references[i].String())
	}
	return b.String()
}

// writeOutput writes what a template prints, byte by byte. A person at a terminal
// gets a newline behind it.
func writeOutput(out io.Writer, text string) error {
	if isTerminal(out) && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	_, err := io.WriteString(out, text)
	return wrote(err)
}
