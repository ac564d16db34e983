arrived(ARGV[2], tonumber(ARGV[3]))
return 'ok'
