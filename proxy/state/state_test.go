package state

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestMemory(t *testing.T) {
	conform(t, func(*testing.T) Store { return &Memory{} })
}

func TestFile(t *testing.T) {
	conform(t, func(t *testing.T) Store { return open(t, filepath.Join(t.TempDir(), "state.db")) })
}

func open(t *testing.T, path string) *File {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // the test may have closed it
	return s
}

// conform is what every Store has to do.
func conform(t *testing.T, make func(t *testing.T) Store) {
	t.Run("entries", func(t *testing.T) { entries(t, make(t)) })
	t.Run("allOrNone", func(t *testing.T) { allOrNone(t, make(t)) })
	t.Run("concurrent", func(t *testing.T) { concurrent(t, make(t)) })
	t.Run("naive", func(t *testing.T) { likeNaive(t, make(t)) })
	t.Run("closed", func(t *testing.T) {
		s := make(t)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{
			s.Close(), s.Update([]Change{{Table: "t", Key: "k", Add: 1}}), s.Each("t", "", "", func(Entry) error { return nil }),
		} {
			if !errors.Is(err, ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
		}
	})
}

// dump is what a table holds.
func dump(t *testing.T, s Store, table, from, to string) string {
	t.Helper()
	var b strings.Builder
	err := s.Each(table, from, to, func(e Entry) error {
		if e.Value != nil {
			fmt.Fprintf(&b, "%s=%q ", e.Key, e.Value)
		} else {
			fmt.Fprintf(&b, "%s=%d ", e.Key, e.Count)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(b.String())
}

func update(t *testing.T, s Store, changes ...Change) {
	t.Helper()
	if err := s.Update(changes); err != nil {
		t.Fatal(err)
	}
}

func entries(t *testing.T, s Store) {
	want := func(table, from, to, want string) {
		t.Helper()
		if got := dump(t, s, table, from, to); got != want {
			t.Errorf("%s from %q to %q:\n got: %s\nwant: %s", table, from, to, got, want)
		}
	}
	want("t", "", "", "")
	update(t, s,
		Change{Table: "t", Key: "b", Value: []byte("two")}, Change{Table: "t", Key: "a", Value: []byte("one")},
		Change{Table: "t", Key: "c", Add: 5}, Change{Table: "u", Key: "a", Value: []byte{}}, Change{Table: "t", Key: "b\x00c", Add: -1})
	want("t", "", "", `a="one" b="two" `+"b\x00c=-1 c=5")
	want("t", "b", "", `b="two" `+"b\x00c=-1 c=5")
	want("t", "b", "b\x00", `b="two"`)
	want("t", "b", "c", `b="two" `+"b\x00c=-1")
	want("t", "d", "", "")
	want("u", "", "", `a=""`)
	// Counts are told, also of one counter twice.
	changes := []Change{{Table: "t", Key: "c", Add: 2}, {Table: "t", Key: "c", Add: -3}, {Table: "t", Key: "n", Add: 1}}
	update(t, s, changes...)
	if err := s.Update(changes); err != nil || changes[0].Count != 6 || changes[1].Count != 3 || changes[2].Count != 2 {
		t.Errorf("%v, %+v", err, changes)
	}
	// Each sort replaces the other.
	update(t, s, Change{Table: "t", Key: "c", Value: []byte("text")}, Change{Table: "t", Key: "a", Add: 9}, Change{Table: "t", Key: "b", Delete: true},
		Change{Table: "t", Key: "nobody", Delete: true}, Change{Table: "t", Key: "b\x00c", Delete: true}, Change{Table: "t", Key: "n", Delete: true})
	want("t", "", "", `a=9 c="text"`)
	// What f gets is its own, and its error ends it.
	enough := errors.New("enough")
	n := 0
	err := s.Each("t", "", "", func(e Entry) error {
		n++
		for i := range e.Value {
			e.Value[i] = 'x'
		}
		if e.Key == "c" {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || n != 2 {
		t.Errorf("%v after %d", err, n)
	}
	want("t", "", "", `a=9 c="text"`)
}

func allOrNone(t *testing.T, s Store) {
	update(t, s, Change{Table: "t", Key: "a", Add: 1})
	for _, bad := range []Change{{Table: "t", Add: 1}, {Key: "k", Add: 1}, {Table: "t", Key: strings.Repeat("k", MaxKey+1), Add: 1}} {
		if err := s.Update([]Change{{Table: "t", Key: "a", Add: 1}, bad}); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
	if got := dump(t, s, "t", "", ""); got != "a=1" {
		t.Error(got)
	}
}

func concurrent(t *testing.T, s Store) {
	var work sync.WaitGroup
	for i := range 8 {
		work.Go(func() {
			for range 25 {
				if err := s.Update([]Change{{Table: "t", Key: "all", Add: 1}, {Table: "t", Key: fmt.Sprint(i), Add: 1}}); err != nil {
					t.Error(err)
				}
				all, sum := int64(0), int64(0)
				err := s.Each("t", "", "", func(e Entry) error {
					if e.Key == "all" {
						all = e.Count
					} else {
						sum += e.Count
					}
					return nil
				})
				if err != nil || all != sum { // of one moment
					t.Errorf("%v: %d in all, %d together", err, all, sum)
				}
			}
		})
	}
	work.Wait()
	if got := dump(t, s, "t", "all", ""); got != "all=200" {
		t.Error(got)
	}
}

// likeNaive makes the same changes to a map, which can't be wrong.
func likeNaive(t *testing.T, s Store) {
	r := rand.New(rand.NewPCG(1, 2))
	type value struct {
		text  string
		count int64
		is    bool
	}
	naive := map[string]value{}
	for range 60 {
		var changes []Change
		for range r.IntN(20) {
			c := Change{Table: "t", Key: fmt.Sprintf("%c%d", 'a'+r.IntN(3), r.IntN(30))}
			switch r.IntN(4) {
			case 0:
				c.Delete = true
				delete(naive, c.Key)
			case 1:
				c.Value = bytes.Repeat([]byte{'v'}, r.IntN(3000))
				naive[c.Key] = value{text: string(c.Value), is: true}
			default:
				c.Add = int64(r.IntN(100) - 20)
				naive[c.Key] = value{count: naive[c.Key].count + c.Add}
			}
			changes = append(changes, c)
		}
		update(t, s, changes...)
		from, to := fmt.Sprintf("%c", 'a'+r.IntN(3)), fmt.Sprintf("%c%d", 'a'+r.IntN(3), r.IntN(30))
		var want []string
		for key, v := range naive {
			if key < from || key >= to {
				continue
			}
			if v.is {
				want = append(want, fmt.Sprintf("%s=%q", key, v.text))
			} else {
				want = append(want, fmt.Sprintf("%s=%d", key, v.count))
			}
		}
		slices.Sort(want)
		got := strings.Fields(dump(t, s, "t", from, to))
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatalf("from %q to %q:\n got: %.300q\nwant: %.300q", from, to, got, want)
		}
	}
}

// fill makes a file with pages of all kinds, and closes it.
func fill(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	var changes []Change
	for i := range 3000 {
		changes = append(changes, Change{Table: "big", Key: fmt.Sprintf("key%04d", i), Value: bytes.Repeat([]byte{'x'}, 50)})
	}
	changes = append(changes, Change{Table: "large", Key: "one", Value: bytes.Repeat([]byte{'y'}, 20000)}, Change{Table: "small", Key: "n", Add: 7})
	update(t, s, changes...)
	// Should the newest header be damaged, the one before it counts: what was changed
	// last is undone then.
	update(t, s, Change{Table: "small", Key: "n", Add: 0})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFileStays(t *testing.T) {
	path := fill(t)
	s := open(t, path)
	if got := dump(t, s, "small", "", ""); got != "n=7" {
		t.Error(got)
	}
	if err := s.Copy(); err != nil {
		t.Fatal(err)
	}
	update(t, s, Change{Table: "small", Key: "n", Add: 1})
	c := open(t, path+CopySuffix)
	if got := dump(t, c, "small", "", ""); got != "n=7" {
		t.Errorf("the copy has %s", got)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
}

// Whatever byte of a file is wrong, opening it says so or what it holds is right: it
// never begins empty, and never ends the process.
func TestFileIsDamaged(t *testing.T) {
	path := fill(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := func(s *File) string {
		return dump(t, s, "small", "", "") + dump(t, s, "large", "", "") + dump(t, s, "big", "", "")
	}
	s := open(t, path)
	right := want(s)
	_ = s.Close() // it only read
	try := func(what string, damaged []byte) bool {
		t.Helper()
		path := filepath.Join(t.TempDir(), "state.db")
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path)
		if err == nil {
			if got := want(s); got != right {
				t.Errorf("%s: nobody notices: %.100s", what, got)
			}
			_ = s.Close() // it only read
			return false
		}
		if !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "move it away") {
			t.Errorf("%s: %v", what, err)
		}
		return true
	}
	found := 0
	r := rand.New(rand.NewPCG(3, 4))
	for range 400 {
		damaged := bytes.Clone(whole)
		at := r.IntN(len(damaged))
		damaged[at] ^= byte(1 + r.IntN(255))
		if try(fmt.Sprintf("byte %d", at), damaged) {
			found++
		}
	}
	for range 60 { // in the heads of pages
		damaged := bytes.Clone(whole)
		at := r.IntN(len(damaged)/os.Getpagesize())*os.Getpagesize() + r.IntN(64)
		damaged[at] ^= byte(1 + r.IntN(255))
		if try(fmt.Sprintf("byte %d", at), damaged) {
			found++
		}
	}
	if found < 100 {
		t.Errorf("%d of 460 damages were found", found)
	}
	for _, n := range []int{1, 100, 4096, 8192, len(whole) / 2, len(whole) - 4096 - len(whole)%4096} {
		if !try(fmt.Sprintf("cut to %d", n), whole[:n]) && n <= len(whole)/2 {
			t.Errorf("cut to %d: nobody notices", n)
		}
	}
	try("text", []byte(strings.Repeat("this is no database\n", 1000)))
	zeros := bytes.Clone(whole)
	clear(zeros[2*os.Getpagesize() : 6*os.Getpagesize()])
	try("zeros", zeros)
}

func TestFileInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	open(t, path)
	if _, err := Open(path); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
	if _, err := exec.LookPath("flock"); err != nil {
		t.Skip("there is no flock to be the other process")
	}
	path = filepath.Join(t.TempDir(), "state.db")
	other := exec.Command("flock", path, "-c", "echo locked; read line")
	in, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = in.Close() // ends it
		_ = other.Wait()
	}()
	if _, err := out.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), fmt.Sprintf("number %d", other.Process.Pid)) {
		t.Errorf("%v", err)
	}
}

func TestFileCantBeMade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(path, "state.db")); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
}

// A thousand counters, as a busy second leaves them.
func BenchmarkFileUpdate(b *testing.B) {
	s, err := Open(filepath.Join(b.TempDir(), "state.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	changes := make([]Change, 1000)
	for i := range changes {
		changes[i] = Change{Table: "t", Key: fmt.Sprintf("gold\x00key%04d\x002026-11-22", i), Add: 1}
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Update(changes); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen is of a file with 100,000 documents.
func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "state.db")
	s, err := Open(path)
	if err != nil {
		b.Fatal(err)
	}
	changes := make([]Change, 100_000)
	for i := range changes {
		changes[i] = Change{Table: "t", Key: fmt.Sprintf("key%06d", i), Value: bytes.Repeat([]byte{'x'}, 180)}
	}
	if err := s.Update(changes); err != nil {
		b.Fatal(err)
	}
	_ = s.Close()
	for b.Loop() {
		began := time.Now()
		s, err := Open(path)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms/open")
		_ = s.Close()
	}
}
