"""Models over HTTP, with token ids, against what the references computed."""
import concurrent.futures
import unittest

import golden
import harness

NAMES = ["llama-mha", "llama-gqa-tied", "llama3-rope", "llama-yarn", "opt-125m-like", "opt-350m-like"]


def greedy(daemon, model, prompt, count, **extra):
    status, answer = daemon.json("POST", "/v1/completions", {"model": model, "prompt": prompt, "max_tokens": count, "temperature": 0, "ignore_eos": True,
                                                             "return_token_ids": True, **extra})
    assert status == 200, answer
    return answer["choices"][0]["token_ids"]


class Fixtures(unittest.TestCase):
    def check(self, args):
        services = [harness.service(n, harness.fixture(f"models/{n}"), args=["--dtype=float32", *args]) for n in NAMES]
        with harness.Daemon("models", services) as d:
            for name in NAMES:
                for k, (prompt, want) in enumerate(golden.cases(harness.fixture(f"models/{name}/golden.safetensors"))):
                    with self.subTest(model=name, prompt=k):
                        if want:
                            self.assertEqual(greedy(d, name, prompt, len(want)), want)

    def test_greedy_ids(self):
        self.check([])

    def test_greedy_ids_in_small_chunks_without_cache(self):
        self.check(["--max-num-batched-tokens=16", "--no-enable-prefix-caching"])

    def test_batch_equals_alone(self):
        """48 mixed requests at once, under a cache so small that some are preempted, give what each gives alone."""
        name = "llama-gqa-tied"
        with harness.Daemon("batch", [harness.service(name, harness.fixture(f"models/{name}"), args=["--dtype=float32", "--num-gpu-blocks-override=24", "--max-model-len=256"])]) as d:
            cases = [c for c in golden.cases(harness.fixture(f"models/{name}/golden.safetensors")) if c[1]]
            prompts = [[3 + k, 7] for k in range(16)]
            alone = [greedy(d, name, p, 240) for p in prompts]  # 16 blocks each, and there are 24 for all
            with concurrent.futures.ThreadPoolExecutor(48) as pool:
                grown = [pool.submit(greedy, d, name, p, 240) for p in prompts]
                jobs = [(want, pool.submit(greedy, d, name, prompt, len(want))) for prompt, want in cases * 8]
                for want, job in jobs:
                    self.assertEqual(job.result(), want)
                self.assertEqual([g.result() for g in grown], alone)
            self.assertGreater(d.metric("vllm:num_preemptions_total"), 0)
            d.wait_for(lambda: d.metric("vllm:kv_cache_usage_perc") == 0)

    def test_seed_alone_and_in_a_crowd(self):
        name = "llama-gqa-tied"
        with harness.Daemon("seed", [harness.service(name, harness.fixture(f"models/{name}"))]) as d:
            body = {"model": name, "prompt": [5, 6, 7], "max_tokens": 40, "temperature": 1.0, "top_p": 0.9, "seed": 42, "ignore_eos": True, "return_token_ids": True}
            ask = lambda seed: d.json("POST", "/v1/completions", {**body, "seed": seed})[1]["choices"][0]["token_ids"]
            alone = ask(42)
            with concurrent.futures.ThreadPoolExecutor(64) as pool:
                crowd = list(pool.map(ask, [42 if i == 31 else i for i in range(64)]))
            self.assertEqual(crowd[31], alone)
            self.assertNotEqual(crowd[30], alone)


class Real(unittest.TestCase):
    def test_smollm2(self):
        path = harness.fixture("real/smollm2.safetensors")
        with harness.Daemon("real", [harness.service("smollm2", harness.real_model())]) as d:
            good = 0
            cases = golden.cases(path)
            for prompt, want in cases:
                good += greedy(d, "smollm2", prompt, len(want)) == want
            self.assertGreaterEqual(good, 8, f"{good} of {len(cases)} prompts")
            status, answer = d.json("POST", "/v1/chat/completions", {"model": "smollm2", "messages": [{"role": "user", "content": "What is the capital of France? One word."}],
                                                                     "max_tokens": 24, "temperature": 0})
            self.assertEqual(status, 200)
            self.assertIn("Paris", answer["choices"][0]["message"]["content"])


if __name__ == "__main__":
    unittest.main()
