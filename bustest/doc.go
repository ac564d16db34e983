// Package bustest gives Go tests an Azure Service Bus endpoint of their own: in
// the test's process, on a free port, with nothing on disk, and with faults on
// demand.
package bustest
