package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// module is the import path of the repository's root.
const module = "bellhop"

// file is one parsed Go file.
type file struct {
	*ast.File
	path string // from the root, with slashes
	test bool
}

// source is all of our Go code.
type source struct {
	fset  *token.FileSet
	files []*file
	root  string
}

// load parses the repository once for all tests.
func load(t *testing.T) *source {
	t.Helper()
	src, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	return src
}

var parsed = sync.OnceValues(func() (*source, error) {
	root, err := filepath.Abs("../..")
	if err != nil {
		return nil, err
	}
	src := &source{fset: token.NewFileSet(), root: root}
	err = src.walk(func(name string) error {
		if path.Ext(name) != ".go" {
			return nil
		}
		parsed, err := parser.ParseFile(src.fset, filepath.Join(root, name), nil, parser.ParseComments)
		if err != nil {
			return err
		}
		src.files = append(src.files, &file{File: parsed, path: name, test: strings.HasSuffix(name, "_test.go")})
		return nil
	})
	if err == nil && len(src.files) < 50 {
		err = fmt.Errorf("only %d Go files under %s: is that the repository?", len(src.files), root)
	}
	return src, err
})

// walk calls fn for every file that is ours, by its path from the root.
func (s *source) walk(fn func(name string) error) error {
	return filepath.WalkDir(s.root, func(full string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(s.root, full)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if entry.IsDir() {
			if slices.Contains([]string{".git", "bin", "bellhop-data", "bellhop-bus-data", "tests/js/node_modules"}, name) {
				return filepath.SkipDir
			}
			return nil
		}
		return fn(name)
	})
}

// read returns a file's text.
func (s *source) read(name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(s.root, name))
	return string(text), err
}

// pkg is the package a file belongs to, as a path from the root.
func (f *file) pkg() string { return path.Dir(f.path) }

// production lists the files that are no tests.
func (s *source) production() []*file {
	return slices.DeleteFunc(slices.Clone(s.files), func(f *file) bool { return f.test })
}

// packages lists every package, sorted.
func (s *source) packages() []string {
	var all []string
	for _, f := range s.files {
		all = append(all, f.pkg())
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// at is a node's place, as path:line.
func (s *source) at(f *file, node ast.Node) string {
	return fmt.Sprintf("%s:%d", f.path, s.line(node.Pos()))
}

func (s *source) line(pos token.Pos) int { return s.fset.Position(pos).Line }

// lines is how many lines a node takes.
func (s *source) lines(node ast.Node) int { return s.line(node.End()) - s.line(node.Pos()) + 1 }

// functions calls fn for every function and method with a body.
func (f *file) functions(fn func(*ast.FuncDecl)) {
	for _, decl := range f.Decls {
		if d, ok := decl.(*ast.FuncDecl); ok && d.Body != nil {
			fn(d)
		}
	}
}

// inspect calls fn for every node of type T.
func inspect[T ast.Node](root ast.Node, fn func(T)) {
	ast.Inspect(root, func(n ast.Node) bool {
		if node, ok := n.(T); ok {
			fn(node)
		}
		return true
	})
}

// importName is the name by which the file knows an import, "" if it does not
// import it.
func (f *file) importName(importPath string) string {
	for _, spec := range f.Imports {
		if strings.Trim(spec.Path.Value, `"`) != importPath {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path.Base(importPath)
	}
	return ""
}

// mentions tells whether the file uses pkg.name of an import.
func (f *file) mentions(importPath, name string) (found ast.Node) {
	local := f.importName(importPath)
	inspect(f.File, func(sel *ast.SelectorExpr) {
		if x, ok := sel.X.(*ast.Ident); ok && local != "" && x.Name == local && sel.Sel.Name == name {
			found = sel
		}
	})
	return found
}
