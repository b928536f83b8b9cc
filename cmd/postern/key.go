package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/control"
	"github.com/postern-gateway/postern/proxy/state"
	"github.com/postern-gateway/postern/proxy/usage"
)

// desk is where keys are made and use is asked for: a gateway that runs, or the
// ledger over the state of one that doesn't.
type desk interface {
	Create(k usage.Key, by string) (usage.Key, error)
	ImportCSV(file []byte, by string) ([]usage.Key, error)
	List(after string, n int) ([]usage.Key, error)
	Show(name string) (usage.Key, error)
	Enable(name string, enabled bool, by string) (usage.Key, error)
	Delete(name, by string) (usage.Key, error)
	Report(plan, key, from, to string) (usage.Report, error)
	KeyUse(name, from, to string) ([]usage.Report, error)
	Extend(name, plan string, n int64, by string) (id, of string, err error)
}

var (
	_ desk = (*control.Client)(nil)
	_ desk = (*usage.Ledger)(nil)
)

// atDesk calls f with the gateway that runs with the configuration in file or, when
// none does, with its state.
func atDesk(ctx context.Context, s *streams, file string, f func(desk, *config.Config) error) error {
	cfg, findings, err := decoded(s, file)
	if err != nil {
		return err
	}
	return reach(ctx, cfg, func(c *control.Client) error { return f(c, cfg) }, func(address string, _ error) error {
		if findings.Failed() {
			return refused(s, findings)
		}
		return atLedger(s, cfg, address, f)
	})
}

// atLedger opens the state itself.
func atLedger(s *streams, cfg *config.Config, address string, f func(desk, *config.Config) error) (err error) {
	path, err := statePath(cfg)
	if err != nil {
		return err
	}
	if path == memoryPath {
		return fmt.Errorf("no gateway runs at %s, and state.path = %q keeps nothing that could be changed without one", address, memoryPath)
	}
	store, err := state.Open(path)
	if errors.Is(err, state.ErrInUse) {
		return fmt.Errorf("%w, which is %s here", err, address)
	}
	if err != nil {
		return err
	}
	journal, err := newJournal(cfg, s)
	if err != nil {
		return errors.Join(err, store.Close())
	}
	l := usage.New(usage.Options{Logger: journal.Named("usage")})
	parts := &parts{usage: l}
	parts.catalog(cfg)
	if err := l.Attach(store); err != nil {
		return errors.Join(err, store.Close(), journal.sink.Close())
	}
	defer func() { err = errors.Join(err, l.Detach(), journal.sink.Close()) }()
	return f(l, cfg)
}

// whoAsks names the user for the log.
func whoAsks() string {
	who := fmt.Sprintf("user %d", os.Getuid())
	if u, err := user.Current(); err == nil {
		who += " (" + u.Username + ")"
	}
	return who + ", postern " + strings.Join(os.Args[1:min(len(os.Args), 3)], " ")
}

// keyOptions are those of all commands about keys.
type keyOptions struct {
	file   string
	asJSON bool
}

func (o *keyOptions) add(c *cobra.Command) {
	addFile(c, &o.file)
	c.Flags().BoolVar(&o.asJSON, "json", false, "write JSON")
}

func newKey(s *streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "key",
		Short: "Make and manage API keys",
		Long: "Make and manage API keys that no configuration holds: they are kept in the state,\n" +
			"as hashes. While a gateway runs it is asked at its admin address, and heeds each\n" +
			"change at once; else the state is changed itself.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newKeyCreate(s), newKeyImport(s), newKeyList(s), newKeyShow(s),
		newKeyEnable(s, true), newKeyEnable(s, false), newKeyDelete(s))
	return c
}

func newKeyCreate(s *streams) *cobra.Command {
	var o keyOptions
	k := usage.Key{Plans: []string{}}
	var disabled, fromStdin bool
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a key, and show its value this once",
		Example: "  postern key create partner --plan gold\n" +
			"  openssl rand -hex 20 | postern key create partner --plan gold --stdin",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			k.Name, k.Enabled = args[0], !disabled
			if fromStdin {
				text, err := io.ReadAll(io.LimitReader(c.InOrStdin(), 4096))
				if err != nil {
					return &failure{exitFailed, err}
				}
				if k.Value = strings.TrimSpace(string(text)); k.Value == "" {
					return &failure{exitFailed, errors.New("standard input is empty; it has to have the key")}
				}
			}
			return atDesk(c.Context(), s, o.file, func(d desk, _ *config.Config) error {
				made, err := d.Create(k, whoAsks())
				if err != nil {
					return err
				}
				return o.show(s, made, func(w io.Writer) {
					fmt.Fprintf(w, "id:\t%s\nvalue:\t%s\n", made.ID, made.Value)
					fmt.Fprintln(w, "The value isn't kept and can't be shown again.")
				})
			})
		},
	}
	o.add(c)
	c.Flags().StringVar(&k.Description, "description", "", "what it is for")
	c.Flags().StringSliceVar(&k.Plans, "plan", []string{}, "`plan` that it is in; several times for several")
	c.Flags().BoolVar(&disabled, "disabled", false, "refuse it until \"postern key enable\"")
	c.Flags().BoolVar(&fromStdin, "stdin", false, "read the value from standard input instead of making one")
	return c
}

func newKeyImport(s *streams) *cobra.Command {
	var o keyOptions
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Make keys of a CSV file, as AWS exports it",
		Long: "Make keys of a CSV file, all of them or none. The columns Name and Key have to be\n" +
			"there; Description, Enabled and UsagePlanIds (names of plans, several in quotation\n" +
			"marks with commas) may. A key whose value is there already is overwritten.\n" +
			"- is standard input.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var file []byte
			var err error
			if args[0] == "-" {
				file, err = io.ReadAll(c.InOrStdin())
			} else {
				file, err = os.ReadFile(args[0])
			}
			if err != nil {
				return &failure{exitFailed, err}
			}
			return atDesk(c.Context(), s, o.file, func(d desk, _ *config.Config) error {
				made, err := d.ImportCSV(file, whoAsks())
				if err != nil {
					return fmt.Errorf("%s: %w", args[0], err)
				}
				return o.show(s, made, func(w io.Writer) { writeKeys(w, made) })
			})
		},
	}
	o.add(c)
	return c
}

func newKeyList(s *streams) *cobra.Command {
	var o keyOptions
	c := &cobra.Command{
		Use:   "list",
		Short: "List the keys",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return atDesk(c.Context(), s, o.file, func(d desk, _ *config.Config) error {
				all := []usage.Key{}
				for after := ""; ; {
					const page = 1000
					keys, err := d.List(after, page)
					if err != nil {
						return err
					}
					all = append(all, keys...)
					if len(keys) < page {
						break
					}
					after = keys[len(keys)-1].ID
				}
				return o.show(s, all, func(w io.Writer) { writeKeys(w, all) })
			})
		},
	}
	o.add(c)
	return c
}

func newKeyShow(s *streams) *cobra.Command {
	var o keyOptions
	c := &cobra.Command{
		Use:   "show KEY",
		Short: "Show a key, by id or name",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return atDesk(c.Context(), s, o.file, func(d desk, _ *config.Config) error {
				k, err := d.Show(args[0])
				if err != nil {
					return err
				}
				return o.show(s, k, func(w io.Writer) {
					fmt.Fprintf(w, "id:\t%s\nname:\t%s\ndescription:\t%s\nenabled:\t%t\nplans:\t%s\ncreated:\t%s\n",
						k.ID, k.Name, k.Description, k.Enabled, strings.Join(k.Plans, ", "), k.Created.Format(time.RFC3339))
				})
			})
		},
	}
	o.add(c)
	return c
}

func newKeyEnable(s *streams, enabled bool) *cobra.Command {
	var o keyOptions
	word, done, short := "enable", "enabled", "Let a key in again, by id or name"
	if !enabled {
		word, done, short = "disable", "disabled", "Refuse a key, by id or name"
	}
	c := &cobra.Command{
		Use:   word + " KEY",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return atDesk(c.Context(), s, o.file, func(d desk, _ *config.Config) error {
				k, err := d.Enable(args[0], enabled, whoAsks())
				if err != nil {
					return err
				}
				return o.show(s, k, func(w io.Writer) { fmt.Fprintf(w, "%s (%s) is %s\n", k.ID, k.Name, done) })
			})
		},
	}
	o.add(c)
	return c
}

func newKeyDelete(s *streams) *cobra.Command {
	var o keyOptions
	c := &cobra.Command{
		Use:   "delete KEY",
		Short: "Remove a key for good, by id or name",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return atDesk(c.Context(), s, o.file, func(d desk, _ *config.Config) error {
				k, err := d.Delete(args[0], whoAsks())
				if err != nil {
					return err
				}
				return o.show(s, k, func(w io.Writer) { fmt.Fprintf(w, "%s (%s) is deleted\n", k.ID, k.Name) })
			})
		},
	}
	o.add(c)
	return c
}

// show writes v as JSON, or in words.
func (o *keyOptions) show(s *streams, v any, words func(io.Writer)) error {
	if o.asJSON {
		text, err := json.MarshalIndent(v, "", "  ")
		if err == nil {
			_, err = fmt.Fprintf(s.out, "%s\n", text)
		}
		return wrote(err)
	}
	w := tabwriter.NewWriter(s.out, 0, 8, 2, ' ', 0)
	words(w)
	return wrote(w.Flush())
}

func writeKeys(w io.Writer, keys []usage.Key) {
	fmt.Fprintln(w, "ID\tNAME\tENABLED\tPLANS\tCREATED\tDESCRIPTION")
	for _, k := range keys {
		fmt.Fprintf(w, "%s\t%s\t%t\t%s\t%s\t%s\n", k.ID, k.Name, k.Enabled, strings.Join(k.Plans, ","), k.Created.Format(time.DateOnly), k.Description)
	}
}
