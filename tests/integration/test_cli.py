"""The command line, as a person uses it."""
import unittest

import harness

NAME = "llama-gqa-tied"


class CommandLine(unittest.TestCase):
    def test_a_daemon_is_asked(self):
        with harness.Daemon("cli", [harness.service(NAME, harness.fixture(f"models/{NAME}"))]) as d:
            run = lambda *w, **k: harness.paddock("--server", d.url, *w, **k)
            r = run("list")
            self.assertEqual(r.returncode, 0, r.stderr)
            self.assertRegex(r.stdout, NAME + r" +True +llama-gqa-tied-predictor-00001 +http://llama-gqa-tied\.default\.example\.com")
            r = run("status", NAME)
            self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
            self.assertRegex(r.stdout, "condition +Ready +True")
            r = run("logs", NAME)
            self.assertEqual(r.returncode, 0, r.stderr)
            self.assertGreater(len(r.stdout), 20)
            r = run("status", "nobody")
            self.assertEqual((r.returncode, r.stderr), (1, 'paddock: inferenceservices.serving.kserve.io "nobody" not found\n'))
            self.assertEqual(run("reload").returncode, 0)
            self.assertEqual(harness.paddock("check", "--etc", d.etc).returncode, 0)
            (d.etc / "models.d/bad.yaml").write_text("apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {name: x}\nspec: {predictr: {}}\n")
            r = harness.paddock("check", "--etc", d.etc)
            self.assertNotEqual(r.returncode, 0)
            self.assertRegex(r.stderr + r.stdout, r"bad\.yaml:4.*predictr.*did you mean 'predictor'")

    def test_a_private_daemon(self):
        r = harness.paddock("run", "--temperature", 0, "--max-tokens=40", harness.real_model(), "Say hello.")
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertGreater(len(r.stdout.strip()), 3)
        r = harness.paddock("chat", "--temperature=0", "--max-tokens=40", harness.real_model(), input="My name is Ada.\nWhat is my name?\n/bye\n")
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertGreater(len(r.stdout.splitlines()), 1)

    def test_what_goes_wrong_is_said_in_a_line(self):
        for words, want in ((["run", "/no/such/model"], "cannot open /no/such/model: No such file or directory"),
                            (["run", __file__, "x"], "test_cli.py"), (["run", "smolm2", "x"], "did you mean 'smollm2'"),
                            (["--server", "http://127.0.0.1:1", "list"], "http://127.0.0.1:1: Couldn't connect to server"),
                            (["lsit"], "no command is called 'lsit'; did you mean 'list'?"), (["run", "--nonsense"], "unknown option '--nonsense'")):
            r = harness.paddock(*words)
            self.assertNotEqual(r.returncode, 0, words)
            self.assertEqual(len(r.stderr.strip().splitlines()), 1, r.stderr)
            self.assertIn(want, r.stderr)


if __name__ == "__main__":
    unittest.main()
