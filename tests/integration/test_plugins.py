"""Runtimes that lie, crash, hang and snoop, each as a service of a real daemon, beside one that goes on serving."""
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import time
import unittest

import harness

BUILT = harness.BUILD / "tests/plugins/.libs"
CONF = "load_deadline_s = 2;\nping_deadline_s = 2;\nstep_deadline_s = 4;\n"


def setUpModule():
    if not (BUILT / "hostile.so").exists():
        made = subprocess.run(["make", "-s", "-C", str(harness.BUILD), "check", "TESTS="], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise AssertionError("tests/plugins cannot be built:\n" + made.stderr[-3000:])


def runtime(name, image):
    """A runtime document: format `name`, served by IMAGE.so of the plugin folder."""
    return {"apiVersion": "serving.kserve.io/v1alpha1", "kind": "ClusterServingRuntime", "metadata": {"name": name},
            "spec": {"supportedModelFormats": [{"name": name, "autoSelect": True}],
                     "containers": [{"name": "kserve-container", "image": "paddock/" + image}]}}


def end_of_segments(elf):
    """Where the last loaded byte of an ELF ends: what lies behind it (symbols for debuggers) may be missing."""
    table, = struct.unpack_from("<Q", elf, 32)
    size, count = struct.unpack_from("<HH", elf, 54)
    return max(sum(struct.unpack_from("<QQQQ", elf, table + i * size + 8)[k] for k in (0, 3)) for i in range(count))


class PluginTest(unittest.TestCase):
    def plugins(self, *names):
        """A plugin folder of this test's own, with these of tests/plugins in it."""
        folder = harness.OUTPUT / ("plugins-" + self._testMethodName)
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "runtimes").mkdir(parents=True)
        (folder / "compute").mkdir()
        for path in (folder, folder / "runtimes", folder / "compute"):
            path.chmod(0o755)
        for name in names:
            self.put(folder, name, (BUILT / f"{name.replace('-', '_')}.so").read_bytes())
        return folder

    def put(self, folder, name, content, mode=0o755):
        path = folder / "runtimes" / f"{name}.so"
        path.write_bytes(content)
        path.chmod(mode)
        return path

    def start(self, folder, formats, extra=(), **kw):
        """A daemon with a service for each of `formats`, and the echo runtime as their healthy neighbour."""
        model = harness.OUTPUT / "plugins-model"
        model.write_bytes(b"weights" * 1000)
        services = [harness.service(f, model, fmt=f) for f in formats] + list(extra)
        documents = [runtime(f, f) for f in {*formats, "echo", "hostile"}]
        d = harness.Daemon(self._testMethodName, services + [harness.service("neighbour", model, fmt="echo")],
                           conf=kw.pop("conf", CONF), runtimes=documents, plugins=folder, wait=False, **kw)
        d.wait_ready("neighbour")
        return d

    def say(self, d, model, text, **more):
        return d.json("POST", "/v1/completions", {"model": model, "prompt": text, **more})

    def assert_neighbour_serves(self, d):
        status, answer = self.say(d, "neighbour", "all is well", max_tokens=3)
        self.assertEqual(status, 200, answer)
        self.assertIn("all is well", answer["choices"][0]["text"])
        self.assertIsNone(d.process.poll())

    def refusal(self, d, name, seconds=15):
        """The message of PredictorReady, once the first worker of `name` is gone."""
        return d.wait_for(lambda: (c := d.condition(name, "PredictorReady")).get("status") == "False" and c["message"], seconds)

    def status_row(self, d, name):
        """The line of `paddock status` that says why, if it does."""
        shown = harness.paddock("--server", d.url, "status", name)
        self.assertEqual(shown.returncode, 1)
        rows = [l for l in shown.stdout.splitlines() if re.match(r"condition +PredictorReady +False", l)]
        self.assertLessEqual(len(rows), 1, shown.stdout)
        return rows[0] if rows else None

    def assert_refused(self, d, name, want):
        """In one line that says so: in the condition, in the log, in `paddock status`; to who asks it, as a 503."""
        message = self.refusal(d, name)
        self.assertRegex(message, want)
        self.assertNotRegex(message, r"[\x00-\x1f\x7f]", "one line, and nothing that steers a terminal")
        said = [l for l in (d.folder / "log").read_text(errors="replace").splitlines()
                if re.match(f"paddockd: error: ({name}-predictor|default/{name}:)", l) and re.search(want, l)]
        self.assertTrue(said, d.log_text())
        row = d.wait_for(lambda: self.status_row(d, name))  # while the next worker tries, it says so instead
        self.assertRegex(row, want)

    def assert_each_refused(self, d, wants):
        for name, want in wants.items():
            with self.subTest(name):
                self.assert_refused(d, name, want)
        self.assert_neighbour_serves(d)


class Refused(PluginTest):
    def test_wrong_from_the_start(self):
        wants = {
            "too-new": r"too-new\.so is built for ABI 2; this is ABI 1",
            "too-small": r"too-small\.so has an entry of 32 bytes; at least 56 are needed",
            "no-symbol": r"no-symbol\.so has no symbol pdk_runtime_entry",
            "init-fails": "bad cannot run on a Tuesday",
            "init-crashes": r"the worker was ended by signal 11 \(Segmentation fault\)",
            "init-hangs": "the load made no progress in 2 s, and was stopped",
            "early-thread": "started 1 threads when it was loaded; they would escape the sandbox",
        }
        with self.start(self.plugins("echo", *wants), list(wants)) as d:
            self.assert_each_refused(d, wants)

    def test_not_a_plugin(self):
        folder = self.plugins("echo")
        whole = (BUILT / "echo.so").read_bytes()
        self.put(folder, "truncated", whole[:1500])
        self.put(folder, "halved", whole[:end_of_segments(whole) - 1])
        self.put(folder, "empty", b"")
        self.put(folder, "script", b"#!/bin/sh\ntouch /tmp/paddock-was-here\n" + b"#" * 200)
        self.put(folder, "machine", whole[:18] + b"\x08\x00" + whole[20:])
        self.put(folder, "narrow", whole[:4] + b"\x01" + whole[5:])
        self.put(folder, "program", whole[:16] + b"\x02\x00" + whole[18:])
        (folder / "runtimes/folder.so").mkdir()
        wants = {
            "truncated": r"truncated\.so is no plugin: it is cut short", "halved": r"halved\.so is no plugin: it is cut short",
            "empty": r"empty\.so is no plugin: it is not an ELF file", "script": r"script\.so is no plugin: it is not an ELF file",
            "machine": r"machine\.so is no plugin: it is built for another machine",
            "narrow": r"narrow\.so is no plugin: it is built for another machine",
            "program": r"program\.so is no plugin: it is not a shared object",
            "folder": r"folder\.so is refused: not a regular file", "missing": r"runtime missing wants the plugin missing\.so, which is not in .* \(plugins here: [a-z, ]*echo",
        }
        with self.start(folder, list(wants)) as d:
            self.assert_each_refused(d, wants)

    def test_bad_places(self):
        """A link may lead out of the folder (a build tree's do), but only to where nobody else can write."""
        folder = self.plugins("echo")
        whole = (BUILT / "echo.so").read_bytes()
        elsewhere = folder / "open"
        elsewhere.mkdir()
        (elsewhere / "echo.so").write_bytes(whole)
        elsewhere.chmod(0o777)
        (folder / "runtimes/link.so").symlink_to(elsewhere / "echo.so")
        (folder / "runtimes/secret.so").symlink_to("/etc/passwd")
        (folder / "runtimes/loop.so").symlink_to("loop.so")
        self.put(folder, "wide", whole, mode=0o757)
        wants = {
            "link": rf"(link|echo)\.so is refused: folder {re.escape(str(elsewhere))} can be written by others",
            "secret": "passwd is no plugin: it is not an ELF file", "loop": r"loop\.so: Too many levels of symbolic links",
            "wide": r"wide\.so is refused: it can be written by others",
        }
        if os.getuid() == 0:
            os.chown(self.put(folder, "foreign", whole), 12345, 0)
            wants["foreign"] = r"foreign\.so is refused: it belongs to another user"
        with self.start(folder, list(wants)) as d:
            self.assert_each_refused(d, wants)

    def test_folder_that_others_can_write_to(self):
        folder = self.plugins("echo", "hostile")
        with self.start(folder, []) as d:
            (folder / "runtimes").chmod(0o777)
            d.write(harness.service("late", harness.OUTPUT / "plugins-model", fmt="hostile"))
            self.assertEqual(harness.paddock("--server", d.url, "reload").returncode, 0)
            self.assert_refused(d, "late", rf"hostile\.so is refused: folder {re.escape(str(folder / 'runtimes'))} can be written by others")
            self.assert_neighbour_serves(d)
            (folder / "runtimes").chmod(0o755)
            d.wait_ready("late", 20)  # nobody has to restart it once the folder is right

    def test_image_that_climbs(self):
        """A runtime document cannot name a plugin outside the folder."""
        for image in ("paddock/../../etc/passwd", "paddock//tmp/x", "paddock/.", "paddock/a/b"):
            with self.subTest(image):
                folder = self.plugins("echo")
                d = harness.Daemon("climbs", [], runtimes=[runtime("echo", "echo")], plugins=folder)
                with d:
                    document = runtime("climb", "x")
                    document["spec"]["containers"][0]["image"] = image
                    (d.etc / "runtimes.d/climb.yaml").write_text(json.dumps(document))
                    d.write(harness.service("climb", "/etc/hostname", fmt="climb"))
                    refused = harness.paddock("--server", d.url, "reload")
                    self.assertNotEqual(refused.returncode, 0)
                    self.assertIn("a plugin's name has 1 to 63 of a-z, 0-9 and '-'", refused.stderr)
                    self.assertEqual(d.workers(), [])

    def test_loads_that_go_wrong(self):
        model = harness.OUTPUT / "plugins-model"
        bad = lambda name, act: harness.service(name, model, fmt="hostile", args=["--load=" + act])
        with self.start(self.plugins("echo", "hostile"), [], [bad("hangs", "hang"), bad("aborts", "crash"), bad("leaves", "leave")]) as d:
            self.assert_each_refused(d, {
                "hangs": "the load made no progress in 2 s, and was stopped",
                "aborts": r"the worker was ended by signal 6 \(Aborted\)",
                "leaves": "the worker ended with exit status 0; its last lines: first line.*second line, in red\\?",
            })
            status, answer = d.json("POST", "/v1/completions", {"model": "leaves", "prompt": "x"}, timeout=90)
            self.assertEqual(status, 503)
            self.assertIn("exit status 0", answer["error"]["message"])


class AtWork(PluginTest):
    """Services that loaded well; each act is one service's, so that no restart waits for another's back-off."""

    def act(self, acts, stream=(False, True)):
        model = harness.OUTPUT / "plugins-model"
        names = {f"{act}-{'s' if s else 'w'}": (act, s) for act in acts for s in stream}
        d = self.start(self.plugins("echo", "hostile"), [], [harness.service(n, model, fmt="hostile") for n in names])
        for name in names:
            d.wait_ready(name)
        return d, names

    def ask(self, d, name, act, stream):
        """(error message or None, answer) of a request that names an act."""
        status, _, body = d.request("POST", "/v1/completions", {"model": name, "prompt": act, "stream": stream}, timeout=60)
        text = body.decode()
        if status != 200:
            self.assertEqual(status, 503, text)
            self.assertEqual(json.loads(text)["error"]["type"], "ServiceUnavailableError")
            return json.loads(text)["error"]["message"], text
        if not stream:
            return None, text
        self.assertTrue(text.endswith("data: [DONE]\n\n"), text[-200:])
        errors = [json.loads(e[6:]) for e in text.split("\n\n") if e.startswith("data: {") and '"error"' in e]
        return errors[0]["error"]["message"] if errors else None, text

    def test_replica_is_replaced(self):
        """The request ends with an error, what happened stands in the log, and a new worker serves."""
        wants = {
            "crash": r"the worker was ended by signal 11 \(Segmentation fault\)",
            "exit": "the worker ended with exit status 0",
            "hang": "the worker answered no ping in 2 s, and was killed",
            "hang-engine": "the engine made no step in 4 s with requests waiting, and was killed",
            "never": "the engine made no step in 4 s with requests waiting, and was killed",
            "garbage": "the replica broke the protocol: a frame starts with 0x73696874",
            "huge": "the replica broke the protocol: a frame of 4294967295 bytes",
            "unknown-id": r"the replica broke the protocol: .*not in flight",
            "unsealed": "the replica broke the protocol: .*seal",
        }
        d, names = self.act(wants)
        with d:
            before = {w for w in d.workers()}
            for name, (act, stream) in names.items():
                with self.subTest(name):
                    message, answer = self.ask(d, name, act, stream)
                    self.assertIsNotNone(message, answer)
                    self.assertNotRegex(answer, r"0x[0-9a-f]{8}|/tmp|signal")
                    d.wait_for(lambda: re.search(name + "-predictor.*failed, started again.*" + wants[act], (d.folder / "log").read_text(errors="replace")))
                    d.wait_ready(name, 10)
                    d.wait_for(lambda: self.say(d, name, "count")[0] == 200)  # what was published a moment before may still name the old one
                    self.assert_neighbour_serves(d)
            self.assertEqual(len(before & set(d.workers())), 1, "the neighbour's worker is the one that stayed")

    def test_worker_that_hung_up_and_lives_on(self):
        """Between the end of its channel and the end of its process, requests wait or get 503; the daemon does not trip."""
        d, names = self.act({"hang-up": ""}, stream=(False,))
        with d:
            name = next(iter(names))
            self.assertIsNotNone(self.ask(d, name, "hang-up", False)[0])
            until = time.monotonic() + 2
            while time.monotonic() < until:
                self.assertIn(self.say(d, name, "count")[0], (200, 503))
                self.assert_neighbour_serves(d)
            d.wait_ready(name, 10)

    def test_finishes_twice(self):
        """The first finish is the answer; the second one ends the worker."""
        wants = {"twice": r"the runtime finished request \d+ twice", "late-part": r"the runtime sent a part of request \d+, which it had finished"}
        d, names = self.act(wants, stream=(False,))
        with d:
            for name, (act, _) in names.items():
                self.ask(d, name, act, False)
                d.wait_for(lambda: re.search(name + "-predictor.*failed, started again.*" + wants[act], (d.folder / "log").read_text(errors="replace")))
                d.wait_ready(name, 10)
                d.wait_for(lambda: self.say(d, name, "count")[0] == 200)
            self.assert_neighbour_serves(d)

    def test_request_fails_alone(self):
        """What a runtime does wrong with one request costs that request only."""
        d, _ = self.act(["x"], stream=(False,))
        with d:
            workers = sorted(d.workers())
            for act, want in (("flood", "the runtime went on sending after it was told to wait"), ("bad-part", "do not add up to 3 logprobs")):
                status, answer = self.say(d, "x-w", act)
                self.assertEqual((status, answer["error"]["type"]), (500, "InternalServerError"), answer)
                self.assertIn(want, answer["error"]["message"])
            self.assertEqual(self.say(d, "x-w", "refuse")[0], 400)
            self.assertEqual(self.say(d, "x-w", "count")[0], 200)
            self.assertEqual(sorted(d.workers()), workers)
            self.assert_neighbour_serves(d)

    def test_prints(self):
        """What a plugin prints, on either stream, is its pod's log and no part of an answer."""
        d, _ = self.act(["x"], stream=(False,))
        with d:
            self.assertEqual(self.say(d, "x-w", "prints")[0], 200)
            logs = d.wait_for(lambda: (o := harness.paddock("--server", d.url, "logs", "x-w").stdout).count("a line on") == 2 and o)
            self.assertIn("a line on stdout\n", logs)
            self.assertIn("a line on stderr\n", logs)
            self.assertIn("-predictor-00001-deployment-", next(l for l in d.log_text().splitlines() if "a line on stdout" in l))

    @unittest.skipIf(harness.SANITIZED, "sanitizers need calls that the filter refuses; the plain build tests it")
    def test_forbidden_acts(self):
        d, _ = self.act(["x"], stream=(False,))
        with d:
            status, answer = self.say(d, "x-w", "forbidden")
            self.assertEqual(status, 200, answer)
            results = dict(l.rsplit(": ", 1) for l in answer["choices"][0]["text"].splitlines() if l)
            self.assertGreaterEqual(len(results), 25)
            self.assertEqual({a: r for a, r in results.items() if r not in ("EPERM", "EACCES", "ENOSYS")}, {})
            self.assertFalse(pathlib.Path("/tmp/paddock-forbidden").exists())
            self.assert_neighbour_serves(d)

    def test_model_shrinks(self):
        """SIGBUS in a mapped model: a message, and a new worker."""
        model = harness.OUTPUT / "shrinking-model"
        model.write_bytes(b"weights" * 10000)
        with self.start(self.plugins("echo", "hostile"), [], [harness.service("shrinks", model, fmt="hostile")]) as d:
            d.wait_ready("shrinks")
            os.truncate(model, 0)
            self.assertIsNotNone(self.ask(d, "shrinks", "bus", False)[0])
            d.wait_for(lambda: "the model's file got shorter" in d.log_text())
            d.wait_ready("shrinks", 10)
            self.assert_neighbour_serves(d)


if __name__ == "__main__":
    unittest.main()
