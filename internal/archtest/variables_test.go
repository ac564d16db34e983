package archtest

import (
	"go/ast"
	"go/token"
	"strings"
	"testing"
)

// TestPackageVariables allows package variables that are constants in all but
// name: made once from an expression that gives something immutable or a
// table, and never written, by name or through a pointer.
func TestPackageVariables(t *testing.T) {
	src, exceptions := load(t), variables()
	vars := map[string]map[string]bool{} // package → names
	for _, f := range src.production() {
		f.packageVars(func(spec *ast.ValueSpec, name *ast.Ident, value ast.Expr) {
			if vars[f.pkg()] == nil {
				vars[f.pkg()] = map[string]bool{}
			}
			vars[f.pkg()][name.Name] = true
			full := f.pkg() + "." + name.Name
			if frozen(spec, name, value) {
				return
			}
			if exceptions[full] == "" {
				t.Errorf("%s: %s can change; put it in a struct that is passed along, or give a reason in variables in house_test.go", src.at(f, name), full)
			}
			delete(exceptions, full)
		})
	}
	for name := range exceptions {
		t.Errorf("house_test.go: %s needs no exception in variables any more; remove it", name)
	}
	for _, f := range src.files {
		for _, decl := range f.Decls {
			writes(decl, vars[f.pkg()], func(n ast.Node, name string) {
				t.Errorf("%s: this writes the package variable %s; make it a field of something that is passed along", src.at(f, n), name)
			})
		}
	}
}

// packageVars calls fn for every package variable but _.
func (f *file) packageVars(fn func(spec *ast.ValueSpec, name *ast.Ident, value ast.Expr)) {
	for _, decl := range f.Decls {
		d, ok := decl.(*ast.GenDecl)
		if !ok || d.Tok != token.VAR {
			continue
		}
		for _, spec := range d.Specs {
			s := spec.(*ast.ValueSpec)
			for i, name := range s.Names {
				var value ast.Expr
				if i < len(s.Values) {
					value = s.Values[i]
				}
				if name.Name != "_" {
					fn(s, name, value)
				}
			}
		}
	}
}

// frozen tells whether a variable holds something that only an assignment
// could change: an embedded file system, a table, an error, a parsed pattern.
func frozen(spec *ast.ValueSpec, name *ast.Ident, value ast.Expr) bool {
	if value != nil && strings.HasPrefix(strings.ToLower(name.Name), "err") {
		return true
	}
	switch v := value.(type) {
	case nil:
		return selector(spec.Type) == "embed.FS"
	case *ast.CompositeLit:
		return !strings.HasPrefix(selector(v.Type), "sync.") && !strings.HasPrefix(selector(v.Type), "atomic.")
	case *ast.BasicLit, *ast.BinaryExpr, *ast.FuncLit, *ast.SelectorExpr:
		return true
	case *ast.CallExpr:
		switch selector(v.Fun) {
		case "errors.New", "fmt.Errorf", "prometheus.NewDesc", "regexp.MustCompile", "strings.NewReplacer", "template.Must",
			"sync.OnceValue", "sync.OnceValues", "netip.MustParsePrefix", "unicode.Is":
			return true
		}
		_, conversion := v.Fun.(*ast.ArrayType) // such as []byte("...")
		return conversion
	}
	return false
}

// selector is "pkg.Name" for such an expression, and "" for any other.
func selector(expr ast.Expr) string {
	sel, ok := expr.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	x, ok := sel.X.(*ast.Ident)
	if !ok {
		return ""
	}
	return x.Name + "." + sel.Sel.Name
}

// writes calls fn for everything in a declaration that may change one of vars:
// an assignment, ++, taking its address, delete, clear and copy. A name that
// the declaration also gives to something of its own is taken for that.
func writes(decl ast.Decl, vars map[string]bool, fn func(n ast.Node, name string)) {
	own := locals(decl)
	check := func(n ast.Node, target ast.Expr) {
		if name := root(target); vars[name] && !own[name] {
			fn(n, name)
		}
	}
	inspect(decl, func(n *ast.AssignStmt) {
		for _, target := range n.Lhs {
			check(n, target)
		}
	})
	inspect(decl, func(n *ast.RangeStmt) { check(n, n.Key); check(n, n.Value) })
	inspect(decl, func(n *ast.IncDecStmt) { check(n, n.X) })
	inspect(decl, func(n *ast.UnaryExpr) {
		if n.Op == token.AND {
			check(n, n.X)
		}
	})
	inspect(decl, func(n *ast.CallExpr) {
		if name, ok := n.Fun.(*ast.Ident); ok && len(n.Args) > 0 {
			switch name.Name {
			case "delete", "clear", "copy":
				check(n, n.Args[0])
			}
		}
	})
}

// locals are the names of a function's parameters, results and variables.
func locals(decl ast.Decl) map[string]bool {
	names := map[string]bool{}
	if _, ok := decl.(*ast.FuncDecl); !ok {
		return names
	}
	add := func(expr ast.Expr) {
		if name, ok := expr.(*ast.Ident); ok {
			names[name.Name] = true
		}
	}
	inspect(decl, func(n *ast.Field) {
		for _, name := range n.Names {
			add(name)
		}
	})
	inspect(decl, func(n *ast.ValueSpec) {
		for _, name := range n.Names {
			add(name)
		}
	})
	inspect(decl, func(n *ast.RangeStmt) {
		if n.Tok == token.DEFINE {
			add(n.Key)
			add(n.Value)
		}
	})
	inspect(decl, func(n *ast.AssignStmt) {
		for _, target := range n.Lhs {
			if n.Tok == token.DEFINE {
				add(target)
			}
		}
	})
	return names
}

// root is the name an expression such as a.b[i].c begins with, "" for none.
func root(expr ast.Expr) string {
	switch e := expr.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.ParenExpr:
		return root(e.X)
	case *ast.SelectorExpr:
		return root(e.X)
	case *ast.IndexExpr:
		return root(e.X)
	case *ast.StarExpr:
		return root(e.X)
	case *ast.SliceExpr:
		return root(e.X)
	}
	return ""
}
