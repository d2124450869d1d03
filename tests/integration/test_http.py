#!/usr/bin/env python3
"""What hostile bytes meet at the HTTP surface: threats H1 to H16 and S1 to S9, over raw sockets.

Runs against PADDOCK_TEST_ADDRESS (host:port of any running daemon without keys), else against tests/unit/gateway_server,
the real gateway before canned services, once on a direct listener and once behind the door.
"""
import hashlib
import json
import os
import re
import resource
import socket
import statistics
import subprocess
import tempfile
import time
import unittest

BUILD = os.environ.get("top_builddir", ".")
SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
ADDRESS = os.environ.get("PADDOCK_TEST_ADDRESS")
JSON = "Content-Type: application/json\r\n"
LEAKS = re.compile(rb"0x[0-9a-f]{8,}|/usr|/var|/home|/tmp|/work")


class Server:
    """gateway_server with these arguments, until closed."""

    def __init__(self, *arguments):
        program = os.path.join(BUILD, "tests/unit/gateway_server")
        if not os.path.exists(program):
            raise unittest.SkipTest("tests/unit/gateway_server is not built")
        self.process = subprocess.Popen([program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        stderr=subprocess.PIPE)
        line = self.process.stdout.readline()
        if not line.startswith("port "):
            raise RuntimeError(self.close()[1])
        self.port = int(line.split()[1])

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def rss_kib(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.process.stdout.close()
        errors = self.process.stderr.read()
        self.process.stderr.close()
        return self.process.returncode, errors


def read_all(client, seconds=10):
    """What comes until the peer closes or falls silent; and whether it closed."""
    got, closed = b"", False
    client.settimeout(seconds)
    try:
        while True:
            piece = client.recv(65536)
            if not piece:
                closed = True
                break
            got += piece
    except ConnectionError:
        closed = True
    except TimeoutError:
        pass
    return got, closed


def answers(got):
    """The answers in `got`, each as (status, head, body)."""
    found = []
    while got.startswith(b"HTTP/1.1 "):
        head, _, rest = got.partition(b"\r\n\r\n")
        status = int(head[9:12])
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        if length:
            body, got = rest[: int(length[1])], rest[int(length[1]):]
        elif re.search(rb"(?i)\r\ntransfer-encoding: chunked", head):
            body, got = unchunk(rest)
        else:
            body, got = (b"", rest) if status == 100 else (rest, b"")
        found.append((status, head, body))
    return found


def unchunk(rest):
    body = b""
    while True:
        size, _, rest = rest.partition(b"\r\n")
        count = int(size or b"0", 16)
        body, rest = body + rest[:count], rest[count + 2:]
        if count == 0:
            return body, rest


class Surface:
    """The battery; subclasses say where. Each case leaves the server as it was."""

    host, port = "127.0.0.1", 0
    family = socket.AF_INET

    def connect(self):
        client = socket.create_connection((self.host, self.port), timeout=10)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client

    def send(self, data, seconds=5):
        with self.connect() as client:
            try:
                client.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))
            except ConnectionError:
                pass
            return read_all(client, seconds)

    def refused(self, data, status=400, seconds=5):
        """One answer, that status, the connection closed, nothing of the machine's in the body."""
        started = time.monotonic()
        got, closed = self.send(data, seconds)
        took = time.monotonic() - started
        found = answers(got)
        self.assertEqual(len(found), 1, got[:300])
        allowed = status if isinstance(status, tuple) else (status,)
        self.assertIn(found[0][0], allowed, found[0])
        self.assertTrue(closed, "the connection stayed open")
        self.assertLess(took, 3)
        self.assertLess(len(found[0][2]), 4096)
        self.assertIsNone(LEAKS.search(found[0][2]), found[0][2])
        return found[0]

    def get(self, path, head="", seconds=5):
        got, _ = self.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{head}\r\n", seconds)
        return answers(got)[0]

    def post(self, path, body, head=JSON, seconds=5):
        body = body if isinstance(body, bytes) else body.encode()
        got, _ = self.send(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{head}"
                           f"Content-Length: {len(body)}\r\n\r\n".encode() + body, seconds)
        return answers(got)[0]

    def setUp(self):
        self.started = time.monotonic()

    def tearDown(self):
        self.assertEqual(self.get("/healthz")[0], 200)
        if os.environ.get("PADDOCK_TEST_TIMES"):
            print(f"{time.monotonic() - self.started:6.2f} s {self.id()}")

    # H1
    def test_head_of_64_mb(self):
        with self.connect() as client:
            sent = 0
            client.settimeout(5)
            try:
                client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
                while sent < 64 << 20:
                    sent += client.send(b"a" * 65536)
            except (ConnectionError, TimeoutError):
                pass
            self.assertLess(sent, 32 << 20)

    def test_head_just_over(self):
        self.refused(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 16400 + b"\r\n\r\n", 431)

    def test_long_request_line(self):
        self.refused(b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431)

    def test_many_headers(self):
        for count in (101, 1000):
            fields = "".join(f"X{i}: 1\r\n" for i in range(count))
            self.refused(f"GET /healthz HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n", (400, 431))

    def test_sixty_headers_pass(self):
        self.assertEqual(self.get("/healthz", "".join(f"X{i}: 1\r\n" for i in range(58)))[0], 200)

    def test_hidden_header_behind_many(self):
        """A framing header past CivetWeb's 64th, which it would not see."""
        fields = "".join(f"X{i}: 1\r\n" for i in range(70))
        self.refused(f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n{JSON}{fields}Transfer-Encoding: chunked\r\n\r\n"
                     "0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", (400, 431))

    # H2
    def test_half_a_million_chunks(self):
        head = f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n".encode()
        started = time.monotonic()
        found = answers(self.send(head + b"1\r\na\r\n" * 500000 + b"0\r\n\r\n")[0])
        self.assertLess(time.monotonic() - started, 2 if not os.environ.get("PADDOCK_TEST_SLOW") else 10)
        self.assertIn(found[0][0] if found else 400, (400, 413))

    def test_chunks(self):
        head = f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n"
        for body, fine in (("2\r\n{}\r\n0\r\n\r\n", True), ("1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", True), ("zz\r\n{}\r\n0\r\n\r\n", False),
                           ("-2\r\n{}\r\n0\r\n\r\n", False), ("2\r\n{}xx0\r\n\r\n", False), ("0x2\r\n{}\r\n0\r\n\r\n", False),
                           ("2;a=b\r\n{}\r\n0\r\n\r\n", False), ("ffffffffffffffff\r\n{}\r\n0\r\n\r\n", False),
                           ("8000000000000000\r\n{}\r\n0\r\n\r\n", False), ("2\n{}\n0\n\n", False), (" 2\r\n{}\r\n0\r\n\r\n", False)):
            with self.subTest(body=body):
                # A size beyond all numbers is waited for as long as a body may pause.
                status = answers(self.send(head + body, 15)[0])[0][0]
                self.assertTrue(status not in (408, 413, 500) if fine else status in (400, 408, 413), status)

    def test_chunked_body_too_large(self):
        head = f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n".encode()
        piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
        found = answers(self.send(head + piece * 140 + b"0\r\n\r\n", 10)[0])
        self.assertEqual(found[0][0] if found else 413, 413)

    # H3
    def test_framing(self):
        inner = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        start = f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n{JSON}"
        for framing in ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
                        "Content-Length: 5\r\nContent-Length: 5\r\n", "Content-Length: 5\r\nContent-Length: 6\r\n",
                        "Content-Length: +5\r\n", "Content-Length: -5\r\n", "Content-Length: 5 abc\r\n", "Content-Length: 5, 5\r\n",
                        "Content-Length: 0x5\r\n", "Content-Length: \r\n", "Content-Length: 5.0\r\n",
                        "Content-Length : 5\r\n", "Content-Length\t: 5\r\n", "Transfer-Encoding : chunked\r\n",
                        "Transfer-Encoding: identity\r\n", "Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: chunked, identity\r\n",
                        "Transfer-Encoding: xchunked\r\n", "Transfer-Encoding: \"chunked\"\r\n", "Transfer-Encoding: chunked;q=1\r\n",
                        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
                        "Transfer-Encoding:\r\n chunked\r\n", "X: a\r\n Transfer-Encoding: chunked\r\n", "\tX: a\r\n", ": empty\r\n",
                        "X\r\n", "X y: 1\r\n", "X(: 1\r\n", "X: a\rTransfer-Encoding: chunked\r\n", "X: a\nTransfer-Encoding: chunked\r\n",
                        "X: a\0b\r\n", "X: a\x01b\r\n", "X: \x7f\r\n", "\x80X: a\r\n"):
            with self.subTest(framing=framing):
                self.refused(start + framing + "\r\n" + "0\r\n\r\n" + inner)

    def test_content_length_out_of_range(self):
        for length in ("9223372036854775808", "18446744073709551621", "1" + "0" * 30):
            with self.subTest(length=length):
                self.refused(f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n{JSON}Content-Length: {length}\r\n\r\n", (400, 413))

    def test_request_lines(self):
        for line, status in (("GET /healthz HTTP/2.0", (400, 505)), ("GET /healthz HTTP/0.9", (400, 505)), ("GET /healthz HTTP/1.2", (400, 505)),
                             ("GET /healthz", 400), ("GET  /healthz HTTP/1.1", 400), ("GET /healthz  HTTP/1.1", 400),
                             ("GET\t/healthz HTTP/1.1", 400), ("G(T /healthz HTTP/1.1", (400, 405)), ("/healthz HTTP/1.1", 400),
                             ("GET healthz HTTP/1.1", 400), ("GET /healthz http/1.1", 400), ("GET /healthz HTTP/1.1 x", 400),
                             ("GET /a b HTTP/1.1", 400), ("GET /healthz#x HTTP/1.1", 400)):
            with self.subTest(line=line):
                self.refused(f"{line}\r\nHost: localhost\r\n\r\n", status)

    def test_hosts(self):
        for fields in ("", "Host: localhost\r\nHost: localhost\r\n", "Host: a\r\nHost: b\r\n", "Host: a b\r\n", "Host: a/b\r\n", "Host: \r\n",
                       "Host: a@b\r\n", " Host: localhost\r\n", "Host : localhost\r\n"):
            with self.subTest(fields=fields):
                self.refused(f"GET /healthz HTTP/1.1\r\n{fields}\r\n")

    def test_bare_newlines(self):
        for text in ("GET /healthz HTTP/1.1\nHost: localhost\n\n", "GET /healthz HTTP/1.1\r\nHost: localhost\n\r\n",
                     "GET /healthz HTTP/1.1\nHost: localhost\r\n\r\n"):
            with self.subTest(text=text):
                got, closed = self.send(text, 1)
                # A reader that knows CRLF only may also wait for it.
                self.assertTrue(not got or answers(got)[0][0] == 400, got)

    def test_http_10(self):
        got, closed = self.send("GET /healthz HTTP/1.0\r\n\r\n")
        self.assertEqual(answers(got)[0][0], 200)
        self.assertTrue(closed)

    def test_expect(self):
        self.refused(f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n{JSON}Expect: 200-ok\r\nContent-Length: 2\r\n\r\n", 417)
        with self.connect() as client:
            client.sendall(f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{JSON}Expect: 100-continue\r\n"
                           "Content-Length: 2\r\n\r\n".encode())
            self.assertIn(b"HTTP/1.1 100 ", client.recv(100))
            client.sendall(b"{}")
            got, _ = read_all(client)
            self.assertNotIn(b"100 Continue", got)
            self.assertTrue(got.startswith(b"HTTP/1.1 "), got)

    # H5
    def test_body_of_10_tb(self):
        for length in (10 << 40, (8 << 20) + 1):
            started = time.monotonic()
            self.refused(f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n{JSON}Content-Length: {length}\r\n\r\n", 413)
            self.assertLess(time.monotonic() - started, 1)

    def test_short_body_then_hang_up(self):
        for _ in range(20):
            with self.connect() as client:
                client.sendall(f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n{JSON}Content-Length: 100\r\n\r\n{{".encode())

    def test_refused_request_with_body_closes(self):
        for path, head, status in (("/nope", JSON, 404), ("/healthz", JSON, 405), ("/v1/completions", "Content-Type: text/plain\r\n", 400)):
            with self.subTest(path=path):
                self.refused(f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{head}Content-Length: 40\r\n\r\n"
                             "GET /healthz HTTP/1.1\r\nHost: localhost\r\n", status)

    # H6, H7, H8
    def test_json_depth(self):
        for opening in ("[", '{"a":'):
            body = opening * 850
            status, _, text = self.post("/v1/completions", body)
            self.assertEqual(status, 400)
            self.assertLess(len(text), 4096)

    def test_json(self):
        for body in ("", "{", '{"model":"a","model":"b"}', '{"temperature":NaN}', '{"temperature":1e999}', '{"a":01}', "{} x", '{"a":"\udcff"}',
                     '{"a":"\\ud800"}', '{"a":"\x01"}', "null", "[]", '"x"', "5"):
            with self.subTest(body=body):
                status, _, text = self.post("/v1/completions", body.encode("utf-8", "surrogateescape"))
                if body in ("null", "[]", '"x"', "5") and not ADDRESS:
                    continue  # the canned handlers do not mind
                self.assertEqual(status, 400, text)
                self.assertIn("error", json.loads(text))

    # H9, H10, H11
    def test_request_id(self):
        _, head, _ = self.get("/healthz", "X-Request-Id: abc-1.2_Z\r\n")
        self.assertIn(b"X-Request-Id: abc-1.2_Z", head)
        for bad in ("a b", "a" * 129, "a;b", "\xe4", ""):
            with self.subTest(bad=bad):
                _, head, _ = self.get("/healthz", f"X-Request-Id: {bad}\r\n")
                self.assertRegex(head, rb"X-Request-Id: [0-9a-f]{16}\r\n")
                self.assertRegex(head, rb"Warning: 299 ")

    def test_errors_are_small(self):
        _, _, text = self.post("/v1/completions", json.dumps({"model": "m" * 100000}))
        self.assertLess(len(text), 4096)
        status, _, text = self.get("/" + "x" * 10000)
        self.assertEqual(status, 404)
        self.assertLess(len(text), 200)

    # H12
    def test_paths(self):
        for path in ("/v1/../healthz", "/..", "/../../etc/passwd", "/%2e%2e/healthz", "/v1/%2e%2e/healthz", "/v1/./models", "/a%2fb", "/a%2Fb",
                     "/%00", "/healthz%00", "/%", "/%z", "/%zz", "/%1", "/%ff", "/%c0%af", "/%ed%a0%80", "/%0a", "/a%5cb", "//healthz",
                     "///healthz", "/\xff"):
            with self.subTest(path=path):
                self.refused(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")

    def test_unknown(self):
        self.assertEqual(self.get("/nope")[2], b'{"detail":"Not Found"}')
        status, head, body = self.get("/v1/completions")
        self.assertEqual((status, body), (405, b'{"detail":"Method Not Allowed"}'))
        self.assertIn(b"Allow: POST", head)
        for path in ("/healthz/", "/HEALTHZ", "/v1", "/v1/modelsx", "/index.html", "/.git/config"):
            self.assertEqual(self.get(path)[0], 404, path)

    # H14
    def test_browser(self):
        for method, path in (("GET", "/v1/models"), ("PUT", "/apis/serving.kserve.io/v1beta1/namespaces/default/inferenceservices/x"),
                             ("POST", "/v1/completions"), ("OPTIONS", "/v1/completions")):
            with self.subTest(method=method):
                got, _ = self.send(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nOrigin: http://evil\r\n{JSON}"
                                   "Content-Length: 2\r\n\r\n{}")
                status, head, _ = answers(got)[0]
                self.assertEqual(status, 403)
                self.assertNotIn(b"access-control", head.lower())

    def test_rebinding(self):
        for host, status in (("evil.example", 403), ("127.evil.example", 403), ("localhost.evil.example", 403), ("[::2]", 403),
                             ("127.0.0.1:8080", 200), ("localhost:1", 200), ("LOCALHOST", 200), ("[::1]:8080", 200)):
            with self.subTest(host=host):
                got, _ = self.send(f"GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
                self.assertEqual(answers(got)[0][0], status)

    # H15
    def test_thousand_pipelined(self):
        one = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: r%d\r\n\r\n"
        with self.connect() as client:
            client.settimeout(20)
            import threading
            sender = threading.Thread(target=lambda: client.sendall(b"".join(one % i for i in range(1000))))
            sender.start()
            got = b""
            while got.count(b"X-Request-Id:") < 1000 or not got.endswith(b"ok"):
                piece = client.recv(65536)
                if not piece:
                    break
                got += piece
            sender.join()
        ids = re.findall(rb"X-Request-Id: r(\d+)", got)
        self.assertEqual([int(i) for i in ids], list(range(1000)))

    def test_pipelined_bodies(self):
        body = b'{"model":"nope"}'
        one = f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n{JSON}Content-Length: {len(body)}\r\n\r\n".encode() + body
        got, closed = self.send(one + one)
        # The first is refused and has a body: the second must not be read.
        self.assertEqual(len(answers(got)), 1)
        self.assertTrue(closed)

    # H16
    def test_content_encoding(self):
        for coding in ("gzip", "br", "deflate", "x", "gzip, gzip"):
            self.refused(f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n{JSON}Content-Encoding: {coding}\r\n"
                         "Content-Length: 4\r\n\r\n\x1f\x8b\x08\x00", 415)

    def test_content_type(self):
        for kind, fine in (("application/json", True), ("Application/JSON", True), ("application/json; charset=utf-8", True),
                           ("application/json;charset=utf-8", True), ("text/plain", False), ("application/jsonx", False), ("", False)):
            with self.subTest(kind=kind):
                _, _, body = self.post("/v1/completions", "{}", f"Content-Type: {kind}\r\n")
                self.assertEqual(b"Unsupported Media Type" not in body, fine)

    # H4
    def test_idle_clients_do_not_stop_others(self):
        idle = [self.connect() for _ in range(40)]
        for client in idle[:20]:
            client.sendall(b"GET /healthz HTT")
        started = time.monotonic()
        self.assertEqual(self.get("/healthz")[0], 200)
        self.assertLess(time.monotonic() - started, 1)
        for client in idle:
            client.close()

    def test_many_short_connections(self):
        for _ in range(300):
            self.connect().close()

    # S9
    def test_labels_do_not_grow(self):
        series = len(self.get("/metrics")[2].splitlines())
        self.get("/nope")
        series = len(self.get("/metrics")[2].splitlines())
        for i in range(50):
            self.get(f"/x{i}")
            self.post("/v1/completions", json.dumps({"model": f"m{i}"}))
        self.assertLessEqual(len(self.get("/metrics")[2].splitlines()), series + 20)
        self.assertNotIn(b"m49", self.get("/metrics")[2])


if ADDRESS:

    class Given(Surface, unittest.TestCase):
        """Whatever runs at PADDOCK_TEST_ADDRESS."""

        @classmethod
        def setUpClass(cls):
            host, _, port = ADDRESS.rpartition(":")
            cls.host, cls.port = host.strip("[]"), int(port)


class Own(Surface):
    """Cases that look into the server, or need its canned handlers."""

    listen = ()

    @classmethod
    def setUpClass(cls):
        if ADDRESS:
            raise unittest.SkipTest("PADDOCK_TEST_ADDRESS is set")
        cls.server = Server(*cls.listen)
        cls.port = cls.server.port

    @classmethod
    def tearDownClass(cls):
        status, errors = cls.server.close()
        assert status == 0, errors
        assert "ERROR: " not in errors and "runtime error" not in errors, errors

    def test_head_costs_no_memory(self):
        before = self.server.rss_kib()
        for _ in range(3):
            self.test_head_of_64_mb()
        self.assertLess(self.server.rss_kib() - before, 4096)

    def test_slow_head(self):
        started = time.monotonic()
        with self.connect() as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHo")
            got, closed = read_all(client, 10)
        self.assertTrue(closed)
        self.assertLess(time.monotonic() - started, 6)
        self.assertTrue(not got or answers(got)[0][0] in (400, 408), got)

    def test_slow_body(self):
        started = time.monotonic()
        with self.connect() as client:
            client.sendall(f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n{JSON}Content-Length: 20000\r\n\r\n".encode())
            client.settimeout(0.2)
            got = b""
            try:
                while not got and time.monotonic() - started < 12:
                    client.sendall(b" ")
                    try:
                        got = client.recv(65536)
                        break
                    except TimeoutError:
                        pass
            except ConnectionError:
                pass
        self.assertLess(time.monotonic() - started, 8)
        if got:
            self.assertEqual(answers(got)[0][0], 408)

    def test_body_arrives_in_pieces(self):
        body = b" " * 199998 + b"{}"
        with self.connect() as client:
            client.sendall(f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{JSON}"
                           f"Content-Length: {len(body)}\r\n\r\n".encode())
            for at in range(0, len(body), 20000):
                client.sendall(body[at: at + 20000])
                time.sleep(0.02)
            got, _ = read_all(client)
        status, _, text = answers(got)[0]
        self.assertEqual((status, json.loads(text)["body_bytes"]), (200, 200000))

    def test_keep_alive(self):
        with self.connect() as client:
            for i in range(20):
                body = b'{"model":"opt-125"}'
                client.sendall(f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n{JSON}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                got = client.recv(65536)
                self.assertEqual(answers(got)[0][0], 200)
                self.assertIn(b"Connection: keep-alive", got)

    def test_stream(self):
        status, head, body = self.post("/v1/chat/completions", '{"stream":true}')
        self.assertEqual(status, 200)
        self.assertIn(b"text/event-stream", head)
        self.assertEqual(body, b"".join(b"data: %d\n\n" % i for i in range(5)))

    def test_stream_comes_piece_by_piece(self):
        with self.connect() as client:
            client.sendall(f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n{JSON}Content-Length: 15\r\n\r\n{{\"stream\":true}}".encode())
            times = []
            client.settimeout(5)
            got = b""
            while not got.endswith(b"0\r\n\r\n"):
                got += client.recv(65536)
                times.append(time.monotonic())
        self.assertGreater(times[-1] - times[0], 0.05)

    def test_big_answer_to_a_slow_reader(self):
        with self.connect() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            body = b'{"big":true}'
            client.sendall(f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{JSON}Content-Length: {len(body)}\r\n\r\n"
                           .encode() + body)
            time.sleep(1.5)
            got, _ = read_all(client)
        self.assertEqual(len(answers(got)[0][2]), 4 << 20)

    def test_reader_that_stops(self):
        with self.connect() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            body = b'{"big":true}'
            client.sendall(f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n{JSON}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                text = self.get("/metrics")[2]
                if re.search(rb"(?m)^paddock_http_requests_in_flight 1$", text):  # the scrape itself
                    break
                time.sleep(0.2)
            self.assertLess(time.monotonic(), deadline, "the handler still writes to a client that takes nothing")

    def test_routing(self):
        for path, host, model, service in (
                ("/v1/completions", "localhost", "opt-125", "opt-125"), ("/v1/completions", "localhost", "opt-alias", "opt-125"),
                ("/v1/completions", "localhost", None, "opt-125"), ("/openai/v1/completions", "opt-125.default.example.com", "opt", "opt-125"),
                ("/v1/completions", "opt-125-predictor.default.example.com", "opt", "opt-125"),
                ("/v1/completions", "OPT-125.default.example.com:8080", "", "opt-125"),
                ("/v1/completions", "opt-125.default.svc.cluster.local", "", "opt-125"),
                ("/serving/default/opt-125/openai/v1/completions", "localhost", "zzz", "opt-125"),
                ("/v1/completions", "localhost", "nope", 404), ("/serving/default/nope/v1/completions", "localhost", "", 404),
                ("/v1/completions", "iris.default.example.com", "", 501), ("/v1/completions", "localhost", "iris", 501),
                ("/v1/completions", "localhost", "broken", 503), ("/v1/completions", "localhost", "slow", 503)):
            with self.subTest(path=path, host=host, model=model):
                body = json.dumps({} if model is None else {"model": model})
                got, _ = self.send(f"POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{JSON}Content-Length: {len(body)}\r\n\r\n{body}")
                status, head, text = answers(got)[0]
                if isinstance(service, str):
                    self.assertEqual((status, json.loads(text)["service"]), (200, service))
                    self.assertEqual(b"Warning: 299" in head, model in ("opt", "zzz"))
                else:
                    self.assertEqual(status, service, text)
                    self.assertEqual(b"Retry-After" in head, status == 503)
                    self.assertIsNone(LEAKS.search(text), text)

    def test_waiting_queue_is_limited(self):
        body = b'{"model":"slow"}'
        one = f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{JSON}Content-Length: {len(body)}\r\n\r\n".encode() + body
        clients = [self.connect() for _ in range(6)]
        for client in clients:
            client.sendall(one)
        statuses = sorted(answers(read_all(client)[0])[0][0] for client in clients)
        for client in clients:
            client.close()
        self.assertEqual(statuses, [429, 429, 503, 503, 503, 503])

    def test_kubernetes_reads(self):
        base = "/apis/serving.kserve.io/v1beta1/namespaces/default/inferenceservices"
        names = lambda path: [item["metadata"]["name"] for item in json.loads(self.get(path)[2])["items"]]
        self.assertEqual(names(base), ["opt-125", "iris", "broken", "slow"])
        self.assertEqual(names(base + "?labelSelector=team%3Diris&limit=500"), ["iris"])
        self.assertEqual(names(base + "?labelSelector=team!=iris,team"), ["opt-125", "broken", "slow"])
        self.assertEqual(names(base + "?fieldSelector=metadata.name%3Dslow"), ["slow"])
        self.assertEqual(names("/apis/serving.kserve.io/v1beta1/inferenceservices"), names(base))
        self.assertEqual(names(base.replace("default", "other")), [])
        self.assertEqual(json.loads(self.get(base + "/iris")[2])["kind"], "InferenceService")
        missing = json.loads(self.get(base + "/nope")[2])
        self.assertEqual(missing, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                                   "message": 'inferenceservices.serving.kserve.io "nope" not found', "reason": "NotFound",
                                   "details": {"name": "nope", "group": "serving.kserve.io", "kind": "inferenceservices"}, "code": 404})
        table = json.loads(self.get(base, "Accept: application/json;as=Table;v=v1;g=meta.k8s.io,application/json\r\n")[2])
        self.assertEqual(table["kind"], "Table")
        self.assertEqual(table["rows"][0]["cells"][:7], ["opt-125", "http://opt-125.default.example.com", "True", None, 100, None,
                                                         "opt-125-predictor-00001"])
        status, _, text = self.post(base, "{}")
        self.assertEqual((status, json.loads(text)["reason"]), (405, "MethodNotAllowed"))
        self.assertIn("/etc/paddock", json.loads(text)["message"])
        self.assertEqual(self.get("/apis/nope")[0], 404)
        self.assertEqual(json.loads(self.get("/version/")[2])["gitVersion"][:4], "v1.3")

    def test_pod_log(self):
        base = "/api/v1/namespaces/default/pods/opt-125-pod/log"
        self.assertEqual(self.get(base)[2], b"".join(b"line %d\n" % i for i in range(5)))
        self.assertEqual(self.get(base + "?tailLines=2&container=kserve-container")[2], b"line 3\nline 4\n")
        self.assertEqual(self.get(base + "?limitBytes=3")[2], b"lin")
        self.assertEqual(self.get(base + "?tailLines=x")[0], 400)
        self.assertEqual(self.get(base + "?timestamps=true")[0], 501)
        self.assertEqual(self.get(base + "?container=nope")[0], 400)
        self.assertEqual(self.get("/api/v1/namespaces/default/pods/nope/log")[0], 404)
        with self.connect() as client:
            client.sendall(f"GET {base}?follow=true&tailLines=0 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            client.settimeout(5)
            got = b""
            while b"line 6" not in got:
                got += client.recv(4096)


SMALL = ("head_ms=1500", "body_idle_ms=1500", "write_idle_ms=2000", "keep_alive_ms=3000", "queue=4", "queue_ms=700")


class Direct(Own, unittest.TestCase):
    listen = ("127.0.0.1:0", *SMALL)


class Door(Own, unittest.TestCase):
    listen = ("127.0.0.1:0,door", *SMALL)

    def test_half_closed_client_is_gone(self):
        with self.connect() as client:
            client.sendall(f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n{JSON}Content-Length: 16\r\n\r\n{{\"model\":\"slow\"}}".encode())
            time.sleep(0.1)
            client.shutdown(socket.SHUT_WR)
            got, closed = read_all(client, 3)
            self.assertEqual((got, closed), (b"", True))

    def test_inner_listener_is_closed_to_others(self):
        """Whoever finds the loopback end gets no answer to a well-formed request."""
        with open(f"/proc/{self.server.process.pid}/net/tcp") as table:
            inodes = {os.readlink(f"/proc/{self.server.process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{self.server.process.pid}/fd")}
            ports = [int(row.split()[1].split(":")[1], 16) for row in table.readlines()[1:]
                     if row.split()[3] == "0A" and f"socket:[{row.split()[9]}]" in inodes]
        inner = [port for port in ports if port != self.port]
        self.assertEqual(len(inner), 1)
        with socket.create_connection(("127.0.0.1", inner[0])) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertEqual(read_all(client, 3), (b"", True))


@unittest.skipIf(ADDRESS, "PADDOCK_TEST_ADDRESS is set")
class Idle(unittest.TestCase):
    """H4, G13: ten thousand clients that say nothing."""

    def test_ten_thousand(self):
        need = 10600
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if hard != resource.RLIM_INFINITY and hard < need:
            self.skipTest(f"only {hard} descriptors are allowed; {need} are needed")
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))
        server = Server("127.0.0.1:0,door")
        clients = []
        try:
            clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(10000)]
            probes = []
            for _ in range(50):
                started = time.monotonic()
                with socket.create_connection(("127.0.0.1", server.port)) as client:
                    client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    self.assertTrue(read_all(client)[0].startswith(b"HTTP/1.1 200"))
                probes.append(time.monotonic() - started)
            self.assertLess(server.rss_kib(), 200 * 1024)
            self.assertLess(sorted(probes)[-2], 0.05 if not os.environ.get("PADDOCK_TEST_SLOW") else 1)
        finally:
            for client in clients:
                client.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
            status, errors = server.close()
        self.assertEqual(status, 0, errors)


@unittest.skipIf(ADDRESS, "PADDOCK_TEST_ADDRESS is set")
class Keys(unittest.TestCase):
    """S1 to S4."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.write("alice", "sekrit-canary-1\ntenant=a\n")
        self.write("bob", "sha256:" + hashlib.sha256(b"another-canary").hexdigest() + "\nservices=iris\n")
        self.server = None

    def tearDown(self):
        if self.server:
            status, errors = self.server.close()
            self.assertEqual(status, 0, errors)
            self.assertNotIn("canary", errors)
        self.folder.cleanup()

    def write(self, name, text, mode=0o640):
        path = os.path.join(self.folder.name, name)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)

    def start(self, *listen):
        self.server = Server(*(listen or ("127.0.0.1:0",)), f"keys={self.folder.name}")
        return self.server

    def ask(self, method, path, head="", body=""):
        with socket.create_connection(("127.0.0.1", self.server.port)) as client:
            client.sendall(f"{method} {path} HTTP/1.1\r\nHost: x.example\r\nConnection: close\r\n{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            return answers(read_all(client)[0])[0]

    def test_every_route_but_the_open_ones(self):
        self.start()
        with open(os.path.join(SOURCES, "core/gateway/endpoints.c")) as table:
            paths = set(re.findall(r'"(/[^"]*)"', table.read()))
        self.assertGreater(len(paths), 15)
        for path in sorted(paths | {"/", "/nope", "/v1/models/x", "/apis/serving.kserve.io/v1beta1/inferenceservices"}):
            for method in ("GET", "POST", "DELETE", "OPTIONS"):
                status, _, body = self.ask(method, re.sub(r"\{[^}]*\}", "x", path))
                if path in ("/healthz", "/livez", "/readyz"):
                    self.assertEqual(status, 200 if method == "GET" else 405 if method != "GET" and status == 405 else 401)
                else:
                    self.assertEqual(status, 401, (method, path, body))

    def test_forms(self):
        self.start()
        for head, status in (("", 401), ("Authorization: Bearer sekrit-canary-1\r\n", 200), ("authorization: bearer sekrit-canary-1\r\n", 200),
                             ("x-api-key: sekrit-canary-1\r\n", 200), ("Authorization: Bearer another-canary\r\n", 200),
                             ("Authorization: Basic sekrit-canary-1\r\n", 401), ("Authorization: Bearer sekrit-canary-\r\n", 401),
                             ("Authorization: Bearer sekrit-canary-12\r\n", 401), ("Authorization: Bearer \r\n", 401),
                             ("Authorization: Bearer " + "x" * 8000 + "\r\n", 401)):
            with self.subTest(head=head[:60]):
                self.assertEqual(self.ask("GET", "/v1/models", head)[0], status)
        self.assertEqual(self.ask("GET", "/v1/models")[2], b'{"error":"Unauthorized"}')

    def test_services(self):
        self.start()
        bob = "Authorization: Bearer another-canary\r\n" + JSON
        status, _, body = self.ask("POST", "/serving/default/opt-125/v1/completions", bob, "{}")
        self.assertEqual(status, 403, body)
        listed = json.loads(self.ask("GET", "/apis/serving.kserve.io/v1beta1/inferenceservices", bob)[2])
        self.assertEqual([item["metadata"]["name"] for item in listed["items"]], ["iris"])
        self.assertEqual(self.ask("GET", "/api/v1/namespaces/default/pods/opt-125-pod/log", bob)[0], 404)

    def test_reload(self):
        server = self.start()
        self.write("carol", "third-canary\n")
        carol = "x-api-key: third-canary\r\n"
        self.assertEqual(self.ask("GET", "/v1/models", carol)[0], 401)
        server.say("reload")
        self.assertEqual(server.process.stdout.readline(), "ok\n")
        self.assertEqual(self.ask("GET", "/v1/models", carol)[0], 200)
        self.write("dave", "short\n")
        server.say("reload")
        self.assertIn("8 to 512", server.process.stdout.readline())
        self.assertEqual(self.ask("GET", "/v1/models", carol)[0], 200)

    def test_wide_file(self):
        for mode in (0o644, 0o660, 0o604):
            self.write("wide", "wide-canary\n", mode)
            with self.assertRaisesRegex(RuntimeError, "0640"):
                Server("127.0.0.1:0", f"keys={self.folder.name}")

    def test_public_address_needs_a_key(self):
        for listen in ("0.0.0.0:0", "[::]:0", "0.0.0.0:0,door"):
            with self.subTest(listen=listen):
                with self.assertRaisesRegex(RuntimeError, "no API key"):
                    Server(listen)
        self.start("0.0.0.0:0")
        self.assertEqual(self.ask("GET", "/v1/models")[0], 401)
        for name in ("alice", "bob"):
            os.remove(os.path.join(self.folder.name, name))
        self.server.say("reload")
        self.assertIn("old keys stay", self.server.process.stdout.readline())

    def test_unix_socket(self):
        path = os.path.join(self.folder.name, "s")
        os.mkdir(os.path.join(self.folder.name, "k"))
        server = Server(f"unix:{path}")
        try:
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o660)
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
                client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                self.assertEqual(answers(read_all(client)[0])[0][0], 200)
        finally:
            server.close()

    def test_compare_takes_the_same_time(self):
        self.start()
        times = {"sekrit-canary-2": [], "xekrit-canary-1": []}
        with socket.create_connection(("127.0.0.1", self.server.port)) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for i in range(2000):
                key = list(times)[i % 2]
                started = time.perf_counter()
                client.sendall(f"GET /v1/models HTTP/1.1\r\nHost: x\r\nx-api-key: {key}\r\n\r\n".encode())
                client.recv(4096)
                times[key].append(time.perf_counter() - started)
        near, far = (statistics.median(values) for values in times.values())
        self.assertLess(abs(near - far), max(near, far) * 0.2)

    def test_drain(self):
        server = self.start()
        server.say("drain")
        time.sleep(0.1)
        self.assertEqual(self.ask("GET", "/readyz")[0], 503)
        self.assertEqual(self.ask("GET", "/healthz")[0], 200)


@unittest.skipIf(ADDRESS, "PADDOCK_TEST_ADDRESS is set")
class Full(unittest.TestCase):
    """More connections than threads (64 here, and some to say no)."""

    def test_503_above(self):
        server = Server("127.0.0.1:0")
        clients = []
        try:
            for _ in range(70):
                client = socket.create_connection(("127.0.0.1", server.port))
                client.settimeout(5)
                clients.append(client)
            time.sleep(0.2)
            clients[-1].sendall(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n")
            got, closed = read_all(clients[-1])
            self.assertEqual((answers(got)[0][0], closed), (503, True))
            self.assertIn(b"Retry-After", got)
            clients[-2].sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertEqual(answers(clients[-2].recv(4096))[0][0], 200)
        finally:
            for client in clients:
                client.close()
            self.assertEqual(server.close()[0], 0)

    def test_streams_above_the_doors_limit(self):
        server = Server("127.0.0.1:0,door", "queue_ms=1500", "queue=1000")
        body = b'{"model":"slow"}'
        waiting = []
        try:
            for _ in range(64):
                client = socket.create_connection(("127.0.0.1", server.port))
                client.sendall(f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n{JSON}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                waiting.append(client)
            time.sleep(0.3)
            for path, status in (("/v1/models", 503), ("/healthz", 200)):
                with socket.create_connection(("127.0.0.1", server.port)) as client:
                    client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                    self.assertEqual(answers(read_all(client)[0])[0][0], status)
            for client in waiting:
                client.settimeout(5)
                self.assertEqual(answers(client.recv(4096))[0][0], 503)
        finally:
            for client in waiting:
                client.close()
            self.assertEqual(server.close()[0], 0)


@unittest.skipIf(ADDRESS, "PADDOCK_TEST_ADDRESS is set")
class Listeners(unittest.TestCase):
    def test_tls_is_refused_by_name(self):
        with self.assertRaisesRegex(RuntimeError, "TLS is not served"):
            Server("127.0.0.1:0", "certificate=/nonexistent.pem")

    def test_inherited_socket(self):
        """As systemd hands one over: descriptor 3, LISTEN_FDS and LISTEN_PID."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            port = listener.getsockname()[1]
            program = os.path.join(BUILD, "tests/unit/gateway_server")

            def hand_over():
                os.dup2(listener.fileno(), 3)
                os.set_inheritable(3, True)

            process = subprocess.Popen(["sh", "-c", f"LISTEN_PID=$$ LISTEN_FDS=1 exec {program}"], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True, preexec_fn=hand_over, pass_fds=(3,))
            self.assertEqual(process.stdout.readline(), f"port {port}\n")
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                self.assertEqual(answers(read_all(client)[0])[0][0], 200)
            process.stdin.close()
            self.assertEqual(process.wait(10), 0)
            process.stdout.close()

    def test_address_in_use(self):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            for door in ("", ",door"):
                with self.assertRaisesRegex(RuntimeError, "cannot listen on 127.0.0.1"):
                    Server(f"127.0.0.1:{listener.getsockname()[1]}{door}")


@unittest.skipIf(ADDRESS, "PADDOCK_TEST_ADDRESS is set")
class Inet6(unittest.TestCase):
    def test_ipv6(self):
        try:
            probe = socket.socket(socket.AF_INET6)
            probe.bind(("::1", 0))
            probe.close()
        except OSError:
            self.skipTest("no IPv6 here")
        server = Server("[::1]:0")
        try:
            with socket.create_connection(("::1", server.port)) as client:
                client.sendall(b"GET /healthz HTTP/1.1\r\nHost: [::1]:1\r\nConnection: close\r\n\r\n")
                self.assertEqual(answers(read_all(client)[0])[0][0], 200)
        finally:
            server.close()


if __name__ == "__main__":
    unittest.main()
