"""Model files and configurations made to do harm, through a whole daemon, beside a service that goes on serving."""
import json
import os
import pathlib
import re
import shutil
import signal
import struct
import time
import unittest

import harness

MODEL, TOKENIZER = "models/llama-gqa-tied", "tokenizers/smollm/tokenizer.json"


# ---- GGUF, written here so that each case differs in one thing

def text(s):
    raw = s.encode()
    return struct.pack("<Q", len(raw)) + raw


def value(v, kind=None):
    if isinstance(v, bytes):
        return v
    if isinstance(v, str):
        return struct.pack("<I", 8) + text(v)
    if isinstance(v, float):
        return struct.pack("<If", 6, v)
    if isinstance(v, list):
        inner = 8 if isinstance(v[0], str) else 6 if isinstance(v[0], float) else 5
        body = b"".join(text(x) if inner == 8 else struct.pack("<f" if inner == 6 else "<i", x) for x in v)
        return struct.pack("<IIQ", 9, inner, len(v)) + body
    return struct.pack("<II", 4, v)


def tokens():
    return ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)] + [f"t{i}" for i in range(61)]


VALUES = {
    "general.architecture": "llama", "llama.block_count": 3, "llama.context_length": 512, "llama.embedding_length": 32, "llama.feed_forward_length": 56,
    "llama.attention.head_count": 4, "llama.attention.head_count_kv": 2, "llama.attention.layer_norm_rms_epsilon": 1e-6, "llama.rope.freq_base": 1e5,
    "llama.vocab_size": 320, "tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": tokens(), "tokenizer.ggml.scores": [0.0] * 320,
    "tokenizer.ggml.token_type": [2, 3, 3] + [6] * 256 + [1] * 61, "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2}


def tensors():
    """(name, shape as GGUF counts, type) of a llama as small as the fixture."""
    rows = [("token_embd.weight", [32, 320], 0), ("output_norm.weight", [32], 0)]
    for b in range(3):
        rows += [(f"blk.{b}.{n}.weight", s, 0) for n, s in (
            ("attn_norm", [32]), ("ffn_norm", [32]), ("attn_q", [32, 32]), ("attn_k", [32, 16]), ("attn_v", [32, 16]), ("attn_output", [32, 32]),
            ("ffn_gate", [32, 56]), ("ffn_up", [32, 56]), ("ffn_down", [56, 32]))]
    return rows


def gguf(values=None, rows=None, change=None, version=3, counts=None, extra=b"", shorter=0, alignment=32):
    """A whole file. `change` maps a tensor's name to (shape, type, offset), None leaving what was."""
    values = {**VALUES, **(values or {})}
    values = {k: v for k, v in values.items() if v is not None}
    rows = rows or tensors()
    offset, table, data = 0, b"", 0
    for name, shape, kind in rows:
        size = 4
        for d in shape:
            size *= d
        s, k, o = (change or {}).get(name, (None, None, None))
        s, k, o = s or shape, kind if k is None else k, offset if o is None else o
        table += text(name) + struct.pack("<I", len(s)) + b"".join(struct.pack("<Q", d) for d in s) + struct.pack("<IQ", k, o)
        data += size
        offset += size
    n_tensors, n_values = counts or (len(rows), len(values) + (extra != b""))
    head = b"GGUF" + struct.pack("<IQQ", version, n_tensors, n_values) + b"".join(text(k) + value(v) for k, v in values.items()) + extra + table
    head += b"\0" * (-len(head) % alignment)
    whole = head + struct.pack("<f", 0.01) * (data // 4)
    return whole[:len(whole) - shorter]


def gguf_cases():
    same = tokens()
    same[300] = same[301]
    big = 1 << 62
    return {
        "magic": (b"GGML" + gguf()[4:], "not a GGUF file"),
        "version": (gguf(version=99), "version 99"),
        "count": (gguf(counts=(1 << 60, len(VALUES))), "1152921504606846976 tensors"),
        "values": (gguf(counts=(29, 1 << 60)), "1152921504606846976"),
        "string": (gguf()[:24] + struct.pack("<Q", 1 << 63) + gguf()[32:], "the file ends inside metadata"),
        "cut-head": (gguf()[:3000], "has 320 elements, more than the file holds"),
        "cut-data": (gguf(shorter=4096), "past the end|passes the end"),
        "offset": (gguf(change={"output_norm.weight": (None, None, 1 << 50)}), "output_norm.weight"),
        "misaligned": (gguf(change={"output_norm.weight": (None, None, 40961)}), "output_norm.weight"),
        "wraps": (gguf(change={"token_embd.weight": ([big, 8], None, None)}), "token_embd.weight"),
        "shape": (gguf(change={"token_embd.weight": ([320, 32], None, None)}), "token_embd.weight is"),
        "type": (gguf(change={"token_embd.weight": (None, 250, None)}), "250"),
        "rank": (gguf(change={"output_norm.weight": ([1] * 9, None, None)}), "9"),
        "twice": (gguf(rows=tensors() + [("output_norm.weight", [32], 0)]), "output_norm.weight.*twice|duplicate|second"),
        "alignment": (gguf({"general.alignment": 0}), "alignment"),
        "alignment3": (gguf({"general.alignment": 48}), "alignment"),
        "heads": (gguf({"llama.attention.head_count": 0}), "head_count"),
        "layers": (gguf({"llama.block_count": 1 << 31}), "block_count"),
        "width": (gguf({"llama.embedding_length": 1 << 31}), "embedding_length"),
        "key-twice": (gguf(extra=text("llama.block_count") + value(3)), "llama.block_count"),
        "array-of-arrays": (gguf(extra=text("x") + struct.pack("<IIQ", 9, 9, 1) + struct.pack("<IQ", 4, 0)), "array"),
        "same-tokens": (gguf({"tokenizer.ggml.tokens": same}), "300.*301"),
        "unknown": (gguf({"general.architecture": "nonesuch"}), "nonesuch"),
    }


def safetensors(model, change=None, raw=None, shorter=0, length=None, more=b""):
    whole = (model / "model.safetensors").read_bytes()
    n, = struct.unpack("<Q", whole[:8])
    head, data = json.loads(whole[8:8 + n]), whole[8 + n:]
    if change:
        change(head)
    raw = raw if raw is not None else json.dumps(head).encode()
    out = struct.pack("<Q", len(raw) if length is None else length) + raw + data + more
    return out[:len(out) - shorter]


NORM, EMBED = "model.norm.weight", "model.embed_tokens.weight"


def safetensors_cases(model):
    def set_(name, **kw):
        return lambda h: h[name].update(kw)
    return {
        "st-length": (safetensors(model, length=1 << 62), "header"),
        "st-tiny": (b"\x01", "too few"),
        "st-array": (safetensors(model, raw=b"[]"), "header"),
        "st-deep": (safetensors(model, raw=b'{"a":' + b"[" * 20000 + b"]" * 20000 + b"}"), "deep|nest|level"),
        "st-cut": (safetensors(model, shorter=4096), "end of the file|passes|bytes"),
        "st-more": (safetensors(model, more=b"polyglot"), "the tensors end at 143232, the file.s data at 143240"),
        "st-dtype": (safetensors(model, set_(NORM, dtype="F99")), "F99"),
        "st-shape": (safetensors(model, set_(NORM, shape=[1 << 40, 1 << 40])), NORM),
        "st-negative": (safetensors(model, set_(NORM, shape=[-32])), NORM),
        "st-overlap": (safetensors(model, set_(NORM, data_offsets=[0, 128])), "overlap|hole|offsets|gap"),
        "st-backwards": (safetensors(model, set_(NORM, data_offsets=[128, 0])), NORM),
        "st-missing": (safetensors(model, lambda h: h.update(x=h.pop(NORM))), "model.norm.weight|no use for"),
    }


def config_cases(model):
    config = json.loads((model / "config.json").read_text())
    change = lambda **kw: json.dumps({**config, **kw}).encode()
    return {
        "cf-empty": (b"", "config.json"),
        "cf-deep": (b'{"a":' * 850 + b"1" + b"}" * 850, "config.json.*(deep|level|nest)"),
        "cf-twice": (b'{"hidden_size":32,' + json.dumps(config).encode()[1:], "hidden_size"),
        "cf-heads": (change(num_attention_heads=0), "num_attention_heads"),
        "cf-layers": (change(num_hidden_layers=1 << 40), "num_hidden_layers"),
        "cf-negative": (change(hidden_size=-32), "hidden_size"),
        "cf-fraction": (change(hidden_size=32.5), "hidden_size"),
        "cf-huge": (change(vocab_size=2 ** 31 - 1), "vocab_size|embed_tokens"),
        "cf-context": (change(max_position_embeddings=10 ** 30), "max_position_embeddings"),
        "cf-unknown": (change(architectures=["EvilForCausalLM"], auto_map={"AutoModel": "evil.Evil"}), "EvilForCausalLM"),
        "cf-eps": (json.dumps({**config, "rms_norm_eps": "@"}).replace('"@"', "1e999").encode(), "rms_norm_eps|1e999|range"),
        "cf-bytes": (b'{"model_type":"\xff\xfe"}', "UTF-8"),
    }


def tokenizer_cases(whole):
    def change(f):
        t = json.loads(whole)
        f(t)
        return json.dumps(t).encode()
    replace = lambda a, b: {"type": "Replace", "pattern": {"String": a}, "content": b}
    return {
        "tk-empty": (b"{}", "tokenizer.json"),
        "tk-cut": (whole[:len(whole) // 2], "tokenizer.json"),
        "tk-merge": (change(lambda t: t["model"]["merges"].insert(0, ["no such piece", "x"])), "merge"),
        "tk-id": (change(lambda t: t["model"]["vocab"].update({"evil": -1})), "evil|-1"),
        "tk-id2": (change(lambda t: t["model"]["vocab"].update({"evil": 1 << 40})), "evil|1099511627776"),
        "tk-model": (change(lambda t: t["model"].update(type="Evil")), "Evil"),
        "tk-regex": (change(lambda t: t.update(pre_tokenizer={"type": "Split", "pattern": {"Regex": "(" * 300 + ")" * 300}, "behavior": "Isolated", "invert": False})),
                     "pattern|regular|parenthes"),
    }


class HostileTest(unittest.TestCase):
    def start(self, services=(), **kw):
        d = harness.Daemon(self._testMethodName, [harness.service("neighbour", harness.fixture(MODEL)), *services], wait=False, **kw)
        d.wait_ready("neighbour")
        return d

    def assert_neighbour_serves(self, d):
        status, answer = d.json("POST", "/v1/completions", {"model": "neighbour", "prompt": [4, 5], "max_tokens": 2})
        self.assertEqual(status, 200, answer)
        self.assertIsNone(d.process.poll())

    def folder(self, name, files):
        """A copy of the fixture with these files in place of its own."""
        folder = harness.OUTPUT / "hostile-models" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for f in ("config.json", "generation_config.json", "model.safetensors"):
            shutil.copyfile(harness.fixture(MODEL) / f, folder / f)
        for f, content in files.items():
            (folder / f).write_bytes(content)
        return folder

    def refused(self, cases, locate):
        """All cases as services of one daemon: each refused within 5 s in one clear line, the neighbour undisturbed."""
        with self.start() as d:
            worker = d.workers()
            for name, (content, want) in cases.items():
                with self.subTest(name):
                    d.write(harness.service(name, locate(name, content)))
                    began = time.monotonic()
                    self.assertEqual(harness.paddock("--server", d.url, "reload").returncode, 0)
                    got = d.wait_for(lambda: (c := d.condition(name, "PredictorReady")).get("status") in ("False", "True") and c, 5)
                    self.assertLess(time.monotonic() - began, 5 * harness.SLOW)
                    self.assertEqual(got["status"], "False", f"{name} was taken")
                    self.assertRegex(got["message"], re.compile(want), name)
                    self.assertNotRegex(got["message"], r"signal|exit status|[\x00-\x1f]", "refused, not crashed")
                    (d.etc / f"models.d/{name}.json").unlink()
            self.assertEqual(harness.paddock("--server", d.url, "reload").returncode, 0)
            d.wait_for(lambda: d.workers() == worker)
            self.assert_neighbour_serves(d)


class ModelFiles(HostileTest):
    def folder_of_one(self, name, content):
        path = harness.OUTPUT / "hostile-models" / f"{name}.gguf"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return path

    def test_the_base_of_each_is_good(self):
        """Else the others would be refused for what they have in common."""
        model = harness.fixture(MODEL)
        good = {"good-gguf": self.folder_of_one("good-gguf", gguf()), "good-st": self.folder("good-st", {"model.safetensors": safetensors(model)})}
        with self.start([harness.service(n, p) for n, p in good.items()]) as d:
            for name in good:
                d.wait_ready(name)
                self.assertEqual(d.json("POST", "/v1/completions", {"model": name, "prompt": [4], "max_tokens": 2})[0], 200)

    def test_gguf(self):
        self.refused(gguf_cases(), self.folder_of_one)

    def test_safetensors(self):
        self.refused(safetensors_cases(harness.fixture(MODEL)), lambda n, c: self.folder(n, {"model.safetensors": c}))

    def test_config_json(self):
        self.refused(config_cases(harness.fixture(MODEL)), lambda n, c: self.folder(n, {"config.json": c}))

    def test_tokenizer_json(self):
        self.refused(tokenizer_cases(harness.fixture(TOKENIZER).read_bytes()), lambda n, c: self.folder(n, {"tokenizer.json": c}))

    def test_template(self):
        """A template that does not parse, or reaches for what is none of its business, costs the chat route of that model only."""
        templates = {
            "broken": ("{% for %}", "template"), "classes": ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "'__class__' starts with two underscores"),
            "attributes": ("{{ messages.__init__.__globals__ }}", "'__init__' starts with two underscores"), "endless": ("{% for i in range(10**9) %}x{% endfor %}", "range"),
            "deep": ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "template"),
        }
        services = [harness.service(n, self.folder_of_one("template-" + n, gguf({"tokenizer.chat_template": t}))) for n, (t, _) in templates.items()]
        with self.start(services) as d:
            for name, (_, want) in templates.items():
                with self.subTest(name):
                    d.wait_ready(name)
                    began = time.monotonic()
                    status, answer = d.json("POST", "/v1/chat/completions", {"model": name, "messages": [{"role": "user", "content": "x"}], "max_tokens": 2})
                    self.assertLess(time.monotonic() - began, 2 * harness.SLOW)
                    self.assertIn(status, (400, 500), answer)
                    said = answer["error"]["message"] + "".join(l for l in (d.folder / "log").read_text().splitlines() if l.startswith(f"paddockd: warning: {name}-"))
                    self.assertRegex(said, want)
                    self.assertEqual(d.json("POST", "/v1/completions", {"model": name, "prompt": [4], "max_tokens": 2})[0], 200)
            self.assertNotIn("signal", d.log_text())
            self.assert_neighbour_serves(d)

    def test_file_shrinks_under_load(self):
        """Who truncates a model that is being served gets a message and a new worker, never a wrong answer or a dead daemon."""
        path = self.folder_of_one("shrinking", gguf())
        whole = path.read_bytes()
        ask = lambda d: d.json("POST", "/v1/completions", {"model": "shrinking", "prompt": [4, 5, 6], "max_tokens": 20, "temperature": 0, "ignore_eos": True})
        with self.start([harness.service("shrinking", path)]) as d:
            d.wait_ready("shrinking")
            right = ask(d)[1]["choices"][0]["text"]
            os.truncate(path, 4096)
            for _ in range(10):
                status, answer = ask(d)
                if status == 200:  # the weights were copied into the panels that kernels want
                    self.assertEqual(answer["choices"][0]["text"], right)
                else:
                    self.assertEqual(status, 503, answer)
            for worker in d.workers():
                os.kill(worker, signal.SIGKILL)
            message = d.wait_for(lambda: (c := d.condition("shrinking", "PredictorReady")).get("status") == "False" and "shrinking.gguf" in c["message"] and c["message"])
            self.assertRegex(message, "past the end|passes the end|ends inside|more than the file holds")
            path.write_bytes(whole)
            d.wait_ready("shrinking", 20)
            self.assertEqual(ask(d)[1]["choices"][0]["text"], right)
            d.wait_ready("neighbour")
            self.assert_neighbour_serves(d)


SERVICE = "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {name: %s}\nspec:\n  predictor:\n    model:\n      modelFormat: {name: huggingface}\n      storageUri: file:///nowhere\n"
CONF = 'apiVersion = "serving.kserve.io/v1beta1"; kind = "InferenceService"; metadata = { name = "x"; };\nspec = { predictor = { model = { modelFormat = { name = "huggingface"; }; storageUri = "file:///nowhere"; %s }; %s }; };\n'
LAUGHS = "a: &a [lol,lol,lol,lol,lol,lol,lol,lol,lol]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [" + ",".join(["*" + chr(97 + i)] * 9) + "]\n" for i in range(8))

DOCUMENTS = {
    "laughs.yaml": (LAUGHS, r"laughs\.yaml: anchors are not allowed at line 1, column 4"),
    "cycle.yaml": ("a: &a [*a]\n", r"cycle\.yaml: anchors are not allowed at line 1, column 4"),
    "deep.yaml": ("[" * 100000, r"deep\.yaml.*(64|deep|depth|level)"),
    "wide.yaml": ("a: [" + "1," * 20000 + "1]\n", r"wide\.yaml.*10000"),
    "big.yaml": ("# " + "x" * (2 << 20) + "\n" + SERVICE % "x", r"big\.yaml.*1048576|big\.yaml.*bytes"),
    "tag.yaml": ("!!python/object/apply:os.system ['touch /tmp/paddock-was-here']\n", r"tag\.yaml.*tag"),
    "key.yaml": (SERVICE % "x" + "kind: InferenceService\n", r"key\.yaml: duplicate key 'kind' at line 9"),
    "bytes.yaml": (b"a: \xff\xfe\x00\n", r"bytes\.yaml"),
    "field.yaml": (SERVICE.replace("storageUri", "storageUrl") % "x", r"field\.yaml:8:19: .*storageUrl.*did you mean 'storageUri'"),
    "deep.json": ('{"a":' * 1000 + "1" + "}" * 1000, r"deep\.json.*(64|deep|level|nest)"),
    "key.json": ('{"kind":"InferenceService","kind":"Pod"}', r"key\.json.*kind"),
    "number.json": ('{"apiVersion":"serving.kserve.io/v1beta1","kind":"InferenceService","metadata":{"name":"x"},"spec":{"predictor":{"minReplicas":1e999,"model":'
                    '{"modelFormat":{"name":"huggingface"}}}}}', r"number\.json: number out of range at line 1, column 133"),
    "overflow.conf": (CONF % ("", "minReplicas = 99999999999;"), r"overflow\.conf: the integer 99999999999 does not fit 32 bits .* at line 2"),
    "long.conf": (CONF % ("", "minReplicas = 99999999999999999999999L;"), r"long\.conf: the integer 99999999999999999999999L does not fit 64 bits at line 2"),
    "include.conf": ('@include "/etc/passwd"\n', r"include\.conf.*@include"),
    "lists.conf": ("a = " + "(" * 10000 + ")" * 10000 + ";\n", r"lists\.conf.*(64|deep|level|nest)"),
    "key.conf": (CONF % ("", "") + 'kind = "Pod";\n', r"key\.conf.*kind.*line 3|key\.conf.*line 3"),
}


class Configurations(HostileTest):
    def test_documents(self):
        """Each refuses the whole reload in a moment, in one line that names file and line; what ran runs on."""
        with self.start() as d:
            d.write(harness.service("innocent", harness.fixture(MODEL)))  # in the same reload: must not come
            worker = d.workers()
            for name, (content, want) in DOCUMENTS.items():
                with self.subTest(name):
                    path = d.etc / "models.d" / name
                    path.write_bytes(content if isinstance(content, bytes) else content.encode())
                    took = 9.0
                    for _ in range(3):  # the best of three: other processes take time too
                        began = time.monotonic()
                        status, answer = d.json("POST", "/-/reload")
                        took = min(took, time.monotonic() - began)
                    path.unlink()
                    self.assertEqual(status, 413 if name == "big.yaml" else 400, answer)
                    self.assertRegex(answer["message"], want)
                    self.assertNotIn("root:", answer["message"])
                    self.assertNotRegex(answer["message"], r"[\x00-\x1f]")
                    self.assertLess(len(answer["message"]), 1024)
                    self.assertLess(took, 0.1 * harness.SLOW, name)
                    self.assertEqual([i["metadata"]["name"] for i in d.json("GET", "/apis/serving.kserve.io/v1beta1/inferenceservices")[1]["items"]], ["neighbour"])
            self.assertEqual(d.workers(), worker)
            self.assertFalse(pathlib.Path("/tmp/paddock-was-here").exists())
            self.assertEqual(d.json("POST", "/-/reload")[0], 200)
            d.wait_ready("innocent")
            self.assert_neighbour_serves(d)

    def test_daemon_conf(self):
        """A paddock.conf that lies is refused at the start, in one line."""
        for content, want in (("connections = 99999999999;\n", r"paddock\.conf.*connections.*99999999999|99999999999"), ('@include "/etc/passwd"\n', "@include"),
                              ("conections = 9;\n", "did you mean 'connections'"), ("connections = 16;\nconnections = 17;\n", "duplicate setting name at line 2"),
                              ("limits = { queue = -1; };\n", "queue"), ("a = " + "(" * 10000 + ";\n", "paddock.conf")):
            with self.subTest(content[:40]):
                with self.assertRaisesRegex(AssertionError, "paddockd ended with [1-9]") as caught:
                    harness.Daemon("conf", conf=content)
                said = (harness.OUTPUT / "conf/log").read_text()
                self.assertRegex(said, want)
                self.assertEqual(len(said.splitlines()), 1, said)
                self.assertNotIn("root:", said)
                del caught


if __name__ == "__main__":
    unittest.main()
