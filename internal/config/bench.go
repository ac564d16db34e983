package config

// BenchStore says where the measured sign-ups and their mails are stored. Its
// variable is not serve's: a measurement must never run on a service's store
// because that happens to be set.
type BenchStore struct {
	Store Location `name:"store" var:"BELLHOP_BENCH_STORE" secret:"" placeholder:"STORE" help:"Where the measured sign-ups are stored. embedded is a database of the measurement's own. redis is a redis-server that the measurement starts, once with appendfsync always and once with everysec. A redis:// or rediss:// URL names one that runs already: its database must be empty, and is so again afterwards." fallback:"embedded"`
}

// OwnRedis tells whether the measurement starts a Redis itself.
func (b BenchStore) OwnRedis() bool { return b.Store.raw == storesRedis }

func (b BenchStore) check(f *Faults) {
	if problem, remedy := b.Store.check(); problem != "" && !b.OwnRedis() {
		f.add("store", problem, remedy+", or redis for one that is started for the measurement")
	}
}
