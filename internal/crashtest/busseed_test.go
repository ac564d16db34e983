package crashtest

import (
	"testing"
)

// seedKills is how often a bus with a mistake in it is killed, at most.
const seedKills = 15

// busMistake is a mistake in the bus, and the check that must notice it.
type busMistake struct {
	name  string
	seeds []seed
	check func(t *testing.T, binary string) []string
}

// killed is what TestC1_1_BusKilledUnderNewClients looks for.
func killed(t *testing.T, binary string) []string {
	t.Helper()
	return killBus(t, binary, seedKills)
}

// witnessed is what TestC1_1_BusSyncsBeforeItConfirms looks for.
func witnessed(t *testing.T, binary string) []string {
	t.Helper()
	if fault := checkBusSynced(t, binary); fault != "" {
		return []string{fault}
	}
	return nil
}

// outlived is what TestC1_1_BusKilledUnderALongLivedClient looks for.
func outlived(t *testing.T, binary string) []string {
	t.Helper()
	return outlive(t, binary, 1)
}

// T13: mistakes in the bus, each noticed by one of the tests that kill it.
func TestT13_SeededMistakesInTheBusAreCaught(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes: it builds and kills each mistake")
	}
	t.Parallel()
	for _, m := range busMistakes() {
		t.Run(m.name, func(t *testing.T) {
			binary := mistaken(t, "build", m.seeds, program)
			t.Parallel()
			faults := m.check(t, binary)
			if len(faults) == 0 {
				t.Fatal("the mistake was not noticed")
			}
			t.Logf("noticed: %s", faults[0])
		})
	}
}

func busMistakes() []busMistake {
	const due, settling, sending = "internal/bus/due.go", "internal/bus/settle.go", "internal/bus/send.go"
	return []busMistake{
		{"no sync", []seed{{
			"internal/sqlitedb/syncer.go",
			"if err := s.fdatasync(s.log); err != nil {", "if err := error(nil); err != nil {",
		}}, witnessed},
		{"confirmed before the commit", []seed{{
			"internal/sqlitedb/writer.go", "when := whenSynced\n", "when := whenRun\n",
		}}, witnessed},
		{"a completion is not waited for", []seed{{
			settling, "return s.Kind != Release && (", "return s.Kind != Release && s.Kind != Complete && (",
		}}, witnessed},
		{"a completed message is not deleted", []seed{{
			settling, "if err := e.remove(t); err != nil {", "if err := error(nil); err != nil {",
		}}, killed},
		{"the delivery count is not raised at a restart", []seed{{
			due, "if err := b.giveBack(t, e, b.opts.Now()); err != nil {", "if err := b.putBack(t, e); err != nil {",
		}}, dieOfMessage},
		{"a batch is stored by halves", []seed{{
			"internal/busserver/entity.go",
			"c.opts.Bus.StartSend(l.node.entity, messages, func(_ []int64, err error) {\n",
			`half := len(messages) / 2
	send := func(part []bus.Message, done func([]int64, error)) { c.opts.Bus.StartSend(l.node.entity, part, done) }
	if half > 0 {
		whole, rest, parts := send, messages[half:], messages[:half]
		send = func(_ []bus.Message, done func([]int64, error)) {
			whole(parts, func([]int64, error) {
				soon, over := context.WithTimeout(context.Background(), 500_000_000) // 0.5 s: kills fall in between
				context.AfterFunc(soon, func() { over(); whole(rest, done) })
			})
		}
	}
	send(messages, func(_ []int64, err error) {
`,
		}}, killed},
		{"a lock is not looked for when it is settled", []seed{{
			settling,
			"errs[i] != nil && !isRefusal(errs[i]) {\n\t\t\t\treturn errs[i]\n\t\t\t}\n",
			"errs[i] != nil {\n\t\t\t\tif !isRefusal(errs[i]) {\n\t\t\t\t\treturn errs[i]\n\t\t\t\t}\n\t\t\t\terrs[i] = nil\n\t\t\t}\n",
		}}, outlived},
		{"the window for duplicates is forgotten at a restart", []seed{{
			due, "	ended := 0\n", "	if err := t.exec(\"DELETE FROM recent\"); err != nil {\n\t\treturn err\n\t}\n\tended := 0\n",
		}}, killed},
		{"a scheduled message is activated twice", []seed{{
			due, "	e.in.nextSeq++\n\tb.left(&e)\n", `	twin := active
	twin.seq++
	if twin.message, err = insertMessage(t, &r); err != nil {
		return err
	}
	if err := twin.insert(t, now.UnixMilli(), twin.due); err != nil {
		return err
	}
	b.came(&twin)
	e.in.nextSeq += 2
	b.left(&e)
`,
		}}, killed},
		{"a dead letter is lost on its way", []seed{{
			"internal/bus/deadletter.go",
			"dead.id, dead.nextSeq, e.count, now.UnixMilli(), e.in.id, int64(e.place), e.seq)", "dead.id, dead.nextSeq, e.count, now.UnixMilli(), e.in.id, int64(e.place), -1)",
		}}, killed},
		{"a deferred message goes back to the queue at a restart", []seed{{
			due, "	b.nextDue = b.opts.Now().UnixMilli() // look\n",
			"	b.nextDue = b.opts.Now().UnixMilli() // look\n\tif err := t.exec(\"UPDATE entry SET place = 0 WHERE place = 1\"); err != nil {\n\t\treturn err\n\t}\n",
		}}, killed},
		{"what is received and deleted is only deleted in memory", []seed{{
			"internal/bus/receive.go", "	if !remove {\n", "	if true {\n",
		}}, killed},
	}
}
