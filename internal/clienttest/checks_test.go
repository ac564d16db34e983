package clienttest

// clients lists the programs, and every check that each of them makes.
func clients() []client {
	const python = "/usr/bin/python3"
	return []client{
		{"js", "../../tests/js", []string{"node", "main.js"}, javascript()},
		{"js-tls", "../../tests/js", []string{"node", "main.js"}, javascript()},
		{"proton", "../../tests/python", []string{python, "proton_checks.py"}, proton()},
		{"uamqp", "../../tests/python", []string{python, "uamqp_checks.py"}, uamqp()},
	}
}

// Azure's SDK for JavaScript.
func javascript() map[string]settings {
	shortLock := settings{"LockDuration": "PT5S", "MaxDeliveryCount": 10}
	renewed := settings{"LockDuration": "PT10S", "MaxDeliveryCount": 10}
	return map[string]settings{
		"lock/lost":             shortLock,
		"lock/renew":            nil,
		"lock/auto-renew":       renewed,
		"lock/subscribe-renews": renewed,
		"lock/link-closed":      shortLock,

		"dead-letter/reason":       nil,
		"dead-letter/no-reason":    nil,
		"dead-letter/abandon":      nil,
		"dead-letter/max-delivery": {"MaxDeliveryCount": 3},
		"dead-letter/expired":      {"DeadLetteringOnMessageExpiration": true, "MaxDeliveryCount": 10},
		"dead-letter/dropped":      nil,

		"subscribe/auto-complete":  nil,
		"subscribe/settles-itself": nil,
		"subscribe/handler-throws": nil,
		"subscribe/unknown-queue":  nil,
		"subscribe/close":          nil,
		"subscribe/delete":         nil,

		"receive/peek-lock":     nil,
		"receive/delete":        nil,
		"receive/order":         nil,
		"receive/waits":         nil,
		"receive/drain":         nil,
		"receive/drain-empty":   nil,
		"receive/drain-delete":  nil,
		"receive/abort":         nil,
		"receive/iterator":      nil,
		"receive/competing":     nil,
		"receive/unknown-queue": nil,
		"receive/no-sessions":   nil,
		"peek/all-states":       nil,
		"peek/incremental":      nil,
		"peek/from-sequence":    nil,
		"peek/empty":            nil,
		"peek/most":             nil,

		"defer/receive":         nil,
		"defer/complete":        nil,
		"defer/abandon":         nil,
		"defer/again":           nil,
		"defer/dead-letter":     nil,
		"defer/renew":           nil,
		"defer/delete":          nil,
		"defer/unknown":         nil,
		"defer/in-dead-letters": nil,

		"settle/complete":              nil,
		"settle/abandon":               nil,
		"settle/abandon-properties":    nil,
		"settle/link-gone-complete":    nil,
		"settle/link-gone-abandon":     nil,
		"settle/link-gone-defer":       nil,
		"settle/link-gone-dead-letter": nil,
		"settle/link-gone-renew":       nil,
		"settle/connection-gone":       nil,
		"settle/twice":                 nil,

		"send/one":               nil,
		"send/array":             nil,
		"send/concurrent":        nil,
		"send/batch":             nil,
		"send/batch-empty":       nil,
		"send/large":             nil,
		"send/too-large":         nil,
		"send/ids":               nil,
		"send/many-links":        nil,
		"send/scheduled":         nil,
		"send/scheduled-cancel":  nil,
		"send/scheduled-past":    nil,
		"send/scheduled-on-link": nil,

		"message/body-json":              nil,
		"message/body-buffer":            nil,
		"message/body-value":             nil,
		"message/body-sequence":          nil,
		"message/properties":             nil,
		"message/ids":                    nil,
		"message/application-properties": nil,
		"message/annotations":            nil,
		"message/resent":                 nil,

		"auth/wrong-key":            nil,
		"auth/unknown-rule":         nil,
		"auth/signature":            nil,
		"auth/credential-key":       nil,
		"auth/credential-signature": nil,
		"auth/signature-expired":    nil,
		"auth/signature-elsewhere":  nil,

		"admin/defaults":        nil,
		"admin/create":          nil,
		"admin/create-twice":    nil,
		"admin/create-invalid":  nil,
		"admin/missing":         nil,
		"admin/exists":          nil,
		"admin/list":            nil,
		"admin/update":          nil,
		"admin/update-refused":  nil,
		"admin/update-detaches": nil,
		"admin/delete":          nil,
		"admin/runtime":         nil,
		"admin/rules":           nil,
		"admin/status":          nil,
		"admin/namespace":       nil,
		"admin/wrong-key":       nil,
		"admin/not-there":       nil,
	}
}

// Qpid Proton: proton-c under Python.
func proton() map[string]settings {
	return map[string]settings{
		"sasl/anonymous-and-token": nil,
		"sasl/token-refused":       nil,
		"sasl/plain":               nil,
		"sasl/plain-wrong-key":     nil,
		"sasl/plain-over-tls":      nil,
		"message/fields":           nil,
		"message/types":            nil,
		"message/sections":         nil,
		"message/big":              nil,
		"message/too-large":        nil,
		"message/aborted":          nil,
		"send/presettled":          nil,
		"send/many":                nil,
		"outcome/accepted-first":   nil,
		"outcome/accepted":         nil,
		"outcome/released":         nil,
		"outcome/modified":         nil,
		"outcome/deferred":         nil,
		"outcome/rejected":         nil,
		"outcome/lock-lost":        nil,
		"link/credit":              nil,
		"link/drain":               nil,
		"link/reopened":            nil,
		"link/detached":            nil,
		"link/session-ends":        nil,
		"link/no-transactions":     nil,
		"connection/heartbeat":     nil,
	}
}

// Azure's uAMQP, written in C, under Python.
func uamqp() map[string]settings {
	return map[string]settings{
		"send-and-receive":   nil,
		"receive-and-delete": nil,
		"batch":              nil,
		"settle":             nil,
		"many":               nil,
		"refused":            nil,
		"sasl-plain":         nil,
	}
}
