package spec

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"

	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	ctyyaml "github.com/zclconf/go-cty-yaml"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// mark distinguishes sensitive values.
type mark string

const sensitive mark = "sensitive"

// functions are what expressions can call. None reads a clock, a random source or
// anything outside of the configuration's folder: plans have no unknowns and
// repeat themselves.
func (l *loader) functions() map[string]function.Function {
	return map[string]function.Function{
		"abs": stdlib.AbsoluteFunc, "ceil": stdlib.CeilFunc, "floor": stdlib.FloorFunc, "log": stdlib.LogFunc,
		"max": stdlib.MaxFunc, "min": stdlib.MinFunc, "parseint": stdlib.ParseIntFunc, "pow": boundedPow,
		"signum": stdlib.SignumFunc, "sum": sumFunc,

		"chomp": stdlib.ChompFunc, "format": boundedFormat(stdlib.FormatFunc), "formatlist": boundedFormat(stdlib.FormatListFunc),
		"indent": boundedIndent, "join": boundedJoin, "lower": stdlib.LowerFunc,
		"regex": stdlib.RegexFunc, "regexall": stdlib.RegexAllFunc, "replace": replaceFunc, "split": stdlib.SplitFunc,
		"strlen": stdlib.StrlenFunc, "strrev": stdlib.ReverseFunc, "substr": stdlib.SubstrFunc, "title": stdlib.TitleFunc,
		"trim": stdlib.TrimFunc, "trimprefix": stdlib.TrimPrefixFunc, "trimspace": stdlib.TrimSpaceFunc,
		"trimsuffix": stdlib.TrimSuffixFunc, "upper": stdlib.UpperFunc,
		"startswith": textTest(strings.HasPrefix), "endswith": textTest(strings.HasSuffix), "strcontains": textTest(strings.Contains),

		"chunklist": stdlib.ChunklistFunc, "coalesce": stdlib.CoalesceFunc, "coalescelist": stdlib.CoalesceListFunc,
		"compact": stdlib.CompactFunc, "concat": stdlib.ConcatFunc, "contains": stdlib.ContainsFunc,
		"distinct": stdlib.DistinctFunc, "element": stdlib.ElementFunc, "flatten": stdlib.FlattenFunc,
		"index": indexFunc, "keys": stdlib.KeysFunc, "length": lengthFunc, "lookup": stdlib.LookupFunc,
		"merge": stdlib.MergeFunc, "one": oneFunc, "range": stdlib.RangeFunc, "reverse": stdlib.ReverseListFunc,
		"setintersection": stdlib.SetIntersectionFunc, "setproduct": boundedProduct, "setsubtract": stdlib.SetSubtractFunc,
		"setunion": stdlib.SetUnionFunc, "slice": stdlib.SliceFunc, "sort": stdlib.SortFunc, "values": stdlib.ValuesFunc,
		"zipmap": stdlib.ZipmapFunc, "alltrue": quantifier(true), "anytrue": quantifier(false),

		"tobool": stdlib.MakeToFunc(cty.Bool), "tonumber": stdlib.MakeToFunc(cty.Number), "tostring": stdlib.MakeToFunc(cty.String),
		"tolist": collection(cty.List, cty.ListVal), "toset": collection(cty.Set, cty.SetVal),
		"tomap": stdlib.MakeToFunc(cty.Map(cty.DynamicPseudoType)), "try": tryfunc.TryFunc, "can": tryfunc.CanFunc,

		"csvdecode": stdlib.CSVDecodeFunc, "jsondecode": jsonDecodeFunc, "jsonencode": stdlib.JSONEncodeFunc,
		"yamldecode": yamlDecodeFunc, "yamlencode": ctyyaml.YAMLEncodeFunc,
		"base64decode": base64DecodeFunc, "base64encode": digest(base64.StdEncoding.EncodeToString),
		"md5":    digest(func(b []byte) string { sum := md5.Sum(b); return hex.EncodeToString(sum[:]) }),
		"sha1":   digest(func(b []byte) string { sum := sha1.Sum(b); return hex.EncodeToString(sum[:]) }),
		"sha256": digest(func(b []byte) string { sum := sha256.Sum256(b); return hex.EncodeToString(sum[:]) }),

		"cidrhost": cidrHostFunc, "cidrnetmask": cidrNetmaskFunc, "cidrsubnet": cidrSubnetFunc,
		"file": l.files.function(), "templatefile": l.templateFile(),
		"sensitive": sensitiveFunc, "nonsensitive": nonsensitiveFunc,
	}
}

// collection converts to a list or set. The conversion of the library compares the types
// of all elements with each other, which grows with the square of their number; where they
// are all of one plain type, as names are, there is nothing to find out.
func collection(of func(cty.Type) cty.Type, value func([]cty.Value) cty.Value) function.Function {
	general := stdlib.MakeToFunc(of(cty.DynamicPseudoType))
	return function.New(&function.Spec{
		Params: general.Params(),
		Type: func(args []cty.Value) (cty.Type, error) {
			if element, ok := plainElements(args[0]); ok {
				return of(element), nil
			}
			return general.ReturnTypeForValues(args)
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if _, ok := plainElements(args[0]); ok {
				return value(args[0].AsValueSlice()), nil
			}
			return general.Call(args)
		},
	})
}

// plainElements returns the one primitive type of all elements of a tuple.
func plainElements(v cty.Value) (cty.Type, bool) {
	if !v.Type().IsTupleType() || v.IsNull() || !v.IsWhollyKnown() || v.ContainsMarked() || v.LengthInt() == 0 {
		return cty.NilType, false
	}
	types := v.Type().TupleElementTypes()
	for _, t := range types {
		if !t.IsPrimitiveType() || !t.Equals(types[0]) {
			return cty.NilType, false
		}
	}
	return types[0], true
}

// fixed makes a function of parameters that are known when it is called.
func fixed(result cty.Type, call func(args []cty.Value) (cty.Value, error), types ...cty.Type) function.Function {
	params := make([]function.Parameter, len(types))
	for i, t := range types {
		params[i] = function.Parameter{Name: fmt.Sprintf("value%d", i+1), Type: t}
	}
	return function.New(&function.Spec{
		Params: params,
		Type:   function.StaticReturnType(result),
		Impl:   func(args []cty.Value, _ cty.Type) (cty.Value, error) { return call(args) },
	})
}

func textTest(test func(s, part string) bool) function.Function {
	return fixed(cty.Bool, func(args []cty.Value) (cty.Value, error) {
		return cty.BoolVal(test(args[0].AsString(), args[1].AsString())), nil
	}, cty.String, cty.String)
}

func digest(of func([]byte) string) function.Function {
	return fixed(cty.String, func(args []cty.Value) (cty.Value, error) {
		return cty.StringVal(of([]byte(args[0].AsString()))), nil
	}, cty.String)
}

var base64DecodeFunc = fixed(cty.String, func(args []cty.Value) (cty.Value, error) {
	b, err := base64.StdEncoding.DecodeString(args[0].AsString())
	if err != nil {
		return cty.NilVal, fmt.Errorf("not base64: %w", err)
	}
	return cty.StringVal(string(b)), nil
}, cty.String)

var sumFunc = fixed(cty.Number, func(args []cty.Value) (cty.Value, error) {
	sum := cty.Zero
	for it := args[0].ElementIterator(); it.Next(); {
		_, v := it.Element()
		if v.IsNull() {
			return cty.NilVal, fmt.Errorf("cannot add null")
		}
		sum = sum.Add(v)
	}
	return sum, nil
}, cty.List(cty.Number))

// quantifier tells whether all, or any, of a list are true.
func quantifier(all bool) function.Function {
	return fixed(cty.Bool, func(args []cty.Value) (cty.Value, error) {
		for it := args[0].ElementIterator(); it.Next(); {
			if _, v := it.Element(); (!v.IsNull() && v.True()) != all {
				return cty.BoolVal(!all), nil
			}
		}
		return cty.BoolVal(all), nil
	}, cty.List(cty.Bool))
}

// oneFunc is the only element of a list, or null of an empty one.
var oneFunc = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "list", Type: cty.DynamicPseudoType}},
	Type: func(args []cty.Value) (cty.Type, error) {
		t := args[0].Type()
		switch {
		case t.IsListType() || t.IsSetType():
			return t.ElementType(), nil
		case t.IsTupleType() && t.Length() == 1:
			return t.TupleElementType(0), nil
		case t.IsTupleType() && t.Length() == 0, t == cty.DynamicPseudoType:
			return cty.DynamicPseudoType, nil
		case t.IsTupleType():
			return cty.NilType, fmt.Errorf("must have at most one element, not %d", t.Length())
		}
		return cty.NilType, fmt.Errorf("must be a list, set or tuple")
	},
	Impl: func(args []cty.Value, result cty.Type) (cty.Value, error) {
		switch n := args[0].LengthInt(); n {
		case 0:
			return cty.NullVal(result), nil
		case 1:
			it := args[0].ElementIterator()
			it.Next()
			_, v := it.Element()
			return v, nil
		default:
			return cty.NilVal, fmt.Errorf("must have at most one element, not %d", n)
		}
	},
})

// indexFunc finds the place of a value in a list.
var indexFunc = fixed(cty.Number, func(args []cty.Value) (cty.Value, error) {
	if t := args[0].Type(); !t.IsListType() && !t.IsTupleType() {
		return cty.NilVal, fmt.Errorf("must be a list, not %s", t.FriendlyName())
	}
	for it := args[0].ElementIterator(); it.Next(); {
		i, v := it.Element()
		if eq, err := stdlib.Equal(v, args[1]); err == nil && eq.IsKnown() && eq.True() {
			return i, nil
		}
	}
	return cty.NilVal, fmt.Errorf("the list does not contain the value")
}, cty.DynamicPseudoType, cty.DynamicPseudoType)

// lengthFunc counts the characters of a string and the elements of everything else.
var lengthFunc = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "value", Type: cty.DynamicPseudoType, AllowDynamicType: true}},
	Type:   function.StaticReturnType(cty.Number),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		switch t := args[0].Type(); {
		case t == cty.String:
			return stdlib.Strlen(args[0])
		case t.IsTupleType() || t.IsObjectType() || t.IsCollectionType():
			return cty.NumberIntVal(int64(args[0].LengthInt())), nil
		}
		return cty.NilVal, fmt.Errorf("must be a string, list, map or object")
	},
})

// replaceFunc replaces a part, or what matches a /pattern/.
var replaceFunc = fixed(cty.String, func(args []cty.Value) (cty.Value, error) {
	s, part, by := args[0].AsString(), args[1].AsString(), args[2].AsString()
	if len(by) > 1 && len(s)*len(by) > maxText {
		return cty.NilVal, fmt.Errorf("the result could have more than %d bytes", maxText)
	}
	if len(part) > 1 && strings.HasPrefix(part, "/") && strings.HasSuffix(part, "/") {
		return stdlib.RegexReplace(args[0], cty.StringVal(part[1:len(part)-1]), args[2])
	}
	return cty.StringVal(strings.ReplaceAll(s, part, by)), nil
}, cty.String, cty.String, cty.String)

var sensitiveFunc = function.New(&function.Spec{
	Params: []function.Parameter{{
		Name: "value", Type: cty.DynamicPseudoType,
		AllowUnknown: true, AllowNull: true, AllowMarked: true, AllowDynamicType: true,
	}},
	Type: func(args []cty.Value) (cty.Type, error) { return args[0].Type(), nil },
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return args[0].Mark(sensitive), nil },
})

var nonsensitiveFunc = function.New(&function.Spec{
	Params: sensitiveFunc.Params(),
	Type:   func(args []cty.Value) (cty.Type, error) { return args[0].Type(), nil },
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		v, _ := args[0].UnmarkDeep()
		return v, nil
	},
})

// maxText bounds what one call may make of its arguments, so that a small file
// cannot make a large value. In bytes, or elements.
const maxText = 4 << 20

var boundedJoin = function.New(&function.Spec{
	Params:   stdlib.JoinFunc.Params(),
	VarParam: stdlib.JoinFunc.VarParam(),
	Type: func(args []cty.Value) (cty.Type, error) {
		size := 0
		for _, list := range args[1:] {
			if size += sizeOf(list, maxText); size > maxText {
				return cty.NilType, fmt.Errorf("the result would have more than %d bytes", maxText)
			}
		}
		return stdlib.JoinFunc.ReturnTypeForValues(args)
	},
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return stdlib.JoinFunc.Call(args) },
})

var boundedPow = fixed(cty.Number, func(args []cty.Value) (cty.Value, error) {
	if args[1].AsBigFloat().Cmp(big.NewFloat(4096)) > 0 {
		return cty.NilVal, fmt.Errorf("the exponent must not exceed 4096")
	}
	return stdlib.Pow(args[0], args[1])
}, cty.Number, cty.Number)

var boundedIndent = fixed(cty.String, func(args []cty.Value) (cty.Value, error) {
	if args[0].AsBigFloat().Cmp(big.NewFloat(1000)) > 0 {
		return cty.NilVal, fmt.Errorf("must indent by at most 1000 spaces")
	}
	return stdlib.Indent(args[0], args[1])
}, cty.Number, cty.String)

var boundedProduct = function.New(&function.Spec{
	VarParam: &function.Parameter{Name: "sets", Type: cty.DynamicPseudoType, AllowUnknown: true},
	Type: func(args []cty.Value) (cty.Type, error) {
		const most = 100_000
		size := 1
		for _, a := range args {
			if t := a.Type(); a.IsKnown() && !a.IsNull() && (t.IsCollectionType() || t.IsTupleType()) {
				if size *= max(1, a.LengthInt()); size > most {
					return cty.NilType, fmt.Errorf("the product has more than %d elements", most)
				}
			}
		}
		return stdlib.SetProductFunc.ReturnTypeForValues(args)
	},
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return stdlib.SetProduct(args...) },
})

// boundedFormat refuses widths that make a small file a large value.
func boundedFormat(f function.Function) function.Function {
	check := func(args []cty.Value) error {
		format, _ := args[0].Unmark()
		if !format.IsKnown() || format.IsNull() {
			return nil
		}
		run := 0
		for _, c := range format.AsString() {
			if run++; c < '0' || c > '9' {
				run = 0
			}
			if run > 3 {
				return fmt.Errorf("a width has at most 3 digits")
			}
		}
		return nil
	}
	return function.New(&function.Spec{
		Params:   f.Params(),
		VarParam: f.VarParam(),
		Type: func(args []cty.Value) (cty.Type, error) {
			if err := check(args); err != nil {
				return cty.NilType, function.NewArgError(0, err)
			}
			return f.ReturnTypeForValues(args)
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return f.Call(args) },
	})
}

// boundedDecode refuses nesting that would overflow the stack of a decoder.
func boundedDecode(f function.Function, decode func(text string, result cty.Type) (cty.Value, error)) function.Function {
	return function.New(&function.Spec{
		Params: f.Params(),
		Type: func(args []cty.Value) (cty.Type, error) {
			if args[0].IsKnown() {
				text := args[0].AsString()
				if strings.Count(text, "[")+strings.Count(text, "{") > 0 && bracketDepth(text) > maxDepth {
					return cty.NilType, function.NewArgErrorf(0, "brackets stand inside each other more than %d levels deep", maxDepth)
				}
			}
			return f.ReturnTypeForValues(args)
		},
		Impl: func(args []cty.Value, result cty.Type) (cty.Value, error) {
			return decode(args[0].AsString(), result)
		},
	})
}

var (
	jsonDecodeFunc = boundedDecode(stdlib.JSONDecodeFunc, func(text string, result cty.Type) (cty.Value, error) {
		return ctyjson.Unmarshal([]byte(text), result)
	})
	yamlDecodeFunc = boundedDecode(ctyyaml.YAMLDecodeFunc, func(text string, result cty.Type) (cty.Value, error) {
		return ctyyaml.Standard.Unmarshal([]byte(text), result)
	})
)

// bracketDepth bounds how deep brackets nest, counting those in strings too.
func bracketDepth(s string) int {
	depth, deepest := 0, 0
	for _, c := range s {
		switch c {
		case '[', '{':
			depth++
			deepest = max(deepest, depth)
		case ']', '}':
			depth--
		}
	}
	return deepest
}
