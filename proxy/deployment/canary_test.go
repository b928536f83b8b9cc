package deployment

import (
	"errors"
	"testing"
)

// canaried is the mode of a stage of whose requests 10 % go to a canary with a variable
// of its own.
func canaried() map[string]Mode {
	return map[string]Mode{"prod": {
		Canaried: true, Percent: 10, Variables: map[string]string{"v": "1"}, Overrides: map[string]string{"v": "2"},
	}}
}

// percent returns what goes to the canary.
func percent(s *Stage, m Mode) float64 {
	if s.Share != nil {
		return s.Share.Percent
	}
	return m.Percent
}

// What is promoted has the canary's variables, and leaves the canary without requests
// until something is deployed to it.
func TestPromoteTakesVariables(t *testing.T) {
	h, modes := NewHistory("pets"), canaried()
	f := func(deployment, canary int, want float64, promoted bool) {
		t.Helper()
		h.Settle(modes, word("1")) // as a reload does; nothing follows the configuration
		s := h.Stages["prod"]
		if got := percent(s, modes["prod"]); s.Deployment != deployment || s.Canary != canary || got != want || s.Promoted(modes["prod"]) != promoted {
			t.Errorf("deployment %d, canary %d with %g %%, promoted %v; want %d, %d, %g, %v", s.Deployment, s.Canary, got, s.Promoted(modes["prod"]), deployment, canary, want, promoted)
		}
	}
	deploy := func(digest string) {
		t.Helper()
		if _, err := h.Deploy("prod", true, word(digest)); err != nil {
			t.Fatal(err)
		}
	}
	f(1, 0, 10, false)
	deploy("2")
	f(1, 2, 10, false)
	if err := h.SetShare("prod", modes["prod"], 50); err != nil {
		t.Fatal(err)
	}
	f(1, 2, 50, false)
	if err := h.Promote("prod", modes["prod"], noon); err != nil {
		t.Fatal(err)
	}
	f(2, 0, 0, true)
	if err := h.Promote("prod", modes["prod"], noon); !errors.Is(err, ErrNothing) {
		t.Errorf("promoting nothing: %v", err)
	}
	deploy("3")
	f(2, 3, 10, true)
	if err := h.Rollback("prod", 0, "1", noon); err != nil {
		t.Fatal(err)
	}
	f(1, 3, 10, false)

	// The configuration counts again when it says something else.
	if err := h.Promote("prod", modes["prod"], noon); err != nil {
		t.Fatal(err)
	}
	f(3, 0, 0, true)
	m := modes["prod"]
	m.Percent, m.Overrides = 20, map[string]string{"v": "3"}
	modes["prod"] = m
	f(3, 0, 20, false)
}

// Variables alone can be promoted, and the promotion taken back.
func TestPromoteVariablesAlone(t *testing.T) {
	h, modes := NewHistory("pets"), canaried()
	h.Settle(modes, word("1"))
	if err := h.Promote("prod", modes["prod"], noon); err != nil {
		t.Fatal(err)
	}
	if s := h.Stages["prod"]; s.Deployment != 1 || !s.Promoted(modes["prod"]) {
		t.Errorf("%+v", s)
	}
	if err := h.Rollback("prod", 0, "1", noon); err != nil {
		t.Fatal(err)
	}
	if s := h.Stages["prod"]; s.Deployment != 1 || s.Promoted(modes["prod"]) {
		t.Errorf("%+v", s)
	}
	if err := h.Rollback("prod", 0, "1", noon); !errors.Is(err, ErrNothing) {
		t.Errorf("rolling nothing back: %v", err)
	}
}

// A canary that is disabled gets nothing until something new is deployed, though its
// stage follows the configuration.
func TestDisable(t *testing.T) {
	h, modes := NewHistory("pets"), canaried()
	m := modes["prod"]
	m.Follow = true
	modes["prod"] = m
	h.Settle(modes, word("1"))
	h.Settle(modes, word("2"))
	s := h.Stages["prod"]
	if s.Deployment != 1 || s.Canary != 2 {
		t.Fatalf("%+v", s)
	}
	if err := h.Disable("prod", m, "2"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if h.Settle(modes, word("2")); s.Canary != 0 || percent(s, m) != 0 {
			t.Fatalf("disabled: %+v", s)
		}
	}
	if h.Settle(modes, word("3")); s.Canary != 3 || percent(s, m) != 10 {
		t.Fatalf("deployed again: %+v", s)
	}
	// Without the table there is no canary: what it ran is what is deployed.
	modes["prod"] = Mode{Follow: true}
	if h.Settle(modes, word("3")); s.Canary != 0 || s.Deployment != 3 {
		t.Errorf("without a canary: %+v", s)
	}
}

func TestCanaryOfNothing(t *testing.T) {
	h, none := NewHistory("pets"), Mode{}
	h.Settle(map[string]Mode{"prod": none}, word("1"))
	f := func(err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	f(h.Promote("prod", none, noon), ErrNothing)
	f(h.SetShare("prod", none, 10), ErrNothing)
	f(h.Disable("prod", none, "1"), ErrNothing)
	f(h.SetShare("test", none, 10), ErrUnknown)
	f(h.SetShare("prod", canaried()["prod"], 101), ErrInvalid)
	f(h.SetShare("prod", canaried()["prod"], -1), ErrInvalid)
}
