"""What the checks of all Python clients share.

A program calls run with its checks; each has the queue PREFIX/NAME for itself,
which the caller has made. One line of JSON is printed for each:
{"check": NAME, "passed": true|false, "ms": N, "error": TEXT}.

  BUS            a connection string for plain TCP
  BUS_ADMIN      a connection string for TLS
  BUS_CERT       the file of the certificate that the bus shows
  QUEUE_PREFIX   before the name of a check
  CHECKS         only those whose name has this in it
"""

import base64
import hashlib
import hmac
import json
import os
import signal
import sys
import time
import traceback
from urllib.parse import quote_plus, urlsplit

# How long a check waits for what should come soon, in seconds. It is long
# because the machine may be busy with other tests.
PATIENCE = 30

# The most that one check may take, in seconds.
LIMIT = 50


class Bus:
    """Where the bus is, and whom it lets in."""

    def __init__(self, connection_string, cert=None):
        parts = dict(part.split("=", 1) for part in connection_string.split(";") if part)
        endpoint = urlsplit(parts["Endpoint"])
        self.host, self.port = endpoint.hostname, endpoint.port
        self.rule, self.key = parts["SharedAccessKeyName"], parts["SharedAccessKey"]
        self.cert = cert

    def audience(self, path):
        return "sb://%s:%d/%s" % (self.host, self.port, path)

    def token(self, path, seconds=3600, key=None):
        """A shared access signature for a path, for so many seconds."""
        what = quote_plus(self.audience(path))
        expires = int(time.time()) + seconds
        signature = hmac.new((key or self.key).encode(), ("%s\n%d" % (what, expires)).encode(), hashlib.sha256)
        sig = quote_plus(base64.b64encode(signature.digest()))
        return "SharedAccessSignature sr=%s&sig=%s&se=%d&skn=%s" % (what, sig, expires, self.rule)


def plain():
    return Bus(os.environ["BUS"])


def tls():
    return Bus(os.environ["BUS_ADMIN"], os.environ["BUS_CERT"])


def run(checks):
    """Runs checks, a dict of functions that take the name of their queue."""
    signal.signal(signal.SIGALRM, give_up)
    for name, check in checks.items():
        if os.environ.get("CHECKS", "") not in name:
            continue
        result = {"check": name, "passed": True}
        start = time.monotonic()
        signal.alarm(LIMIT)
        try:
            check(os.environ["QUEUE_PREFIX"] + "/" + name)
        except Exception:  # whatever it is, it is the result
            result.update(passed=False, error=traceback.format_exc())
        signal.alarm(0)
        result["ms"] = round((time.monotonic() - start) * 1000)
        print(json.dumps(result), flush=True)
    sys.stdout.flush()
    # What a broken check left behind must not keep the program from ending.
    os._exit(0)


def give_up(*_):
    raise TimeoutError("not done after %d s" % LIMIT)


def equal(got, want, what=""):
    assert got == want, "%s: got %r, want %r" % (what, got, want) if what else "got %r, want %r" % (got, want)
