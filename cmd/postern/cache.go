package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/postern-gateway/postern/builtins/responsecache"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/control"
)

func newCache(s *streams) *cobra.Command {
	var o keyOptions
	c := &cobra.Command{
		Use:   "cache",
		Short: "Show and empty the caches of a gateway's stages",
		Example: "  postern cache                              # what they hold\n" +
			"  postern cache flush pets --stage prod",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return o.atCaches(c.Context(), s, func(ctx context.Context, client *control.Client) ([]control.Cache, error) {
				return client.Caches(ctx)
			})
		},
	}
	o.add(c)
	c.AddCommand(newCacheFlush(s))
	return c
}

func newCacheFlush(s *streams) *cobra.Command {
	var o keyOptions
	var stage string
	c := &cobra.Command{
		Use:   "flush API",
		Short: "Have the caches of an API's stages forget all answers",
		Long:  "Have the cache of a stage, or of all of an API's stages, forget all answers. What is\nbeing answered meanwhile isn't kept either.",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return o.atCaches(c.Context(), s, func(ctx context.Context, client *control.Client) ([]control.Cache, error) {
				return client.Flush(ctx, args[0], stage)
			})
		},
	}
	o.add(c)
	c.Flags().StringVar(&stage, "stage", "", "the `stage`; all of the API's without it")
	return c
}

// atCaches shows the caches that f returns, of the gateway that runs.
func (o *keyOptions) atCaches(ctx context.Context, s *streams, f func(context.Context, *control.Client) ([]control.Cache, error)) error {
	cfg, _, err := decoded(s, o.file)
	if err != nil {
		return err
	}
	var all []control.Cache
	err = reach(ctx, cfg, func(c *control.Client) (err error) {
		all, err = f(ctx, c)
		return err
	}, func(address string, _ error) error {
		return fmt.Errorf("admin address %s: no gateway answers there, and caches are in its memory alone", address)
	})
	if err != nil {
		return err
	}
	return o.show(s, map[string]any{"caches": all}, func(w io.Writer) {
		fmt.Fprintln(w, "STAGE\tUSED\tSIZE\tHITS\tMISSES")
		for _, one := range all {
			name := one.API + ":" + one.Stage
			if one.Canary {
				name += " (canary)"
			}
			fmt.Fprintf(w, "%s\t%v\t%v\t%d\t%d\n", name, config.Size(one.Used), config.Size(one.Size), one.Hits, one.Misses)
		}
	})
}

// caches tells the admin listener of the stages' caches.
type caches struct{ memory *responsecache.Memory }

// Caches implements control.Caches.
func (c caches) Caches(context.Context) ([]control.Cache, error) {
	var all []control.Cache
	for _, f := range c.memory.Caches() {
		all = append(all, control.Cache{API: f.API, Stage: f.Stage, Canary: f.Canary, Size: f.Size, Used: f.Used, Hits: f.Hits, Misses: f.Misses})
	}
	return all, nil
}

// Flush implements control.Caches.
func (c caches) Flush(ctx context.Context, api, stage string) ([]control.Cache, error) {
	c.memory.Flush(api, stage)
	all, err := c.Caches(ctx)
	var flushed []control.Cache
	for _, one := range all {
		if one.API == api && (stage == "" || one.Stage == stage) {
			flushed = append(flushed, one)
		}
	}
	return flushed, err
}
