#!/usr/bin/env python3
"""Tool calls and reasoning over HTTP, streamed and not. The model is a random one; a regex makes it say what a trained one would."""
import json
import unittest

from harness import Daemon, fixture, service

TEMPLATE = ("{% for m in messages %}[{{ m.role }}|{{ m.content or '' }}{% for c in m.tool_calls %}{{ c.function.arguments.a }}{% endfor %}]"
            "{% endfor %}{{ tools | length if tools else 'none' }}")
SCHEMA = {"type": "object", "properties": {"a": {"enum": ["x"]}}, "required": ["a"], "additionalProperties": False}
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}]
NAMED = {"type": "function", "function": {"name": "f"}}


def said(text):
    """A regex that is this text."""
    return "".join("\\" + c if not c.isalnum() and c not in " <>/_\"',:=" else c for c in text)


class Tools(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        path = fixture("walkthrough/facebook/opt-125m")
        cls.daemon = Daemon("tools", wait=False)
        template = cls.daemon.folder / "template.jinja"
        template.write_text(TEMPLATE)
        common = [f"--chat-template={template}", "--max-model-len=512"]
        cls.daemon.write(service("hermes", path, args=common + ["--tool-call-parser=hermes", "--enable-auto-tool-choice"]))
        cls.daemon.write(service("thinks", path, args=common + ["--reasoning-parser=deepseek_r1"]))
        cls.daemon.write(service("plain", path, args=common))
        cls.daemon.request("POST", "/-/reload")
        for name in ("hermes", "thinks", "plain"):
            cls.daemon.wait_ready(name)

    @classmethod
    def tearDownClass(cls):
        cls.daemon.stop()

    def ask(self, model, **fields):
        body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 200, "temperature": 0, **fields}
        status, _, text = self.daemon.request("POST", "/v1/chat/completions", body)
        if not fields.get("stream"):
            return status, json.loads(text)
        self.assertEqual(200, status, text)
        events = [line[6:] for line in text.decode().split("\n\n") if line.startswith("data: ")]
        self.assertEqual("[DONE]", events[-1])
        return status, [json.loads(event) for event in events[:-1]]

    def put_together(self, chunks):
        """(content, reasoning, calls as [name, arguments], finish reason) of a stream's only choice."""
        content, reasoning, calls, finish = "", "", [], None
        for chunk in chunks:
            for choice in chunk["choices"]:
                delta = choice["delta"]
                content += delta.get("content") or ""
                reasoning += delta.get("reasoning") or ""
                for call in delta.get("tool_calls") or []:
                    if "id" in call:
                        self.assertEqual(len(calls), call["index"])
                        calls.append([call["function"]["name"], ""])
                    calls[call["index"]][1] += call["function"].get("arguments") or ""
                finish = choice["finish_reason"] or finish
        return content, reasoning, calls, finish

    def both(self, model, **fields):
        """What the whole answer and the stream say, which is the same."""
        status, whole = self.ask(model, **fields)
        self.assertEqual(200, status, whole)
        message, finish = whole["choices"][0]["message"], whole["choices"][0]["finish_reason"]
        calls = [[c["function"]["name"], c["function"]["arguments"]] for c in message.get("tool_calls", [])]
        streamed = self.put_together(self.ask(model, stream=True, **fields)[1])
        self.assertEqual((message["content"] or "", message.get("reasoning") or "", calls, finish), streamed)
        return message, calls, finish

    def test_calls_of_the_models_own(self):
        text = 'Well. <tool_call>{"name": "f", "arguments": {"a":"x"}}</tool_call>'
        message, calls, finish = self.both("hermes", tools=TOOLS, structured_outputs={"regex": said(text)})
        self.assertEqual("Well. ", message["content"])
        self.assertEqual([["f", '{"a": "x"}']], calls)
        self.assertEqual("tool_calls", finish)

    def test_text_is_text(self):
        message, calls, finish = self.both("hermes", tools=TOOLS, structured_outputs={"regex": said("a <tool box")})
        self.assertEqual(("a <tool box", [], "stop"), (message["content"], calls, finish))
        self.assertNotIn("tool_calls", message)

    def test_no_calls_where_none_are_wanted(self):
        text = '<tool_call>{"name": "f", "arguments": {}}</tool_call>'
        message, calls, finish = self.both("hermes", tools=TOOLS, tool_choice="none", structured_outputs={"regex": said(text)})
        self.assertEqual((text, [], "stop"), (message["content"], calls, finish))

    def test_required(self):
        message, calls, finish = self.both("hermes", tools=TOOLS, tool_choice="required", parallel_tool_calls=False)
        self.assertEqual([["f", '{"a": "x"}']], calls)
        self.assertEqual(("", "tool_calls"), (message["content"], finish))

    def test_named(self):
        message, calls, finish = self.both("hermes", tools=TOOLS, tool_choice=NAMED)
        self.assertEqual("f", calls[0][0])
        self.assertEqual({"a": "x"}, json.loads(calls[0][1]))
        self.assertEqual(("", "stop"), (message["content"], finish))

    def test_auto_needs_a_parser(self):
        status, answer = self.ask("plain", tools=TOOLS)
        self.assertEqual(400, status)
        self.assertIn('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set', answer["error"]["message"])

    def test_reasoning(self):
        message, _, finish = self.both("thinks", structured_outputs={"regex": "yes|no"}, max_tokens=6, thinking_token_budget=2)
        self.assertIn("reasoning", message)
        status, answer = self.ask("thinks", max_tokens=5)
        message = answer["choices"][0]["message"]
        self.assertIsNone(message["content"])  # cut while it was thinking
        self.assertTrue(message["reasoning"])
        self.assertEqual(5, answer["usage"]["completion_tokens_details"]["reasoning_tokens"])
        status, answer = self.ask("thinks", max_tokens=5, include_reasoning=False)
        self.assertFalse(answer["choices"][0]["message"].get("reasoning"))
        self.assertEqual(5, answer["usage"]["completion_tokens"])

    def test_histories(self):
        call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": "x"}'}}
        messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": None, "tool_calls": [call]},
                    {"role": "tool", "tool_call_id": "call_1", "content": "42"}]
        status, answer = self.daemon.json("POST", "/tokenize", {"model": "hermes", "messages": messages, "tools": TOOLS})
        self.assertEqual(200, status, answer)
        status, text = self.daemon.json("POST", "/detokenize", {"model": "hermes", "tokens": answer["tokens"]})
        self.assertEqual("[user|q][assistant|x][tool|42]1", text["prompt"])


if __name__ == "__main__":
    unittest.main()
