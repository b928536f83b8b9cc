package main

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// tally counts what happened.
type tally struct {
	began time.Time

	mu       sync.Mutex // guards what follows
	counts   map[string]*count
	failures []string
	failed   int
	notes    []string
}

type count struct{ good, bad int }

// shownFailures is how many failures are told in words.
const shownFailures = 40

func newTally() *tally {
	return &tally{began: time.Now(), counts: map[string]*count{}}
}

// note counts one event of a kind. An err is a failure of the gateway's.
func (t *tally) note(kind string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.counts[kind]
	if c == nil {
		c = new(count)
		t.counts[kind] = c
	}
	if err == nil {
		c.good++
		return
	}
	c.bad++
	t.failed++
	if len(t.failures) < shownFailures {
		line := fmt.Sprintf("%7.1fs %s: %v", time.Since(t.began).Seconds(), kind, err)
		t.failures = append(t.failures, line)
		fmt.Println("FAILED", line)
	}
}

// say adds a line to the summary.
func (t *tally) say(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	line := fmt.Sprintf("%7.1fs ", time.Since(t.began).Seconds()) + fmt.Sprintf(format, args...)
	t.notes = append(t.notes, line)
	fmt.Println(line)
}

// report prints the summary and reports whether nothing failed.
func (t *tally) report(w io.Writer) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(w, "\n%-24s %12s %8s\n", "", "as expected", "failed")
	var kinds []string
	for kind := range t.counts {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	for _, kind := range kinds {
		fmt.Fprintf(w, "%-24s %12d %8d\n", kind, t.counts[kind].good, t.counts[kind].bad)
	}
	fmt.Fprintln(w)
	for _, line := range t.notes {
		fmt.Fprintln(w, line)
	}
	for _, line := range t.failures {
		fmt.Fprintln(w, "FAILED", line)
	}
	if t.failed > 0 {
		fmt.Fprintf(w, "%d failures\n", t.failed)
		return false
	}
	fmt.Fprintln(w, "all well")
	return true
}
