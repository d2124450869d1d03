"""A request's answer is its own: with a seed it is the same bytes alone, among 64 others and beside any pair of options,
and what is refused or fails takes nobody with it.

Pair k is drawn from its number alone, so `PADDOCK_PAIRS=k-k python3 -m unittest test_isolation` plays one again and prints
it; PADDOCK_PAIRS=0-299 plays 300. Without it some 90 are played."""
import collections
import concurrent.futures
import itertools
import json
import os
import random
import threading
import unittest

import harness

FIRST, LAST = map(int, os.environ.get("PADDOCK_PAIRS", f"0-{89 // harness.SLOW}").split("-"))
EVERY_REAL = 10  # each tenth pair goes to a real model
PROMPT = "One thing about Denver is "
TEMPLATE = "{% for m in messages %}[{{ m.role }}: {{ m.content or '' }}]{% endfor %}{{ tools | length if tools else 'none' }}"
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 0, "maximum": 20}, "b": {"enum": ["x", None]}},
          "required": ["a", "b"], "additionalProperties": False}
LARK = 'start: item ("," item)*\nitem: /[a-z]+/ "=" /[0-9]+/\n'
TAG = {"type": "structural_tag", "format": {"type": "tag", "begin": "<n>", "content": {"type": "regex", "pattern": "[0-9]{2,4}"}, "end": "</n>"}}
NOWHERE = 10 ** 8  # a token that no vocabulary has
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}

# Each option: values that are served (if what else is asked agrees), and values that never are.
OPTIONS = {
    "temperature": ([0, 0.3, 1.7], [-1, 2.5, "hot"]), "top_p": ([0.2, 0.9], [0, 1.5]), "top_k": ([1, 5, -1, 0], [-2, 0.5]),
    "min_p": ([0.05, 0.5], [-0.1, 2]), "presence_penalty": ([1.5, -1.5], [3, "x"]), "frequency_penalty": ([2, -0.5], [-2.5, []]),
    "repetition_penalty": ([1.3, 0.7], [0, -1]), "logit_bias": ([{"7": 50, "9": -100}, {}], [{str(NOWHERE): 1}, {"x": 1}, {"7": "y"}]),
    "allowed_token_ids": ([[4, 5, 6, 7, 8, 9]], [[], [NOWHERE], "x"]), "bad_words": ([["a"], ["the", " of"]], [[""], [5]]),
    "stop": (["e", " ", ["a", "zz"]], [["x"] * 17, [""], 5]), "stop_token_ids": ([[5, 9], []], [[-1], [NOWHERE]]),
    "include_stop_str_in_output": ([True], ["maybe"]), "min_tokens": ([3, 0], [-1, 10 ** 6]), "max_tokens": ([1, 9, 40], [-1, 10 ** 9, 1.5]),
    "ignore_eos": ([True, False], ["x"]), "n": ([1, 2, 4], [0, 129, 1.5]), "seed": ([1, -5, 2 ** 62], [2 ** 64, 0.5]),
    "prompt_logprobs": ([0, 2], [-2, 10 ** 6]), "logprob_token_ids": ([[5, 9]], [[NOWHERE], "x"]), "return_token_ids": ([True], ["x"]),
    "return_tokens_as_token_ids": ([True], ["x"]), "truncate_prompt_tokens": ([3, -1], [-2, 10 ** 9]), "truncation_side": (["left", "right"], ["up"]),
    "response_format": ([{"type": "text"}, {"type": "json_object"}, {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}}, TAG],
                        [{"type": "x"}, {"type": "json_schema"}, {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "none such"}}},
                         {"type": "structural_tag", "format": {"type": "tag"}}, 5]),
    "structured_outputs": ([{"json": SCHEMA}, {"regex": "([a-f]{2} ){1,8}"}, {"choice": ["red", "redder", "blue"]}, {"json_object": True},
                            {"grammar": 'root ::= "(" [a-z]{1,3} root? ")"'}, {"grammar": LARK}, {"structural_tag": json.dumps(TAG)}],
                           [{"regex": "(a)\\1"}, {"regex": "("}, {"grammar": "root ::= ("}, {"choice": []}, {"json": {"$ref": "https://example.com/x"}},
                            {"json": SCHEMA, "regex": "a"}, {}, {"json_object": False}, {"structural_tag": "{"}, {"grammar": "root ::= root"}]),
    "guided_json": ([SCHEMA, json.dumps(SCHEMA)], ["{", 5]), "guided_regex": (["[0-9]{1,30}x", ""], ["[", "a{5,2}", 5]),
    "guided_choice": ([["x", "yes"]], [[5], "x"]), "guided_grammar": ([LARK], ["root ::= (", "start: nowhere\n", 5]),
    "guided_whitespace_pattern": (["[ ]?"], [5]), "use_beam_search": ([True], ["x"]), "length_penalty": ([0.5, -1], ["x"]),
    "repetition_detection": ([{"max_pattern_size": 4, "min_count": 2}, {}], [{"max_pattern_size": 2, "min_pattern_size": 3, "min_count": 2},
                                                                         {"max_pattern_size": 2, "min_count": 1}, 5]),
    "thinking_token_budget": ([4, 0, -1], [-2, "x"]), "stream": ([True, False], ["x"]),
    "stream_options": ([{"include_usage": True}, {"include_usage": True, "continuous_usage_stats": True}], [5, {"include_usage": "x"}]),
    "stream_interval": ([3], [0, "x"]), "priority": ([0, 5, -3], ["x", 1.5]), "cache_salt": (["salt"], ["", 5]), "skip_special_tokens": ([True, False], ["x"]),
    "spaces_between_special_tokens": ([False], ["x"]), "add_special_tokens": ([True, False], ["x"]), "best_of": ([1], [2, "x"]), "user": (["u"], [5]),
    "request_id": (["mine", ""], [5]), "nobody_knows": ([1, "x"], []), "logits_processors": ([], [["x"]]), "echo": ([True], ["x"]),
    "kv_transfer_params": ([{}], [5]),
}
COMPLETION = {"logprobs": ([0, 3], [-2, 10 ** 6, "x"]), "prompt": ([[5, 6, 7], [PROMPT, "And "], [[5, 6], [7]], "x"], [[], "", [NOWHERE], [-1], 5, [["x"]]]),
              "suffix": ([], ["x"]), "prompt_embeds": ([], ["AAAA"])}
CHAT = {"logprobs": ([True], ["x", 3]), "top_logprobs": ([0, 2], [-2, 10 ** 6]), "max_completion_tokens": ([3, 12], [0, 10 ** 9]),
        "tools": ([[FUNCTION], []], [[5], [{"type": "function"}], 5]), "tool_choice": (["none"], ["perhaps", {"type": "function", "function": {"name": "g"}}]),
        "parallel_tool_calls": ([True, False], ["x"]), "add_generation_prompt": ([True, False], ["x"]), "continue_final_message": ([True], ["x"]),
        "include_reasoning": ([False], ["x"]), "reasoning_effort": (["low"], [5]), "chat_template_kwargs": ([{"a": 1}], [5]), "documents": ([[]], [5]),
        "chat_template": ([], ["{% for i in range(10**9) %}x{% endfor %}"]), "modalities": ([["text"]], []),
        "messages": ([[{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}, {"role": "user", "content": [{"type": "text", "text": "z"}]}]],
                     [[], 5, [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}]])}
# What takes two options to be asked: drawn as one.
TOGETHER = {
    "tool_choice": [{"tools": [FUNCTION], "tool_choice": choice} for choice in ("auto", "required", "none", {"type": "function", "function": {"name": "f"}})],
    "top_logprobs": [{"logprobs": True, "top_logprobs": 2}, {"logprobs": True, "logprob_token_ids": [5, 9]}],
}

# What is asked all the time, by every means whose state outlives a step.
STEADY = [
    {"logprobs": 3}, {"frequency_penalty": 1.5, "presence_penalty": -0.5, "repetition_penalty": 1.2, "logprobs": 1}, {"stop": ["e", "  "], "min_tokens": 4},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}}, "logprobs": 2, "max_tokens": 60},
    {"n": 3, "top_k": 40, "min_p": 0.01}, {"stream": True, "logprobs": 2, "return_token_ids": True}, {"echo": True, "prompt_logprobs": 2, "logprobs": 1},
    {"temperature": 0, "ignore_eos": True, "logit_bias": {"9": 5}}, {"structured_outputs": {"regex": "([a-z]+ ){3,9}[.]"}, "frequency_penalty": 2, "stream": True},
    {"allowed_token_ids": list(range(4, 60)), "top_p": 0.8}, {"use_beam_search": True, "n": 2, "max_tokens": 8}, {"bad_words": ["a", "the"], "n": 2},
    {"structured_outputs": {"grammar": LARK}, "n": 2, "presence_penalty": 1},
]


def merge(to, more):
    """Puts a piece of a stream onto what came before."""
    for key, value in more.items():
        old = to.get(key)
        if key in ("choices", "tool_calls") and value:
            kept = to.setdefault(key, {}) or to.update({key: {}}) or to[key]
            for one in value:
                merge(kept.setdefault(str(one.get("index", 0)), {}), one)
        elif isinstance(old, dict) and isinstance(value, dict) and key != "usage":
            merge(old, value)
        elif isinstance(old, list) and isinstance(value, list):
            to[key] = old + value
        elif isinstance(old, str) and isinstance(value, str) and key in ("text", "content", "reasoning", "reasoning_content", "arguments"):
            to[key] = old + value
        elif value is not None or key not in to:
            to[key] = value
    return to


def forget(value):
    """Without what may differ between two answers to one request: ids, the time, what the cache gave."""
    if isinstance(value, list):
        return [forget(v) for v in value]
    if not isinstance(value, dict):
        return value
    if "usage" in value and isinstance(value["usage"], dict):
        value["usage"].pop("prompt_tokens_details", None)
    return {k: forget(v) for k, v in value.items() if k not in ("id", "created")}


def plain(status, text):
    """An answer as it is compared. A stream's pieces may be cut anywhere, so they are put together."""
    text = text.decode()
    if not text.startswith("data: "):
        return status, forget(json.loads(text))
    whole, done, errors = {}, False, []
    for line in text.splitlines():
        if line == "data: [DONE]":
            done = True
        elif line.startswith("data: "):
            event = json.loads(line[6:])
            errors += ["error"] * ("error" in event)
            merge(whole, event)
    return status, done, errors, forget(whole)


def differences(a, b, path=""):
    """Where two answers differ, for people."""
    if isinstance(a, dict) and isinstance(b, dict):
        return [d for k in {**a, **b} for d in differences(a.get(k), b.get(k), f"{path}/{k}")]
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b):
        return [d for i, (x, y) in enumerate(zip(a, b)) for d in differences(x, y, f"{path}/{i}")]
    return [] if a == b and type(a) is type(b) else [f"{path}: {json.dumps(a)[:200]} is not {json.dumps(b)[:200]}"]


def pair(k):
    """(path, body, names of the options, whether one is never served) of pair k."""
    r = random.Random(f"pair {k}")
    real = k % EVERY_REAL == EVERY_REAL - 1
    chat = real or r.random() < 0.45
    model = "real" if real else r.choice(["m", "small"])
    body = {"model": model, "seed": r.randrange(10 ** 6), "max_tokens": 6 if real else 20}
    body.update({"messages": [{"role": "user", "content": "Name a colour."}]} if chat else {"prompt": PROMPT})
    options = {**OPTIONS, **(CHAT if chat else COMPLETION)}
    names, refused = r.sample(sorted(options), 2), False
    for name in names:
        good, bad = options[name]
        if chat and name in TOGETHER and r.random() < 0.6:
            body.update(r.choice(TOGETHER[name]))
        elif not good or (bad and r.random() < 0.15):
            body[name] = r.choice(bad)
            refused = True
        else:
            body[name] = r.choice(good)
    if "tools" in names and "tool_choice" in names:
        refused = False  # one may have put the other right
    return "/v1/chat/completions" if chat else "/v1/completions", body, names, refused


class Isolation(unittest.TestCase):
    """`m` has room for all; `small` has blocks for a few, so that what it runs is put off and taken up again."""
    @classmethod
    def setUpClass(cls):
        path = harness.fixture("walkthrough/facebook/opt-125m")
        cls.daemon = harness.Daemon("isolation", wait=False, conf="access_log = false;")
        template = cls.daemon.folder / "template.jinja"
        template.write_text(TEMPLATE)
        common = [f"--chat-template={template}", "--tool-call-parser=hermes", "--enable-auto-tool-choice", "--reasoning-parser=deepseek_r1"]
        cls.daemon.write(harness.service("m", path, args=[*common, "--max-num-seqs=80"]))
        cls.daemon.write(harness.service("small", path, args=[*common, "--max-num-seqs=24", "--max-model-len=256", "--num-gpu-blocks-override=40",
                                                             "--no-enable-prefix-caching"]))
        cls.models = ["m", "small"]
        try:
            cls.daemon.write(harness.service("real", harness.real_model(), args=["--max-model-len=512", "--max-num-seqs=8"]))
            cls.models.append("real")
        except unittest.SkipTest:
            pass
        cls.daemon.request("POST", "/-/reload")
        for name in cls.models:
            cls.daemon.wait_ready(name)
        cls.workers = sorted(cls.daemon.workers())

    @classmethod
    def tearDownClass(cls):
        status = cls.daemon.stop()
        assert status == 0, cls.daemon.log_text()

    def ask(self, body, path="/v1/completions"):
        status, _, text = self.daemon.request("POST", path, body, timeout=60)
        return plain(status, text)

    def assert_same(self, got, wanted, body):
        if got != wanted:
            self.fail(json.dumps(body)[:1000] + "\n" + "\n".join(differences(wanted, got)[:12]))

    def assert_idle(self):
        """No replica was restarted, and no block is held."""
        for metric in ("vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc"):
            self.daemon.wait_for(lambda: self.daemon.metric(metric) == 0)
        self.assertEqual(sorted(self.daemon.workers()), self.workers, self.daemon.log_text())

    def test_alone_and_among_64(self):
        """Bytes of logprobs, penalties, stops, schemas and beams are the same with 64 others, cut off or not."""
        for model in ("m", "small"):
            bodies = [{"model": model, "prompt": PROMPT + " ".join(str(i * j) for j in range(i % 7)), "temperature": 1, "seed": i, "max_tokens": 24,
                       **STEADY[i % len(STEADY)]} for i in range(65)]
            alone = [self.ask(body) for body in bodies]
            for wanted, body in zip(alone, bodies):
                self.assertEqual(wanted[0], 200, (body, wanted))
            with concurrent.futures.ThreadPoolExecutor(65) as pool:
                among = list(pool.map(self.ask, bodies))
            for body, got, wanted in zip(bodies, among, alone):
                self.assert_same(got, wanted, body)
        self.assertGreater(self.daemon.metric("vllm:num_preemptions_total", model_name="small"), 0)
        self.assert_idle()

    def steady_bodies(self):
        """What flows all the time: (path, body)."""
        out = [("/v1/completions", {"model": "m" if i % 3 else "small", "prompt": PROMPT, "temperature": 1, "seed": i, "max_tokens": 24, **fields})
               for i, fields in enumerate(STEADY)]
        said = {"messages": [{"role": "user", "content": "Hi"}], "temperature": 1, "max_tokens": 16}
        out.append(("/v1/chat/completions", {"model": "m", "seed": 3, **said, "tools": [FUNCTION], "tool_choice": "required", "max_tokens": 60}))
        if "real" in self.models:
            out.append(("/v1/chat/completions", {"model": "real", "seed": 5, **said, "logprobs": True, "top_logprobs": 2, "max_tokens": 6}))
        return out

    def test_pairs_of_options(self):
        bodies = self.steady_bodies()
        wanted = [self.ask(body, path) for path, body in bodies]
        for (_, body), answer in zip(bodies, wanted):
            self.assertEqual(answer[0], 200, (body, answer))
        over, problems, steady = threading.Event(), [], itertools.count()

        def flow(offset):
            """One of the clients that ask what is known already."""
            for i in itertools.count(offset):
                if over.is_set():
                    return
                path, body = bodies[i % len(bodies)]
                got = self.ask(body, path)
                next(steady)
                if got != wanted[i % len(bodies)]:
                    problems.append(f"steady {json.dumps(body)[:600]}: " + "; ".join(differences(wanted[i % len(bodies)], got)[:6]))

        pairs = [k for k in range(FIRST, LAST + 1) if pair(k)[1]["model"] in self.models]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            clients = [pool.submit(flow, i * 3) for i in range(4)]
            try:
                answers = dict(zip(pairs, pool.map(lambda k: self.ask(*reversed(pair(k)[:2])), pairs)))
            finally:
                over.set()
            for client in clients:
                client.result()
        counts, reasons = collections.Counter(), collections.Counter()
        for k, answer in answers.items():
            path, body, names, refused = pair(k)
            counts[answer[0]] += 1
            replay = f"pair {k} (PADDOCK_PAIRS={k}-{k}) {path} {json.dumps(body)[:600]}"
            if FIRST == LAST:
                print(replay, answer)
            if len(answer) == 4 and (not answer[1] or answer[2]):
                problems.append(f"{replay}: a stream did not end well: {json.dumps(answer)[-600:]}")
            elif answer[0] not in (200, 400) or (answer[0] == 200) == refused:
                if refused or answer[0] != 400:
                    problems.append(f"{replay}: {json.dumps(answer)[:600]}")
            if answer[0] == 400:
                if not answer[1]["error"]["message"]:
                    problems.append(f"{replay}: an error that says nothing")
                if not refused:
                    reasons[f"{' + '.join(sorted(names))}: {answer[1]['error']['message'][:120]}"] += 1
            # Again, with nobody else there: the same bytes.
            alone = self.ask(body, path)
            if alone != answer:
                problems.append(f"{replay}: differs alone: " + "; ".join(differences(alone, answer)[:6]))
        print(f"\npairs {FIRST}-{LAST}: {dict(counts)}, {next(steady)} steady answers; refused for what they ask together:")
        for reason in sorted(reasons):
            print("  " + reason)
        self.assertEqual(problems, [], "\n" + "\n".join(problems))
        self.assert_idle()


if __name__ == "__main__":
    unittest.main()
