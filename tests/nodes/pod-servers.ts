/**
 * Port 8080 answers HTTP and echoes WebSocket frames (RFC 6455). Port 8081 speaks first, and closes after its data.
 * Port 8082 sends as much as the first line of its client asks for.
 */
export const podServers = `exec python3 -c '
import base64, hashlib, socketserver, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.headers.get("upgrade") == "websocket":
            return self.echo_frames()
        body = bytes(range(256)) * (int(self.path[1:]) // 256)
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def echo_frames(self):
        key = self.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("upgrade", "websocket")
        self.send_header("connection", "upgrade")
        self.send_header("sec-websocket-accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        self.close_connection = True
        while True:
            first, size = self.rfile.read(2)
            size &= 127
            length = self.rfile.read({126: 2, 127: 8}.get(size, 0))
            size = int.from_bytes(length, "big") if length else size
            mask = self.rfile.read(4)
            masked = int.from_bytes(self.rfile.read(size), "big")
            key = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
            head = bytes([first, len(length) and (126 if len(length) == 2 else 127) or size]) + length
            self.wfile.write(head + (masked ^ key).to_bytes(size, "big"))
            if first & 15 == 8:
                return

class Greeter(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(b"SSH-2.0-greeter\\r\\n")

class Sender(socketserver.BaseRequestHandler):
    def handle(self):
        size = int(self.request.makefile().readline())
        self.request.sendall(bytes(range(256)) * (size // 256))

class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

ThreadingHTTPServer.request_queue_size = 128
for port, handler in ((8081, Greeter), (8082, Sender)):
    threading.Thread(target=Server(("", port), handler).serve_forever).start()
ThreadingHTTPServer(("", 8080), Page).serve_forever()
'`;
