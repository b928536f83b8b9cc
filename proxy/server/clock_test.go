package server

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		for _, wait := range []time.Duration{0, time.Nanosecond, clockTrust - 1, clockTrust, time.Hour} {
			time.Sleep(wait)
			got, want := c.read(), time.Now()
			if !got.Equal(want) || want.Sub(got) != 0 {
				t.Errorf("after %s: %s, want %s", wait, got, want)
			}
			if time.Since(c.base) >= clockTrust {
				t.Errorf("after %s: the wall clock was read %s ago", wait, time.Since(c.base))
			}
		}
	})
}

func BenchmarkClock(b *testing.B) {
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			_ = time.Now()
		}
	})
	b.Run("own", func(b *testing.B) {
		var c clock
		for b.Loop() {
			_ = c.read()
		}
	})
}
