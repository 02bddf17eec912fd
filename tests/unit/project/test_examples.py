"""The examples in docs/examples: valid, and as the documents say."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from typing import Any

import jsonschema
import pytest

from tests import examples
from tests.support import ROOT

SCHEMAS = json.loads((ROOT / "tests" / "kubernetes.json").read_text(encoding="utf-8"))
EXIT_BELOW_FLOOR = "78"


@pytest.fixture
def container() -> Any:  # noqa: ANN401 - a YAML document
    (found,) = examples.read_pod()["containers"]
    return found


def test_the_manifest_is_valid() -> None:
    documents = examples.read_documents("kubernetes.yaml")
    assert [document["kind"] for document in documents] == ["Deployment", "Service"]
    for document in documents:
        jsonschema.Draft202012Validator(SCHEMAS[document["kind"]]).validate(document)
    wrong = copy.deepcopy(documents[0])
    wrong["spec"]["template"]["spec"]["containers"][0]["comand"] = ["x"]
    with pytest.raises(jsonschema.ValidationError, match="comand"):
        jsonschema.Draft202012Validator(SCHEMAS["Deployment"]).validate(wrong)


def test_the_compose_file_is_valid() -> None:
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*words, examples.EXAMPLES / "compose.yaml"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_both_keep_the_entrypoint(container: Any) -> None:  # noqa: ANN401 - a YAML document
    assert "command" not in container
    assert "entrypoint" not in examples.read_service()
    assert container["args"] == examples.read_service()["command"] == ["python3", "/app/server.py"]


def test_both_take_no_privileges(container: Any) -> None:  # noqa: ANN401 - a YAML document
    assert examples.read_pod()["securityContext"]["runAsNonRoot"]
    options = {*examples.list_pod_options(examples.read_pod())}
    assert {"--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"} <= options
    options = {*examples.list_service_options(examples.read_service())}
    assert {"--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges:true"} <= options
    assert container["resources"]["limits"]["cpu"] == str(examples.read_service()["cpus"])


def test_probes_ask_what_the_server_answers(container: Any) -> None:  # noqa: ANN401 - a YAML document
    server = (examples.EXAMPLES / "server.py").read_text(encoding="utf-8")
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        probe = container[name]["httpGet"]
        assert f'"{probe["path"]}"' in server
        assert f'("", {ports[probe["port"]]})' in server
    assert f":{ports['http']}/healthz" in examples.read_service()["healthcheck"]["test"][-1]


def test_the_labels_select_the_pods() -> None:
    deployment, service = examples.read_documents("kubernetes.yaml")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"] == labels
    assert deployment["spec"]["template"]["spec"]["nodeSelector"] == {"kubernetes.io/arch": "arm64"}
