package xmljson

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

const declaration = `<?xml version="1.0" encoding="UTF-8"?>`

func TestToXML(t *testing.T) {
	f := func(o Options, text, want string) {
		t.Helper()
		got, err := ToXML(nil, []byte(text), &o)
		if err != nil || string(got) != declaration+want {
			t.Errorf("%s:\n got %s %v\nwant %s", text, got, err, want)
		}
	}
	f(Options{}, `{"a":"x"}`, `<a>x</a>`)
	f(Options{}, `{"m:a":{"@id":7,"@m:on":true,"#text":"x<y&\"z\""}}`, `<m:a id="7" m:on="true">x&lt;y&amp;&#34;z&#34;</m:a>`)
	f(Options{}, `{"a":{"b":[1,null,{"c":""},2.50],"z":[],"y":false}}`, `<a><b>1</b><b></b><b><c></c></b><b>2.50</b><y>false</y></a>`)
	f(Options{}, `{"a":{"b":"line\r\n","@t":"a\tb"}}`, `<a t="a&#9;b"><b>line&#13;&#10;</b></a>`)
	f(Options{Wrap: []string{"s:Envelope", "s:Body"}, Namespaces: map[string]string{"s": "http://s/", "": "urn:x"}}, `{"Get":{"id":1}}`,
		`<s:Envelope xmlns="urn:x" xmlns:s="http://s/"><s:Body><Get><id>1</id></Get></s:Body></s:Envelope>`)
	f(Options{Namespaces: map[string]string{"m": "urn:m"}}, `{"m:a":{"@x":"1"}}`, `<m:a xmlns:m="urn:m" x="1"></m:a>`)
}

func TestToXMLErrors(t *testing.T) {
	f := func(text string) {
		t.Helper()
		if got, err := ToXML([]byte("before"), []byte(text), &Options{}); err == nil || string(got) != "before" {
			t.Errorf("%.100s: %.100s, %v", text, got, err)
		}
	}
	f(``)
	f(`{`)
	f(`[1]`)
	f(`{}`)
	f(`{"a":1,"b":2}`)
	f(`{"a":[1]}`)
	f(`{"a":{"b":[[1]]}}`)
	f(`{"a b":1}`)
	f(`{"a":{"b><c":1}}`)
	f(`{"1a":1}`)
	f(`{"a:b:c":1}`)
	f(`{":a":1}`)
	f(`{"a":"\u0000"}`)
	f(`{"a":"\uffff"}`)
	f(`{"a":{"@b":{"c":1}}}`)
	f(`{"a":{"@b c":1}}`)
	f(`{"a":{"@b":1,"@b":2}}`)
	f(`{"a":{"#text":[1]}}`)
	f(strings.Repeat(`{"a":`, 2000) + "1" + strings.Repeat("}", 2000))
	f(`{"a":"` + strings.Repeat("&", 3<<20) + `"}`)
}

func TestToJSON(t *testing.T) {
	f := func(o Options, text, want string) {
		t.Helper()
		got, err := ToJSON(nil, []byte(text), &o)
		if err != nil || string(got) != want {
			t.Errorf("%s:\n got %s %v\nwant %s", text, got, err, want)
		}
	}
	f(Options{}, `<a>x</a>`, `{"a":"x"}`)
	f(Options{}, `<a/>`, `{"a":""}`)
	f(Options{}, `<a> x </a>`, `{"a":" x "}`)
	f(Options{}, declaration+"\n<!-- c --><a xmlns:m=\"urn:m\" m:k='1'>x<m:b>1</m:b>\n<c/><m:b>2</m:b>y</a>\n", `{"a":{"@xmlns:m":"urn:m","@m:k":"1","#text":"x\ny","m:b":["1","2"],"c":""}}`)
	f(Options{Bare: true, Arrays: []string{"b"}}, `<m:a xmlns:m="urn:m" xmlns="urn:d" m:k="1"><m:b>1</m:b></m:a>`, `{"a":{"@k":"1","b":["1"]}}`)
	f(Options{Wrap: []string{"soap:Envelope", "soap:Body"}}, `<S:Envelope xmlns:S="urn:s"><S:Header><t>1</t></S:Header><S:Body><r>ok</r></S:Body></S:Envelope>`, `{"r":"ok"}`)
	f(Options{}, `<a>&lt;&amp;&#x41;<![CDATA[<b>]]></a>`, `{"a":"<&A<b>"}`)
	f(Options{}, "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a>\xe4</a>", `{"a":"ä"}`)
}

func TestToJSONErrors(t *testing.T) {
	f := func(text string, large bool) {
		t.Helper()
		got, err := ToJSON([]byte("before"), []byte(text), &Options{})
		if err == nil || string(got) != "before" || errors.Is(err, ErrTooLarge) != large {
			t.Errorf("%.100s: %.100s, %v", text, got, err)
		}
	}
	f(``, false)
	f(`text`, false)
	f(`<a>`, false)
	f(`<a></b>`, false)
	f(`</a>`, false)
	f(`<a/><b/>`, false)
	f(`<a/>text`, false)
	f(`<a><b></a></b>`, false)
	f(`<a x=1/>`, false)
	f(`<a x="1" x="2"/>`, false)
	f("<a>\xff</a>", false)
	f("<a>\x00</a>", false)
	f(`<?xml version="1.0" encoding="UTF-7"?><a/>`, false)
	// Entities: no bombs, no files.
	f(`<!DOCTYPE a [<!ENTITY b "bbb">]><a>&b;</a>`, false)
	f(`<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>`, false)
	f(`<a>&b;</a>`, false)
	f(strings.Repeat("<a>", 200_000), true)
	f("<a>"+strings.Repeat("<b/>", 600_000)+"</a>", true)
	f("<a>"+strings.Repeat("\x01", 10)+"</a>", false)
	f("<a>"+strings.Repeat("\"", 6<<20)+"</a>", true)
}

func TestCheck(t *testing.T) {
	f := func(o Options, good bool) {
		t.Helper()
		if err := o.Check(); (err == nil) != good {
			t.Errorf("%+v: %v", o, err)
		}
	}
	f(Options{}, true)
	f(Options{Wrap: []string{"s:E"}, Namespaces: map[string]string{"s": "urn:s"}}, true)
	f(Options{Wrap: []string{"s:E"}}, false)
	f(Options{Wrap: []string{"a b"}}, false)
	f(Options{Namespaces: map[string]string{"a:b": "urn:s"}}, false)
	f(Options{Namespaces: map[string]string{"s": ""}}, false)
}

// What comes out is well-formed, and says the same when it comes back.
func FuzzToXML(f *testing.F) {
	for _, seed := range []string{`{"a":{"@b":"c","#text":"d"}}`, `{"a":{"b":["1","2",{"c":""}]}}`, `{"x:a":{"b":"<>&\"'\t\n\r"}}`, `{"a":null}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		out, err := ToXML(nil, []byte(text), &Options{})
		if err != nil {
			return
		}
		d := xml.NewDecoder(strings.NewReader(string(out)))
		for {
			if _, err := d.RawToken(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", out, err)
			}
		}
		back, err := ToJSON(nil, out, &Options{})
		if err != nil || !json.Valid(back) {
			t.Fatalf("%s: %s %v", out, back, err)
		}
		again, err := ToXML(nil, back, &Options{})
		if err != nil {
			t.Fatalf("%s: %v", back, err)
		}
		twice, err := ToJSON(nil, again, &Options{})
		if err != nil || string(twice) != string(back) {
			t.Fatalf("%s: %s, %v", back, twice, err)
		}
	})
}

func FuzzToJSON(f *testing.F) {
	for _, seed := range []string{`<a b="c">d</a>`, declaration + `<a><b/>&lt;<b/></a>`, `<x:a xmlns:x="u"><![CDATA[<]]></x:a>`, `<!DOCTYPE a><a/>`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if out, err := ToJSON(nil, []byte(text), &Options{Bare: len(text)%2 == 0}); err == nil && !json.Valid(out) {
			t.Fatalf("%q: %s", text, out)
		}
	})
}

func BenchmarkSOAP(b *testing.B) {
	o := Options{Wrap: []string{"soap:Envelope", "soap:Body"}, Namespaces: map[string]string{"soap": "http://schemas.xmlsoap.org/soap/envelope/"}}
	text := []byte(`{"GetQuote":{"symbol":"ACME","fields":["price","volume"],"limit":10}}`)
	b.ReportAllocs()
	for b.Loop() {
		out, err := ToXML(nil, text, &o)
		if err != nil {
			b.Fatal(err)
		}
		if _, err = ToJSON(nil, out, &o); err != nil {
			b.Fatal(err)
		}
	}
}
