package expr

// List is an ordered collection. It isn't safe for concurrent use.
type List struct {
	items   []Value
	json    bool
	fixed   bool
	changes uint32
}

// NewList returns a list of these items, which it takes over.
func NewList(items ...Value) *List { return &List{items: items} }

// NewJSONArray returns a list that prints as JSON: what a JSON text's array is.
func NewJSONArray(items ...Value) *List { return &List{items: items, json: true} }

// NewArray returns a list of a fixed length: a Java array.
func NewArray(items ...Value) *List { return &List{items: items, fixed: true} }

// IsJSON reports whether l came from a JSON text.
func (l *List) IsJSON() bool { return l.json }

// IsArray reports whether l is of a fixed length.
func (l *List) IsArray() bool { return l.fixed }

// Len returns the number of items.
func (l *List) Len() int { return len(l.items) }

// At returns item i, below Len.
func (l *List) At(i int) Value { return l.items[i] }

// Items returns the items, which must not be changed through it.
func (l *List) Items() []Value { return l.items }

// Set replaces item i, below Len.
func (l *List) Set(i int, v Value) { l.items[i] = v }

// Append adds v behind the last item.
func (l *List) Append(v Value) {
	l.items = append(l.items, v)
	l.changes++
}

// Insert adds v in front of item i, at most Len.
func (l *List) Insert(i int, v Value) {
	l.items = append(l.items, Value{})
	copy(l.items[i+1:], l.items[i:])
	l.items[i] = v
	l.changes++
}

// Remove takes item i out.
func (l *List) Remove(i int) {
	l.items = append(l.items[:i], l.items[i+1:]...)
	l.changes++
}

// Replace puts items, which it takes over, in the place of all there are.
func (l *List) Replace(items []Value) {
	l.items = items
	l.changes++
}

// Changes counts what changed the length, for iterators that must notice.
func (l *List) Changes() uint32 { return l.changes }

// Index returns where v first is, -1 if nowhere.
func (l *List) Index(v Value) int {
	for i, item := range l.items {
		if Equal(v, item) {
			return i
		}
	}
	return -1
}

// entry is one member of a map.
type entry struct{ key, value Value }

// Map keeps its members in the order they came in: Java's LinkedHashMap. It
// isn't safe for concurrent use.
type Map struct {
	entries []entry
	index   map[indexKey]int32 // of scalars, made once there are many entries
	changes uint32
}

// indexKey is a scalar as a key of Go's map.
type indexKey struct {
	text string
	num  uint64
	kind Kind
}

// indexFrom is the number of entries above which an index is quicker than
// looking at each.
const indexFrom = 12

// NewMap returns an empty map.
func NewMap() *Map { return &Map{} }

// Len returns the number of members.
func (m *Map) Len() int { return len(m.entries) }

// Key returns the key of member i, below Len.
func (m *Map) Key(i int) Value { return m.entries[i].key }

// At returns the value of member i, below Len.
func (m *Map) At(i int) Value { return m.entries[i].value }

// SetAt replaces the value of member i, below Len.
func (m *Map) SetAt(i int, v Value) { m.entries[i].value = v }

// Changes counts what changed the members, for iterators that must notice.
func (m *Map) Changes() uint32 { return m.changes }

// Get returns the member called name.
func (m *Map) Get(name string) (Value, bool) {
	if len(m.entries) <= indexFrom {
		for i := range m.entries {
			e := &m.entries[i]
			if e.key.kind == StringKind && e.key.num == uint64(len(name)) && e.key.Str() == name {
				return e.value, true
			}
		}
		return Value{}, false
	}
	return m.Lookup(String(name))
}

// Lookup returns the member with this key.
func (m *Map) Lookup(key Value) (Value, bool) {
	if i := m.Find(key); i >= 0 {
		return m.entries[i].value, true
	}
	return Value{}, false
}

// Find returns the number of the member with this key, -1 if there is none.
func (m *Map) Find(key Value) int {
	if len(m.entries) > indexFrom {
		if k, ok := scalarKey(key); ok {
			if m.index == nil {
				m.buildIndex()
			}
			if i, found := m.index[k]; found {
				return int(i)
			}
			return -1
		}
	}
	for i := range m.entries {
		if Equal(key, m.entries[i].key) {
			return i
		}
	}
	return -1
}

func (m *Map) buildIndex() {
	m.index = make(map[indexKey]int32, 2*len(m.entries))
	for i := range m.entries {
		if k, ok := scalarKey(m.entries[i].key); ok {
			m.index[k] = int32(i)
		}
	}
}

// scalarKey returns what is the same for equal scalars and differs otherwise.
func scalarKey(v Value) (indexKey, bool) {
	switch v.kind {
	case StringKind:
		return indexKey{text: v.Str(), kind: StringKind}, true
	case BigIntKind:
		return indexKey{text: v.Big().String(), kind: BigIntKind}, true
	case BigDecimalKind, ListKind, MapKind, ObjectKind:
		return indexKey{}, false
	}
	return indexKey{num: v.num, kind: v.kind}, true
}

// Set puts v under name.
func (m *Map) Set(name string, v Value) { m.Put(String(name), v) }

// Put puts v under key and returns what was there before, null if nothing. A key
// that was there keeps its place.
func (m *Map) Put(key, v Value) Value {
	if i := m.Find(key); i >= 0 {
		old := m.entries[i].value
		m.entries[i].value = v
		return old
	}
	if m.index != nil {
		if k, ok := scalarKey(key); ok {
			m.index[k] = int32(len(m.entries))
		}
	}
	m.entries = append(m.entries, entry{key, v})
	m.changes++
	return Value{}
}

// Remove takes the member with this key out and returns its value, null if there
// is none.
func (m *Map) Remove(key Value) Value {
	i := m.Find(key)
	if i < 0 {
		return Value{}
	}
	old := m.entries[i].value
	m.entries = append(m.entries[:i], m.entries[i+1:]...)
	m.index = nil
	m.changes++
	return old
}

// Clear takes all members out.
func (m *Map) Clear() {
	m.entries, m.index = nil, nil
	m.changes++
}

// Clone returns a map of the same members.
func (m *Map) Clone() *Map { return &Map{entries: append([]entry(nil), m.entries...)} }
