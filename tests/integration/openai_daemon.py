"""Where the tests of the OpenAI API find a daemon: at PADDOCK_TEST_ADDRESS, else one of their own with SmolLM2 as `m`."""
import os
import unittest


class Service:
    """`address`, and whether the model is the one whose answers were recorded."""

    def __init__(self, name):
        self.daemon = None
        self.address = os.environ.get("PADDOCK_TEST_ADDRESS")
        self.same_model = os.environ.get("PADDOCK_TEST_SAME_MODEL") == "1"
        if self.address:
            return
        if "PADDOCK_BUILD_TREE" not in os.environ:
            raise unittest.SkipTest("neither PADDOCK_TEST_ADDRESS nor PADDOCK_BUILD_TREE is set")
        import harness
        document = harness.service("m", harness.real_model(), args=["--max-model-len=2048"])
        self.daemon = harness.Daemon(name, services=[document])
        self.address = self.daemon.address
        self.same_model = True

    def stop(self):
        if self.daemon is not None:
            self.daemon.stop()
