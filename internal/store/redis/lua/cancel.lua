return cancel(ARGV[2], ARGV[3])
