"""Many clients at once, a third of whom leave midway."""
import concurrent.futures
import http.client
import json
import pathlib
import random
import socket
import time
import unittest

import harness

NAME = "llama-gqa-tied"
CLIENTS = 256


def body(k, stream):
    return {"model": NAME, "prompt": [3 + k % 300, 7, 11 + k % 200], "max_tokens": 40, "temperature": 0, "ignore_eos": True, "return_token_ids": True, "stream": stream}


def ids_of_stream(response):
    out, done = [], False
    for line in response.read().decode().splitlines():
        if line == "data: [DONE]":
            done = True
        elif line.startswith("data: {"):
            event = json.loads(line[6:])
            assert "error" not in event, event
            for c in event["choices"]:
                out += c.get("token_ids") or []
    return out if done else None


def client(port, k, leave):
    """The answer's ids, or None for one who left."""
    stream = k % 2 == 0
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    c.request("POST", "/v1/completions", json.dumps(body(k, stream)), {"Content-Type": "application/json"})
    if leave:
        if stream:
            c.sock.settimeout(300)
            c.sock.recv(random.Random(k).randrange(1, 2000))
        if k % 3 == 0:
            c.sock.shutdown(socket.SHUT_WR)
        c.close()
        return None
    r = c.getresponse()
    assert r.status == 200, (r.status, r.read())
    try:
        return ids_of_stream(r) if stream else json.loads(r.read())["choices"][0]["token_ids"]
    finally:
        c.close()


def storm(d):
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(lambda k: client(d.port, k, k % 3 == 1), range(CLIENTS)))


class Storm(unittest.TestCase):
    def test_the_others_are_answered_and_nothing_is_left(self):
        with harness.Daemon("storm", [harness.service(NAME, harness.fixture(f"models/{NAME}"), args=["--dtype=float32"])], conf="access_log = false;") as d:
            alone = [client(d.port, k, False) if k % 3 != 1 else None for k in range(CLIENTS)]
            storm(d)
            idle = lambda: d.metric("vllm:num_requests_running") == 0 and d.metric("vllm:num_requests_waiting") == 0 and d.metric("vllm:kv_cache_usage_perc") == 0
            d.wait_for(idle)
            worker, = d.workers()
            before = d.rss(), d.rss(worker)
            self.assertEqual(storm(d), alone)
            d.wait_for(idle, 5)
            after = d.rss(), d.rss(worker)
            if not harness.SANITIZED:
                for a, b in zip(after, before):
                    self.assertLess(a, b * 1.05 + 256, f"resident KiB of daemon and worker: {before} then {after}")

    def test_idle_costs_nothing(self):
        with harness.Daemon("idle", [harness.service(NAME, harness.fixture(f"models/{NAME}"))]) as d:
            client(d.port, 0, False)
            pids = [d.process.pid, *d.workers()]

            def spent():
                """Nanoseconds on a processor of all threads that there are."""
                total = 0
                for pid in pids:
                    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                        total += int((task / "schedstat").read_text().split()[0])
                return total
            time.sleep(0.5)
            first = spent()
            time.sleep(10)
            used = (spent() - first) / 10e9
            print(f"idle: {used * 100:.3f} %", end=" ")
            self.assertLess(used, 0.001 * (3 if harness.SANITIZED else 1), f"{used * 100:.3f} % of a core")


if __name__ == "__main__":
    unittest.main()
