package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// profile runs postern under the load of all scenarios in turn while it profiles
// its CPU time, and writes the profile where the Go command looks for one.
func (b *bench) profile(ctx context.Context) (err error) {
	first := &scenario{name: "profile", method: http.MethodGet, path: "/k1", want: content(1 << 10), paths: map[string]string{}}
	p, err := b.start(ctx, postern, first)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.child.stop()) }()
	var turns []scenario
	for _, s := range scenarios(b.Rate, b.Idle) {
		if s.tool == byWrk || s.tool == byH2load {
			turns = append(turns, s)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		text []byte
		err  error
	}
	got := make(chan answer, 1) // the profile, or why there is none
	go func() {
		text, err := fetch(ctx, fmt.Sprintf("http://%s:%d/debug/pprof/profile?seconds=%d", host, p.place.admin, int(b.profileTime.Seconds())))
		got <- answer{text, err}
	}()
	for n := 0; ; n++ {
		s := &turns[n%len(turns)]
		select {
		case a := <-got:
			if a.err != nil {
				return fmt.Errorf("fetch the profile: %w", a.err)
			}
			return replace(b.profileFile, a.text)
		default:
		}
		fmt.Fprintf(b.stderr, "bench: profile under %s\n", s.name)
		var l load
		if s.tool == byWrk {
			l, err = b.wrk(ctx, s, p, time.Second, nil)
		} else {
			l, err = b.h2load(ctx, s, p, time.Second, nil)
		}
		if err == nil && l.failures > 0 {
			err = fmt.Errorf("%s: %s", s.name, l.detail)
		}
		if err != nil {
			cancel()
			<-got
			return err
		}
	}
}

func fetch(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", resp.StatusCode, tail(text, 300))
	}
	return text, err
}

// replace writes a file at once or not at all.
func replace(file string, text []byte) error {
	if err := os.WriteFile(file+".new", text, 0o644); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
