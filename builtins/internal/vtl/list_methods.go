package vtl

import (
	"errors"
	"slices"
	"strings"

	"github.com/postern-gateway/postern/proxy/expr"
)

// listMethod calls a method of java.util.ArrayList, or of an array, which has those
// that don't change its length.
func (c *call) listMethod(l *expr.List) (expr.Value, bool, error) {
	if err := c.r.spend(l.Len() >> 6); err != nil {
		return expr.Value{}, true, err
	}
	switch c.method {
	case mSize:
		return c.plain(expr.Int(int32(l.Len())))
	case mIsEmpty:
		return c.plain(expr.Bool(l.Len() == 0))
	case mGet:
		if !c.fits("i") {
			return c.none()
		}
		if i := c.num(0); i < 0 || i >= l.Len() {
			return c.outOfRange(i, l.Len())
		}
		return c.result(l.At(c.num(0)))
	case mSet:
		if !c.fits("io") {
			return c.none()
		}
		i := c.num(0)
		if i < 0 || i >= l.Len() {
			return c.outOfRange(i, l.Len())
		}
		old := l.At(i)
		l.Set(i, c.item(1))
		return c.result(old)
	case mContains, mIndexOf, mLastIndexOf:
		return c.findMethod(l)
	case mIterator:
		return c.plain(expr.OfObject(&iteratorObject{of: newListItems(l)}))
	case mListIterator:
		return c.listIterator(l)
	case mToString, mHashCode, mEquals:
		return c.common()
	case mToJSONString:
		if !l.IsJSON() {
			return c.none()
		}
		s, err := c.v.Text(c.r.limits.Output)
		return expr.String(s), true, err
	case mSubList:
		return c.subList(l)
	case mContainsAll:
		others, ok := c.collection(0)
		if !ok || len(c.args) != 1 {
			return c.none()
		}
		for _, item := range others {
			if err := c.r.spend(1 + l.Len()>>4); err != nil {
				return item, true, err
			}
			if l.Index(item) < 0 {
				return c.result(expr.Bool(false))
			}
		}
		return c.result(expr.Bool(true))
	case mToArray:
		if len(c.args) == 0 {
			return c.result(expr.OfList(expr.NewArray(slices.Clone(l.Items())...)))
		}
		if len(c.args) == 1 && c.args[0].IsNull() { // instead of an array to fill
			return expr.Value{}, true, errNull
		}
		return c.none()
	}
	return c.changing(l)
}

func (c *call) findMethod(l *expr.List) (expr.Value, bool, error) {
	if !c.fits("o") {
		return c.none()
	}
	i := l.Index(c.item(0))
	switch c.method {
	case mContains:
		return c.result(expr.Bool(i >= 0))
	case mLastIndexOf:
		for j := l.Len() - 1; j > i; j-- {
			if expr.Equal(c.item(0), l.At(j)) {
				i = j
			}
		}
	}
	return c.result(expr.Int(int32(i)))
}

func (c *call) listIterator(l *expr.List) (expr.Value, bool, error) {
	at := 0
	switch {
	case len(c.args) == 0:
	case c.fits("i"):
		if at = c.num(0); at < 0 || at > l.Len() {
			return c.outOfRange(at, l.Len())
		}
	default:
		return c.plain(expr.Value{})
	}
	items := newListItems(l)
	items.at = at
	return c.result(expr.OfObject(&iteratorObject{of: items}))
}

// subList returns a copy. Java's is a window on the list; no template was seen that
// writes through one.
func (c *call) subList(l *expr.List) (expr.Value, bool, error) {
	if !c.fits("ii") {
		return c.none()
	}
	from, to := c.num(0), c.num(1)
	if from < 0 || to > l.Len() || from > to {
		return c.fail("from %d to %d of %d", from, to, l.Len())
	}
	return c.result(expr.OfList(expr.NewList(slices.Clone(l.Items()[from:to])...)))
}

// changing are the methods that may change a list's length.
func (c *call) changing(l *expr.List) (expr.Value, bool, error) {
	if l.IsArray() && c.method != mSort {
		return c.arrayMethod(l)
	}
	switch c.method {
	case mAdd:
		return c.addMethod(l)
	case mAddAll:
		return c.addAll(l)
	case mRemove:
		return c.removeMethod(l)
	case mRemoveAll, mRetainAll:
		return c.removeAll(l)
	case mClear:
		if len(c.args) == 0 {
			l.Replace(nil)
		}
		return c.plain(expr.String(""))
	case mEnsureCapacity:
		if c.fits("i") {
			return c.result(expr.String(""))
		}
	case mClone:
		copied := expr.NewList(slices.Clone(l.Items())...)
		if l.IsJSON() {
			copied = expr.NewJSONArray(slices.Clone(l.Items())...)
		}
		return c.plain(expr.OfList(copied))
	case mSort:
		if c.fits("o") && c.item(0).IsNull() {
			return c.sortMethod(l)
		}
	}
	return c.none()
}

// arrayMethod are the same methods of an array: they fail where they would change
// its length.
func (c *call) arrayMethod(l *expr.List) (expr.Value, bool, error) {
	others, isCollection := c.collection(0)
	changes := false
	switch c.method {
	case mAdd:
		changes = c.fits("o") || c.fits("io")
	case mClear:
		if changes = len(c.args) == 0 && l.Len() > 0; !changes {
			return c.plain(expr.String(""))
		}
	case mAddAll:
		if len(c.args) == 2 && c.fits("io") {
			others, isCollection = c.collection(1)
		} else if len(c.args) != 1 {
			isCollection = false
		}
		if !isCollection {
			return c.none()
		}
		if changes = len(others) > 0; !changes {
			return c.result(expr.Bool(false))
		}
	case mRemove:
		changes = c.fits("i") || c.fits("o") && l.Index(c.item(0)) >= 0
		if !changes && c.fits("o") {
			return c.result(expr.Bool(false))
		}
	case mRemoveAll, mRetainAll:
		if !isCollection || len(c.args) != 1 {
			return c.none()
		}
		if err := c.r.spend(l.Len() * len(others) >> 4); err != nil {
			return expr.Value{}, true, err
		}
		other := expr.NewList(others...)
		for _, item := range l.Items() {
			changes = changes || (other.Index(item) >= 0) == (c.method == mRemoveAll)
		}
		if !changes {
			return c.result(expr.Bool(false))
		}
	}
	if changes {
		return expr.Value{}, true, errUnsupported
	}
	return c.none()
}

// grow checks that a list may get n items longer.
func (c *call) grow(l *expr.List, n int) error {
	if l.Len()+n > c.r.limits.Range {
		return c.r.rangeLimit()
	}
	return c.r.spend(n >> 6)
}

func (c *call) addMethod(l *expr.List) (expr.Value, bool, error) {
	if err := c.grow(l, 1); err != nil {
		return expr.Value{}, true, err
	}
	switch {
	case c.fits("o"):
		l.Append(c.item(0))
		return c.result(expr.Bool(true))
	case c.fits("io"):
		i := c.num(0)
		if i < 0 || i > l.Len() {
			return c.outOfRange(i, l.Len())
		}
		l.Insert(i, c.item(1))
		return c.result(expr.String(""))
	}
	return c.none()
}

func (c *call) addAll(l *expr.List) (expr.Value, bool, error) {
	at := l.Len()
	items, ok := c.collection(0)
	if len(c.args) == 2 && c.fits("io") {
		at = c.num(0)
		items, ok = c.collection(1)
	} else if len(c.args) != 1 {
		ok = false
	}
	if !ok {
		if len(c.args) == 1 && c.args[0].IsNull() {
			return expr.Value{}, true, errNull
		}
		return c.none()
	}
	if at < 0 || at > l.Len() {
		return c.outOfRange(at, l.Len())
	}
	if err := c.grow(l, len(items)); err != nil {
		return expr.Value{}, true, err
	}
	l.Replace(slices.Insert(slices.Clone(l.Items()), at, items...))
	return c.result(expr.Bool(len(items) > 0))
}

// removeMethod removes by index for an int, else by value.
func (c *call) removeMethod(l *expr.List) (expr.Value, bool, error) {
	if c.fits("i") {
		i := c.num(0)
		if i < 0 || i >= l.Len() {
			return c.outOfRange(i, l.Len())
		}
		old := l.At(i)
		l.Remove(i)
		return c.result(old)
	}
	if !c.fits("o") {
		return c.none()
	}
	i := l.Index(c.item(0))
	if i >= 0 {
		l.Remove(i)
	}
	return c.result(expr.Bool(i >= 0))
}

func (c *call) removeAll(l *expr.List) (expr.Value, bool, error) {
	others, ok := c.collection(0)
	if !ok || len(c.args) != 1 {
		return c.none()
	}
	other := expr.NewList(others...)
	var kept []expr.Value
	for _, item := range l.Items() {
		if err := c.r.spend(1 + len(others)>>4); err != nil {
			return item, true, err
		}
		if (other.Index(item) >= 0) == (c.method == mRetainAll) {
			kept = append(kept, item)
		}
	}
	changed := len(kept) != l.Len()
	if changed {
		l.Replace(kept)
	}
	return c.result(expr.Bool(changed))
}

var errIncomparable = errors.New("the items can't be compared with one another")

// sortMethod sorts numbers of one kind, strings, booleans or chars.
func (c *call) sortMethod(l *expr.List) (expr.Value, bool, error) {
	items := slices.Clone(l.Items())
	for _, item := range items {
		if item.Kind() != items[0].Kind() || item.Kind() == expr.NullKind || item.Kind() > expr.StringKind {
			return expr.Value{}, true, errIncomparable
		}
	}
	if err := c.r.spend(len(items)); err != nil {
		return expr.Value{}, true, err
	}
	slices.SortStableFunc(items, compareScalars)
	for i, item := range items {
		l.Set(i, item)
	}
	return c.result(expr.String(""))
}

// compareScalars is compareTo of two values of one kind.
func compareScalars(a, b expr.Value) int {
	switch a.Kind() {
	case expr.StringKind:
		return expr.CompareStrings(a.Str(), b.Str())
	case expr.BoolKind:
		return strings.Compare(map[bool]string{false: "0", true: "1"}[a.True()], map[bool]string{false: "0", true: "1"}[b.True()])
	case expr.CharKind:
		return int(a.Unit()) - int(b.Unit())
	case expr.DoubleKind, expr.FloatKind:
		return compareDoubles(a.Double(), b.Double())
	}
	return expr.CompareNumbers(a, b)
}
