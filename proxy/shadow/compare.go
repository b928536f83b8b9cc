package shadow

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/postern-gateway/postern/proxy/http1"
)

// mostPaths is how many differences of one answer are told.
const mostPaths = 20

// differentFields returns the names of the fields that differ, sorted: those that only
// one has, or that have other values. The order of one field's values counts.
func (m *mirror) differentFields(a, b http1.Fields) []string {
	values := map[string][2][]string{}
	for side, fields := range [2]http1.Fields{a, b} {
		for i := range fields {
			name := strings.ToLower(fields[i].Name)
			if m.ignored(name) {
				continue
			}
			both := values[name]
			both[side] = append(both[side], fields[i].Value)
			values[name] = both
		}
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if both := values[name]; !slices.Equal(both[0], both[1]) && len(names) < mostPaths {
			names = append(names, name)
		}
	}
	return names
}

// ignored reports whether a field may differ: those do that say when, by whom and on
// which connection an answer was sent. RFC 9110, 7.6.1.
func (m *mirror) ignored(name string) bool {
	switch name {
	case "date", "x-amzn-requestid", "x-amz-apigw-id", "x-amzn-trace-id", "traceparent", "connection", "keep-alive", "transfer-encoding", "age":
		return true
	case "content-length": // content is compared by itself, less what it may differ in
		return true
	}
	return slices.ContainsFunc(m.headers, func(h string) bool { return strings.EqualFold(h, name) })
}

// differentContent returns where content differs: paths in JSON, else a byte's offset.
func (m *mirror) differentContent(aFields http1.Fields, a []byte, bFields http1.Fields, b []byte) []string {
	if bytes.Equal(a, b) {
		return nil
	}
	a, b = m.decoded(aFields, a), m.decoded(bFields, b)
	var left, right any
	if parse(a, &left) && parse(b, &right) {
		w := walk{masks: m.masks}
		w.differ(nil, left, right)
		return w.found
	}
	at := 0
	for at < len(a) && at < len(b) && a[at] == b[at] {
		at++
	}
	if at == len(a) && at == len(b) {
		return nil
	}
	return []string{"byte " + strconv.Itoa(at)}
}

// decoded takes gzip off content, if it is all there.
func (m *mirror) decoded(fields http1.Fields, content []byte) []byte {
	if !strings.EqualFold(fields.Get("Content-Encoding"), "gzip") {
		return content
	}
	r, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return content
	}
	plain, err := io.ReadAll(io.LimitReader(r, int64(10*m.maxAnswer)))
	if err != nil {
		return content
	}
	return plain
}

// parse reads one JSON value, numbers as they are written.
func parse(text []byte, into *any) bool {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if d.Decode(into) != nil {
		return false
	}
	_, err := d.Token()
	return err == io.EOF
}

// mask is a path in JSON: names and numbers, "*" for any.
type mask []string

// parseMask reads a path that the configuration's pattern has let through.
func parseMask(path string) mask {
	path = strings.NewReplacer("[", ".", "]", "").Replace(strings.TrimPrefix(path, "$"))
	return strings.Split(strings.TrimPrefix(path, "."), ".")
}

func (m mask) covers(path []string) bool {
	if len(m) != len(path) {
		return false
	}
	for i := range m {
		if m[i] != "*" && m[i] != path[i] {
			return false
		}
	}
	return true
}

// walk looks for differences in JSON.
type walk struct {
	masks []mask
	found []string
}

func (w *walk) differ(path []string, a, b any) {
	if len(w.found) == mostPaths || slices.ContainsFunc(w.masks, func(m mask) bool { return m.covers(path) }) {
		return
	}
	switch left := a.(type) {
	case map[string]any:
		if right, same := b.(map[string]any); same {
			w.objects(path, left, right)
			return
		}
	case []any:
		if right, same := b.([]any); same {
			w.lists(path, left, right)
			return
		}
	default:
		switch b.(type) {
		case map[string]any, []any:
		default:
			if a == b {
				return
			}
		}
	}
	w.found = append(w.found, written(path))
}

// missing stands for what isn't there.
type missing struct{}

func (w *walk) objects(path []string, a, b map[string]any) {
	names := map[string]bool{}
	for name := range a {
		names[name] = true
	}
	for name := range b {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		left, inA := a[name]
		right, inB := b[name]
		if !inA {
			left = missing{}
		}
		if !inB {
			right = missing{}
		}
		w.differ(append(slices.Clone(path), name), left, right)
	}
}

func (w *walk) lists(path []string, a, b []any) {
	for i := range max(len(a), len(b)) {
		var left, right any = missing{}, missing{}
		if i < len(a) {
			left = a[i]
		}
		if i < len(b) {
			right = b[i]
		}
		w.differ(append(slices.Clone(path), strconv.Itoa(i)), left, right)
	}
}

// written returns a path as masks are written.
func written(path []string) string {
	var b strings.Builder
	b.WriteByte('$')
	for _, part := range path {
		switch {
		case part != "" && strings.Trim(part, "0123456789") == "":
			fmt.Fprintf(&b, "[%s]", part)
		case part != "" && strings.Trim(part, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == "":
			b.WriteString("." + part)
		default:
			fmt.Fprintf(&b, "[%q]", part)
		}
	}
	return b.String()
}
