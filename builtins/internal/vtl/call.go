package vtl

import (
	"errors"
	"fmt"

	"github.com/postern-gateway/postern/proxy/expr"
)

var errNull = errors.New("a method got null where it needs a value")

// call is one call of a method.
type call struct {
	r      *run
	v      expr.Value // the receiver
	method method
	at     int32
	args   []expr.Value
	step   *step // what the call is, if it stands in the template
	null   bool  // an argument that fits is null
}

// invoke calls a method of v; found is false if v has none of this name for such
// arguments. The result is null, too, for a method that returns null; "" for one
// that returns nothing.
func (r *run) invoke(v expr.Value, m method, at int32, args []expr.Value) (result expr.Value, found bool, err error) {
	return r.dispatch(&call{r: r, v: v, method: m, at: at, args: args})
}

func (r *run) dispatch(c *call) (result expr.Value, found bool, err error) {
	switch v := c.v; v.Kind() {
	case expr.StringKind:
		result, found, err = c.stringMethod(v.Str())
	case expr.ListKind:
		result, found, err = c.listMethod(v.List())
	case expr.MapKind:
		result, found, err = c.mapMethod(v.Map())
	case expr.ObjectKind:
		if o, ok := v.Object().(object); ok {
			result, found, err = o.call(c)
		}
	case expr.BoolKind:
		result, found, err = c.boolMethod(v.True())
	case expr.CharKind:
		result, found, err = c.charMethod(v.Unit())
	default:
		result, found, err = c.numberMethod()
	}
	if !found && c.refusesNull() {
		found, err = true, errNull
	}
	if err != nil {
		if _, placed := err.(*fault); !placed && !isStop(err) && !errors.Is(err, expr.ErrTooLarge) {
			err = fmt.Errorf("%s(): %w", c.method, err)
		}
		return expr.Value{}, found, r.at(c.at, err)
	}
	return result, found, nil
}

// refusesNull reports whether the call fails because an argument is null where a
// collection, a format or a number is needed.
func (c *call) refusesNull() bool {
	null := false
	for _, a := range c.args {
		null = null || a.IsNull()
	}
	if !null {
		return false
	}
	switch c.v.Kind() {
	case expr.StringKind:
		return c.method == mFormat && c.args[0].IsNull() || c.method == mJoin && len(c.args) == 1
	case expr.BigIntKind, expr.BigDecimalKind:
		return len(c.args) == 1 && (c.method >= mAdd && c.method <= mMod || c.method == mMax || c.method == mMin)
	}
	_, isView := c.v.Object().(*viewObject)
	switch c.method {
	case mAddAll, mContainsAll, mRemoveAll, mRetainAll:
		return (isView || c.v.List() != nil) && len(c.args) == 1 || c.v.List() != nil && c.method == mAddAll && c.fits("io")
	}
	return false
}

// result is a method's result.
func (c *call) result(v expr.Value) (expr.Value, bool, error) { return v, true, nil }

// plain is the result of a method without parameters. Called with arguments it
// fails: Velocity finds it and Java refuses them.
func (c *call) plain(v expr.Value) (expr.Value, bool, error) {
	if len(c.args) > 0 {
		return v, true, errors.New("it takes no arguments")
	}
	return v, true, nil
}

// none is the result where no method fits.
func (c *call) none() (expr.Value, bool, error) { return expr.Value{}, false, nil }

// fail is the result of a method that throws.
func (c *call) fail(format string, args ...any) (expr.Value, bool, error) {
	return expr.Value{}, true, fmt.Errorf(format, args...)
}

// outOfRange is the failure of an index.
func (c *call) outOfRange(i, size int) (expr.Value, bool, error) {
	return c.fail("index %d of %d", i, size)
}

// fits reports whether the arguments are of these types: s a string, c a char, i an
// int, l a long, d a double, b a boolean, o anything; lower-case ones but o and s
// take no null.
func (c *call) fits(types string) bool {
	if len(c.args) != len(types) {
		return false
	}
	c.null = false
	for i := range types {
		k := c.args[i].Kind()
		ok := false
		switch types[i] {
		case 'o':
			ok = true
		case 's':
			ok = k == expr.StringKind || k == expr.NullKind
			c.null = c.null || k == expr.NullKind
		case 'c':
			ok = k == expr.CharKind
		case 'i':
			ok = k >= expr.ByteKind && k <= expr.IntKind
		case 'l':
			ok = k >= expr.ByteKind && k <= expr.LongKind
		case 'd':
			ok = k >= expr.ByteKind && k <= expr.DoubleKind
		case 'b':
			ok = k == expr.BoolKind
		}
		if !ok {
			return false
		}
	}
	return true
}

// str, num and item are the arguments of a call that fits.
func (c *call) str(i int) string      { return c.args[i].Str() }
func (c *call) num(i int) int         { return int(c.args[i].Long()) }
func (c *call) item(i int) expr.Value { return c.args[i] }

// collection returns the items of an argument that is a collection.
func (c *call) collection(i int) ([]expr.Value, bool) {
	if i >= len(c.args) {
		return nil, false
	}
	switch v := c.args[i]; v.Kind() {
	case expr.ListKind:
		if v.List().IsArray() {
			return nil, false
		}
		return v.List().Items(), true
	case expr.ObjectKind:
		if o, ok := v.Object().(*viewObject); ok {
			return o.all(), true
		}
	}
	return nil, false
}

// common are the methods that all values have.
func (c *call) common() (expr.Value, bool, error) {
	switch c.method {
	case mToString:
		if len(c.args) > 0 {
			return c.plain(expr.Value{})
		}
		s, err := c.r.text(c.v)
		return expr.String(s), true, err
	case mHashCode:
		return c.plain(expr.Int(expr.Hash(c.v)))
	case mEquals:
		if c.fits("o") {
			return c.result(expr.Bool(expr.Equal(c.v, c.item(0))))
		}
	}
	return c.none()
}

// text is an argument's string form, "" for null.
func (c *call) text(i int) (string, error) {
	if c.args[i].IsNull() {
		return "", nil
	}
	return c.r.text(c.args[i])
}

// string checks the size of a string that a method made.
func (c *call) string(s string) (expr.Value, bool, error) {
	if len(s) > c.r.limits.Output {
		return expr.Value{}, true, c.r.tooLarge()
	}
	if err := c.r.spend(len(s) >> 8); err != nil {
		return expr.Value{}, true, err
	}
	return expr.String(s), true, nil
}
