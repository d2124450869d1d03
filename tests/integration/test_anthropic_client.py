#!/usr/bin/env python3
"""The real `anthropic` client against a live daemon that serves a model as `m`: PADDOCK_TEST_TOOLS_ADDRESS=HOST:PORT of one with a
parser of tool calls, else one of the test's own in PADDOCK_BUILD_TREE."""
import os
import unittest

from openai_daemon import TOOL_ARGS, Service

try:
    import anthropic
except ImportError:
    anthropic = None

MODEL = os.environ.get("PADDOCK_TEST_MODEL", "m")
MESSAGES = [{"role": "user", "content": "Say hi."}]
TOOL = {"name": "f", "description": "picks a number", "input_schema": {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"],
                                                                        "additionalProperties": False}}


@unittest.skipUnless(anthropic, "the package anthropic is not installed")
class Client(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = Service("anthropic-client", variable="PADDOCK_TEST_TOOLS_ADDRESS", args=TOOL_ARGS)
        cls.client = anthropic.Anthropic(base_url="http://%s" % cls.service.address, api_key="none", max_retries=0, timeout=120)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.service.stop()

    def test_a_stream_says_what_the_whole_says(self):
        asked = dict(model=MODEL, max_tokens=8, messages=MESSAGES, system="Be brief.", extra_body={"temperature": 0})
        whole = self.client.messages.create(**asked)
        self.assertEqual((whole.type, whole.role, whole.model, whole.stop_reason), ("message", "assistant", MODEL, "max_tokens"))
        self.assertEqual(whole.usage.output_tokens, 8)
        with self.client.messages.stream(**asked) as stream:
            text = "".join(stream.text_stream)
            final = stream.get_final_message()
        self.assertEqual(text, whole.content[0].text)
        self.assertEqual((final.content[0].text, final.stop_reason, final.usage.output_tokens), (text, "max_tokens", 8))

    def test_a_stop_sequence_is_told(self):
        answer = self.client.messages.create(model=MODEL, max_tokens=40, messages=MESSAGES, stop_sequences=["e"], extra_body={"temperature": 0})
        self.assertEqual((answer.stop_reason, answer.stop_sequence), ("stop_sequence", "e"))
        self.assertNotIn("e", answer.content[0].text)

    def test_a_tool_is_called_and_answered(self):
        asked = dict(model=MODEL, max_tokens=60, messages=MESSAGES, tools=[TOOL], tool_choice={"type": "tool", "name": "f"}, extra_body={"temperature": 0})
        answer = self.client.messages.create(**asked)
        call = [block for block in answer.content if block.type == "tool_use"][0]
        self.assertEqual((call.name, answer.stop_reason), ("f", "tool_use"))
        self.assertIn(call.input["a"], (1, 2))
        with self.client.messages.stream(**asked) as stream:
            final = stream.get_final_message()
        self.assertEqual([block.input for block in final.content if block.type == "tool_use"], [call.input])
        result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "7"}]}
        history = [*MESSAGES, {"role": "assistant", "content": [block.model_dump() for block in answer.content]}, result]
        self.assertEqual(self.client.messages.create(model=MODEL, max_tokens=4, messages=history, tools=[TOOL]).type, "message")

    def test_tokens_are_counted(self):
        count = self.client.messages.count_tokens(model=MODEL, messages=MESSAGES).input_tokens
        usage = self.client.messages.create(model=MODEL, max_tokens=1, messages=MESSAGES).usage
        self.assertEqual(count, usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens)

    def test_errors_have_their_class(self):
        with self.assertRaises(anthropic.NotFoundError) as caught:
            self.client.messages.create(model="no-such-model", max_tokens=4, messages=MESSAGES)
        self.assertEqual(caught.exception.body["error"]["type"], "not_found_error")
        with self.assertRaises(anthropic.BadRequestError) as caught:
            self.client.messages.create(model=MODEL, max_tokens=4, messages=MESSAGES, extra_body={"temperature": 3})
        self.assertIn("temperature must be in [0, 2]", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
