package config

import (
	"slices"
	"strings"
)

// Closest returns the word most like got, or "" when none is like it enough to
// be meant.
func Closest(got string, words []string) string { return closest(got, words) }

// closest returns the word most like got, or "" when none is like it enough to
// be meant.
func closest(got string, words []string) string {
	if got == "" {
		return ""
	}
	best, bestDistance := "", 1+max(1, len(got)/3)
	for _, w := range words {
		if strings.EqualFold(got, w) {
			return w
		}
		if d := len(got) - len(w); d >= bestDistance || -d >= bestDistance || w == "" {
			continue
		}
		d := distance(strings.ToLower(got), strings.ToLower(w))
		if d < bestDistance && d < max(len(got), len(w)) {
			best, bestDistance = w, d
		}
	}
	return best
}

// distance is the least number of insertions, deletions, substitutions and
// swaps of neighbours that make b of a: optimal string alignment, in bytes.
func distance(a, b string) int {
	before, last, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(last[j]+1, next[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, last, next = last, next, before
	}
	return last[len(b)]
}

// listed joins words for a message: `a, b, c`, at most limit of them.
func listed(words []string, limit int) string {
	words = slices.Clone(words)
	if len(words) > limit {
		words = append(words[:limit:limit], "…")
	}
	return strings.Join(words, ", ")
}
