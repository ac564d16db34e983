// Package enumerationtest holds the tests of one promise: nobody learns from
// Bellhop who has an account. They run the program as it is shipped, ask it the
// same things about addresses that it knows and addresses that it does not, and
// compare what it answers byte by byte, how long it takes, and what work it
// makes.
//
// It has no code of its own besides its tests.
package enumerationtest
