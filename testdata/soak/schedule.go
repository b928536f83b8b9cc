package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"
)

// schedule says what is done to the gateway and when. In the first half there is
// one process, whose memory is compared; in the second half processes change.
type schedule struct {
	options *options
	gateway *gateway
	fleet   *fleet
	tally   *tally
	began   time.Time
}

// play runs until the end of the time.
func (s *schedule) play(ctx context.Context) error {
	dice := rand.New(rand.NewPCG(s.options.seed, 0))
	if err := s.phase(ctx, dice, 0.15, false); err != nil {
		return err
	}
	first, err := s.rest("base")
	if err != nil {
		return err
	}
	if err := s.phase(ctx, dice, 0.55, false); err != nil {
		return err
	}
	second, err := s.rest("after reloads")
	if err != nil {
		return err
	}
	s.compare(first, second)
	if err := s.phase(ctx, dice, 1, true); err != nil {
		return err
	}
	last, err := s.rest("at the end")
	if err != nil {
		return err
	}
	s.compare(first, last)
	return nil
}

// phase keeps the clients busy until a share of the time is over, and lets
// things happen every few seconds.
func (s *schedule) phase(ctx context.Context, dice *rand.Rand, share float64, changes bool) error {
	s.fleet.resume()
	defer s.fleet.pause()
	end := s.began.Add(time.Duration(share * float64(s.options.duration)))
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(time.Duration(1000+dice.IntN(2500))*time.Millisecond, time.Until(end))):
		}
		if !time.Now().Before(end) {
			return nil
		}
		var err error
		switch roll := dice.IntN(20); {
		case changes && (roll < 5 || n == 0):
			err = s.gateway.upgrade()
			s.tally.note("upgrade", err)
		case changes && roll < 8:
			err = s.gateway.restart()
			s.tally.note("restart", err)
		case roll < 11:
			err = s.gateway.refuse()
			s.tally.note("reload, refused", err)
		case roll < 12:
			err = s.gateway.signal(syscall.SIGUSR1)
			s.tally.note("logs opened anew", err)
		default:
			err = s.gateway.reload()
			s.tally.note("reload", err)
		}
		if err != nil {
			return errors.New("the gateway is in no state to go on")
		}
	}
}

// rest returns the figures of a gateway without clients.
func (s *schedule) rest(when string) (figures, error) {
	f, err := s.gateway.rest()
	s.tally.note("rest", err)
	s.tally.say("%s: %v", when, f)
	return f, err
}

// compare checks that figures are back where they were, give or take 5 %.
// Resident memory is the process's own: only the same one's is comparable.
func (s *schedule) compare(before, after figures) {
	check := func(what string, was, is, slack float64) {
		var err error
		if is > was*1.05+slack {
			err = fmt.Errorf("%s: %.0f before, %.0f after", what, was, is)
		}
		s.tally.note("back to base", err)
	}
	check("goroutines", before.goroutines, after.goroutines, 2)
	check("descriptors", before.fds, after.fds, 2)
	check("heap", before.heap, after.heap, 1<<20)
	// The race detector remembers accesses in memory of its own.
	if before.pid == after.pid && !s.options.race {
		// What the collector leaves with the process depends on the last peak.
		check("resident memory", before.rss, after.rss, 6<<20)
	}
}
