"""Two real GGUF models against what the reference computes in float32 on their dequantised weights: how far the
distributions of the next token are apart over a text of 2,000 tokens, and greedy ids. The cache is bfloat16."""
import math
import unittest

import golden
import harness

ALTERNATIVES = 320  # reported for each position: more than the 128 that the reference kept, as ranks differ


def divergence(want, rest, have):
    """KL(reference, ours) over the reference's best tokens and all others together; `have`: token to logarithm."""
    least = min(have.values())
    apart, covered = 0.0, 0.0
    for token, p in want:
        q = have.get(token, least)  # one that is not among ours is no likelier than our last
        apart += math.exp(p) * (p - q)
        covered += math.exp(q)
    if rest > 1e-6:
        apart += rest * (math.log(rest) - math.log(max(1 - covered, 1e-6)))
    return apart


class Real(unittest.TestCase):
    def distributions(self, d, name, file):
        """The mean divergence over all positions but the last of each window."""
        data, total, count = golden.load(file), 0.0, 0
        for window in sorted(set(data["window"].tolist())):
            rows = data["window"] == window
            prompt, tops, logprobs, rests = (data[k][rows].tolist() for k in ("ids", "top_ids", "top_logprobs", "rest"))
            status, answer = d.json("POST", "/v1/completions", {"model": name, "prompt": prompt, "max_tokens": 1, "temperature": 0, "prompt_logprobs": ALTERNATIVES}, timeout=600)
            self.assertEqual(status, 200, answer)
            found = answer["choices"][0]["prompt_logprobs"]
            self.assertEqual(len(found), len(prompt))
            for i in range(len(prompt) - 1):
                have = {int(token): entry["logprob"] for token, entry in found[i + 1].items()}
                total += divergence(list(zip(tops[i], logprobs[i])), rests[i], have)
                count += 1
        return total / count

    def check(self, name, model, fixture):
        file = harness.fixture(fixture)
        with harness.Daemon(f"real-{name}", [harness.service(name, model, args=["--max-logprobs=-1"])]) as d:
            apart = self.distributions(d, name, file)
            print(f"{name}: mean divergence {apart:.5f}")
            self.assertLess(apart, 0.004)
            self.assertGreater(apart, -1e-4)
            good, cases = 0, golden.cases(file)
            for prompt, want in cases:
                status, answer = d.json("POST", "/v1/completions", {"model": name, "prompt": prompt, "max_tokens": max(len(want), 1), "temperature": 0, "ignore_eos": True, "return_token_ids": True})
                self.assertEqual(status, 200, answer)
                good += answer["choices"][0]["token_ids"][:len(want)] == want
            print(f"{name}: greedy ids equal on {good} of {len(cases)} prompts")
            self.assertGreaterEqual(good, 8)

    def test_smollm2_q4_1(self):
        self.check("smollm2", harness.real_model(), "real/smollm2.safetensors")

    def test_gemma3_q4_k_m(self):
        self.check("gemma3", harness.real_gemma(), "real/gemma3.safetensors")


if __name__ == "__main__":
    unittest.main()
