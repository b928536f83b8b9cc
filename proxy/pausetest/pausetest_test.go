package pausetest

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// recorder is a test that shows what it was told.
type recorder struct {
	testing.TB
	told []string
}

func (r *recorder) Error(args ...any) { r.told = append(r.told, fmt.Sprint(args...)) }

// What failed in a quiet moment has failed, what failed beside a pause is tried again,
// and each try ends what it began.
func TestRun(t *testing.T) {
	f := func(longest time.Duration, do func(t testing.TB, try int), tries int, want ...string) {
		t.Helper()
		r := &recorder{TB: t}
		tried, open := 0, 0
		Run(r, longest, func(t testing.TB) {
			tried++
			open++
			t.Cleanup(func() { open-- })
			do(t, tried)
		})
		if tried != tries || !slices.Equal(r.told, want) || open != 0 {
			t.Errorf("%d tries, want %d; told %q, want %q; %d open", tried, tries, r.told, want, open)
		}
	}
	const never, always = time.Hour, 0
	f(never, func(testing.TB, int) {}, 1)
	f(always, func(testing.TB, int) {}, 1)
	f(never, func(t testing.TB, _ int) { t.Errorf("%d", 1); t.Error(2); t.Fatal(3); t.Error(4) }, 1, "1", "2", "3")
	f(never, func(t testing.TB, _ int) { t.Fatalf("%d", 5) }, 1, "5")
	f(never, func(t testing.TB, _ int) { t.Fail(); t.FailNow() }, 1, "failed", "failed")
	f(always, func(t testing.TB, try int) {
		if try < 3 {
			t.Fatal(try)
		}
		if t.Failed() {
			t.Error("what failed before counts")
		}
	}, 3)
}

// The longest time without a beat is what counts.
func TestWatch(t *testing.T) {
	w := watch()
	time.Sleep(10 * beat)
	if got := w.stop(); got <= 0 || got > patience {
		t.Errorf("the longest pause took %v", got)
	}
}
