package enumerationtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"
)

// The criterion: medians closer than closeTo of the median, and no difference
// that a Mann-Whitney test finds at the level of alpha. By alpha alone one round
// in a hundred fails where there is nothing to find, and the machine is shared,
// so a pair of distributions may be measured three times; what leaks leaks each
// time. The pairs are enough to hold the medians together while others use the
// machine: with 300, one round in 24 did not.
const (
	closeTo = 0.05
	alpha   = 0.01
	rounds  = 3
)

// pair is how long the same request took for an address that is unknown and for
// one that has an account.
type pair struct{ unknown, known time.Duration }

// told says how two distributions differ, or "" if they do not.
func told(pairs []pair) string {
	var unknown, known, between []float64
	for _, p := range pairs {
		unknown = append(unknown, p.unknown.Seconds())
		known = append(known, p.known.Seconds())
		between = append(between, (p.known - p.unknown).Seconds())
	}
	difference, u := median(between)/median(unknown), mannWhitney(unknown, known)
	if math.Abs(difference) < closeTo && u > alpha {
		return ""
	}
	return fmt.Sprintf("medians differ by %.1f %%, p = %.2g", 100*difference, u)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[n/2] + sorted[(n-1)/2]) / 2
}

// mannWhitney returns how likely two samples differ as much as these if they are
// drawn from the same distribution: two-sided, by the normal approximation, with
// corrections for ties and continuity.
func mannWhitney(a, b []float64) float64 {
	type value struct {
		of float64
		a  bool
	}
	var all []value
	for _, x := range a {
		all = append(all, value{x, true})
	}
	for _, x := range b {
		all = append(all, value{x, false})
	}
	slices.SortFunc(all, func(x, y value) int {
		switch {
		case x.of < y.of:
			return -1
		case x.of > y.of:
			return 1
		}
		return 0
	})
	ranks, ties := 0.0, 0.0
	for i := 0; i < len(all); {
		end := i
		for end < len(all) && all[end].of == all[i].of {
			end++
		}
		rank, t := float64(i+end+1)/2, float64(end-i)
		ties += t*t*t - t
		for ; i < end; i++ {
			if all[i].a {
				ranks += rank
			}
		}
	}
	n1, n2 := float64(len(a)), float64(len(b))
	n := n1 + n2
	u := ranks - n1*(n1+1)/2
	sigma := math.Sqrt(n1 * n2 / 12 * (n + 1 - ties/(n*(n-1))))
	z := max(0, math.Abs(u-n1*n2/2)-0.5) / sigma
	return math.Erfc(z / math.Sqrt2)
}

// What R and SciPy say of the same samples.
func TestMannWhitney(t *testing.T) {
	for _, tt := range []struct {
		a, b []float64
		want float64
	}{
		{[]float64{19, 22, 16, 29, 24}, []float64{20, 11, 17, 12}, 0.11134688653314041},
		{[]float64{1, 2, 3}, []float64{1, 2, 3}, 1},
	} {
		if got := mannWhitney(tt.a, tt.b); math.Abs(got-tt.want) > 1e-6 {
			t.Errorf("p = %v, want %v", got, tt.want)
		}
	}
}

// measurement times one kind of request.
type measurement struct {
	name  string
	pairs int
	// before prepares one request about an address, which is not timed, and
	// returns it.
	before func(v *visitor, address string) func()
}

func measurements() []measurement {
	return []measurement{
		{"sign up", 2000, func(v *visitor, address string) func() {
			return func() {
				v.want(v.postJSON("/createUser", map[string]string{"first": "Ada", "email": address}), http.StatusAccepted)
			}
		}},
		{"sign in", 2000, func(v *visitor, address string) func() {
			return func() { v.want(v.postJSON("/signIn", map[string]string{"email": address}), http.StatusAccepted) }
		}},
		{"resend", 1000, func(v *visitor, address string) func() {
			v.signUp(address)
			return func() { v.want(v.postJSON("/signup/resend", nil), http.StatusAccepted) }
		}},
		{"status", 1000, func(v *visitor, address string) func() {
			v.signUp(address)
			return func() { v.want(v.getJSON("/signup/status"), http.StatusOK) }
		}},
		{"code", 1000, func(v *visitor, address string) func() {
			v.signUp(address)
			return func() {
				v.want(v.postJSON("/signup/code", map[string]string{"code": "000000"}), http.StatusUnprocessableEntity)
			}
		}},
	}
}

// measure asks about addresses of both kinds in turn, in a random order.
func (m measurement) measure(t *testing.T, p *program, fresh *addresses, known []string) []pair {
	v := visit(t, p)
	ask := func(address string) time.Duration {
		v.token = ""
		request := m.before(v, address)
		began := time.Now()
		request()
		return time.Since(began)
	}
	measured := make([]pair, m.pairs)
	for i := range measured {
		address := known[i%len(known)]
		if rand.IntN(2) == 0 {
			measured[i].unknown = ask(fresh.next())
			measured[i].known = ask(address)
		} else {
			measured[i].known = ask(address)
			measured[i].unknown = ask(fresh.next())
		}
	}
	return measured
}

// leaking is what some of the pairs would be if a known address took longer by a
// share of each answer's time, as if the program looked it up.
func leaking(pairs []pair, share float64) []pair {
	slow := slices.Clone(pairs[:min(len(pairs), 400)])
	for i := range slow {
		slow[i].known += time.Duration(share * float64(slow[i].known))
	}
	return slow
}

// accounts is a program that knows some.
func accounts(t *testing.T, fresh *addresses) (p *program, known []string) {
	p = serve(t, "--data-dir", inMemory(t), "--limit-address", "off", "--mail-budget", "off")
	for range 20 {
		known = append(known, fresh.next())
		visit(t, p).confirm(known[len(known)-1])
	}
	return p, known
}

// B1.5, B1.6: the time an answer takes does not tell who has an account. In each
// round the criterion would find a leak of half the time, in a fifth of the pairs
// and on a machine that others use, too.
func TestB1_5_TimeTellsNothing(t *testing.T) {
	fresh := new(addresses)
	p, known := accounts(t, fresh)
	for _, m := range measurements() {
		t.Run(m.name, func(t *testing.T) {
			var differences []string
			for range rounds {
				measured := m.measure(t, p, fresh, known)
				if told(leaking(measured, 0.5)) == "" {
					t.Error("a leak of half the time was not found")
				}
				difference := told(measured)
				if difference == "" {
					return
				}
				differences = append(differences, difference)
			}
			t.Errorf("accounts are told from other addresses, %d times: %v", rounds, differences)
		})
	}
}
