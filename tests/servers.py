"""Real servers for tests, on this machine only: sshd, PostgreSQL, MLflow's. Each runs as long as its `with` block."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from modescope.mlflow.ui import server_command, server_environment

SECONDS_TO_START = 60
AS_ROOT = os.geteuid() == 0


class SSHServer(NamedTuple):
    """Where the server listens, and who may log in with which private key."""

    port: int
    user: str
    key: Path


@contextmanager
def ssh_server(folder: Path) -> Iterator[SSHServer]:
    """An sshd for the current user, who logs in with a key made for it."""
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if sshd is None:
        pytest.skip("needs sshd: apt-get install openssh-server")
    folder.mkdir()
    for name in ("host", "client"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    port = free_port()
    options = {
        "ListenAddress": f"127.0.0.1:{port}",
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "client.pub",
        "PidFile": "none",
    }
    options |= {
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "PermitRootLogin": "yes",
        "Subsystem": "sftp internal-sftp",
    }
    (folder / "sshd_config").write_text("".join(f"{name} {value}\n" for name, value in options.items()))
    if AS_ROOT:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where root's sshd locks its unprivileged half in
    with _running([sshd, "-D", "-e", "-f", folder / "sshd_config"], folder / "log") as server:
        _wait(server, folder / "log", lambda: _answers(port))
        yield SSHServer(port, getpass.getuser(), folder / "client")


@contextmanager
def postgres() -> Iterator[str]:
    """An empty PostgreSQL database; gives its URI. It listens on a socket in a folder of its own, which no other user
    can enter.
    """
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    path = f"{os.environ['PATH']}:{programs[-1] if programs else ''}"
    initdb, server, ready = (shutil.which(name, path=path) for name in ("initdb", "postgres", "pg_isready"))
    if server is None:
        pytest.skip("needs PostgreSQL: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="modescope-postgres-"))
    try:
        owner = {"user": "postgres", "cwd": folder} if AS_ROOT else {}  # it refuses to run as root
        if AS_ROOT:
            shutil.chown(folder, "postgres")
        subprocess.run(
            [initdb, "-D", folder / "data", "-U", "tester", "--auth=trust", "--no-sync"],
            check=True,
            capture_output=True,
            **owner,
        )
        options = ["-c", "listen_addresses=", "-c", "fsync=off", "-k", folder]
        with _running([server, "-D", folder / "data", *options], folder / "log", signal.SIGINT, **owner) as process:
            _wait(process, folder / "log", lambda: subprocess.run([ready, "-q", "-h", folder]).returncode == 0)
            yield f"postgresql+psycopg2://tester@/postgres?host={folder}"
    finally:
        shutil.rmtree(folder)


@contextmanager
def mlflow_server(store: str, artifacts: Path, port: int, log: Path) -> Iterator[subprocess.Popen]:
    """`mlflow server` on the database `store`, which hands out the artifacts itself."""
    command = [*server_command(port), "--serve-artifacts", "--artifacts-destination", artifacts]
    with _running(command, log, env=server_environment(store)) as server:
        _wait(server, log, lambda: _healthy(port))
        yield server


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def kill(server: subprocess.Popen) -> None:
    """End a server and its workers as a power cut would."""
    os.killpg(server.pid, signal.SIGKILL)
    server.wait()


@contextmanager
def _running(command: list, log: Path, end: signal.Signals = signal.SIGTERM, **options) -> Iterator[subprocess.Popen]:
    with open(log, "w", encoding="utf-8") as output:
        server = subprocess.Popen([*map(str, command)], stdout=output, stderr=output, start_new_session=True, **options)
    try:
        yield server
    finally:
        if server.poll() is None:
            server.send_signal(end)
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                kill(server)


def _wait(server: subprocess.Popen, log: Path, is_up) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while not is_up():
        assert server.poll() is None and time.monotonic() < deadline, log.read_text(encoding="utf-8")
        time.sleep(0.1)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
            return True
    except OSError:
        return False
