// Package config holds the configuration's types and reads it: strictly, with
// the place of every value, and with all findings at once. It builds nothing.
package config

import (
	"fmt"
	"time"
)

// Duration is a length of time, written as "29s", "1m30s" or "50ms".
type Duration time.Duration

// Size is a number of bytes, written as "10MiB", "16KiB", "512B" or an integer.
type Size int64

// Rate is a number of requests a second, written as 100 or 0.5.
type Rate float64

// KeyError is a wrong value that only a kind can judge. Path is relative to the
// kind's own table: ["url"] for the url of an integration.
type KeyError struct {
	Path []string
	Text string // what is wrong, without the key
	Hint string // what to do, or ""
	Spot *Spot  // of the value, which is what is wrong; nil for all of it
}

// Error returns the text, and the place in the value if there is a Spot; the value's
// own is the compiler's to add.
func (e *KeyError) Error() string {
	if e.Spot == nil {
		return e.Text
	}
	return fmt.Sprintf("line %d, column %d of the text: %s", e.Spot.Line, e.Spot.Column, e.Text)
}
