// Package crashtest holds the tests that kill the real program, at random
// moments and at every named one, with its store on its own disk and in Redis,
// and then ask the mail server's own log who got what. With Redis they also
// stop, end and restart the processes of a fleet, and break what lies between
// them and Redis, and Redis itself. The bus that clients of Azure Service Bus
// connect to is killed under such clients, whose notes judge it, and under
// Bellhop itself; and it is flooded. They prove that they would notice, too: they
// seed known mistakes into the source, one at a time, and expect a named test to
// fail.
//
// It has no code of its own besides its tests.
package crashtest
