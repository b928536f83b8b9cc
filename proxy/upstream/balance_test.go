package upstream

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// choice returns a backend that only chooses, over targets with these weights.
func choice(s settings, weights ...int) *backend {
	b := &backend{settings: &s, options: &Options{}, born: time.Now(), gate: nil}
	for i, w := range weights {
		address := fmt.Sprintf("10.0.0.%d:80", i+1)
		b.all = append(b.all, &target{address: address, hash: hashText(address), state: state{weight: w}})
	}
	b.publish()
	return b
}

func (b *backend) pick(w *want) string {
	t := b.choose(b.picks.Load(), w, time.Now())
	if t == nil {
		return ""
	}
	return t.address
}

// Turns follow the weights, and those of one target are spread over the round.
func TestSchedule(t *testing.T) {
	f := func(want string, weights ...int) {
		t.Helper()
		b := choice(settings{}, weights...)
		p, got := b.picks.Load(), ""
		for i := range uint32(len(want)) {
			got += p.turn(i).address[7:8]
		}
		if got != want {
			t.Errorf("%v: got %s, want %s", weights, got, want)
		}
	}
	f("123123", 1, 1, 1)
	f("123123", 7, 7, 7) // only the relation counts
	f("12311231", 2, 1, 1)
	f("11211121", 3, 1)
	f("1112111", 60, 10) // never the large one's share in one piece
}

// Weights far apart make no endless schedule, and nobody gets nothing.
func TestScheduleBounded(t *testing.T) {
	b := choice(settings{}, 65535*1000, 1, 999)
	p := b.picks.Load()
	if n := len(p.turns); n > 3*maxShare {
		t.Errorf("got %d turns, want at most %d", n, 3*maxShare)
	}
	seen := map[uint16]int{}
	for _, m := range p.turns {
		seen[m]++
	}
	if len(seen) != 3 || seen[0] != maxShare {
		t.Errorf("got turns %v, want some for each target", seen)
	}
}

// A target that failed the request before comes last, in every policy, and
// again when there is no other.
func TestChooseAvoidsTried(t *testing.T) {
	for _, policy := range []balance{byTurn, byLoad, byHash} {
		b := choice(settings{balance: policy}, 5, 1, 1)
		for key := range uint64(50) {
			w := &want{key: key * 7919, keyed: true}
			seen := map[string]bool{}
			for range 3 {
				address := b.pick(w)
				if seen[address] {
					t.Fatalf("policy %d: %s twice before all were tried", policy, address)
				}
				seen[address] = true
				for _, target := range b.all {
					if target.address == address {
						w.failed(target)
					}
				}
			}
			if b.pick(w) == "" {
				t.Fatalf("policy %d: no target when all were tried", policy)
			}
		}
	}
}

// Two choices: with two targets it is always the less busy one, by weight.
func TestLeastRequests(t *testing.T) {
	f := func(busy1, busy2 int, weight1, weight2 int, address string) {
		t.Helper()
		b := choice(settings{balance: byLoad}, weight1, weight2)
		b.all[0].begun.Store(uint64(busy1))
		b.all[1].begun.Store(uint64(busy2))
		for range 50 {
			if got := b.pick(new(want)); got != address {
				t.Fatalf("busy %d and %d, weights %d and %d: got %s, want %s", busy1, busy2, weight1, weight2, got, address)
			}
		}
	}
	f(1, 0, 1, 1, "10.0.0.2:80")
	f(5, 6, 1, 1, "10.0.0.1:80")
	f(5, 2, 3, 1, "10.0.0.1:80") // 5/3 is less than 2/1
	f(7, 2, 3, 1, "10.0.0.2:80")
	// The busiest of many is never chosen: one of the two is always better.
	b := choice(settings{balance: byLoad}, 1, 1, 1, 1, 1)
	b.all[3].begun.Store(100)
	seen := map[string]int{}
	for range 2000 {
		seen[b.pick(new(want))]++
	}
	if seen["10.0.0.4:80"] > 0 || len(seen) != 4 {
		t.Errorf("got %v, want all but the fourth", seen)
	}
}

// Rendezvous hashing: shares follow weights, and only the keys of a target
// that goes are moved.
func TestHash(t *testing.T) {
	const keys = 40000
	place := func(b *backend) []string {
		at := make([]string, keys)
		for i := range at {
			at[i] = b.pick(&want{key: hashText(fmt.Sprint("user", i)), keyed: true})
		}
		return at
	}
	share := func(at []string, address string) float64 {
		n := 0
		for _, a := range at {
			if a == address {
				n++
			}
		}
		return float64(n) / keys
	}
	b := choice(settings{balance: byHash}, 1, 1, 1, 1)
	before := place(b)
	for _, target := range b.all {
		if got := share(before, target.address); math.Abs(got-0.25) > 0.01 {
			t.Errorf("%s has a share of %.3f, want 0.25", target.address, got)
		}
	}
	b.all[2].sick = true
	b.publish()
	after := place(b)
	for i := range before {
		if before[i] != "10.0.0.3:80" && before[i] != after[i] {
			t.Fatalf("key %d moved from %s to %s though only 10.0.0.3:80 went", i, before[i], after[i])
		}
	}
	weighted := place(choice(settings{balance: byHash}, 5, 3, 2))
	for i, want := range []float64{0.5, 0.3, 0.2} {
		if got := share(weighted, fmt.Sprintf("10.0.0.%d:80", i+1)); math.Abs(got-want) > 0.01 {
			t.Errorf("target %d has a share of %.3f, want %.1f", i+1, got, want)
		}
	}
	// Without a value in the request it goes by turn.
	if first, second := b.pick(new(want)), b.pick(new(want)); first == second {
		t.Errorf("got %s twice without a key", first)
	}
}

// A target with no room is passed over; with no room anywhere there is none.
func TestChooseRoom(t *testing.T) {
	for _, policy := range []balance{byTurn, byLoad, byHash} {
		b := choice(settings{balance: policy, perOne: 2}, 9, 1)
		w := &want{key: 1, keyed: true}
		got := map[string]int{}
		for range 4 {
			target := b.choose(b.picks.Load(), w, time.Now())
			target.begun.Add(1)
			got[target.address]++
		}
		if b.pick(w) != "" || got["10.0.0.1:80"] != 2 || got["10.0.0.2:80"] != 2 {
			t.Errorf("policy %d: got %v and then %q, want two each and none", policy, got, b.pick(w))
		}
	}
}

func BenchmarkChoose(b *testing.B) {
	for _, bench := range []struct {
		name    string
		policy  balance
		weights []int
	}{
		{"one", byTurn, []int{1}},
		{"turn", byTurn, []int{1, 1, 1}},
		{"turn-weighted", byTurn, []int{5, 2, 1}},
		{"load", byLoad, []int{1, 1, 1}},
		{"hash", byHash, []int{1, 1, 1}},
		{"hash-weighted", byHash, []int{5, 2, 1}},
		{"hash-100", byHash, make([]int, 100)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			for i := range bench.weights {
				bench.weights[i] = max(1, bench.weights[i])
			}
			back := choice(settings{balance: bench.policy, perOne: 10, slow: time.Minute}, bench.weights...)
			now := time.Now()
			w := want{keyed: true}
			b.ReportAllocs()
			for b.Loop() {
				w.key++
				if back.choose(back.picks.Load(), &w, now) == nil {
					b.Fatal("no target")
				}
			}
		})
	}
}
