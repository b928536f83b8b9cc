package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy/config"
)

func newRun(s *streams) *cobra.Command {
	var o runOptions
	c := &cobra.Command{
		Use:   "run",
		Short: "Serve a configuration",
		Long: "Serve a configuration until SIGTERM or SIGINT.\n\n" +
			"  HUP          reload the configuration; a bad one leaves the old one serving\n" +
			"  TERM, INT    stop: fail readiness, close listeners, let requests end\n" +
			"  second INT   stop without waiting for requests\n" +
			"  QUIT         stop at once, with a dump of all goroutines on stderr\n" +
			"  USR1         open the log files anew, as after a rotation\n" +
			"  USR2         start this binary's successor with the same sockets, then stop\n\n" +
			"Changes of the files are noticed and reloaded too, plugins and certificates\n" +
			"included. GOMEMLIMIT and GOGC work as in every Go program; without them the\n" +
			"limit is four fifths of the cgroup's memory, and GOGC is 200.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := absent(o.file); err != nil {
				return &failure{exitInvalid, err}
			}
			return serve(c.Context(), s, &o)
		},
	}
	addFile(c, &o.file)
	c.Flags().BoolVar(&o.development, "dev", false, "have each stage serve what the file says, whatever it says of deploy")
	c.Flags().BoolVar(&o.noWatch, "no-watch", false, "reload on SIGHUP only, not when files change")
	c.Flags().StringVar(&o.pidFile, "pid-file", "", "write the process's number into this `file`")
	return c
}

// runOptions are the options of the command.
type runOptions struct {
	file        string
	noWatch     bool
	development bool // for whoever writes the configuration
	pidFile     string
}

// serve runs the gateway until a signal or the end of ctx.
func serve(ctx context.Context, s *streams, o *runOptions) error {
	signals := make(chan os.Signal, 8) // several may come while a reload runs
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)

	began := time.Now()
	file, err := filepath.Abs(o.file) // for log and readiness
	if err != nil {
		return &failure{exitFailed, err}
	}
	path, err := binary()
	if err != nil {
		return &failure{exitFailed, err}
	}
	before, sockets, err := inherit()
	if err != nil {
		return &failure{exitFailed, err}
	}
	defer before.close()
	cfg, findings := config.Load(file)
	if cfg == nil || findings.Failed() {
		if cfg != nil {
			more, _ := inspect(ctx, cfg) // the findings so far are reason enough
			findings = findings.And(more)
		}
		before.fail(reasonsOf(&invalid{findings}))
		return refused(s, findings)
	}
	g, err := newGateway(file, cfg, sockets, s)
	if err != nil {
		before.fail(reasonsOf(err))
		return &failure{exitFailed, err}
	}
	defer g.close()
	defer g.journal.adopt()()
	if o.development {
		g.development = true
		followAll(cfg)
	}
	g.shared.Store(before != nil) // until it is this process's
	g.before = before
	setMemory(g.journal.Logger)
	if err := g.start(ctx, cfg, findings, began); err != nil {
		before.fail(reasonsOf(err))
		var bad *invalid
		if errors.As(err, &bad) {
			return refused(s, append(findings, bad.findings...))
		}
		return &failure{exitFailed, err}
	}
	if before == nil && o.pidFile != "" {
		if err := writePID(o.pidFile); err != nil {
			return &failure{exitFailed, err}
		}
	}
	life := &life{
		gateway: g, streams: s, options: o, binary: path, before: before, signals: signals,
		reloads: make(chan string, 1), upgrades: make(chan struct{}, 1), replaced: make(chan int, 1),
		beats: make(chan chan error),
	}
	if !o.noWatch {
		if err := life.watch(); err != nil {
			g.journal.Warn("files aren't watched, SIGHUP reloads them", zap.Error(err))
		}
	}
	return life.run(ctx)
}

// refused prints findings that keep a gateway from starting.
func refused(s *streams, findings config.Findings) error {
	fmt.Fprint(s.err, findings.Text())
	return &failure{code: exitInvalid}
}

// life is a serving gateway and what can happen to it.
type life struct {
	gateway  *gateway
	streams  *streams
	options  *runOptions
	binary   string       // what an upgrade starts
	before   *predecessor // the process whose place this one takes, or nil
	signals  chan os.Signal
	reloads  chan string     // causes; one waits while another is under way
	upgrades chan struct{}   // one waits, too
	replaced chan int        // the process that serves instead
	beats    chan chan error // questions of the watchdog: is the gateway well?
	watcher  *watcher        // nil when files aren't watched
}

func (l *life) watch() error {
	w, err := newWatcher(l.gateway.journal.Logger)
	if err != nil {
		return err
	}
	l.watcher = w
	w.watch(l.gateway.watched())
	return nil
}

// run waits for signals until one ends the gateway.
func (l *life) run(ctx context.Context) error {
	var work sync.WaitGroup
	changing, stopChanging := context.WithCancel(context.WithoutCancel(ctx))
	alive, end := context.WithCancel(context.WithoutCancel(ctx))
	settled := make(chan bool, 1)
	work.Go(func() { settled <- l.before.ready() })
	defer func() {
		stopChanging()
		end()
		l.before.close()
		work.Wait()
		if l.watcher != nil {
			l.watcher.close()
		}
		if l.options.pidFile != "" && !l.gateway.shared.Load() { // else it is the other process's, or about to be
			removePID(l.options.pidFile)
		}
	}()

	var changes <-chan struct{}
	if l.watcher != nil {
		changes = l.watcher.changed
	}
	ages := time.NewTicker(ageEvery)
	defer ages.Stop()
	for {
		select {
		case <-ctx.Done():
			return l.stop(ctx, stopChanging, l.gateway.drain)
		case now := <-ages.C:
			l.gateway.age(now)
		case own := <-settled:
			if own {
				l.settle()
				work.Go(func() { l.change(changing) })
				if l.before != nil {
					work.Go(func() { l.before.listen(l.gateway.parts.usage.Receive, l.gateway.journal.Logger) })
				}
				work.Go(func() { l.gateway.supervisor.watch(alive, l.healthy) })
			}
		case answer := <-l.beats:
			answer <- l.gateway.health()
		case <-changes:
			l.request(causeChange)
		case <-l.replaced:
			return l.stop(ctx, stopChanging, l.gateway.yield)
		case sig := <-l.signals:
			switch sig {
			case syscall.SIGHUP:
				l.request(causeSignal)
			case syscall.SIGUSR1:
				l.gateway.reopen()
			case syscall.SIGUSR2:
				select {
				case l.upgrades <- struct{}{}:
				default: // one is about to begin
				}
			case syscall.SIGQUIT:
				return l.quit()
			default:
				return l.stop(ctx, stopChanging, l.gateway.drain)
			}
		}
	}
}

// settle takes the place that is this process's now.
func (l *life) settle() {
	g := l.gateway
	g.shared.Store(false)
	g.sockets.settle(g.journal.Logger)
	if l.before == nil {
		g.supervisor.ready("serving " + g.file)
		return
	}
	if l.options.pidFile != "" {
		if err := writePID(l.options.pidFile); err != nil {
			g.journal.Error("the number of this process can't be told", zap.Error(err))
		}
	}
	g.journal.Info("upgrade: this process took the place of the one before")
	g.supervisor.main("serving " + g.file)
}

// healthy asks the main loop, on behalf of the watchdog, whether all is well.
func (l *life) healthy(ctx context.Context) error {
	late := time.NewTimer(l.gateway.supervisor.every)
	defer late.Stop()
	answer := make(chan error, 1)
	select {
	case l.beats <- answer:
	case <-late.C:
		return errors.New("the main loop doesn't answer")
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-answer:
		return err
	case <-late.C:
		return errors.New("the server doesn't answer the main loop")
	}
}

// Causes of reloads.
const (
	causeSignal = "SIGHUP"
	causeChange = "changed files"
)

// request asks for a reload, unless one that hasn't begun yet does anyway.
func (l *life) request(cause string) {
	select {
	case l.reloads <- cause:
	default:
	}
}

// change is the goroutine that reloads and upgrades, so that a signal to stop
// needn't wait for plugins to compile.
func (l *life) change(ctx context.Context) {
	g := l.gateway
	for {
		select {
		case <-ctx.Done():
			return
		case cause := <-l.reloads:
			_ = g.reload(ctx, cause, cause == causeChange) // told in log, readiness and metrics
			if l.watcher != nil {
				l.watcher.watch(g.watched())
			}
		case <-l.upgrades:
			g.changing.Lock() // what is deployed from now on, the new process wouldn't know
			pid, err := g.upgrade(ctx, l.binary, l.streams)
			if err == nil {
				l.replaced <- pid
				return
			}
			g.changing.Unlock()
			g.journal.Error("upgrade refused, this process serves on", zap.String("binary", l.binary), zap.Error(err))
		}
	}
}

// stop drains the gateway; a further signal to stop cuts that short.
func (l *life) stop(ctx context.Context, stopChanging func(), drain func(context.Context) error) error {
	stopChanging()
	patience, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	drained := make(chan error, 1)
	go func() { drained <- drain(patience) }()
	for {
		select {
		case err := <-drained:
			if err != nil {
				l.gateway.journal.Warn("requests were cut off", zap.Error(err))
				return &failure{exitFailed, err}
			}
			l.gateway.journal.Info("stopped")
			return nil
		case answer := <-l.beats:
			answer <- l.gateway.health()
		case sig := <-l.signals:
			switch sig {
			case syscall.SIGUSR1:
				l.gateway.reopen()
			case syscall.SIGHUP, syscall.SIGUSR2: // too late
			case syscall.SIGQUIT:
				giveUp()
				<-drained
				return l.quit()
			default:
				l.gateway.journal.Warn("stopping without waiting for requests")
				giveUp()
			}
		}
	}
}

// quit dumps all goroutines; nobody is waited for.
func (l *life) quit() error {
	if err := pprof.Lookup("goroutine").WriteTo(l.streams.err, 2); err != nil {
		l.gateway.journal.Warn("the goroutines can't be dumped", zap.Error(err))
	}
	return &failure{exitFailed, errors.New("stopped by SIGQUIT")}
}
