package server

import (
	"net/http"
	"strings"

	"github.com/postern-gateway/postern/proxy/http1"
)

// addFields adds copies of fields: HPACK's table remembers names and values for
// as long as the connection lives, which is longer than the exchange's memory.
// All copies share one piece of memory.
func addFields(header http.Header, fields http1.Fields) {
	size := 0
	for i := range fields {
		size += len(fields[i].Name) + len(fields[i].Value)
	}
	var copies strings.Builder
	copies.Grow(size)
	values := make([]string, 0, len(fields))
	for i := range fields {
		f := &fields[i]
		if framed(f.Known()) {
			continue
		}
		name := fieldName(&copies, f)
		copies.WriteString(f.Value)
		value := copies.String()[copies.Len()-len(f.Value):]
		if had := header[name]; had != nil {
			header[name] = append(had, value)
			continue
		}
		values = append(values, value)
		header[name] = values[len(values)-1 : len(values) : len(values)]
	}
}

// fieldName returns f's name in lower case, as it goes out, but for the two that
// x/net's server looks for by their usual spelling.
func fieldName(copies *strings.Builder, f *http1.Field) string {
	if k := f.Known(); k == http1.ContentType || k == http1.ContentEncoding {
		return k.String()
	}
	for i := range len(f.Name) {
		b := f.Name[i]
		if 'A' <= b && b <= 'Z' {
			b |= 0x20
		}
		copies.WriteByte(b)
	}
	return copies.String()[copies.Len()-len(f.Name):]
}
