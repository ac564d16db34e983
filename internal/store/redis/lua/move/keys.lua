return call('HGETALL', P .. 'keys')
