"""Every fixture model over HTTP, with token ids: logits within 2e-4 of the reference's and greedy ids equal, whatever the
chunks, the cache, the memory, the threads, the instruction set and the company."""
import concurrent.futures
import pathlib
import unittest

import golden
import harness

DECODERS = ["bloom", "cohere", "deepseek-v2", "deepseek-v3", "falcon-mqa", "gemma", "gemma2", "gemma3", "glm4", "gpt-neox", "gpt-oss", "gpt2", "gptj", "granite",
            "llama-gqa-tied", "llama-mha", "llama-yarn", "llama3-rope", "mistral", "mixtral", "olmo2", "opt-125m-like", "opt-350m-like", "phi", "phi3", "qwen2", "qwen3",
            "qwen3-moe", "smollm3", "stablelm", "starcoder2"]
TOLERANCE = 2e-4
FLAGS = ["--dtype=float32", "--logprobs-mode=raw_logits", "--max-logprobs=-1"]
GROUP = 10  # models in one daemon


def complete(daemon, model, prompt, count, **extra):
    status, answer = daemon.json("POST", "/v1/completions", {"model": model, "prompt": prompt, "max_tokens": count, "temperature": 0, "ignore_eos": True,
                                                             "return_token_ids": True, "return_tokens_as_token_ids": True, **extra})
    assert status == 200, answer
    return answer["choices"][0]


class Exact(unittest.TestCase):
    def isas(self):
        flags = pathlib.Path("/proc/cpuinfo").read_text()
        return ["generic"] + ["avx2"] * (" avx2 " in flags) + ["avx512"] * (" avx512bw " in flags)

    def each(self, name, args=(), env=None):
        """Daemons with a few models each, and what the reference says of these."""
        here = [n for n in DECODERS if (harness.FIXTURES / "models" / n).exists()]
        self.assertTrue(here, "no fixture models")
        for start in range(0, len(here), GROUP):
            names = here[start:start + GROUP]
            services = [harness.service(n, harness.fixture(f"models/{n}"), args=[*FLAGS, *args], env=env) for n in names]
            with harness.Daemon(f"exact-{name}-{start}", services) as daemon:
                for n in names:
                    with self.subTest(model=n):
                        yield daemon, n, golden.load(harness.fixture(f"models/{n}/golden.safetensors"))

    def check_greedy(self, daemon, name, g, copies=1):
        cases = [(g[f"prompt_{k}"].tolist(), g[f"greedy_{k}"].tolist()) for k in range(4) if len(g[f"greedy_{k}"]) != 0]
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            jobs = [(want, pool.submit(complete, daemon, name, prompt, len(want))) for prompt, want in cases * copies]
            for want, job in jobs:
                self.assertEqual(job.result()["token_ids"], want)

    def check_logits(self, daemon, name, g):
        for k in range(4):
            prompt, logits = g[f"prompt_{k}"].tolist(), g[f"logits_{k}"]
            choice = complete(daemon, name, prompt, 1, prompt_logprobs=-1, logprobs=-1)
            # Entry i is of the token at i, so it is the logits of position i - 1; those of the last one draw the first token.
            rows = [{int(t): e["logprob"] for t, e in row.items()} for row in choice["prompt_logprobs"][1:]]
            rows.append({int(t.split(":")[1]): v for t, v in choice["logprobs"]["top_logprobs"][0].items()})
            for want, got in zip(logits, rows[-len(logits):]):
                self.assertEqual(len(got), len(want))
                worst = max(abs(float(v) - got[t]) for t, v in enumerate(want))
                self.assertLess(worst, TOLERANCE, f"{name}, prompt {k}")

    def test_logits(self):
        for daemon, name, g in self.each("logits"):
            self.check_logits(daemon, name, g)
            self.check_greedy(daemon, name, g, 8)

    def test_chunks(self):
        for rows in (16, 64, 512):
            for daemon, name, g in self.each(f"chunks{rows}", ["--no-enable-prefix-caching", f"--max-num-batched-tokens={rows}", "--max-num-seqs=16"]):
                self.check_greedy(daemon, name, g, 2)

    def test_small_memory(self):
        """Blocks for two and a half of the longest: some are preempted, and nobody's words change."""
        preempted = 0
        for daemon, name, g in self.each("memory", ["--num-gpu-blocks-override=24", "--max-model-len=256", "--no-enable-prefix-caching"]):
            prompt, alone = g["prompt_3"].tolist(), None
            for _ in range(1):
                alone = complete(daemon, name, prompt, 100)["token_ids"]
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                crowd = list(pool.map(lambda _: complete(daemon, name, prompt, 100)["token_ids"], range(8)))
            self.assertEqual(crowd, [alone] * 8)
            self.check_greedy(daemon, name, g, 4)
            preempted += daemon.metric("vllm:num_preemptions_total", model_name=name) > 0
        self.assertGreater(preempted, 0)

    def test_one_thread(self):
        for daemon, name, g in self.each("thread", env={"OMP_NUM_THREADS": "1"}):
            self.check_logits(daemon, name, g)
            self.check_greedy(daemon, name, g, 1)

    def test_instruction_sets(self):
        for isa in self.isas():
            for daemon, name, g in self.each(isa, env={"PADDOCK_ISA": isa}):
                self.check_logits(daemon, name, g)
                self.check_greedy(daemon, name, g, 1)


if __name__ == "__main__":
    unittest.main()
