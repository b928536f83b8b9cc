// Package pausetest runs tests of short times on machines that pause: others use
// them too, and virtual ones stand still for seconds. What such a pause spoiled proves
// nothing, and is tried again; what fails without one has failed.
package pausetest

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

// beat is how often Run looks whether the process still runs.
const beat = 2 * time.Millisecond

// patience is how long Run hopes for a quiet moment.
const patience = 2 * time.Minute

// Run calls f until it succeeds, as long as the process stood still for longest or
// more while it failed. What f registers by Cleanup is done at the end of each try.
// f must wait for its goroutines: they can fail the try only while it lasts.
func Run(t testing.TB, longest time.Duration, f func(t testing.TB)) {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		w := watch()
		failures := try(t, f)
		pause := w.stop()
		switch {
		case len(failures) == 0:
			return
		case pause < longest, time.Now().After(end):
			for _, text := range failures {
				t.Error(text)
			}
			t.Logf("the longest pause meanwhile took %v", pause)
			return
		}
		t.Logf("once more: the machine paused for %v; failed had: %q", pause, failures)
	}
}

// watcher measures the longest time in which the process didn't run.
type watcher struct {
	done    chan struct{}
	longest chan time.Duration
}

func watch() *watcher {
	w := &watcher{done: make(chan struct{}), longest: make(chan time.Duration, 1)}
	go func() {
		tick := time.NewTicker(beat)
		defer tick.Stop()
		longest, last := time.Duration(0), time.Now()
		for ended := false; !ended; {
			select {
			case <-tick.C:
			case <-w.done:
				ended = true
			}
			now := time.Now()
			longest, last = max(longest, now.Sub(last)), now
		}
		w.longest <- longest
	}()
	return w
}

func (w *watcher) stop() time.Duration {
	close(w.done)
	return <-w.longest
}

// try runs f once and returns what failed.
func try(t testing.TB, f func(t testing.TB)) []string {
	a := &attempt{TB: t}
	done := make(chan struct{})
	go func() { // so that FailNow can end it
		defer close(done)
		defer a.clean()
		f(a)
	}()
	<-done
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failures
}

// attempt is the test for one try, which keeps failures to itself.
type attempt struct {
	testing.TB
	mu       sync.Mutex // guards what follows
	failures []string
	cleanups []func()
}

// clean does what was registered, last first.
func (a *attempt) clean() {
	a.mu.Lock()
	cleanups := a.cleanups
	a.cleanups = nil
	a.mu.Unlock()
	for _, f := range slices.Backward(cleanups) {
		f()
	}
}

func (a *attempt) note(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failures = append(a.failures, text)
}

// Cleanup registers f for the end of the try.
func (a *attempt) Cleanup(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cleanups = append(a.cleanups, f)
}

// Error notes a failure.
func (a *attempt) Error(args ...any) { a.note(fmt.Sprint(args...)) }

// Errorf notes a failure.
func (a *attempt) Errorf(format string, args ...any) { a.note(fmt.Sprintf(format, args...)) }

// Fail notes a failure.
func (a *attempt) Fail() { a.note("failed") }

// FailNow notes a failure and ends the try.
func (a *attempt) FailNow() {
	a.note("failed")
	runtime.Goexit()
}

// Fatal notes a failure and ends the try.
func (a *attempt) Fatal(args ...any) {
	a.note(fmt.Sprint(args...))
	runtime.Goexit()
}

// Fatalf notes a failure and ends the try.
func (a *attempt) Fatalf(format string, args ...any) {
	a.note(fmt.Sprintf(format, args...))
	runtime.Goexit()
}

// Failed reports whether the try has failed so far.
func (a *attempt) Failed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.failures) > 0
}
