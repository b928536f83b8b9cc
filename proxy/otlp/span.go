package otlp

import (
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Kind is what a span is to its parent. The numbers are the protocol's.
type Kind uint8

// The kinds.
const (
	Internal Kind = 1
	Server   Kind = 2
	Client   Kind = 3
)

// Span is something that took time, as a part of a trace.
type Span struct {
	Trace      [16]byte
	ID, Parent [8]byte // zero Parent for none
	State      string  // tracestate
	Name       string
	Kind       Kind
	Start, End time.Time
	Attributes []Attribute
	Failed     bool
	Failure    string // why; "" for nothing to say
}

// Attribute is a name with a text or, if that is "", a number.
type Attribute struct {
	Name   string
	Text   string
	Number int64
}

// appendSpan appends s as the field "spans" of ScopeSpans:
// opentelemetry/proto/trace/v1/trace.proto.
func appendSpan(b []byte, s *Span) []byte {
	return appendMessage(b, 2, func(b []byte) []byte {
		b = appendBytes(b, 1, s.Trace[:])
		b = appendBytes(b, 2, s.ID[:])
		b = appendText(b, 3, s.State)
		if s.Parent != [8]byte{} {
			b = appendBytes(b, 4, s.Parent[:])
		}
		b = appendText(b, 5, s.Name)
		b = appendVarint(b, 6, uint64(s.Kind))
		b = appendTime(b, 7, s.Start)
		b = appendTime(b, 8, s.End)
		for i := range s.Attributes {
			b = appendAttribute(b, 9, &s.Attributes[i])
		}
		if s.Failed {
			const statusError = 2
			b = appendMessage(b, 15, func(b []byte) []byte {
				return appendVarint(appendText(b, 2, s.Failure), 3, statusError)
			})
		}
		return b
	})
}

// appendAttribute appends a as a KeyValue: opentelemetry/proto/common/v1/common.proto.
func appendAttribute(b []byte, field protowire.Number, a *Attribute) []byte {
	return appendMessage(b, field, func(b []byte) []byte {
		b = appendText(b, 1, a.Name)
		return appendMessage(b, 2, func(b []byte) []byte {
			if a.Text != "" {
				return appendText(b, 1, a.Text)
			}
			b = protowire.AppendTag(b, 3, protowire.VarintType)
			return protowire.AppendVarint(b, uint64(a.Number))
		})
	})
}

// appendMessage appends a field that holds what fill appends. Its length goes ahead of
// it, so that it is moved once.
func appendMessage(b []byte, field protowire.Number, fill func(b []byte) []byte) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	start := len(b)
	b = fill(b)
	length := len(b) - start
	size := protowire.SizeVarint(uint64(length))
	for range size {
		b = append(b, 0)
	}
	copy(b[start+size:], b[start:start+length])
	protowire.AppendVarint(b[:start], uint64(length))
	return b
}

// appendText appends a text unless it is empty. Texts are valid UTF-8, as the protocol
// wants them: see clean.
func appendText(b []byte, field protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), clean(s))
}

func appendBytes(b []byte, field protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), v)
}

func appendVarint(b []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

func appendFixed(b []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(b, field, protowire.Fixed64Type), v)
}

func appendFloat(b []byte, field protowire.Number, v float64) []byte {
	return appendFixed(b, field, math.Float64bits(v))
}

func appendTime(b []byte, field protowire.Number, t time.Time) []byte {
	return appendFixed(b, field, uint64(t.UnixNano()))
}
