return { string.match(call('HGET', P .. 'documents', ARGV[2]) or '', '^(%d+) (.*)$') }
