return person(ARGV[2]) or {}
