"""The document and the request of the walkthrough, word for word; the same document in libconfig syntax."""
import json
import shutil
import unittest

import golden
import harness

DOCUMENT = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: opt-125}
spec: {predictor: {model: {modelFormat: {name: huggingface}, args: [--model_name=opt-125, --model_id=facebook/opt-125m],
  image: kserve/huggingfaceserver:v0.15.0, env: [{name: VLLM_CPU_KVCACHE_SPACE, value: "1"}],
  resources: {requests: {cpu: "4", memory: 4Gi}, limits: {cpu: "4", memory: 4Gi}}}}}
"""
REQUEST = {"model": "opt", "prompt": "One thing about Denver is ", "stream": False, "max_tokens": 30, "stop": "."}
HOST = {"Host": "opt-125.default.example.com"}


class Walkthrough(unittest.TestCase):
    def daemon(self, name, text, suffix):
        d = harness.Daemon(name, wait=False)
        hub = d.state / "models/hf/facebook"
        hub.mkdir(parents=True)
        shutil.copytree(harness.fixture("walkthrough/facebook/opt-125m"), hub / "opt-125m", copy_function=shutil.copyfile)
        (d.etc / "models.d" / ("opt-125" + suffix)).write_text(text)
        r = harness.paddock("--server", d.url, "reload")
        self.assertEqual(r.returncode, 0, r.stderr)
        d.wait_ready("opt-125")
        return d

    def check(self, d):
        status, headers, body = d.request("POST", "/openai/v1/completions", REQUEST, HOST)
        answer = json.loads(body)
        self.assertEqual(status, 200, answer)
        self.assertEqual(answer["model"], "opt-125")
        self.assertEqual(answer["object"], "text_completion")
        self.assertEqual(headers["warning"], "299 - \"model 'opt' is not served here, 'opt-125' answered\"")
        choice = answer["choices"][0]
        self.assertEqual(choice["index"], 0)
        self.assertIn(choice["finish_reason"], ("stop", "length"))
        self.assertNotIn(".", choice["text"])
        wanted = ["id", "object", "created", "model", "choices", "usage"]
        self.assertEqual([k for k in answer if k in wanted], wanted)
        usage = answer["usage"]
        self.assertEqual(usage["prompt_tokens"] + usage["completion_tokens"], usage["total_tokens"])
        self.assertIsNone(usage["prompt_tokens_details"])
        # 1 GiB of 16-token blocks, 3 layers, keys and values of 64 floats, or of bfloat16
        blocks = d.metric("vllm:cache_config_info") and [l for l in d.get("/metrics")[2].decode().splitlines() if l.startswith("vllm:cache_config_info")][0]
        self.assertRegex(blocks, r'num_gpu_blocks="(43690|87381)"')

    def test_yaml(self):
        with self.daemon("walkthrough", DOCUMENT, ".yaml") as d:
            self.check(d)
            for prompt, want in golden.cases(harness.fixture("walkthrough/facebook/opt-125m/golden.safetensors")):
                _, a = d.json("POST", "/v1/completions", {"prompt": prompt, "max_tokens": len(want), "temperature": 0, "ignore_eos": True, "return_token_ids": True})
                self.assertEqual(a["choices"][0]["token_ids"], want)

    def test_libconfig(self):
        text = (harness.TOP / "etc/examples/opt-125.conf").read_text()
        with self.daemon("walkthrough-conf", text, ".conf") as d:
            self.check(d)


if __name__ == "__main__":
    unittest.main()
