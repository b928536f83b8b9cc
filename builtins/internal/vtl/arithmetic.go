package vtl

import (
	"math/big"

	"github.com/postern-gateway/postern/proxy/expr"
)

// calculate is + - * / %. Null comes of what can't be calculated.
func (n *binary) calculate(r *run) (expr.Value, error) {
	left, err := n.left.value(r)
	if err != nil {
		return left, err
	}
	right, err := n.right.value(r)
	if err != nil {
		return right, err
	}
	if n.op == tokPlus && (left.Kind() == expr.StringKind || right.Kind() == expr.StringKind) {
		v, err := n.concatenate(r, left, right)
		return v, r.at(n.at, err)
	}
	if !left.IsNumber() || !right.IsNumber() {
		return expr.Value{}, nil
	}
	if left.IsInteger() && right.IsInteger() {
		return integers(n.op, left, right), nil
	}
	v, err := n.others(r, left, right)
	return v, r.at(n.at, err)
}

func (n *binary) concatenate(r *run, left, right expr.Value) (expr.Value, error) {
	a, b := n.leftSource, n.rightSource
	var err error
	if !left.IsNull() {
		if a, err = r.text(left); err != nil {
			return left, err
		}
	}
	if !right.IsNull() {
		if b, err = r.text(right); err != nil {
			return right, err
		}
	}
	if len(a)+len(b) > r.limits.Output {
		return left, r.tooLarge()
	}
	if err := r.spend((len(a) + len(b)) >> 8); err != nil {
		return left, err
	}
	return expr.String(expr.Join(a + b)), nil
}

// integers calculates with bytes to longs: in the wider of the types, in a wider
// one if the result needs it.
func integers(op tokenKind, left, right expr.Value) expr.Value {
	a, b := left.Long(), right.Long()
	wide := left.Kind() == expr.LongKind || right.Kind() == expr.LongKind
	fit := func(n int64) expr.Value {
		if wide {
			return expr.Long(n)
		}
		return expr.Fit(n)
	}
	switch op {
	case tokPlus:
		if sum := a + b; (sum^a)&(sum^b) >= 0 {
			return fit(sum)
		}
		return expr.BigInt(new(big.Int).Add(big.NewInt(a), big.NewInt(b)))
	case tokMinus:
		if difference := a - b; (a^b)&(a^difference) >= 0 {
			return fit(difference)
		}
		return expr.BigInt(new(big.Int).Sub(big.NewInt(a), big.NewInt(b)))
	case tokTimes:
		product := new(big.Int).Mul(big.NewInt(a), big.NewInt(b))
		if product.IsInt64() {
			return fit(product.Int64())
		}
		return expr.BigInt(product)
	}
	switch {
	case b == 0:
		return expr.Value{}
	case b == -1 && op == tokDivide:
		return fit(-a) // the smallest long stays itself, as in Java
	case b == -1:
		return fit(0)
	case op == tokDivide:
		return fit(a / b)
	}
	return fit(a % b)
}

// others calculates where a number isn't a simple integer.
func (n *binary) others(r *run, left, right expr.Value) (expr.Value, error) {
	a, b := left.Big(), right.Big()
	switch {
	case a != nil && b != nil:
		return n.bigs(r, a, b)
	case left.Kind() >= expr.BigIntKind || right.Kind() >= expr.BigIntKind:
		return n.decimals(r, left, right)
	}
	f := floats(n.op, left.Double(), right.Double())
	if f.Kind() == expr.DoubleKind && left.Kind() != expr.DoubleKind && right.Kind() != expr.DoubleKind {
		return expr.Float(float32(f.Double())), nil
	}
	return f, nil
}

func floats(op tokenKind, a, b float64) expr.Value {
	switch op {
	case tokPlus:
		return expr.Double(a + b)
	case tokMinus:
		return expr.Double(a - b)
	case tokTimes:
		return expr.Double(a * b)
	}
	if b == 0 {
		return expr.Value{}
	}
	if op == tokDivide {
		return expr.Double(a / b)
	}
	return expr.Double(remainder(a, b))
}

// maxBits bounds a big integer.
const maxBits = 1 << 16

func (n *binary) bigs(r *run, a, b *big.Int) (expr.Value, error) {
	result := new(big.Int)
	switch n.op {
	case tokPlus:
		result.Add(a, b)
	case tokMinus:
		result.Sub(a, b)
	case tokTimes:
		if a.BitLen()+b.BitLen() > maxBits {
			return expr.Value{}, r.limit("a number with too many digits", "")
		}
		result.Mul(a, b)
	default:
		switch {
		case b.Sign() == 0:
			return expr.Value{}, nil
		case n.op == tokDivide:
			result.Quo(a, b)
		case b.Sign() < 0:
			return expr.Value{}, r.fail(n.at, "%% of a large number by a negative one")
		default:
			result.Mod(a, b)
		}
	}
	return expr.BigInt(result), nil
}

func (n *binary) decimals(r *run, left, right expr.Value) (expr.Value, error) {
	a, b := left.Decimal(), right.Decimal()
	if a == nil || b == nil {
		return expr.Value{}, r.fail(n.at, "an infinite number or NaN with a large one")
	}
	var result *expr.Decimal
	ok := false
	switch n.op {
	case tokPlus:
		result, ok = a.Add(b)
	case tokMinus:
		result, ok = a.Sub(b)
	case tokTimes:
		result, ok = a.Mul(b)
	case tokDivide:
		if b.Sign() == 0 {
			return expr.Value{}, nil
		}
		result, ok = a.Quo(b)
	default:
		if b.Sign() == 0 {
			return expr.Value{}, nil
		}
		return expr.Value{}, r.fail(n.at, "%% of large decimal numbers")
	}
	if !ok {
		return expr.Value{}, r.limit("a number with too many digits", "")
	}
	return expr.OfDecimal(result), nil
}
