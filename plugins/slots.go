package plugins

import "container/list"

// slots bound how many instances of a plugin are at work. Who finds none waits for
// one in the order of arrival. The plugin's mutex guards them; it is taken for the
// idle instances anyway, which a channel in their place would come on top of.
type slots struct {
	most    int
	taken   int
	waiting list.List // of chan struct{} with room for one; nobody waits while one is free
}

// take takes a slot if there is one.
func (s *slots) take() bool {
	if s.taken >= s.most {
		return false
	}
	s.taken++
	return true
}

// queue waits in line: what it returns is ready when a slot was taken for it.
func (s *slots) queue() (place *list.Element, ready <-chan struct{}) {
	mine := make(chan struct{}, 1)
	return s.waiting.PushBack(mine), mine
}

// leave ends the waiting of who doesn't want a slot any more.
func (s *slots) leave(place *list.Element, ready <-chan struct{}) {
	select {
	case <-ready:
		s.free()
	default:
		s.waiting.Remove(place)
	}
}

// free gives a slot back, or on to who has waited for longest.
func (s *slots) free() {
	if first := s.waiting.Front(); first != nil {
		s.waiting.Remove(first).(chan struct{}) <- struct{}{}
		return
	}
	s.taken--
}
