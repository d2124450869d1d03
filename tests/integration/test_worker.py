#!/usr/bin/env python3
"""paddock-worker, driven over a socketpair by frames of this file's own making.

Needs a build tree in which `make check TESTS=` has run: top_builddir (default: the current folder)."""

import array
import json
import os
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

TOP = os.path.realpath(os.environ.get("top_builddir", "."))
SOURCE = os.path.realpath(os.environ.get("top_srcdir", os.path.join(os.path.dirname(__file__), "..", "..")))
WORKER = os.path.join(TOP, "paddock-worker")
PLUGINS = os.path.join(TOP, "tests", "plugins", ".libs")

HEADER = struct.Struct("<IHHQII")
SAMPLING = "II6dqq5iIi3IdII"
REQUEST = struct.Struct("<iiIiQq" + SAMPLING + "iI" + "iiIII" + "7I3I6I5I")
PART = struct.Struct("<IIii5I5I2I2I3Q")
MAGIC = 0x314B4450
NONE = 0x7FFFFFFF
LOAD, REQUEST_TYPE, CANCEL, WRITABLE, ASK_STATS, PING, DRAIN = range(1, 8)
PROGRESS, READY, LOAD_FAILED, PART_TYPE, FINISH, STATS, PONG, BYE = range(33, 41)
HAS_MAX_TOKENS = 1 << 8

EXIT_LOAD, EXIT_PLUGIN, EXIT_PROTOCOL, EXIT_SIGBUS, EXIT_CUT = 3, 4, 5, 6, 7
STATUS_INVALID, STATUS_UNSUPPORTED, STATUS_CANCELLED, STATUS_INTERNAL = 1, 3, 6, 15


def sanitizers():
    with open(os.path.join(TOP, "config.h"), encoding="ascii") as config:
        return "#define PADDOCK_SANITIZERS 1" in config.read()


SANITIZERS = sanitizers()


def request(text, max_tokens=None, kind=1):
    body = text.encode()
    sampling = [0] * 23
    sampling[1] = HAS_MAX_TOKENS if max_tokens is not None else 0
    sampling[11] = max_tokens or 0
    sampling[15] = 1  # n
    lists = [0] * 10
    lengths = [0] * 11  # adapter, cache_salt, text, tools, documents, variables, template, tool, guide, whitespace, pair
    lengths[2], lengths[10] = len(body), NONE
    return REQUEST.pack(kind, 0, 0, 0, 0, 0, *sampling, 0, 0, 0, 0, 0, 0, 0, *lists, *lengths) + body


class Worker:
    """A running worker and the daemon's end of its socket."""

    def __init__(self, plugin, model, folder=PLUGINS, options=(), environment=None):
        path = plugin if "/" in plugin else os.path.join(folder, plugin + ".so")
        self.socket, end = socket.socketpair()
        self.socket.settimeout(20)
        self.model = model
        self.errors = tempfile.TemporaryFile()
        self.output = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [WORKER, "--fd", str(end.fileno()), "--plugin", path, "--runtimes-dir", folder, "--compute-dir",
             folder, "--model", model, *options],
            pass_fds=[end.fileno()], stdout=self.output, stderr=self.errors, env=environment)
        end.close()

    def send(self, kind, number=0, body=b""):
        self.socket.sendall(HEADER.pack(MAGIC, kind, 0, number, len(body), 0) + body)

    def send_descriptor(self, kind, number, descriptor):
        self.socket.sendmsg([HEADER.pack(MAGIC, kind, 0, number, 0, 1)],
                            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))])

    def take(self, length):
        data = b""
        while len(data) < length:
            piece = self.socket.recv(length - len(data))
            if not piece:
                return None
            data += piece
        return data

    def receive(self):
        """(type, id, body), or None at the end."""
        head = self.take(HEADER.size)
        if head is None:
            return None
        magic, kind, flags, number, length, descriptors = HEADER.unpack(head)
        assert (magic, flags, descriptors) == (MAGIC, 0, 0), head
        return kind, number, self.take(length)

    def load(self, **changes):
        spec = {"name": "parrot", "path": self.model, "arguments": [], "environment": [], **changes}
        self.send(LOAD, 0, json.dumps(spec).encode())
        while True:
            frame = self.receive()
            if frame is None or frame[0] != PROGRESS:
                return frame

    def ask(self, text, number=1, **more):
        """Sends a request and reads its answer: (texts, error or None); error "gone" when the worker left."""
        self.send(REQUEST_TYPE, number, request(text, **more))
        texts = []
        while True:
            frame = self.receive()
            if frame is None:
                return texts, "gone"
            kind, got, body = frame
            assert got == number, frame
            if kind == FINISH:
                return texts, json.loads(body) if body else None
            assert kind == PART_TYPE, frame
            fields = PART.unpack_from(body)
            texts.append(body[len(body) - fields[17]:].decode() if fields[17] else "")

    def wait(self):
        code = self.process.wait(20)
        self.errors.seek(0)
        return code, self.errors.read().decode()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.socket.close()
        self.errors.close()
        self.output.close()


class WorkerTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="paddock-worker-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.model = os.path.join(self.folder, "model")
        with open(self.model, "wb") as model:
            model.write(b"weights" * 1000)

    def start(self, plugin, **more):
        worker = Worker(plugin, self.model, **more)
        self.addCleanup(worker.close)
        return worker

    def started(self, plugin, **more):
        worker = self.start(plugin, **more)
        frame = worker.load()
        self.assertEqual(frame[0], READY, frame)
        return worker

    def refused(self, message, plugin, status=EXIT_LOAD, **more):
        """The worker says `message` in one line, on its log and to the daemon, and leaves."""
        worker = self.start(plugin, **more)
        frame = worker.receive()
        self.assertIsNotNone(frame)
        self.assertEqual(frame[0], LOAD_FAILED)
        told = json.loads(frame[2])["message"]
        code, errors = worker.wait()
        self.assertEqual(code, status)
        self.assertIn(message, told)
        self.assertEqual(errors.strip(), "<3>" + told)
        self.assertNotIn("\n", told)

    def plugin_folder(self, name="echo"):
        """A folder of its own with a copy of a plugin."""
        folder = os.path.join(self.folder, "runtimes")
        os.mkdir(folder, 0o755)
        path = os.path.join(folder, name + ".so")
        shutil.copyfile(os.path.join(PLUGINS, name + ".so"), path)
        os.chmod(path, 0o755)
        return folder, path


class Serving(WorkerTest):
    def test_echo(self):
        worker = self.start("echo")
        kind, _, body = worker.load()
        ready = json.loads(body)
        self.assertEqual(kind, READY)
        self.assertEqual(ready["names"], ["parrot"])
        self.assertEqual(ready["extensions"], ["generate"])
        self.assertEqual(ready["runtime"], "echo")
        self.assertEqual(ready["fingerprint"], "00000000")
        self.assertEqual(worker.ask("say it again"), (["say", " it", " again"], None))
        self.assertEqual(worker.ask("say it again", 2, max_tokens=2), (["say", " it"], None))
        worker.send(DRAIN)
        self.assertEqual(worker.receive()[0], STATS)
        self.assertEqual(worker.receive()[0], BYE)
        self.assertIsNone(worker.receive())
        self.assertEqual(worker.wait()[0], 0)

    def test_sandbox_is_told(self):
        worker = self.start("echo")
        sandbox = json.loads(worker.load()[2])["sandbox"]
        self.assertIn("seccomp", sandbox)
        if "landlock" in sandbox and "missing" not in sandbox:
            worker = self.start("echo", options=["--sandbox", "strict"])
            self.assertEqual(json.loads(worker.load()[2])["sandbox"], sandbox)
        worker = self.start("echo", options=["--sandbox", "off"])
        self.assertEqual(json.loads(worker.load()[2])["sandbox"], "off")

    def test_large_request_comes_as_memfd(self):
        worker = self.started("echo")
        descriptor = os.memfd_create("body", os.MFD_ALLOW_SEALING)
        os.write(descriptor, request("x" * 400000))
        self.seal(descriptor)
        worker.send_descriptor(REQUEST_TYPE, 5, descriptor)
        os.close(descriptor)
        kind, number, body = worker.receive()
        self.assertEqual((kind, number), (FINISH, 5))
        self.assertEqual(json.loads(body)["message"], "echo takes a text prompt of at most 4096 bytes")
        self.assertEqual(json.loads(body)["field"], "prompt")
        self.assertEqual(worker.ask("still there", 6)[1], None)

    @staticmethod
    def seal(descriptor):
        import fcntl
        fcntl.fcntl(descriptor, 1033, 0x1 | 0x2 | 0x4 | 0x8)  # F_ADD_SEALS: seal, shrink, grow, write

    def test_unsealed_memfd_is_no_body(self):
        worker = self.started("echo")
        descriptor = os.memfd_create("body", os.MFD_ALLOW_SEALING)
        os.write(descriptor, request("x" * 400000))
        worker.send_descriptor(REQUEST_TYPE, 5, descriptor)
        os.close(descriptor)
        code, errors = worker.wait()
        self.assertEqual(code, EXIT_PROTOCOL)
        self.assertIn("a frame's body is no memfd with all four seals", errors)

    def test_unknown_kind_is_refused(self):
        worker = self.started("echo")
        texts, error = worker.ask("x", kind=5)
        self.assertEqual(error["status"], STATUS_UNSUPPORTED)
        self.assertIn("does not serve requests of kind 5", error["message"])

    def test_refusal_of_the_runtime_is_passed_on(self):
        worker = self.started("hostile")
        self.assertEqual(worker.ask("refuse")[1]["message"], "refused as asked")

    def test_ping_and_stats(self):
        worker = self.started("hostile")
        worker.send(PING)
        kind, _, body = worker.receive()
        self.assertEqual(kind, PONG)
        self.assertEqual(struct.unpack("<qII", body), (0, 0, 0))
        self.assertEqual(worker.ask("count"), ([], None))
        worker.send(ASK_STATS)
        kind, _, body = worker.receive()
        self.assertEqual(kind, STATS)
        self.assertEqual(json.loads(body), {"hostile_total": {"kind": "counter", "help": "acts", "value": 3}})

    def test_terminate_drains(self):
        worker = self.started("echo")
        self.assertEqual(worker.ask("a b")[1], None)
        worker.process.send_signal(signal.SIGTERM)
        self.assertEqual([worker.receive()[0], worker.receive()[0]], [STATS, BYE])
        self.assertEqual(worker.wait()[0], 0)

    def test_terminate_waits_for_requests(self):
        worker = self.started("hostile")
        worker.send(REQUEST_TYPE, 1, request("never"))
        worker.send(PING)
        self.assertEqual(struct.unpack("<qII", worker.receive()[2])[1], 1)
        worker.process.send_signal(signal.SIGTERM)
        error, number = None, 2
        while error is None and number < 5000:  # the signal arrives when it does
            _, error = worker.ask("count", number)
            number += 1
        self.assertIn("is being stopped", error["message"])
        self.assertIsNone(worker.process.poll())

    def test_idle_costs_nothing(self):
        worker = self.started("echo")
        with open(f"/proc/{worker.process.pid}/stat", encoding="ascii") as stat:
            before = stat.read().split()[13:15]
        time.sleep(0.5)
        with open(f"/proc/{worker.process.pid}/stat", encoding="ascii") as stat:
            self.assertEqual(stat.read().split()[13:15], before)


class Describing(WorkerTest):
    def test_describe(self):
        done = subprocess.run([WORKER, "--describe", os.path.join(PLUGINS, "echo.so")], capture_output=True, check=False)
        self.assertEqual(done.returncode, 0)
        self.assertEqual(json.loads(done.stdout), {
            "name": "echo", "description": "says back what it was told", "abi": "1.0", "needs_compute": False,
            "extensions": [], "options": []})

    def test_describe_refuses(self):
        done = subprocess.run([WORKER, "--describe", os.path.join(PLUGINS, "too_new.so")], capture_output=True, check=False)
        self.assertEqual(done.returncode, EXIT_LOAD)
        self.assertIn(b"too_new.so is built for ABI 2; this is ABI 1", done.stderr)
        done = subprocess.run([WORKER, "--describe", "/nowhere.so"], capture_output=True, check=False)
        self.assertEqual(done.stderr, b"paddock-worker: cannot find /nowhere.so\n")

    def test_usage(self):
        for arguments in ([], ["--fd", "2"], ["--threads", "x"], ["--sandbox", "maybe"], ["--bogus"]):
            done = subprocess.run([WORKER, *arguments], capture_output=True, check=False)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertNotEqual(done.stderr, b"")


class Refusals(WorkerTest):
    def test_abi(self):
        self.refused("too_new.so is built for ABI 2; this is ABI 1", "too_new")
        self.refused("too_small.so has an entry of 32 bytes; at least 56 are needed", "too_small")
        self.refused("no_symbol.so has no symbol pdk_runtime_entry", "no_symbol")

    def test_missing(self):
        self.refused("cannot find plugin", "none")

    def test_init_fails(self):
        self.refused("bad cannot run on a Tuesday", "init_fails")

    def test_init_crashes(self):
        self.assertEqual(self.start("init_crashes").wait()[0], -signal.SIGSEGV)

    def test_init_hangs(self):
        worker = self.start("init_hangs")
        worker.send(PING)
        worker.socket.settimeout(0.5)
        with self.assertRaises(socket.timeout):
            worker.receive()
        self.assertIsNone(worker.process.poll())  # the daemon's load deadline ends it
        worker.socket.close()

    def test_thread_at_load(self):
        self.refused("started 1 threads when it was loaded; they would escape the sandbox", "early_thread")

    def test_place(self):
        folder, path = self.plugin_folder()
        self.refused("is refused: not in the plugin folder", path, folder=PLUGINS)
        self.refused("is refused: its path has dots", folder + "/../runtimes/echo.so", folder=folder)
        self.refused("is refused: not an absolute path", "./echo.so", folder=folder)

    def test_writable_by_others(self):
        folder, path = self.plugin_folder()
        os.chmod(path, 0o757)
        self.refused("echo.so is refused: it can be written by others", "echo", folder=folder)
        os.chmod(path, 0o755)
        os.chmod(folder, 0o757)
        self.refused("is refused: folder " + folder + " can be written by others", "echo", folder=folder)
        os.chmod(folder, 0o1777)
        self.refused("is refused: folder " + folder + " can be written by others", "echo", folder=folder)
        os.chmod(folder, 0o755)
        os.chmod(self.folder, 0o777)
        self.refused("is refused: folder " + self.folder + " can be written by others", "echo", folder=folder)
        os.chmod(self.folder, 0o755)
        self.started("echo", folder=folder)

    @unittest.skipIf(os.getuid() != 0, "only root can give a file away")
    def test_owner(self):
        folder, path = self.plugin_folder()
        os.chown(path, 12345, 0)
        self.refused("echo.so is refused: it belongs to another user", "echo", folder=folder)

    def test_link_leads_to_a_bad_place(self):
        folder, path = self.plugin_folder()
        elsewhere = os.path.join(self.folder, "open")
        os.mkdir(elsewhere)
        os.chmod(elsewhere, 0o777)
        os.rename(path, os.path.join(elsewhere, "echo.so"))
        os.symlink(os.path.join(elsewhere, "echo.so"), path)
        self.refused("is refused: folder " + elsewhere + " can be written by others", "echo", folder=folder)
        os.chmod(elsewhere, 0o755)
        self.started("echo", folder=folder)

    def test_not_an_elf(self):
        folder, path = self.plugin_folder()
        with open(path, "rb") as file:
            whole = file.read()
        broken = {
            "it is not an ELF file": b"",
            "echo.so is no plugin: it is not an ELF file": b"#!/bin/sh\nexit 0\n" + b"x" * 100,
            "it is cut short": whole[:1500],
            "it is built for another machine": whole[:18] + b"\x08\x00" + whole[20:],
        }
        for message, content in broken.items():
            with open(path, "wb") as file:
                file.write(content)
            self.refused(message, "echo", folder=folder)
        os.unlink(path)
        os.mkdir(path)
        self.refused("is refused: not a regular file", "echo", folder=folder)

    def test_load_frame(self):
        worker = self.start("echo")
        kind, _, body = worker.load(path="/etc/passwd")
        self.assertEqual(kind, LOAD_FAILED)
        self.assertIn("the path is /etc/passwd, but this worker was started for " + self.model, json.loads(body)["message"])
        self.assertEqual(worker.wait()[0], EXIT_LOAD)
        worker = self.start("echo")
        self.assertIn("arguments[1] is number, not a string", json.loads(worker.load(arguments=["a", 1])[2])["message"])

    def test_compute_is_missing_or_forced(self):
        folder, _ = self.plugin_folder()
        os.mkdir(os.path.join(self.folder, "compute"))
        # echo needs none, so an empty compute folder and a forced name are nothing to it
        self.started("echo", folder=folder, environment={**os.environ, "PADDOCK_COMPUTE": "cuda"})


class Example(WorkerTest):
    """docs/examples/runtime-echo, built out of tree against what is installed."""

    def test_builds_and_serves(self):
        if shutil.which("pkg-config") is None:
            self.skipTest("pkg-config is not installed")
        root = os.path.join(self.folder, "root")
        make = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        subprocess.run(["make", "-s", "-C", TOP, "install-pdkincludeHEADERS", "install-pdkdraftHEADERS",
                        "install-pkgconfigDATA", "DESTDIR=" + root], check=True, env=make, stdout=subprocess.DEVNULL)
        found = next(path for path, _, files in os.walk(root) if "paddock.pc" in files)
        source = os.path.join(self.folder, "runtime-echo")
        shutil.copytree(os.path.join(SOURCE, "docs", "examples", "runtime-echo"), source)
        subprocess.run(["make", "-s", "-C", source, "WARNINGS=-Wall -Wextra -Werror"], check=True, stdout=subprocess.DEVNULL,
                       env={**make, "PKG_CONFIG_LIBDIR": found, "PKG_CONFIG_SYSROOT_DIR": root})
        worker = self.started("echo", folder=source)
        self.assertEqual(worker.ask("one two three", max_tokens=2), (["one", " two"], None))


class Hostility(WorkerTest):
    def test_crash(self):
        worker = self.started("hostile")
        self.assertEqual(worker.ask("crash")[1], "gone")
        self.assertEqual(worker.wait()[0], -signal.SIGSEGV)

    def test_finishes_twice(self):
        worker = self.started("hostile")
        self.assertEqual(worker.ask("twice")[1] or "gone", "gone")
        code, errors = worker.wait()
        self.assertEqual(code, EXIT_PLUGIN)
        self.assertIn("<3>the runtime finished request 1 twice", errors)

    def test_part_after_finish(self):
        worker = self.started("hostile")
        worker.ask("late-part")
        code, errors = worker.wait()
        self.assertEqual(code, EXIT_PLUGIN)
        self.assertIn("<3>the runtime sent a part of request 1, which it had finished", errors)

    def test_hung_engine_is_seen_in_pongs(self):
        worker = self.started("hostile")
        worker.send(REQUEST_TYPE, 1, request("hang-engine"))
        worker.send(PING)
        kind, _, body = worker.receive()
        self.assertEqual(kind, PONG)
        self.assertEqual(struct.unpack("<qII", body), (0, 1, 0))

    def test_hung_main_thread_answers_no_ping(self):
        worker = self.started("hostile")
        worker.send(REQUEST_TYPE, 1, request("hang"))
        worker.send(PING)
        worker.socket.settimeout(0.5)
        with self.assertRaises(socket.timeout):
            worker.receive()

    def test_flood_is_stopped(self):
        worker = self.started("hostile")
        texts, error = worker.ask("flood")
        self.assertEqual(error["message"], "the runtime went on sending after it was told to wait")
        self.assertEqual(error["status"], STATUS_INTERNAL)
        self.assertLess(sum(len(text) for text in texts), 1200000)
        self.assertEqual(worker.ask("count", 2)[1], None)

    def test_part_that_does_not_add_up(self):
        worker = self.started("hostile")
        texts, error = worker.ask("bad-part")
        self.assertIn("the counts of 0 positions do not add up to 3 logprobs", error["message"])
        self.assertEqual(error["status"], STATUS_INTERNAL)

    def test_prints(self):
        worker = self.started("hostile")
        self.assertEqual(worker.ask("prints"), ([], None))
        worker.send(DRAIN)
        code, errors = worker.wait()
        self.assertEqual(code, 0)
        self.assertIn("a line on stderr\n", errors)
        worker.output.seek(0)
        self.assertEqual(worker.output.read(), b"a line on stdout\n")

    def test_model_shrinks(self):
        worker = self.started("hostile")
        os.truncate(self.model, 0)
        self.assertEqual(worker.ask("bus")[1], "gone")
        code, errors = worker.wait()
        self.assertEqual(code, EXIT_SIGBUS)
        self.assertIn("the model's file got shorter", errors)

    def test_cancel(self):
        worker = self.started("hostile")
        worker.send(REQUEST_TYPE, 1, request("never"))
        for _ in range(3):
            worker.send(CANCEL, 1)
        worker.send(CANCEL, 99)
        self.assertEqual(worker.ask("count", 2)[1], None)

    @unittest.skipIf(SANITIZERS, "sanitizers need calls that the filter refuses; the plain build tests it")
    def test_forbidden_acts(self):
        canary = os.path.join(self.folder, "secret")
        with open(canary, "w", encoding="ascii") as file:
            file.write("x")
        worker = self.started("hostile")
        texts, error = worker.ask("forbidden")
        self.assertIsNone(error)
        results = dict(line.strip().split(": ", 1) for line in texts)
        self.assertGreaterEqual(len(results), 25)
        allowed = {act: result for act, result in results.items() if result not in ("EPERM", "EACCES", "ENOSYS")}
        self.assertEqual(allowed, {})

    def test_only_the_model_can_be_read(self):
        with open("/proc/self/status", encoding="ascii") as status:
            if "Seccomp:" not in status.read():
                self.skipTest("the kernel has no seccomp")
        worker = self.started("hostile")
        with open(f"/proc/{worker.process.pid}/status", encoding="ascii") as status:
            lines = dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)
        self.assertEqual(lines["NoNewPrivs"], "1")
        self.assertEqual(lines["Seccomp"], "2")

    def test_descriptors_and_limits(self):
        reader, writer = os.pipe()
        os.set_inheritable(writer, True)
        worker = self.start("echo")
        worker.load()
        descriptors = sorted(int(name) for name in os.listdir(f"/proc/{worker.process.pid}/fd"))
        self.assertEqual(len(descriptors), 5)  # three, the socket, the bell
        limits = resource.prlimit(worker.process.pid, resource.RLIMIT_CORE)
        self.assertEqual(limits, (0, 0))
        self.assertLessEqual(resource.prlimit(worker.process.pid, resource.RLIMIT_NOFILE)[0], 256)
        os.close(reader)
        os.close(writer)


class Protocol(WorkerTest):
    def broken(self, message, *sent):
        worker = self.started("echo")
        for piece in sent:
            worker.socket.sendall(piece)
        code, errors = worker.wait()
        self.assertEqual(code, EXIT_PROTOCOL)
        self.assertIn("<3>the daemon broke the protocol: " + message, errors)

    def test_breaches(self):
        self.broken("a frame starts with 0x", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.broken("a frame of 4294967295 bytes", HEADER.pack(MAGIC, PING, 0, 0, 0xFFFFFFFF, 0))
        self.broken("a frame of type 99", HEADER.pack(MAGIC, 99, 0, 0, 0, 0))
        self.broken("a frame of type 1,", HEADER.pack(MAGIC, LOAD, 0, 0, 2, 0) + b"{}")
        self.broken("a request of 3 bytes is cut short", HEADER.pack(MAGIC, REQUEST_TYPE, 0, 1, 3, 0) + b"abc")
        self.broken("a writable of 0 bytes, not 8", HEADER.pack(MAGIC, WRITABLE, 0, 1, 0, 0))

    def test_same_id_twice(self):
        worker = self.started("hostile")
        worker.send(REQUEST_TYPE, 1, request("never"))
        worker.send(REQUEST_TYPE, 1, request("never"))
        code, errors = worker.wait()
        self.assertEqual(code, EXIT_PROTOCOL)
        self.assertIn("request 1 is already in flight", errors)

    def test_daemon_goes(self):
        worker = self.started("echo")
        worker.socket.close()
        code, errors = worker.wait()
        self.assertEqual(code, EXIT_CUT)
        self.assertIn("<5>the daemon closed the channel", errors)

    def test_daemon_is_killed(self):
        """The worker's parent ends by SIGKILL while somebody else holds the socket."""
        ours, end = socket.socketpair()
        middle = subprocess.Popen(
            [sys.executable, "-c", "import subprocess, sys, time\n"
             "p = subprocess.Popen(sys.argv[2:], pass_fds=[int(sys.argv[1])])\n"
             "print(p.pid, flush=True)\ntime.sleep(60)\n", str(end.fileno()), WORKER, "--fd", str(end.fileno()),
             "--plugin", os.path.join(PLUGINS, "echo.so"), "--runtimes-dir", PLUGINS, "--compute-dir", PLUGINS,
             "--model", self.model], pass_fds=[end.fileno()], stdout=subprocess.PIPE)
        end.close()
        self.addCleanup(middle.stdout.close)
        pid = int(middle.stdout.readline())
        worker = Worker.__new__(Worker)
        worker.socket, worker.model = ours, self.model
        self.assertEqual(worker.load()[0], READY)
        middle.kill()
        middle.wait()
        self.assertEqual(ours.recv(1), b"")  # its end is closed: it is gone
        for _ in range(100):
            try:
                with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
                    if stat.read().split()[2] == "Z":
                        break
            except FileNotFoundError:
                break
            time.sleep(0.05)
        else:
            self.fail("the worker outlived its parent")
        ours.close()


if __name__ == "__main__":
    if not os.path.exists(os.path.join(PLUGINS, "hostile.so")):
        print("SKIP: tests/plugins are not built; run make check TESTS=")
        sys.exit(77)
    unittest.main(verbosity=1)
