call('SET', P .. 'ping', int(now))
return 'ok'
