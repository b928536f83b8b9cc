package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/control"
	"github.com/postern-gateway/postern/proxy/deployment"
)

// deployOptions are what the commands about deployments have in common.
type deployOptions struct {
	file, stage, format string
	number              int
	message             string
}

// atDeployments calls f with the gateway that runs with the configuration in file or,
// when none does, with what the next one that starts will serve.
func atDeployments(ctx context.Context, s *streams, file string, f func(control.Deployments) error) error {
	cfg, findings, err := decoded(s, file)
	if err != nil {
		return err
	}
	err = reach(ctx, cfg, func(c *control.Client) error { return f(c) }, func(string, error) error {
		if findings.Failed() { // one that runs may be more content with the file: it knows its own
			return refused(s, findings)
		}
		return atArchive(cfg, file, f)
	})
	var failed *failure
	if errors.As(err, &failed) && errors.Is(failed.err, control.ErrConfiguration) {
		fmt.Fprintln(s.err, strings.TrimSuffix(err.Error(), "\n"))
		return &failure{code: exitInvalid}
	}
	return err
}

// atArchive opens what is deployed itself.
func atArchive(cfg *config.Config, file string, f func(control.Deployments) error) error {
	p, err := newParts(cfg, zap.NewNop())
	if err != nil {
		return err
	}
	defer p.close()
	o := &offline{parts: p, deployments: newDeployments(cfg, p.plugins, zap.NewNop()), file: file, cfg: cfg}
	if o.deployments.dir == "" {
		return errors.New("no gateway runs, and there is no folder where one would keep deployments: set data_dir")
	}
	return f(o.deployer())
}

// command returns a command about one API, and its stage unless that is "".
func (o *deployOptions) command(use, short, long string, run func(c *cobra.Command, args []string) error) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Long: long, Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		if err := checkFormat(o.format); err != nil {
			return err
		}
		return run(c, args)
	}}
	addFile(c, &o.file)
	c.Flags().StringVar(&o.format, "format", "text", "of the answer: text or json")
	return c
}

// onStage adds the option that names the stage.
func (o *deployOptions) onStage(c *cobra.Command) *cobra.Command {
	c.Flags().StringVar(&o.stage, "stage", "", "the `stage`; needed")
	_ = c.MarkFlagRequired("stage") // it is there
	return c
}

// outcome tells what came of a change.
func (o *deployOptions) outcome(s *streams, out control.Outcome, verb string) error {
	return o.show(s, out, func(w io.Writer) {
		where := out.API + ":" + out.Stage
		if out.Canary {
			where = "the canary of " + where
		}
		if out.Deployment == nil {
			fmt.Fprintf(w, "%s: %s\n", where, verb)
			return
		}
		fmt.Fprintf(w, "%s: %s deployment %d (%.12s)", where, verb, out.Deployment.Number, out.Deployment.Digest)
		if out.Before != 0 && out.Before != out.Deployment.Number {
			fmt.Fprintf(w, ", was %d", out.Before)
		}
		fmt.Fprintln(w)
	})
}

// show writes v as JSON, or in words.
func (o *deployOptions) show(s *streams, v any, words func(io.Writer)) error {
	if o.format == "json" {
		e := json.NewEncoder(s.out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return wrote(e.Encode(v))
	}
	w := tabwriter.NewWriter(s.out, 0, 8, 2, ' ', 0)
	words(w)
	return wrote(w.Flush())
}

func newDeploy(s *streams) *cobra.Command {
	var o deployOptions
	c := o.command("deploy API", "Have a stage serve what the configuration says now",
		"Have a stage serve what the configuration's file says of the API now, as a new\n"+
			"deployment: routes, templates, models, policy, authorizers and plugins as they are.\n"+
			"A stage with a canary serves it to the canary's share of requests, until \"postern\n"+
			"promote\". Nothing changes if anything is wrong: the exit code is 3 then.\n\n"+
			"Stages deploy by themselves at each reload unless they, or [gateway], say\n"+
			"deploy = \"manual\".",
		func(c *cobra.Command, args []string) error {
			return atDeployments(c.Context(), s, o.file, func(d control.Deployments) error {
				out, err := d.Deploy(c.Context(), args[0], o.stage, o.message, whoAsks())
				if err != nil {
					return err
				}
				return o.outcome(s, out, "serves")
			})
		})
	c.Flags().StringVarP(&o.message, "message", "m", "", "what it is, for \"postern deployments\"")
	return o.onStage(c)
}

func newRollback(s *streams) *cobra.Command {
	var o deployOptions
	c := o.command("rollback API", "Have a stage serve an older deployment",
		"Have a stage serve the deployment that it served before, or any that is kept. Again\n"+
			"goes back further. A stage that follows the configuration does so again when what\n"+
			"that says of the API changes.",
		func(c *cobra.Command, args []string) error {
			return atDeployments(c.Context(), s, o.file, func(d control.Deployments) error {
				out, err := d.Rollback(c.Context(), args[0], o.stage, o.number, whoAsks())
				if err != nil {
					return err
				}
				return o.outcome(s, out, "serves")
			})
		})
	c.Flags().IntVar(&o.number, "to", 0, "`number` of the deployment; 0 is the one before")
	return o.onStage(c)
}

func newPromote(s *streams) *cobra.Command {
	var o deployOptions
	c := o.command("promote API", "Have a whole stage serve what its canary does",
		"Have a whole stage serve the deployment that its canary serves.",
		func(c *cobra.Command, args []string) error {
			return atDeployments(c.Context(), s, o.file, func(d control.Deployments) error {
				out, err := d.Promote(c.Context(), args[0], o.stage, whoAsks())
				if err != nil {
					return err
				}
				return o.outcome(s, out, "serves")
			})
		})
	return o.onStage(c)
}

func newDeploymentList(s *streams) *cobra.Command {
	var o deployOptions
	c := o.command("deployments API", "List the deployments of an API, and which its stages serve", "",
		func(c *cobra.Command, args []string) error {
			return atDeployments(c.Context(), s, o.file, func(d control.Deployments) error {
				h, err := d.History(c.Context(), args[0])
				if err != nil {
					return err
				}
				return o.show(s, h, func(w io.Writer) { writeHistory(w, h) })
			})
		})
	c.AddCommand(newDeploymentShow(s), newDeploymentDelete(s))
	return c
}

// writeHistory lists deployments, latest first.
func writeHistory(w io.Writer, h *deployment.History) {
	fmt.Fprintln(w, "NUMBER\tSTAGES\tCREATED\tBY\tDIGEST\tMESSAGE")
	for i := len(h.Deployments) - 1; i >= 0; i-- {
		d := h.Deployments[i]
		var users []string
		for _, name := range h.Users(d.Number) {
			if h.Stages[name].Deployment == d.Number {
				users = append(users, name)
			}
			if h.Stages[name].Canary == d.Number {
				users = append(users, name+" (canary)")
			}
		}
		by := d.By
		if by == "" {
			by = "reload"
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%.12s\t%s\n", d.Number, strings.Join(users, ", "), d.Created.Local().Format(time.DateTime), by, d.Digest, oneLine(d.Message))
	}
}

// oneLine returns a text that a table can hold.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func newDeploymentShow(s *streams) *cobra.Command {
	var o deployOptions
	c := &cobra.Command{
		Use:   "show API DEPLOYMENT",
		Short: "Show what a deployment has, by number or stage, as JSON without secrets",
		Args:  cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			return atDeployments(c.Context(), s, o.file, func(d control.Deployments) error {
				doc, err := d.Document(c.Context(), args[0], args[1])
				if err != nil {
					return err
				}
				o.format = "json"
				return o.show(s, doc.Masked(), nil)
			})
		},
	}
	addFile(c, &o.file)
	return c
}

func newDeploymentDelete(s *streams) *cobra.Command {
	var o deployOptions
	c := &cobra.Command{
		Use:   "delete API NUMBER",
		Short: "Remove a deployment that no stage serves",
		Args:  cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			number, err := strconv.Atoi(args[1])
			if err != nil {
				return fmt.Errorf("%q isn't the number of a deployment", args[1])
			}
			return atDeployments(c.Context(), s, o.file, func(d control.Deployments) error {
				if err := d.Remove(c.Context(), args[0], number, whoAsks()); err != nil {
					return err
				}
				_, err := fmt.Fprintf(s.out, "deployment %d of %s is deleted\n", number, args[0])
				return wrote(err)
			})
		},
	}
	addFile(c, &o.file)
	return c
}

func newDiff(s *streams) *cobra.Command {
	var o deployOptions
	c := &cobra.Command{
		Use:   "diff API FROM [TO]",
		Short: "Compare two deployments of an API, or one with the file",
		Long: "Compare what two deployments have, key by key. FROM and TO are numbers of\n" +
			"deployments, names of stages, or \"file\" for what would be deployed now, which is\n" +
			"also what TO is unless it is given. The exit code is 4 if anything differs.",
		Example: "  postern diff pets 11 12\n  postern diff pets prod        # what a deployment would change",
		Args:    cobra.RangeArgs(2, 3),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkFormat(o.format); err != nil {
				return err
			}
			to := control.TheFile
			if len(args) == 3 {
				to = args[2]
			}
			return atDeployments(c.Context(), s, o.file, func(d control.Deployments) error {
				all, err := d.Diff(c.Context(), args[0], args[1], to)
				if err != nil {
					return err
				}
				if all == nil {
					all = []deployment.Difference{} // an empty list, not null
				}
				if o.format == "json" {
					err = o.show(s, map[string]any{"differences": all}, nil)
				} else {
					_, err = io.WriteString(s.out, deployment.Text(all))
					err = wrote(err)
				}
				if err == nil && len(all) > 0 {
					err = &failure{code: exitDifferent}
				}
				return err
			})
		},
	}
	addFile(c, &o.file)
	c.Flags().StringVar(&o.format, "format", "text", "of the answer: text or json")
	return c
}
