#!/usr/bin/env python3
"""The real `openai` client against a live daemon that serves a model as `m`: PADDOCK_TEST_ADDRESS=HOST:PORT, else one of the
test's own in PADDOCK_BUILD_TREE."""
import os
import unittest

from openai_daemon import Service

try:
    import openai
except ImportError:
    openai = None

MODEL = os.environ.get("PADDOCK_TEST_MODEL", "m")
MESSAGES = [{"role": "user", "content": "Say hi."}]


@unittest.skipUnless(openai, "the package openai is not installed")
class Client(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = Service("openai-client")

    @classmethod
    def tearDownClass(cls):
        cls.service.stop()

    def setUp(self):
        self.client = openai.OpenAI(base_url="http://%s/v1" % self.service.address, api_key="none", max_retries=0, timeout=120)

    def tearDown(self):
        self.client.close()

    def test_models(self):
        models = self.client.models.list().data
        self.assertIn(MODEL, [model.id for model in models])
        self.assertEqual(self.client.models.retrieve(MODEL).id, MODEL)
        with self.assertRaises(openai.NotFoundError) as caught:
            self.client.models.retrieve("no-such-model")
        self.assertIn("does not exist", str(caught.exception))

    def test_completion(self):
        answer = self.client.completions.create(model=MODEL, prompt="One thing about Denver is ", max_tokens=8, temperature=0)
        self.assertEqual(answer.object, "text_completion")
        self.assertEqual(answer.model, MODEL)
        self.assertTrue(answer.id.startswith("cmpl-"))
        self.assertIn(answer.choices[0].finish_reason, ("length", "stop"))
        usage = answer.usage
        self.assertEqual(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)

    def test_a_stream_says_what_the_whole_says(self):
        asked = dict(model=MODEL, prompt="One thing about Denver is ", max_tokens=12, temperature=0)
        whole = self.client.completions.create(**asked).choices[0]
        text, finish = "", None
        for event in self.client.completions.create(stream=True, **asked):
            text += event.choices[0].text
            finish = event.choices[0].finish_reason or finish
        self.assertEqual((text, finish), (whole.text, whole.finish_reason))

    def test_logprobs_belong_to_the_text(self):
        choice = self.client.completions.create(model=MODEL, prompt="The city is", max_tokens=4, temperature=0, logprobs=2, echo=True).choices[0]
        logprobs = choice.logprobs
        self.assertEqual(len({len(logprobs.tokens), len(logprobs.token_logprobs), len(logprobs.text_offset), len(logprobs.top_logprobs)}), 1)
        self.assertIsNone(logprobs.token_logprobs[0])
        self.assertTrue(all(value <= 0 for value in logprobs.token_logprobs[1:]))
        self.assertTrue(choice.text.startswith("The city is"))
        for token, offset in zip(logprobs.tokens[1:], logprobs.text_offset[1:]):
            self.assertEqual(choice.text[offset:offset + len(token)], token)

    def test_prompts_and_choices(self):
        answer = self.client.completions.create(model=MODEL, prompt=["Hello", "Good"], n=2, max_tokens=3, temperature=1, seed=1)
        self.assertEqual([choice.index for choice in answer.choices], [0, 1, 2, 3])
        again = self.client.completions.create(model=MODEL, prompt=["Hello", "Good"], n=2, max_tokens=3, temperature=1, seed=1)
        self.assertEqual([choice.text for choice in answer.choices], [choice.text for choice in again.choices])

    def test_chat(self):
        answer = self.client.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=8, temperature=0)
        self.assertEqual(answer.choices[0].message.role, "assistant")
        self.assertTrue(answer.choices[0].message.content)
        self.assertTrue(answer.id.startswith("chatcmpl-"))

    def test_chat_stream(self):
        asked = dict(model=MODEL, messages=MESSAGES, max_tokens=8, temperature=0)
        whole = self.client.chat.completions.create(**asked)
        text, roles, usage = "", [], None
        for event in self.client.chat.completions.create(stream=True, stream_options={"include_usage": True}, **asked):
            if event.choices:
                text += event.choices[0].delta.content or ""
                roles += [event.choices[0].delta.role] if event.choices[0].delta.role else []
            usage = event.usage or usage
        self.assertEqual(text, whole.choices[0].message.content)
        self.assertEqual(roles, ["assistant"])
        self.assertEqual(usage.completion_tokens, whole.usage.completion_tokens)

    def test_chat_logprobs(self):
        answer = self.client.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=3, temperature=0, logprobs=True, top_logprobs=2)
        content = answer.choices[0].logprobs.content
        self.assertEqual("".join(entry.token for entry in content), answer.choices[0].message.content)
        for entry in content:
            self.assertEqual(bytes(entry.bytes).decode(), entry.token)
            self.assertEqual(len(entry.top_logprobs), 2)

    def test_a_client_may_leave_a_stream(self):
        stream = self.client.completions.create(model=MODEL, prompt="a", max_tokens=500, stream=True)
        next(iter(stream))
        stream.close()
        self.test_completion()

    def test_errors_have_their_class(self):
        with self.assertRaises(openai.NotFoundError) as caught:
            self.client.completions.create(model="no-such-model", prompt="a")
        self.assertEqual(caught.exception.param, "model")
        with self.assertRaises(openai.BadRequestError) as caught:
            self.client.completions.create(model=MODEL, prompt="a", temperature=3)
        self.assertEqual(caught.exception.param, "temperature")
        with self.assertRaises(openai.BadRequestError) as caught:
            self.client.chat.completions.create(model=MODEL, messages=MESSAGES, response_format={"type": "json_object"})
        self.assertEqual(caught.exception.param, "response_format")
        with self.assertRaises(openai.APIStatusError) as caught:
            self.client.responses.create(model=MODEL, input="a")
        self.assertEqual(caught.exception.status_code, 501)

    def test_unknown_fields_are_named_in_a_warning(self):
        answer = self.client.completions.with_raw_response.create(model=MODEL, prompt="a", max_tokens=1, extra_body={"nonsense": 1})
        self.assertIn("nonsense", answer.headers.get("warning", ""))

    def test_both_prefixes(self):
        with openai.OpenAI(base_url="http://%s/openai/v1" % self.service.address, api_key="none", max_retries=0) as client:
            self.assertIn(MODEL, [model.id for model in client.models.list().data])


if __name__ == "__main__":
    unittest.main()
