"""What a random model writes under a schema, over HTTP, is valid to a validator that is not ours, or the schema is a 400
that names the cause; a hostile schema, grammar or regex costs its own request little and others nothing.

A sample of the public suite by default; PADDOCK_STRUCTURED=all takes every schema, 10 seeds each."""
import collections
import concurrent.futures
import http.client
import json
import multiprocessing
import os
import pathlib
import random
import re
import time
import unittest

import harness

try:
    import jsonschema
except ImportError:
    jsonschema = None

ALL = os.environ.get("PADDOCK_STRUCTURED") == "all"
SEEDS = 10 if ALL else 4
STEP = 1 if ALL else 6 * harness.SLOW
PROMPT = "One thing about Denver is "
ROOM = 64 * 1024  # KiB that one text may make a worker grow by
GAP = 0.15        # seconds between two tokens of another, where a few thousandths are usual
SECONDS = 1.5     # that one text may take before its first token or its refusal


def slowness():
    """By how much this machine is slower than an idle one, as sanitizers and other processes make it."""
    return harness.SLOW * max(1, os.getloadavg()[0] / os.cpu_count())


def hostile():
    """(name, what is asked)"""
    grammar, regex, schema = (lambda text, kind=kind: {"structured_outputs": {kind: text}} for kind in ("grammar", "regex", "json"))
    letters = [{"const": chr(97 + i)} for i in range(24)]
    chain = {f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}, {"type": "array", "items": {"$ref": f"#/$defs/d{i + 1}"}}]} for i in range(300)}
    chain["d300"] = {"type": "null"}
    return [
        ("parentheses", grammar("root ::= " + "(" * 100000)), ("repeats", grammar("root ::= ([a-z] [a-z]? root?){2000000000}")),
        ("left recursion", grammar('root ::= root "a" | "a"')), ("ambiguous", grammar("root ::= root root root | root root | [a-z]")),
        ("hidden left recursion", grammar('root ::= e root "a" | "a"\ne ::= "" | "b"')), ("empty loops", grammar('root ::= ((""*)*)* "a"')),
        ("rules", grammar("root ::= r0\n" + "".join(f'r{i} ::= "a" r{i + 1} | "b"\n' for i in range(200000)) + 'r200000 ::= "c"')),
        ("chain of empty rules", grammar("root ::= r0\n" + "".join(f"r{i} ::= r{i + 1}? r{i + 1}?\n" for i in range(3000)) + 'r3000 ::= "c"?')),
        ("wide", grammar("root ::= (" + " | ".join(f'"{i:x}"' for i in range(100000)) + ")+")),
        ("counted", grammar("root ::= ((([a-z]{0,100}){0,100}){0,100}){0,100}")), ("deep strings", grammar('root ::= "(" root ")" | [^()]*')),
        ("lark cycle", grammar("start: a\na: b\nb: a | start")), ("lark import", grammar("%import .....etc.passwd\nstart: passwd")),
        ("lark regex", grammar("start: A+\nA: /(a|a)*b/ | /(a*)*c/ | /[^x]{0,5000}/")),
        ("nested stars", regex("(a+)+b")), ("optional letters", regex("(a|a?){500}" * 20)), ("far choice", regex("[ab]*a[ab]{30}c")),
        ("dots", regex("(.*){1000}x")), ("long count", regex(".{0,100000}x")), ("counts of counts", regex("((a{0,100}){0,100}){0,100}")),
        ("open", regex("(" * 50000)), ("open and closed", regex("(" * 50000 + "a" + ")" * 50000)), ("classes", regex(r"(\w|\d|\s|\W){1,1000}[^\x00-\U0010FFFF]?")),
        ("many words", regex("|".join(f"{i:x}z" for i in range(60000)))), ("backreference", regex(r"(a+)\1")), ("look-behind", regex("(?<=a)b")),
        ("overlap", regex("(.*a){24}.*")), ("letter", regex("a" * 200000)),
        ("minItems", schema({"minItems": 10 ** 9})), ("minLength", schema({"type": "string", "minLength": 10 ** 6})),
        ("maxLength", schema({"type": "string", "maxLength": 10 ** 9, "pattern": "(a|a?){500}" * 5})),
        ("unique", schema({"type": "array", "items": {"enum": [f"v{i}" for i in range(40)]}, "uniqueItems": True, "minItems": 30})),
        ("required", schema({"type": "object", "required": [f"k{i}" for i in range(200)]})),
        ("required in any order", schema({"type": "object", "properties": {f"k{i}": {"type": "null"} for i in range(400)}, "required": [f"k{i}" for i in range(0, 400, 2)]})),
        ("patterns", schema({"type": "object", "patternProperties": {f"[{chr(97 + i)}-z].*{chr(97 + i)}": {"minimum": i} for i in range(20)}})),
        ("enum", schema({"enum": [f"{i:x}" for i in range(20000)]})), ("oneOf", schema({"oneOf": [{"multipleOf": i} for i in range(2, 24)]})),
        ("allOf patterns", schema({"allOf": [{"pattern": f"{chr(97 + i)}.{{{i}}}x"} for i in range(20)], "type": "string"})),
        ("not", schema({"not": {"anyOf": [{"pattern": f"a.{{{i}}}b"} for i in range(20)]}, "type": "string"})),
        ("contains", schema({"type": "array", "allOf": [{"contains": one} for one in letters]})), ("endless", schema({"type": "array", "items": {"$ref": "#"}, "minItems": 1})),
        ("chain", schema({"$defs": chain, "$ref": "#/$defs/d0"})), ("anyOf of anyOf", schema({"allOf": [{"anyOf": [{"required": [f"{i}{j}"]} for j in range(4)]} for i in range(12)], "type": "object"})),
        ("unevaluated", schema({"anyOf": [{"properties": {f"p{i}": {"type": "integer"}}} for i in range(14)], "unevaluatedProperties": False})),
        ("dependent", schema({"type": "object", "dependentRequired": {f"k{i}": [f"k{(i + 1) % 18}"] for i in range(18)}})),
        ("remote", schema({"$ref": "file:///etc/passwd"})), ("loop", schema({"$ref": "#"})), ("loop of two", schema({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"})),
        ("multipleOf", schema({"multipleOf": 1e-9, "type": "number"})), ("multipleOf of a prime", schema({"multipleOf": 999983, "type": "integer"})), ("numbers", schema({"minimum": -1e308, "maximum": 1e308, "exclusiveMinimum": 0.1 + 0.2})),
        ("choices", {"structured_outputs": {"choice": [f"{i:x}" for i in range(50000)]}}), ("choice", {"structured_outputs": {"choice": ["x" * 500000]}}),
        ("tags", {"response_format": {"type": "structural_tag", "format": {"type": "triggered_tags", "triggers": [f"<{i}" for i in range(400)], "tags": [
            {"begin": f"<{i}>", "content": {"type": "regex", "pattern": "(a|a?){50}"}, "end": "</>"} for i in range(400)]}}}),
        ("whitespace", {"structured_outputs": {"json": {"type": "array"}, "whitespace_pattern": "( *)*( *)*( |  ?){300}"}}),
    ]


class Structured(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        model = harness.service("m", harness.fixture("walkthrough/facebook/opt-125m"), args=["--max-num-seqs=64"])
        cls.daemon = harness.Daemon("structured", services=[model], conf="access_log = false;")
        cls.worker, = cls.daemon.workers()
        # What closes things is made likely, or a random model's strings would have no end.
        bias = {}
        for text, value in (('"', 4.5), ("]", 5), ("}", 5), (":", 2), (",", 1), ("</", 3), (")", 5)):
            for token in cls.daemon.json("POST", "/tokenize", {"model": "m", "prompt": text, "add_special_tokens": False})[1]["tokens"]:
                bias[str(token)] = value
        cls.bias = bias

    @classmethod
    def tearDownClass(cls):
        status = cls.daemon.stop()
        assert status == 0, cls.daemon.log_text()

    def tearDown(self):
        self.assertEqual(self.daemon.workers(), [self.worker], self.daemon.log_text())
        self.daemon.wait_for(lambda: self.daemon.metric("vllm:kv_cache_usage_perc") == 0)

    def ask(self, body, **more):
        return self.daemon.json("POST", "/v1/completions", {"model": "m", "prompt": PROMPT, "temperature": 1, "max_tokens": 400, "seed": 1,
                                                            "logit_bias": self.bias, **body, **more})

    def test_public_suite(self):
        """Every schema is refused by name, or all that comes is valid."""
        if jsonschema is None:
            self.skipTest("jsonschema is not installed")
        folder = harness.fixture("json-schema")
        schemas = [group["schema"] for file in sorted(folder.glob("*.json")) for group in json.loads(file.read_text())][::STEP]
        objects = [s for s in schemas if isinstance(s, dict)]

        def play(schema):
            """(status, texts or the error). Three requests of several choices, as each way of asking has its own path."""
            asked = [{"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}}, {"guided_json": schema}, {"structured_outputs": {"json": json.dumps(schema)}}]
            if not isinstance(schema, dict):
                asked = asked[2:]
            texts = []
            for i, body in enumerate(asked):
                status, answer = self.ask(body, n=-(-SEEDS // len(asked)), seed=i + 1)
                if status != 200:
                    return status, answer["error"]["message"]
                texts += [(c["text"], c["finish_reason"]) for c in answer["choices"]]
            return 200, texts

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(play, schemas))
        refused, enforced, cut, whole = collections.Counter(), 0, 0, 0
        for schema, (status, texts) in zip(schemas, answers):
            if status != 200:
                self.assertEqual(status, 400, (schema, texts))
                self.assertTrue(texts)
                refused[re.sub(r'"[^"]*"', '"…"', re.sub(r"at /\S*/", "at …/", texts))] += 1
                continue
            enforced += 1
            validator = jsonschema.Draft202012Validator(schema)
            for text, finish in texts:
                if finish == "length":
                    cut += 1
                    continue
                self.assertEqual(finish, "stop", (schema, text))
                whole += 1
                with self.subTest(schema=schema, text=text):
                    try:
                        errors = list(validator.iter_errors(json.loads(text)))
                    except RecursionError:  # the validator's, of a schema that looks at itself
                        continue
                    self.assertEqual([e.message for e in errors], [])
        print(f"\n{len(schemas)} schemas over HTTP ({len(objects)} objects): {enforced} enforced, {sum(refused.values())} refused; {whole} answers whole, {cut} cut")
        for reason, count in refused.most_common():
            print(f"  {count:3}  {reason[:160]}")
        self.assertGreater(enforced, len(schemas) * 0.8)
        self.assertLess(cut, (cut + whole) * 0.1)

    def test_regexes_and_choices(self):
        """Texts of random regexes and choices match, by Python's own engine."""
        r = random.Random(4)

        def term(depth):
            kind = r.randrange(7 if depth else 4)
            return ("[a-f]", "[^a-y\\n]", r.choice(["x", "yz", "é", "\\."]), r.choice(["\\d", "[0-9_]"]),
                    f"({term(depth - 1)}|{term(depth - 1)})" if depth else "", f"{term(depth - 1)}{term(depth - 1)}" if depth else "",
                    f"(?:{term(depth - 1)}){r.choice(['{1,3}', '?', '{2}', '{0,4}', '+'])}" if depth else "")[kind]

        for i in range(60 if ALL else 16):
            pattern, words = term(4), ["".join(r.choice("ab é\"\\") for _ in range(r.randrange(1, 9))) for _ in range(5)]
            for body, holds in (({"structured_outputs": {"regex": pattern}}, lambda t: re.fullmatch(pattern, t, re.S)), ({"guided_choice": words}, lambda t: t in words)):
                status, answer = self.ask(body, n=SEEDS, seed=i)
                self.assertEqual(status, 200, (body, answer))
                for choice in answer["choices"]:
                    if choice["finish_reason"] == "stop":
                        self.assertTrue(holds(choice["text"]), (body, choice))

    def test_grammars_and_tags(self):
        """Balanced brackets and key-value lists from both grammar languages, and tags around what a schema or a regex says."""
        def balanced(text):
            while (shorter := re.sub(r"\[x?\]", "x", text)) != text:
                text = re.sub("x+", "x", shorter)
            return text == "x"

        schema = {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"], "additionalProperties": False}
        tag = {"type": "tag", "begin": "<j>", "content": {"type": "json_schema", "json_schema": schema}, "end": "</j>"}
        tagged = lambda t: t.startswith("<j>") and t.endswith("</j>") and isinstance(json.loads(t[3:-4])["a"], bool)
        pairs = lambda t: re.fullmatch("[a-z]{1,4}=[0-9]{1,3}(;[a-z]{1,4}=[0-9]{1,3})*", t)
        asked = [({"structured_outputs": {"grammar": 'root ::= "[" root* "]"'}}, balanced),
                 ({"guided_grammar": 'start: "[" start* "]"'}, balanced),
                 ({"guided_grammar": 'root ::= pair (";" pair)*\npair ::= [a-z]{1,4} "=" [0-9]{1,3}'}, pairs),
                 ({"structured_outputs": {"grammar": 'start: pair (";" pair)*\npair: /[a-z]{1,4}/ "=" /[0-9]{1,3}/'}}, pairs),
                 ({"response_format": {"type": "structural_tag", "format": tag}}, tagged),
                 ({"structured_outputs": {"structural_tag": json.dumps({"type": "structural_tag", "format": tag})}}, tagged),
                 ({"response_format": {"type": "structural_tag", "format": {"type": "sequence", "elements": [{"type": "const_string", "value": "A"}, tag]}}},
                  lambda t: t[:1] == "A" and tagged(t[1:]))]
        for body, holds in asked:
            status, answer = self.ask(body, n=SEEDS)
            self.assertEqual(status, 200, (body, answer))
            for choice in answer["choices"]:
                if choice["finish_reason"] == "stop":
                    self.assertTrue(holds(choice["text"]), (body, choice))

    def beside(self, work):
        """Runs work() while another process reads streams that ask for nothing special, then while it reads ones of a
        schema; gives what work() gave, and the worst of each's seconds between tokens: alone, and beside the work."""
        plain = {"model": "m", "prompt": PROMPT, "max_tokens": 400, "seed": 2, "ignore_eos": True, "stream": True}
        guided = {**plain, "structured_outputs": {"regex": "([a-z]+ ){400}"}}
        out = []
        for body in (plain, guided):
            with multiprocessing.get_context("fork").Pool(1, initializer=use, initargs=(over := multiprocessing.get_context("fork").Event(),)) as pool:
                alone = pool.apply(gaps, (self.daemon.port, body, 4))
                over.clear()
                reading = pool.apply_async(gaps, (self.daemon.port, body, None))
                try:
                    done = work()
                finally:
                    over.set()
                got = reading.get(60 * harness.SLOW)
            out.append((max(g for _, g in alone), got))
        return done, out

    def judge(self, what, work):
        done, streams = self.beside(work)
        for kind, (alone, got) in zip(("plain", "guided"), streams):
            worst = sorted(got, key=lambda pair: -pair[1])[:3]
            near = [(f"{g * 1e3:.0f} ms", [name for name, began, took in self.played if began - 0.01 < at and at - g < began + took + 0.01][:3]) for at, g in worst]
            print(f"\n{what}, {kind} stream: {len(got)} gaps, worst {alone * 1e3:.1f} ms alone; beside: {near}", end="")
        for _, got in streams:
            self.assertLess(max(g for _, g in got), GAP * slowness())
        return done

    def play(self, one):
        """One hostile request: (name, status, seconds, its error)."""
        name, body = one
        text = json.dumps({"model": "m", "prompt": PROMPT, "max_tokens": 4, "seed": 1, **body})
        began = time.monotonic()
        status, _, answer = self.daemon.request("POST", "/v1/completions", text, {"Content-Type": "application/json"})
        took = time.monotonic() - began
        self.played.append((name, began, took))
        return name, status, took, json.loads(answer).get("error", {}).get("message", "")

    def test_hostile_texts_cost_their_own_request(self):
        """Each is answered or refused within SECONDS and ROOM; the tokens of others come on."""
        proc = pathlib.Path(f"/proc/{self.worker}")
        peak = lambda: int(re.search(r"VmHWM:\s+(\d+)", (proc / "status").read_text())[1])
        self.ask({"structured_outputs": {"regex": "[a-z]{3}"}}, n=8)
        self.played = []

        def each():
            report = []
            for one in hostile():
                before = self.daemon.rss(self.worker)
                (proc / "clear_refs").write_text("5")
                report.append((*self.play(one), peak() - before))
            return report

        first = self.daemon.rss(self.worker)
        report = self.judge("one at a time", each)
        print(f"\nthe worker has {(self.daemon.rss(self.worker) - first) / 1024:.1f} MiB more than before")
        for name, status, took, message, grown in report:
            if ALL:
                print(f"  {name:24} {status} {took * 1e3:7.0f} ms {grown / 1024:6.1f} MiB {message[:90]}")
            with self.subTest(name, took=took, grown=grown):
                self.assertIn(status, (200, 400), message)
                self.assertEqual(status == 400, bool(message))
                self.assertLess(took, SECONDS * slowness())
                if not harness.SANITIZED:
                    self.assertLess(grown, ROOM)

    def test_many_hostile_texts_at_once(self):
        """Eight that take long are compiled beside each other, and the streams of others do not wait for them."""
        slow = [one for one in hostile() if one[0] in ("counted", "counts of counts", "wide", "chain of empty rules", "repeats", "not", "oneOf", "many words")]
        self.played = []

        def together():
            with concurrent.futures.ThreadPoolExecutor(len(slow)) as pool:
                return list(pool.map(self.play, slow))

        for name, status, took, message in self.judge("eight at once", together):
            self.assertIn(status, (200, 400), (name, message))


def use(event):
    """What ends the reading of a forked process."""
    global over
    over = event


def gaps(port, body, streams):
    """(when, seconds) between the events of streams, one after another: of so many, or until the event is set."""
    out = []
    while streams != 0 if streams is not None else not over.is_set():
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=60 * harness.SLOW)
        c.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
        response, last = c.getresponse(), None
        while line := response.readline():
            if line.startswith(b"data: {"):
                now = time.monotonic()
                if last is not None:
                    out.append((now, now - last))
                last = now
        c.close()
        streams = None if streams is None else streams - 1
    return out


if __name__ == "__main__":
    unittest.main()
