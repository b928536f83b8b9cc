package state

import (
	"bytes"
	"maps"
	"slices"
	"sync"
)

// Memory is a Store that ends with the process. Its zero value is empty.
type Memory struct {
	mu     sync.RWMutex // guards what follows
	tables map[string]map[string]Entry
	closed bool
}

// Each implements Store.
func (m *Memory) Each(table, from, to string, f func(Entry) error) error {
	m.mu.RLock()
	if m.closed {
		m.mu.RUnlock()
		return ErrClosed
	}
	var found []Entry
	if to == from+"\x00" { // one entry: there is no need to look at the others
		if e, there := m.tables[table][from]; there {
			found = append(found, e)
		}
	} else {
		for key, e := range m.tables[table] {
			if key >= from && (to == "" || key < to) {
				found = append(found, e)
			}
		}
	}
	m.mu.RUnlock()
	slices.SortFunc(found, func(a, b Entry) int { return bytes.Compare([]byte(a.Key), []byte(b.Key)) })
	for _, e := range found {
		e.Value = bytes.Clone(e.Value)
		if err := f(e); err != nil {
			return err
		}
	}
	return nil
}

// Update implements Store.
func (m *Memory) Update(changes []Change) error {
	if err := check(changes); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	if m.tables == nil {
		m.tables = map[string]map[string]Entry{}
	}
	for i := range changes {
		c := &changes[i]
		table := m.tables[c.Table]
		if table == nil {
			table = map[string]Entry{}
			m.tables[c.Table] = table
		}
		switch {
		case c.Delete:
			delete(table, c.Key)
		case c.Value != nil:
			table[c.Key] = Entry{Key: c.Key, Value: bytes.Clone(c.Value)}
		default:
			c.Count = table[c.Key].Count + c.Add
			table[c.Key] = Entry{Key: c.Key, Count: c.Count}
		}
	}
	return nil
}

// Close implements Store.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	m.closed = true
	maps.DeleteFunc(m.tables, func(string, map[string]Entry) bool { return true })
	return nil
}

var _ Store = (*Memory)(nil)
