"""A PostgreSQL server that is gone when the tests are over, and taps installed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .command import PATIENCE, free_port
from .environments import lacking

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

USER, PASSWORD, DATABASE = "postgres", "for-these-tests-only", "postgres"
PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/bin")


def programs() -> Path | None:
    """Find the newest PostgreSQL that is installed."""
    found = [
        folder
        for place in PLACES
        for folder in Path("/").glob(place.lstrip("/"))
        if (folder / "initdb").exists()
    ]
    on_path = shutil.which("initdb")
    if on_path:
        found.append(Path(on_path).resolve().parent)
    return max(
        found,
        default=None,
        key=lambda folder: [int(digits) for digits in re.findall(r"\d+", str(folder))],
    )


def literal(value: Any) -> str:
    """Write a value as SQL."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, Decimal)):
        return str(value)
    if isinstance(value, dict) or (
        isinstance(value, list) and any(isinstance(item, dict) for item in value)
    ):
        return literal(json.dumps(value)) + "::jsonb"
    if isinstance(value, list):
        return f"ARRAY[{', '.join(map(literal, value))}]"
    if isinstance(value, date):
        value = value.isoformat()
    return "'" + str(value).replace("'", "''") + "'"


@dataclass
class Database:
    """One PostgreSQL server, filled by psql."""

    programs: Path
    folder: Path
    port: int
    server: subprocess.Popen[bytes] | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def start(cls, programs: Path) -> Database:
        """Make a server in a folder of its own, and wait until it answers."""
        # Not below pytest's folder, which nobody but its owner can enter.
        folder = Path(tempfile.mkdtemp(prefix="taps-postgres-"))
        database = cls(programs, folder, free_port())
        if sys.platform != "win32" and os.geteuid() == 0:  # whom initdb refuses
            import pwd  # noqa: PLC0415 - not everywhere

            somebody = pwd.getpwnam("nobody")
            os.chown(folder, somebody.pw_uid, somebody.pw_gid)
            database.options = {
                "user": somebody.pw_uid,
                "group": somebody.pw_gid,
                "extra_groups": [],
            }
        try:
            database.initialise()
            database.serve()
        except BaseException:
            database.stop()
            raise
        return database

    def initialise(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD + "\n")
        secret.chmod(0o644)
        subprocess.run(
            [
                str(self.programs / "initdb"),
                f"--pgdata={self.folder / 'data'}",
                f"--username={USER}",
                f"--pwfile={secret}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "--no-instructions",
            ],
            cwd=self.folder,
            check=True,
            capture_output=True,
            timeout=300,
            **self.options,
        )

    def serve(self) -> None:
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
            "max_connections": "20",
            "shared_buffers": "16MB",
            "timezone": "Asia/Kolkata",  # which must not matter
        }
        self.server = subprocess.Popen(
            [
                str(self.programs / "postgres"),
                "-D",
                str(self.folder / "data"),
                *(
                    part
                    for each in settings.items()
                    for part in ("-c", "=".join(map(str, each)))
                ),
            ],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self.options,
        )
        end = time.monotonic() + PATIENCE
        while self.psql("SELECT 1", check=False).returncode:
            if self.server.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"PostgreSQL did not start ({self.programs})")
            time.sleep(0.05)

    def stop(self) -> None:
        if self.server is not None:
            self.server.send_signal(2)  # SIGINT: a fast shutdown
            try:
                self.server.wait(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                self.server.kill()
                self.server.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def psql(self, sql: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [
                str(self.programs / "psql"),
                "--no-psqlrc",
                "--quiet",
                "--tuples-only",
                "--no-align",
                "--set=ON_ERROR_STOP=1",
                "--file=-",
            ],
            env={
                "PATH": os.defpath,
                "PGHOST": "127.0.0.1",
                "PGPORT": str(self.port),
                "PGUSER": USER,
                "PGPASSWORD": PASSWORD,
                "PGDATABASE": DATABASE,
                "PGCLIENTENCODING": "UTF8",
            },
            input=sql,
            text=True,
            encoding="utf-8",
            capture_output=True,
            check=False,
            timeout=300,
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def fill(self, table: str, columns: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Make a table, and insert rows; columns that a row lacks are null."""
        statements = [f"CREATE TABLE {table} ({columns});"]
        statements += [self.insertion(table, row) for row in rows]
        self.psql("BEGIN;\n" + "\n".join(statements) + "\nCOMMIT;")

    @staticmethod
    def insertion(table: str, row: Mapping[str, Any]) -> str:
        names = ", ".join(f'"{name}"' for name in row)
        return (
            f"INSERT INTO {table} ({names}) "
            f"VALUES ({', '.join(map(literal, row.values()))});"
        )

    def tap_config(self, *schemas: str, **settings: Any) -> dict[str, Any]:
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "user": USER,
            "password": PASSWORD,
            "database": DATABASE,
            "filter_schemas": list(schemas),
            **settings,
        }


@contextmanager
def running_server() -> Iterator[Database]:
    """Run a server for a block; without PostgreSQL, skip the test or fail in CI."""
    found = programs()
    if found is None:
        lacking("Postgres", "postgresql")
    database = Database.start(found)
    yield database
    database.stop()
