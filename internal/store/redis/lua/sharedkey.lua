call('HSETNX', P .. 'keys', ARGV[2], ARGV[3])
return call('HGET', P .. 'keys', ARGV[2])
