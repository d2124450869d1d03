#!/usr/bin/env python3
"""Replays the exchanges recorded from vLLM against a live daemon and compares status, keys, order, nulls and errors.

PADDOCK_TEST_ADDRESS=HOST:PORT of a daemon that serves a model of 2,048 tokens as `m`; without it, one of the test's own in
PADDOCK_BUILD_TREE. PADDOCK_FIXTURES: the folder with api/vllm-0.32.json. PADDOCK_TEST_SAME_MODEL=1: the model is the recorded one
(SmolLM2-135M-Instruct), so counts of prompt tokens and tokenize's answers must be the same too.
The model's words, times, ids and numbers of chunks are not compared.
"""
import http.client
import json
import os
import re
import unittest

from openai_daemon import Service

FIXTURE = os.path.join(os.environ.get("PADDOCK_FIXTURES", "."), "api", "vllm-0.32.json")

# What differs on purpose: (status that Paddock answers, what its error's param must be, why).
ALLOWED = {
    "unknown-path": (404, None, "the framework's own form in vLLM; Paddock may use the error object"),
    "wrong-method": (405, None, "the framework's own form in vLLM; Paddock may use the error object"),
    "embeddings-unsupported": (404, None, "no embedding model is served; the form of an unknown path"),
    "score-unsupported": (404, None, "no scoring model is served; the form of an unknown path"),
    "version": (200, None, "the version is Paddock's, and kubectl reads more keys at the same path"),
    "metrics": (200, None, "metrics have names and tests of their own"),
    "chat-json": (400, "response_format", "structured output is known and not built yet"),
    "chat-json-schema": (400, "response_format", "structured output is known and not built yet"),
    "chat-choice": (400, "structured_outputs", "structured output is known and not built yet"),
    "chat-regex": (400, "structured_outputs", "structured output is known and not built yet"),
    "error-schema": (400, "response_format", "structured output is known and not built yet"),
    "responses": (501, None, "the Responses API is known and not built yet"),
    "responses-stream": (501, None, "the Responses API is known and not built yet"),
    "messages": (501, None, "the Messages API is known and not built yet"),
    "messages-stream": (501, None, "the Messages API is known and not built yet"),
}
# Values that must be the same, by key; of all others only the type.
EXACT = {"object", "model", "index", "role", "param", "code", "type", "parent", "group", "is_blocking"}
# What the model's words decide: null or not.
BY_WORDS = {"stop_reason", "text", "content"}
# Objects whose keys are tokens.
BY_TOKEN = {"top_logprobs", "prompt_logprobs"}


def load():
    with open(FIXTURE, encoding="utf-8") as file:
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
    return [line[6:] for line in text.split("\n\n") if line.startswith("data: ")]


def stream_shapes(text):
    """The different events of each choice, in the order of their first coming; choices may interleave."""
    choices = {}
    for event in events(text):
        value = event if event == "[DONE]" else json.loads(event)
        index = value["choices"][0]["index"] if event != "[DONE]" and value.get("choices") else None
        seen = choices.setdefault(index, [])
        if shape(value) not in seen:
            seen.append(shape(value))
    return choices


class Recorded(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        if not os.path.exists(FIXTURE):
            raise unittest.SkipTest("no " + FIXTURE)
        cls.service = Service("openai-recorded")

    @classmethod
    def tearDownClass(cls):
        cls.service.stop()

    def check_allowed(self, row, status, text):
        want_status, param, why = ALLOWED[row["name"]]
        self.assertEqual(status, want_status, why + ": " + text[:300])
        if param is not None:
            self.assertEqual(json.loads(text)["error"]["param"], param, why)

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
            self.assertEqual(got["usage"]["prompt_tokens"], want["usage"]["prompt_tokens"])
        if self.service.same_model and "tokenize" in row["name"]:
            self.assertEqual(got, want)

    def check(self, row):
        status, kind, text = send(self.service.address, row)
        if row["name"] in ALLOWED:
            self.check_allowed(row, status, text)
            return
        self.assertEqual(status, row["status"], text[:500])
        self.assertEqual(kind, row["type"])
        if kind is not None and kind.startswith("text/event-stream"):
            self.assertEqual(stream_shapes(text), stream_shapes(row["answer"]))
            self.assertEqual(events(text)[-1], "[DONE]")
        elif row["answer"] == "":
            self.assertEqual(text, "")
        elif "error" in json.loads(row["answer"]):
            self.check_error(json.loads(text), json.loads(row["answer"]))
        else:
            self.check_answer(row, json.loads(text), json.loads(row["answer"]))

    def test_recorded(self):
        for row in load():
            with self.subTest(row["name"]):
                self.check(row)


if __name__ == "__main__":
    unittest.main()
