package expr_test

import (
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/postern-gateway/postern/proxy/expr"
)

func text(t *testing.T, v expr.Value) string {
	t.Helper()
	s, err := v.Text(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Doubles and floats print as Java's Double.toString and Float.toString do.
func TestFloatText(t *testing.T) {
	for f, want := range map[float64]string{
		0: "0.0", 1: "1.0", -2.5: "-2.5", 0.1: "0.1", 0.001: "0.001", 0.0009: "9.0E-4", 9999999: "9999999.0", 1e7: "1.0E7", 12345678.9: "1.23456789E7",
		1e21: "1.0E21", 1.5e-7: "1.5E-7", 1e100: "1.0E100", 1e-100: "1.0E-100", math.MaxFloat64: "1.7976931348623157E308", 5e-324: "4.9E-324",
		math.Inf(1): "Infinity", math.Inf(-1): "-Infinity", math.Copysign(0, -1): "-0.0", 123456.789: "123456.789", 2e23: "2.0E23", -1e-5: "-1.0E-5",
	} {
		if got := text(t, expr.Double(f)); got != want {
			t.Errorf("%g: %s, want %s", f, got, want)
		}
	}
	for f, want := range map[float32]string{1.1: "1.1", 3: "3.0", 1e10: "1.0E10", 16777216: "1.6777216E7", 1.4e-45: "1.4E-45"} {
		if got := text(t, expr.Float(f)); got != want {
			t.Errorf("float %g: %s, want %s", f, got, want)
		}
	}
	if got := text(t, expr.Double(math.NaN())); got != "NaN" {
		t.Error(got)
	}
}

// Numbers, strings and what isn't JSON at all, read leniently.
func TestParseJSON(t *testing.T) {
	f := func(source, want string) {
		t.Helper()
		v, err := expr.ParseJSON([]byte(source))
		got := ""
		if err == nil {
			if got, err = v.JSON(1 << 20); err != nil {
				t.Error(err)
			}
		}
		if got != want {
			t.Errorf("%s: %s %v, want %s", source, got, err, want)
		}
	}
	f(`{"b":1,"a":[true,false,null,"x"]}`, `{"b":1,"a":[true,false,null,"x"]}`)
	f(`{"n":12345678901234567890,"d":1.50,"e":1e3,"l":0.1234567890123456789,"z":-0}`, `{"n":12345678901234567890,"d":1.5,"e":1000.0,"l":0.1234567890123456789,"z":0}`)
	f(`{'a':'it"s',b:c d , e:[1,,2,]}`, `{"a":"it\"s","b":"c d","e":[1,2]}`)
	f(`{"a":1,"b":2,"a":3}`, `{"a":3,"b":2}`)
	f(`["\u00e9\ud83d\ude00\/\x41\q\b\u2028"]`, "[\"é😀/A\\b\\u2028\"]")
	f(`[-,1.,-.5,007,1e,12a,NaN]`, `[0,1.0,-0.5,7,"1e","12a",null]`)
	f(`{"a":1} rest`, `{"a":1}`)
	f(`nul`, `"nul"`)
	f(`12 monkeys`, `"12 monkeys"`)
	f(`{"a":1`, "")
	f(`{"a"}`, "")
	f(`[1}`, "")
	f(`["a`, "")
	f(`:`, "")
	f(strings.Repeat("[", 400)+strings.Repeat("]", 400), strings.Repeat("[", 400)+strings.Repeat("]", 400))
	f(strings.Repeat("[", 401), "")
	f(strings.Repeat("9", 1001), "")
	f("\"\xff\xe2\x82\"", "\"\uFFFD\uFFFD\"")
	// Many members: found by an index, in the order they came.
	var b strings.Builder
	b.WriteByte('{')
	for i := range 100 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"k` + strings.Repeat("x", i) + `":` + `1`)
	}
	b.WriteByte('}')
	f(b.String(), b.String())
}

func TestMapKeys(t *testing.T) {
	m := expr.NewMap()
	keys := []expr.Value{expr.Int(1), expr.Long(1), expr.Double(1), expr.String("1"), expr.Bool(true), {}, expr.Char('1'), expr.BigInt(big.NewInt(1)), expr.OfList(expr.NewList(expr.Int(1)))}
	for i, k := range keys {
		m.Put(k, expr.Int(int32(i)))
	}
	for range 2 {
		for i, k := range keys {
			if v, ok := m.Lookup(k); !ok || v.Long() != int64(i) {
				t.Errorf("key %d: %v", i, v)
			}
		}
		for i := range 20 { // enough for an index
			m.Put(expr.Int(int32(100+i)), expr.Value{})
		}
	}
	if v, _ := m.Lookup(expr.OfList(expr.NewJSONArray(expr.Int(1)))); v.Long() != 8 {
		t.Error("an equal list isn't found")
	}
	m.Remove(expr.String("1"))
	if _, ok := m.Get("1"); ok || m.Len() != len(keys)+19 {
		t.Errorf("after removing one: %d members", m.Len())
	}
}

// Values that hold themselves or one another end.
func TestCycles(t *testing.T) {
	l, m := expr.NewList(), expr.NewMap()
	l.Append(expr.OfList(l))
	m.Set("m", expr.OfMap(m))
	if got := text(t, expr.OfList(l)) + text(t, expr.OfMap(m)); got != "[(this Collection)]{m=(this Map)}" {
		t.Error(got)
	}
	a, b := expr.NewList(), expr.NewList()
	a.Append(expr.OfList(b))
	b.Append(expr.OfList(a))
	if _, err := expr.OfList(a).Text(1 << 20); !errors.Is(err, expr.ErrTooDeep) {
		t.Errorf("text: %v", err)
	}
	if _, err := expr.OfList(a).JSON(1 << 20); !errors.Is(err, expr.ErrTooDeep) {
		t.Errorf("JSON: %v", err)
	}
	c, d := expr.NewList(), expr.NewList()
	c.Append(expr.OfList(d))
	d.Append(expr.OfList(c))
	if expr.Equal(expr.OfList(a), expr.OfList(c)) {
		t.Error("endless lists count as different")
	}
	expr.Hash(expr.OfList(a))
	twice := expr.OfList(expr.NewList(expr.Int(1)))
	for range 40 {
		twice = expr.OfList(expr.NewList(twice, twice))
	}
	if _, err := twice.Text(10_000); !errors.Is(err, expr.ErrTooLarge) {
		t.Errorf("doubling: %v", err)
	}
}

func TestDecimals(t *testing.T) {
	parse := func(s string) *expr.Decimal {
		v, err := expr.ParseJSON([]byte(s))
		if err != nil || v.Kind() != expr.BigDecimalKind {
			t.Fatalf("%s: %v %v", s, v, err)
		}
		return v.Decimal()
	}
	for s, want := range map[string]string{
		"0.00000000000000000010": "1.0E-19", "1000000000000000000e10": "1.000000000000000000E+28", "1.20000000000000000000": "1.20000000000000000000",
		"-0.000001000000000000": "-0.000001000000000000",
	} {
		if got := parse(s).String(); got != want {
			t.Errorf("%s: %s, want %s", s, got, want)
		}
	}
	a, b := parse("1.00000000000000000001"), parse("0.30000000000000000000")
	if q, ok := a.Quo(b); !ok || q.String() != "3.33333333333333333337" {
		t.Errorf("quotient %v", q)
	}
	if s, ok := a.Add(b); !ok || s.String() != "1.30000000000000000001" {
		t.Errorf("sum %v", s)
	}
	if a.Cmp(b) != 1 || b.Cmp(a) != -1 {
		t.Error("order")
	}
	huge := parse("1.0000000000000000e999999")
	if _, ok := huge.Add(a); ok {
		t.Error("a sum of a million digits was made")
	}
	if huge.Cmp(a) != 1 || a.Cmp(huge) != -1 {
		t.Error("order of what is far apart")
	}
}

const shop = `{"book":[{"t":"a","p":8.5,"i":1},{"t":"b","p":12,"n":null},{"t":"c","p":9}],"max":10,"k.d":1,"l":[3,1,2],"s":"5"}`

// Forms that only newer versions of Jayway have, and errors of all kinds.
func TestPaths(t *testing.T) {
	root, err := expr.ParseJSON([]byte(shop))
	if err != nil {
		t.Fatal(err)
	}
	f := func(path, want string) {
		t.Helper()
		p, err := expr.Parse(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return
		}
		got := "missing"
		v, err := p.Eval(root)
		if err == nil {
			got, err = v.JSON(1 << 20)
		}
		if err != nil && !errors.Is(err, expr.ErrMissing) {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	f("$.book[-1].t", `"c"`)
	f(`$["k.d"]`, `1`)
	f("book[0].t", `"a"`)
	f("$.book.length()", "3")
	f("$.l.sum()", "6.0")
	f("$.l.max()", "3.0")
	f("$..p.avg()", "9.833333333333334")
	f("$.l.first()", "3")
	f("$.l.index(-1)", "2")
	f("$.l.append(4, 5).length()", "5")
	f("$.sum($.l, 4)", "10.0")
	f("$.concat('a', \"b\", $.s)", `"ab5"`)
	f("$.book[0].keys()", `["t","p","i"]`)
	f("$.book[?(@.p > $.max)].t", `["b"]`)
	f("$.book[?(!(@.p > 9 || @.t == 'a'))].t", `["c"]`)
	f("$.book[?(@.t in ['a','c'])].t", `["a","c"]`)
	f("$.book[?(@.t nin ['a','c'])].t", `["b"]`)
	f("$.book[?(@.n == null)].t", `["b"]`)
	f("$.book[?(@.i)].t", `["a"]`)
	f("$.book[?(@.t =~ /[AB]/i && @.p >= 12)].t", `["b"]`)
	f("$.book[?(@.t size 1)].t", `["a","b","c"]`)
	f("$[?(@.l contains 3)].max", `[10]`)
	f("$[?(@.l anyof [9,2])].max", `[10]`)
	f("$[?(@.l subsetof [1,2,3,4])].max", `[10]`)
	f("$[?(@.s == 5)].max", `[10]`)
	f("$.l[1:]", "[1,2]")
	f("$.l[-2:]", "[1,2]")
	f("$.l[:-1]", "[3,1]")
	f("$..t", `["a","b","c"]`)
	f("$.l.nope()", "missing")
	f("$..length()", "[]")
	f("$.max[0]", "missing")
	for _, path := range []string{"", "$x", "$.", "$..", "$.a b", "$[", "$[a]", "$['a]", "$['a'", "$[?(@.a]", "$[?(@.a ~ 1)]", "$[?(1)]", "$[:]", "$[1", "$.f(", "$[?(@.a =~ /[/)]",
		"$" + strings.Repeat("[?(@", 100), "$[?(" + strings.Repeat("(", 100), "$[?(" + strings.Repeat("!", 100)} {
		_, err := expr.Parse(path)
		var wrong *expr.PathError
		if !errors.As(err, &wrong) || wrong.Offset < 0 || wrong.Offset > len(path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// A path that would visit everything many times over ends.
func TestPathBound(t *testing.T) {
	v := expr.OfList(expr.NewJSONArray(expr.Int(1)))
	for range 30 {
		v = expr.OfList(expr.NewJSONArray(v, v))
	}
	p, err := expr.Parse("$..*")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Eval(v); !errors.Is(err, expr.ErrTooLarge) {
		t.Errorf("%v", err)
	}
}

func FuzzParsePath(f *testing.F) {
	for _, path := range []string{"$.a[0]['b','c']..d[?(@.x == 'y' && !@.z)].length()", "$..*[1:2]", "a.b", "$[?(@ =~ /a+/i)]", "$.sum($.a, 5)"} {
		f.Add(path, shop)
	}
	f.Fuzz(func(t *testing.T, path, document string) {
		p, err := expr.Parse(path)
		if err != nil {
			var wrong *expr.PathError
			if !errors.As(err, &wrong) || wrong.Offset < 0 || wrong.Offset > len(path) {
				t.Errorf("%v", err)
			}
			return
		}
		root, err := expr.ParseJSONString(document)
		if err != nil {
			return
		}
		v, err := p.Eval(root)
		if err == nil && !p.Definite() && (v.List() == nil || !v.List().IsJSON()) {
			t.Errorf("an indefinite path led to %v", v.Kind())
		}
		if s, err := v.JSON(1 << 20); err == nil {
			again, err := expr.ParseJSONString(s)
			if err != nil {
				t.Fatalf("%s isn't read again: %v", s, err)
			}
			// Whether a number is a double or a decimal depends on the length of its
			// text, so it may change once.
			second, _ := again.JSON(1 << 21)
			again, err = expr.ParseJSONString(second)
			if third, _ := again.JSON(1 << 21); err != nil || third != second {
				t.Errorf("%q became %q and %q", s, second, third)
			}
		}
	})
}

func BenchmarkEval(b *testing.B) {
	root, err := expr.ParseJSON([]byte(shop))
	if err != nil {
		b.Fatal(err)
	}
	for _, path := range []string{"$.book[1].t", "$.max", "$..p", "$.book[?(@.p > 9)].t"} {
		b.Run(path, func(b *testing.B) {
			p, err := expr.Parse(path)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Eval(root); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParseJSON(b *testing.B) {
	text := []byte("[" + strings.Repeat(shop+",", 50) + shop + "]")
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := expr.ParseJSON(text); err != nil {
			b.Fatal(err)
		}
	}
}
