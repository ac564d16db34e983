package archtest

import (
	"go/ast"
	"slices"
	"testing"
)

func TestFunctionSize(t *testing.T) {
	src, exceptions := load(t), longFunctions()
	var sizes []int
	for _, f := range src.production() {
		f.functions(func(fn *ast.FuncDecl) {
			n := src.lines(fn)
			sizes = append(sizes, n)
			name := f.pkg() + "." + fn.Name.Name
			if n > functionMax && exceptions[name] == "" {
				t.Errorf("%s: %s has %d lines, more than %d; split it, or give a reason in longFunctions", src.at(f, fn), name, n, functionMax)
			}
			if n > functionMax {
				delete(exceptions, name)
			}
		})
	}
	for name := range exceptions {
		t.Errorf("house_test.go: %s needs no exception in longFunctions any more; remove it", name)
	}
	slices.Sort(sizes)
	median, p90 := sizes[len(sizes)/2], sizes[len(sizes)*9/10]
	t.Logf("%d functions: median %d lines, p90 %d, longest %d", len(sizes), median, p90, sizes[len(sizes)-1])
	if median > functionMedian || p90 > functionP90 {
		t.Errorf("functions have become long: median %d lines (at most %d), p90 %d (at most %d); split the longest", median, functionMedian, p90, functionP90)
	}
}

func TestFileSize(t *testing.T) {
	src := load(t)
	for _, f := range src.files {
		if n := src.fset.File(f.Pos()).LineCount(); n > fileMax {
			t.Errorf("%s has %d lines, more than %d; split it by topic", f.path, n, fileMax)
		}
	}
}
