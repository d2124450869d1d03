"""Structured output over HTTP: what a random model writes is what was asked for, whichever way it was asked and whatever
else runs; what cannot be is a 400 before the first token."""
import concurrent.futures
import json
import re
import unittest

import harness

PROMPT = "One thing about Denver is "
GRAMMAR = 'root ::= "(" item ("+" item)* ")"\nitem ::= [0-9]{1,3} | root\n'
LARK = 'start: item ("," item)*\nitem: /[a-z]+/ "=" NUMBER\n%import common.INT -> NUMBER\n%ignore " "\n'
TAG = {"type": "structural_tag",
       "format": {"type": "tag", "begin": "<n>", "content": {"type": "regex", "pattern": "[0-9]{2,4}"}, "end": "</n>"}}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 0, "maximum": 20}, "b": {"enum": ["x", None]}},
          "required": ["a", "b"], "additionalProperties": False}


def is_sum(text):
    """Whether GRAMMAR has this text."""
    while True:
        shorter = re.sub(r"\((?:[0-9]{1,3})(?:\+[0-9]{1,3})*\)", "0", text, count=1)
        if shorter == text:
            return text == "0"
        text = shorter


def is_json(text):
    value = json.loads(text)
    return set(value) == {"a", "b"} and value["a"] == int(value["a"]) and 0 <= value["a"] <= 20 and value["b"] in ("x", None)


ASKED = [
    ({"structured_outputs": {"choice": ["red", "green", "blue"]}}, lambda t: t in ("red", "green", "blue")),
    ({"guided_choice": ["red", "redder"]}, lambda t: t in ("red", "redder")),
    ({"structured_outputs": {"regex": "[a-f]{2,8}-(1|22)"}}, lambda t: re.fullmatch("[a-f]{2,8}-(1|22)", t)),
    ({"guided_regex": r"\d{3}[.]\w{2}"}, lambda t: re.fullmatch(r"\d{3}[.]\w{2}", t)),
    ({"structured_outputs": {"grammar": GRAMMAR}}, is_sum),
    ({"guided_grammar": LARK}, lambda t: re.fullmatch(r"( *[a-z]+ *= *[0-9]+ *,)* *[a-z]+ *= *[0-9]+ *", t)),
    ({"structured_outputs": {"json": SCHEMA}}, is_json),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}}}, is_json),
    ({"guided_json": json.dumps(SCHEMA)}, is_json),
    ({"structured_outputs": {"json_object": True}}, lambda t: isinstance(json.loads(t), dict)),
    ({"response_format": TAG}, lambda t: re.fullmatch("<n>[0-9]{2,4}</n>", t)),
    ({"structured_outputs": {"structural_tag": json.dumps(TAG)}}, lambda t: re.fullmatch("<n>[0-9]{2,4}</n>", t)),
]

REFUSED = [
    ({"structured_outputs": {"grammar": "root ::= ("}}, "Invalid grammar specification."),
    ({"structured_outputs": {"regex": "(a)\\1"}}, "Failed to transform regex into a grammar"),
    ({"structured_outputs": {"json": {"$ref": "https://example.com/x"}}}, "Failed to transform json schema into a grammar"),
    ({"response_format": {"type": "structural_tag", "format": {"type": "tag"}}},
     "Invalid response_format structural_tag specification."),
]


class Guided(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        model = harness.service("m", harness.fixture("walkthrough/facebook/opt-125m"), args=["--max-num-seqs=32"])
        cls.daemon = harness.Daemon("guided", services=[model])

    @classmethod
    def tearDownClass(cls):
        cls.daemon.stop()

    def ask(self, **body):
        return self.daemon.json("POST", "/v1/completions", {"model": "m", "prompt": PROMPT, "max_tokens": 200, **body})

    def texts(self, **body):
        status, answer = self.ask(**body)
        self.assertEqual(status, 200, answer)
        return [(c["text"], c["finish_reason"]) for c in answer["choices"]]

    def test_every_way_of_asking(self):
        for body, holds in ASKED:
            for seed in range(4):
                for text, finish in self.texts(**body, seed=seed, n=2):
                    with self.subTest(body=body, seed=seed, text=text):
                        if finish == "stop":
                            self.assertTrue(holds(text))
                        else:
                            self.assertEqual(finish, "length")

    def test_among_others_as_alone(self):
        requests = [{**ASKED[i % len(ASKED)][0], "seed": i, "n": 1 + i % 3, "logprobs": i % 4,
                     "frequency_penalty": i % 3 - 1, "min_tokens": i % 5} for i in range(36)]
        with concurrent.futures.ThreadPoolExecutor(len(requests)) as pool:
            together = list(pool.map(lambda body: self.texts(**body), requests))
        for body, texts in zip(requests, together):
            with self.subTest(body=body):
                self.assertEqual(self.texts(**body), texts)

    def test_a_stream_says_the_same(self):
        body = {"model": "m", "prompt": PROMPT, "max_tokens": 60, "seed": 3, "structured_outputs": {"regex": "([a-z]+ ){3,9}[.]"}}
        status, whole = self.daemon.json("POST", "/v1/completions", body)
        self.assertEqual(status, 200, whole)
        status, _, stream = self.daemon.request("POST", "/v1/completions", {**body, "stream": True})
        self.assertEqual(status, 200)
        text = "".join(json.loads(line[6:])["choices"][0]["text"] for line in stream.decode().splitlines()
                       if line.startswith("data: {") and json.loads(line[6:])["choices"])
        self.assertEqual(text, whole["choices"][0]["text"])

    def test_what_cannot_be_is_refused(self):
        for body, words in REFUSED:
            with self.subTest(body=body):
                status, answer = self.ask(**body)
                self.assertEqual(status, 400, answer)
                self.assertTrue(answer["error"]["message"].startswith(words), answer)

    def test_hostile_texts_end_alone(self):
        bodies = [{"structured_outputs": {"grammar": "root ::= ([a-z] [a-z]? root?){2000000000}"}},
                  {"structured_outputs": {"grammar": "root ::= " + "(" * 100000}},
                  {"structured_outputs": {"regex": "(a|a?){500}" * 20}},
                  {"structured_outputs": {"grammar": "root ::= root root root | root root | [a-z]"}}]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            hostile = [pool.submit(self.ask, **body, max_tokens=40, min_tokens=30) for body in bodies]
            fair = self.texts(seed=5, max_tokens=60, ignore_eos=True)
            ended = [future.result() for future in hostile]
        for status, answer in ended:
            self.assertIn(status, (200, 400), answer)
        self.assertEqual(self.texts(seed=5, max_tokens=60, ignore_eos=True), fair)

    def test_repetition_ends_an_answer(self):
        status, answer = self.ask(structured_outputs={"regex": "(ab ){60}"},
                                  repetition_detection={"max_pattern_size": 8, "min_pattern_size": 1, "min_count": 4})
        self.assertEqual((status, answer["choices"][0]["finish_reason"]), (200, "repetition"), answer)


if __name__ == "__main__":
    unittest.main()
