package redis_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// readPeople reads all subjects and sessions, and notes where they must be found.
func (d *database) readPeople(keys []string) {
	d.subjects, d.numbers = map[string]map[string]string{}, map[string]string{}
	signups, err := d.client.XRange(context.Background(), "{bellhop}:signups", "-", "+").Result()
	d.demand(err == nil, "read the sign-ups: %v", err)
	for _, m := range signups {
		number, _, _ := strings.Cut(m.ID, "-")
		d.numbers[fmt.Sprint(m.Values["id"])] = number
	}
	for _, key := range keys {
		if id, is := strings.CutPrefix(key, "{bellhop}:subject:"); is {
			d.subjects[id] = d.hash(key)
			d.expectSubject(id, d.subjects[id])
		}
	}
	for _, key := range keys {
		if id, is := strings.CutPrefix(key, "{bellhop}:session:"); is {
			d.expectSession(id, d.hash(key))
		}
	}
}

// What a subject may have, beside the names of its mails.
var (
	signUpFields = strings.Fields("first last email status accepted key form fingerprint locale muted consent origin confirmed used by tries")
	askedFields  = strings.Fields("asked fingerprint budget locale muted used by tries")
	erasedFields = strings.Fields("status accepted key form")
)

// expectSubject notes where a sign-up, or a request to sign in, must be found.
func (d *database) expectSubject(id string, s map[string]string) {
	f := s["fingerprint"]
	switch {
	case s["status"] == "erased":
		d.only(id, s, erasedFields)
	case s["status"] != "":
		d.only(id, s, signUpFields)
		d.demand(s["status"] == "pending" || s["status"] == "confirmed", "%s is %q", id, s["status"])
		d.demand((s["status"] == "confirmed") == (s["confirmed"] != ""), "%s is %s, and was confirmed at %q", id, s["status"], s["confirmed"])
		if f != "" {
			d.put("of:"+f, id, d.numberOf(f, id))
		}
	case s["asked"] != "":
		d.only(id, s, askedFields)
		d.demand(f != "" && s["budget"] != "", "the request %s has no fingerprint, or no budget: %v", id, s)
		d.put("asked:"+f, id, s["asked"])
	default:
		d.only(id, s, nil)
		for _, n := range s {
			d.demand(d.client.Exists(context.Background(), "{bellhop}:mail:"+n).Val() == 1, "%s is forgotten, and so is its mail %s but for its name", id, n)
		}
	}
	d.demand((s["used"] != "") == (s["by"] != ""), "%s was used at %q by %q", id, s["used"], s["by"])
}

// numberOf is a sign-up's place among those of its fingerprint: an older
// program's, whose fingerprint came later, is before all others.
func (d *database) numberOf(f, id string) string {
	if d.client.ZScore(context.Background(), "{bellhop}:of:"+f, id).Val() == 0 {
		return "0"
	}
	return d.numbers[id]
}

func (d *database) only(id string, s map[string]string, names []string) {
	for name, value := range s {
		d.demand(value != "" || name == "first" || name == "last", "subject %s has an empty %s", id, name)
		d.demand(strings.HasPrefix(name, "mail:") || slices.Contains(names, name), "subject %s has %s: %v", id, name, s)
	}
}

// expectSession notes where a session must be found.
func (d *database) expectSession(id string, s map[string]string) {
	number := map[string]int{}
	for _, name := range []string{"opened", "seen", "idle", "ends", "number"} {
		var err error
		number[name], err = strconv.Atoi(s[name])
		d.demand(err == nil, "session %s: %s: %v", id, name, err)
	}
	of := d.subjects[s["account"]]
	d.demand(of["status"] == "confirmed", "session %s is that of %s, who is %q", id, s["account"], of["status"])
	d.demand(s["kind"] == "browser" || s["kind"] == "api", "session %s is of kind %q", id, s["kind"])
	d.demand(len(s["hash"]) == 64, "session %s has the hash %q", id, s["hash"])
	d.demand((number["number"] > 0) == (s["before"] != "") && (s["before"] != "") == (s["rotated"] != ""), "session %s was rotated, and was not: %v", id, s)
	d.put("sessions:"+s["account"], id, s["opened"])
	d.put("ending", id, strconv.Itoa(min(number["ends"], number["seen"]+number["idle"])))
}

// compareAccounts looks whether accounts, charges and documents are what
// subjects and logs say.
func (d *database) compareAccounts(keys []string) {
	accounts, claimed := map[string]string{}, map[string]string{}
	requests := set(d.entries("{bellhop}:requests"))
	judged := d.number("{bellhop}:judged")
	for id, s := range d.subjects {
		if s["status"] == "confirmed" {
			d.demand(accounts[s["fingerprint"]] == "", "%s and %s are accounts of %s", id, accounts[s["fingerprint"]], s["fingerprint"])
			accounts[s["fingerprint"]] = id
		}
		if s["asked"] != "" {
			entry := fmt.Sprint("", map[string]any{"id": id, "at": s["asked"]})
			d.demand(requests[entry], "the request %s is in no log", id)
		}
		number, _ := strconv.Atoi(d.numbers[id])
		d.demand(s["status"] != "pending" || number > judged, "%s is pending, and will not be purged: %d were judged, it is number %d", id, judged, number)
	}
	charges := map[string]int{}
	for _, entry := range d.entries("{bellhop}:charges") {
		charges[entry]++
	}
	for _, key := range keys {
		if f, is := strings.CutPrefix(key, "{bellhop}:account:"); is {
			claimed[f] = d.client.Get(context.Background(), key).Val()
		}
		if f, is := strings.CutPrefix(key, "{bellhop}:charged:"); is {
			d.compareCharges(f, d.hash(key), charges)
		}
	}
	d.demand(maps.Equal(accounts, claimed), "accounts are %v, and confirmed are %v", claimed, accounts)
	for id, s := range d.subjects {
		if s["status"] == "pending" && s["used"] != "" {
			d.demand(claimed[s["fingerprint"]] != "" && s["first"]+s["last"] == "", "%s was used, has the names %q, and no account", id, s["first"]+s["last"])
		}
	}
	for n, row := range d.rows {
		d.demand(row["charged"] == "" || row["commits"] != "", "mail %s was charged, and never sent: %v", n, row)
	}
	for name, value := range d.hash("{bellhop}:documents") {
		version, _, _ := strings.Cut(value, " ")
		n, err := strconv.Atoi(version)
		d.demand(err == nil && n > 0, "document %s has the version %q", name, version)
	}
}

// compareCharges looks whether a sweep finds what was charged to an address.
func (d *database) compareCharges(f string, budgets map[string]string, charges map[string]int) {
	for budget, times := range budgets {
		d.demand(times != "", "%s has a budget %s without charges", f, budget)
		for at := range strings.FieldsSeq(times) {
			entry := fmt.Sprint("", map[string]any{"of": f, "budget": budget, "at": at})
			d.demand(charges[entry] > 0, "what was charged to %s of %s at %s is in no log", budget, f, at)
			charges[entry]--
		}
	}
}

// number is a key's value; 0 if it is not there.
func (d *database) number(key string) int {
	n, _ := d.client.Get(context.Background(), key).Int()
	return n
}

func (d *database) isPurged(n string) bool {
	number, err := strconv.ParseInt(n, 10, 64)
	d.demand(err == nil, "a mail has the number %q", n)
	return d.client.GetBit(context.Background(), "{bellhop}:purged", number).Val() == 1
}
