package vtl

import "github.com/postern-gateway/postern/proxy/expr"

// mapMethod calls a method of java.util.LinkedHashMap.
func (c *call) mapMethod(m *expr.Map) (expr.Value, bool, error) {
	switch c.method {
	case mSize:
		return c.plain(expr.Int(int32(m.Len())))
	case mIsEmpty:
		return c.plain(expr.Bool(m.Len() == 0))
	case mKeySet:
		return c.plain(expr.OfObject(&viewObject{m: m, view: viewKeys}))
	case mValues:
		return c.plain(expr.OfObject(&viewObject{m: m, view: viewValues}))
	case mEntrySet:
		return c.plain(expr.OfObject(&viewObject{m: m, view: viewEntries}))
	case mToString, mHashCode, mEquals:
		return c.common()
	case mClone:
		return c.plain(expr.OfMap(m.Clone()))
	case mClear:
		if len(c.args) == 0 {
			m.Clear()
		}
		return c.plain(expr.String(""))
	case mPutAll:
		return c.putAll(m)
	}
	switch {
	case c.fits("o"):
		return c.keyMethod(m, c.item(0))
	case c.fits("oo"):
		return c.pairMethod(m, c.item(0), c.item(1))
	case c.method == mReplace && c.fits("ooo"):
		old, there := m.Lookup(c.item(0))
		if there && expr.Equal(old, c.item(1)) {
			m.Put(c.item(0), c.item(2))
			return c.result(expr.Bool(true))
		}
		return c.result(expr.Bool(false))
	}
	return c.none()
}

// keyMethod are the methods with one argument.
func (c *call) keyMethod(m *expr.Map, key expr.Value) (expr.Value, bool, error) {
	switch c.method {
	case mGet:
		v, _ := m.Lookup(key)
		return c.result(v)
	case mContainsKey:
		return c.result(expr.Bool(m.Find(key) >= 0))
	case mRemove:
		return c.result(m.Remove(key))
	case mContainsValue:
		if err := c.r.spend(m.Len() >> 4); err != nil {
			return key, true, err
		}
		for i := range m.Len() {
			if expr.Equal(key, m.At(i)) {
				return c.result(expr.Bool(true))
			}
		}
		return c.result(expr.Bool(false))
	}
	return c.none()
}

// pairMethod are the methods with two arguments.
func (c *call) pairMethod(m *expr.Map, key, v expr.Value) (expr.Value, bool, error) {
	if m.Len() >= c.r.limits.Range {
		return v, true, c.r.rangeLimit()
	}
	old, there := m.Lookup(key)
	switch c.method {
	case mPut:
		m.Put(key, v)
		if over := c.r.env.overrides(); over != nil {
			over.note(m, key)
		}
		return c.result(old)
	case mPutIfAbsent:
		if old.IsNull() {
			m.Put(key, v)
		}
		return c.result(old)
	case mGetOrDefault:
		if there {
			v = old
		}
		return c.result(v)
	case mReplace:
		if there {
			m.Put(key, v)
		}
		return c.result(old)
	case mRemove:
		same := there && expr.Equal(old, v)
		if same {
			m.Remove(key)
		}
		return c.result(expr.Bool(same))
	}
	return c.none()
}

func (c *call) putAll(m *expr.Map) (expr.Value, bool, error) {
	if len(c.args) != 1 {
		return c.none()
	}
	from := c.args[0].Map()
	switch o := c.args[0].Object().(type) {
	case *branchObject:
		from = o.fill()
	case *scope:
		from = o.memory()
	}
	if from == nil {
		if c.args[0].IsNull() {
			return expr.Value{}, true, errNull
		}
		return c.none()
	}
	if m.Len()+from.Len() > c.r.limits.Range {
		return expr.Value{}, true, c.r.rangeLimit()
	}
	if err := c.r.spend(from.Len() >> 2); err != nil {
		return expr.Value{}, true, err
	}
	for i := range from.Len() {
		m.Put(from.Key(i), from.At(i))
	}
	return c.result(expr.String(""))
}
