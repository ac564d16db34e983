package archtest

import (
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestPackageComments(t *testing.T) {
	src := load(t)
	comments := map[string]string{}
	for _, f := range src.production() {
		comments[f.pkg()] += f.Doc.Text()
	}
	for pkg, comment := range comments {
		if !strings.HasPrefix(comment, "Package "+path.Base(pkg)+" ") && !strings.HasPrefix(comment, "Command "+path.Base(pkg)+" ") {
			t.Errorf("%s: want a package comment that begins with \"Package %s\" and says what it is and what it may know", pkg, path.Base(pkg))
		}
	}
}

func TestExportedNamesAreDocumented(t *testing.T) {
	src := load(t)
	for _, f := range src.production() {
		for _, decl := range f.Decls {
			for _, name := range undocumented(decl) {
				t.Errorf("%s: %s has no comment; say what it is for, and what a caller must know", src.at(f, name), name.Name)
			}
		}
	}
}

// undocumented lists the exported names of a declaration that have no comment.
func undocumented(decl ast.Decl) (names []*ast.Ident) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && exportedReceiver(d) && d.Doc == nil {
			names = append(names, d.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			names = append(names, undocumentedSpec(d, spec)...)
		}
	}
	return names
}

func undocumentedSpec(d *ast.GenDecl, spec ast.Spec) (names []*ast.Ident) {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() && d.Doc == nil && s.Doc == nil {
			names = append(names, s.Name)
		}
	case *ast.ValueSpec:
		if d.Doc != nil || s.Doc != nil || s.Comment != nil {
			return nil
		}
		for _, name := range s.Names {
			if name.IsExported() {
				names = append(names, name)
			}
		}
	}
	return names
}

// exportedReceiver is true for a function, and for a method that can be seen.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	exported := false
	inspect(d.Recv.List[0].Type, func(name *ast.Ident) { exported = exported || name.IsExported() })
	return exported
}

// loose finds what should not be in a repository: notes to do something later,
// and paths that lead out of it.
var loose = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b|\.\./sha` + `red`)

func TestNoLooseEnds(t *testing.T) {
	src := load(t)
	kinds := []string{".go", ".md", ".sql", ".html", ".css", ".js", ".txt", ".txtar", ".help", ".sh", ".py", ".tmpl", ".yml"}
	names := []string{"Makefile", ".ci/run", "dev/setup"}
	err := src.walk(func(name string) error {
		if !slices.Contains(kinds, path.Ext(name)) && !slices.Contains(names, name) {
			return nil
		}
		text, err := src.read(name)
		if err != nil {
			return err
		}
		for i, line := range strings.Split(text, "\n") {
			if found := loose.FindString(line); found != "" {
				t.Errorf("%s:%d: %q; do it now, or file it where work is planned", name, i+1, found)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
