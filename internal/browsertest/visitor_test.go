package browsertest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// visitor is a person at a browser of their own: one tab, and cookies that
// nobody else has. What goes wrong ends the test.
type visitor struct {
	t      *testing.T
	desk   *desk
	ctx    context.Context
	status int // of the page they look at
	// patient is who lets a page refresh itself. Others press Escape as soon as
	// one is there: nobody can tell what they look at otherwise.
	patient   bool
	cookieJar cdp.BrowserContextID
}

// A habit is how somebody has set up their browser.
type habit func(context.Context, *chromedp.Target) error

// withoutScripts is somebody who has turned JavaScript off.
func withoutScripts(ctx context.Context, tab *chromedp.Target) error {
	_, err := cdp.Call(ctx, tab, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	return err
}

// speaking is somebody whose browser asks for a language.
func speaking(language string) habit {
	return func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{
			Headers: network.Headers{"Accept-Language": language},
		})
		return err
	}
}

// visitor opens a browser of somebody's own.
func (d *desk) visitor(t *testing.T, habits ...habit) *visitor {
	t.Helper()
	v := blank(t)
	v.desk = d
	for _, h := range habits {
		v.do("set up the browser", chromedp.Func(h))
	}
	return v
}

// blank opens a browser with an empty page.
func blank(t *testing.T) *visitor {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a browser")
	}
	b, err := chromium()
	if err != nil {
		t.Fatal(err)
	}
	ctx, leave := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(leave)
	v := &visitor{t: t, ctx: ctx}
	if err := chromedp.Do(ctx); err != nil { // the tab lives as long as this context
		t.Fatalf("open a tab: %v", err)
	}
	v.cookieJar = chromedp.FromContext(ctx).BrowserContextID
	return v
}

// tab opens another tab of the same browser.
func (v *visitor) tab() *visitor {
	v.t.Helper()
	other := *v
	var leave context.CancelFunc
	other.ctx, leave = chromedp.NewContext(v.ctx)
	v.t.Cleanup(leave)
	if err := chromedp.Do(other.ctx); err != nil {
		v.t.Fatalf("open a tab: %v", err)
	}
	return &other
}

// newTab does something that opens a window, and goes on in that once it shows
// a page of a path. A frame is a process of its own, and on a busy machine it may
// have the focus later than the key that is meant for it: what opens the window
// is then done again.
func (v *visitor) newTab(open func(), path string) *visitor {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, patience)
	defer cancel()
	opened := chromedp.WaitNewTarget(ctx, func(*target.Info) bool { return true })
	other := *v
	for other.ctx == v.ctx {
		open()
		select {
		case id := <-opened:
			var leave context.CancelFunc
			other.ctx, leave = chromedp.NewContext(v.ctx, chromedp.WithTargetID(id))
			v.t.Cleanup(leave)
		case <-time.After(again):
		case <-ctx.Done():
			v.t.Fatal("no window has opened")
		}
	}
	if err := chromedp.Do(other.ctx); err != nil {
		v.t.Fatalf("go on in the new window: %v", err)
	}
	other.until("the new window shows "+path, func() bool {
		return eval[bool](&other, `document.readyState === "complete" && location.pathname === %s`, path)
	})
	other.status = eval[int](&other, `performance.getEntriesByType("navigation")[0].responseStatus`)
	return &other
}

// act runs an action in the visitor's tab.
func act[T any](v *visitor, what string, action chromedp.Action[T]) T {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, patience)
	defer cancel()
	got, err := chromedp.Run(ctx, action)
	if err != nil {
		v.t.Fatalf("%s: %v", what, err)
	}
	return got
}

func (v *visitor) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	v.t.Helper()
	act(v, what, chromedp.Steps(steps...))
}

// call sends the browser one command.
func call[P, R any](v *visitor, command cdp.Command[P, R], params P) R {
	v.t.Helper()
	return act(v, "call the browser", func(ctx context.Context, tab *chromedp.Target) (R, error) {
		return cdp.Call(ctx, tab, command, params)
	})
}

// callBrowser is call for what is not about a tab.
func callBrowser[P, R any](v *visitor, command cdp.Command[P, R], params P) R {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, patience)
	defer cancel()
	got, err := chromedp.CallBrowser(ctx, command, params)
	if err != nil {
		v.t.Fatalf("call the browser: %v", err)
	}
	return got
}

// eval asks the page something. It works where pages may run no scripts, too:
// it is the browser that runs it.
func eval[T any](v *visitor, script string, args ...any) T {
	v.t.Helper()
	quoted := make([]any, 0, len(args))
	for _, arg := range args {
		text, err := json.Marshal(arg)
		if err != nil {
			v.t.Fatal(err)
		}
		quoted = append(quoted, string(text))
	}
	if len(args) > 0 {
		script = fmt.Sprintf(script, quoted...)
	}
	return act(v, "ask the page", chromedp.Evaluate[T](script))
}

// arrive does something that brings another page, and waits for that.
func (v *visitor) arrive(what string, page chromedp.Action[*network.Response]) {
	v.t.Helper()
	resp := act(v, what, page)
	if resp == nil {
		v.t.Fatalf("%s: no page came of it", what)
	}
	v.status = int(resp.Status)
	if !v.patient {
		v.do("press Escape", chromedp.Stop())
	}
}

// visit types an address: a path of the desk, or a whole one.
func (v *visitor) visit(address string) {
	v.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = v.desk.url + address
	}
	v.arrive("go to "+address, chromedp.NavigateResponse(address))
}

// place is where an element is that a person can see and click on.
const place = `(selector => {
	const found = [...document.querySelectorAll(selector)];
	if (found.length !== 1) throw new Error(found.length + " elements are " + selector + " on " + location.pathname + ":\n" + document.body.innerText);
	found[0].scrollIntoView({block: "center", behavior: "instant"});
	const box = found[0].getClientRects()[0];
	if (!box) throw new Error(selector + " is not to be seen");
	const at = [box.x + box.width / 2, box.y + box.height / 2];
	const top = document.elementFromPoint(...at);
	if (!found[0].contains(top)) throw new Error(selector + " is covered by " + (top ? top.outerHTML : "nothing"));
	return at;
})(%s)`

// click clicks on an element with the mouse.
func (v *visitor) click(selector string) chromedp.Action[chromedp.Void] {
	v.t.Helper()
	at := eval[[2]float64](v, place, selector)
	return chromedp.MouseClickXY(at[0], at[1])
}

// press clicks on something that brings another page.
func (v *visitor) press(selector string) {
	v.t.Helper()
	click := v.click(selector)
	v.arrive("click on "+selector, func(ctx context.Context, _ *chromedp.Target) (*network.Response, error) {
		return chromedp.RunResponse(ctx, click)
	})
}

// fill types into a field, in place of what is there.
func (v *visitor) fill(selector, text string) {
	v.t.Helper()
	v.do("click on "+selector, v.click(selector))
	eval[chromedp.Void](v, `document.activeElement.select()`)
	call(v, input.InsertText, input.InsertTextParams{Text: text})
	if got := eval[string](v, `document.querySelector(%s).value`, selector); got != text {
		v.t.Fatalf("%s holds %q after %q was typed", selector, got, text)
	}
}

// path is where they are, with the query.
func (v *visitor) path() string {
	v.t.Helper()
	return eval[string](v, `location.pathname + location.search`)
}

// says is what an element says, as it is seen.
func (v *visitor) says(selector string) string {
	v.t.Helper()
	return eval[string](v, `(selector => {
		const found = document.querySelector(selector);
		if (!found) throw new Error("there is no " + selector + " on " + location.pathname + ":\n" + document.body.innerText);
		return found.innerText.trim();
	})(%s)`, selector)
}

// sees tells whether there is such an element to be seen.
func (v *visitor) sees(selector string) bool {
	v.t.Helper()
	return eval[bool](v, `[...document.querySelectorAll(%s)].some(e => e.checkVisibility({visibilityProperty: true, opacityProperty: true}))`, selector)
}

// count is how many such elements there are.
func (v *visitor) count(selector string) int {
	v.t.Helper()
	return eval[int](v, `document.querySelectorAll(%s).length`, selector)
}

// expect wants them to look at a page of a path, a status and a heading.
func (v *visitor) expect(path string, status int, heading string) {
	v.t.Helper()
	if at, h1 := v.path(), v.says("h1"); at != path || v.status != status || h1 != heading {
		v.t.Fatalf("at %s, status %d, %q; want %s, %d, %q", at, v.status, h1, path, status, heading)
	}
}

// cookies are those that the browser would send to the desk.
func (v *visitor) cookies() map[string]string {
	v.t.Helper()
	got := call(v, network.GetCookies, network.GetCookiesParams{URLs: []string{v.desk.url}})
	values := map[string]string{}
	for _, c := range got.Cookies {
		values[c.Name] = c.Value
	}
	return values
}

// until waits for what the browser does by itself.
func (v *visitor) until(what string, done func() bool) {
	v.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			v.t.Fatalf("waited in vain until %s, at %s:\n%s", what, v.path(), v.says("body"))
		}
	}
}

// pathOf is the path of an address.
func pathOf(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Path
}
