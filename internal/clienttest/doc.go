// Package clienttest holds the tests of the bus with clients that are not
// written in Go: Azure's own JavaScript client, and two AMQP engines in C under
// Python. Each is a program in tests/ that makes assertions of its own and prints
// one line of JSON for each check; the tests here start "bellhop bus", run the
// programs against it and hold them to the list of checks that must be there.
//
// It has no code of its own besides its tests.
package clienttest
