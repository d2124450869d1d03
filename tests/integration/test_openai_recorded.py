#!/usr/bin/env python3
"""Replays the exchanges recorded from vLLM against a live daemon and compares status, keys, order, nulls and errors.

PADDOCK_TEST_ADDRESS=HOST:PORT of a daemon that serves a model of 2,048 tokens as `m`; without it, one of the test's own in
PADDOCK_BUILD_TREE. PADDOCK_FIXTURES: the folder with api/vllm-0.32.json. PADDOCK_TEST_SAME_MODEL=1: the model is the recorded one
(SmolLM2-135M-Instruct), so counts of prompt tokens and tokenize's answers must be the same too.
The second run, api/vllm-0.32-tools.json, was recorded with a parser of tool calls; PADDOCK_TEST_TOOLS_ADDRESS names its daemon.
The model's words, times, ids and numbers of chunks are not compared.
"""
import http.client
import json
import os
import re
import unittest

from openai_daemon import TOOL_ARGS, Service

FOLDER = os.path.join(os.environ.get("PADDOCK_FIXTURES", "."), "api")

# What differs on purpose: (status that Paddock answers, why).
ALLOWED = {
    "unknown-path": (404, "the framework's own form in vLLM; Paddock may use the error object"),
    "wrong-method": (405, "the framework's own form in vLLM; Paddock may use the error object"),
    "embeddings-unsupported": (404, "vLLM has no such path then; Paddock says which API the model lacks"),
    "score-unsupported": (404, "vLLM has no such path then; Paddock says which API the model lacks"),
    "version": (200, "the version is Paddock's, and kubectl reads more keys at the same path"),
    "metrics": (200, "metrics have names and tests of their own"),
}
# Rows whose words decide their shape: whether a small model called, or how far it came before the length ended it.
BY_MODEL = {"chat-tools-named", "chat-tools-named-stream", "chat-tools-required"}
# Values that must be the same, by key; of all others only the type.
EXACT = {"object", "model", "index", "role", "param", "code", "type", "parent", "group", "is_blocking"}
# What the model's words decide: null or not.
BY_WORDS = {"stop_reason", "text", "content"}
# Objects whose keys are tokens.
BY_TOKEN = {"top_logprobs", "prompt_logprobs"}


def load(name):
    path = os.path.join(FOLDER, name)
    if not os.path.exists(path):
        raise unittest.SkipTest("no " + path)
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def send(address, row):
    connection = http.client.HTTPConnection(address, timeout=120)
    body = row["body"]
    data = None if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
    connection.request(row["method"], row["path"], body=data, headers=row["headers"])
    answer = connection.getresponse()
    text = answer.read().decode("utf-8")
    connection.close()
    return answer.status, answer.getheader("content-type"), text


def normal(message):
    """A message without what the model's size decides."""
    message = re.sub(r"(Vocabulary size: |max_model_len=|maximum context length is )\d+", r"\1N", message)
    return message


def shape(value, key=""):
    """What must agree of a value, as a value that can be compared."""
    if key in BY_WORDS:
        return "words"
    if isinstance(value, dict):
        if key in BY_TOKEN or (value and all(name.isdigit() for name in value)):
            return ("tokens", shape(next(iter(value.values()), None)))
        return tuple((name, shape(member, name)) for name, member in value.items())
    if isinstance(value, list):
        kinds = []
        for member in value:
            kind = shape(member, key if key in BY_TOKEN else "")
            if kind not in kinds:
                kinds.append(kind)
        return ("list", tuple(kinds[:2])) if key in BY_TOKEN else ("list", kinds[0] if kinds else None)
    if key in EXACT or value == "[DONE]":
        return value
    if isinstance(value, bool) or value is None:
        return value
    return "number" if isinstance(value, (int, float)) else type(value).__name__


def events(text):
    """What each event says: its data, with its name where it has one."""
    got = []
    for block in text.strip("\n").split("\n\n"):
        lines = block.split("\n")
        names = [line[7:] for line in lines if line.startswith("event: ")]
        got += [(names[0] if names else None, line[6:]) for line in lines if line.startswith("data: ")]
    return got


def stream_shapes(text):
    """The different events of each choice, in the order of their first coming; choices may interleave."""
    choices = {}
    for name, event in events(text):
        value = event if event == "[DONE]" else json.loads(event)
        index = value["choices"][0]["index"] if event != "[DONE]" and value.get("choices") else None
        seen = choices.setdefault(index, [])
        if (name, shape(value)) not in seen:
            seen.append((name, shape(value)))
    return choices


class Recorded:
    maxDiff = None
    file = None
    service = None

    @classmethod
    def tearDownClass(cls):
        cls.service.stop()

    def check_error(self, got, want):
        self.assertEqual(list(got), list(want))
        self.assertEqual(list(got["error"]), list(want["error"]))
        for key in ("type", "param", "code"):
            self.assertEqual(got["error"][key], want["error"][key], got)
        if want["error"]["type"] == "Bad Request":
            self.assertRegex(got["error"]["message"], r"^\d+ validation errors?:\n  ")
            self.assertIn(want["error"]["param"] or "application/json", got["error"]["message"])
        else:
            self.assertEqual(normal(got["error"]["message"]), normal(want["error"]["message"]))

    def check_answer(self, row, got, want):
        self.assertEqual(shape(got), shape(want))
        if self.service.same_model and "usage" in want:
            for key in ("prompt_tokens", "input_tokens"):
                self.assertEqual(got["usage"].get(key), want["usage"].get(key))
        if self.service.same_model and "tokenize" in row["name"]:
            self.assertEqual(got, want)

    def check_called(self, row, status, text):
        """A forced call: either a call of `f`, or what was there when the length ended it."""
        self.assertEqual(status, 200, text[:500])
        if row["name"].endswith("stream"):
            chunks = [json.loads(event) for _, event in events(text)[:-1]]
            deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
            calls = [call for delta in deltas for call in delta.get("tool_calls") or []]
            if calls:
                self.assertEqual(list(calls[0]), ["id", "type", "index", "function"])
                self.assertTrue(calls[0]["id"].startswith("chatcmpl-tool-"))
                self.assertTrue(all(list(call) == ["index", "function"] for call in calls[1:]))
            return
        choice = json.loads(text)["choices"][0]
        for call in choice["message"].get("tool_calls", []):
            self.assertEqual(list(call), ["id", "type", "function"])
            self.assertEqual(call["function"]["name"], "f")
        if choice["finish_reason"] != "length":
            self.assertIn("tool_calls", choice["message"])
            self.assertEqual(choice["message"]["content"], "")
            self.assertEqual(choice["finish_reason"], "stop" if "named" in row["name"] else "tool_calls")

    def check(self, row):
        status, kind, text = send(self.service.address, row)
        if row["name"] in ALLOWED:
            want, why = ALLOWED[row["name"]]
            self.assertEqual(status, want, why + ": " + text[:300])
            return
        if row["name"] in BY_MODEL and row["status"] == 200:
            self.check_called(row, status, text)
            return
        self.assertEqual(status, row["status"], text[:500])
        self.assertEqual(kind, row["type"])
        if kind is not None and kind.startswith("text/event-stream"):
            self.assertEqual(stream_shapes(text), stream_shapes(row["answer"]))
            self.assertEqual(shape(events(text)[-1][1]), shape(events(row["answer"])[-1][1]))
        elif row["answer"] == "":
            self.assertEqual(text, "")
        elif "error" in json.loads(row["answer"]):
            self.check_error(json.loads(text), json.loads(row["answer"]))
        else:
            self.check_answer(row, json.loads(text), json.loads(row["answer"]))

    def test_recorded(self):
        for row in load(self.file):
            with self.subTest(row["name"]):
                self.check(row)


class Plain(Recorded, unittest.TestCase):
    file = "vllm-0.32.json"

    @classmethod
    def setUpClass(cls):
        load(cls.file)
        cls.service = Service("openai-recorded")


class Tools(Recorded, unittest.TestCase):
    file = "vllm-0.32-tools.json"

    @classmethod
    def setUpClass(cls):
        load(cls.file)
        cls.service = Service("openai-recorded-tools", variable="PADDOCK_TEST_TOOLS_ADDRESS", args=TOOL_ARGS)

    def test_tokenizer_info(self):
        status, _, text = send(self.service.address, {"method": "GET", "path": "/tokenizer_info", "headers": {}, "body": None})
        self.assertEqual(status, 200, text[:300])
        self.assertIn("tokenizer_class", json.loads(text))


if __name__ == "__main__":
    unittest.main()
