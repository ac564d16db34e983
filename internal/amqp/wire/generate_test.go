package wire

import (
	"math"

	"pgregory.net/rapid"
)

// anyValue draws a value of any type, nested a few levels at most.
func anyValue(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		if depth > 0 && rapid.IntRange(0, 3).Draw(t, "compound") == 0 {
			return anyCompound(t, depth-1)
		}
		kinds := scalars()
		return kinds[rapid.IntRange(0, len(kinds)-1).Draw(t, "kind")](t)
	})
}

// scalars draw one value each; every one is of one type.
func scalars() []func(*rapid.T) any {
	return []func(*rapid.T) any{
		func(t *rapid.T) any { return nil },
		func(t *rapid.T) any { return rapid.Bool().Draw(t, "boolean") },
		func(t *rapid.T) any { return rapid.Uint8().Draw(t, "ubyte") },
		func(t *rapid.T) any { return rapid.Uint16().Draw(t, "ushort") },
		func(t *rapid.T) any { return rapid.Uint32().Draw(t, "uint") },
		func(t *rapid.T) any { return rapid.Uint64().Draw(t, "ulong") },
		func(t *rapid.T) any { return rapid.Int8().Draw(t, "byte") },
		func(t *rapid.T) any { return rapid.Int16().Draw(t, "short") },
		func(t *rapid.T) any { return rapid.Int32().Draw(t, "int") },
		func(t *rapid.T) any { return rapid.Int64().Draw(t, "long") },
		func(t *rapid.T) any { return rapid.Float32().Draw(t, "float") },
		func(t *rapid.T) any { return rapid.Float64().Draw(t, "double") },
		func(t *rapid.T) any { return Decimal32(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "decimal32")) },
		func(t *rapid.T) any { return Decimal64(rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "decimal64")) },
		func(t *rapid.T) any { return Decimal128(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "decimal128")) },
		func(t *rapid.T) any { return Char(rapid.Rune().Draw(t, "char")) },
		func(t *rapid.T) any { return Timestamp(rapid.Int64().Draw(t, "timestamp")) },
		func(t *rapid.T) any { return UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "uuid")) },
		func(t *rapid.T) any { return rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "binary") },
		func(t *rapid.T) any { return rapid.StringN(0, 300, -1).Draw(t, "string") },
		func(t *rapid.T) any { return Symbol(rapid.StringMatching(`[ -~]{0,300}`).Draw(t, "symbol")) },
	}
}

func anyCompound(t *rapid.T, depth int) any {
	switch rapid.IntRange(0, 3).Draw(t, "shape") {
	case 0:
		return List(append([]any{}, rapid.SliceOfN(anyValue(depth), 0, 5).Draw(t, "list")...))
	case 1:
		return anyMap(t, depth)
	case 2:
		return Described{anyValue(depth).Draw(t, "descriptor"), anyValue(depth).Draw(t, "described")}
	}
	return anyArray(t, depth)
}

func anyMap(t *rapid.T, depth int) Map {
	m := Map{}
	for range rapid.IntRange(0, 12).Draw(t, "entries") {
		pair := Pair{anyValue(depth).Draw(t, "key"), anyValue(depth).Draw(t, "value")}
		if repeated(append(m, pair)) < 0 {
			m = append(m, pair)
		}
	}
	return m
}

func anyArray(t *rapid.T, depth int) Array {
	draw := scalars()[rapid.IntRange(0, len(scalars())-1).Draw(t, "items")]
	if depth > 0 {
		switch rapid.IntRange(0, 5).Draw(t, "compound items") {
		case 0:
			draw = func(t *rapid.T) any { return anyMap(t, depth-1) }
		case 1:
			draw = func(t *rapid.T) any { return anyArray(t, depth-1) }
		case 2:
			draw = func(t *rapid.T) any { return List{anyValue(depth-1).Draw(t, "in list")} }
		}
	}
	a := Array{Items: []any{}}
	a.Elem, _ = typeOfValue(draw(t))
	for range rapid.IntRange(0, 5).Draw(t, "length") {
		a.Items = append(a.Items, draw(t))
	}
	for range rapid.IntRange(0, math.MaxUint8).Draw(t, "descriptors") / 200 {
		a.Descriptors = append(a.Descriptors, anyValue(0).Draw(t, "descriptor"))
	}
	return a
}
