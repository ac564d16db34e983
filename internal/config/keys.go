package config

// keysGrammar is "bellhop keys".
type keysGrammar struct {
	List   KeysList   `cmd:"" help:"List the keys that sign access tokens."`
	Rotate KeysRotate `cmd:"" help:"Let the next key sign." detail:"serve does this by itself when --key-rotation has passed, so nobody has to. The key that has signed so far is published as long as its tokens work: no valid token is refused, and nothing is restarted. Other services know the next key already, because it was published for an hour at least; without --force it is refused before that."`
	Retire KeysRetire `cmd:"" help:"Take a key out at once, because others may have it." detail:"Whatever it has signed is refused from then on: by every Bellhop process within 30 seconds, by other services as soon as they fetch the keys again, which is 10 minutes at most while they reach Bellhop. Nobody is signed out: apps get a new access token by their refresh token. If it was the key that signs, the next one does so at once."`
}

// KeysList is "bellhop keys list".
type KeysList struct {
	JSON bool `name:"json" help:"Print the list as JSON."`
	Data
}

// KeysRotate is "bellhop keys rotate".
type KeysRotate struct {
	Force bool `name:"force" help:"Do it even if the next key was published less than an hour ago. It signs two minutes after it was published at the earliest, which is time enough for Bellhop's processes and services that use package sessions. What keeps the keys longer without asking again may refuse its tokens for that long."`
	Data
}

// KeysRetire is "bellhop keys retire".
type KeysRetire struct {
	Key string `arg:"" name:"kid" help:"The id that keys list shows."`
	Data
}

// Validate reports every fault of the settings.
func (k *KeysList) Validate() error { return k.Data.faults() }

// Validate reports every fault of the settings.
func (k *KeysRotate) Validate() error { return k.Data.faults() }

// Validate reports every fault of the settings.
func (k *KeysRetire) Validate() error { return k.Data.faults() }
