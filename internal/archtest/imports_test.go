package archtest

import (
	"slices"
	"strings"
	"testing"
)

// TestHouse checks that the table itself is sound: imports point down, and
// every package has its place.
func TestHouse(t *testing.T) {
	var names []string
	for _, r := range house() {
		names = append(names, r.path)
	}
	for i, r := range house() {
		for _, imported := range r.imports {
			if imported != everything && slices.Index(names, imported) <= i {
				t.Errorf("house_test.go: %s may import %s, which is not further down: imports point down only", r.path, imported)
			}
		}
	}
	for _, pkg := range load(t).packages() {
		if !slices.Contains(names, pkg) {
			t.Errorf("%s: a new package; give it its place in the table in house_test.go, with what it may import", pkg)
		}
	}
}

func TestImports(t *testing.T) {
	allowed := map[string][]string{}
	for _, r := range house() {
		allowed[r.path] = r.imports
	}
	src := load(t)
	for _, f := range src.production() {
		for _, spec := range f.Imports {
			imported, ours := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), module+"/")
			may := allowed[f.pkg()]
			if ours && !slices.Contains(may, imported) && !slices.Contains(may, everything) {
				t.Errorf("%s: %s may not import %s; declare the interface it needs instead, or change the table in house_test.go on purpose",
					src.at(f, spec), f.pkg(), imported)
			}
		}
	}
	for _, f := range src.files {
		if f.importName(module+"/internal/app") != "" && f.pkg() != "cmd/bellhop" && f.pkg() != "internal/app" {
			t.Errorf("%s: only cmd/bellhop may know app", f.path)
		}
	}
}

// TestModules checks that each technology stays in its room.
func TestModules(t *testing.T) {
	src := load(t)
	for _, f := range src.production() {
		for _, spec := range f.Imports {
			imported := strings.Trim(spec.Path.Value, `"`)
			host, _, _ := strings.Cut(imported, "/")
			if !strings.Contains(host, ".") {
				continue // the standard library, or ours
			}
			rooms, known := home(imported)
			switch {
			case !known:
				t.Errorf("%s: %s is new here; is it alive, and worth it? Then give it a home in house_test.go", src.at(f, spec), imported)
			case rooms != nil && !slices.Contains(rooms, f.pkg()) && f.pkg() != "internal/app":
				t.Errorf("%s: %s belongs in %s; use what that offers", src.at(f, spec), imported, strings.Join(rooms, ", "))
			}
		}
	}
}

func home(imported string) (rooms []string, known bool) {
	for prefix, rooms := range homes() {
		if imported == prefix || strings.HasPrefix(imported, prefix+"/") {
			return rooms, true
		}
	}
	return nil, false
}

// TestDriversCallTheirSuite keeps a driver from promising what nobody checks.
func TestDriversCallTheirSuite(t *testing.T) {
	src := load(t)
	for _, s := range suites() {
		drivers := map[string]bool{}
		for _, f := range src.files {
			if strings.HasPrefix(f.pkg(), s.folder) && f.pkg() != s.path {
				drivers[f.pkg()] = drivers[f.pkg()] || f.test && f.importName(module+"/"+s.path) != ""
			}
		}
		if len(drivers) == 0 {
			t.Errorf("%s holds no driver: is the table in house_test.go right?", s.folder)
		}
		for driver, called := range drivers {
			if !called {
				t.Errorf("%s: no test of it calls %s; every driver passes the suite of its contract", driver, s.path)
			}
		}
	}
}
