package crashtest

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// atOnce is how many tests run side by side when nothing else is said: they
// wait for most of their time, for the dead to be found out and locks to end.
const atOnce = "8"

func TestMain(m *testing.M) {
	flag.Parse()
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "test.parallel" })
	if !said {
		if err := flag.Set("test.parallel", atOnce); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	os.Exit(m.Run())
}
