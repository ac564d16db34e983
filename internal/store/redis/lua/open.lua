-- Marks a fresh store with the version of its form, and returns the mark.
call('SETNX', P .. 'version', ARGV[2])
return call('GET', P .. 'version')
