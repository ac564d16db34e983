// Package browsertest holds the tests of Bellhop's pages with a real browser:
// Chromium without a window, against the program as it is shipped. People go
// all the way from the form to goodbye, with and without JavaScript and in each
// language; every page is held to a list of what people need who see little, use
// no mouse or have a small screen; and robots that follow each link of each mail,
// as mail scanners do, must not have changed anything.
//
// It has no code of its own besides its tests.
package browsertest
