package amqp

// CountFrom has a server's sessions and sending links count from n, so that
// numbers wrap.
func (s *Server) CountFrom(n uint32) { s.first = n }

// Held is how many bytes of incoming deliveries a server counts.
func (s *Server) Held() int64 { return s.budget.unsettled.Load() + s.budget.partial.Load() }

// Names is how many links a server knows by name.
func (s *Server) Names() int {
	s.names.mu.Lock()
	defer s.names.mu.Unlock()
	return len(s.names.links)
}
