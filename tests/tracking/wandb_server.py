"""A server that answers the calls which the installed wandb client makes, on this machine alone.

Written from what the client's source and requests say: GraphQL at ``/graphql``, the points of a run
at ``/files/<entity>/<project>/<run>/file_stream``, its files at the URLs handed out for them. It
answers the fields a query asks for and no others, and takes note of any call that it does not
know. It is not W&B's service, and shows nothing of how that one behaves.
"""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml
from graphql_fields import only, selection

ENTITY = "team"


@dataclass
class StoredRun:
    """What arrived of one run."""

    name: str
    number: int
    project: str
    fields: dict[str, Any] = field(default_factory=dict)
    """Of its ``upsertBucket`` calls: ``groupName``, ``jobType``, ``displayName``, ``tags``, …"""
    opened: int = 0
    """How often a client has opened it."""
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    exit_code: int | None = None

    def settings(self) -> dict[str, Any]:
        """Its configuration without the client's own part."""
        return {key: item["value"] for key, item in self.config.items() if key != "_wandb"}

    def node(self) -> dict[str, Any]:
        """The run as GraphQL knows it."""
        state = "running" if self.exit_code is None else "failed" if self.exit_code else "finished"
        tail = [json.dumps(self.history[-1])] if self.history else []
        return {
            "id": f"run-{self.number}", "name": self.name, "projectId": "1", "state": state,
            "displayName": self.fields.get("displayName"), "description": None, "notes": None,
            "group": self.fields.get("groupName"), "jobType": self.fields.get("jobType"),
            "tags": self.fields.get("tags") or [], "sweepName": self.fields.get("sweep"),
            "commit": None, "readOnly": False, "heartbeatAt": None, "systemMetrics": None,
            "createdAt": f"2026-01-01T00:{self.number // 60:02}:{self.number % 60:02}",
            "config": json.dumps(self.config), "summaryMetrics": json.dumps(self.summary),
            "historyLineCount": len(self.history), "historyTail": json.dumps(tail),
            "eventsLineCount": 0, "eventsTail": "[]", "logLineCount": 0, "wandbConfig": None,
            "historyKeys": None, "user": {"name": "me", "username": "me"}, "stopped": False,
            "project": _project(self.project), "exitcode": self.exit_code, "shouldStop": False,
            "failed": state == "failed", "running": state == "running", "sampledHistory": [],
        }  # fmt: skip


@dataclass
class StoredSweep:
    """A sweep, and the parameters that its agents are still to be given."""

    name: str
    project: str
    config: str
    proposals: list[dict[str, Any]] = field(default_factory=list)
    given: int = 0

    def node(self, runs: list[StoredRun]) -> dict[str, Any]:
        """The sweep as GraphQL knows it."""
        asked = yaml.safe_load(self.config)
        return {
            "__typename": "Sweep", "id": f"sweep-{self.name}", "name": self.name,
            "displayName": None, "method": asked["method"], "state": "RUNNING",
            "description": asked.get("description"), "bestLoss": None, "config": self.config,
            "createdAt": "2026-01-01T00:00:00", "updatedAt": None, "heartbeatAt": None,
            "runCount": len(runs), "runCountExpected": asked.get("run_cap"), "controller": None,
            "scheduler": None, "earlyStopJobRunning": False, "project": _project(self.project),
            "runs": {"edges": [{"node": run.node()} for run in runs]},
        }  # fmt: skip


class WandbServer:
    """The server; ``with`` starts it on a free port and ends it.

    Attributes:
        runs: what arrived, by run id.
        sweeps: by sweep id.
        unknown: calls that it had no answer for.
        away: while set, connections are cut off without an answer.
        lost_with_points: sets ``away`` as soon as a client sends points, which are lost.
    """

    def __init__(self) -> None:
        self.runs: dict[str, StoredRun] = {}
        self.sweeps: dict[str, StoredSweep] = {}
        self.unknown: list[str] = []
        self.away = threading.Event()
        self.lost_with_points = False
        self.num_cut_off = 0
        self._agents: dict[str, str] = {}
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> WandbServer:
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def answer(self, path: str, body: bytes) -> Any:
        """What one call is answered with; None where it is not known."""
        with self._lock:
            if path == "/graphql":
                return self._graphql(json.loads(body))
            if match := re.fullmatch(r"/files/[^/]+/[^/]+/([^/]+)/file_stream", path):
                self._take_points(self.runs[match[1]], json.loads(body))
                return {"limits": {}}
            if path.startswith(("/upload/", "/sdk/otel/")):
                return {}
            return self._not_known(path)

    def _not_known(self, what: str) -> None:
        self.unknown.append(what)

    def _graphql(self, call: Mapping[str, Any]) -> Any:
        query = call["query"]
        name = re.search(r"(?:query|mutation)\s+(\w+)", query)
        if name is None or name[1] not in _OPERATIONS:
            return self._not_known(f"graphql: {query[:200]}")
        data = _OPERATIONS[name[1]](self, call.get("variables") or {})
        return {"data": only(data, selection(query))}

    def _take_points(self, run: StoredRun, said: Mapping[str, Any]) -> None:
        files = said.get("files", {})
        if (lines := files.get("wandb-history.jsonl")) is not None:
            points = [json.loads(line) for line in lines["content"]]
            run.history[lines["offset"] :] = points
        if (lines := files.get("wandb-summary.json")) is not None:
            run.summary = json.loads(lines["content"][-1])
        if said.get("complete"):
            run.exit_code = said["exitcode"]

    # One method per operation of the client; variables are those of its query.

    def viewer(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Who the API key belongs to."""
        user = {
            "id": "user-1", "entity": ENTITY, "username": "me", "name": "me", "email": None,
            "flags": "{}", "admin": False, "deletedAt": None, "teams": {"edges": []},
            "apiKeys": {"edges": []},
        }  # fmt: skip
        return {"viewer": user}

    def features(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """An old server's: none."""
        return {"serverInfo": {"features": [], "latestLocalVersionInfo": None}}

    def organization(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """None: the entity belongs to a user."""
        return {"entity": {"organization": None}}

    def resume_status(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """The run that is to be continued, where there is one."""
        run = self.runs.get(variables["name"])
        project = _project(variables["project"])
        return {"model": {**project, "bucket": None if run is None else run.node()}}

    def upsert_run(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Opens a run, or changes it."""
        name, is_new = variables["name"], variables["name"] not in self.runs
        run = self.runs.setdefault(name, StoredRun(name, len(self.runs), variables["project"]))
        run.opened += variables.get("program") is not None
        run.fields |= {key: value for key, value in variables.items() if value is not None}
        run.config |= json.loads(variables["config"] or "{}")
        return {"upsertBucket": {"bucket": run.node(), "inserted": is_new}}

    def create_files(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """URLs for a run's files."""
        base = f"{self.url}/upload/{variables['run']}"
        files = [{"name": name, "uploadUrl": f"{base}/{name}"} for name in variables["files"]]
        told = {"runID": variables["run"], "uploadHeaders": [], "files": files}
        return {"createRunFiles": told}

    def files_uploaded(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Thanks for them."""
        return {"markRunFilesUploaded": {"success": True}}

    def upsert_sweep(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Makes a sweep."""
        name = f"sweep{len(self.sweeps)}"
        project = variables["projectName"] or "uncategorized"
        self.sweeps[name] = StoredSweep(name, project, variables["config"])
        node = self.sweeps[name].node([])
        return {"upsertSweep": {"sweep": node, "configValidationWarnings": []}}

    def sweep(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """A sweep by its name; none where it has never been made."""
        name = variables.get("name") or variables["sweep"]
        found = self.sweeps.get(name)
        own = [run for run in self.runs.values() if run.fields.get("sweep") == name]
        return {"project": {"sweep": None if found is None else found.node(own)}}

    def create_agent(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Makes an agent of a sweep."""
        agent = f"agent-{len(self._agents)}"
        self._agents[agent] = variables["sweep"]
        return {"createAgent": {"agent": {"id": agent}}}

    def heartbeat(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Gives an agent without a run the next proposal, and ends it where there is none."""
        sweep = self.sweeps[self._agents[variables["id"]]]
        commands: list[dict[str, Any]] = []
        if not json.loads(variables["runState"]):
            if sweep.given < len(sweep.proposals):
                arguments = sweep.proposals[sweep.given]
                commands = [{
                    "type": "run", "run_id": f"{sweep.name}run{sweep.given}",
                    "program": yaml.safe_load(sweep.config).get("program"),
                    "args": {key: {"value": value} for key, value in arguments.items()},
                }]  # fmt: skip
                sweep.given += 1
            else:
                commands = [{"type": "exit"}]
        told = {"agent": {"id": variables["id"]}, "commands": json.dumps(commands)}
        return {"agentHeartbeat": told}

    def run(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """One run by its name."""
        found = self.runs.get(variables["name"])
        return {"project": {"run": None if found is None else found.node()}}

    def list_runs(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """A page of the runs that belong to a sweep, oldest first."""
        (condition,) = json.loads(variables["filters"])["$and"]
        own = [run for run in self.runs.values() if run.fields.get("sweep") == condition["sweep"]]
        first = int(variables.get("cursor") or 0)
        last = first + variables["perPage"]
        edges = [
            {"node": run.node(), "cursor": str(number + 1)}
            for number, run in enumerate(own) if first <= number < last
        ]  # fmt: skip
        page = {"endCursor": str(last), "hasNextPage": last < len(own)}
        return {
            "project": {
                "internalId": "1", "runCount": len(own), "readOnly": False,
                "runs": {"edges": edges, "pageInfo": page},
            }
        }  # fmt: skip


_OPERATIONS: dict[str, Callable[[WandbServer, Mapping[str, Any]], dict[str, Any]]] = {
    "Viewer": WandbServer.viewer,
    "GetViewer": WandbServer.viewer,
    "GetDefaultEntity": WandbServer.viewer,
    "ServerFeaturesQuery": WandbServer.features,
    "OrganizationCoreWeaveOrganizationID": WandbServer.organization,
    "RunResumeStatus": WandbServer.resume_status,
    "UpsertBucket": WandbServer.upsert_run,
    "CreateRunFiles": WandbServer.create_files,
    "MarkRunFilesUploaded": WandbServer.files_uploaded,
    "UpsertSweep": WandbServer.upsert_sweep,
    "GetSweep": WandbServer.sweep,
    "SweepWithRuns": WandbServer.sweep,
    "CreateAgent": WandbServer.create_agent,
    "Heartbeat": WandbServer.heartbeat,
    "Run": WandbServer.run,
    "Runs": WandbServer.list_runs,
}


def _project(name: str) -> dict[str, Any]:
    return {"id": f"project-{name}", "name": name, "entity": {"id": "entity-1", "name": ENTITY}}


def _handler(server: WandbServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: Any) -> None:
            """Says nothing."""

        def handle_one_request(self) -> None:
            """A client that hangs up is no error of this server's."""
            with suppress(ConnectionError):
                super().handle_one_request()

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            if server.lost_with_points and self.path.endswith("/file_stream"):
                server.away.set()
            if server.away.is_set():
                server.num_cut_off += 1
                self.close_connection = True
                return
            told = server.answer(self.path, body)
            content = json.dumps({"errors": ["unknown"]} if told is None else told).encode()
            self.send_response(400 if told is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = _serve

    return Handler
