// Package sidebyside is for tests that wait for most of their time: more of them
// run at once than there are processors. It knows nothing of Bellhop, and only
// tests import it.
package sidebyside

import (
	"flag"
	"fmt"
	"strconv"
)

// AtOnce lets n tests of a package run side by side, unless the command line has
// -test.parallel. TestMain calls it before the tests run.
func AtOnce(n int) error {
	const name = "test.parallel"
	flag.Parse()
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == name })
	if said {
		return nil
	}
	if err := flag.Set(name, strconv.Itoa(n)); err != nil {
		return fmt.Errorf("run tests side by side: %w", err)
	}
	return nil
}
