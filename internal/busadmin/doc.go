// Package busadmin administers the bus's queues as Azure Service Bus does: by
// its HTTP API (ATOM entries) and by the official emulator's Config.json. It
// knows the bus and the keys, and no AMQP.
//
// # The HTTP API
//
// The official admin clients create, read, list, update and delete queues, and
// read counts. They speak HTTPS only. Each request carries a shared access
// signature for its own address, whose rule must have Manage. A PUT creates;
// with If-Match: * it updates, which replaces the whole description: what it
// leaves out gets its default, except for what cannot change after creation
// (RequiresDuplicateDetection). Durations come back in the wording in which
// they were sent.
//
// What is not there yet is refused unless it has its default: topics,
// subscriptions, rules and AMQP over WebSocket with 501; RequiresSession, EnablePartitioning,
// ForwardTo, ForwardDeadLetteredMessagesTo, AutoDeleteOnIdle, EnableExpress,
// IsAnonymousAccessible and another MaxMessageSizeInKilobytes with 400. No SDK
// tries those again. A queue's AuthorizationRules are kept and told, and open
// nothing: only the namespace's rules do. MaxSizeInMegabytes is the size beyond
// which sends are refused; 81920, the most there is, means no limit, and queues
// that were not made by this API have none.
//
// # Config.json
//
// [ParseConfig] reads the emulator's file, [Config.Apply] makes the bus have
// its queues. The defaults are the emulator's, the ranges the service's.
package busadmin
