package web

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func catalogueOf(t *testing.T) *catalogue {
	t.Helper()
	c, err := loadCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var (
	pluralForm  = regexp.MustCompile(`\.(zero|one|two|few|many|other)$`)
	placeholder = regexp.MustCompile(`\{[^}]*\}`)
)

// Every language says everything that English says, with the same values, and
// nothing else.
func TestEveryLanguageSaysEverything(t *testing.T) {
	c := catalogueOf(t)
	if c.english().name() != "en" || len(c.languages) < 2 {
		t.Fatalf("%d languages, the first is %s", len(c.languages), c.english().name())
	}
	want := stems(c.english())
	for _, language := range c.languages {
		got := stems(language)
		for key := range got {
			if _, ok := want[key]; !ok {
				t.Errorf("%s: %s is not in English", language.name(), key)
			}
		}
		for key, values := range want {
			if got[key] != values {
				t.Errorf("%s: %s has the values %q, want %q", language.name(), key, got[key], values)
			}
		}
		for key, text := range language.texts {
			if strings.TrimSpace(text) != text || text == "" || strings.ContainsAny(text, "<>") {
				t.Errorf("%s: %s is %q: want words, and no tags", language.name(), key, text)
			}
			if stem := pluralForm.ReplaceAllString(key, ""); stem != key {
				for n := range 1000 {
					if form := language.form(n); !language.has(stem + "." + form) {
						t.Fatalf("%s: %s.%s is missing, for %d", language.name(), stem, form, n)
					}
				}
			}
		}
	}
}

// stems are the keys without plural forms, each with the values its text has.
func stems(t *texts) map[string]string {
	all := map[string]string{}
	for key, text := range t.texts {
		values := placeholder.FindAllString(text, -1)
		slices.Sort(values)
		all[pluralForm.ReplaceAllString(key, "")] = strings.Join(slices.Compact(values), "")
	}
	return all
}

var pageKey = regexp.MustCompile(`\b(?:t|count|link "[^"]*") "([^"]+)"`)

// Every text is used, and what is used is there.
func TestEveryTextIsUsed(t *testing.T) {
	known := stems(catalogueOf(t).english())
	used := map[string]bool{}
	for name, source := range sources(t, "pages", ".html") {
		for _, found := range pageKey.FindAllStringSubmatch(source, -1) {
			used[found[1]] = true
			if _, ok := known[found[1]]; !ok {
				t.Errorf("%s: %s is not in the catalogue", name, found[1])
			}
		}
	}
	for _, literal := range literals(t) {
		used[literal] = true
		used["problem."+strings.ReplaceAll(literal, "_", "-")] = true // see refusal
		if _, ok := known[literal]; strings.HasPrefix(literal, "problem.") && literal != "problem." && !ok {
			t.Errorf("%s is not in the catalogue", literal)
		}
	}
	made := regexp.MustCompile(`^title\.[45]\d\d$|^field\.`) // by problemPage; TestFieldErrorsAreTranslated
	for _, key := range slices.Sorted(maps.Keys(known)) {
		if !used[key] && !made.MatchString(key) {
			t.Errorf("nothing says %s", key)
		}
	}
}

func sources(t *testing.T, folder, ext string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(folder + "/*" + ext)
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files in %s, %v", len(files), folder, err)
	}
	all := map[string]string{}
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(source)
	}
	return all
}

// literals are all strings in this package's code.
func literals(t *testing.T) (all []string) {
	t.Helper()
	for name, source := range sources(t, ".", ".go") {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, source, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if text, err := strconv.Unquote(lit.Value); err == nil {
					all = append(all, text)
				}
			}
			return true
		})
	}
	return all
}

// Pages have no words of their own: not between the tags, and not in what is
// read out or shown of them.
func TestPagesHaveNoWordsOfTheirOwn(t *testing.T) {
	width := regexp.MustCompile(`\{\{(?:define|block) "width".*?\{\{end\}\}`) // classes
	action := regexp.MustCompile(`(?s)\{\{.*?\}\}`)
	spoken := regexp.MustCompile(`\s(?:aria-label|title|alt|placeholder)="([^"]*)"`)
	tag := regexp.MustCompile(`(?s)<[^>]*>`)
	word := regexp.MustCompile(`\pL+`)
	for name, source := range sources(t, "pages", ".html") {
		bare := action.ReplaceAllString(width.ReplaceAllString(source, ""), "")
		for _, attribute := range spoken.FindAllStringSubmatch(bare, -1) {
			if found := word.FindString(attribute[1]); found != "" {
				t.Errorf("%s: %s has words of its own", name, attribute[0])
			}
		}
		for _, found := range word.FindAllString(tag.ReplaceAllString(bare, " "), -1) {
			if found != "Bellhop" {
				t.Errorf("%s: %q is not from the catalogue", name, found)
			}
		}
	}
}

// Every status that a problem can have has a title, in words.
func TestProblemsHaveTitles(t *testing.T) {
	c := catalogueOf(t)
	for status := 400; status < 600; status++ {
		key := "title." + strconv.Itoa(status)
		if c.english().has(key) && http.StatusText(status) == "" {
			t.Errorf("%s is no status", key)
		}
	}
	status := regexp.MustCompile(`(?:refusal\(|status: )http\.(Status[A-Za-z]+)`)
	names := map[string]int{}
	for code := 400; code < 600; code++ {
		if text := http.StatusText(code); text != "" {
			names["Status"+strings.NewReplacer(" ", "", "-", "", "'", "").Replace(text)] = code
		}
	}
	seen := 0
	for name, source := range sources(t, ".", ".go") {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, found := range status.FindAllStringSubmatch(source, -1) {
			code, ok := names[found[1]]
			if !ok {
				t.Fatalf("%s: what is %s?", name, found[1])
			}
			seen++
			if !c.english().has("title." + strconv.Itoa(code)) {
				t.Errorf("%s: %d has no title", name, code)
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d problems found", seen)
	}
}

func TestCatalogueFillsIn(t *testing.T) {
	c := &texts{tag: catalogueOf(t).english().tag, texts: map[string]string{
		"plain": "a < b", "value": "Hello, {name}. {other} {name}", "n.one": "{n} mail", "n.other": "{n} mails",
	}}
	for _, tt := range []struct{ got, want string }{
		{c.say("plain"), "a < b"},
		{string(c.html("plain")), "a &lt; b"},
		{c.say("value", "name", "<b>", "other", 3), "Hello, <b>. 3 <b>"},
		{string(c.html("value", "name", "<b>{other}", "other", c.html("plain"))), "Hello, &lt;b&gt;{other}. a &lt; b &lt;b&gt;{other}"},
		{string(c.count("n", 1)), "1 mail"},
		{string(c.count("n", 0)), "0 mails"},
		{string(c.count("n", 12)), "12 mails"},
		{c.say("nothing"), ""},
		{c.sayMessage(message{key: "n.one", values: []any{"n", 3}}), "3 mail"},
		{c.sayMessage(message{key: "plain", sentence: "In English."}), "a < b"},
		{c.sayMessage(message{key: "nothing", sentence: "In English."}), "In English."},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func TestChooseLanguage(t *testing.T) {
	c := catalogueOf(t)
	for _, tt := range []struct {
		accept, want string
		asked        bool
	}{
		{"", "en", false},
		{"en", "en", true},
		{"en-GB,en;q=0.9", "en", true},
		{"de", "de", true},
		{"de-AT,de;q=0.9,en;q=0.5", "de", true},
		{"fr,de;q=0.8,en;q=0.5", "de", true},
		{"de;q=0.3, en;q=0.8", "en", true},
		{"de;q=0,en", "en", true},
		{"fr", "en", false},
		{"xx-yy-zz", "en", false},
		{"; ; ,,", "en", false},
		{strings.Repeat("de,", 300), "en", false},
	} {
		got, asked := c.choose(tt.accept)
		if got.name() != tt.want || asked != tt.asked {
			t.Errorf("%.30q: %s, %t; want %s, %t", tt.accept, got.name(), asked, tt.want, tt.asked)
		}
	}
}
