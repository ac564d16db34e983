-- The version of the store's form, and its mark.
local mark = call('HMGET', P .. 'move', 'stage', 'id', 'place')
return { call('GET', P .. 'version') or '', mark[1] or '', mark[2] or '', mark[3] or '' }
