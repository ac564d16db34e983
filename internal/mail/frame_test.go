package mail

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A frame gives what the template gives, also for one that does odd things
// with its link, and for other facts after the first ones.
func TestFramesChangeNothing(t *testing.T) {
	odd := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(odd, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("confirm.txt", "{{.Link}} is {{len .Link}} long, valid {{.ValidFor}}, {{.Link}}")
	write("confirm.html", `<a href="{{.Link}}" title="{{.Link}}">{{.ValidFor}}</a><!-- {{.Link}} --><p>{{.Link}}</p>`)
	for _, dir := range []string{"", odd} {
		templates, err := LoadTemplates(dir)
		if err != nil {
			t.Fatal(err)
		}
		confirm := templates.byVariant[VariantConfirm]
		for _, facts := range []Facts{
			{Link: "https://example.com/confirm/AbC-_9", ValidFor: "72 hours", Sender: "A & B", Site: "example.com"},
			{Link: "https://example.com/confirm/another.one", ValidFor: "72 hours", Sender: "A & B", Site: "example.com"},
			{Link: "https://example.com/confirm/x", ValidFor: "3 days", Sender: "<B>", Site: "example.com"},
			{Link: "https://example.com/?a=1&b=\"2\"", ValidFor: "3 days", Sender: "<B>", Site: "example.com"},
		} {
			for _, ending := range endings {
				var want, got strings.Builder
				if err := confirm.execute(&want, ending, facts); err != nil {
					t.Fatal(err)
				}
				if err := confirm.write(&got, ending, facts); err != nil {
					t.Fatal(err)
				}
				if got.String() != want.String() {
					t.Errorf("%s of %q with %+v:\n got %q\nwant %q", ending, dir, facts, got.String(), want.String())
				}
			}
		}
	}
}
