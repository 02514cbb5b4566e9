"""Airflow's command in forks of a process that has imported it.

A DAG run by itself takes about twelve seconds of computing before its first task: half
for imports, half for the routes of the API through which a task talks to Airflow. Here
both are done once; each run is still a process with memory of its own.

This is run by the interpreter of Airflow's environment, with ``tests`` on its path.
"""

import asyncio
import sys

import airflow.api.client.local_client
import airflow.cli.commands.dag_command
import airflow.dag_processing.dagbag  # noqa: F401 - imported once for all forks
import httpx
from airflow.__main__ import main
from airflow.sdk.execution_time.supervisor import in_process_api_server
from support.forks import run_forks


async def make_the_routes() -> None:
    """Send a request, of whatever path: the first one makes the routes of all."""
    transport = in_process_api_server().atransport
    async with httpx.AsyncClient(
        transport=transport, base_url="http://in-process"
    ) as client:
        await client.get("/")


if __name__ == "__main__":
    asyncio.run(make_the_routes())
    sys.argv[0] = "airflow"
    run_forks(main)
