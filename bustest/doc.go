// Package bustest gives Go tests an Azure Service Bus endpoint of their own: in
// the test's process, on a free port of loopback, with nothing on disk, and with
// faults on demand. The official SDKs connect to it as they are.
//
//	func TestOrdersAreTaken(t *testing.T) {
//		bus := bustest.Start(t, bustest.Queue("orders"))
//		client, err := azservicebus.NewClientFromConnectionString(bus.ConnectionString(), nil)
//		...
//	}
//
// Everything ends with the test. Close your clients before, in a Cleanup of
// yours after Start, or they see their connections cut.
//
// # What is there
//
// Queues with peek-lock and receive-and-delete, completing, abandoning,
// deferring and dead-lettering, renewing, peeking, scheduling and cancelling,
// batches, expiry, duplicate detection, dead-letter queues, and the admin API
// for queues. Topics and sessions are not: they are refused with
// amqp:not-implemented.
//
// # Time
//
// The bus goes by its own clock, which is the real one until [Bus.Advance] puts
// it forward: locks end then, messages expire, schedules come due. Tokens go by
// the real clock, as the clients do that make them.
// No test need wait for any of these.
//
// # Faults
//
// The faults are those that clients of the service meet: a connection that is
// cut ([Bus.DropConnections]) or that falls silent ([Bus.Deaf]), a link that
// ends because somebody updated its queue ([Bus.Update]) or for any other reason
// ([Bus.Detach]), a lock that is lost ([Bus.LoseLocks]), a server that is busy
// ([Bus.Busy]) or slow ([Bus.Delay]), messages that are gone ([Bus.Purge]).
package bustest
