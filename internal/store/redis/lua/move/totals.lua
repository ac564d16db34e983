local counts = call('HMGET', P .. 'counts', 'accepted', 'copies', 'differing', 'arrived:urgent', 'arrived:bulk')
for i = 1, 5 do counts[i] = counts[i] or 0 end
return counts
