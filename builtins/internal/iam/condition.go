package iam

import (
	"net/netip"
	"strings"
	"time"
)

// comparison is what an operator compares, and how.
type comparison uint8

const (
	compareText comparison = iota
	compareFolded
	compareLike
	compareARN
	compareNumber
	compareTime
	compareTruth
	compareAddress
	compareNull
)

// relation is the order that numbers and times must have.
type relation uint8

const (
	equal relation = iota
	less
	lessOrEqual
	greater
	greaterOrEqual
)

// fits reports whether order, as cmp.Compare returns it, is the one.
func (r relation) fits(order int) bool {
	switch r {
	case less:
		return order < 0
	case lessOrEqual:
		return order <= 0
	case greater:
		return order > 0
	case greaterOrEqual:
		return order >= 0
	}
	return order == 0
}

// quantifier is which of a key's values must fit.
type quantifier uint8

const (
	plain quantifier = iota
	forAnyValue
	forAllValues
)

// operator is a condition operator.
type operator struct {
	comparison comparison
	relation   relation
	negated    bool
	ifExists   bool
	quantifier quantifier
}

// operatorRow is an operator without IfExists and quantifier.
type operatorRow struct {
	name string
	operator
}

// operatorRows are all operators but BinaryEquals: no key here holds bytes. AWS:
// "IAM JSON policy elements: Condition operators".
var operatorRows = []operatorRow{
	{"StringEquals", operator{comparison: compareText}},
	{"StringNotEquals", operator{comparison: compareText, negated: true}},
	{"StringEqualsIgnoreCase", operator{comparison: compareFolded}},
	{"StringNotEqualsIgnoreCase", operator{comparison: compareFolded, negated: true}},
	{"StringLike", operator{comparison: compareLike}},
	{"StringNotLike", operator{comparison: compareLike, negated: true}},
	{"NumericEquals", operator{comparison: compareNumber}},
	{"NumericNotEquals", operator{comparison: compareNumber, negated: true}},
	{"NumericLessThan", operator{comparison: compareNumber, relation: less}},
	{"NumericLessThanEquals", operator{comparison: compareNumber, relation: lessOrEqual}},
	{"NumericGreaterThan", operator{comparison: compareNumber, relation: greater}},
	{"NumericGreaterThanEquals", operator{comparison: compareNumber, relation: greaterOrEqual}},
	{"DateEquals", operator{comparison: compareTime}},
	{"DateNotEquals", operator{comparison: compareTime, negated: true}},
	{"DateLessThan", operator{comparison: compareTime, relation: less}},
	{"DateLessThanEquals", operator{comparison: compareTime, relation: lessOrEqual}},
	{"DateGreaterThan", operator{comparison: compareTime, relation: greater}},
	{"DateGreaterThanEquals", operator{comparison: compareTime, relation: greaterOrEqual}},
	{"Bool", operator{comparison: compareTruth}},
	{"IpAddress", operator{comparison: compareAddress}},
	{"NotIpAddress", operator{comparison: compareAddress, negated: true}},
	{"ArnEquals", operator{comparison: compareARN}},
	{"ArnNotEquals", operator{comparison: compareARN, negated: true}},
	{"ArnLike", operator{comparison: compareARN}},
	{"ArnNotLike", operator{comparison: compareARN, negated: true}},
	{"Null", operator{comparison: compareNull}},
}

// What may stand around an operator's name.
const (
	anyPrefix      = "ForAnyValue:"
	allPrefix      = "ForAllValues:"
	ifExistsSuffix = "IfExists"
)

// findOperator returns the operator that policies write as name.
func findOperator(name string) (o operator, found bool) {
	rest, any := strings.CutPrefix(name, anyPrefix)
	rest, all := strings.CutPrefix(rest, allPrefix)
	rest, ifExists := strings.CutSuffix(rest, ifExistsSuffix)
	if any && all {
		return o, false
	}
	for i := range operatorRows {
		if operatorRows[i].name != rest {
			continue
		}
		o = operatorRows[i].operator
		o.ifExists = ifExists
		switch {
		case any:
			o.quantifier = forAnyValue
		case all:
			o.quantifier = forAllValues
		}
		return o, o.comparison != compareNull || !ifExists && !any && !all
	}
	return o, false
}

// condition is one key of a Condition block with the values it is compared with.
type condition struct {
	operator
	name   string // as written, for explanations
	key    Key
	form   keyForm
	shown  string // the key as written
	values []string

	patterns []pattern // of text
	arns     [][]pattern
	numbers  []float64
	times    []time.Time
	prefixes []netip.Prefix
	truths   [2]bool // false, true: which of them fit
}

// holds reports whether the condition is fulfilled. What a missing key means:
// AWS, "IAM JSON policy elements: Condition operators", "…IfExists" and "Negated
// matching condition operators"; "Multivalued context keys".
func (c *condition) holds(p *Policy, r *Request) bool {
	if c.form == networkForm {
		return c.holdsForNetworks(p, r)
	}
	fit, there := c.fitsValue(p, r)
	if c.comparison == compareNull {
		return c.truths[truth(!there)]
	}
	if !there {
		return c.missing()
	}
	return fit != c.negated
}

// missing is what the condition comes to when the request lacks the key.
func (c *condition) missing() bool {
	switch {
	case c.quantifier == forAllValues, c.ifExists:
		return true
	case c.quantifier == forAnyValue:
		return false
	}
	return c.negated
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

// holdsForNetworks is holds for a key whose values are the names of all networks
// that the client is in. Without a quantifier a negated operator wants that none
// of them fits, and any other that one does.
func (c *condition) holdsForNetworks(p *Policy, r *Request) bool {
	address, known := r.Facts.Address()
	values, fitting := 0, 0
	for i := range p.networks {
		n := &p.networks[i]
		if !known || !n.contains(address) {
			continue
		}
		for _, name := range n.Names {
			values++
			if c.comparison != compareNull && c.fitsText(name, r) != c.negated {
				fitting++
			}
		}
	}
	if c.comparison == compareNull {
		return c.truths[truth(values == 0)]
	}
	if values == 0 {
		return c.missing()
	}
	if c.quantifier == forAllValues || c.quantifier == plain && c.negated {
		return fitting == values
	}
	return fitting > 0
}

// fitsValue compares the key's value, and reports whether there is one.
func (c *condition) fitsValue(p *Policy, r *Request) (fit, there bool) {
	switch {
	case c.key.ID == Absent, c.key.ID == VPCSourceIP && !p.inside(r):
		return false, false
	case c.form == addressForm && c.comparison == compareAddress:
		a, there := r.Facts.Address()
		return there && c.fitsAddress(a), there
	case c.form == timeForm && c.comparison == compareTime:
		return c.fitsTime(r.Facts.Time()), true
	case c.form == timeForm && c.comparison == compareNumber && c.key.ID == EpochTime:
		return c.fitsNumber(float64(r.Facts.Time().Unix())), true
	}
	text, there := r.Facts.Value(c.key)
	return there && c.comparison != compareNull && c.fitsText(text, r), there
}

// fitsText compares a value that is a text. One that isn't what the operator
// compares fits nothing.
func (c *condition) fitsText(text string, r *Request) bool {
	switch c.comparison {
	case compareText, compareLike:
		for i := range c.patterns {
			if c.patterns[i].matches(text, r.Facts) {
				return true
			}
		}
	case compareFolded:
		for i := range c.patterns {
			if want, found := c.patterns[i].text(r.Facts); found && strings.EqualFold(want, text) {
				return true
			}
		}
	case compareARN:
		return c.fitsARN(text, r.Facts)
	case compareNumber:
		n, ok := parseNumber(text)
		return ok && c.fitsNumber(n)
	case compareTime:
		t, ok := parseTime(text)
		return ok && c.fitsTime(t)
	case compareTruth:
		b, ok := parseTruth(text)
		return ok && c.truths[truth(b)]
	case compareAddress:
		a, err := netip.ParseAddr(text)
		return err == nil && c.fitsAddress(a)
	}
	return false
}

func (c *condition) fitsAddress(a netip.Addr) bool {
	a = a.Unmap()
	for _, p := range c.prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func (c *condition) fitsTime(t time.Time) bool {
	for _, want := range c.times {
		if c.relation.fits(t.Compare(want)) {
			return true
		}
	}
	return false
}

func (c *condition) fitsNumber(n float64) bool {
	for _, want := range c.numbers {
		order := 0
		if n < want {
			order = -1
		} else if n > want {
			order = 1
		}
		if c.relation.fits(order) {
			return true
		}
	}
	return false
}

// fitsARN compares the six parts one by one.
func (c *condition) fitsARN(text string, f Facts) bool {
	for _, want := range c.arns {
		rest, fit := text, true
		for i := range want {
			part, more, found := rest, "", false
			if i < arnParts-1 {
				part, more, found = strings.Cut(rest, ":")
				fit = fit && found
			}
			if fit = fit && want[i].matches(part, f); !fit {
				break
			}
			rest = more
		}
		if fit {
			return true
		}
	}
	return false
}
