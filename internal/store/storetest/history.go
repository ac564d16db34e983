package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/signup"

	"github.com/anishathalye/porcupine"
)

var historyTests = []test{
	{name: "B2_3_OfSingleUseIsLinearizable", run: func(w *world) { w.history(false) }},
	{name: "B2_3_OfSingleUseIsLinearizableThoughCallersGiveUp", run: func(w *world) { w.history(true) }},
	{name: "TheJudgeOfHistoriesSeesASecondUse", run: judgeSees},
}

// redeemed is one call of Redeem or Mint, as whoever judges the history sees
// it. Histories of different addresses have nothing to do with each other.
type redeemCall struct {
	address string
	subject string
	session string // "" for Mint, which only looks
}

// redeemEnd is what became of a call.
type redeemEnd struct {
	unknown   bool // it may have happened, or may yet
	used      bool
	account   string
	confirmed bool
}

// register is what is known of an address: its account, and under which session
// each subject was used. It is never changed in place.
type register struct {
	account string
	used    map[string]string
}

// history lets many callers of all processes redeem a few subjects of a few
// addresses at once, under their own sessions or somebody else's, and wants a
// sequence of single calls that explains what each was told (B2.3).
func (w *world) history(giveUp bool) {
	const addresses, rivals, calls = 6, 3, 12
	var all []*historian
	for range addresses {
		who := w.someone()
		var mails []signup.Redemption
		for range rivals {
			mails = append(mails, w.redemption(w.sent(w.stored(w.ofOlderProgram(who))), who))
		}
		for i := range calls {
			h := &historian{w: w, store: w.caller(i), address: who.Key()}
			for range 2 {
				r := mails[rand.IntN(rivals)]
				if rand.IntN(4) > 0 { // otherwise a repeat, or a race of repeats
					r.Session = newSession(signup.Browser)
				}
				h.script = append(h.script, r)
			}
			if giveUp && i%6 == 0 { // each doubles what there is to be judged
				h.patience = time.Duration(rand.IntN(3000)) * time.Microsecond
			}
			all = append(all, h)
		}
	}
	w.linearizes(w.perform(all))
}

// historian calls, and writes down what it was told and when.
type historian struct {
	w        *world
	store    Store
	address  string
	script   []signup.Redemption
	patience time.Duration // 0: without end
	seen     []porcupine.Operation
}

func (w *world) perform(all []*historian) (seen []porcupine.Operation) {
	began := time.Now()
	var group sync.WaitGroup
	start := make(chan struct{})
	for i, h := range all {
		group.Go(func() {
			<-start
			for _, r := range h.script {
				h.note(i, began, redeemCall{h.address, r.Mail.Subject(), r.Session.ID}, h.redeem(r))
				h.note(i, began, redeemCall{h.address, r.Mail.Subject(), ""}, h.look(r.Mail))
			}
		})
	}
	close(start)
	group.Wait()
	for _, h := range all {
		seen = append(seen, h.seen...)
	}
	return seen
}

// note makes a call. One whose end is unknown never returned.
func (h *historian) note(client int, began time.Time, c redeemCall, call func(context.Context) (redeemEnd, error)) {
	ctx := h.w.ctx
	if h.patience > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, h.patience)
		defer cancel()
	}
	op := porcupine.Operation{ClientId: client, Input: c, Call: time.Since(began).Nanoseconds()}
	end, err := call(ctx)
	op.Return = time.Since(began).Nanoseconds()
	if err != nil {
		lost := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, signup.ErrUnavailable)
		if !lost || h.patience == 0 {
			h.w.Errorf("%v: %v", c, err)
		}
		if c.session == "" {
			return // nothing was learnt, and nothing changed
		}
		end, op.Return = redeemEnd{unknown: true}, math.MaxInt64
	}
	op.Output = end
	h.seen = append(h.seen, op)
}

func (h *historian) redeem(r signup.Redemption) func(context.Context) (redeemEnd, error) {
	return func(ctx context.Context) (redeemEnd, error) {
		redeemed, err := h.store.Redeem(ctx, r)
		if errors.Is(err, signup.ErrUsed) {
			return redeemEnd{used: true}, nil
		}
		return redeemEnd{account: redeemed.Account.ID, confirmed: redeemed.Confirmed}, err
	}
}

func (h *historian) look(id onboarding.MailID) func(context.Context) (redeemEnd, error) {
	return func(ctx context.Context) (redeemEnd, error) {
		m, err := h.store.Mint(ctx, id)
		return redeemEnd{used: m.Used}, err
	}
}

// linearizes fails the test unless some order of single calls explains the
// history.
func (w *world) linearizes(seen []porcupine.Operation) {
	w.Helper()
	switch judge(seen) {
	case porcupine.Ok:
	case porcupine.Illegal:
		for _, op := range seen {
			w.Logf("%d %d..%d: %+v: %+v", op.ClientId, op.Call, op.Return, op.Input, op.Output)
		}
		w.Fatal("no order of these calls explains what they were told")
	default:
		w.Fatal("the history is too long to be judged")
	}
}

func judge(seen []porcupine.Operation) porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(porcupine.Model{
		Partition: byAddress,
		Init:      func() any { return register{} },
		Step: func(state, input, output any) (bool, any) {
			return state.(register).step(input.(redeemCall), output.(redeemEnd))
		},
		Equal: func(a, b any) bool {
			x, y := a.(register), b.(register)
			return x.account == y.account && maps.Equal(x.used, y.used)
		},
	}, seen, time.Minute)
}

func byAddress(seen []porcupine.Operation) [][]porcupine.Operation {
	parts := map[string][]porcupine.Operation{}
	for _, op := range seen {
		address := op.Input.(redeemCall).address
		parts[address] = append(parts[address], op)
	}
	return slices.Collect(maps.Values(parts))
}

// step is the contract of Redeem for one caller alone.
func (r register) step(c redeemCall, end redeemEnd) (bool, any) {
	user, used := r.used[c.subject]
	switch {
	case c.session == "":
		return end.used == used, r
	case used && user != c.session:
		return end.unknown || end.used, r
	case !used:
		r.used = maps.Clone(r.used)
		if r.used == nil {
			r.used = map[string]string{}
		}
		r.used[c.subject] = c.session
		if r.account == "" {
			r.account = c.subject
		}
	}
	want := redeemEnd{account: r.account, confirmed: r.account == c.subject}
	return end.unknown || end == want, r
}

// judgeSees proves that the judge can fail.
func judgeSees(w *world) {
	call := func(n int64, session string, end redeemEnd) porcupine.Operation {
		return porcupine.Operation{ClientId: int(n), Input: redeemCall{"a", "s", session}, Call: n, Output: end, Return: n + 2}
	}
	won, late := redeemEnd{account: "s", confirmed: true}, redeemEnd{used: true}
	for i, tt := range []struct {
		seen []porcupine.Operation
		want porcupine.CheckResult
	}{
		{[]porcupine.Operation{call(1, "x", won), call(2, "y", late), call(9, "x", won)}, porcupine.Ok},
		{[]porcupine.Operation{call(1, "x", late), call(2, "y", won)}, porcupine.Ok},
		{[]porcupine.Operation{call(1, "x", late), call(9, "y", won)}, porcupine.Illegal},
		{[]porcupine.Operation{call(1, "x", won), call(2, "y", won)}, porcupine.Illegal},
		{[]porcupine.Operation{call(1, "x", won), call(9, "", redeemEnd{})}, porcupine.Illegal},
	} {
		equal(w, fmt.Sprint("judgement ", i), judge(tt.seen), tt.want)
	}
}
