// Package busadmin administers the bus's queues as Azure Service Bus does: by
// its HTTP API (ATOM entries) and by the official emulator's Config.json.
package busadmin
