"""Speaks AMQP with the server at the URL in argv[1], by another engine: Qpid
Proton. Prints a line for each thing that worked, and fails at the first that
did not. See proton_test.go.
"""

import sys
import time

from proton import Delivery, Message
from proton.handlers import MessagingHandler
from proton.reactor import AtLeastOnce, AtMostOnce, Container
from proton.utils import BlockingConnection, LinkDetached

URL = sys.argv[1]
TIMEOUT = 60


def connect(**options):
    return BlockingConnection(URL, timeout=TIMEOUT, allowed_mechs="ANONYMOUS", **options)


def body(n, size):
    return bytes([n % 251]) * size


def plain():
    connection = BlockingConnection(
        URL, timeout=TIMEOUT, user="user", password="secret", sasl_enabled=True,
        allowed_mechs="PLAIN", allow_insecure_mechs=True)
    connection.create_sender("q-plain")
    connection.close()


def sizes():
    """Messages of many sizes, sent one by one and received in order."""
    connection = connect(max_frame_size=4096)
    sender = connection.create_sender("q-sizes")
    receiver = connection.create_receiver("q-sizes", credit=5)
    all_sizes = [0, 1, 255, 256, 4000, 4096, 5000, 70000, 300000]
    for n, size in enumerate(all_sizes):
        assert sender.send(Message(body(n, size), id=n), timeout=TIMEOUT).remote_state == Delivery.ACCEPTED
    for n, size in enumerate(all_sizes):
        message = receiver.receive(timeout=TIMEOUT)
        assert message.id == n and bytes(message.body) == body(n, size), (n, size)
        receiver.accept()
    connection.close()


def settled():
    """At most once, both ways."""
    connection = connect()
    sender = connection.create_sender("q-settled", options=AtMostOnce())
    for n in range(500):
        sender.send(Message(n), timeout=TIMEOUT)
    receiver = connection.create_receiver("q-settled", credit=7, options=AtMostOnce())
    for n in range(500):
        assert receiver.receive(timeout=TIMEOUT).body == n
    connection.close()


def released():
    connection = connect()
    sender = connection.create_sender("q-released", options=AtLeastOnce())
    receiver = connection.create_receiver("q-released", credit=1)
    again = connection.create_receiver("again", credit=1)
    sender.send(Message("x"))
    receiver.receive(timeout=TIMEOUT)
    receiver.release(delivered=False)
    assert again.receive(timeout=TIMEOUT).body == "x"
    again.reject()
    connection.close()


def missing():
    connection = connect()
    try:
        connection.create_receiver("missing")
        raise AssertionError("attached to what there is not")
    except LinkDetached as error:
        assert "amqp:not-found" in str(error), error
    connection.create_receiver("there").close()  # the connection is as good as before
    connection.close()


class Echo(MessagingHandler):
    """Sends on many links at once, without waiting, and receives by another
    connection on as many; each message once and in order."""

    LINKS, EACH = 8, 300

    def __init__(self):
        super().__init__(prefetch=20)
        self.sent, self.confirmed, self.received = {}, 0, {}

    def on_start(self, event):
        out = event.container.connect(URL, allowed_mechs="ANONYMOUS", max_frame_size=1024)
        back = event.container.connect(URL, allowed_mechs="ANONYMOUS", idle_timeout=10)
        self.connections = [out, back]
        for n in range(self.LINKS):
            address = "echo-%d" % n
            self.sent[event.container.create_sender(out, address)] = 0
            self.received[event.container.create_receiver(back, address)] = 0

    def on_sendable(self, event):
        while event.sender.credit and self.sent[event.sender] < self.EACH:
            n = self.sent[event.sender]
            event.sender.send(Message(body(n, n * 10), id=n))
            self.sent[event.sender] += 1

    def on_accepted(self, event):
        self.confirmed += 1
        self.finish()

    def on_message(self, event):
        n = self.received[event.receiver]
        assert event.message.id == n and bytes(event.message.body) == body(n, n * 10), event.message.id
        self.received[event.receiver] += 1
        self.finish()

    def finish(self):
        total = self.LINKS * self.EACH
        if self.confirmed == total and sum(self.received.values()) == total:
            for connection in self.connections:
                connection.close()

    def on_transport_error(self, event):
        raise AssertionError(event.transport.condition)


class Drain(MessagingHandler):
    """Drains a queue that has two messages of the ten that are wanted, and
    then receives by credit again."""

    def __init__(self):
        super().__init__(prefetch=0)
        self.received, self.drained = 0, 0

    def on_start(self, event):
        self.connection = event.container.connect(URL, allowed_mechs="ANONYMOUS")
        self.sender = event.container.create_sender(self.connection, "q-drain")
        self.receiver = event.container.create_receiver(self.connection, "q-drain")

    def on_sendable(self, event):
        if self.sender.credit and self.received == 0 and self.drained == 0 and not hasattr(self, "first"):
            self.first = [self.sender.send(Message(n)) for n in range(2)]

    def on_accepted(self, event):
        if event.delivery in self.first:
            self.first.remove(event.delivery)
            if not self.first:
                self.receiver.drain(10)

    def on_message(self, event):
        self.received += 1
        if self.received == 3:
            self.connection.close()

    def on_link_flow(self, event):
        if event.link == self.receiver and self.received == 2 and not self.drained and event.link.drained():
            self.drained += 1
            self.receiver.flow(1)
            self.sender.send(Message(2))


def handler(one):
    Container(one).run()
    return one


def echo():
    done = handler(Echo())
    assert done.confirmed == Echo.LINKS * Echo.EACH


def drain():
    done = handler(Drain())
    assert (done.received, done.drained) == (3, 1), (done.received, done.drained)


for step in [plain, sizes, settled, released, missing, echo, drain]:
    start = time.monotonic()
    step()
    print("ok", step.__name__, "%.1fs" % (time.monotonic() - start), flush=True)
