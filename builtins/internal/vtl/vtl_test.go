package vtl

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy/expr"
)

// Each limit ends the rendering, names its place and is quick about it.
func TestLimits(t *testing.T) {
	small := Limits{Output: 10_000, Steps: 100_000, Depth: 50, Range: 1000, Regex: 100_000, Time: time.Minute}
	f := func(template string, line, column int, want string) {
		t.Helper()
		for _, o := range []Options{Gateway(), Velocity()} {
			o.Limits = small
			tpl, err := Parse("t.vtl", template, o)
			if err != nil {
				t.Fatalf("%s: %v", template, err)
			}
			begin := time.Now()
			out, err := tpl.Render([]byte("kept"), &Environment{Variables: variables()})
			var e *Error
			if !errors.As(err, &e) || e.Kind != Limit || !strings.Contains(e.Text, want) || string(out) != "kept" {
				t.Errorf("%s: %v and %q, want a limit: %s", template, err, out, want)
				continue
			}
			if line > 0 && (e.Line != line || e.Column != column) {
				t.Errorf("%s: at %d:%d, want %d:%d", template, e.Line, e.Column, line, column)
			}
			if took := time.Since(begin); took > 30*time.Second {
				t.Errorf("%s took %v", template, took)
			}
		}
	}
	loop := func(body string) string {
		return "#foreach($i in [1..900])#foreach($j in [1..900])" + body + "#end#end"
	}
	// Output, of the template and of strings that double themselves.
	f("a\n  #foreach($i in [1..900])0123456789012#end", 2, 3, "10000 bytes")
	f(`#set($x = "ab")#foreach($i in [1..40])#set($x = "$x$x")#end`, 0, 0, "10000 bytes")
	f(`#set($x = "ab")#foreach($i in [1..40])#set($x = $x + $x)#end`, 0, 0, "10000 bytes")
	f(`#set($x = "ab")#foreach($i in [1..40])#set($x = $x.concat($x))#end`, 0, 0, "10000 bytes")
	f(`#set($x = "ab")#foreach($i in [1..40])#set($x = $x.replace("a", "aaaa"))#end`, 0, 0, "10000 bytes")
	f(`#set($x = "ab")#foreach($i in [1..40])#set($x = $x.replaceAll("a", "aaaa"))#end`, 0, 0, "too many steps")
	f(`$s.format("%9999d%9999d", 1, 2)`, 1, 4, "10000 bytes")
	// Lists that hold one another twice are small, but not their text.
	f(`#set($x = [1])#foreach($i in [1..40])#set($x = [$x, $x])#end$x`, 0, 0, "10000 bytes")
	f(`#set($x = [1])#foreach($i in [1..900])#set($x = [$x])#end$x`, 0, 0, "nests too deeply")
	f("\n"+`#set($a = [])#set($b = [$a])#set($q = $a.add($b))$a`, 2, 50, "nests too deeply")
	// Steps.
	f(loop(""), 0, 0, "100000 steps")
	f(loop("#set($x = $i * $j)"), 0, 0, "100000 steps")
	f("#foreach($i in [1..900])#foreach($j in [1..900])#if($i < $j)#end#end#end", 0, 0, "100000 steps")
	// Ranges and lists.
	f(`x #set($x = [1..1000000000])`, 1, 13, "1000 items")
	f(`#foreach($x in [1..1001])#end`, 1, 16, "1000 items")
	f(`#set($x = [1])#foreach($i in [1..40])#set($q = $x.addAll($x))#end`, 0, 0, "1000 items")
	// Depth: strings that render strings.
	f(`#define($a)#define($b)$a#end$b#end`+strings.Repeat("#if(true)", 60)+strings.Repeat("#end", 60), 0, 0, "50 deep")
	// Regular expressions.
	f(`$s.concat("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!").matches("(.|.)*(.*.*)*x")`, 0, 0, "too many steps")
	// Numbers.
	f(`#set($x = 99999999999)#foreach($i in [1..40])#set($x = $x * $x)#end`, 0, 0, "too many digits")
}

func TestDeadline(t *testing.T) {
	o := Gateway()
	o.Limits.Steps = 1 << 40
	tpl, err := Parse("t", "#foreach($i in [1..1000])#foreach($j in [1..1000])#foreach($k in [1..1000])#end#end#end", o)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	_, err = tpl.Render(nil, &Environment{Deadline: begin.Add(20 * time.Millisecond)})
	var e *Error
	if !errors.As(err, &e) || e.Kind != Limit || time.Since(begin) > 30*time.Second {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
}

func TestParseErrors(t *testing.T) {
	f := func(template string, line, column int, want string) {
		t.Helper()
		_, err := Parse("orders.vtl", template, Gateway())
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%q: %v, want an error", template, err)
			return
		}
		if e.Kind != Syntax || e.Line != line || e.Column != column || !strings.Contains(e.Error(), want) {
			t.Errorf("%q: %v, want %d:%d %s", template, e, line, column, want)
		}
	}
	f("ä\n #if($x)y", 2, 2, "#if without its #end")
	f("x #end", 1, 3, "nothing that it ends")
	f("a\nb $", 2, 3, "dollar sign")
	f("#set($x = 1 +)", 1, 14, "“)” where a value should follow")
	f("#set($x = null)", 1, 11, "no null literal")
	f("#set($x = \"a)", 1, 11, "quote isn't closed")
	f("${a b}", 1, 4, "closing brace of ${a}")
	f("#if x", 1, 5, "parenthesis")
	f("#set($x = [1 + 2])", 1, 14, "without operators")
	f("$x.foo(1 + 2)", 1, 10, "calculate with #set first")
	f(`$s.replaceAll("[", "")`, 1, 4, "bracket isn't closed")
	f(`$input.path("$.a[")`, 1, 8, "path")
	f(`#foreach($x)y#end`, 1, 1, "write #foreach($item in $list)")
	f("#set($s = \"a\n ${x\")", 2, 5, "closing brace of ${x}")
	f(strings.Repeat("#if(true)", 300)+strings.Repeat("#end", 300), 1, 1787, "nests too deeply")
	f("\xff", 1, 1, "not UTF-8")
}

// What a template changes in the body is seen by all who share the Body; the text
// stays. Overrides of the request are seen in the response.
func TestShared(t *testing.T) {
	body, over := NewBody([]byte(`{"a":{"b":1}}`)), &Overrides{}
	render := func(template string) string {
		t.Helper()
		tpl, err := Parse("t", template, Gateway())
		if err != nil {
			t.Fatal(err)
		}
		out, err := tpl.Render(nil, &Environment{Body: body, Overrides: over})
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	render(`#set($r = $input.path('$'))#set($r.a.c = "new")#set($context.requestOverride.header.X = "h$r.a.b")#set($context.requestOverride.custom = 7)`)
	if got, want := render(`$input.json('$.a')$input.body $context.requestOverride.header.X$context.requestOverride.custom`), `{"b":1,"c":"new"}{"a":{"b":1}} h17`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if v, _ := over.RequestHeader().Get("X"); v.Str() != "h1" || over.RequestQuery() != nil || over.ResponseHeader() != nil {
		t.Errorf("overrides: %v", v)
	}
	render(`#define($d)x$y#end#set($y = 1)#set($context.responseOverride.header.D = $d)#set($context.responseOverride.status = 404)`)
	if v, _ := over.ResponseHeader().Get("D"); v.Str() != "x1" {
		t.Errorf("a block as a header became %v", v)
	}
	if v, ok := over.Status(); !ok || v.Long() != 404 {
		t.Errorf("status %v", v)
	}
}

// Who sets an override twice in one rendering is told of it, in whatever way he sets
// it; what isn't an override may be set as often as one likes.
func TestRepeatedOverrides(t *testing.T) {
	over := &Overrides{}
	f := func(template, want string) {
		t.Helper()
		tpl, err := Parse("t", template, Gateway())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tpl.Render(nil, &Environment{Body: NewBody(nil), Overrides: over}); err != nil {
			t.Fatal(err)
		}
		if got := over.Repeated(); got != want {
			t.Errorf("%s: got %q, want %q", template, got, want)
		}
	}
	set := `#set($context.requestOverride.header.X = "1")`
	f(set, "")
	f(set, "") // another rendering
	f(set+`#set($context.requestOverride.header.Y = "1")#set($context.requestOverride.path.X = "1")#set($context.responseOverride.header.X = "1")`, "")
	f(set+`#set($context.requestOverride.header["X"] = "2")`, "requestOverride.header.X")
	f(`#set($h = $context.responseOverride.header)#set($h.A = 1)$h.put("A", 2)#set($h.B = 1)#set($h.B = 1)`, "responseOverride.header.A")
	f(`#foreach($i in [1, 2])#set($context.requestOverride.querystring.q = $i)#end`, "requestOverride.querystring.q")
	f(`#set($context.responseOverride.status = 400)#set($context.responseOverride.status = 404)`, "responseOverride.status")
	f(`#set($context.responseOverride.own = 1)#set($context.responseOverride.own = 2)#set($m = {})#set($m.a = 1)#set($m.a = 2)`, "")
}

func TestExplain(t *testing.T) {
	tpl, err := Parse("t", "$a\n$m.k $m.x.y $input.path('$.q') $s.nope() ${m.z}", Gateway())
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	env := &Environment{Variables: variables(), Body: NewBody([]byte("{}")), Explain: func(r Reference) {
		all = append(all, fmt.Sprintf("%d:%d %s: %s", r.Line, r.Column, r.Source, r.Why))
	}}
	if _, err := tpl.Render(nil, env); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"1:1 $a: $a isn't set", "2:1 $m.k: ", "2:6 $m.x.y: a map has no x: it has k, n, z",
		"2:13 $input.path('$.q'): the body has nothing, or null, at this path",
		"2:32 $s.nope(): there is no method nope()", "2:42 ${m.z}: z is null",
	}
	if strings.Join(all, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(all, "\n"), strings.Join(want, "\n"))
	}
}

func TestCoverage(t *testing.T) {
	tpl, err := Parse("t", "#if($t)\nyes\n#else\nno\n#end\n#foreach($i in $l)\n$i\n#end\n#if($f)\nx\n#end\n", Gateway())
	if err != nil {
		t.Fatal(err)
	}
	c := NewCoverage(tpl)
	if _, err := tpl.Render(nil, &Environment{Variables: variables(), Coverage: c}); err != nil {
		t.Fatal(err)
	}
	lines := c.Lines()
	for line, want := range map[int]uint32{2: 1, 4: 0, 7: 4, 9: 1, 10: 0} {
		if lines[line] != want {
			t.Errorf("line %d: %d, want %d", line, lines[line], want)
		}
	}
	spots, hits := c.Spots()
	var decided []string
	for i, s := range spots {
		if s.Decision {
			decided = append(decided, fmt.Sprintf("%d:%d", s.Line, hits[i]))
		}
	}
	if got := strings.Join(decided, " "); got != "1:1 3:0 6:0 6:1 9:0 9:1" {
		t.Errorf("decisions %s", got)
	}
}

// One template is rendered by many at a time.
func TestConcurrent(t *testing.T) {
	tpl, err := Parse("t", `#define($b)<$i>#end#foreach($i in $input.path('$.l'))$b$s.replaceAll("[a-l]+", "$i")#set($x = "$x$i")#end$x`, Gateway())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			want := fmt.Sprintf("<%d>H%do<%d>H%do%d%d", g, g, g+1, g+1, g, g+1)
			for range 200 {
				out, err := tpl.Render(nil, &Environment{Body: NewBody(fmt.Appendf(nil, `{"l":[%d,%d]}`, g, g+1)), Variables: variables()})
				if err != nil || string(out) != want {
					t.Errorf("%s, %v; want %s", out, err, want)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestUTF16(t *testing.T) {
	// Halves of a surrogate pair that are printed side by side are a character; alone
	// they are a question mark, as Java writes them.
	tpl, err := Parse("t", `$u.charAt(6)$u.charAt(7)|$u.charAt(6)|$u.substring(0,7)|$u.substring(7)|#set($x = "$u.charAt(6)$u.charAt(7)")$x.length()$x.codePointAt(0)`, Gateway())
	if err != nil {
		t.Fatal(err)
	}
	env := &Environment{Variables: expr.NewMap()}
	env.Variables.Set("u", expr.String("grüß! 😀!"))
	out, err := tpl.Render(nil, env)
	if want := "😀|?|grüß! ?|?!|2128512"; err != nil || string(out) != want {
		t.Errorf("got %s, %v; want %s", out, err, want)
	}
}

func FuzzTemplate(f *testing.F) {
	for _, c := range readCases(f) {
		body := ""
		if c.Body != nil {
			body = *c.Body
		}
		f.Add(c.Template, body, c.Profile == "velocity")
	}
	f.Fuzz(func(t *testing.T, template, body string, stock bool) {
		o := Gateway()
		if stock {
			o = Velocity()
		}
		o.Limits = Limits{Output: 20_000, Steps: 50_000, Range: 2000, Regex: 50_000}
		tpl, err := Parse("t", template, o)
		if err != nil {
			return
		}
		begin := time.Now()
		outputs := make([]string, 2)
		var wg sync.WaitGroup
		for i := range outputs {
			wg.Go(func() {
				env := &Environment{Body: NewBody([]byte(body)), Variables: variables(), Overrides: &Overrides{}, Coverage: NewCoverage(tpl), Explain: func(Reference) {}}
				out, err := tpl.Render(nil, env)
				var e *Error
				if err != nil && (!errors.As(err, &e) || e.Line < 1 || e.Column < 1) {
					t.Errorf("error without a place: %v", err)
				}
				if len(out) > 3*20_000 {
					t.Errorf("%d bytes", len(out))
				}
				outputs[i] = string(out)
			})
		}
		wg.Wait()
		if outputs[0] != outputs[1] && !strings.Contains(outputs[0], "@") {
			t.Errorf("two renderings differ:\n%q\n%q", outputs[0], outputs[1])
		}
		if took := time.Since(begin); took > 30*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// What only the text of #evaluate names has its value there, too.
func TestEvaluateNamesVariables(t *testing.T) {
	tpl, err := Parse("t", `#set($x = '$n $context.stage')#evaluate($x)`, Velocity())
	if err != nil {
		t.Fatal(err)
	}
	context := expr.NewMap()
	context.Set("stage", expr.String("prod"))
	v := expr.NewMap()
	v.Set("n", expr.Int(5))
	v.Set("context", expr.OfMap(context))
	if out, err := tpl.Render(nil, &Environment{Variables: v}); string(out) != "5 prod" || err != nil {
		t.Errorf("got %q and %v, want %q", out, err, "5 prod")
	}
}
