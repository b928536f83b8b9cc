package plugins

import (
	"sync"
	"testing"
)

// Slots go to those who wait in the order in which they came, and to nobody who
// has left.
func TestSlotsGoInTurn(t *testing.T) {
	s := slots{most: 2}
	if !s.take() || !s.take() || s.take() {
		t.Fatal("there are not two slots")
	}
	first, ready1 := s.queue()
	_, ready2 := s.queue()
	_, ready3 := s.queue()
	got := func() (who int) {
		select {
		case <-ready1:
			return 1
		case <-ready2:
			return 2
		case <-ready3:
			return 3
		default:
			return 0
		}
	}
	s.leave(first, ready1)
	s.free()
	if who := got(); who != 2 {
		t.Errorf("%d got the first slot, want 2", who)
	}
	s.free()
	if who := got(); who != 3 {
		t.Errorf("%d got the second slot, want 3", who)
	}
	s.free()
	s.free()
	if who := got(); who != 0 || s.taken != 0 {
		t.Errorf("%d got a slot, %d are taken, want none", who, s.taken)
	}
}

// Who leaves at the moment when a slot comes gives it on.
func TestSlotComesToWhoLeaves(t *testing.T) {
	s := slots{most: 1}
	s.take()
	first, ready1 := s.queue()
	_, ready2 := s.queue()
	s.free()
	s.leave(first, ready1)
	select {
	case <-ready2:
	default:
		t.Error("the slot is lost")
	}
}

func TestSlotsHammer(t *testing.T) {
	var mu sync.Mutex
	s := slots{most: 3}
	working := 0
	var all sync.WaitGroup
	for who := range 20 {
		all.Go(func() {
			for turn := range 2000 {
				mu.Lock()
				if !s.take() {
					place, ready := s.queue()
					mu.Unlock()
					if (who+turn)%5 == 0 {
						mu.Lock()
						s.leave(place, ready)
						mu.Unlock()
						continue
					}
					<-ready
					mu.Lock()
				}
				if working++; working > 3 {
					t.Errorf("%d at work", working)
				}
				mu.Unlock()
				mu.Lock()
				working--
				s.free()
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if s.taken != 0 || s.waiting.Len() != 0 {
		t.Errorf("in the end %d are taken, %d wait", s.taken, s.waiting.Len())
	}
}
