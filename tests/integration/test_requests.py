"""Parameters that ended peers' engines, against the real engine: each is answered or refused, and the same worker goes on."""
import json
import time
import unittest

import harness

NAME, VOCABULARY, LONGEST = "llama-gqa-tied", 320, 512


class Parameters(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = harness.Daemon("requests", [harness.service(NAME, harness.fixture("models/" + NAME))])
        cls.worker = cls.daemon.workers()

    @classmethod
    def tearDownClass(cls):
        status = cls.daemon.stop()
        assert status == 0, cls.daemon.log_text()

    def tearDown(self):
        self.assertEqual(self.ask(prompt=[4, 5])[0], 200)
        self.assertEqual(self.daemon.workers(), self.worker, "the engine died of it")

    def ask(self, **fields):
        return self.daemon.json("POST", "/v1/completions", {"model": NAME, "max_tokens": 2, "temperature": 0, **fields}, timeout=30)

    def assert_refused(self, cases, field, param=None):
        """Each 400, in an error that names the field, quotes little and took no time."""
        for value in cases:
            with self.subTest(f"{field}={json.dumps(value)[:60]}"):
                began = time.monotonic()
                status, answer = self.ask(**{"prompt": [4, 5], field: value})
                self.assertLess(time.monotonic() - began, 1 * harness.SLOW)
                self.assertEqual(status, 400, answer)
                self.assertIn(param or field, json.dumps(answer))
                self.assertLess(len(json.dumps(answer)), 4096)

    def test_n(self):
        self.assert_refused([0, -1, 129, 10 ** 9, 2 ** 63, 2 ** 70, 1.5, [], {}, "x"], "n")
        status, answer = self.ask(prompt=[4, 5], n=3, temperature=1)
        self.assertEqual((status, len(answer["choices"])), (200, 3))

    def test_empty_prompts(self):
        for prompt in ([], [[]], [[4], []]):
            with self.subTest(prompt):
                status, answer = self.ask(prompt=prompt)
                self.assertEqual(status, 400, answer)

    def test_scoring_a_prompt(self):
        """echo with max_tokens 0 and logprobs ended vLLM's engine once; it works."""
        status, answer = self.ask(prompt=[4, 5, 6], echo=True, max_tokens=0, logprobs=1, return_token_ids=True)
        self.assertEqual(status, 200, answer)
        self.assertEqual(len(answer["choices"][0]["logprobs"]["token_logprobs"]), 3)
        self.assertIsNone(answer["choices"][0]["logprobs"]["token_logprobs"][0])

    def test_logit_bias(self):
        self.assert_refused([{str(VOCABULARY): 1}, {"-1": 1}, {"x": 1}, {"1.5": 1}, {str(2 ** 63): 1}, {"1": "x"}, {"1": None}, {"1": []}, 5,
                             {str(i): 1 for i in range(VOCABULARY + 1000)}], "logit_bias")
        self.assertEqual(self.ask(prompt=[4], logit_bias={"7": 100})[0], 200)

    def test_token_ids(self):
        for prompt in ([-1], [VOCABULARY], [2 ** 31], [2 ** 32 + 4], [2 ** 63], [2 ** 64 + 4], [4.5], [None], [True, "x"]):
            with self.subTest(prompt):
                status, answer = self.ask(prompt=prompt)
                self.assertEqual(status, 400, answer)
        self.assert_refused([[VOCABULARY], [-1], [2 ** 63]], "stop_token_ids")
        self.assert_refused([[VOCABULARY], [-1], []], "allowed_token_ids")

    def test_logprobs(self):
        self.assert_refused([21, 10 ** 6, -2, 2 ** 63, 1.5], "logprobs")
        self.assert_refused([21, 10 ** 6, -2], "prompt_logprobs")

    def test_stop_strings(self):
        self.assert_refused([["x"] * 17, ["x"] * 100000, "x" * 300, "x" * 5_000_000, [5], [None]], "stop")

    def test_numbers(self):
        """Nothing out of range, and no number that is none, reaches sampling."""
        for field, values in {"temperature": [-1, "nan", 1e308 * 10], "top_p": [0, 1.01, -1], "top_k": [-2, 2 ** 63, 0.5], "min_p": [-0.1, 1.1],
                              "presence_penalty": [2.1, -2.1], "frequency_penalty": [2.1, -2.1], "repetition_penalty": [0, -1],
                              "max_tokens": [-1, 2 ** 63, 1.5], "min_tokens": [-1, 2 ** 63], "seed": [2 ** 64, -2 ** 64, 0.5]}.items():
            for value in values:
                with self.subTest(f"{field}={value}"):
                    body = json.dumps({"model": NAME, "prompt": [4], "max_tokens": 2, **{field: value}}).replace("Infinity", "1e999")
                    status, _, answer = self.daemon.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
                    self.assertEqual(status, 400, answer)

    def test_pairs_of_options(self):
        """Each two options together: answered or refused with 400, never a dead engine."""
        options = {"echo": True, "logprobs": 2, "prompt_logprobs": 2, "n": 2, "stop": ["q"], "logit_bias": {"7": 5}, "min_tokens": 2, "presence_penalty": 1,
                   "repetition_penalty": 1.5, "top_k": 3, "min_p": 0.1, "seed": 5, "ignore_eos": True, "allowed_token_ids": [4, 5, 6], "stop_token_ids": [9],
                   "stream": True, "max_tokens": 0, "truncate_prompt_tokens": 2, "return_token_ids": True, "bad_words": ["x"]}
        names = list(options)
        for i, a in enumerate(names):
            for b in names[i + 1:]:
                body = {"model": NAME, "prompt": [4, 5, 6], "max_tokens": 3, "temperature": 1, a: options[a], b: options[b]}
                status, _, text = self.daemon.request("POST", "/v1/completions", body, timeout=20)
                self.assertIn(status, (200, 400), (a, b, text))
                self.assertNotIn(b'"code":500', text, (a, b))
        self.assertEqual(self.daemon.workers(), self.worker)

    def test_never_fits(self):
        self.assertEqual(self.ask(prompt=[4] * LONGEST)[0], 400)
        self.assertEqual(self.ask(prompt=[4] * 200000)[0], 400)
        status, answer = self.ask(prompt=[4, 5], max_tokens=10 ** 9)
        self.assertEqual(status, 400, answer)

    def test_names(self):
        for model in ("../../x", "/etc/passwd", "x" * 100000, "file:///etc/passwd", 5, ["a"]):
            with self.subTest(str(model)[:40]):
                status, answer = self.ask(model=model, prompt=[4])
                self.assertIn(status, (400, 404), answer)
                self.assertLess(len(json.dumps(answer)), 4096)

    def test_what_is_not_offered_is_refused_by_name(self):
        """Grammars, embeddings as prompts and templates of a request: no parser is there to be hurt."""
        chat = lambda **kw: self.daemon.json("POST", "/v1/chat/completions", {"model": NAME, "messages": [{"role": "user", "content": "x"}], **kw})
        for field, value in (("response_format", {"type": "json_schema", "json_schema": {"name": "a", "schema": {"$ref": "file:///etc/passwd"}}}),
                             ("structured_outputs", {"regex": "(a+)+b"}), ("structured_outputs", {"grammar": "root ::= root root"}),
                             ("chat_template", "{% for i in range(10**9) %}x{% endfor %}")):
            with self.subTest(field):
                status, answer = chat(**{field: value})
                self.assertIn(status, (400, 501), answer)
        status, answer = self.ask(prompt_embeds="AAAA")
        self.assertEqual(status, 400, answer)

    def test_images_are_not_fetched(self):
        """No part of a message makes the daemon or its workers open a connection."""
        import socket
        trap = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(trap.close)
        port = trap.getsockname()[1]
        for url in (f"http://127.0.0.1:{port}/a.png", f"http://localhost:{port}/", f"http://127.0.0.1\\@x:{port}/", f"http://[::ffff:127.0.0.1]:{port}/", "file:///etc/passwd"):
            status, answer = self.daemon.json("POST", "/v1/chat/completions", {"model": NAME, "messages": [
                {"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": url}}]}]})
            self.assertIn(status, (400, 501), answer)
            self.assertNotIn("root:", json.dumps(answer))
        trap.settimeout(0.2)
        with self.assertRaises(TimeoutError):
            trap.accept()


if __name__ == "__main__":
    unittest.main()
