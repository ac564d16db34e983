-- What those who reach the bus over a network need to know.

ALTER TABLE queue ADD COLUMN max_size  INTEGER NOT NULL DEFAULT 0; -- bytes; 0: no limit
ALTER TABLE queue ADD COLUMN status    INTEGER NOT NULL DEFAULT 0;
ALTER TABLE queue ADD COLUMN metadata  TEXT    NOT NULL DEFAULT '';
ALTER TABLE queue ADD COLUMN described TEXT    NOT NULL DEFAULT '';

ALTER TABLE subqueue ADD COLUMN bytes    INTEGER NOT NULL DEFAULT 0; -- of all messages as they were sent
ALTER TABLE subqueue ADD COLUMN accessed INTEGER NOT NULL DEFAULT 0; -- latest send or receive; 0: never

-- Properties set after sending. Those of messages that are here already are
-- among the others, and stay there.
ALTER TABLE message ADD COLUMN amended BLOB NOT NULL DEFAULT x'';

ALTER TABLE entry ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0; -- of the message as it was sent
UPDATE entry SET bytes = coalesce((SELECT octet_length(message_id) + length(head) + length(properties) + length(body) + length(extra)
	FROM message WHERE message.id = entry.message), 0);
UPDATE subqueue SET bytes = coalesce((SELECT sum(entry.bytes) FROM entry WHERE entry.queue = subqueue.id), 0);
