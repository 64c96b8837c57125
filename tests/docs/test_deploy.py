"""Dashboard and alerts use existing metrics; image, compose file and configurations agree with each other."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.version import VERSION
from tests.docs.metrics import sampled_metrics

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana" / "unroll.json").read_text(encoding="utf8"))


def exposed() -> dict[str, set[str]]:
    """The names of all samples with the names of their labels."""
    found: dict[str, set[str]] = {"up": set()}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? ", sampled_metrics().render().decode(), re.MULTILINE):
        found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    return found


def panels() -> Iterator[dict[str, Any]]:
    yield from (panel for panel in DASHBOARD["panels"] if panel["type"] != "row")


def queries() -> Iterator[str]:
    for panel in panels():
        yield from (target["expr"] for target in panel["targets"])
    alerts = yaml.safe_load((DEPLOY / "alerts.yml").read_text(encoding="utf8"))
    yield from (rule["expr"] for group in alerts["groups"] for rule in group["rules"])
    yield from re.findall(r"label_values\(.*\)", json.dumps(DASHBOARD["templating"]))
    components = DEPLOY / "kubernetes" / "components"
    scaled = yaml.safe_load((components / "keda" / "scaled.yaml").read_text(encoding="utf8"))
    yield from (trigger["metadata"]["query"] for trigger in scaled["spec"]["triggers"])


@pytest.mark.parametrize("query", list(queries()))
def test_queries_ask_for_metrics_and_labels_that_there_are(query: str) -> None:
    there = exposed()
    names = re.findall(r"\b(?:unroll_\w+|up)\b", query.replace('"unroll"', ""))
    assert names
    assert set(names) <= there.keys()
    labels = {label.strip() for by in re.findall(r"by \(([^)]*)\)", query) for label in by.split(",")}
    labels |= set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", query))
    assert labels <= {"instance", "job"}.union(*(there[name] for name in names))


def test_the_adapter_asks_for_metrics_that_there_are() -> None:
    rules = (DEPLOY / "kubernetes" / "components" / "monitoring" / "prometheus-adapter.yaml").read_text(encoding="utf8")
    asked = set(re.findall(r"\bunroll_\w+", rules)) - {
        "unroll_pending_steps_per_engine"
    }  # its own name for the quotient
    assert asked == {"unroll_pending_steps", "unroll_engines"}
    assert asked <= exposed().keys()


def test_every_engine_metric_and_every_time_is_on_the_dashboard() -> None:
    asked = " ".join(queries())
    shown = {
        name for name in exposed() if name.startswith("unroll_") and not name.endswith(("_count", "_sum", "_created"))
    }
    left_out = {"unroll_http_request_seconds_bucket", "unroll_inputs_total", "unroll_engine_requests_total"}
    assert {name for name in shown if not re.search(rf"\b{name}\b", asked)} == left_out


def test_panels_do_not_overlap_and_have_ids_of_their_own() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    taken = set[tuple[int, int]]()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_files_of_the_provisioning_name_each_other() -> None:
    read = {path.name: yaml.safe_load(path.read_text(encoding="utf8")) for path in DEPLOY.rglob("*.yml")}
    for name in read["prometheus.yml"].get("rule_files", []):
        assert (DEPLOY / name).exists()
    grafana = DEPLOY / "grafana" / "provisioning"
    sources = yaml.safe_load((grafana / "datasources" / "prometheus.yml").read_text(encoding="utf8"))
    assert [source["type"] for source in sources["datasources"]] == ["prometheus"]
    providers = yaml.safe_load((grafana / "dashboards" / "unroll.yml").read_text(encoding="utf8"))
    assert [provider["type"] for provider in providers["providers"]] == ["file"]


COMPOSE = yaml.safe_load((DEPLOY.parent / "docker-compose.yml").read_text(encoding="utf8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def test_the_image_says_which_version_it_is() -> None:
    dockerfile = (DEPLOY.parent / "Dockerfile").read_text(encoding="utf8")
    assert re.findall(r"^ARG VERSION=(\S+)$", dockerfile, re.MULTILINE) == [VERSION]


@pytest.mark.parametrize("name", SERVICES)
def test_containers_may_do_little_and_are_started_again(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert {"memory", "pids"} <= service["deploy"]["resources"]["limits"].keys()
    assert all(port.startswith(("127.0.0.1:", "${PUBLISH:-127.0.0.1:8000}:")) for port in service.get("ports", ()))


def test_profiles_are_chosen_and_explained() -> None:
    page = (DEPLOY.parent / "docs" / "deploy.md").read_text(encoding="utf8")
    profiles = {profile for service in SERVICES.values() for profile in service["profiles"]}
    assert profiles == set(re.findall(r"^\| `(\w+)` \| .*(?:container|Prometheus)", page, re.MULTILINE))
    chosen = re.findall(r"^COMPOSE_PROFILES=(\w+)$", (DEPLOY.parent / ".env").read_text(), re.MULTILINE)
    assert [name for name, service in SERVICES.items() if service["profiles"] == chosen] == ["unroll"]


def test_what_looks_for_services_knows_their_names() -> None:
    scraped = yaml.safe_load((DEPLOY / "prometheus.yml").read_text(encoding="utf8"))["scrape_configs"][0]
    ours = {name for name, service in SERVICES.items() if "build" in service}
    assert set(scraped["dns_sd_configs"][0]["names"]) == ours
    balanced = re.findall(r"server-template replica \d+ (\w+):", (DEPLOY / "haproxy.cfg").read_text(encoding="utf8"))
    assert set(balanced) < ours
    provisioned = (DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yml").read_text(encoding="utf8")
    assert yaml.safe_load(provisioned)["datasources"][0]["url"].removeprefix("http://").split(":")[0] in SERVICES
