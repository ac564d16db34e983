local version, value = string.match(call('HGET', P .. 'documents', ARGV[2]) or '', '^(%d+) (.*)$')
if not version then return {} end
return { version, value }
