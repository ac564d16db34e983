package browsertest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/getkin/kin-openapi/openapi3"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// many is how often one link is asked for.
const many = 1000

// TestScanners sends robots after every link of every mail, as mail scanners
// do, some of them with scripts: nothing changes (B2.2, B2.7), and afterwards
// each button works, once.
func TestScanners(t *testing.T) {
	t.Parallel()
	// What was charged to a budget stays for as long as the budget's time.
	d := open(t, "--mail-budget", "100/24h", "--sign-in-budget", "100/24h")
	w := meet(t, d)
	if n := len(d.mails("")); n != w.mails {
		t.Fatalf("%d mails are in the mailbox, want %d", n, w.mails)
	}
	before := d.state()
	people := w.ada.jar()

	t.Run("HEAD and GET", func(t *testing.T) {
		for _, from := range []string{"127.0.0.1", "127.0.0.2"} {
			for _, cookies := range []http.CookieJar{nil, people} {
				robot := newRobot(t, from, cookies)
				for range 2 {
					for _, m := range d.mails("") {
						for _, link := range links(t, m) {
							robot.scan(http.MethodHead, link)
							robot.scan(http.MethodGet, link)
						}
					}
				}
				robot.client.CloseIdleConnections()
			}
		}
		d.same(t, "HEAD and GET", before)
	})
	t.Run("a thousand times", func(t *testing.T) {
		robot := newRobot(t, "127.0.0.1", nil)
		for range many {
			robot.get(http.MethodGet, w.confirm.link(t))
		}
		robot.client.CloseIdleConnections()
		d.same(t, "a thousand GETs", before)
	})
	t.Run("with scripts", func(t *testing.T) {
		scanner := d.visitor(t)
		opened := map[string]bool{}
		scanner.browse(d.url + "/mailbox/" + w.confirm.ID)
		for _, m := range d.mails("") {
			for _, link := range links(t, m) {
				if !opened[link] {
					opened[link] = true
					scanner.browse(link)
				}
			}
		}
		w.ada.browse(w.confirm.link(t))
		w.bob.browse(w.signIn.link(t))
		d.same(t, "a browser with scripts", before)
	})
	t.Run("members", func(t *testing.T) {
		w.lookAround(t, d)
		d.same(t, "members who look around", before)
	})
	w.pressButtons(t, d)
	if d.state() == before {
		t.Error("pressing the buttons has changed nothing, so that this test would notice nothing")
	}
}

// world is who a robot meets: Ada, whose sign-up waits for the button, and Bob,
// who has an account, has asked to sign in, and whose address was signed up once
// more. Each has got the mails that they get.
type world struct {
	ada, bob                 *visitor
	token, pending           string  // Bob's, for the API
	confirm, signIn, already message // whose buttons nobody has pressed
	mails                    int
}

const bob = "bob@example.com"

func meet(t *testing.T, d *desk) *world {
	t.Helper()
	w := &world{ada: d.visitor(t), bob: d.visitor(t), mails: 6}
	w.ada.signUp("Ada", ada)
	w.confirm = d.mail(ada, 1)

	w.bob.signUp("Bob", bob)
	w.bob.visit(d.mail(bob, 1).link(t))
	w.bob.press("#link-button")
	d.mail(bob, 2) // the welcome
	var asked struct{ Token string }
	var tokens struct {
		Access string `json:"access_token"`
	}
	d.post("/signIn", "", map[string]string{"email": bob}, 202, &asked)
	d.post("/signIn/code", asked.Token, map[string]string{"code": d.mail(bob, 3).code(t)}, 200, &tokens)
	w.token = tokens.Access
	w.bob.visit("/signIn")
	w.bob.fill("#email", bob)
	w.bob.press("#sign-in-form button")
	w.signIn = d.mail(bob, 4)
	d.post("/createUser", "", map[string]string{"first": "Robert", "email": bob}, 202, &asked)
	w.pending = asked.Token
	w.already = d.mail(bob, 5)
	d.until("all mails are settled", d.settled)
	return w
}

// pressButtons does what only people do.
func (w *world) pressButtons(t *testing.T, d *desk) {
	t.Helper()
	w.ada.visit(w.confirm.link(t))
	w.ada.press("#link-button")
	w.ada.expect("/", 200, english.hello)
	for _, m := range []message{w.signIn, w.already} {
		v := d.visitor(t)
		v.visit(m.link(t))
		v.press("#link-button")
		v.expect("/", 200, "Hello, Bob.")
	}
	late := d.visitor(t)
	for _, m := range []message{w.confirm, w.signIn, w.already} {
		late.visit(m.link(t))
		if late.status != http.StatusConflict || late.sees("button") {
			t.Errorf("%s: the link was used and says %q, status %d", m.Subject, late.says("h1"), late.status)
		}
	}
}

// lookAround asks for everything that can be asked for with GET, as a program
// and as a browser that are both signed in.
func (w *world) lookAround(t *testing.T, d *desk) {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile("../web/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	program := newRobot(t, "127.0.0.1", nil)
	program.headers.Del("Accept")
	browser := newRobot(t, "127.0.0.1", w.bob.jar())
	gets := 0
	for path, item := range doc.Paths.Map() {
		token := w.token
		if path == "/signup/status" {
			token = w.pending
		}
		program.headers.Set("Authorization", "Bearer "+token)
		path = d.url + strings.NewReplacer("{token}", "nothing", "{id}", "nothing").Replace(path)
		if item.Get != nil {
			gets++
			for _, method := range []string{http.MethodHead, http.MethodGet} {
				if status, _ := program.get(method, path); status != http.StatusOK {
					t.Errorf("%s %s: %d", method, path, status)
				}
			}
		}
		browser.scan(http.MethodHead, path)
		browser.scan(http.MethodGet, path)
	}
	if gets < 7 {
		t.Errorf("the description has %d addresses to GET", gets)
	}
	// From page to page, by every link there is.
	seen, next := map[string]bool{}, []string{d.url + "/", d.url + "/mailbox"}
	for len(next) > 0 {
		page := next[0]
		next = next[1:]
		if seen[page] || !strings.HasPrefix(page, d.url+"/") {
			continue
		}
		seen[page] = true
		next = append(next, browser.scan(http.MethodGet, page)...)
	}
	for _, want := range []string{"/", "/me", "/me/sessions", "/me/delete", "/me/export", "/mailbox", "/mailbox/" + w.confirm.ID + "/source"} {
		if !seen[d.url+want] {
			t.Errorf("no link leads to %s", want)
		}
	}
	program.client.CloseIdleConnections()
	browser.client.CloseIdleConnections()
}

// robot follows links, with or without somebody's cookies.
type robot struct {
	t       *testing.T
	client  *http.Client
	headers http.Header
}

// newRobot makes one that comes from an address of this machine.
func newRobot(t *testing.T, from string, cookies http.CookieJar) *robot {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	return &robot{t, &http.Client{
		Timeout: patience, Jar: cookies,
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return dialer.DialContext(ctx, "tcp4", net.JoinHostPort("127.0.0.1", port))
		}},
	}, http.Header{"Accept": {"text/html,application/xhtml+xml,*/*;q=0.8"}, "User-Agent": {"Mozilla/5.0 (a mail scanner)"}}}
}

// get asks for an address, follows where it leads, and returns what is there.
func (r *robot) get(method, address string) (status int, body string) {
	r.t.Helper()
	req, err := http.NewRequest(method, address, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header = r.headers.Clone()
	resp, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	if resp.StatusCode >= 500 {
		r.t.Errorf("%s %s: %s", method, address, resp.Status)
	}
	return resp.StatusCode, string(raw)
}

// scan gets a page with all that it is made of, and returns where it leads.
func (r *robot) scan(method, address string) (leads []string) {
	r.t.Helper()
	_, body := r.get(method, address)
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	base, err := url.Parse(address)
	if err != nil {
		r.t.Fatal(err)
	}
	each := func(selector, attribute string, use func(string)) {
		doc.Find(selector).Each(func(_ int, found *goquery.Selection) {
			if to, err := base.Parse(found.AttrOr(attribute, "")); err == nil && strings.HasPrefix(to.Scheme, "http") {
				to.Fragment = ""
				use(to.String())
			}
		})
	}
	load := func(part string) { r.get(http.MethodGet, part) }
	each("link[href]", "href", load)
	each("[src]", "src", load)
	each("form[action]", "action", load)
	each("a[href]", "href", func(to string) { leads = append(leads, to) })
	return leads
}

// links are all that a mail has, in its text and on its page.
func links(t *testing.T, m message) []string {
	t.Helper()
	found := slices.Concat(anyLink.FindAllString(m.Text, -1), anyLink.FindAllString(m.HTML, -1))
	slices.Sort(found)
	if found = slices.Compact(found); len(found) == 0 {
		t.Errorf("%s: there is no link in it", m.Subject)
	}
	return found
}

// browse opens a page and waits until nothing more is loaded.
func (v *visitor) browse(address string) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, patience)
	defer cancel()
	events := chromedp.Events(ctx, page.LifecycleEvent)
	v.visit(address)
	loader := call(v, page.GetFrameTree, cdp.Empty{}).FrameTree.Frame.LoaderID
	for e, err := range events {
		if err != nil {
			v.t.Fatalf("wait for %s: %v", address, err)
		}
		if e.Name == "networkIdle" && e.LoaderID == loader {
			return
		}
	}
	v.t.Fatalf("%s goes on loading", address)
}

// jar is the visitor's cookies, for robots that have them.
func (v *visitor) jar() http.CookieJar {
	v.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		v.t.Fatal(err)
	}
	at, err := url.Parse(v.desk.url)
	if err != nil {
		v.t.Fatal(err)
	}
	for name, value := range v.cookies() {
		jar.SetCookies(at, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
	}
	return jar
}

// settled tells whether nothing is to be done for any mail.
func (d *desk) settled() bool {
	d.t.Helper()
	open := int64(-1)
	d.store(sqlite.OpenReadOnly, func(conn *sqlite.Conn) (err error) {
		open, err = sqlitex.ResultInt64(conn.Prep("SELECT count(*) FROM mails WHERE state IN ('due', 'queued', 'sending', 'committing', 'unknown')"))
		return err
	})
	return open == 0
}

// state is everything that is stored, row by row, and what commands say of it.
// Left out is what only says that somebody is there: the heartbeats of
// processes, and when a session was last used.
func (d *desk) state() string {
	d.t.Helper()
	var all strings.Builder
	d.store(sqlite.OpenReadOnly, func(conn *sqlite.Conn) error {
		tables, err := rows(conn, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name <> 'incarnations' ORDER BY name")
		if err != nil {
			return err
		}
		for _, table := range tables {
			columns, err := rows(conn, "SELECT name FROM pragma_table_info('"+table+"') WHERE '"+table+"' <> 'sessions' OR name NOT IN ('seen', 'until')")
			if err != nil {
				return err
			}
			quoted := "quote(" + strings.Join(columns, ") || '|' || quote(") + ")"
			kept, err := rows(conn, "SELECT "+quoted+" FROM "+table+" ORDER BY 1")
			if err != nil {
				return err
			}
			fmt.Fprintf(&all, "%s (%s):\n%s\n", table, strings.Join(columns, ", "), strings.Join(kept, "\n"))
		}
		return nil
	})
	for _, m := range d.mails("") {
		fmt.Fprintf(&all, "mail %+v\n", m)
	}
	all.WriteString(d.run("verify", "--json"))
	return all.String()
}

// rows are the first column of what a query finds.
func rows(conn *sqlite.Conn, query string) (found []string, err error) {
	err = sqlitex.Execute(conn, query, &sqlitex.ExecOptions{ResultFunc: func(s *sqlite.Stmt) error {
		found = append(found, s.ColumnText(0))
		return nil
	}})
	return found, err
}

// same wants nothing to have changed.
func (d *desk) same(t *testing.T, after, before string) {
	t.Helper()
	now := d.state()
	if now == before {
		return
	}
	was, is := strings.Split(before, "\n"), strings.Split(now, "\n")
	for _, line := range is {
		if !slices.Contains(was, line) {
			t.Errorf("after %s there is:\n%s", after, line)
		}
	}
	for _, line := range was {
		if !slices.Contains(is, line) {
			t.Errorf("after %s there is no more:\n%s", after, line)
		}
	}
	t.Errorf("%s changed the state", after)
}
