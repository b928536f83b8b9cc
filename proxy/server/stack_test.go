package server

import "testing"

// What deepen is for, without sockets: a goroutine that goes deep at once, or after it
// has made room.
func BenchmarkDeepen(b *testing.B) {
	for name, first := range map[string]func(){"own": deepen, "plain": func() {}} {
		b.Run(name, func(b *testing.B) {
			done := make(chan int)
			for b.Loop() {
				go func() {
					first()
					done <- deep(20)
				}()
				<-done
			}
		})
	}
}

// deep uses some stack in each of n frames.
//
//go:noinline
func deep(n int) int {
	var room [160]byte
	if n > 0 {
		room[n] = byte(deep(n - 1))
	}
	return int(room[n]) + n
}
