package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// broken breaks a rule in each line that is marked with it, and in no other. It
// is parsed without the marks.
const broken = `
package broken

import (
	"embed"
	"errors"
	"sync"
	clock "time"
)

var files embed.FS
var ErrNone, errOther = errors.New("none"), build() /* undocumented */
var table = map[string]int{"a": 1}

var mu sync.Mutex                     /* can change */
var cache = make(map[string]int)      /* can change */
var started = clock.Now()             /* can change */
var pointer = &config{}               /* can change */
var count sync.Map = sync.Map{}       /* can change */
var empty int                         /* can change */

type Exported struct{}                /* undocumented */
type config struct{}

func (c *config) Hidden()  {}
func (e *Exported) Method() {}        /* undocumented */
func Function()            {}         /* undocumented */
const Constant = 1                    /* undocumented */

// Documented as a group.
const (
	One = 1
	Two = 2
)

func work(ch chan int, wg *sync.WaitGroup) {
	table["b"] = 2                    /* writes */
	delete(table, "a")                /* writes */
	_ = &files                        /* writes */
	for empty = range 3 {             /* writes */
	}
	empty++                           /* writes */
	started, x := clock.Now(), 1      // a local of the same name
	started = started.Add(1)
	x++
	go work(ch, wg)                   /* unowned */
	go func() { work(ch, wg) }()      /* unowned */
	go func() { ch <- 1 }()
	go func() { defer close(ch) }()
	clock.Sleep(1)                    /* sleeps */
}

func test(t *testing.T) {
	if testing.Short() && empty > 0 {
		t.Skip("long")
	}
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skipf("no strace")          /* skips */
	}
}
`

var mark = regexp.MustCompile(`/\*.*?\*/`)

// marked lists the lines of broken that are marked with a rule.
func marked(rule string) (lines []int) {
	for i, line := range strings.Split(broken, "\n") {
		if strings.Contains(line, "/* "+rule+" */") {
			lines = append(lines, i+1)
		}
	}
	return lines
}

// TestRulesCatch checks the checks.
func TestRulesCatch(t *testing.T) {
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, "broken.go", mark.ReplaceAllString(broken, ""), parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	f := &file{File: parsed, path: "broken.go"}
	found := map[string][]int{}
	note := func(rule string, n ast.Node) { found[rule] = append(found[rule], fset.Position(n.Pos()).Line) }
	vars := map[string]bool{}
	f.packageVars(func(spec *ast.ValueSpec, name *ast.Ident, value ast.Expr) {
		vars[name.Name] = true
		if !frozen(spec, name, value) {
			note("can change", name)
		}
	})
	for _, decl := range f.Decls {
		writes(decl, vars, func(n ast.Node, _ string) { note("writes", n) })
		for _, name := range undocumented(decl) {
			note("undocumented", name)
		}
	}
	inspect(f.File, func(stmt *ast.GoStmt) {
		if !announcesEnd(stmt) {
			note("unowned", stmt)
		}
	})
	for _, skip := range skips(f.File) {
		note("skips", skip)
	}
	note("sleeps", f.mentions("time", "Sleep"))
	for rule, lines := range found {
		slices.Sort(lines)
		if want := marked(rule); !slices.Equal(lines, want) {
			t.Errorf("%s: found in lines %v, want %v", rule, lines, want)
		}
	}
	if len(found) != 6 {
		t.Errorf("found %v, want something of each rule", found)
	}
	if loose.FindString("// TO"+"DO: later") == "" || loose.FindString("see ../sha"+"red/x") == "" || loose.FindString("to do") != "" {
		t.Error("loose does not find what it should")
	}
}
