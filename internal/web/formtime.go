package web

// timely tells whether a form with this stamp was sent neither sooner than a
// person could, nor so late that somebody may have kept it.
func (d *desk) timely(stamp string) bool {
	least, most := d.Guard.FormMin, d.Guard.FormMax
	if least <= 0 && most <= 0 {
		return true
	}
	age, err := d.Stamps.Age(stamp)
	return err == nil && (least <= 0 || age >= least) && (most <= 0 || age <= most)
}

// stampAgain returns the stamp for a form that is shown again because something
// in it was wrong: the one it was sent with, since whoever corrects a letter is
// quick, or a fresh one if that would be refused for ever.
func (d *desk) stampAgain(sent string) string {
	age, err := d.Stamps.Age(sent)
	if most := d.Guard.FormMax; err != nil || most > 0 && age > most/2 {
		return d.Stamps.Make()
	}
	return sent
}
