package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postern-gateway/postern/builtins/workbench"
)

func newTemplateNew(s *streams) *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "new JOB",
		Short: "Begin a template for a common job, with a case",
		Long: "Begin a template for a common job: JOB.vtl, and in tests/ a case for it with what it\n" +
			"prints, and for most jobs a second template for the answer. The jobs:\n\n" + jobTable(),
		Example: "  postern template new dynamodb-put\n" +
			"  postern template new sqs --dir templates && postern template test templates",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("which job? There are %s", strings.Join(workbench.JobNames(), ", "))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			job, err := workbench.FindJob(args[0])
			if err != nil {
				return err
			}
			files, err := job.Create(dir)
			if err != nil {
				return &failure{exitFailed, err}
			}
			return beganTemplate(s, job, dir, files)
		},
	}
	c.Flags().StringVar(&dir, "dir", ".", "the `folder` to write to")
	return c
}

// jobTable lists the jobs for the help text.
func jobTable() string {
	var b strings.Builder
	for _, job := range workbench.Jobs() {
		fmt.Fprintf(&b, "  %-18s %s\n", job.Name, job.Text)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// beganTemplate tells what was written, and what is next.
func beganTemplate(s *streams, job *workbench.Job, dir string, files []string) error {
	var b strings.Builder
	for _, name := range files {
		fmt.Fprintf(&b, "  %s\n", name)
	}
	tests := "tests"
	if dir != "." {
		tests = dir
	}
	fmt.Fprintf(&b, "\nNext: postern template test %s\n\nIn the configuration:\n\n", tests)
	b.WriteString(job.Configuration(dir))
	_, err := fmt.Fprint(s.out, b.String())
	return wrote(err)
}
