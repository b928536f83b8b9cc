package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestParseKeepsWhatIsThere(t *testing.T) {
	for text, want := range map[string]string{
		` {"b": 1, "a" : [ 1.0e3 , -0, 12345678901234567890 ] , "c":{ } } `: `{"b":1,"a":[1.0e3,-0,12345678901234567890],"c":{}}`,
		`"\u00e9\ud83d\ude00\ud800\/\b"`:                                    `"é😀` + "\uFFFD" + `/\u0008"`,
		`[true,false,null]`:                                                 `[true,false,null]`,
		`{"a":1,"a":2}`:                                                     `{"a":1,"a":2}`,
		`0`:                                                                 `0`,
		`{"":{"\"":[]}}`:                                                    `{"":{"\"":[]}}`,
	} {
		d, err := Parse([]byte(text))
		if err != nil {
			t.Errorf("Parse(%s): %v", text, err)
			continue
		}
		if got := string(d.Append(nil, d.Root())); got != want {
			t.Errorf("%s became %s, want %s", text, got, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, offset := range map[string]int{
		"": 0, " ": 1, "{": 1, "[1,]": 3, `{"a"}`: 4, `{"a":1,}`: 7, "01": 2, "1.": 2, "-": 1, "1e": 2, "+1": 0, ".5": 0,
		"tru": 0, "nulll": 4, `"a`: 2, "\"\n\"": 1, `"\x"`: 1, `"\u12g4"`: 1, "1 2": 2, "[1 2]": 3, "{1:2}": 1, "\"\xff\"": 1, "NaN": 0, "'a'": 0,
	} {
		_, err := Parse([]byte(text))
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || syntax.Offset != offset {
			t.Errorf("Parse(%q) = %v, want an error at byte %d", text, err, offset)
		}
	}
	if _, err := Parse([]byte(strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth))); err != nil {
		t.Errorf("as deep as allowed: %v", err)
	}
	if _, err := Parse([]byte(strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1))); !errors.Is(err, ErrLimit) {
		t.Errorf("too deep: %v", err)
	}
	if _, err := Parse([]byte("[" + strings.Repeat("1,", MaxNodes) + "1]")); !errors.Is(err, ErrLimit) {
		t.Errorf("too many: %v", err)
	}
}

const pets = `{"pets":[{"name":"Rex","a.b":1},{"name":"Tom"}],"it's":{"x":null},"n":12.50,"d":1,"d":2}`

func TestFind(t *testing.T) {
	d, err := Parse([]byte(pets))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"$": pets, "$.pets[1].name": `"Tom"`, "$['pets'][0]['a.b']": "1", `$['it\'s'].x`: "null", "$.n": "12.50", "$.d": "2",
	} {
		n, err := d.Find(path)
		if err != nil {
			t.Errorf("Find(%s): %v", path, err)
			continue
		}
		if got := string(d.Append(nil, n)); got != want {
			t.Errorf("Find(%s) = %s, want %s", path, got, want)
		}
	}
	for path, want := range map[string]error{
		"$.x": ErrMissing, "$.pets[2]": ErrMissing, "$.pets.name": ErrMissing, "$.n[0]": ErrMissing, "$.x.y[3]": ErrMissing,
		"": ErrPath, "pets": ErrPath, "$pets": ErrPath, "$.": ErrPath, "$..a": ErrPath, "$.pets[*]": ErrPath, "$.pets[-1]": ErrPath,
		"$.pets[+1]": ErrPath, "$.pets[1": ErrPath, "$['a": ErrPath, "$['a'": ErrPath, `$['\a']`: ErrPath, "$.x[*]": ErrPath, "$.pets[]": ErrPath,
	} {
		if n, err := d.Find(path); !errors.Is(err, want) {
			t.Errorf("Find(%s) = %d, %v; want %v", path, n, err, want)
		}
	}
}

func TestSetAndDelete(t *testing.T) {
	for _, c := range []struct {
		path, value, want string
		err               error
	}{
		{"$", `[1]`, `[1]`, nil},
		{"$.a", `{"x":1}`, `{"l":[1,2],"a":{"x":1}}`, nil},
		{"$.l", `"s"`, `{"l":"s"}`, nil},
		{"$.l[0]", `9`, `{"l":[9,2]}`, nil},
		{"$.l[2]", `3`, `{"l":[1,2,3]}`, nil},
		{"$.l[3]", `3`, "", ErrMissing},
		{"$.l.x", `3`, "", ErrMissing},
		{"$.a.b['c d']", `true`, `{"l":[1,2],"a":{"b":{"c d":true}}}`, nil},
		{"$.a[0]", `true`, "", ErrMissing},
		{"$.a.b[0]", `true`, "", ErrMissing},
		{"$.*", `1`, "", ErrPath},
		{"x", `1`, "", ErrPath},
	} {
		d, _ := Parse([]byte(`{"l":[1,2]}`))
		if err := d.Set(c.path, []byte(c.value)); !errors.Is(err, c.err) {
			t.Errorf("Set(%s) = %v, want %v", c.path, err, c.err)
		}
		if c.err != nil {
			c.want = `{"l":[1,2]}`
		}
		if got := string(d.Append(nil, d.Root())); got != c.want {
			t.Errorf("after Set(%s, %s): %s, want %s", c.path, c.value, got, c.want)
		}
	}
	d, _ := Parse([]byte(`{"l":[1,2],"d":1,"d":2}`))
	var syntax *SyntaxError
	if err := d.Set("$.x.y", []byte("nope")); !errors.As(err, &syntax) {
		t.Errorf("Set to what isn't JSON: %v", err)
	}
	for _, path := range []string{"$.l[0]", "$.d"} {
		if err := d.Delete(path); err != nil {
			t.Errorf("Delete(%s): %v", path, err)
		}
	}
	if got := string(d.Append(nil, d.Root())); got != `{"l":[2]}` {
		t.Errorf("after both: %s", got)
	}
	for path, want := range map[string]error{"$": ErrPath, "$.d": ErrMissing, "$.l[1]": ErrMissing} {
		if err := d.Delete(path); !errors.Is(err, want) {
			t.Errorf("Delete(%s) = %v, want %v", path, err, want)
		}
	}
}

// A document that is filled to its limit stays whole.
func TestSetAtTheLimit(t *testing.T) {
	d, err := Parse([]byte(`{"l":[` + strings.Repeat("1,", MaxNodes-4) + `1]}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Set("$.a.b.c", []byte("1")); !errors.Is(err, ErrLimit) {
		t.Fatalf("Set = %v", err)
	}
	if _, err := d.Find("$.a"); !errors.Is(err, ErrMissing) {
		t.Errorf("something of it is there: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(pets))
	f.Add([]byte(`[1e5,"\ud800\udc00",{}]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := Parse(text)
		if errors.Is(err, ErrLimit) {
			return
		}
		if utf8 := invalidUTF8(text) < 0; (err == nil) != (json.Valid(text) && utf8) {
			t.Fatalf("Parse(%q) = %v, but encoding/json says %v", text, err, json.Valid(text))
		}
		if err != nil {
			return
		}
		out := d.Append(nil, d.Root())
		var a, b any
		left, right := json.NewDecoder(bytes.NewReader(text)), json.NewDecoder(bytes.NewReader(out))
		left.UseNumber()
		right.UseNumber()
		if left.Decode(&a) != nil || right.Decode(&b) != nil {
			t.Fatalf("%q became %q", text, out)
		}
		x, _ := json.Marshal(a)
		y, _ := json.Marshal(b)
		if !bytes.Equal(x, y) {
			t.Fatalf("%q became %q", text, out)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	text := []byte("[" + strings.Repeat(pets+",", 20) + pets + "]")
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFind(b *testing.B) {
	d, err := Parse([]byte(pets))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Find("$.pets[1].name"); err != nil {
			b.Fatal(err)
		}
	}
}

func TestOffset(t *testing.T) {
	d, err := Parse([]byte("{ \"a\" : [1,\n {\"b\": true}] }"))
	if err != nil {
		t.Fatal(err)
	}
	a, _ := d.Member(d.Root(), "a")
	object := d.At(a, 1)
	b, _ := d.Member(object, "b")
	for i, n := range []Node{d.Root(), a, d.At(a, 0), object, b} {
		// A member begins with its name.
		if want := []int{0, 2, 9, 13, 14}[i]; d.Offset(n) != want {
			t.Errorf("value %d begins at %d, want %d", i, d.Offset(n), want)
		}
	}
}
