"""An installed tree: complete, small, needs nothing of the build; a plugin built against it from outside."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import harness


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """Configured for a prefix of its own, since paths are compiled in."""
        if harness.SANITIZED:
            raise unittest.SkipTest("the sanitized build is not installed")
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="paddock-install-"))
        cls.prefix = cls.folder / "usr"
        build = cls.folder / "build"
        build.mkdir()
        subprocess.run([harness.TOP / "configure", "-q", f"--prefix={cls.prefix}"], cwd=build, check=True, capture_output=True)
        for target in (["-j2"], ["install"]):
            r = subprocess.run(["make", *target], cwd=build, capture_output=True, text=True)
            assert r.returncode == 0, r.stderr[-3000:]
        shutil.rmtree(build)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    def test_size_and_content(self):
        subprocess.run(f"find {self.prefix} -type f -perm -u+x -o -name '*.so' | xargs strip -s", shell=True, check=False, capture_output=True)
        size = sum(p.stat().st_size for p in self.prefix.rglob("*") if p.is_file() and not p.is_symlink())
        self.assertLess(size, 15 << 20)
        print(f"installed: {size / 1048576:.1f} MiB", end=" ")
        for p in ("bin/paddock", "sbin/paddockd", "libexec/paddock/paddock-worker", "libexec/paddock/paddock-fetch", "lib/paddock/runtimes/huggingface.so",
                  "lib/paddock/compute/cpu.so", "include/paddock/runtime.h", "lib/pkgconfig/paddock.pc", "share/paddock/runtimes.d"):
            self.assertTrue((self.prefix / p).exists(), p)
        self.assertFalse(list(self.prefix.rglob("*.la")))

    def test_serves_and_takes_a_plugin(self):
        echo = self.folder / "echo"
        shutil.copytree(harness.TOP / "docs/examples/runtime-echo", echo, copy_function=shutil.copyfile)
        env = {**os.environ, "PKG_CONFIG_PATH": str(self.prefix / "lib/pkgconfig")}
        r = subprocess.run(["make", "-C", str(echo), "install"], env=env, capture_output=True, text=True)
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertTrue((self.prefix / "lib/paddock/runtimes/echo.so").exists())
        old, harness.BUILD = harness.BUILD, self.prefix / "sbin"
        try:
            model = harness.fixture("models/llama-gqa-tied")
            runtime = next(echo.glob("*runtime*.yaml")).read_text()
            with harness.Daemon("installed", [harness.service("tiny", model), harness.service("said", model, fmt="echo")], runtimes=[runtime]) as d:
                status, a = d.json("POST", "/v1/completions", {"model": "tiny", "prompt": [4], "max_tokens": 2})
                self.assertEqual(status, 200, a)
                status, a = d.json("POST", "/v1/completions", {"model": "said", "prompt": "good morning to you", "max_tokens": 3})
                self.assertEqual(status, 200, a)
                self.assertIn("good morning to", a["choices"][0]["text"])
        finally:
            harness.BUILD = old


if __name__ == "__main__":
    unittest.main()
