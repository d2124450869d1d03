"""The real Kubernetes Python client, and the requests that kubectl sends, against a real daemon."""
import json
import os
import re
import signal
import threading
import unittest

import harness

try:
    import kubernetes
except ImportError:
    kubernetes = None

MODEL = "models/llama-gqa-tied"
GROUP, VERSION, PLURAL = "serving.kserve.io", "v1beta1", "inferenceservices"
ISVC = f"/apis/{GROUP}/{VERSION}"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


class KubernetesTest(unittest.TestCase):
    """Two services, in two namespaces; nothing here changes them."""

    @classmethod
    def setUpClass(cls):
        model = harness.fixture(MODEL)
        first = harness.service("first", model)
        first["metadata"]["labels"] = {"team": "blue", "tier": "gold"}
        second = harness.service("second", model)
        second["metadata"].update(namespace="other", labels={"team": "red"})
        cls.daemon = harness.Daemon(cls.__name__, [first, second], wait=False)
        cls.daemon.wait_ready("first")
        path = ISVC + "/namespaces/other/inferenceservices/second"
        cls.daemon.wait_for(lambda: any(c["type"] == "Ready" and c["status"] == "True" for c in cls.daemon.json("GET", path)[1]["status"]["conditions"]), 30)

    @classmethod
    def tearDownClass(cls):
        status = cls.daemon.stop()
        assert status == 0, cls.daemon.log_text()


@unittest.skipIf(kubernetes is None, "the Python package kubernetes is not installed")
class PythonClient(KubernetesTest):
    def setUp(self):
        configuration = kubernetes.client.Configuration(host=self.daemon.url)
        configuration.retries = False
        api = kubernetes.client.ApiClient(configuration)
        self.addCleanup(api.close)
        self.objects, self.core, self.api = kubernetes.client.CustomObjectsApi(api), kubernetes.client.CoreV1Api(api), api

    def refused(self, status, reason, call, *arguments, **more):
        with self.assertRaises(kubernetes.client.ApiException) as caught:
            call(*arguments, **more)
        body = json.loads(caught.exception.body)
        self.assertEqual(caught.exception.status, status, body)
        self.assertEqual((body["kind"], body["apiVersion"], body["status"], body["code"], body["reason"]), ("Status", "v1", "Failure", status, reason))
        return body

    def test_services(self):
        one = self.objects.get_namespaced_custom_object(GROUP, VERSION, "default", PLURAL, "first")
        self.assertEqual((one["kind"], one["apiVersion"], one["metadata"]["name"]), ("InferenceService", f"{GROUP}/{VERSION}", "first"))
        self.assertEqual(one["metadata"]["labels"], {"team": "blue", "tier": "gold"})
        self.assertEqual(one["status"]["url"], "http://first.default.example.com")
        self.assertEqual({c["status"] for c in one["status"]["conditions"] if c["type"] in ("Ready", "PredictorReady", "IngressReady")}, {"True"})
        names = lambda found: sorted(i["metadata"]["name"] for i in found["items"])
        found = self.objects.list_namespaced_custom_object(GROUP, VERSION, "default", PLURAL)
        self.assertEqual((found["kind"], names(found)), ("InferenceServiceList", ["first"]))
        self.assertEqual(found["items"][0], self.objects.get_namespaced_custom_object(GROUP, VERSION, "default", PLURAL, "first"))
        self.assertEqual(names(self.objects.list_cluster_custom_object(GROUP, VERSION, PLURAL)), ["first", "second"])
        self.assertEqual(names(self.objects.list_namespaced_custom_object(GROUP, VERSION, "nowhere", PLURAL)), [])

    def test_selectors(self):
        for selector, want in (("team=blue", ["first"]), ("team==red", ["second"]), ("team!=blue", ["second"]), ("tier", ["first"]), ("!tier", ["second"]),
                               ("team=blue,tier=gold", ["first"]), ("team=blue,tier=silver", []), ("team", ["first", "second"])):
            found = self.objects.list_cluster_custom_object(GROUP, VERSION, PLURAL, label_selector=selector)
            self.assertEqual(sorted(i["metadata"]["name"] for i in found["items"]), want, selector)
        found = self.objects.list_cluster_custom_object(GROUP, VERSION, PLURAL, field_selector="metadata.name=second")
        self.assertEqual([i["metadata"]["name"] for i in found["items"]], ["second"])
        self.assertIn("labelSelector", self.refused(400, "BadRequest", self.objects.list_cluster_custom_object, GROUP, VERSION, PLURAL, label_selector="=")["message"])

    def pod(self, service="first", namespace="default"):
        pods = self.core.list_namespaced_pod(namespace, label_selector="serving.kserve.io/inferenceservice=" + service).items
        self.assertEqual(len(pods), 1)
        return pods[0]

    def test_pods(self):
        """Through the client's own models, which check types and required fields."""
        pod = self.pod()
        self.assertEqual((pod.metadata.namespace, pod.status.phase, pod.spec.node_name), ("default", "Running", "paddock"))
        self.assertRegex(pod.metadata.name, r"^first-predictor-00001-deployment-[0-9a-f]{10}-[a-z0-9]{5}$")
        self.assertEqual(pod.metadata.labels["component"], "predictor")
        container, = pod.status.container_statuses
        self.assertTrue(container.ready and container.state.running.started_at)
        self.assertEqual((container.name, container.restart_count), ("kserve-container", 0))
        self.assertEqual(pod.spec.containers[0].name, "kserve-container")
        again = self.core.read_namespaced_pod(pod.metadata.name, "default")
        self.assertEqual(again.metadata.uid, pod.metadata.uid)
        self.assertEqual(sorted(p.metadata.namespace for p in self.core.list_pod_for_all_namespaces().items), ["default", "other"])
        self.assertEqual(self.core.list_namespaced_pod("default", label_selector="serving.kserve.io/inferenceservice=none").items, [])
        self.assertEqual(sorted(n.metadata.name for n in self.core.list_namespace().items), ["default", "other"])
        self.assertEqual(self.core.list_namespaced_event("default").items, [])

    def log(self, name, namespace="default", **more):
        """The client's own decoding gives the text of a Python bytes object."""
        return self.core.read_namespaced_pod_log(name, namespace, _preload_content=False, **more).data.decode()

    def test_logs(self):
        name = self.pod().metadata.name
        whole = self.log(name)
        lines = whole.splitlines(keepends=True)
        self.assertGreater(len(lines), 1)
        self.assertEqual(self.log(name, tail_lines=1), lines[-1])
        self.assertEqual(self.log(name, tail_lines=0), "")
        self.assertEqual(self.log(name, limit_bytes=7), whole[:7])
        self.assertEqual(self.log(name, container="kserve-container"), whole)
        self.assertEqual(self.log(name, previous=True), "", "no worker ran before")
        self.assertIn("other-container", self.refused(400, "BadRequest", self.core.read_namespaced_pod_log, name, "default", container="other-container")["message"])
        self.refused(404, "NotFound", self.core.read_namespaced_pod_log, name, "other")

    def test_log_is_followed(self):
        """A follower gets what is there, then what comes, until it leaves."""
        answer = self.core.read_namespaced_pod_log(self.pod().metadata.name, "default", follow=True, _preload_content=False)
        timer = threading.Timer(15, answer.close)
        timer.start()
        try:
            first = answer.stream(decode_content=False)
            self.assertGreater(len(next(first)), 0)
        finally:
            timer.cancel()
            answer.close()
        self.assertEqual(self.daemon.get("/healthz")[0], 200)

    def test_previous_log(self):
        name = self.pod("second", "other").metadata.name
        before = self.log(name, "other")
        worker = next(w for w in self.daemon.workers() if f" {w}" in next(l for l in (self.daemon.folder / "log").read_text().splitlines() if re.search("second.*started worker", l)))
        os.kill(worker, signal.SIGKILL)
        self.daemon.wait_for(lambda: self.pod("second", "other").status.container_statuses[0].restart_count == 1 and self.pod("second", "other").status.container_statuses[0].ready)
        self.assertEqual(self.log(name, "other", previous=True), before)
        self.assertEqual(self.pod("second", "other").metadata.name, name, "a restart keeps the name")
        ended = self.pod("second", "other").status.container_statuses[0].last_state.terminated
        self.assertEqual((ended.exit_code, ended.reason), (128 + 9, "Error"))

    def test_not_found(self):
        body = self.refused(404, "NotFound", self.objects.get_namespaced_custom_object, GROUP, VERSION, "default", PLURAL, "nope")
        self.assertEqual(body["message"], 'inferenceservices.serving.kserve.io "nope" not found')
        self.assertEqual(body["details"], {"name": "nope", "group": GROUP, "kind": PLURAL})
        self.refused(404, "NotFound", self.objects.get_namespaced_custom_object, GROUP, VERSION, "other", PLURAL, "first")
        self.assertEqual(self.refused(404, "NotFound", self.core.read_namespaced_pod, "nope", "default")["message"], 'pods "nope" not found')
        self.refused(404, "NotFound", self.objects.list_cluster_custom_object, "example.org", "v1", "things")
        self.refused(404, "NotFound", self.core.list_namespaced_secret, "default")

    def test_writes_are_refused(self):
        document = harness.service("new", "/nowhere")
        name = self.pod().metadata.name
        for call, arguments in (
                (self.objects.create_namespaced_custom_object, (GROUP, VERSION, "default", PLURAL, document)),
                (self.objects.replace_namespaced_custom_object, (GROUP, VERSION, "default", PLURAL, "first", document)),
                (self.objects.patch_namespaced_custom_object, (GROUP, VERSION, "default", PLURAL, "first", {"metadata": {"labels": {"a": "b"}}})),
                (self.objects.delete_namespaced_custom_object, (GROUP, VERSION, "default", PLURAL, "first")),
                (self.core.delete_namespaced_pod, (name, "default"))):
            with self.subTest(call.__name__):
                body = self.refused(405, "MethodNotAllowed", call, *arguments)
                self.assertIn("/etc/paddock/models.d", body["message"])
                self.assertIn("paddock reload", body["message"])
        self.assertEqual(self.objects.get_namespaced_custom_object(GROUP, VERSION, "default", PLURAL, "first")["metadata"]["labels"], {"team": "blue", "tier": "gold"})

    def test_watch_is_refused(self):
        self.assertIn("watch is not served", self.refused(
            501, "NotImplemented", self.objects.list_namespaced_custom_object, GROUP, VERSION, "default", PLURAL, watch=True)["message"])

    def test_discovery(self):
        self.assertEqual(kubernetes.client.ApisApi(self.api).get_api_versions().groups[0].name, GROUP)
        self.assertIn("v1", kubernetes.client.CoreApi(self.api).get_api_versions().versions)
        resources = {r.name: r for r in self.objects.get_api_resources(GROUP, VERSION).resources}
        self.assertEqual((resources[PLURAL].kind, resources[PLURAL].namespaced, resources[PLURAL].short_names), ("InferenceService", True, ["isvc"]))
        self.assertEqual({r.name for r in self.core.get_api_resources().resources}, {"namespaces", "events", "pods", "pods/log"})
        self.assertRegex(kubernetes.client.VersionApi(self.api).get_code().git_version, r"^v1\.\d+\.\d+")

    def test_dynamic_client(self):
        """What finds its way by discovery alone."""
        client = kubernetes.dynamic.DynamicClient(self.api)
        kind = client.resources.get(api_version=f"{GROUP}/{VERSION}", kind="InferenceService")
        self.assertEqual(kind.get(name="first", namespace="default").status.url, "http://first.default.example.com")
        self.assertEqual([p.metadata.namespace for p in client.resources.get(api_version="v1", kind="Pod").get(namespace="other").items], ["other"])


class Kubectl(KubernetesTest):
    """What kubectl 1.37 sends, with its Accept headers, and the shape of what it prints from."""

    def get(self, path, accept, status=200, type_="application/json"):
        code, headers, body = self.daemon.get(path, headers={"Accept": accept, "User-Agent": "kubectl/v1.37.1 (linux/amd64)"})
        self.assertEqual((code, headers["content-type"].split(";")[0]), (status, type_.split(";")[0]), body)
        return json.loads(body) if "json" in type_ else body.decode()

    def columns(self, table):
        return [(c["name"], c["type"], c["format"], c["priority"]) for c in table["columnDefinitions"]]

    def test_get_isvc(self):
        table = self.get(ISVC + "/namespaces/default/inferenceservices?limit=500", TABLE)
        self.assertEqual(list(table), ["kind", "apiVersion", "metadata", "columnDefinitions", "rows"])
        self.assertEqual((table["kind"], table["apiVersion"]), ("Table", "meta.k8s.io/v1"))
        self.assertEqual(self.columns(table), [
            ("Name", "string", "name", 0), ("URL", "string", "", 0), ("Ready", "string", "", 0), ("Prev", "integer", "", 0), ("Latest", "integer", "", 0),
            ("PrevRolledoutRevision", "string", "", 0), ("LatestReadyRevision", "string", "", 0), ("Age", "date", "", 0)])
        row, = table["rows"]
        self.assertEqual(row["cells"][:-1], ["first", "http://first.default.example.com", "True", None, 100, None, "first-predictor-00001"])
        self.assertRegex(row["cells"][-1], r"^\d+[smh]")
        self.assertEqual((row["object"]["kind"], row["object"]["apiVersion"]), ("PartialObjectMetadata", "meta.k8s.io/v1"))
        for key in ("name", "namespace", "uid", "creationTimestamp", "generation", "resourceVersion"):
            self.assertIn(key, row["object"]["metadata"])

    def test_get_isvc_o_json(self):
        found = self.get(ISVC + "/namespaces/default/inferenceservices/first", "application/json")
        self.assertEqual(sorted(found), ["apiVersion", "kind", "metadata", "spec", "status"])
        status = found["status"]
        for key in ("address", "components", "conditions", "deploymentMode", "modelStatus", "observedGeneration", "clusterServingRuntimeName", "url"):
            self.assertIn(key, status)
        self.assertEqual(set(status["components"]["predictor"]), {"latestCreatedRevision", "latestReadyRevision", "latestRolledoutRevision", "traffic", "url"})
        self.assertEqual(status["components"]["predictor"]["traffic"], [{"latestRevision": True, "percent": 100, "revisionName": "first-predictor-00001"}])
        self.assertEqual(status["modelStatus"], {"copies": {"failedCopies": 0, "totalCopies": 1}, "states": {"activeModelState": "Loaded", "targetModelState": "Loaded"},
                                                 "transitionStatus": "UpToDate"})
        for condition in status["conditions"]:
            self.assertLessEqual({"lastTransitionTime", "status", "type"}, set(condition))
            self.assertRegex(condition["lastTransitionTime"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")

    def test_get_missing(self):
        for accept in (TABLE, "application/json"):
            self.assertEqual(self.get(ISVC + "/namespaces/default/inferenceservices/nope", accept, 404), {
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": 'inferenceservices.serving.kserve.io "nope" not found',
                "reason": "NotFound", "details": {"name": "nope", "group": "serving.kserve.io", "kind": "inferenceservices"}, "code": 404})

    def test_get_pods_and_logs(self):
        """`kubectl get pods -l …`, then `kubectl logs`: list, pod, log."""
        path = "/api/v1/namespaces/default/pods?labelSelector=serving.kserve.io%2Finferenceservice%3Dfirst&limit=500"
        table = self.get(path, TABLE)
        self.assertEqual(self.columns(table), [
            ("Name", "string", "name", 0), ("Ready", "string", "", 0), ("Status", "string", "", 0), ("Restarts", "string", "", 0), ("Age", "string", "", 0),
            ("IP", "string", "", 1), ("Node", "string", "", 1), ("Nominated Node", "string", "", 1), ("Readiness Gates", "string", "", 1)])
        row, = table["rows"]
        name = row["cells"][0]
        self.assertEqual(row["cells"][1:4] + row["cells"][5:], ["1/1", "Running", 0, "127.0.0.1", "paddock", "<none>", "<none>"])
        found = self.get(path, "application/json")
        self.assertEqual((found["kind"], [p["metadata"]["name"] for p in found["items"]]), ("PodList", [name]))
        pod = self.get(f"/api/v1/namespaces/default/pods/{name}", "application/json, */*")
        self.assertEqual(pod["status"]["containerStatuses"][0]["state"].keys(), {"running"})
        self.assertEqual([c["name"] for c in pod["spec"]["containers"]], ["kserve-container"])
        log = self.get(f"/api/v1/namespaces/default/pods/{name}/log?container=kserve-container", "application/json, */*", type_="text/plain")
        self.assertTrue(log.endswith("\n"))

    def test_discovery(self):
        for path, group in (("/api?timeout=32s", None), ("/apis?timeout=32s", "serving.kserve.io")):
            code, headers, body = self.daemon.get(path, headers={"Accept": DISCOVERY})
            self.assertEqual((code, headers["content-type"]), (200, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"))
            found = json.loads(body)
            self.assertEqual((found["kind"], found["apiVersion"]), ("APIGroupDiscoveryList", "apidiscovery.k8s.io/v2"))
            self.assertEqual([g["metadata"].get("name") for g in found["items"]], [group])
            for version in found["items"][0]["versions"]:
                for resource in version["resources"]:
                    self.assertLessEqual({"resource", "responseKind", "scope", "singularResource", "verbs"}, set(resource))
        self.assertEqual(self.get("/version?timeout=32s", "application/json, */*")["major"], "1")
        code, headers, body = self.daemon.get("/openapi/v2?timeout=32s")
        self.assertEqual((code, body), (200, b""), "kubectl then leaves validation to the server")
        self.assertEqual(self.daemon.get("/openapi/v3?timeout=32s")[0], 404)


if __name__ == "__main__":
    unittest.main()
