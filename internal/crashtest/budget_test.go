package crashtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"bellhop/internal/mail/smtptest"
	"bellhop/internal/onboarding"
)

// What the tests below do: so many forms for each of so many addresses, of which
// so many may have a mail.
const (
	victims      = 12
	formsOfEach  = 8
	budgetOfEach = 3
	budgetKills  = 10
)

// flood is forms that somebody sends in for other people's addresses, each until
// it is answered.
type flood struct {
	rig *rig

	mu    sync.Mutex
	forms []form // that are not answered
}

// form is one of them, known by its key.
type form struct{ to, key string }

// B5.3: however many forms name an address, and whatever is killed meanwhile,
// it gets as many mails as its budget allows; and no fewer, because a mail that
// is tried again is counted once.
func TestB5_3_BudgetsHoldWhateverIsKilled(t *testing.T) {
	t.Parallel()
	newRig(t, built(t, mortal)).flooded()
}

// The same over one Redis.
func TestB5_3_BudgetsHoldWhateverIsKilledOnRedis(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for deaths to be found out")
	}
	t.Parallel()
	newRedisRig(t, built(t, mortal), durable(t).URL(0)).flooded()
}

// flooded kills the program again and again while forms come in, and judges.
func (r *rig) flooded() {
	r.t.Helper()
	r.budget = fmt.Sprintf("%d/1h", budgetOfEach)
	// Every address refuses its first mail for now.
	r.sink.SetScript(smtptest.Once(smtptest.Dot, smtptest.Fault{Reply: "451 4.3.0 later"}))
	f := &flood{rig: r}
	for n := range victims * formsOfEach {
		f.forms = append(f.forms, form{fmt.Sprintf("victim.%d@example.com", n%victims), fmt.Sprintf("key.%d.of.the.flood", n)})
	}
	for range budgetKills {
		f.sendFor(rand.N(200 * time.Millisecond))
	}
	f.sendFor(patience)
	report := r.settle()
	r.judge(report)
	r.judgeBudgets(r.evidence(report))
}

// sendFor sends forms in until all are answered or the time is over, and kills
// the process they were sent to.
func (f *flood) sendFor(d time.Duration) {
	f.rig.t.Helper()
	p := f.rig.start()
	if p == nil {
		f.rig.t.Fatal("died without being killed")
	}
	ctx, cancel := context.WithTimeout(f.rig.t.Context(), d)
	defer cancel()
	f.send(ctx, p)
	p.kill()
}

// send sends forms in until all are answered, ctx ends, or the process does.
func (f *flood) send(ctx context.Context, p *process) {
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for ctx.Err() == nil && p.running() {
				one, ok := f.next()
				if !ok {
					return
				}
				if !f.answered(ctx, client, p.url, one) {
					f.back(one)
				}
				pause(ctx, rand.N(60*time.Millisecond)) // so that there are some left for the next process
			}
		})
	}
	all.Wait()
}

// next takes a form that is not answered, if there is one.
func (f *flood) next() (one form, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.forms) == 0 {
		return form{}, false
	}
	one, f.forms = f.forms[0], f.forms[1:]
	return one, true
}

func (f *flood) back(one form) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forms = append(f.forms, one)
}

// answered sends a form in, with its key, and tells whether there was a 202.
func (f *flood) answered(ctx context.Context, client *http.Client, url string, one form) bool {
	req, err := signUpRequest(ctx, url, one.to)
	if err != nil {
		f.rig.t.Error(err)
		return true
	}
	req.Header.Set("Idempotency-Key", one.key)
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	id, err := signUpID(resp.Body)
	if err != nil || resp.StatusCode != http.StatusAccepted {
		return false
	}
	f.rig.promise(id, one.to)
	f.rig.again(one.to)
	return true
}

// judgeBudgets looks how many mails of each address came, or may have come, and
// how many were not sent on purpose.
func (r *rig) judgeBudgets(e *evidence) {
	r.t.Helper()
	mails := make(map[string]map[onboarding.State]int)
	for id, to := range r.acked {
		if mails[to] == nil {
			mails[to] = make(map[onboarding.State]int)
		}
		mails[to][e.states[onboarding.NewMailID(id, onboarding.SignUp, 1)]]++
	}
	if len(mails) != victims {
		r.fault("forms of %d addresses were answered, want %d", len(mails), victims)
	}
	for to, n := range mails {
		if n[onboarding.Sent]+n[onboarding.Unknown] != budgetOfEach || n[onboarding.Suppressed] != formsOfEach-budgetOfEach {
			r.fault("%s: the budget is %d, and %v", to, budgetOfEach, n)
		}
	}
	came := make(map[string]int)
	for _, all := range e.got {
		came[all[0].To]++
	}
	for to, n := range came {
		if n > budgetOfEach {
			r.fault("%s got %d mails, and its budget is %d", to, n, budgetOfEach)
		}
	}
}
