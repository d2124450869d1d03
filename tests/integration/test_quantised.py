"""Fixture models of many kinds, their linears in codes: the same logarithms of probabilities as plain float32 checkpoints
of the dequantised weights have. Layouts that tensors are stacked, transposed, interleaved or absorbed in included."""
import importlib.util
import json
import pathlib
import tempfile
import unittest

import numpy

import golden
import harness

spec = importlib.util.spec_from_file_location("make_quantised", harness.TOP / "tests/fixtures/make_quantised.py")
make = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make)

# model, format of make_quantised.py, settings over the format's
CASES = [
    ("llama-gqa-tied", "awq-g32", {}),
    ("phi3", "gptq-4-act-order", {}),
    ("qwen2", "gptq-4", {}),
    ("gpt2", "gptq-4", {}),
    ("gpt-neox", "gptq-8", {}),
    ("falcon-mqa", "gptq-4-act-order", {}),
    ("mixtral", "gptq-4-act-order", {}),
    ("qwen3-moe", "awq-g32", {}),
    ("deepseek-v3", "fp8-block", {}),
    ("deepseek-v2", "ct-int4-asym", {}),
    ("gemma2", "ct-fp8-channel", {}),
    ("mistral", "ct-int8-asym", {}),
    ("granite", "ct-int4", {"group": 8}),  # groups that are no whole cells
]
KEPT = ("embed", "wte", "wpe", "lm_head", "gate.weight", "norm", "ln_")


def is_linear(name, tensor):
    return tensor.ndim == 2 and name.endswith(".weight") and not any(k in name for k in KEPT)


def write_pair(folder, model, fmt, settings):
    """A quantised checkpoint and a plain one in `folder`; their paths."""
    source = harness.fixture(f"models/{model}")
    write_linear, own, quantisation = make.FORMATS[fmt]
    config = json.loads((source / "config.json").read_text())
    rng, codes, plain = numpy.random.default_rng(7), {}, {}
    transposed = config["model_type"] == "gpt2"
    for name, tensor in golden.load(source / "model.safetensors").items():
        codes[name] = plain[name] = tensor
        if not is_linear(name, tensor) or any(m in name for m in quantisation.get("modules_to_not_convert", [])):
            continue
        del codes[name]
        stem, weight = name[:-len(".weight")], tensor.T if transposed else tensor
        held, value = write_linear(stem, weight.astype(numpy.float64), rng, **{**own, **settings})
        held.pop(stem + ".bias", None)  # the model has its own or none
        codes.update(held)
        plain[name] = numpy.ascontiguousarray(value.T if transposed else value)
    paths = []
    for kind, tensors in (("codes", codes), ("plain", plain)):
        path = pathlib.Path(folder) / f"{model}-{kind}"
        path.mkdir()
        make.write(path / "model.safetensors", tensors)
        (path / "config.json").write_text(json.dumps({**config, "quantization_config": quantisation} if kind == "codes" else config))
        paths.append(path)
    return paths


class Quantised(unittest.TestCase):
    def logprobs(self, d, name):
        prompt = [(i * 37 + 11) % 300 + 3 for i in range(40)]
        status, answer = d.json("POST", "/v1/completions", {"model": name, "prompt": prompt, "max_tokens": 1, "temperature": 0, "prompt_logprobs": 320})
        self.assertEqual(status, 200, answer)
        return [{int(t): e["logprob"] for t, e in place.items()} for place in answer["choices"][0]["prompt_logprobs"][1:]]

    def test_codes_give_what_their_values_give(self):
        with tempfile.TemporaryDirectory() as folder:
            for model, fmt, settings in CASES:
                with self.subTest(model=model, format=fmt):
                    codes, plain = write_pair(folder, model, fmt, settings)
                    args = ["--dtype=float32", "--max-logprobs=-1", "--max-model-len=64"]
                    with harness.Daemon(f"quantised-{model}", [harness.service("codes", codes, args=args), harness.service("plain", plain, args=args)]) as d:
                        found, want = self.logprobs(d, "codes"), self.logprobs(d, "plain")
                        apart = max(abs(f[t] - w[t]) for f, w in zip(found, want) for t in w)
                        self.assertLess(apart, 2e-4)

    def test_a_mismatch_is_refused(self):
        path = harness.TOP / "tests/fixtures/quantised/awq-g32"
        with harness.Daemon("quantised-name", [harness.service("right", path, args=["--quantization=awq_marlin", "--skip-tokenizer-init"])]) as d:
            d.write(harness.service("wrong", path, args=["--quantization=gptq"]))
            d.request("POST", "/-/reload")
            text = d.wait_for(lambda: (m := json.dumps(d.status("wrong"))) and "is not how this model (awq) is stored" in m and m, seconds=20)
            self.assertIn("supported: awq, gptq, fp8, compressed-tensors, mxfp4, gguf, none", text)


if __name__ == "__main__":
    unittest.main()
