"""Where the tests of the OpenAI API find a daemon: at PADDOCK_TEST_ADDRESS, else one of their own with SmolLM2 as `m`."""
import os
import unittest

# What the second recording of vLLM was made with.
TOOL_ARGS = ("--enable-auto-tool-choice", "--tool-call-parser=hermes", "--enable-prompt-tokens-details", "--enable-tokenizer-info-endpoint")


class Service:
    """`address`, and whether the model is the one whose answers were recorded. `variable` names another daemon's address;
    `models`: further services beside `m`, by name, each a path and arguments."""

    def __init__(self, name, variable="PADDOCK_TEST_ADDRESS", args=(), env=None, models=None):
        self.daemon = None
        self.address = os.environ.get(variable)
        self.same_model = os.environ.get("PADDOCK_TEST_SAME_MODEL") == "1"
        if self.address:
            return
        if "PADDOCK_BUILD_TREE" not in os.environ:
            raise unittest.SkipTest("neither %s nor PADDOCK_BUILD_TREE is set" % variable)
        import harness
        documents = [harness.service("m", harness.real_model(), args=["--max-model-len=2048", *args], env=env)]
        for other, (path, arguments) in (models or {}).items():
            documents.append(harness.service(other, path, args=arguments))
        self.daemon = harness.Daemon(name, services=documents)
        self.address = self.daemon.address
        self.same_model = True

    def stop(self):
        if self.daemon is not None:
            self.daemon.stop()
