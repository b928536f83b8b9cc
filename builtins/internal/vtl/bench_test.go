package vtl

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/postern-gateway/postern/proxy/expr"
)

// The templates of the benchmarks: what is timed with Velocity, too, by
// testdata/bench/velocity.
const (
	benchSmall = `{"user":"$input.path('$.user')","id":$input.path('$.id'),"mail":"$input.path('$.mail')",` +
		`"who":"$input.path('$.user') <$input.path('$.id')>"}`

	benchPassthrough = `#set($allParams = $input.params())
{
  "body-json" : $input.json('$'),
  "params" : {
#foreach($type in $allParams.keySet())
    #set($params = $allParams.get($type))
    "$type" : {
      #foreach($name in $params.keySet())
      "$name" : "$util.escapeJavaScript($params.get($name))"#if($foreach.hasNext),#end

      #end
    }#if($foreach.hasNext),#end

#end
  },
  "stage-variables" : {
#foreach($key in $stageVariables.keySet())
    "$key" : "$util.escapeJavaScript($stageVariables.get($key))"#if($foreach.hasNext),#end

#end
  },
  "context" : {
    "account-id" : "$context.identity.accountId",
    "api-id" : "$context.apiId",
    "api-key" : "$context.identity.apiKey",
    "http-method" : "$context.httpMethod",
    "stage" : "$context.stage",
    "source-ip" : "$context.identity.sourceIp",
    "request-id" : "$context.requestId",
    "resource-path" : "$context.resourcePath"
  }
}
`

	benchList = `#set($total = 0)
{"orders":[
#foreach($o in $input.path('$.orders'))
  #set($sum = $o.price * $o.count)
  #set($total = $total + $o.count)
  {"id":$o.id,"name":"$util.escapeJavaScript($o.name)","sum":$sum#if($o.count > 3),"many":true#end}#if($foreach.hasNext),#end

#end
],"total":$total}
`
)

func benchListBody() string {
	var b strings.Builder
	b.WriteString(`{"orders":[`)
	for i := range 100 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%d,"name":"item's \"%d\"","price":%d.25,"count":%d,"tags":["a","b"]}`, i, i, i, i%7)
	}
	b.WriteString("]}")
	return b.String()
}

type benchCase struct{ name, template, body string }

func benchCases() []benchCase {
	return []benchCase{
		{"small", benchSmall, `{"user":"ada","id":42,"mail":"a@x.org"}`},
		{"passthrough", benchPassthrough, `{"order":{"id":"o-1","lines":[{"sku":"A-1","qty":2,"price":9.5},{"sku":"B-2","qty":1,"price":20}],"note":"it's \"quick\"","tags":["new","gift"]},"customer":{"name":"Zoë","vip":true,"address":{"city":"Köln","zip":"50667"}},"ts":1700000000}`},
		{"list100", benchList, benchListBody()},
	}
}

func benchEnvironment(body string) *Environment {
	return &Environment{
		Body: NewBody([]byte(body)),
		Params: Params{
			Path:   []Pair{{"id", "o-1"}, {"part", "lines"}},
			Query:  []Pair{{"page", "2"}, {"filter", `a "b" & c`}},
			Header: []Pair{{"Content-Type", "application/json"}, {"X-Note", "it's"}, {"Accept", "*/*"}, {"User-Agent", "curl/8.0"}},
		},
		Stage: []Pair{{"url", "https://b.example.com/v1"}, {"table", "orders"}},
		Context: tree{func() *expr.Map {
			v, _ := expr.ParseJSON([]byte(`{"apiId":"a1b2c3","stage":"prod","httpMethod":"POST","requestId":"c6af9ac6-7b61-11e6-9a41-93e8deadbeef","resourcePath":"/orders/{id}","identity":{"sourceIp":"192.0.2.1","accountId":"123456789012","apiKey":""}}`))
			return v.Map()
		}()},
	}
}

func BenchmarkRender(b *testing.B) {
	for _, c := range benchCases() {
		b.Run(c.name, func(b *testing.B) {
			tpl, err := Parse(c.name, c.template, Gateway())
			if err != nil {
				b.Fatal(err)
			}
			env := benchEnvironment(c.body)
			body := []byte(c.body)
			dst, err := tpl.Render(nil, env)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(dst)))
			b.ReportAllocs()
			for b.Loop() {
				env.Body = NewBody(body)
				if dst, err = tpl.Render(dst[:0], env); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkVelocity reports Java's CPU time of the same renderings, warmed up, and
// that they come to the same.
func BenchmarkVelocity(b *testing.B) {
	v := startVelocity(b, "Bench")
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, c := range benchCases() {
		b.Run(c.name, func(b *testing.B) {
			if b.N > 1 {
				return // it repeats by itself
			}
			least, output, _ := strings.Cut(v.ask(b, encode(c.template)+" "+encode(c.body)), " ")
			ns, err := strconv.ParseFloat(least, 64)
			if err != nil {
				b.Fatalf("%s: %v", least, err)
			}
			tpl, err := Parse(c.name, c.template, Gateway())
			if err != nil {
				b.Fatal(err)
			}
			out, err := tpl.Render(nil, benchEnvironment(c.body))
			if err != nil || encode(string(out)) != output {
				want, _ := base64.StdEncoding.DecodeString(output)
				b.Errorf("%v\ngot  %s\nwant %s", err, out, want)
			}
			b.ReportMetric(ns, "java-ns/op")
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for _, c := range benchCases() {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(c.name, c.template, Gateway()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
