"""JSON schemas as grammars: random texts of each schema of the public suite, and of schemas put together at random, are
valid to a validator that is not ours; what cannot be enforced is refused by name."""
import collections
import json
import random
import re
import subprocess
import unittest

import harness

try:
    import jsonschema
except ImportError:
    jsonschema = None

PROGRAM = harness.BUILD / "tests/unit/schema_texts"
TEXTS = 10


def texts(schemas, seed, style=""):
    """What schema_texts makes of each schema: its texts, or the error."""
    if not PROGRAM.exists():
        raise unittest.SkipTest("tests/unit/schema_texts is not built")
    lines = "".join(json.dumps(s) + "\n" for s in schemas)
    ran = subprocess.run([PROGRAM, str(TEXTS), str(seed), style], input=lines.encode(), capture_output=True, timeout=900)
    answers = [json.loads(line) for line in ran.stdout.decode().splitlines()]
    if ran.returncode != 0 or len(answers) != len(schemas):
        raise AssertionError(f"it ended with {ran.returncode} after {len(answers)} of {len(schemas)} schemas: {ran.stderr.decode()[-2000:]}")
    return answers


@unittest.skipIf(jsonschema is None, "jsonschema is not installed")
class JsonSchema(unittest.TestCase):
    def judge(self, schemas, seed, style=""):
        """Checks every text; returns the reasons of refusals, and how many schemas were enforced."""
        refused, enforced = collections.Counter(), 0
        for schema, answer in zip(schemas, texts(schemas, seed, style)):
            if "error" in answer:
                self.assertIn(answer["status"], ("invalid", "unsupported", "too large"), answer)
                self.assertTrue(answer["error"])
                refused[re.sub(r'"[^"]*"', '"…"', re.sub(r"at /\S*/", "at …/", answer["error"]))] += 1
                continue
            enforced += 1
            validator = jsonschema.Draft202012Validator(schema)
            for text in answer["texts"]:
                value = json.loads(text)
                try:
                    errors = list(validator.iter_errors(value))
                except RecursionError:  # the validator's, of a schema that looks at itself
                    continue
                self.assertEqual([e.message for e in errors], [], f"{json.dumps(schema)}: {text}")
        return refused, enforced

    def test_public_suite(self):
        folder = harness.fixture("json-schema")
        schemas = [group["schema"] for file in sorted(folder.glob("*.json")) for group in json.loads(file.read_text())]
        for seed, style in ((1, ""), (2, ""), (3, "tight")):
            refused, enforced = self.judge(schemas, seed * 1000, style)
        print(f"\npublic suite: {enforced} of {len(schemas)} schemas enforced, {sum(refused.values())} refused:")
        for reason, count in refused.most_common():
            print(f"  {count:3}  {reason}")
        self.assertGreaterEqual(enforced, 330)

    def test_random_schemas(self):
        draw = Schemas(20261)
        schemas = [draw.schema() for _ in range(400 // harness.SLOW)]
        refused, enforced = self.judge(schemas, 7)
        self.assertGreater(enforced, len(schemas) / 2)

    def test_texts_end(self):
        """A walk that is eager to end does, so no schema leads where nothing can close."""
        answers = texts([{"type": "object", "properties": {"a": {"$ref": "#"}}, "required": []}, {"minItems": 3}, {"minProperties": 4},
                         {"type": "array", "items": {"type": "array", "minItems": 2}}], 5)
        for answer in answers:
            self.assertEqual(answer["incomplete"], 0, answer)


class Schemas:
    """Schemas of every keyword, put together at random."""
    KEYS = ["a", "b", "c", "foo", "x1", "kind"]
    PATTERNS = ["^a", "b$", "^[a-z]+$", r"\d", "o{2}", "^.{2,4}$", "^(?!a)", "x|y", r"^\w+$", r"\bfoo\b", "^[^0-9]*$", "(?=.*a)(?=.*b)", "^$"]
    TYPES = ["object", "array", "string", "integer", "number", "boolean", "null"]

    def __init__(self, seed):
        self.random = random.Random(seed)

    def value(self, depth=2):
        r = self.random
        if depth and r.random() < .12:
            return [self.value(depth - 1) for _ in range(r.randrange(3))]
        if depth and r.random() < .14:
            return {r.choice(self.KEYS): self.value(depth - 1) for _ in range(r.randrange(3))}
        return r.choice([None, True, False, 0, 1, 2, -1, 1.5, 1.0, 10, "a", "b", "foo", "", "x y", "é"])

    def number(self):
        return self.random.choice([0, 1, 2, 3, 5, 10, -3, 0.5, 1.5, -2.25, 100, 2.0, 7])

    def schema(self):
        r = self.random
        names = [f"d{k}" for k in range(r.randrange(3))]
        schema = self.inner(r.choice([1, 2, 2, 3]), names)
        if isinstance(schema, dict) and names:
            schema["$defs"] = {name: self.inner(2, names) for name in names}
        return schema

    def inner(self, depth, names):
        r = self.random
        if r.random() < .06:
            return r.random() < .8
        if names and r.random() < .1:
            return {"$ref": "#/$defs/" + r.choice(names)}
        if depth < 0:
            return r.choice([{"type": r.choice(self.TYPES)}, {"const": self.value(0)}, {"minimum": self.number()}, {"maxLength": r.randrange(4)}])
        schema = {}
        for _ in range(r.choice([1, 1, 2, 2, 3, 4])):
            r.choice([self.types, self.types, self.values, self.numbers, self.strings, self.arrays, self.objects, self.objects, self.applicators])(schema, depth, names)
        return schema

    def types(self, schema, depth, names):
        schema["type"] = self.random.choice([self.random.choice(self.TYPES), self.random.sample(self.TYPES, 2)])

    def values(self, schema, depth, names):
        schema.update(self.random.choice([{"const": self.value()}, {"enum": [self.value() for _ in range(3)]}]))

    def numbers(self, schema, depth, names):
        word = self.random.choice(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"])
        schema[word] = self.random.choice([1, 2, 3, 0.5, 1.5, 0.01, 2.0, 0.1]) if word == "multipleOf" else self.number()

    def strings(self, schema, depth, names):
        r = self.random
        schema.update(r.choice([{"minLength": r.randrange(4)}, {"maxLength": r.randrange(6)}, {"pattern": r.choice(self.PATTERNS)},
                                {"format": r.choice(["date", "email", "ipv4", "uuid", "time", "no such format"])}]))

    def arrays(self, schema, depth, names):
        r, inner = self.random, lambda: self.inner(depth - 1, names)
        schema.update(r.choice([lambda: {"items": inner()}, lambda: {"prefixItems": [inner(), inner()]}, lambda: {"minItems": r.randrange(4)},
                                lambda: {"maxItems": r.randrange(4)}, lambda: {"contains": inner()},
                                lambda: {"contains": inner(), "minContains": r.randrange(3), "maxContains": r.randrange(1, 4)},
                                lambda: {"uniqueItems": True, "items": {"enum": [self.value(0) for _ in range(4)]}},
                                lambda: {"unevaluatedItems": r.choice([False, inner()])}])())

    def objects(self, schema, depth, names):
        r, inner = self.random, lambda: self.inner(depth - 1, names)
        schema.update(r.choice([lambda: {"properties": {k: inner() for k in r.sample(self.KEYS, 2)}}, lambda: {"required": r.sample(self.KEYS, 2)},
                                lambda: {"additionalProperties": r.choice([False, inner()])},
                                lambda: {"patternProperties": {r.choice(self.PATTERNS): inner() for _ in range(2)}},
                                lambda: {"propertyNames": r.choice([{"maxLength": 3}, {"pattern": r.choice(self.PATTERNS)}, {"enum": self.KEYS[:3]}])},
                                lambda: {"minProperties": r.randrange(4)}, lambda: {"maxProperties": r.randrange(4)},
                                lambda: {"dependentRequired": {r.choice(self.KEYS): r.sample(self.KEYS, 1)}},
                                lambda: {"dependentSchemas": {r.choice(self.KEYS): inner()}},
                                lambda: {"unevaluatedProperties": r.choice([False, inner()])}])())

    def applicators(self, schema, depth, names):
        r, inner = self.random, lambda: self.inner(depth - 1, names)
        schema.update(r.choice([lambda: {"allOf": [inner(), inner()]}, lambda: {"anyOf": [inner(), inner()]}, lambda: {"oneOf": [inner(), inner()]},
                                lambda: {"not": inner()}, lambda: {"if": inner(), "then": inner()}, lambda: {"if": inner(), "then": inner(), "else": inner()}])())


if __name__ == "__main__":
    unittest.main()
