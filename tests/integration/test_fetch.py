"""paddock pull against a hub of our own: resume, checksums, redirects, archives."""
import hashlib
import http.server
import io
import json
import os
import pathlib
import shutil
import socketserver
import subprocess
import tarfile
import tempfile
import threading
import unittest
import zipfile

import harness


class Hub(http.server.BaseHTTPRequestHandler):
    """Serves server.files; cuts answers after server.cut bytes; counts server.asked."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def send(self, status, body, headers=()):
        self.send_response(status)
        for k, v in headers:
            self.send_header(k, v)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = self.server.cut
        if cut is not None and self.path.count("/resolve/") and len(body) > cut:
            self.wfile.write(body[:cut])
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()
            return
        self.wfile.write(body)

    def do_GET(self):
        s = self.server
        s.asked.append((self.path, dict(self.headers)))
        if "/api/models/" in self.path:
            tree = [{"type": "file", "path": n, "size": len(b), **({"lfs": {"oid": s.oid.get(n) or hashlib.sha256(b).hexdigest()}} if n.endswith((".safetensors", ".gguf")) else {})}
                    for n, b in s.files.items()]
            return self.send(200, json.dumps(tree).encode())
        name = self.path.rsplit("/", 1)[-1]
        if name in s.redirects:
            self.send_response(302)
            self.send_header("Location", s.redirects[name])
            self.send_header("Content-Length", "0")
            return self.end_headers()
        body = s.files.get(name)
        if body is None:
            return self.send(404, b"no")
        etag = '"%s"' % hashlib.md5(body).hexdigest()
        wanted = self.headers.get("Range")
        if wanted and self.headers.get("If-Range") == etag:
            start = int(wanted.split("=")[1].split("-")[0])
            return self.send(206, body[start:], [("ETag", etag), ("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")])
        self.send(200, body, [("ETag", etag)])


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Hub)
        self.files, self.redirects, self.oid, self.asked, self.cut = {}, {}, {}, [], None
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Fetch(unittest.TestCase):
    def setUp(self):
        self.hub, self.folder = Server(), pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.addCleanup(self.hub.server_close)
        self.addCleanup(self.hub.shutdown)
        self.weights = os.urandom(300000)
        self.hub.files = {"config.json": b"{}", "tokenizer.json": b"{}", "model.safetensors": self.weights, "pytorch_model.bin": b"never", "README.md": b"x"}

    def pull(self, uri, **env):
        return harness.paddock("pull", "--state", self.folder, uri, env={"HF_ENDPOINT": self.hub.url, **env})

    def test_repository(self):
        r = self.pull("hf://owner/name")
        self.assertEqual(r.returncode, 0, r.stderr)
        path = pathlib.Path(r.stdout.strip())
        self.assertEqual(path, self.folder / "models/hf/owner/name")
        self.assertEqual(sorted(p.name for p in path.iterdir()), ["config.json", "model.safetensors", "tokenizer.json"])
        self.assertEqual((path / "model.safetensors").read_bytes(), self.weights)
        self.assertEqual((path / "model.safetensors").stat().st_mode & 0o777, 0o444)
        self.hub.asked.clear()
        self.assertEqual(self.pull("hf://owner/name").returncode, 0)
        self.assertFalse([p for p, _ in self.hub.asked if "safetensors" in p], "what is there already is not fetched again")

    def test_cut_and_resumed(self):
        for cut in (1, 4096, 100000, 150000):
            self.hub.cut = cut
            r = self.pull("hf://owner/name")
            self.assertNotEqual(r.returncode, 0)
        self.hub.cut = None
        self.hub.asked.clear()
        self.assertEqual(self.pull("hf://owner/name").returncode, 0)
        ranges = [h.get("Range") for p, h in self.hub.asked if "safetensors" in p]
        self.assertEqual(len(ranges), 1)
        self.assertRegex(ranges[0] or "", r"bytes=[1-9]\d*-")
        self.assertEqual((self.folder / "models/hf/owner/name/model.safetensors").read_bytes(), self.weights)
        self.assertFalse(list((self.folder / "models").rglob("*.part")))

    def test_changed_between_tries_begins_anew(self):
        self.hub.cut = 1000
        self.pull("hf://owner/name")
        self.hub.cut = None
        self.hub.files["model.safetensors"] = os.urandom(200000)
        self.assertEqual(self.pull("hf://owner/name").returncode, 0)
        self.assertEqual((self.folder / "models/hf/owner/name/model.safetensors").read_bytes(), self.hub.files["model.safetensors"])

    def test_wrong_hash_is_deleted(self):
        self.hub.oid["model.safetensors"] = "0" * 64
        r = self.pull("hf://owner/name")
        self.assertNotEqual(r.returncode, 0)
        self.assertIn("hashes to", r.stderr)
        self.assertFalse(list((self.folder / "models").rglob("model.safetensors*")))

    def test_ggufs_are_to_be_named(self):
        self.hub.files = {"a.gguf": b"GGUF" * 10, "b.gguf": b"GGUF" * 20}
        r = self.pull("hf://owner/name")
        self.assertIn("2 GGUF files; name one", r.stderr)
        r = self.pull("hf://owner/name/b.gguf")
        self.assertEqual(r.stdout.strip(), str(self.folder / "models/hf/owner/name/b.gguf"))

    def test_pickles_only(self):
        self.hub.files = {"pytorch_model.bin": b"x", "config.json": b"{}"}
        self.assertIn("pickled weights are never read", self.pull("hf://owner/name").stderr)

    def test_unsafe_names(self):
        self.hub.files = {"../../x.safetensors": b"x"}
        self.assertNotEqual(self.pull("hf://owner/name").returncode, 0)
        for uri in ("hf://owner", "hf://../name", "hf://a/b/../c", "ftp://x/y", "https://host", "file://relative", "hf://a/b c", "hf://a/b#sha256=12"):
            r = self.pull(uri)
            self.assertNotEqual(r.returncode, 0, uri)
            self.assertLess(len(r.stderr), 400)

    def test_token_goes_to_the_hub_only(self):
        other = Server()
        other.files = {"model.safetensors": self.weights}
        self.addCleanup(other.server_close)
        self.addCleanup(other.shutdown)
        self.hub.redirects["model.safetensors"] = f"http://localhost:{other.server_port}/model.safetensors"
        r = self.pull("hf://owner/name", HF_TOKEN="secret-canary", PADDOCK_FETCH_ALLOW="localhost")
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertTrue(all("secret-canary" in h.get("Authorization", "") for _, h in self.hub.asked))
        self.assertTrue(other.asked and not any("Authorization" in h for _, h in other.asked))

    def test_redirect_into_the_private_network(self):
        for to in ("http://localhost:1/x", "http://169.254.169.254/latest", "http://[::1]:1/x", "file:///etc/passwd"):
            self.hub.redirects["model.safetensors"] = to
            r = self.pull("hf://owner/name")
            self.assertNotEqual(r.returncode, 0, to)
            self.assertFalse(list((self.folder / "models").rglob("model.safetensors")))
        self.hub.redirects["model.safetensors"] = "http://localhost:1/x"
        self.assertIn("private network", self.pull("hf://owner/name").stderr)

    def archive(self, members, kind="tgz"):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:gz") as t:
            for info, body in members:
                t.addfile(info, io.BytesIO(body) if body is not None else None)
        return out.getvalue()

    def member(self, name, body=b"x", **fields):
        info = tarfile.TarInfo(name)
        info.size = len(body) if body is not None else 0
        for k, v in fields.items():
            setattr(info, k, v)
        return info, body

    def test_archive(self):
        self.hub.files["m.tar.gz"] = self.archive([self.member("m/config.json", b"{}"), self.member("m/a/b.txt", b"hello")])
        r = self.pull(self.hub.url + "/m.tar.gz")
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertEqual((pathlib.Path(r.stdout.strip()) / "m/a/b.txt").read_bytes(), b"hello")
        z = io.BytesIO()
        with zipfile.ZipFile(z, "w", zipfile.ZIP_DEFLATED) as f:
            f.writestr("model.joblib", "x" * 1000)
        self.hub.files["m.zip"] = z.getvalue()
        r = self.pull(self.hub.url + "/m.zip")
        self.assertEqual((pathlib.Path(r.stdout.strip()) / "model.joblib").read_text(), "x" * 1000)

    def test_hostile_archives(self):
        bomb = io.BytesIO()
        with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as f:
            for i in range(4):
                f.writestr(f"{i}", b"\0" * (64 << 20))
        cases = {
            "dotdot.tgz": self.archive([self.member("../out", b"x")]), "deep.tgz": self.archive([self.member("a/../../out", b"x")]),
            "absolute.tgz": self.archive([self.member("/tmp/out", b"x")]),
            "symlink.tgz": self.archive([self.member("l", None, type=tarfile.SYMTYPE, linkname="/etc"), self.member("l/x", b"x")]),
            "hardlink.tgz": self.archive([self.member("l", None, type=tarfile.LNKTYPE, linkname="/etc/passwd")]),
            "device.tgz": self.archive([self.member("d", None, type=tarfile.CHRTYPE, devmajor=1, devminor=3)]),
            "fifo.tgz": self.archive([self.member("p", None, type=tarfile.FIFOTYPE)]),
            "twice.tgz": self.archive([self.member("a", b"x"), self.member("a", b"y")]),
            "many.tgz": self.archive([self.member(f"f{i}", b"") for i in range(10001)]),
            "cut.tgz": self.archive([self.member("a", os.urandom(100000))])[:5000], "empty.tgz": self.archive([]), "noise.tgz": b"not an archive",
            "bomb.zip": bomb.getvalue(),
        }
        for name, body in cases.items():
            self.hub.files[name] = body
            r = self.pull(self.hub.url + "/" + name)
            self.assertNotEqual(r.returncode, 0, name)
            last = r.stderr.splitlines()[-1]
            self.assertTrue(last.startswith("paddock: ") and len(last) < 400, (name, r.stderr))
            self.assertFalse([p for p in self.folder.rglob("*") if p.name == "model" or p.name.startswith("model.part")], name)
        self.assertFalse(pathlib.Path("/tmp/out").exists())

    def test_sha256_of_a_url(self):
        self.hub.files["m.gguf"] = b"GGUF"
        good = hashlib.sha256(b"GGUF").hexdigest()
        self.assertEqual(self.pull(f"{self.hub.url}/m.gguf#sha256={good}").returncode, 0)
        self.assertIn("hashes to", self.pull(f"{self.hub.url}/x/m.gguf#sha256={'0' * 64}").stderr)

    def test_local_file(self):
        r = self.pull(f"file://{__file__}")
        self.assertEqual(r.stdout.strip(), __file__)
        self.assertIn("No such file", self.pull("file:///no/such/model").stderr)

    def test_full_disk(self):
        if os.geteuid() != 0:
            self.skipTest("needs root for a small file system")
        small = self.folder / "small"
        small.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(small)], capture_output=True).returncode != 0:
            self.skipTest("no file system can be mounted here")
        self.addCleanup(subprocess.run, ["umount", str(small)])
        r = harness.paddock("pull", "--state", small, "hf://owner/name", env={"HF_ENDPOINT": self.hub.url})
        self.assertIn("needs", r.stderr)
        self.assertIn("MiB more, the disk has", r.stderr)


if __name__ == "__main__":
    unittest.main()
