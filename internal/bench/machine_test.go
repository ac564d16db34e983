package bench

import (
	"testing"
	"time"
)

func TestOthers(t *testing.T) {
	before, err := machineNow()
	if err != nil {
		t.Fatal(err)
	}
	if before.all <= before.busy || before.busy <= 0 || before.ours <= 0 {
		t.Errorf("machineNow() = %+v, want times of a machine that has worked and rested", before)
	}
	after := before
	after.all += 10 * time.Second
	after.busy += 8 * time.Second
	after.ours += 3 * time.Second
	if got := after.others(before); got != 50 {
		t.Errorf("others used %v %%, want the 5 of 10 seconds that were busy without us", got)
	}
}
