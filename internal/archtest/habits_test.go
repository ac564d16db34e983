package archtest

import (
	"go/ast"
	"slices"
	"testing"
)

func TestNoInit(t *testing.T) {
	src := load(t)
	for _, f := range src.files {
		f.functions(func(fn *ast.FuncDecl) {
			if fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: init runs behind everybody's back; make it a function that is called", src.at(f, fn))
			}
		})
	}
}

func TestNoSleep(t *testing.T) {
	src := load(t)
	for _, f := range src.files {
		if sleep := f.mentions("time", "Sleep"); sleep != nil {
			t.Errorf("%s: time.Sleep; in a test wait for a signal or use testing/synctest, elsewhere select on a timer and a context", src.at(f, sleep))
		}
	}
}

// TestNoSilentSkip allows a test to be skipped only by -short, or by a suite
// whose driver declares what it cannot do: whoever runs all tests runs all.
func TestNoSilentSkip(t *testing.T) {
	src := load(t)
	for _, f := range src.files {
		if slices.ContainsFunc(suites(), func(s suite) bool { return s.path == f.pkg() }) {
			continue
		}
		for _, skip := range skips(f.File) {
			t.Errorf("%s: skips for another reason than testing.Short; what a test needs belongs in dev/setup", src.at(f, skip))
		}
	}
}

// skips lists the calls of t.Skip and the like that do not stand in a block
// "if testing.Short()".
func skips(root ast.Node) (found []*ast.CallExpr) {
	ast.Inspect(root, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.IfStmt:
			return !mentionsShort(n.Cond)
		case *ast.CallExpr:
			sel, ok := n.Fun.(*ast.SelectorExpr)
			if ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) {
				found = append(found, n)
			}
		}
		return true
	})
	return found
}

func mentionsShort(cond ast.Expr) (found bool) {
	inspect(cond, func(sel *ast.SelectorExpr) { found = found || selector(sel) == "testing.Short" })
	return found
}

// TestGoroutinesHaveOwners is a coarse check: a goroutine says when it ends, by
// closing a channel or sending on one, so that somebody can wait for it.
// WaitGroup.Go does the same and is not a go statement.
func TestGoroutinesHaveOwners(t *testing.T) {
	src, exceptions := load(t), goroutines()
	needed := map[string]bool{}
	for _, f := range src.production() {
		inspect(f.File, func(stmt *ast.GoStmt) {
			if announcesEnd(stmt) {
				return
			}
			needed[f.pkg()] = true
			if exceptions[f.pkg()] == "" {
				t.Errorf("%s: who waits for this goroutine? Start it with WaitGroup.Go, let it close a channel, or name its owner in goroutines in house_test.go", src.at(f, stmt))
			}
		})
	}
	for pkg := range exceptions {
		if !needed[pkg] {
			t.Errorf("house_test.go: %s needs no exception in goroutines any more; remove it", pkg)
		}
	}
}

func announcesEnd(stmt *ast.GoStmt) (announces bool) {
	body, ok := stmt.Call.Fun.(*ast.FuncLit)
	if !ok {
		return false
	}
	inspect(body, func(*ast.SendStmt) { announces = true })
	inspect(body, func(call *ast.CallExpr) {
		fn, ok := call.Fun.(*ast.Ident)
		announces = announces || ok && fn.Name == "close"
	})
	return announces
}
