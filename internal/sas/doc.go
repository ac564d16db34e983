// Package sas is Azure Service Bus's shared access: the signatures that clients
// present, the rules and keys they are checked against, and the connection
// strings both are written in. It knows nothing of the bus.
package sas
