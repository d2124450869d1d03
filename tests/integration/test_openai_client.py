#!/usr/bin/env python3
"""The real `openai` client against a live daemon that serves a model as `m`: PADDOCK_TEST_ADDRESS=HOST:PORT, else one of the
test's own in PADDOCK_BUILD_TREE."""
import http.client
import json
import os
import unittest

from openai_daemon import TOOL_ARGS, Service

try:
    import openai
except ImportError:
    openai = None

MODEL = os.environ.get("PADDOCK_TEST_MODEL", "m")
MESSAGES = [{"role": "user", "content": "Say hi."}]
SCHEMA = {"type": "object", "properties": {"city": {"enum": ["Oslo", "Rome"]}}, "required": ["city"], "additionalProperties": False}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"enum": [1, 2]}},
                                                                     "required": ["a"], "additionalProperties": False}}}
NAMED = {"type": "function", "function": {"name": "f"}}


@unittest.skipUnless(openai, "the package openai is not installed")
class Client(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = Service("openai-client", args=TOOL_ARGS, env={"VLLM_ENABLE_RESPONSES_API_STORE": 1})

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
            self.client.chat.completions.create(model=MODEL, messages=MESSAGES, tools=[TOOL], tool_choice={"type": "function", "function": {"name": "g"}})
        self.assertEqual(caught.exception.param, "tool_choice")
        with self.assertRaises(openai.NotFoundError) as caught:
            self.client.embeddings.create(model=MODEL, input="a")
        self.assertIn("does not support Embeddings API", str(caught.exception))

    def test_a_named_tool_is_called(self):
        asked = dict(model=MODEL, messages=MESSAGES, tools=[TOOL], tool_choice=NAMED, max_tokens=40, temperature=0)
        choice = self.client.chat.completions.create(**asked).choices[0]
        call = choice.message.tool_calls[0]
        self.assertEqual((choice.message.content, call.function.name, choice.finish_reason), ("", "f", "stop"))
        self.assertIn(json.loads(call.function.arguments)["a"], (1, 2))
        self.assertTrue(call.id.startswith("chatcmpl-tool-"))
        names, arguments = [], ""
        for event in self.client.chat.completions.create(stream=True, **asked):
            for delta in event.choices[0].delta.tool_calls or []:
                names += [delta.function.name] if delta.function.name else []
                arguments += delta.function.arguments or ""
        self.assertEqual((names, arguments), (["f"], call.function.arguments))

    def test_a_required_tool_is_called(self):
        asked = dict(model=MODEL, messages=MESSAGES, tools=[TOOL], tool_choice="required", max_tokens=80, temperature=0)
        choice = self.client.chat.completions.create(**asked).choices[0]
        self.assertEqual(choice.finish_reason, "tool_calls")
        self.assertEqual({call.function.name for call in choice.message.tool_calls}, {"f"})
        for call in choice.message.tool_calls:
            self.assertIn(json.loads(call.function.arguments)["a"], (1, 2))

    def test_a_call_and_its_result_are_a_conversation(self):
        called = self.client.chat.completions.create(model=MODEL, messages=MESSAGES, tools=[TOOL], tool_choice=NAMED, max_tokens=40).choices[0].message
        called = {**called.model_dump(exclude_none=True), "content": None}
        history = [*MESSAGES, called, {"role": "tool", "tool_call_id": called["tool_calls"][0]["id"], "content": "7"}]
        answer = self.client.chat.completions.create(model=MODEL, messages=history, tools=[TOOL], max_tokens=4)
        self.assertIn(answer.choices[0].finish_reason, ("length", "stop", "tool_calls"))

    def test_structured_output(self):
        form = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
        answer = self.client.chat.completions.create(model=MODEL, messages=MESSAGES, response_format=form, max_tokens=60, temperature=1, seed=1)
        self.assertIn(json.loads(answer.choices[0].message.content)["city"], ("Oslo", "Rome"))
        extra = [({"structured_outputs": {"regex": "[0-9]{3}"}}, r"^[0-9]{3}$"), ({"structured_outputs": {"choice": ["yes", "no"]}}, "^(yes|no)$"),
                 ({"guided_choice": ["yes", "no"]}, "^(yes|no)$"), ({"guided_regex": "a+b"}, "^a+b$")]
        for body, pattern in extra:
            answer = self.client.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=20, temperature=1, seed=2, extra_body=body)
            self.assertRegex(answer.choices[0].message.content, pattern)

    def test_beams(self):
        answer = self.client.completions.create(model=MODEL, prompt="One", n=3, max_tokens=4, temperature=0, extra_body={"use_beam_search": True})
        self.assertEqual(len({choice.text for choice in answer.choices}), 3)

    def test_responses(self):
        asked = dict(model=MODEL, input="Say hi.", instructions="Be brief.", max_output_tokens=8, temperature=0)
        whole = self.client.responses.create(**asked)
        self.assertEqual((whole.status, whole.incomplete_details.reason), ("incomplete", "max_output_tokens"))
        self.assertEqual(whole.usage.output_tokens, 8)
        text, last = "", None
        for event in self.client.responses.create(stream=True, **asked):
            text += event.delta if event.type == "response.output_text.delta" else ""
            last = event
        self.assertEqual((text, last.type, last.response.output_text), (whole.output_text, "response.completed", whole.output_text))

    def test_responses_are_kept_and_gone_on_from(self):
        first = self.client.responses.create(model=MODEL, input="My name is Bo.", max_output_tokens=4, temperature=0)
        self.assertEqual(self.client.responses.retrieve(first.id).output_text, first.output_text)
        second = self.client.responses.create(model=MODEL, input="Who am I?", previous_response_id=first.id, max_output_tokens=4)
        self.assertGreater(second.usage.input_tokens, first.usage.input_tokens + first.usage.output_tokens)
        with self.assertRaises(openai.NotFoundError):
            self.client.responses.create(model=MODEL, input="a", previous_response_id="resp_none")
        with self.assertRaises(openai.BadRequestError):
            self.client.responses.cancel(first.id)

    def test_a_response_calls_a_tool_and_has_a_form(self):
        tool = {"type": "function", "name": "f", "parameters": TOOL["function"]["parameters"], "strict": True}
        answer = self.client.responses.create(model=MODEL, input="Call f.", tools=[tool], tool_choice={"type": "function", "name": "f"}, max_output_tokens=40)
        call = [item for item in answer.output if item.type == "function_call"][0]
        self.assertIn(json.loads(call.arguments)["a"], (1, 2))
        form = {"format": {"type": "json_schema", "name": "x", "schema": SCHEMA}}
        answer = self.client.responses.create(model=MODEL, input="Where?", text=form, max_output_tokens=60, temperature=0)
        self.assertIn(json.loads(answer.output_text)["city"], ("Oslo", "Rome"))

    def test_unknown_fields_are_named_in_a_warning(self):
        answer = self.client.completions.with_raw_response.create(model=MODEL, prompt="a", max_tokens=1, extra_body={"nonsense": 1})
        self.assertIn("nonsense", answer.headers.get("warning", ""))

    def test_both_prefixes(self):
        with openai.OpenAI(base_url="http://%s/openai/v1" % self.service.address, api_key="none", max_retries=0) as client:
            self.assertIn(MODEL, [model.id for model in client.models.list().data])


@unittest.skipUnless(openai, "the package openai is not installed")
class Embeddings(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if os.environ.get("PADDOCK_TEST_ADDRESS"):
            raise unittest.SkipTest("PADDOCK_TEST_ADDRESS serves a model that generates")
        import harness
        mean = '--pooler-config={"pooling_type": "MEAN"}'
        cls.daemon = harness.Daemon("openai-embeddings", services=[harness.service("e", harness.fixture("models/bert"), args=[mean])])
        cls.client = openai.OpenAI(base_url="http://%s/v1" % cls.daemon.address, api_key="none", max_retries=0, timeout=120)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.daemon.stop()

    def test_base64_and_numbers_are_the_same_vectors(self):
        ids = [[5, 6, 7], [8, 9], [5, 6, 7]]  # the model is small and has no words
        packed = self.client.embeddings.create(model="e", input=ids)  # asks for base64 by itself
        plain = self.client.embeddings.create(model="e", input=ids, encoding_format="float")
        for a, b in zip(packed.data, plain.data):
            self.assertTrue(all(abs(x - y) < 1e-6 for x, y in zip(a.embedding, b.embedding, strict=True)))
        self.assertEqual([item.index for item in plain.data], [0, 1, 2])
        self.assertEqual(plain.data[0].embedding, plain.data[2].embedding)
        self.assertAlmostEqual(sum(x * x for x in plain.data[0].embedding), 1, places=4)
        self.assertEqual(plain.usage.total_tokens, plain.usage.prompt_tokens)

    def test_many_inputs_go_through_a_window(self):
        answer = self.client.embeddings.create(model="e", input=[[3 + i % 50, 3 + i // 50] for i in range(1500)])
        self.assertEqual([item.index for item in answer.data], list(range(1500)))

    def test_dimensions_and_chats_are_refused_by_name(self):
        with self.assertRaises(openai.BadRequestError) as caught:
            self.client.embeddings.create(model="e", input=[5], dimensions=4)
        self.assertIn("does not support Matryoshka embeddings", str(caught.exception))
        with self.assertRaises(openai.APIStatusError) as caught:
            self.client.chat.completions.create(model="e", messages=MESSAGES)
        self.assertEqual(caught.exception.status_code, 501)
        self.assertIn("The model does not support Chat Completions API", str(caught.exception))


class Extras(unittest.TestCase):
    """What clients of vLLM ask for beside OpenAI's own."""

    @classmethod
    def setUpClass(cls):
        cls.service = Service("openai-extras", "PADDOCK_TEST_EXTRAS_ADDRESS", args=(
            "--root-path=/llm", "--enable-per-request-metrics", "--max-logprobs=60000", "--structured-outputs-config.backend=xgrammar"))

    @classmethod
    def tearDownClass(cls):
        cls.service.stop()

    def post(self, path, headers=(), **body):
        connection = http.client.HTTPConnection(self.service.address, timeout=120)
        connection.request("POST", path, json.dumps({"model": MODEL, **body}), {"Content-Type": "application/json", **dict(headers)})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer, json.loads(text)

    def test_root_path(self):
        for path, status in (("/llm/v1/completions", 200), ("/v1/completions", 200), ("/llmx/v1/completions", 404), ("/llm/no", 404)):
            self.assertEqual(self.post(path, prompt="Hi", max_tokens=1)[0].status, status, path)

    def test_times(self):
        told = self.post("/v1/completions", prompt="Hi", max_tokens=4, ignore_eos=True)[1]["metrics"]
        self.assertAlmostEqual(told["mean_itl_ms"], told["generation_time_ms"] / 3, places=3)
        self.assertGreater(told["time_to_first_token_ms"], 0)
        self.assertAlmostEqual(told["tokens_per_second"], 4000 / (told["time_to_first_token_ms"] + told["generation_time_ms"]), places=3)
        self.assertIsNone(self.post("/v1/completions", prompt="Hi", max_tokens=2, n=2)[1]["metrics"])

    def test_load(self):
        answer = self.post("/v1/completions", {"endpoint-load-metrics-format": "JSON"}, prompt="Hi", max_tokens=1)[0]
        kind, value = answer.getheader("endpoint-load-metrics").split(" ", 1)
        self.assertEqual(kind, "JSON")
        self.assertLessEqual(json.loads(value)["named_metrics"]["kv_cache_usage_perc"], 1)

    def test_a_prompt_made_elsewhere(self):
        body = dict(messages=MESSAGES, max_tokens=2, return_token_ids=True, kv_transfer_params={"prompt_token_ids": [1, 2, 3]})
        self.assertEqual(self.post("/v1/chat/completions", **body)[1]["prompt_token_ids"], [1, 2, 3])

    def test_the_whole_vocabulary_and_named_tokens(self):
        body = dict(messages=MESSAGES, max_tokens=1, logprobs=True)
        first = self.post("/v1/chat/completions", top_logprobs=-1, **body)[1]["choices"][0]["logprobs"]["content"][0]
        self.assertEqual(len(first["top_logprobs"]), 49152)
        first = self.post("/v1/chat/completions", logprob_token_ids=[100, 1000, 5000], allowed_token_ids=[42],
                          return_tokens_as_token_ids=True, **body)[1]["choices"][0]["logprobs"]["content"][0]
        self.assertEqual({entry["token"] for entry in first["top_logprobs"]}, {"token_id:%d" % t for t in (42, 100, 1000, 5000)})

    def test_raw_messages(self):
        answer = self.post("/v1/responses", input="hello", max_output_tokens=4, enable_response_messages=True)[1]
        read, written = answer["input_messages"][0], answer["output_messages"][0]
        self.assertEqual((read["type"], len(read["tokens"])), ("raw_message_tokens", answer["usage"]["input_tokens"]))
        self.assertTrue(read["message"].rstrip().endswith("assistant"))
        self.assertEqual(len(written["tokens"]), answer["usage"]["output_tokens"])


if __name__ == "__main__":
    unittest.main()
