"""What must stay inside: keys and prompts out of everything that is kept or shown; and no door but the API's."""
import os
import pathlib
import re
import shutil
import unittest

import harness

NAME, KEY, PROMPT = "llama-gqa-tied", "sekrit-canary-key-8d1f", "canary prompt of a private person"


class Secrets(unittest.TestCase):
    def test_keys_and_prompts_stay_inside(self):
        d = harness.Daemon("secrets", [harness.service(NAME, self.model())], wait=False)
        keys = d.etc / "keys"
        keys.mkdir(mode=0o750)
        (keys / "alice").write_text(KEY + "\n")
        (keys / "alice").chmod(0o640)
        with d:
            d.process.send_signal(1)
            d.wait_for(lambda: d.get("/v1/models")[0] == 401)
            with_key = {"Authorization": "Bearer " + KEY}
            d.wait_for(lambda: d.json("POST", "/v1/completions", {"model": NAME, "prompt": PROMPT, "max_tokens": 2}, headers=with_key)[0] == 200, 30)
            bodies = [d.request("POST", "/v1/completions", {"model": NAME, "prompt": PROMPT, "max_tokens": 2, "temperature": -1}, headers=with_key)[2],
                      d.request("POST", "/v1/completions", b"{", headers={**with_key, "Content-Type": "application/json"})[2],
                      d.get("/nope", headers=with_key)[2], d.get("/v1/models", headers={"Authorization": "Bearer x" + KEY})[2],
                      d.get("/metrics", headers=with_key)[2]]
            for body in bodies:
                self.assertNotIn(KEY.encode(), body)
            self.assertEqual(d.json("POST", "/v1/chat/completions", {"model": NAME, "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 2}, headers=with_key)[0], 400)
            places = [p for p in pathlib.Path(d.folder).rglob("*") if p.is_file() and p.parent != keys]
            self.assertIn(d.folder / "log", places)
            for pid in [d.process.pid, *d.workers()]:
                places += [pathlib.Path(f"/proc/{pid}/{f}") for f in ("cmdline", "environ", "comm")]
            for place in places:
                content = place.read_bytes()
                self.assertNotIn(KEY.encode(), content, place)
                self.assertNotIn(PROMPT.encode(), content, place)

    def model(self):
        """A folder with text in and text out: the fixture and a tokenizer of the same size of vocabulary or less."""
        folder = harness.OUTPUT / "secret-model"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(harness.fixture("models/" + NAME), folder)
        (folder / "tokenizer.json").write_text('{"model":{"type":"BPE","vocab":{%s},"merges":[]},"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},'
                                               '"decoder":{"type":"ByteLevel"}}' % ",".join(f'"{c}":{i}' for i, c in enumerate("abcdefghijklmnopqrstuvwxyz\u0120", 3)))
        return folder

    def test_a_worker_knows_nothing_of_the_daemons_environment(self):
        with harness.Daemon("environment", [harness.service(NAME, self.model())], env={"HF_TOKEN": "hf-canary", "AWS_SECRET_ACCESS_KEY": "aws-canary"}) as d:
            worker, = d.workers()
            seen = pathlib.Path(f"/proc/{worker}/environ").read_bytes()
            self.assertNotIn(b"canary", seen)
            self.assertNotIn(b"PATH=", seen)
            self.assertEqual(re.search(r"Max core file size +(\d+)", pathlib.Path(f"/proc/{d.process.pid}/limits").read_text())[1], "0")

    def test_only_the_api_listens(self):
        """Every socket of daemon and workers is the listener, a connection of ours, or one of the unnamed pairs."""
        with harness.Daemon("sockets", [harness.service(NAME, self.model())]) as d:
            inodes = set()
            for pid in [d.process.pid, *d.workers()]:
                for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
                    found = re.match(r"socket:\[(\d+)\]", os.readlink(fd))
                    if found:
                        inodes.add(found[1])
            listening, named = [], []
            for table in ("tcp", "tcp6", "udp", "udp6"):
                for line in pathlib.Path(f"/proc/{d.process.pid}/net/{table}").read_text().splitlines()[1:]:
                    fields = line.split()
                    if fields[9] in inodes and (fields[3] == "0A" or table.startswith("udp")):
                        listening.append(int(fields[1].rsplit(":", 1)[1], 16))
            for line in pathlib.Path(f"/proc/{d.process.pid}/net/unix").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[6] in inodes and len(fields) > 7:
                    named.append(fields[7])
            self.assertEqual(listening, [d.port])
            self.assertEqual([n for n in named if not n.startswith(str(d.run_dir))], [])
            for path in named:
                self.assertEqual(os.stat(path).st_mode & 0o7, 0, path)


if __name__ == "__main__":
    unittest.main()
