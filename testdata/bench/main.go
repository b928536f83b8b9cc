// Command bench measures what a request costs in postern, nginx, HAProxy and
// Caddy, side by side in one run. README.md beside it is the method.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case errors.Is(err, errUsage):
		os.Exit(2)
	case err != nil:
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// How nginx is set up.
const (
	tuned = "tuned"
	stock = "stock"
)

var errUsage = errors.New("wrong usage") // the flag package said what

// options are the command line.
type options struct {
	Short       bool          `json:"short"`
	Rounds      int           `json:"rounds"`
	Duration    time.Duration `json:"duration_ns"`
	Rate        int           `json:"rate_per_second"`
	Connections int           `json:"connections"`
	Idle        int           `json:"idle_connections"`
	Workers     int           `json:"workers"`
	Nginx       string        `json:"nginx"`
	Perf        bool          `json:"perf"`
	Only        []string      `json:"only,omitempty"`
	Proxies     []string      `json:"proxies"`

	program, guest string
	jsonFile       string
	profileFile    string
	profileTime    time.Duration
	keep           bool
}

// parse reads the command line. What -short changes can still be set.
func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	var only, proxies string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.BoolVar(&o.Short, "short", false, "a quick look: 2 rounds of 1s, nginx and postern only")
	f.IntVar(&o.Rounds, "rounds", 7, "rounds of each scenario (short: 2)")
	f.DurationVar(&o.Duration, "duration", 3*time.Second, "length of one run, whole seconds (short: 1s)")
	f.IntVar(&o.Rate, "rate", 2000, "requests a second of the scenario rate")
	f.IntVar(&o.Connections, "connections", 32, "client connections")
	f.IntVar(&o.Idle, "idle", 10000, "connections of the scenario idle")
	f.IntVar(&o.Workers, "workers", 2, "worker processes, threads or GOMAXPROCS of each proxy")
	f.StringVar(&o.Nginx, "nginx", tuned, "how nginx is set up: "+tuned+" (log gathered for 50ms as postern's, buffers for 128KiB) or "+stock+" (its own defaults for both)")
	f.BoolVar(&o.Perf, "perf", false, "count instructions per request with perf")
	f.StringVar(&only, "only", "", "`scenarios`, separated by commas; default all: "+strings.Join(names(scenarios(0, 0)), ","))
	f.StringVar(&proxies, "proxies", "", "`proxies`, separated by commas; default nginx,haproxy,caddy,postern (short: nginx,postern)")
	f.StringVar(&o.program, "postern", "bin/postern", "the gateway's `program`")
	f.StringVar(&o.guest, "guest", "examples/quickstart/guard.wasm", "the authorizer's `module`")
	f.StringVar(&o.jsonFile, "json", "", "write the report as JSON into this `file` too")
	f.StringVar(&o.profileFile, "profile", "", "measure nothing; write a CPU profile of postern under load into this `file`")
	f.DurationVar(&o.profileTime, "profile-time", 20*time.Second, "length of -profile")
	f.BoolVar(&o.keep, "keep", false, "keep the folder with configurations and logs")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, errUsage
	}
	given := map[string]bool{}
	f.Visit(func(f *flag.Flag) { given[f.Name] = true })
	o.Proxies = []string{nginx, haproxy, caddy, postern}
	if o.Short {
		o.Proxies = []string{nginx, postern}
		if !given["rounds"] {
			o.Rounds = 2
		}
		if !given["duration"] {
			o.Duration = time.Second
		}
	}
	if proxies != "" {
		o.Proxies = strings.Split(proxies, ",")
	}
	if only != "" {
		o.Only = strings.Split(only, ",")
	}
	if problem := o.problem(f.NArg()); problem != "" {
		fmt.Fprintln(stderr, "bench:", problem)
		return o, errUsage
	}
	return o, nil
}

// problem returns what is wrong with the options, or "".
func (o *options) problem(rest int) string {
	if rest > 0 {
		return "there are only flags, no further arguments"
	}
	for _, p := range o.Proxies {
		if !slices.Contains([]string{nginx, haproxy, caddy, postern}, p) {
			return fmt.Sprintf("no proxy %q", p)
		}
	}
	known := names(scenarios(0, 0))
	for _, s := range o.Only {
		if !slices.Contains(known, s) {
			return fmt.Sprintf("no scenario %q; there are %s", s, strings.Join(known, ", "))
		}
	}
	switch {
	case o.Duration < time.Second || o.Duration%time.Second != 0:
		return "-duration takes whole seconds, for wrk does"
	case o.Rounds < 1 || o.Connections < 1 || o.Workers < 1 || o.Idle < 1:
		return "-rounds, -connections, -workers and -idle are above 0"
	case o.Rate < 1 || o.Rate > 20000:
		return "-rate is between 1 and 20000"
	case o.Nginx != tuned && o.Nginx != stock:
		return "-nginx is " + tuned + " or " + stock
	case o.profileTime < time.Second:
		return "-profile-time is at least 1s"
	}
	return ""
}

// run is the program. What it started has ended when it returns.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	if runtime.GOOS != "linux" {
		return errors.New("it reads CPU time and memory as Linux tells them; there is nothing to measure with here")
	}
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	for _, file := range []string{o.program, o.guest} {
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("%w; `make build examples` makes it", err)
		}
	}
	wanted := []string{nginx} // the backend too
	for _, p := range append(o.Proxies, "wrk", "h2load") {
		if p != postern && !slices.Contains(wanted, p) {
			wanted = append(wanted, p)
		}
	}
	if o.Perf && !perfWorks(ctx) {
		return errors.New("perf can't count instructions here; leave -perf out")
	}
	if err := install(ctx, stderr, wanted); err != nil {
		return err
	}
	b, err := newBench(o, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if o.profileFile != "" {
		return b.profile(ctx)
	}
	r, err := b.all(ctx)
	if r != nil && len(r.Scenarios)+len(r.Idle) > 0 {
		r.print(stdout)
		if o.jsonFile != "" {
			err = errors.Join(err, r.write(o.jsonFile))
		}
	}
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return err
}
