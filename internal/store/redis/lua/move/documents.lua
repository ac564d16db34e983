return call('HGETALL', P .. 'documents')
