package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"runtime/pprof"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy/config"
)

func newRun(s *streams) *cobra.Command {
	var file string
	var noWatch bool
	c := &cobra.Command{
		Use:   "run",
		Short: "Serve a configuration",
		Long: "Serve a configuration until SIGTERM or SIGINT.\n\n" +
			"  HUP          reload the configuration; a bad one leaves the old one serving\n" +
			"  TERM, INT    stop: fail readiness, close listeners, let requests end\n" +
			"  second INT   stop without waiting for requests\n" +
			"  QUIT         stop at once, with a dump of all goroutines on stderr\n" +
			"  USR1         open the log files anew, as after a rotation\n\n" +
			"Changes of the files are noticed and reloaded too, plugins and certificates\n" +
			"included. GOMEMLIMIT and GOGC work as in every Go program.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := absent(file); err != nil {
				return &failure{exitInvalid, err}
			}
			return serve(c.Context(), s, file, !noWatch)
		},
	}
	addFile(c, &file)
	c.Flags().BoolVar(&noWatch, "no-watch", false, "reload on SIGHUP only, not when files change")
	return c
}

// serve runs the gateway until a signal or the end of ctx.
func serve(ctx context.Context, s *streams, file string, watch bool) error {
	signals := make(chan os.Signal, 8) // several may come while a reload runs
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGUSR1)
	defer signal.Stop(signals)

	file, err := filepath.Abs(file) // for log and readiness
	if err != nil {
		return &failure{exitFailed, err}
	}
	began := time.Now()
	cfg, findings := config.Load(file)
	if cfg == nil || findings.Failed() {
		return refused(s, findings)
	}
	g, err := newGateway(file, cfg, s)
	if err != nil {
		return &failure{exitFailed, err}
	}
	defer g.close()
	if limit := debug.SetMemoryLimit(-1); limit < 1<<62 {
		g.journal.Info("memory limit", zap.Int64("bytes", limit))
	}
	if err := g.start(ctx, cfg, findings, began); err != nil {
		var bad *invalid
		if errors.As(err, &bad) {
			return refused(s, append(findings, bad.findings...))
		}
		return &failure{exitFailed, err}
	}
	life := &life{gateway: g, streams: s, signals: signals, reloads: make(chan string, 1)}
	if watch {
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
	gateway *gateway
	streams *streams
	signals chan os.Signal
	reloads chan string // causes; one waits while another is under way
	watcher *watcher    // nil when files aren't watched
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
	reloading, stopReloading := context.WithCancel(context.WithoutCancel(ctx))
	work.Go(func() { l.reload(reloading) })
	defer func() {
		stopReloading()
		work.Wait()
		if l.watcher != nil {
			l.watcher.close()
		}
	}()

	var changes <-chan struct{}
	if l.watcher != nil {
		changes = l.watcher.changed
	}
	for {
		select {
		case <-ctx.Done():
			return l.stop(ctx, stopReloading)
		case <-changes:
			l.request(causeChange)
		case sig := <-l.signals:
			switch sig {
			case syscall.SIGHUP:
				l.request(causeSignal)
			case syscall.SIGUSR1:
				l.gateway.reopen()
			case syscall.SIGQUIT:
				return l.quit()
			default:
				return l.stop(ctx, stopReloading)
			}
		}
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

// reload is the goroutine that reloads, so that a signal to stop needn't wait
// for plugins to compile.
func (l *life) reload(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case cause := <-l.reloads:
			_ = l.gateway.reload(ctx, cause, cause == causeChange) // told in log, readiness and metrics
			if l.watcher != nil {
				l.watcher.watch(l.gateway.watched())
			}
		}
	}
}

// stop drains the gateway; a further signal to stop cuts that short.
func (l *life) stop(ctx context.Context, stopReloading func()) error {
	stopReloading()
	patience, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	drained := make(chan error, 1)
	go func() { drained <- l.gateway.drain(patience) }()
	for {
		select {
		case err := <-drained:
			if err != nil {
				l.gateway.journal.Warn("requests were cut off", zap.Error(err))
				return &failure{exitFailed, err}
			}
			l.gateway.journal.Info("stopped")
			return nil
		case sig := <-l.signals:
			switch sig {
			case syscall.SIGUSR1:
				l.gateway.reopen()
			case syscall.SIGHUP: // too late for a new configuration
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
