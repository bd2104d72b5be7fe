"""`ctdb-event exporter` as a process: what it serves and writes about a real daemon, or about none."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import math
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from nodes import TIMEOUT, Node, running_daemon, until
from prometheus_client.parser import text_string_to_metric_families

from ctdb_event import cli

CONTRIB = Path(__file__).parents[3] / "contrib"
COMMAND = [sys.executable, "-m", "ctdb_event", "exporter"]
Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parsed(text: str) -> Values:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(values: Values, name: str, **labels: str) -> float | None:
    return values.get((f"ctdb_event_{name}", tuple(sorted(labels.items()))))


@contextlib.contextmanager
def exporter(node: Node) -> Iterator[Callable[[], str]]:
    """Runs it; yields what asks it."""
    process = subprocess.Popen([*COMMAND, "--listen", "127.0.0.1:0"], env=node.environ, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        said = process.stdout.readline().decode()
        found = re.fullmatch(r"ctdb-event exporter: metrics are at (http://127\.0\.0\.1:\d+/metrics)\n", said)
        assert found, said
        url = found[1]

        def scrape() -> str:
            with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
                text: str = response.read().decode()
                return text

        yield scrape
    finally:
        process.terminate()
        process.communicate(timeout=TIMEOUT)


def run(node: Node, *words: str) -> None:
    subprocess.run([sys.executable, "-m", "ctdb_event", "run", "30", "legacy", *words], env=node.environ)


@pytest.fixture
def real(tmp_path: Path) -> Node:
    node = Node(tmp_path)
    node.script("50.web.script", '[ "$1" != monitor ] || exit 3')
    return node


async def follows(node: Node, scrape: Callable[[], str]) -> None:
    """Waits until what happens is counted."""

    def counts() -> object:
        run(node, "recovered")
        return value(parsed(scrape()), "runs_total", component="legacy", event="recovered", outcome="success")

    await until(counts, "a run to be counted")


async def test_what_happens_is_served(real: Node) -> None:
    async with running_daemon(real):
        run(real, "takeip", "eth0", "10.0.0.9", "24")
        with exporter(real) as scrape:
            await follows(real, scrape)
            values = parsed(scrape())
            assert value(values, "addresses_held", component="legacy") == 1, "it was taken before the exporter came"
            for words in (("monitor",), ("takeip", "eth0", "10.0.0.1", "24"), ("releaseip", "eth0", "10.0.0.9", "24")):
                run(real, *words)
            run(real, "takeip", "eth0", "10.0.0.2", "24")
            about = {"component": "legacy", "event": "takeip"}
            await until(
                lambda: value(parsed(scrape()), "runs_total", **about, outcome="success") == 2, "both addresses"
            )
            values = parsed(scrape())
    assert value(values, "up") == 1
    assert value(values, "addresses_held", component="legacy") == 2
    assert value(values, "healthy", component="legacy") == 0
    failed = {"component": "legacy", "event": "monitor"}
    assert value(values, "runs_total", **failed, outcome="failed") == 1
    assert value(values, "script_failures_total", **failed, script="50.web", state="failed") == 1
    assert value(values, "script_duration_seconds_count", **about, script="50.web") == 2
    assert value(values, "run_duration_seconds_bucket", **about, le="+Inf") == 2
    assert value(values, "run_wait_seconds_count", **about) == 2
    for name in ("daemon_memory_bytes", "daemon_open_descriptors", "daemon_cpu_seconds_total", "scripts_limit"):
        assert (value(values, name) or 0) > 0
    assert value(values, "oldest_run_age_seconds") == 0


async def test_the_daemon_may_come_and_go(real: Node) -> None:
    with exporter(real) as scrape:
        values = parsed(scrape())
        assert value(values, "up") == 0
        assert value(values, "runs_queued") is None
        for _ in range(2):
            async with running_daemon(real):
                await follows(real, scrape)
                assert value(parsed(scrape()), "up") == 1
            assert value(parsed(scrape()), "up") == 0
        assert value(parsed(scrape()), "runs_total", component="legacy", event="recovered", outcome="success")


async def test_addresses_of_a_former_daemon_are_not_held(real: Node) -> None:
    with exporter(real) as scrape:
        async with running_daemon(real):
            await follows(real, scrape)
            run(real, "takeip", "eth0", "10.0.0.1", "24")
            await until(lambda: value(parsed(scrape()), "addresses_held", component="legacy") == 1, "the address")
        async with running_daemon(real):
            await until(lambda: value(parsed(scrape()), "addresses_held", component="legacy") == 0, "none")


async def test_a_file_for_node_exporter(real: Node) -> None:
    file = real.base / "ctdb-event.prom"
    async with running_daemon(real):
        assert subprocess.run([*COMMAND, "--textfile", str(file)], env=real.environ).returncode == 0
    assert value(parsed(file.read_text()), "up") == 1
    assert [path.name for path in real.base.glob("*.prom*")] == ["ctdb-event.prom"]
    assert file.stat().st_mode & 0o777 == 0o644
    assert subprocess.run([*COMMAND, "--textfile", str(file)], env=real.environ).returncode == 0
    assert value(parsed(file.read_text()), "up") == 0


async def test_a_file_again_and_again(real: Node) -> None:
    file = real.base / "ctdb-event.prom"
    async with running_daemon(real):
        process = subprocess.Popen([*COMMAND, "--textfile", str(file), "--every", "0.1"], env=real.environ)
        try:
            await until(file.exists, "the file")
            await follows(real, file.read_text)
        finally:
            process.terminate()
            process.wait(TIMEOUT)


def failure(capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = cli.main(["exporter", *words])
    return code, capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--listen", "9725"], '--listen "9725": HOST:PORT is expected, such as 127.0.0.1:9725 or [::1]:9725'),
        (["--listen", "::1:99999"], '--listen "::1:99999": HOST:PORT is expected'),
        (["--every", "3"], "--every requires --textfile FILE"),
        (["--listen", "[::1]:1", "--textfile", "f"], "--listen and --textfile exclude each other"),
        (["--textfile", "f", "--every", "0"], '--every "0": more than 0 seconds are expected, such as 15'),
    ],
)
def test_wrong_usage(node: Path, capfd: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    code, text = failure(capfd, *words)
    assert code == 22
    assert text.startswith(f"ctdb-event: {said}")


def test_without_the_package(node: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    needs = "the exporter needs the Python package prometheus-client"
    assert failure(capfd) == (1, f"ctdb-event: {needs}: {sys.executable} -m pip install prometheus-client\n")


def test_an_address_that_is_in_use(node: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with exporter(Node(node)) as scrape:
        assert scrape.__closure__ is not None
        port = next(cell.cell_contents for cell in scrape.__closure__).rpartition(":")[2].partition("/")[0]
        code, text = failure(capfd, "--listen", f"127.0.0.1:{port}")
    assert code == 1
    assert text.endswith(
        f"can't listen on 127.0.0.1, port {port}: Address already in use; --listen HOST:PORT names another address\n"
    )


@pytest.mark.parametrize("more", [[], ["--every", "1"]])
def test_a_file_that_can_not_be_written(node: Path, capfd: pytest.CaptureFixture[str], more: list[str]) -> None:
    code, text = failure(capfd, "--textfile", "/nowhere/x.prom", *more)
    assert code == 1
    assert "can't write /nowhere/x.prom: No such file or directory" in text


# ---------------------------------------------------------------------- what is in contrib

METRIC = re.compile(r"\bctdb_event_[a-z_]+")


def expressions() -> list[str]:
    dashboard = json.loads((CONTRIB / "grafana/dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return [*queries, (CONTRIB / "prometheus/alerts.yml").read_text()]


async def everything(node: Node) -> str:
    """Returns metrics of which none is without a value."""
    node.script("60.locks.script", "# ctdb-eventd-locks: one\nexec sleep 0.3")
    async with running_daemon(node):
        with exporter(node) as scrape:
            await follows(node, scrape)
            run(node, "monitor")
            together = [
                subprocess.Popen(
                    [sys.executable, "-m", "ctdb_event", "run", "30", "legacy", "takeip", "e", f"10.0.0.{host}", "24"],
                    env=node.environ,
                )
                for host in (1, 2)
            ]
            for process in together:
                assert process.wait(TIMEOUT) == 0
            await until(lambda: value(parsed(scrape()), "lock_wait_seconds_count", lock="one"), "a wait for a lock")
            return scrape()


async def test_dashboard_and_alerts_are_about_metrics_that_there_are(real: Node) -> None:
    names = {name for name, _ in parsed(await everything(real))}
    asked = {name for text in expressions() for name in METRIC.findall(text)}
    assert len(asked) > 10
    assert asked <= names


async def test_the_metrics_are_documented(real: Node) -> None:
    page = (CONTRIB.parent / "docs/operations.md").read_text()
    documented = set(re.findall(r"`(ctdb_event_[a-z_]+)", page))
    families = text_string_to_metric_families(await everything(real))
    assert {f"{one.name}_total" if one.type == "counter" else one.name for one in families} == documented


@pytest.mark.interop
@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (apt-get install prometheus)")
async def test_prometheus_finds_nothing_wrong(real: Node) -> None:
    metrics = await everything(real)
    checked = subprocess.run(["promtool", "check", "metrics"], input=metrics, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    rules = os.fspath(CONTRIB / "prometheus/alerts.yml")
    assert subprocess.run(["promtool", "check", "rules", "--lint-fatal", rules]).returncode == 0


@pytest.mark.interop
@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (apt-get install prometheus)")
def test_prometheus_understands_the_dashboard(tmp_path: Path) -> None:
    rules = [{"record": f"r:{number}", "expr": text} for number, text in enumerate(expressions()[:-1])]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert subprocess.run(["promtool", "check", "rules", str(file)]).returncode == 0


# ---------------------------------------------------------------------- a real Prometheus

_PROMETHEUS = """
global: {{scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 250ms}}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: ctdb-event
    static_configs: [{{targets: ["{target}"]}}]
"""


class Prometheus:
    """A server that scrapes one exporter."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    def ask(self, path: str, **query: str) -> Any:
        """Returns the data of an answer; None while it doesn't serve yet."""
        url = f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
                return json.load(response)["data"]
        except urllib.error.URLError as error:
            if isinstance(error, urllib.error.HTTPError) and error.code != 503:
                raise AssertionError(f"{query}: {error.read().decode()}") from None
            return None

    def values(self, query: str) -> list[float]:
        """Returns the numbers that a query has now."""
        data = self.ask("query", query=query)
        numbers = [float(one["value"][1]) for one in data["result"]] if data else []
        return [number for number in numbers if math.isfinite(number)]

    def alerts(self) -> dict[str, str]:
        """Returns the state of each alert: `inactive`, `pending` or `firing`."""
        groups = self.ask("rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        assert not [rule for rule in rules if rule.get("lastError")]
        return {rule["name"]: rule["state"] for rule in rules}


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


@contextlib.contextmanager
def prometheus(directory: Path, scrape: Callable[[], str]) -> Iterator[Prometheus]:
    """Runs one that scrapes an exporter."""
    assert scrape.__closure__ is not None
    url = next(cell.cell_contents for cell in scrape.__closure__)
    directory.mkdir()
    (directory / "prometheus.yml").write_text(
        _PROMETHEUS.format(rules=CONTRIB / "prometheus/alerts.yml", target=url.split("/")[2])
    )
    port = free_port()
    options = [f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data"]
    with open(directory / "log", "wb") as log:
        process = subprocess.Popen(
            ["prometheus", *options, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log
        )
    try:
        yield Prometheus(port)
    finally:
        process.terminate()
        process.wait(TIMEOUT)


@pytest.mark.interop
@pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs prometheus (apt-get install prometheus)")
async def test_every_query_of_the_dashboard_finds_something(real: Node, tmp_path: Path) -> None:
    real.script("60.locks.script", '# ctdb-eventd-locks: one\n[ "$1" != startup ] || exit 3; exec sleep 0.3')
    queries, began = expressions()[:-1], time.monotonic()
    async with running_daemon(real) as daemon, daemon.client() as client:
        with exporter(real) as scrape, prometheus(tmp_path / "prometheus", scrape) as server:
            await follows(real, scrape)
            await until(lambda: server.values("ctdb_event_up") == [1.0], "the first scrape")
            # a rate needs what is counted to grow between two scrapes, so things go on happening
            silent = queries
            while silent:
                for event in ("monitor", "startup"):
                    await client.run(event)
                together = [client.start("takeip", "e", f"10.0.0.{host}", "24") for host in (1, 2)]
                for request in together:
                    await client.reply(request)
                assert time.monotonic() - began < TIMEOUT, f"nothing is found by {silent}"
                silent = [query for query in silent if not server.values(query)]
            assert server.values('ctdb_event_healthy{component="legacy"}') == [0.0]
            assert server.values("sum(ctdb_event_addresses_held)") == [2.0]
            await until(lambda: server.alerts()["CtdbEventFailed"] == "firing", "the alert of what failed")
            await until(lambda: server.alerts()["CtdbEventUnhealthy"] == "pending", "the alert of health")
            assert server.alerts()["CtdbEventDaemonDown"] == "inactive"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    text = (CONTRIB / "systemd/ctdb-event-exporter.service").read_text()
    program = str(Path(sys.executable).with_name("ctdb-event"))
    unit = tmp_path / "ctdb-event-exporter.service"
    # systemd looks for the program
    unit.write_text(re.sub(r"^ExecStart=\S+", f"ExecStart={program}", text, flags=re.MULTILINE))
    assert unit.read_text() != text
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=TIMEOUT
    )
    # what it doesn't know it passes over, with a line
    assert (done.returncode, [line for line in done.stderr.splitlines() if unit.name in line]) == (0, [])
