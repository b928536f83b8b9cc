package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// supervisor tells systemd how the gateway is (sd_notify(3)). Without systemd
// it does nothing. Safe for concurrent use.
type supervisor struct {
	logger *zap.Logger
	every  time.Duration // how often systemd wants to hear of a healthy gateway; 0: never
	muted  atomic.Bool   // another process is the main one
}

// newSupervisor reads what systemd said in the environment.
func newSupervisor(logger *zap.Logger) *supervisor {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		logger.Warn("no watchdog", zap.Error(err))
	}
	return &supervisor{logger: logger, every: every}
}

// tell sends a message, one assignment an argument.
func (s *supervisor) tell(assignments ...string) {
	if s.muted.Load() {
		return
	}
	if _, err := daemon.SdNotify(false, strings.Join(assignments, "\n")); err != nil {
		s.logger.Warn("systemd can't be told", zap.Strings("message", assignments), zap.Error(err))
	}
}

// status is what `systemctl status` shows. Findings have several lines, a status
// has one.
func status(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return "STATUS=" + line
}

// ready says that the gateway serves.
func (s *supervisor) ready(text string) { s.tell("READY=1", status(text)) }

// main says that this process is the one to watch from now on, after it took
// another's place.
func (s *supervisor) main(text string) {
	s.tell(fmt.Sprintf("MAINPID=%d", os.Getpid()), "READY=1", status(text))
}

// yield says that another process is the one to watch. Nothing is said after it.
func (s *supervisor) yield(pid int) {
	s.tell(fmt.Sprintf("MAINPID=%d", pid))
	s.muted.Store(true)
}

// reloading says that a reload began. systemd wants the time to tell it from a
// reload that it didn't ask for.
func (s *supervisor) reloading() {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		s.logger.Warn("systemd can't be told of the reload", zap.Error(err))
		return
	}
	s.tell("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/int64(time.Microsecond)))
}

// stopping says that the gateway is on its way out, and may take that long.
func (s *supervisor) stopping(patience time.Duration) {
	s.tell("STOPPING=1", status("stopping"), fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", patience.Microseconds()))
}

// watch tells systemd that the gateway is healthy for as long as it is, until
// the end of ctx. healthy may take its time: while it does, nothing is told.
func (s *supervisor) watch(ctx context.Context, healthy func(context.Context) error) {
	if s.every == 0 {
		return
	}
	tick := time.NewTicker(s.every / 3) // one may be late without harm
	defer tick.Stop()
	for {
		switch err := healthy(ctx); {
		case err == nil:
			s.tell(daemon.SdNotifyWatchdog)
		case ctx.Err() == nil:
			s.logger.Error("unhealthy: systemd isn't told otherwise and will restart the gateway", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
