package main

import (
	"slices"
	"time"
)

// spread is what is told of the figures of several rounds.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	N      int     `json:"n"`
}

// spreadOf returns the median and the ends of v, which it doesn't change. Of an
// even number the median is the mean of the two in the middle.
func spreadOf(v []float64) spread {
	if len(v) == 0 {
		return spread{}
	}
	v = slices.Sorted(slices.Values(v))
	middle := v[len(v)/2]
	if len(v)%2 == 0 {
		middle = (v[len(v)/2-1] + middle) / 2
	}
	return spread{Median: middle, Min: v[0], Max: v[len(v)-1], N: len(v)}
}

// ratios divides the figures of each round by those of the same round of the
// reference. Rounds that one of the two lacks are left out.
func ratios(of, reference map[int]float64) []float64 {
	var all []float64
	for round, v := range of {
		if r := reference[round]; r > 0 {
			all = append(all, v/r)
		}
	}
	slices.Sort(all)
	return all
}

// quantile returns the smallest figure that the share q of sorted reaches: the
// nearest rank.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(q*float64(len(sorted))+0.999999) - 1
	return sorted[min(max(rank, 0), len(sorted)-1)]
}

// rotated returns the order of round number n: each round begins one later, so
// that nobody always runs after the same neighbour or first.
func rotated[T any](all []T, n int) []T {
	k := n % len(all)
	return slices.Concat(all[k:], all[:k])
}
