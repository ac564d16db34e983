"""Checks of the bus with Qpid Proton, an AMQP engine with nothing of Azure in it.

It authenticates by hand: SASL ANONYMOUS and a token put to $cbs, or SASL PLAIN
with a rule's name and key. Queues are its nodes, and all that it knows of Service
Bus is what stands in annotations.
"""

import time
import uuid
from collections import deque

from proton import (UNDESCRIBED, Array, Condition, ConnectionException, Data, Delivery, Endpoint, Link, Message, SSLDomain, Terminus,
                    byte, char, decimal32, decimal64, decimal128, float32, int32, short, symbol, timestamp, ubyte, uint,
                    ulong, ushort)
from proton.handlers import MessagingHandler
from proton.reactor import AtLeastOnce, AtMostOnce, ReceiverOption, SenderOption
from proton.utils import BlockingConnection, BlockingReceiver, ConnectionClosed, LinkDetached

from bench import PATIENCE, equal, plain, run, tls


class Second(ReceiverOption):
    """The receiver settles second: an outcome is confirmed by the bus."""

    def apply(self, link):
        link.rcv_settle_mode = Link.RCV_SECOND


class ReplyTo(ReceiverOption):
    def __init__(self, address):
        self.address = address

    def apply(self, link):
        link.target.address = self.address


class Inbox(MessagingHandler):
    """Keeps what comes, and gives no credit by itself."""

    def __init__(self, connection):
        super().__init__(prefetch=0, auto_accept=False, auto_settle=False)
        self.connection, self.got, self.detached = connection, deque(), False

    def on_message(self, event):
        self.got.append((event.message, event.delivery))
        self.connection.container.yield_()

    def on_link_remote_detach(self, event):
        self.detached = True

    def on_link_error(self, event):
        if event.link.state & Endpoint.LOCAL_ACTIVE:
            event.link.close()
            raise LinkDetached(event.link)

    def on_connection_error(self, event):
        raise ConnectionClosed(event.connection)


class Stream(Inbox):
    """Reads a message while it comes: only that opens a session's window again."""

    def __init__(self, connection):
        super().__init__(connection)
        self.part = b""

    def on_delivery(self, event):
        delivery = event.delivery
        if not delivery.readable:
            return
        self.part += delivery.link.recv(delivery.pending) or b""
        if not delivery.partial:
            event.message = Message()
            event.message.decode(self.part)
            self.part = b""
            delivery.link.advance()
            self.on_message(event)


def unique(kind):
    """A name that no other link has; Proton's own are the same for all of one address."""
    return "%s-%s" % (kind, uuid.uuid4())


class Peer:
    """A connection, closed at the end of a with statement."""

    def __init__(self, bus=None, mechanism="PLAIN", key=None, **options):
        self.bus = bus or plain()
        scheme, domain = "amqp", None
        if self.bus.cert:
            scheme, domain = "amqps", SSLDomain(SSLDomain.MODE_CLIENT)
            domain.set_trusted_ca_db(self.bus.cert)
            domain.set_peer_authentication(SSLDomain.VERIFY_PEER_NAME)
        if mechanism == "PLAIN":
            options.update(user=self.bus.rule, password=key or self.bus.key)
        self.conn = BlockingConnection("%s://%s:%d" % (scheme, self.bus.host, self.bus.port), timeout=PATIENCE,
                                       ssl_domain=domain, allowed_mechs=mechanism, **options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.conn.close()

    def wait(self, condition, what):
        self.conn.wait(condition, msg=what)

    def sender(self, address, name=None, **options):
        return self.conn.create_sender(address, name=name or unique("sender"), **options)

    def send(self, address, *messages):
        sender = self.sender(address)
        for message in messages:
            equal(sender.send(message).remote_state, Delivery.ACCEPTED)
        sender.close()

    def receiver(self, address, options=None, name=None, session=None, inbox=Inbox):
        """A receiver without credit."""
        inbox = inbox(self.conn)
        link = self.conn.container.create_receiver(session or self.conn.conn, address, handler=inbox,
                                                   name=name or unique("receiver"), options=options)
        receiver = BlockingReceiver(self.conn, link, None, credit=0)
        receiver.inbox = inbox
        return receiver

    def take(self, receiver, credit=1):
        """The next message and its delivery; credit is given first."""
        if credit:
            receiver.link.flow(credit)
        self.wait(lambda: receiver.inbox.got, "for a message")
        return receiver.inbox.got.popleft()

    def drain(self, receiver, credit):
        """What there is, at most so many; the bus takes the rest of the credit back."""
        receiver.link.drain(credit)
        self.wait(lambda: not receiver.link.draining() and not receiver.link.queued, "for the drain")
        got = list(receiver.inbox.got)
        receiver.inbox.got.clear()
        return got

    def settle(self, delivery, state):
        """Gives an outcome, and waits until the bus has confirmed it."""
        delivery.update(state)
        self.wait(lambda: delivery.settled, "for an outcome to be confirmed")
        confirmed = delivery.remote_state, delivery.remote.condition
        delivery.settle()
        return confirmed

    def put_token(self, path, token):
        """The status that $cbs answers to a token."""
        reply = unique("reply")
        receiver = self.conn.create_receiver("$cbs", name=reply, options=ReplyTo(reply))
        sender = self.sender("$cbs")
        properties = {"operation": "put-token", "type": "servicebus.windows.net:sastoken", "name": self.bus.audience(path)}
        sender.send(Message(id="token-1", reply_to=reply, properties=properties, body=token))
        answer = receiver.receive()
        sender.close()
        receiver.close()
        equal(answer.correlation_id, "token-1")
        equal(answer.properties["statusCode"], answer.properties["status-code"])
        equal(type(answer.properties["status-code"]), int32)
        return answer.properties["status-code"]


def refused(attach, condition):
    """Asserts that attaching a link is refused with a condition."""
    try:
        attach()
    except LinkDetached as detached:
        equal(detached.condition, condition)
        return detached
    raise AssertionError("the link is there, want " + condition)


def ids(received):
    return [message.id for message, _ in received]


def empty(peer, queue):
    """Asserts that nothing can be received."""
    receiver = peer.receiver(queue)
    equal(ids(peer.drain(receiver, 10)), [], "left in " + queue)
    receiver.close()


def cbs(queue):
    with Peer(mechanism="ANONYMOUS") as peer:
        equal(peer.put_token(queue, peer.bus.token(queue)), 202)
        peer.send(queue, Message(id="a", body="hello"))
        message, delivery = peer.take(peer.receiver(queue, Second()))
        equal((message.id, message.body), ("a", "hello"))
        equal(peer.settle(delivery, Delivery.ACCEPTED), (Delivery.ACCEPTED, None))
        empty(peer, queue)


def cbs_refused(queue):
    with Peer(mechanism="ANONYMOUS") as peer:
        equal(peer.put_token(queue, peer.bus.token(queue, key="wrong")), 401, "a wrong key")
        equal(peer.put_token(queue, peer.bus.token(queue, seconds=-60)), 401, "an old token")
        equal(peer.put_token(queue, peer.bus.token("another")), 401, "a token for something else")
        equal(peer.put_token(queue, "no token"), 401, "no token")
        equal(peer.put_token("no-such-queue", peer.bus.token("no-such-queue")), 404, "no such queue")
        refused(lambda: peer.sender(queue), "amqp:unauthorized-access")
        refused(lambda: peer.receiver(queue), "amqp:unauthorized-access")
        equal(peer.put_token(queue, peer.bus.token(queue)), 202)
        peer.send(queue, Message(id="a"))


def sasl_plain(queue):
    with Peer() as peer:
        peer.send(queue, Message(id="a"))
        refused(lambda: peer.sender("no-such-queue"), "amqp:not-found")
        refused(lambda: peer.receiver("no-such-queue"), "amqp:not-found")
        equal(peer.take(peer.receiver(queue))[0].id, "a")


def sasl_plain_wrong(queue):
    try:
        Peer(key="wrong")
    except ConnectionException as refusal:
        assert "amqp:unauthorized-access" in str(refusal), refusal
        return
    raise AssertionError("a wrong key is let in")


def over_tls(queue):
    """By name: Proton does not look for addresses in a certificate."""
    bus = tls()
    bus.host = "localhost"
    with Peer(bus) as peer:
        body = bytes(range(256)) * 500
        peer.send(queue, Message(id="a", body=body))
        message, delivery = peer.take(peer.receiver(queue, Second()))
        equal(message.body, body)
        peer.settle(delivery, Delivery.ACCEPTED)


def receive_fields(queue):
    with Peer() as peer:
        peer.send(queue, Message(id="a", body="b", annotations={symbol("x-mine"): "kept"}))
        message, delivery = peer.take(peer.receiver(queue, Second()))
        equal(len(delivery.tag.encode("utf-8", "surrogateescape")), 16, "bytes of the delivery tag")
        equal(sorted(message.annotations), ["x-mine", "x-opt-enqueued-time", "x-opt-locked-until", "x-opt-sequence-number"])
        equal({key: type(value) for key, value in message.annotations.items()}, {
            "x-mine": str, "x-opt-enqueued-time": timestamp, "x-opt-locked-until": timestamp, "x-opt-sequence-number": int})
        equal({key: type(value) for key, value in message.instructions.items()}, {"x-opt-lock-token": uuid.UUID})
        equal(message.delivery_count, 0)


def types(queue):
    """Every type comes back as what it was, in properties and in a body."""
    simple = {
        "null": None, "true": True, "false": False, "ubyte": ubyte(255), "ushort": ushort(65535), "uint": uint(4294967295),
        "uint0": uint(0), "ulong": ulong(18446744073709551615), "ulong0": ulong(0), "byte": byte(-128),
        "short": short(-32768), "int": int32(-2147483648), "int1": int32(1), "long": -9223372036854775808, "long1": 1,
        "float": float32(0.5), "double": 1e300, "decimal32": decimal32(12345), "decimal64": decimal64(1234567),
        "decimal128": decimal128(bytes(range(16))), "char": char("\U0001f600"), "timestamp": timestamp(1700000000123),
        "uuid": uuid.UUID("00112233-4455-6677-8899-aabbccddeeff"), "binary": b"\x00\xff", "binary-long": b"x" * 300,
        "string": "ü😀", "string-long": "y" * 300, "symbol": symbol("sym"),
    }
    compound = {
        "list": [1, "two", [3]], "list-empty": [], "map": {"a": {symbol("b"): ulong(1)}}, "list-long": list(range(300)),
    }
    bodies = [*simple.values(), *compound.values(), simple]
    with Peer() as peer:
        receiver = peer.receiver(queue, AtMostOnce())
        receiver.link.flow(len(bodies) + 1)
        peer.send(queue, Message(id="p", properties=simple))
        got = peer.take(receiver, 0)[0].properties
        equal({k: (type(v), v) for k, v in got.items()}, {k: (type(v), v) for k, v in simple.items()})
        for body in bodies:
            sent = Message(id="b", body=body, inferred=False)
            peer.send(queue, sent)
            got = peer.take(receiver, 0)[0].body
            equal((type(got), got), (type(body), body))


def sections(queue):
    """All sections, and bodies of data and sequence."""
    with Peer() as peer:
        sent = Message(
            id=ulong(12), user_id=b"user", address="to", subject="subject", reply_to="answers",
            correlation_id=uuid.UUID("00112233-4455-6677-8899-aabbccddeeff"), content_type="text/plain",
            content_encoding="none", group_id="group", group_sequence=7, reply_to_group_id="reply-group", durable=True,
            priority=9, properties={"a": ubyte(1)}, annotations={symbol("x-a"): "b"}, body=b"data", inferred=True)
        sequence = Message(id="sequence", body=[1, symbol("two")], inferred=True)
        peer.send(queue, sent, sequence)
        receiver = peer.receiver(queue, AtMostOnce())
        got = peer.take(receiver, 2)[0]
        for field in ("id", "user_id", "address", "subject", "reply_to", "correlation_id", "content_type", "content_encoding",
                      "group_id", "group_sequence", "reply_to_group_id", "durable", "priority", "properties", "body",
                      "inferred"):
            equal(getattr(got, field), getattr(sent, field), field)
        equal(got.annotations["x-a"], "b")
        got = peer.take(receiver, 0)[0]
        equal((got.inferred, got.body), (True, [1, symbol("two")]))


def presettled(queue):
    with Peer() as peer:
        sender = peer.sender(queue, options=AtMostOnce())
        for i in range(100):
            sender.link.send(Message(id="m%d" % i))
        receiver = peer.receiver(queue, AtMostOnce())
        receiver.link.flow(100)
        equal([peer.take(receiver, 0)[0].id for _ in range(100)], ["m%d" % i for i in range(100)])
        empty(peer, queue)


def outcome_accepted_first(queue):
    """The receiver settles at once, and hears no more of it."""
    with Peer() as peer:
        peer.send(queue, *[Message(id="m%d" % i) for i in range(20)])
        receiver = peer.receiver(queue, AtLeastOnce())
        receiver.link.flow(20)
        for _ in range(20):
            _, delivery = peer.take(receiver, 0)
            delivery.update(Delivery.ACCEPTED)
            delivery.settle()
        receiver.close()
        empty(peer, queue)


def outcome_accepted(queue):
    with Peer() as peer:
        peer.send(queue, Message(id="a"))
        _, delivery = peer.take(peer.receiver(queue, Second()))
        empty(peer, queue)
        equal(peer.settle(delivery, Delivery.ACCEPTED), (Delivery.ACCEPTED, None))
        empty(peer, queue)


def outcome_released(queue):
    """Given back as if it had never been out."""
    with Peer() as peer:
        peer.send(queue, Message(id="a"), Message(id="b"))
        receiver = peer.receiver(queue, Second())
        for _ in range(3):
            message, delivery = peer.take(receiver)
            equal((message.id, message.delivery_count), ("a", 0))
            equal(peer.settle(delivery, Delivery.RELEASED)[0], Delivery.ACCEPTED)


def outcome_modified(queue):
    """Abandoned: counted, in its old place, with what was changed on it."""
    with Peer() as peer:
        peer.send(queue, Message(id="a", properties={"kept": ubyte(1)}), Message(id="b"))
        receiver = peer.receiver(queue, Second())
        _, delivery = peer.take(receiver)
        delivery.local.failed = True
        delivery.local.annotations = {symbol("added"): ushort(2)}
        equal(peer.settle(delivery, Delivery.MODIFIED), (Delivery.ACCEPTED, None))
        message, delivery = peer.take(receiver)
        equal((message.id, message.delivery_count), ("a", 1))
        equal({k: (type(v), v) for k, v in message.properties.items()}, {"kept": (ubyte, 1), "added": (ushort, 2)})


def outcome_deferred(queue):
    """Undeliverable here: put aside, and no receiver gets it."""
    with Peer() as peer:
        peer.send(queue, Message(id="a"))
        receiver = peer.receiver(queue, Second())
        _, delivery = peer.take(receiver)
        delivery.local.undeliverable = True
        equal(peer.settle(delivery, Delivery.MODIFIED), (Delivery.ACCEPTED, None))
        empty(peer, queue)


def outcome_rejected(queue):
    """Dead-lettered, with the condition as the reason."""
    with Peer() as peer:
        peer.send(queue, Message(id="a"), Message(id="b"))
        receiver = peer.receiver(queue, Second())
        _, delivery = peer.take(receiver)
        delivery.local.condition = Condition("my:reason", "because")
        equal(peer.settle(delivery, Delivery.REJECTED), (Delivery.ACCEPTED, None))
        _, delivery = peer.take(receiver)
        info = {symbol("DeadLetterReason"): "why", symbol("DeadLetterErrorDescription"): "so", symbol("more"): ubyte(3)}
        delivery.local.condition = Condition("com.microsoft:dead-letter", None, info)
        equal(peer.settle(delivery, Delivery.REJECTED), (Delivery.ACCEPTED, None))
        empty(peer, queue)
        dead = peer.receiver(queue + "/$DeadLetterQueue", AtMostOnce())
        dead.link.flow(2)
        properties = [peer.take(dead, 0)[0].properties for _ in range(2)]
        equal(properties, [
            {"DeadLetterReason": "my:reason", "DeadLetterErrorDescription": "because"},
            {"DeadLetterReason": "why", "DeadLetterErrorDescription": "so", "more": 3},
        ])


def outcome_on_settled(queue):
    """Settled by another connection meanwhile: the lock is lost."""
    with Peer() as peer:
        peer.send(queue, Message(id="a"))
        receiver = peer.receiver(queue, Second())
        _, delivery = peer.take(receiver)
        answer = manage(peer, queue, "update-disposition", {
            "disposition-status": "completed", "lock-tokens": lock_tokens(delivery)})
        equal(answer.properties["statusCode"], 200)
        state, condition = peer.settle(delivery, Delivery.ACCEPTED)
        equal((state, condition.name), (Delivery.REJECTED, "com.microsoft:message-lock-lost"))


def lock_tokens(delivery):
    """The tag as a token: its first three fields are turned round."""
    tag = delivery.tag.encode("utf-8", "surrogateescape")
    return Array(UNDESCRIBED, Data.UUID, uuid.UUID(bytes_le=tag))


def manage(peer, queue, operation, body):
    """Asks the queue's $management node."""
    reply = unique("reply")
    receiver = peer.conn.create_receiver(queue + "/$management", name=reply, options=ReplyTo(reply))
    sender = peer.sender(queue + "/$management")
    sender.send(Message(id="request-1", reply_to=reply, properties={"operation": "com.microsoft:" + operation}, body=body))
    answer = receiver.receive()
    equal(answer.correlation_id, "request-1")
    sender.close()
    receiver.close()
    return answer


def credit(queue):
    """As many as there is credit for, and not one more."""
    with Peer() as peer:
        peer.send(queue, *[Message(id="m%d" % i) for i in range(10)])
        receiver = peer.receiver(queue, AtMostOnce())
        receiver.link.flow(3)
        got = [peer.take(receiver, 0)[0].id for _ in range(3)]
        equal(manage(peer, queue, "peek-message", {"from-sequence-number": 0, "message-count": int32(1)}).properties["statusCode"], 200)
        equal(len(receiver.inbox.got), 0, "more than the credit")
        receiver.link.flow(2)
        got += [peer.take(receiver, 0)[0].id for _ in range(2)]
        equal(got, ["m%d" % i for i in range(5)])


def drain(queue):
    with Peer() as peer:
        receiver = peer.receiver(queue, AtMostOnce())
        equal(ids(peer.drain(receiver, 10)), [], "of an empty queue")
        peer.send(queue, *[Message(id="m%d" % i) for i in range(5)])
        equal(ids(peer.drain(receiver, 3)), ["m0", "m1", "m2"], "less than there is")
        equal(ids(peer.drain(receiver, 3)), ["m3", "m4"], "more than there is")
        equal(receiver.link.credit, 0)
        peer.send(queue, Message(id="m5"))
        empty_handed = len(receiver.inbox.got)
        equal(empty_handed, 0, "without credit")
        equal(peer.take(receiver)[0].id, "m5", "after a drain")


def big_message(queue):
    """A message in hundreds of the smallest frames, through a session's small window."""
    with Peer(max_frame_size=512) as peer:
        body = bytes(i * 7 % 251 for i in range(200000))
        peer.send(queue, Message(id="big", body=body), Message(id="small", body=b"x"))
        session = peer.conn.conn.session()
        session.incoming_capacity = 4096
        session.open()
        receiver = peer.receiver(queue, Second(), session=session, inbox=Stream)
        receiver.link.flow(2)
        message, delivery = peer.take(receiver, 0)
        equal(message.body, body)
        peer.settle(delivery, Delivery.ACCEPTED)
        equal(peer.take(receiver, 0)[0].body, b"x")


def too_large(queue):
    with Peer() as peer:
        sender = peer.sender(queue)
        equal(sender.link.remote_max_message_size, 262144)
        delivery = sender.link.send(Message(id="a", body=bytes(262144 + 1)))
        try:
            peer.wait(lambda: delivery.settled, "for a message that is too large")
            equal(delivery.remote_state, Delivery.REJECTED)
            equal(delivery.remote.condition.name, "amqp:link:message-size-exceeded")
        except LinkDetached as detached:
            equal(detached.condition, "amqp:link:message-size-exceeded")
        peer.send(queue, Message(id="b"))
        receiver = peer.receiver(queue, AtMostOnce())
        equal(ids(peer.drain(receiver, 5)), ["b"])


def aborted(queue):
    """A message that is called off half way never was."""
    with Peer() as peer:
        sender = peer.sender(queue)
        for round_ in range(3):
            delivery = sender.link.delivery("aborted-%d" % round_)
            sender.link.stream(bytes(150000))
            peer.wait(lambda: sender.link.session.outgoing_bytes == 0, "for the first frames to leave")
            delivery.abort()
            equal(sender.send(Message(id="m%d" % round_)).remote_state, Delivery.ACCEPTED)
        equal(ids(peer.drain(peer.receiver(queue, AtMostOnce()), 10)), ["m0", "m1", "m2"])


def reopened(queue):
    """A link's name can be used again when it is closed; locks are not the link's."""
    with Peer() as peer:
        for i in range(5):
            sender = peer.sender(queue, name="sender")
            sender.send(Message(id="m%d" % i))
            sender.close()
        receiver = peer.receiver(queue, Second(), name="receiver")
        equal(peer.take(receiver)[0].id, "m0")
        receiver.close()
        receiver = peer.receiver(queue, Second(), name="receiver")
        equal(ids(peer.drain(receiver, 10)), ["m1", "m2", "m3", "m4"])


def detached(queue):
    """Detached and not closed, a link comes back; the bus remembers no delivery."""
    with Peer() as peer:
        receiver = peer.receiver(queue, Second(), name="receiver")
        receiver.link.detach()
        peer.wait(lambda: receiver.inbox.detached, "for the detach")
        receiver.link.free()
        peer.send(queue, Message(id="a"))
        again = peer.receiver(queue, Second(), name="receiver")
        equal(peer.take(again)[0].id, "a")


def sessions_end(queue):
    """Two sessions on a connection; one ends with its links open."""
    with Peer() as peer:
        sessions = [peer.conn.conn.session() for _ in range(2)]
        for session in sessions:
            session.open()
        receivers = [peer.receiver(queue, Second(), session=session) for session in sessions]
        peer.send(queue, Message(id="a"), Message(id="b"))
        equal(peer.take(receivers[0])[0].id, "a")
        sessions[0].close()
        peer.wait(lambda: not sessions[0].state & Endpoint.REMOTE_ACTIVE, "for the end")
        message, delivery = peer.take(receivers[1])
        equal(message.id, "b")
        equal(peer.settle(delivery, Delivery.ACCEPTED), (Delivery.ACCEPTED, None))


def heartbeat(queue):
    """A connection that is given up after two seconds of silence outlives five of them."""
    with Peer(heartbeat=2) as peer:
        due = timestamp(int(time.time() * 1000) + 5000)
        peer.send(queue, Message(id="a", annotations={symbol("x-opt-scheduled-enqueue-time"): due}))
        message, _ = peer.take(peer.receiver(queue, Second()))
        assert message.annotations["x-opt-enqueued-time"] >= due, message.annotations


class Coordinator(SenderOption):
    def apply(self, link):
        link.target.type = Terminus.COORDINATOR


def no_transactions(queue):
    with Peer() as peer:
        refused(lambda: peer.sender(None, options=Coordinator()), "amqp:not-implemented")
        peer.send(queue, Message(id="a"))


def many(queue):
    """A thousand messages in flight both ways at once."""
    with Peer() as peer:
        sender = peer.sender(queue)
        receiver = peer.receiver(queue, AtLeastOnce())
        receiver.link.flow(1000)
        deliveries, got = [], []
        while len(got) < 1000:
            while len(deliveries) < 1000 and sender.link.credit > 0:
                deliveries.append(sender.link.send(Message(id="m%d" % len(deliveries), body=bytes(100))))
            message, delivery = peer.take(receiver, 0)
            got.append(message.id)
            delivery.update(Delivery.ACCEPTED)
            delivery.settle()
        equal(got, ["m%d" % i for i in range(1000)])
        peer.wait(lambda: all(delivery.settled for delivery in deliveries), "for all to be confirmed")
        equal({delivery.remote_state for delivery in deliveries}, {Delivery.ACCEPTED})
        receiver.close()
        empty(peer, queue)


run({
    "sasl/anonymous-and-token": cbs,
    "sasl/token-refused": cbs_refused,
    "sasl/plain": sasl_plain,
    "sasl/plain-wrong-key": sasl_plain_wrong,
    "sasl/plain-over-tls": over_tls,
    "message/fields": receive_fields,
    "message/types": types,
    "message/sections": sections,
    "message/big": big_message,
    "message/too-large": too_large,
    "message/aborted": aborted,
    "send/presettled": presettled,
    "send/many": many,
    "outcome/accepted-first": outcome_accepted_first,
    "outcome/accepted": outcome_accepted,
    "outcome/released": outcome_released,
    "outcome/modified": outcome_modified,
    "outcome/deferred": outcome_deferred,
    "outcome/rejected": outcome_rejected,
    "outcome/lock-lost": outcome_on_settled,
    "link/credit": credit,
    "link/drain": drain,
    "link/reopened": reopened,
    "link/detached": detached,
    "link/session-ends": sessions_end,
    "link/no-transactions": no_transactions,
    "connection/heartbeat": heartbeat,
})
