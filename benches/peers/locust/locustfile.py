"""Handshakes with Locust, websocket-client and cryptography. A user begins the next one when the last has ended.

Locust has no WebSocket of its own: its documentation shows a user like this one, that reports each request by an event.
"""

import hashlib
import json
import os
import struct
import time
from base64 import urlsafe_b64encode

import gevent
import websocket
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from locust import User, constant, events, task

ROLE = "operator"
SCOPES = ["operator.read", "operator.write", "operator.admin", "operator.approvals", "operator.pairing"]
TOKEN = os.environ.get("PEERS_TOKEN", "")


def base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


# One device a process, whose key never leaves it.
KEY = Ed25519PrivateKey.generate()
PUBLIC_KEY = KEY.public_key().public_bytes_raw()
DEVICE_ID = hashlib.sha256(PUBLIC_KEY).hexdigest()


def connect_request(nonce: str) -> str:
    """The text of the `connect` that answers a challenge (docs/reference/wire.md, sections 2.1 and 3)."""
    signed_at = int(time.time() * 1000)
    fields = ["v3", DEVICE_ID, "cli", "cli", ROLE, ",".join(SCOPES), str(signed_at), TOKEN, nonce, "linux", ""]
    device = {
        "id": DEVICE_ID,
        "publicKey": base64url(PUBLIC_KEY),
        "signature": base64url(KEY.sign("|".join(fields).encode())),
        "signedAt": signed_at,
        "nonce": nonce,
    }
    params = {
        "minProtocol": 3,
        "maxProtocol": 4,
        "client": {"id": "cli", "version": "1.0.0", "platform": "linux", "mode": "cli"},
        "role": ROLE,
        "scopes": SCOPES,
        "caps": [],
        "auth": {"token": TOKEN},
        "locale": "en-US",
        "userAgent": "peers/1.0",
        "device": device,
    }
    return json.dumps({"type": "req", "id": "1", "method": "connect", "params": params}, separators=(",", ":"))


@events.init.add_listener
def catch_up(**_):
    # gevent's clock stands still while modules are imported, and --run-time counts from where it stood: runs of 3 s were seen to
    # end after 0.1 s.
    gevent.get_hub().loop.update_now()


class RefusedError(Exception):
    """The gateway closed before it was asked to."""


class Client(User):
    wait_time = constant(0)

    @task
    def handshake(self):
        failure = None
        began = time.perf_counter()
        try:
            self.connect_and_leave()
        except Exception as error:  # whatever it is belongs into the report
            failure = error
        self.environment.events.request.fire(
            request_type="ws",
            name="handshake",
            response_time=(time.perf_counter() - began) * 1000,
            response_length=0,
            exception=failure,
        )

    def connect_and_leave(self):
        # With its default `Origin` a gateway would take this client for a browser and refuse it.
        socket = websocket.create_connection(self.host, suppress_origin=True)
        try:
            challenge = json.loads(socket.recv())
            socket.send(connect_request(challenge["payload"]["nonce"]))
            answer = json.loads(socket.recv())
            accepted = answer.get("ok") and answer["payload"]["type"] == "hello-ok"
            if accepted:
                socket.send_close(1000)
            opcode, payload = None, b""
            # Gateways send events after `hello-ok`.
            while opcode != websocket.ABNF.OPCODE_CLOSE:
                opcode, payload = socket.recv_data(control_frame=True)
            code = struct.unpack("!H", payload[:2])[0] if len(payload) >= 2 else None
            if not accepted or code != 1000:
                raise RefusedError(f"closed {code}")
        finally:
            socket.shutdown()
