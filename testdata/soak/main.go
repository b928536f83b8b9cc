// Command soak runs a gateway for a long time under load while everything goes
// wrong around it: backends that reset, stall, drip and send garbage, clients
// that leave and dribble, plugins that trap and loop, reloads every few seconds,
// new binaries and restarts. At the end nothing may have been lost, no answer
// may have gone to another's request, and memory, goroutines and descriptors
// must be back where they were.
//
//	go run ./testdata/soak -duration 30m
//	go run ./testdata/soak -duration 3m -race -seed 42
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	duration time.Duration
	seed     uint64
	workers  int
	binary   string
	race     bool
	keep     bool
}

func main() {
	var o options
	flag.DurationVar(&o.duration, "duration", 30*time.Minute, "how long")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano())%1e9, "of the schedule of faults")
	flag.IntVar(&o.workers, "workers", 24, "clients at the same time")
	flag.StringVar(&o.binary, "binary", "", "gateway to run; default: build ./cmd/postern")
	flag.BoolVar(&o.race, "race", false, "build it with the race detector")
	flag.BoolVar(&o.keep, "keep", false, "keep the folder with configuration and logs")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ok, err := soak(ctx, &o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
	}
	if !ok {
		os.Exit(1)
	}
}

// soak runs everything and reports whether all went well.
func soak(ctx context.Context, o *options) (ok bool, err error) {
	dir, err := os.MkdirTemp("", "postern-soak-")
	if err != nil {
		return false, err
	}
	if !o.keep {
		defer os.RemoveAll(dir)
	}
	fmt.Printf("seed %d, %v, %d workers, folder %s\n", o.seed, o.duration, o.workers, dir)
	binary := filepath.Join(dir, "postern")
	if err := provide(ctx, o, binary); err != nil {
		return false, err
	}
	s, err := newSite(dir)
	if err != nil {
		return false, err
	}
	defer s.close()
	t := newTally()
	g := &gateway{dir: dir, binary: binary, site: s, tally: t}
	if err := g.listen(); err != nil {
		return false, err
	}
	defer g.end()
	if err := g.start(); err != nil {
		return false, err
	}
	f := newFleet(o, g.address, t, &g.generation)
	run := &schedule{options: o, gateway: g, fleet: f, tally: t, began: time.Now()}
	err = run.play(ctx)
	if errors.Is(err, context.Canceled) {
		err = nil // stopped by hand: tell what is known
	}
	f.pause()
	g.end()
	g.search()
	return t.report(os.Stdout) && err == nil, err
}

// provide puts the gateway's binary in place.
func provide(ctx context.Context, o *options, to string) error {
	if o.binary != "" {
		from, err := filepath.Abs(o.binary)
		if err != nil {
			return err
		}
		return os.Symlink(from, to)
	}
	args := []string{"build", "-o", to}
	if o.race {
		args = append(args, "-race")
	}
	build := exec.CommandContext(ctx, "go", append(args, "./cmd/postern")...)
	build.Stdout, build.Stderr = os.Stdout, os.Stderr
	return build.Run()
}
