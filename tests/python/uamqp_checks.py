"""Checks of the bus with uAMQP, the C engine of Azure's earlier Python clients.

Its objects must be closed in order, or it crashes. It speaks TLS only, asks for SASL MSSBCBS and puts its tokens to $cbs by itself.
"""

import uamqp
from uamqp import authentication, constants, errors, types

from bench import PATIENCE, equal, run, tls

BUS = tls()

# The clients that a check has opened; they are closed after it.
OPEN = []


def auth(queue, key=None):
    return authentication.SASTokenAuth.from_shared_access_key(
        BUS.audience(queue), BUS.rule, key or BUS.key, port=BUS.port, verify=BUS.cert, timeout=PATIENCE,
        retry_policy=authentication.TokenRetryPolicy(retries=0))


def address(queue):
    return "amqps://%s/%s" % (BUS.host, queue)


def message(name, body=b"body", **properties):
    return uamqp.Message(body, properties=uamqp.message.MessageProperties(message_id=name),
                         application_properties=properties or None)


def send(queue, *messages, **options):
    client = uamqp.SendClient(address(queue), auth=options.pop("auth", None) or auth(queue), **options)
    OPEN.append(client)
    client.queue_message(*messages)
    results = client.send_all_messages()
    equal(results, [constants.MessageState.SendComplete] * len(results))
    equal(len(results), len(messages))


def receiver(queue, mode=constants.ReceiverSettleMode.PeekLock, prefetch=10, **options):
    client = uamqp.ReceiveClient(address(queue), auth=auth(queue), receive_settle_mode=mode, prefetch=prefetch,
                                 auto_complete=False, **options)
    OPEN.append(client)
    return client


def take(client, n):
    got = []
    while len(got) < n:
        more = client.receive_message_batch(max_batch_size=n - len(got), timeout=PATIENCE * 1000)
        assert more, "%d of %d messages came" % (len(got), n)
        got += more
    return got


def name(received):
    return received.properties.message_id.decode()


def left(queue):
    """The ids of all messages in a queue, by $management."""
    client = receiver(queue)
    client.open()
    request = uamqp.Message({
        b"from-sequence-number": types.AMQPLong(0), b"message-count": types.AMQPInt(100)})
    answers = []

    def answered(status, response, description):
        answers.append((status, response.get_data() if status == 200 else None))
        return response

    client.mgmt_request(request, b"com.microsoft:peek-message", op_type=b"entity-mgmt", node=(queue + "/$management").encode(),
                        timeout=PATIENCE * 1000, callback=answered)
    client.close()
    status, body = answers[0]
    if status == 204:
        return []
    equal(status, 200)
    return [name(uamqp.Message.decode_from_bytes(entry[b"message"])) for entry in body[b"messages"]]


def send_and_receive(queue):
    body = bytes(range(256)) * 400
    send(queue, message("a", body, text="t", number=3), message("b"))
    client = receiver(queue)
    a, b = take(client, 2)
    equal((name(a), name(b)), ("a", "b"))
    equal(b"".join(a.get_data()), body)
    equal(a.application_properties, {b"text": b"t", b"number": 3})
    equal(sorted(a.annotations), [b"x-opt-enqueued-time", b"x-opt-locked-until", b"x-opt-sequence-number"])
    equal(a.header.delivery_count, 0)
    equal((a.accept(), b.accept()), (True, True))
    client.close()
    equal(left(queue), [])


def receive_and_delete(queue):
    send(queue, message("a"), message("b"))
    client = receiver(queue, constants.ReceiverSettleMode.ReceiveAndDelete,
                      send_settle_mode=constants.SenderSettleMode.Settled)
    equal([name(m) for m in take(client, 2)], ["a", "b"])
    client.close()
    equal(left(queue), [])


def batch(queue):
    bodies = [b"one", b"two", b"three"]
    send(queue, uamqp.message.BatchMessage(data=bodies, multi_messages=False))
    equal([b"".join(m.get_data()) for m in take(receiver(queue), 3)], bodies)


def settle(queue):
    send(queue, message("accepted"), message("rejected"), message("modified"), message("released"), message("deferred"))
    client = receiver(queue, prefetch=5)
    accepted, rejected, modified, released, deferred = take(client, 5)
    accepted.accept()
    rejected.reject(condition=b"com.microsoft:dead-letter", description=b"d", info={
        b"DeadLetterReason": b"why", b"DeadLetterErrorDescription": b"because"})
    modified.modify(True, False, {b"added": 1})
    released.release()
    deferred.modify(True, True)
    again = take(client, 2)
    equal(sorted((name(m), m.header.delivery_count) for m in again), [("modified", 1), ("released", 0)])
    equal([m.application_properties for m in again if name(m) == "modified"], [{b"added": 1}])
    for m in again:
        m.accept()
    client.close()
    equal(left(queue), ["deferred"])
    dead = receiver(queue + "/$DeadLetterQueue")
    letter, = take(dead, 1)
    equal(letter.application_properties, {b"DeadLetterReason": b"why", b"DeadLetterErrorDescription": b"because"})
    letter.accept()


def many(queue):
    send(queue, *[message("m%d" % i) for i in range(300)])
    client = receiver(queue, prefetch=50)
    got = []
    while len(got) < 300:
        for m in take(client, 50):
            got.append(name(m))
            m.accept()
    equal(got, ["m%d" % i for i in range(300)])
    client.close()
    equal(left(queue), [])


def wrong_key(queue):
    try:
        send(queue, message("a"), auth=auth(queue, key="wrong"))
    except errors.TokenAuthFailure as failure:
        equal(failure.status_code, 401)
    else:
        raise AssertionError("a wrong key is let in")
    try:
        send("no-such-queue", message("a"))
    except errors.TokenAuthFailure as failure:
        equal(failure.status_code, 404)
    else:
        raise AssertionError("a queue is there that nobody made")


def sasl_plain(queue):
    login = authentication.SASLPlain(BUS.host, BUS.rule, BUS.key, port=BUS.port, verify=BUS.cert)
    send(queue, message("a"), auth=login)
    equal(left(queue), ["a"])


def closing(check):
    def closes(queue):
        try:
            check(queue)
        finally:
            while OPEN:
                OPEN.pop().close()
    return closes


run({name: closing(check) for name, check in {
    "send-and-receive": send_and_receive,
    "receive-and-delete": receive_and_delete,
    "batch": batch,
    "settle": settle,
    "many": many,
    "refused": wrong_key,
    "sasl-plain": sasl_plain,
}.items()})
