package vtl

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/postern-gateway/postern/proxy/expr"
)

// velocity is a Java process that renders with Velocity 1.7 itself: Debian's
// package velocity.
type velocity struct {
	in  io.Writer
	out *bufio.Reader
}

const jars = "/usr/share/java/"

// startVelocity runs a class of testdata/velocity, Harness or Bench.
func startVelocity(t testing.TB, class string, options ...string) *velocity {
	t.Helper()
	path := t.TempDir()
	for _, jar := range []string{"velocity.jar", "commons-lang.jar", "commons-collections3.jar", "json-path.jar", "json-smart.jar", "accessors-smart.jar", "slf4j-api.jar"} {
		if _, err := os.Stat(jars + jar); err != nil {
			t.Skipf("needs Velocity and Jayway's JsonPath, Debian's packages velocity, libjsonpath-java and libslf4j-java: %v", err)
		}
		path += ":" + jars + jar
	}
	if _, err := exec.LookPath("javac"); err != nil {
		t.Skipf("needs a JDK: %v", err)
	}
	classes, _, _ := strings.Cut(path, ":")
	sources := []string{"-nowarn", "-cp", path, "-d", classes}
	err := filepath.WalkDir("testdata/velocity", func(name string, d os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(name, ".java") {
			sources = append(sources, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if text, err := exec.Command("javac", sources...).CombinedOutput(); err != nil {
		t.Fatalf("javac: %v\n%s", err, text)
	}
	cmd := exec.Command("java", append(options, "-XX:+UseSerialGC", "-Xss4m", "-cp", path, class)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // it ends by itself then
		_ = cmd.Wait()
	})
	return &velocity{in, bufio.NewReaderSize(out, 1<<20)}
}

func (v *velocity) ask(t testing.TB, line string) string {
	if _, err := io.WriteString(v.in, line+"\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := v.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(answer)
}

// render returns "output TEXT", "error parse" or "error eval".
func (v *velocity) render(t testing.TB, profile, template string) string {
	answer := v.ask(t, profile+" "+base64.StdEncoding.EncodeToString([]byte(template)))
	switch answer[0] {
	case 'p':
		return "error parse"
	case 'e':
		return "error eval"
	}
	text, err := base64.StdEncoding.DecodeString(answer[1:])
	if err != nil {
		t.Fatal(err)
	}
	return "output " + string(text)
}

// variables are those of the harness.
func variables() *expr.Map {
	m := expr.NewMap()
	m.Set("s", expr.String("Hello"))
	m.Set("u", expr.String("grüß 😀!"))
	m.Set("n", expr.Int(5))
	m.Set("L", expr.Long(3000000000))
	m.Set("d", expr.Double(2.5))
	n, _ := new(big.Int).SetString("99999999999999999999", 10)
	m.Set("B", expr.BigInt(n))
	m.Set("t", expr.Bool(true))
	m.Set("f", expr.Bool(false))
	m.Set("l", expr.OfList(expr.NewList(expr.Int(1), expr.String("b"), expr.Value{}, expr.Double(4.5))))
	inner := expr.NewMap()
	inner.Set("x", expr.Int(1))
	inner.Set("y", expr.OfList(expr.NewList(expr.Int(7), expr.Int(8))))
	of := expr.NewMap()
	of.Set("k", expr.String("v"))
	of.Set("n", expr.OfMap(inner))
	of.Set("z", expr.Value{})
	m.Set("m", expr.OfMap(of))
	return m
}

func profileOptions(profile string) Options {
	if profile == "gateway" {
		return Gateway()
	}
	return Velocity()
}

// ours renders a template as the harness does. "sooner" is a mistake that is found
// here when the template is read, and there when it is come to.
func ours(profile, template string) string {
	tpl, err := Parse("t", template, profileOptions(profile))
	for _, mistake := range []string{"regular expression", "#foreach with", " takes one ", "#literal without a text", "a bare word as an argument of", "hexadecimal digits"} {
		if err != nil && strings.Contains(err.Error(), mistake) {
			return "sooner"
		}
	}
	if err != nil {
		return "error parse"
	}
	out, err := tpl.Render(nil, &Environment{Variables: variables()})
	var e *Error
	if errors.As(err, &e) && e.Kind == Limit {
		return "limit"
	}
	if err != nil {
		return "error eval"
	}
	return "output " + string(out)
}

// longDouble is a number with so many digits that Java up to 18 may print one more
// than it takes to tell it from others. Where one is in a result, its numbers are
// left out of the comparison: they may touch each other, as in "100.02.0E17".
var (
	longDouble = regexp.MustCompile(`\d\.\d{15,}`)
	digitRuns  = regexp.MustCompile(`[0-9.]+(E-?[0-9]*)?`)
)

func withoutNumbers(text string) string { return digitRuns.ReplaceAllString(text, "0") }

var (
	anyLoop  = regexp.MustCompile(`foreach}?\s*\(`)
	goodLoop = regexp.MustCompile(`foreach}?\s*\(\s*\$!?{?[a-zA-Z][-\w]*}?\s+in[\s$\["(]`)
)

func oddLoops(template string) bool {
	return len(anyLoop.FindAllString(template, -1)) != len(goodLoop.FindAllString(template, -1))
}

var wideFormat = regexp.MustCompile(`%[^a-zA-Z]*\d{5}`)

// agree reports whether two results are the same for a user: an error that is
// reported sooner is.
func agree(got, want string) bool {
	return got == want || longDouble.MatchString(want) && withoutNumbers(got) == withoutNumbers(want) || got == "limit" || got == "sooner" || strings.HasPrefix(got, "error") && strings.HasPrefix(want, "error") ||
		strings.Contains(want, "[Ljava.") || strings.Contains(want, "[B@") || strings.Contains(want, "[C@") || strings.Contains(want, "org.apache.") ||
		strings.Contains(want, "java.util.") || strings.Contains(want, "class java.")
}

// pieces are what random templates are made of.
var pieces = []string{
	"$s", "${s}", "$!s", "$!{s}", "$nope", "$!nope", "${nope}", "$m.k", "$m.n.x", "$m.z", "$m.nope.x", "$l[0]", "$l[-1]", "$l[2]", "$m[\"k\"]", "$n", "$d", "$u", "$L", "$B",
	"$s.length()", "$s.substring(1,3)", "$s.nope(1, \"b\")", "$l.size()", "$m.keySet()", "$m.entrySet()", "$l.contains(1)", "$u.length()", "$m.get(\"k\")", "$l.get(1)", "$m.put(\"q\", $n)",
	"#if($t)", "#if($f)", "#if($nope)", "#if($n > 3)", "#elseif($n == 5)", "#else", "#{else}", "#end", "#{end}", "#end\n", "  #end  \n",
	"#set($x = $n + 1)", "#set($x = \"a$s\")", "#set($x = [1, $n, \"z\"])", "#set($x={\"k\":$s})", "#set($m.w = 3)\n", "#set($x = [1..$n])", "#set( $x = !$t )", "#set($x = $nope)",
	"#set($x = ($n - 1) * 2)", "#set($x = $s + $nope)", "#set($x = $d / 2)", "#set($x = $n / 0)", "#set($x = $n % 3)", "#set($x=$B+1)", "#set($l[0] = 9)", "$x", "[$x]", "$x.k", "$x[0]",
	"#foreach($i in $l)", "#foreach($i in [1..3])", "#foreach($i in $m)", "#foreach($e in $m.entrySet())", "$i", "$e.key", "$foreach.index", "$foreach.count", "#if($foreach.hasNext),#end", "$velocityCount",
	"#break", "#stop", "#break($foreach)", "#define($b)", "$b", "#define($b)[$l $b]#end#set($l[0] = $b)", "#set($x = \"$b\")", "#macro(mm $p)", "#macro(nn)n", "#nn()", "#mm($n)", "#mm(\"q$s\")", "#mm()", "$p", "#@mm($n)", "$bodyContent", "#literal()", "#evaluate(\"$s\")", "#evaluate('#set($x=1)$x')",
	" ", "\n", "  ", "\t", "\r\n", "text", "a.b", ".", ",", "(", ")", "[", "]", "{", "}", "\"", "'", "\\", "\\\\", "\\$s", "\\\\$s", "\\$nope", "\\#if", "\\\\#if($t)", "$", "#", "$!", "##", "## c\n", "#*", "*#", "#* c *#", "#** c *#", "#[[", "]]#",
	"#[[ $s ]]#", "$5", "$.a", "$[0]", "#x", "#frob($s, 1)", "#{frob}", "#@x", "-", "1", "1.5", "true", "=", "..", ":", "é", "😀", "$s.", "$s,", "$s-", "$s{", "${s", "${s}.", "$s.k(", "$l [0]",
	"\"$s\"", "'$s'", "#set($x = \"\\u0041\\u+0e9\\u-001\\u00_1\")$x", "\"#if($t)y#end\"", "#set($q = \"$s #foreach($j in [1,2])$j#end\")$q", "#set($q = '$s')$q", "#set($q = \"\"\"\")$q", "#set($q = \"a##b\")$q", "$l.add($n)", "$l.toArray($nope)", "$m.keySet().toArray($nope)", "$l.toArray(A)", "$l.remove(0)",
	"$s.replaceAll(\"l+\", \"L\")", "$s.split(\"l\")[0]", "$s.toUpperCase()", "$n.intValue()", "$d.intValue()", "$u.substring(5)", "$u.codePointCount(0,6)", "$u.replace(\"\",\"-\")", "$u.replace($u.charAt(5),$u.charAt(0))", "$u.replace($u.substring(5,6),\"xx\")", "$u.codePointCount(2,$u.length())", "$u.codePointAt(6)", "$u.substring(0,6).toUpperCase()", "$u.substring(6).hashCode()", "$u.charAt(5)", "$s.charAt(0)", "$m", "$l", "$t", "$s.empty", "$l.empty", "$s.equals(\"Hello\")", "$s.hashCode()",
	"#if($s == \"Hello\")", "#if($n < $d)", "#if($n != 5.0 && !$f)", "#if($nope == $m.z)", "#if(\"x\")", "#set($x = \"x\" == 'x')", "#set($x = 1.0 + 2)", "#set($x = -3 - -2)", "#set($x=$L*$L*$L)", "#set($x = $n-1)",
	"$s.format(\"%05d|%-4s|%.2f\", $n, \"a\", $d)", "$s.format(\"%a|%A|%.2a|%+020a|%12.0a\", $d, $nope, $d, $d, $d)", "$s.indexOf(\"l\", 3)", "$m.n.y.subList(0,1)", "$m.values()", "$m.containsKey(\"k\")", "$n.compareTo(4)", "$t.toString()", "$x.concat($s)", "#set($foreach.w = 1)$foreach.w", "$foreach.parent.index",
	"\\\\0foreach", "\\\\émm", "\\\\😀foreach", "\\\\xmm", "mm", "foreach",
}

// shape makes a template of n pieces; with tidy, directives are mostly closed.
func shape(r *rand.Rand, n int) string {
	var b strings.Builder
	open := 0
	for range n {
		piece := pieces[r.IntN(len(pieces))]
		name := strings.TrimLeft(piece, " ")
		if strings.HasPrefix(name, "#if") || strings.HasPrefix(name, "#foreach") || strings.HasPrefix(name, "#define") || strings.HasPrefix(name, "#macro") || strings.HasPrefix(name, "#literal") || strings.HasPrefix(name, "#@mm") {
			if !strings.HasSuffix(name, "#end") {
				open++
			}
		} else if strings.HasPrefix(name, "#end") || strings.HasPrefix(name, "#{end}") {
			if open == 0 && r.IntN(10) > 0 {
				continue
			}
			open--
		} else if (strings.HasPrefix(name, "#else") || strings.HasPrefix(name, "#{else}")) && open == 0 && r.IntN(10) > 0 {
			continue
		}
		b.WriteString(piece)
	}
	for ; open > 0; open-- {
		b.WriteString("#end")
	}
	return b.String()
}

// TestAgainstVelocity renders random templates here and with Velocity itself. More
// of them: VELOCITY_ROUNDS=100000, from another seed VELOCITY_SEED.
func TestAgainstVelocity(t *testing.T) {
	v := startVelocity(t, "Harness", "-XX:TieredStopAtLevel=1")
	rounds, seed := 3000, uint64(1)
	if n := os.Getenv("VELOCITY_ROUNDS"); n != "" {
		fmt.Sscan(n, &rounds)
	}
	if n := os.Getenv("VELOCITY_SEED"); n != "" {
		fmt.Sscan(n, &seed)
	}
	r := rand.New(rand.NewPCG(seed, 1))
	failures, rendered := 0, 0
	for range rounds {
		template := shape(r, 1+r.IntN(8))
		for _, profile := range []string{"velocity", "gateway"} {
			got, want := ours(profile, template), v.render(t, profile, template)
			if strings.HasPrefix(want, "output") {
				rendered++
			}
			if agree(got, want) || explained(template) {
				continue
			}
			t.Errorf("%s %q\ngot  %q\nwant %q", profile, template, got, want)
			if failures++; failures == 30 {
				t.Fatal("that is enough")
			}
		}
	}
	if rendered < rounds/2 {
		t.Errorf("only %d of %d renderings without an error: the templates say little", rendered, 2*rounds)
	}
}

// explained reports whether a template asks for something that differs: the harness
// has none of the objects that AWS adds, reflection isn't offered here,
// #include and #parse are refused in whatever form, as no template reads files, dates
// aren't formatted, expressions see the two halves of a character as one, loops
// other than #foreach($x in …) are nothing anybody writes, and widths have a limit.
func explained(template string) bool {
	for _, word := range []string{"input", "util", "context", "stageVariables", "class", "Class", "include", "parse", "%t", "%T"} {
		if strings.Contains(template, word) {
			return true
		}
	}
	if oddLoops(template) || wideFormat.MatchString(template) {
		return true
	}
	return strings.ContainsFunc(template, func(r rune) bool { return r > 0xFFFF }) && (strings.Contains(template, "replace") || strings.Contains(template, "split"))
}

// FuzzAgainstVelocity compares with Velocity itself what the fuzzer makes of the
// recorded templates.
func FuzzAgainstVelocity(f *testing.F) {
	for _, c := range readCases(f) {
		if !explained(c.Template) {
			f.Add(c.Template, c.Profile == "velocity")
		}
	}
	v := startVelocity(f, "Harness", "-XX:TieredStopAtLevel=1")
	f.Fuzz(func(t *testing.T, template string, stock bool) {
		profile := "gateway"
		if stock {
			profile = "velocity"
		}
		if len(template) > 2000 || strings.ToValidUTF8(template, "") != template {
			return
		}
		got := ours(profile, template)
		if got == "limit" || got == "sooner" {
			return
		}
		if want := v.render(t, profile, template); !agree(got, want) && !explained(template) {
			t.Errorf("%s %q\ngot  %q\nwant %q", profile, template, got, want)
		}
	})
}

// regexPieces are what random regular expressions are made of.
var regexPieces = []string{
	"a", "b", "l", "o", "H", ".", "\\.", "\\d", "\\w", "\\s", "\\D", "\\W", "\\S", "[a-f]", "[^a-l]", "[lo]", "[a-z&&[^l]]", "[a-c[x-z]]", "\\p{L}", "\\p{Punct}", "\\p{Lu}", "\\P{L}", "\\p{IsAlphabetic}",
	"*", "+", "?", "*?", "+?", "??", "*+", "++", "?+", "{2}", "{1,2}", "{1,}", "{0,1}?", "{2,3}+", "(", ")", "(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i)", "(?s)", "(?m)", "(?i:", "|", "^", "$", "\\b", "\\B", "\\A", "\\z", "\\Z",
	"(a|b)", "(l+)", "(.)\\1", "\\1", "(?<x>l)\\k<x>", "\\Qa.b\\E", "\\n", "\\t", "\\u0041", "\\x41", " ", ",", "-", "é", "1", "\\R", "\\h", "[\\w.]", "[^\\s]", "[]a]", "[a-]", "x", "é",
}

var regexTexts = []string{"Hello, World", "aabbll a.b", "a1b22c333", "grüß é É", "line\none\r\ntwo\n", "", "xxAxx  \tb-_", "ababab"}

// TestPatternsAgainstVelocity compares random regular expressions with Java's.
func TestPatternsAgainstVelocity(t *testing.T) {
	v := startVelocity(t, "Harness", "-XX:TieredStopAtLevel=1")
	rounds, seed := 4000, uint64(1)
	if n := os.Getenv("VELOCITY_ROUNDS"); n != "" {
		fmt.Sscan(n, &rounds)
	}
	if n := os.Getenv("VELOCITY_SEED"); n != "" {
		fmt.Sscan(n, &seed)
	}
	r := rand.New(rand.NewPCG(seed, 2))
	failures, matched := 0, 0
	for range rounds {
		regex, open := "", 0
		for range 1 + r.IntN(6) {
			piece := regexPieces[r.IntN(len(regexPieces))]
			switch {
			case strings.HasPrefix(piece, "(") && !strings.HasSuffix(piece, ")") && !strings.Contains(piece, ">l") && !strings.HasSuffix(piece, "1"):
				open++
			case piece == ")" && open == 0:
				continue
			case piece == ")":
				open--
			}
			regex += piece
		}
		regex += strings.Repeat(")", open)
		text := regexTexts[r.IntN(len(regexTexts))]
		template := fmt.Sprintf("#set($x = '%s')#set($r = '%s')$x.replaceAll($r, '<$0>')|$x.matches($r)|#foreach($p in $x.split($r))[$p]#end|$x.replaceFirst($r, '_')", text, regex)
		got, want := ours("velocity", template), v.render(t, "velocity", template)
		if strings.Contains(want, "<") {
			matched++
		}
		// Which look-behinds without a bound Java takes follows from overflows of its
		// own; here a few more are refused, or work as they read.
		endless := (strings.Contains(regex, "(?<=") || strings.Contains(regex, "(?<!")) && strings.ContainsAny(regex, "*+{R")
		if agree(got, want) || endless {
			continue
		}
		t.Errorf("%q in %q\ngot  %q\nwant %q", regex, text, got, want)
		if failures++; failures == 25 {
			t.Fatal("that is enough")
		}
	}
	if matched < rounds/5 {
		t.Errorf("only %d of %d expressions matched something", matched, rounds)
	}
}

// TestMethodsAgainstVelocity calls random methods with random arguments.
func TestMethodsAgainstVelocity(t *testing.T) {
	receivers := []string{"$s", "$u", "$n", "$L", "$d", "$B", "$t", "$l", "$m", "$m.n.y", "$s.charAt(1)", "$m.keySet()", "$m.entrySet()", "$m.values()", "$l.iterator()", "$s.split('l')", "$w", "$e", "$s.toCharArray()"}
	arguments := []string{"'a'", "'l'", "''", "'Hello'", "'12'", "'-7'", "'1.5'", "0", "1", "2", "-1", "5", "2.5", "true", "foo", "$l", "$m", "$nope", "$L", "$B", "$d", "$s.charAt(1)", "['x']", "'%s|%5d|%x'", "$m.keySet()", "' '", "10", "16", "[1..3]"}
	v := startVelocity(t, "Harness", "-XX:TieredStopAtLevel=1")
	rounds, seed := 6000, uint64(1)
	if n := os.Getenv("VELOCITY_ROUNDS"); n != "" {
		fmt.Sscan(n, &rounds)
	}
	if n := os.Getenv("VELOCITY_SEED"); n != "" {
		fmt.Sscan(n, &seed)
	}
	r := rand.New(rand.NewPCG(seed, 3))
	failures, called := 0, 0
	for range rounds {
		receiver := receivers[r.IntN(len(receivers))]
		var args []string
		for range r.IntN(3) + r.IntN(2) {
			args = append(args, arguments[r.IntN(len(arguments))])
		}
		first, last := noMethod+1, mGetIndex-1
		if r.IntN(10) < 8 {
			first, last = methodsOf(receiver)
		}
		name := methodNames[int(first)+r.IntN(int(last-first)+1)]
		call := receiver + "." + name + "(" + strings.Join(args, ", ") + ")"
		if untested[name] || name == "valueOf" && len(args) != 1 || name == "getBytes" || name == "hashCode" && receiver == "$l.iterator()" || strings.Contains(receiver, "'l'") && name == "set" || strings.Contains(receiver, "Array") && name == "set" || strings.HasPrefix(receiver, "$m") && strings.Contains(strings.Join(args, " "), "$m") || name == "replaceAll" && receiver != "$s" && receiver != "$u" || name == "hashCode" && (strings.HasPrefix(receiver, "$m") || strings.Contains(receiver, "split") || strings.Contains(receiver, "toCharArray")) {
			continue
		}
		template := "#set($w = '  a b ')#set($e = '')[" + call + "]#set($r = " + call + ")$r $l $m.k $m.n.y"
		got, want := ours("velocity", template), v.render(t, "velocity", template)
		if !strings.Contains(want, "$r") && strings.HasPrefix(want, "output") {
			called++
		}
		if agree(got, want) {
			continue
		}
		t.Errorf("%s\ngot  %q\nwant %q", call, got, want)
		if failures++; failures == 40 {
			t.Fatal("that is enough")
		}
	}
	if called < rounds/20 {
		t.Errorf("only %d of %d calls returned something", called, rounds)
	}
}

// methodsOf returns the first and the last method of the receiver's own.
func methodsOf(receiver string) (first, last method) {
	switch {
	case strings.HasPrefix(receiver, "$m") && receiver != "$m.n.y" || receiver == "$l.iterator()":
		return mSize, mNext
	case receiver == "$l", receiver == "$m.n.y", strings.HasSuffix(receiver, "split('l')"), strings.HasSuffix(receiver, "toCharArray()"):
		return mSize, mToJSONString
	case receiver == "$s.charAt(1)":
		return mCharValue, mGetNumericValue
	case receiver == "$n", receiver == "$L", receiver == "$d", receiver == "$B", receiver == "$t":
		return mIntValue, mLogicalOr
	}
	return mLength, mToCharArray
}

// untested are methods that print what differs from run to run.
var untested = map[string]bool{"iterator": true, "listIterator": true, "toArray": true, "clone": true, "compare": true}

// TestFormatAgainstVelocity compares random formats of String.format with Java's.
func TestFormatAgainstVelocity(t *testing.T) {
	v := startVelocity(t, "Harness", "-XX:TieredStopAtLevel=1")
	r := rand.New(rand.NewPCG(1, 3))
	values := []string{"$n", "$d", "$s", "$t", "$nope", "$L", "$B", "$u", "-3", "0.1", "1.0E10", "12345.678", "9.9996"}
	failures := 0
	for range 4000 {
		format := "%"
		if r.IntN(6) == 0 {
			format += "1$"
		}
		for range r.IntN(3) {
			format += string("-#+ 0,("[r.IntN(7)])
		}
		if r.IntN(2) == 0 {
			format += fmt.Sprint(1 + r.IntN(12))
		}
		if r.IntN(3) == 0 {
			format += fmt.Sprint(".", r.IntN(6))
		}
		format += string("bBhHsScCdoxXeEfgGaA%n"[r.IntN(21)])
		template := fmt.Sprintf("#set($z = %s)$s.format(\"%s|\", $z)", values[r.IntN(len(values))], format)
		if got, want := ours("velocity", template), v.render(t, "velocity", template); !agree(got, want) {
			t.Errorf("%q\ngot  %q\nwant %q", template, got, want)
			if failures++; failures == 10 {
				t.Fatal("that is enough")
			}
		}
	}
}
