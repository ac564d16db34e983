#!/usr/bin/python3
"""Writes proton.txt: what Apache Qpid Proton puts on the wire.

Run it by hand, with Debian's python3-qpid-proton, to make the file anew. Each
line is a name and hexadecimal bytes. The values have their counterparts in
proton_test.go; the two streams are the two directions of one connection.
"""
import os, uuid
from proton import (Data, Message, Described, Array, UNDESCRIBED, symbol, ulong, ubyte, ushort, uint, byte, short, int32,
                    float32, decimal32, decimal64, decimal128, char, timestamp, Transport, Connection, Delivery, Condition,
                    SASL, Terminus)

lines = []

def value(name, v):
    d = Data()
    d.put_object(v)
    lines.append("value %s %s" % (name, d.encode().hex()))

value("null", None)
value("true", True)
value("false", False)
value("ubyte", ubyte(200))
value("ushort", ushort(60000))
value("uint0", uint(0))
value("smalluint", uint(255))
value("uint", uint(256))
value("ulong0", ulong(0))
value("smallulong", ulong(255))
value("ulong", ulong(0x137000000c))
value("byte", byte(-5))
value("short", short(-300))
value("smallint", int32(-128))
value("int", int32(-129))
value("smalllong", -128)
value("long", 1 << 40)
value("float", float32(-1.5))
value("double", 3.14)
value("decimal32", decimal32(0x01020304))
value("decimal64", decimal64(0x0102030405060708))
value("decimal128", decimal128(bytes(range(16))))
value("char", char("\u20ac"))
value("timestamp", timestamp(1700000000123))
value("uuid", uuid.UUID("33221100-5544-7766-8899-aabbccddeeff"))
value("binary", b"\x00\xff")
value("string", "gr\u00fcn")
value("longstring", "x" * 300)
value("symbol", symbol("amqp:list"))
value("list0", [])
value("list", [None, 1, "a", [True]])
value("longlist", ["x" * 300])
value("map", {symbol("a"): 1})
value("array-long", Array(UNDESCRIBED, Data.LONG, 1, -1, 1 << 40))
value("array-symbol", Array(UNDESCRIBED, Data.SYMBOL, symbol("PLAIN"), symbol("ANONYMOUS")))
value("array-uuid", Array(UNDESCRIBED, Data.UUID, uuid.UUID(int=1)))
value("array-timestamp", Array(UNDESCRIBED, Data.TIMESTAMP, timestamp(1)))
value("array-described", Array(symbol("d"), Data.INT, int32(1), int32(2)))
value("described-ulong", Described(ulong(0x137000000c), "s"))
value("described-symbol", Described(symbol("a:b"), [1]))

def message(name, **fields):
    m = Message()
    for key, v in fields.items():
        setattr(m, key, v)
    lines.append("message %s %s" % (name, m.encode().hex()))
    return m.encode()

message("value", body={"k": 1})
message("data", inferred=True, body=b"hello")
message("sequence", inferred=True, body=[1, "two"])
full = message("full", durable=True, priority=7, ttl=2.5, first_acquirer=True, delivery_count=3,
    id="m-1", user_id=b"me", address="orders", subject="s", reply_to="back", correlation_id=ulong(9),
    content_type="text/plain", content_encoding="gzip", expiry_time=1700000000.0, creation_time=1690000000.0,
    group_id="g", group_sequence=5, reply_to_group_id="rg",
    instructions={symbol("x-opt-lock-token"): uuid.UUID(int=7)}, annotations={symbol("x-opt-sequence-number"): 42},
    properties={"a": 1, "b": "c", "d": None}, inferred=True, body=b"hello")

# A client and a server in memory. streams collects what each of them says.
client, server = Transport(Transport.CLIENT), Transport(Transport.SERVER)
streams = {"client": b"", "server": b""}
client.sasl().allowed_mechs("ANONYMOUS")
server.sasl().allowed_mechs("ANONYMOUS")
cc, sc = Connection(), Connection()
cc.container, cc.hostname = "the-client", "localhost:5672"
sc.container = "the-server"
cc.properties, cc.desired_capabilities = {symbol("product"): "proton"}, Array(UNDESCRIBED, Data.SYMBOL, symbol("one"), symbol("two"))
client.idle_timeout, client.max_frame_size, client.channel_max = 30, 512, 100
server.max_frame_size = 512
client.bind(cc)
server.bind(sc)

def pump():
    moved = True
    while moved:
        moved = False
        for name, src, dst in (("client", client, server), ("server", server, client)):
            n = src.pending()
            if n > 0:
                b = src.peek(n)
                streams[name] += b
                dst.push(b)
                src.pop(len(b))
                moved = True

sc.open()
cc.open()
pump()
session = cc.session()
session.open()
sender = session.sender("to-orders")
sender.target.address, sender.snd_settle_mode = "orders", 0
sender.open()
receiver = session.receiver("from-orders")
receiver.source.address, receiver.rcv_settle_mode = "orders", 1
receiver.source.filter.put_dict({symbol("f"): Described(ulong(0x137000000c), "s")})
receiver.target.dynamic, receiver.target.durability, receiver.target.timeout = True, Terminus.DELIVERIES, 7
receiver.open()
pump()
ss = sc.session_head(0)
ss.open()
link = sc.link_head(0)
links = []
while link:
    links.append(link)
    link.source.copy(link.remote_source)
    link.target.copy(link.remote_target)
    link.open()
    link = link.next(0)
incoming = [l for l in links if l.is_receiver][0]
incoming.flow(10)
pump()

outcomes = [Delivery.ACCEPTED, Delivery.RELEASED, Delivery.REJECTED, Delivery.MODIFIED]
for i, outcome in enumerate(outcomes):
    d = sender.delivery("tag-%d" % i)
    sender.send(full * (1 + 3 * (i % 2)))
    sender.advance()
    pump()
    r = incoming.current
    incoming.recv(r.pending)
    if outcome == Delivery.REJECTED:
        r.local.condition = Condition("com.microsoft:dead-letter", "a reason", {symbol("DeadLetterReason"): "r"})
    if outcome == Delivery.MODIFIED:
        r.local.failed, r.local.undeliverable = True, True
        r.local.annotations = {symbol("x"): 1}
    r.update(outcome)
    incoming.advance()
    pump()
    d.settle()
    r.settle()
    pump()

receiver.drain(5)
pump()
incoming.condition = Condition("amqp:link:detach-forced", "the entity was updated")
incoming.close()
sender.close()
receiver.detach()
pump()
session.close()
ss.close()
pump()
sc.condition = Condition("amqp:connection:forced", "going down")
sc.close()
cc.close()
pump()
for name in sorted(streams):
    lines.append("stream %s %s" % (name, streams[name].hex()))

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "proton.txt"), "w") as f:
    f.write("\n".join(lines) + "\n")
