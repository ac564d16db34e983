package wire

// SerialBefore tells whether a comes before b in RFC 1982's order of 32-bit
// serial numbers, which AMQP uses for transfer-ids, delivery-ids and
// delivery-counts: 4294967295 comes before 0. Of two numbers exactly 2³¹
// apart, where the RFC leaves it open, the one is before the other and the
// other before the one.
func SerialBefore(a, b uint32) bool { return SerialDistance(a, b) < 0 }

// SerialDistance is how far a is ahead of b, negative when it is behind:
// SerialDistance(0, 4294967295) is 1. Adding is ordinary uint32 addition.
func SerialDistance(a, b uint32) int32 { return int32(a - b) }
