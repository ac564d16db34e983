package crashtest

import (
	"fmt"
	"path/filepath"
	"strings"

	"bellhop/internal/onboarding"

	goredis "github.com/redis/go-redis/v9"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// ledger reads the state of every mail from where the store keeps it.
func (r *rig) ledger() map[onboarding.MailID]onboarding.State {
	r.t.Helper()
	read := r.ledgerInRedis
	if r.dir != "" {
		read = r.ledgerOnDisk
	}
	states, err := read()
	if err != nil {
		r.t.Fatalf("read the ledger: %v", err)
	}
	return states
}

func (r *rig) ledgerOnDisk() (map[onboarding.MailID]onboarding.State, error) {
	conn, err := sqlite.OpenConn(filepath.Join(r.dir, "store.db"), sqlite.OpenReadOnly)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	states := make(map[onboarding.MailID]onboarding.State)
	return states, sqlitex.Execute(conn, "SELECT id, state FROM mails", &sqlitex.ExecOptions{ResultFunc: func(stmt *sqlite.Stmt) error {
		states[onboarding.MailID(stmt.ColumnText(0))] = onboarding.State(stmt.ColumnText(1))
		return nil
	}})
}

// allMails lists id, state, id, state of all mails.
const allMails = `
	local all = {}
	for number = 1, tonumber(redis.call('HGET', '{bellhop}:counts', 'accepted') or 0) do
		local m = redis.call('HMGET', string.format('{bellhop}:mail:%012d', number), 'id', 'state')
		all[#all + 1] = m[1] or ''
		all[#all + 1] = m[2] or ''
	end
	return all`

func (r *rig) ledgerInRedis() (map[onboarding.MailID]onboarding.State, error) {
	url := r.store[1]
	if !strings.HasPrefix(url, "redis://") {
		return nil, fmt.Errorf("want a Redis, got %q", url)
	}
	options, err := goredis.ParseURL(url)
	if err != nil {
		return nil, err
	}
	client := goredis.NewClient(options)
	defer client.Close()
	all, err := client.Eval(r.t.Context(), allMails, []string{"{bellhop}"}).StringSlice()
	if err != nil {
		return nil, err
	}
	states := make(map[onboarding.MailID]onboarding.State)
	for i := 0; i+1 < len(all); i += 2 {
		states[onboarding.MailID(all[i])] = onboarding.State(all[i+1])
	}
	return states, nil
}
