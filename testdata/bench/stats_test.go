package main

import (
	"slices"
	"testing"
	"time"
)

func TestSpreadOf(t *testing.T) {
	f := func(v []float64, want spread) {
		t.Helper()
		before := slices.Clone(v)
		if got := spreadOf(v); got != want {
			t.Errorf("%v: got %+v, want %+v", v, got, want)
		}
		if !slices.Equal(v, before) {
			t.Errorf("%v became %v", before, v)
		}
	}
	f(nil, spread{})
	f([]float64{3}, spread{3, 3, 3, 1})
	// One outlier moves an end, not the median.
	f([]float64{2, 90, 1, 3, 2}, spread{2, 1, 90, 5})
	// An even number: the mean of the two in the middle.
	f([]float64{4, 1, 2, 3}, spread{2.5, 1, 4, 4})
}

func TestRatios(t *testing.T) {
	// Round by round, not mean by mean: a slow machine in round 1 slows both.
	got := ratios(map[int]float64{0: 5, 1: 50, 2: 4}, map[int]float64{0: 10, 1: 100, 3: 1})
	if !slices.Equal(got, []float64{0.5, 0.5}) {
		t.Errorf("got %v", got)
	}
	if got := ratios(map[int]float64{0: 5}, map[int]float64{0: 0}); len(got) != 0 {
		t.Errorf("divided by nothing: %v", got)
	}
}

func TestQuantile(t *testing.T) {
	f := func(n int, q float64, want time.Duration) {
		t.Helper()
		var all []time.Duration
		for i := range n {
			all = append(all, time.Duration(i+1))
		}
		if got := quantile(all, q); got != want {
			t.Errorf("%v of 1 to %d: got %d, want %d", q, n, got, want)
		}
	}
	f(0, 0.5, 0)
	f(1, 0.99, 1)
	f(100, 0.5, 50)
	f(100, 0.99, 99)
	f(1000, 0.99, 990)
	f(10, 0.99, 10) // a tenth request is the nearest that 99 % reach
	f(10, 1, 10)
	f(3, 0.5, 2)
}

func TestRotated(t *testing.T) {
	all := []string{"a", "b", "c"}
	for n, want := range [][]string{{"a", "b", "c"}, {"b", "c", "a"}, {"c", "a", "b"}, {"a", "b", "c"}} {
		if got := rotated(all, n); !slices.Equal(got, want) {
			t.Errorf("round %d: got %v, want %v", n, got, want)
		}
	}
}

// A run with errors is told and isn't part of any figure.
func TestSum(t *testing.T) {
	s := &scenarioReport{Proxies: []*proxyReport{
		{Name: nginx, Samples: []sample{{Round: 0, CPU: 10, P99: 1}, {Round: 1, CPU: 20, P99: 2}, {Round: 2, CPU: 10, P99: 1}}},
		{Name: postern, Samples: []sample{
			{Round: 0, CPU: 9, P99: 2, Opened: 30}, {Round: 1, CPU: 18, P99: 4}, {Round: 2, CPU: 1, Failed: "it broke"},
		}},
	}}
	s.sum()
	p := s.row(postern)
	if want := (spread{0.9, 0.9, 0.9, 2}); p.Ratio != want {
		t.Errorf("ratio: got %+v, want %+v", p.Ratio, want)
	}
	if want := (spread{13.5, 9, 18, 2}); p.CPU != want {
		t.Errorf("CPU: got %+v, want %+v", p.CPU, want)
	}
	if want := (spread{2, 2, 2, 2}); p.P99Ratio != want {
		t.Errorf("p99: got %+v, want %+v", p.P99Ratio, want)
	}
	if p.Lost != 1 || p.Instructions.N != 0 {
		t.Errorf("got %d lost rounds, instructions %+v", p.Lost, p.Instructions)
	}
	p.Requests, p.LogLines = 1000, 900
	const want = "1 rounds with errors: it broke; 900 access log lines for 1000 requests; 30 backend connections for 1000 requests"
	if got := p.notes(); got != want {
		t.Errorf("notes\n got %s\nwant %s", got, want)
	}
}
