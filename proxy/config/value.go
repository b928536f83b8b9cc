package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// String returns d as the configuration writes it: "1m30s", "50ms", "0s".
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText returns what String returns.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String returns s with the largest unit that divides it: "10MiB", "10272B".
func (s Size) String() string {
	for _, u := range []string{"TiB", "GiB", "MiB", "KiB"} {
		if f := sizeUnit(u); s != 0 && int64(s)%f == 0 {
			return strconv.FormatInt(int64(s)/f, 10) + u
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// MarshalText returns what String returns.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// sizeUnit returns the number of bytes of a unit, or 0 for an unknown one.
func sizeUnit(unit string) int64 {
	switch unit {
	case "B":
		return 1
	case "KiB":
		return 1 << 10
	case "MiB":
		return 1 << 20
	case "GiB":
		return 1 << 30
	case "TiB":
		return 1 << 40
	}
	return 0
}

// parseDuration reads "29s" or "1m30s". On failure hint says what to write
// instead, if that can be guessed.
func parseDuration(s string) (d Duration, hint string, ok bool) {
	v, err := time.ParseDuration(s)
	if err == nil && (s == "0" || s == "+0" || s == "-0") {
		return 0, `write "0s"`, false // time.ParseDuration lets a bare zero pass; we want the unit always
	}
	if err == nil {
		return Duration(v), "", true
	}
	compact := strings.ToLower(strings.ReplaceAll(s, " ", ""))
	if n, err := strconv.ParseFloat(compact, 64); err == nil && n >= 0 && !math.IsInf(n, 0) {
		return 0, fmt.Sprintf("add the unit: %q", compact+"s"), false
	}
	if days, found := strings.CutSuffix(compact, "d"); found {
		if n, err := strconv.ParseInt(days, 10, 16); err == nil && n > 0 {
			return 0, fmt.Sprintf("hours are the largest unit: write %q", strconv.FormatInt(n*24, 10)+"h"), false
		}
	}
	for _, long := range []struct{ word, unit string }{
		{"milliseconds", "ms"}, {"millisecond", "ms"}, {"seconds", "s"}, {"second", "s"}, {"secs", "s"}, {"sec", "s"},
		{"minutes", "m"}, {"minute", "m"}, {"mins", "m"}, {"min", "m"}, {"hours", "h"}, {"hour", "h"},
	} {
		compact = strings.ReplaceAll(compact, long.word, long.unit)
	}
	if _, err := time.ParseDuration(compact); err == nil {
		return 0, fmt.Sprintf("write %q", compact), false
	}
	return 0, "the units are ms, s, m and h", false
}

// parseSize reads "10MiB" or "512B". On failure hint says what to write
// instead, if that can be guessed.
func parseSize(s string) (n Size, hint string, ok bool) {
	digits := strings.TrimRight(s, "BKMGTibkmgt ")
	unit := strings.TrimSpace(s[len(digits):])
	v, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || v < 0 || digits == "" || digits[0] == '+' {
		return 0, `write a whole number and B, KiB, MiB, GiB or TiB, such as "10MiB"`, false
	}
	factor := sizeUnit(unit)
	if factor != 0 && digits+unit == s {
		if v > math.MaxInt64/factor {
			return 0, "the number is too large", false
		}
		return Size(v * factor), "", true
	}
	if unit == "" {
		return 0, fmt.Sprintf("add the unit: %q", digits+"B"), false
	}
	guess := strings.ToUpper(unit[:1])
	if guess != "B" {
		guess += "iB"
	}
	return 0, fmt.Sprintf("write %q; the units are B, KiB, MiB, GiB and TiB", digits+guess), false
}
