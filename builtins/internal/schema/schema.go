// Package schema checks JSON documents against JSON Schemas of draft-04, the way
// AWS API Gateway checks requests against models: what it says of a document that
// doesn't fit has the words and the order of the Java library that AWS's messages
// come from (json-schema-validator).
//
// Schemas are compiled together and refer to one another, never to anything else.
// Whatever a document holds, checking it ends: steps, depth, patterns' time and
// messages have limits.
package schema

import (
	"time"

	"github.com/dlclark/regexp2"

	"github.com/postern-gateway/postern/proxy/document"
)

// Limits of one check.
const (
	maxSteps    = 1 << 22                // values looked at, each time one is
	maxNesting  = 4096                   // schemas within schemas, those of $ref too
	maxPatterns = 100 * time.Millisecond // in regular expressions, together
	maxMessages = 50                     // violations that are told
)

// Schema is a compiled schema. It doesn't change; safe for concurrent use.
type Schema struct {
	where string // for errors at load: "Pet#/properties/name"
	ref   *Schema
	seeds *seeds

	types     typeSet // 0 for any
	typesText string  // ["integer","number"]
	enum      []value
	enumText  string

	allOf, anyOf, oneOf []*Schema
	not                 *Schema

	// Of objects.
	members      bool // one of the next four is there
	properties   map[string]*Schema
	patterns     []patternSchema
	additional   *Schema
	noAdditional bool
	required     []string // sorted
	dependencies []dependency
	minProps     int // -1 for none, as all counts
	maxProps     int

	// Of arrays.
	items     *Schema
	tuple     []*Schema
	isTuple   bool
	further   *Schema // additionalItems
	noFurther bool
	unique    bool
	minItems  int
	maxItems  int

	// Of strings.
	minLength int
	maxLength int
	pattern   *pattern
	format    *format

	// Of numbers.
	multipleOf     *number // above 0
	minimum        *number
	maximum        *number
	exclusiveLeast bool
	exclusiveMost  bool
}

// dependency is what the presence of a member asks for.
type dependency struct {
	name     string
	required []string
	schema   *Schema // nil for required alone
}

// patternSchema is one of patternProperties.
type patternSchema struct {
	pattern *pattern
	schema  *Schema
}

// pattern is a regular expression of ECMA 262.
type pattern struct {
	text string
	re   *regexp2.Regexp
}

// typeSet holds types as bits, in the order in which messages list them.
type typeSet uint8

const (
	arrayType typeSet = 1 << iota
	booleanType
	integerType
	nullType
	numberType
	objectType
	stringType
)

// typeNames are the names of the bits of a typeSet.
var typeNames = [...]string{"array", "boolean", "integer", "null", "number", "object", "string"}

// typeOf returns the type of a value. As in AWS's library 1.0 is no integer.
func typeOf(d *document.Document, n document.Node) typeSet {
	switch d.Kind(n) {
	case document.Array:
		return arrayType
	case document.Object:
		return objectType
	case document.String:
		return stringType
	case document.Boolean:
		return booleanType
	case document.Null:
		return nullType
	}
	if isInteger(d.Text(n)) {
		return integerType
	}
	return numberType
}

// value is a value of an enum.
type value struct {
	kind   document.Kind
	text   string
	number number
	digest digest // of arrays and objects
}
