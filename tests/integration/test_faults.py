"""Workers that are killed, stopped, and that cannot start."""
import concurrent.futures
import http.client
import json
import os
import signal
import threading
import time
import unittest

import harness

NAME = "llama-gqa-tied"


class Faults(unittest.TestCase):
    def start(self, name, **kw):
        return harness.Daemon(name, [harness.service(NAME, harness.fixture(f"models/{NAME}"), args=["--dtype=float32", "--max-model-len=500"])], **kw)

    def long_request(self, d, stream, began):
        c = http.client.HTTPConnection("127.0.0.1", d.port, timeout=120)
        c.request("POST", "/v1/completions", json.dumps({"model": NAME, "prompt": [4, 5, 6], "max_tokens": 450, "temperature": 0, "ignore_eos": True, "stream": stream}),
                  {"Content-Type": "application/json"})
        r = c.getresponse()
        if stream:
            text = r.read(64)
            began.set()
            text += r.read()
        else:
            text = r.read()
        c.close()
        return r.status, text.decode(), r.getheader("Retry-After")

    def test_killed_under_load(self):
        with self.start("killed") as d:
            worker, = d.workers()
            began = threading.Event()
            with concurrent.futures.ThreadPoolExecutor(32) as pool:
                jobs = [pool.submit(self.long_request, d, k % 2 == 0, began) for k in range(32)]
                self.assertTrue(began.wait(30))
                os.kill(worker, signal.SIGKILL)
                killed = time.monotonic()
                answers = [j.result() for j in jobs]
            d.wait_ready(NAME, 5)
            took = time.monotonic() - killed
            broken = 0
            for k, (status, text, retry) in enumerate(answers):
                if k % 2 == 0 and status == 200:
                    self.assertTrue(text.rstrip().endswith("data: [DONE]"), text[-300:])
                    broken += '"error"' in text
                elif status != 200:
                    self.assertEqual(status, 503, text)
                    self.assertEqual(json.loads(text)["error"]["type"], "ServiceUnavailableError")
                    self.assertTrue(retry)
                    broken += 1
            self.assertGreater(broken, 0)
            self.assertLess(took, 2 * harness.SLOW + 1, "ready again within 2 s and its load time")
            self.assertNotEqual(d.workers(), [worker])
            self.assertEqual(d.json("POST", "/v1/completions", {"model": NAME, "prompt": [4], "max_tokens": 2})[0], 200)
            self.assertIn("signal 9", d.log_text())

    def test_stopped_is_replaced(self):
        with self.start("stopped") as d:
            worker, = d.workers()
            os.kill(worker, signal.SIGSTOP)
            since = time.monotonic()
            d.wait_for(lambda: [w for w in d.workers() if w != worker] and d.condition(NAME).get("status") == "True", 12)
            self.assertLess(time.monotonic() - since, 10 * harness.SLOW)
            self.assertEqual(d.json("POST", "/v1/completions", {"model": NAME, "prompt": [4], "max_tokens": 2})[0], 200)

    def test_daemon_killed_takes_its_workers_along(self):
        d = self.start("orphans")
        worker, = d.workers()
        d.process.kill()
        d.process.wait()
        until = time.monotonic() + 5
        while os.path.exists(f"/proc/{worker}") and open(f"/proc/{worker}/stat").read().rsplit(")", 1)[1].split()[0] != "Z" and time.monotonic() < until:
            time.sleep(0.02)
        self.assertTrue(not os.path.exists(f"/proc/{worker}") or open(f"/proc/{worker}/stat").read().rsplit(")", 1)[1].split()[0] == "Z")

    def test_stop_finishes_what_runs(self):
        with self.start("drain") as d:
            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                began = [threading.Event() for _ in range(4)]
                jobs = [pool.submit(self.long_request, d, True, b) for b in began]
                for b in began:
                    self.assertTrue(b.wait(30))
                self.assertEqual(d.stop(60), 0)
                for j in jobs:
                    status, text, _ = j.result()
                    self.assertEqual(status, 200)
                    self.assertTrue(text.rstrip().endswith("data: [DONE]") and '"error"' not in text, text[-300:])

    def test_reload_is_whole_or_nothing(self):
        with self.start("reload") as d:
            worker = d.workers()
            d.write(harness.service("second", harness.fixture(f"models/{NAME}")))
            bad = harness.service("third", "/x")
            bad["spec"]["predictor"]["modle"] = bad["spec"]["predictor"].pop("model")
            d.write(bad)
            r = harness.paddock("--server", d.url, "reload")
            self.assertNotEqual(r.returncode, 0)
            self.assertRegex(r.stderr, r"third\.json:\d+.*modle.*did you mean 'model'")
            self.assertEqual(len(d.json("GET", "/apis/serving.kserve.io/v1beta1/inferenceservices")[1]["items"]), 1)
            (d.etc / "models.d/third.json").unlink()
            d.process.send_signal(signal.SIGHUP)
            d.wait_for(lambda: len(d.json("GET", "/apis/serving.kserve.io/v1beta1/inferenceservices")[1]["items"]) == 2)
            d.wait_ready("second")
            self.assertTrue(set(worker) <= set(d.workers()), "the first service's worker was left alone")
            (d.etc / "models.d/second.json").unlink()
            self.assertEqual(harness.paddock("--server", d.url, "reload").returncode, 0)
            d.wait_for(lambda: d.workers() == worker)

    def test_a_broken_service_harms_nobody(self):
        with self.start("broken") as d:
            d.write(harness.service("empty", d.folder))
            d.write(harness.service("unknown", harness.fixture(f"models/{NAME}"), args=["--max-modle-len=5"]))
            self.assertEqual(harness.paddock("--server", d.url, "reload").returncode, 0)
            why = lambda n: d.condition(n, "PredictorReady").get("message", "")
            d.wait_for(lambda: "config.json" in why("empty"))
            d.wait_for(lambda: "did you mean 'max-model-len'" in why("unknown"))
            self.assertEqual(d.json("POST", "/v1/completions", {"model": NAME, "prompt": [4], "max_tokens": 2})[0], 200)
            status, answer = d.json("POST", "/v1/completions", {"model": "unknown", "prompt": [4], "max_tokens": 2}, timeout=90)
            self.assertEqual(status, 503)
            self.assertIn("max-modle-len", answer["error"]["message"])


if __name__ == "__main__":
    unittest.main()
