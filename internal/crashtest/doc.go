// Package crashtest holds the tests that kill the real program, at random
// moments and at every named one, and then ask the mail server's own log who
// got what. It also proves that the tests would notice: it seeds known
// mistakes into the source, one at a time, and expects a named test to fail.
//
// It has no code of its own besides its tests.
package crashtest
