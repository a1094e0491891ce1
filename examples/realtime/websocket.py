"""Follows a room over plain WebSocket and says hello; run it again and it prints what it missed.

BASE=http://localhost:8000 USER_KEY=sk_user_... ROOM_ID=... python3 examples/realtime/websocket.py
Needs nothing but Python's standard library, so half of it is the WebSocket itself; with a library it is ws.send and ws.recv.
"""
import base64, json, os, socket, ssl, struct, time
from pathlib import Path
from urllib.parse import urlsplit

BASE = urlsplit(os.environ.get("BASE", "http://localhost:8000"))
USER_KEY, ROOM_ID = os.environ["USER_KEY"], os.environ["ROOM_ID"]
SEQ_FILE = Path(os.environ.get("SEQ_FILE", f"{ROOM_ID}.seq"))


class WebSocket:
    def __init__(self):
        port = BASE.port or (443 if BASE.scheme == "https" else 80)
        self.socket = socket.create_connection((BASE.hostname, port), timeout=30)
        if BASE.scheme == "https":
            self.socket = ssl.create_default_context().wrap_socket(self.socket, server_hostname=BASE.hostname)
        self.file = self.socket.makefile("rb")
        self.socket.sendall(
            f"GET /api/v1/websocket/open HTTP/1.1\r\nHost: {BASE.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
            f"Authorization: Bearer {USER_KEY}\r\n\r\n".encode()
        )
        status = self.file.readline()
        if b" 101 " not in status:
            raise SystemExit(status.decode())
        while self.file.readline() != b"\r\n":
            pass

    def write(self, opcode, payload):
        mask = os.urandom(4)
        size = len(payload)
        head = bytes([0x80 | opcode]) + (bytes([0x80 | size]) if size < 126 else bytes([0xFE]) + struct.pack("!H", size))
        self.socket.sendall(head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload)))

    def send(self, type, data):
        self.write(1, json.dumps({"type": type, "ref": type, "data": data}).encode())

    def frames(self):
        """What the server says, until it closes. It never fragments."""
        while True:
            first, size = self.file.read(2)
            if size == 126:
                (size,) = struct.unpack("!H", self.file.read(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", self.file.read(8))
            payload = self.file.read(size)
            if first & 15 == 9:
                self.write(10, payload)
            elif first & 15 == 8:
                return
            else:
                yield json.loads(payload)


seq = int(SEQ_FILE.read_text()) if SEQ_FILE.exists() else 0
mine = f"hello-{time.time_ns()}"


def apply(frame):
    global seq
    if frame["seq"] <= seq:
        return
    data = frame["data"]
    print(frame["seq"], frame["type"], data.get("content") or data.get("user_name") or data["id"])
    seq = frame["seq"]
    SEQ_FILE.write_text(str(seq))


live = False
channel = WebSocket()
for frame in channel.frames():
    if frame["type"] == "connection_status":
        channel.send("subscribe", {"room_id": ROOM_ID, "after_seq": seq})
    elif frame["type"] == "error":
        raise SystemExit(f"{frame['data']['error_code']} {frame['data']['detail']}")
    elif frame["type"] == "ack" and frame["ref"] == "subscribe":
        if not frame["data"]["recovered"]:
            raise SystemExit("More than 1,000 changes behind: page through GET /rooms/{room_id}/changes")
        for missed in frame["data"]["frames"]:
            apply(missed)
        seq, live = max(seq, frame["data"]["seq"]), True
        channel.send("send_message", {"room_id": ROOM_ID, "content": "Hello over Python", "client_message_id": mine})
    elif live and "seq" in frame and frame["room_id"] == ROOM_ID:
        apply(frame)
        if frame["data"].get("client_message_id") == mine:
            channel.write(8, struct.pack("!H", 1000))
            break
