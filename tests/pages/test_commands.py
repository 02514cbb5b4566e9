"""Commands of the README, and of pages that use its sample shop."""

from __future__ import annotations

import re
import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest
from support.pages import Page, Shell

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

TAP = """#!/bin/sh
sed -e '/"identifies"/s/"userId"/"id"/g' -e 's/"identifies"/"public-users"/' \\
  -e 's/"tracks"/"shop-orders"/' \\
  docs/examples/shop/shop.singer.jsonl
"""


class Clone(Shell):
    """A folder that looks like a clone in which the first command was run."""

    options = "-c"  # as typed; the commands handle failures themselves

    def __init__(self, folder: Path, root: Path) -> None:
        super().__init__(folder)
        shutil.copytree(root / "docs/examples/shop", folder / "docs/examples/shop")
        (folder / ".venv").symlink_to(sys.prefix)


@pytest.fixture(scope="module")
def clone(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    return Clone(tmp_path_factory.mktemp("clone"), root)


@pytest.fixture(scope="module")
def first(clone: Clone, pages: Any) -> subprocess.CompletedProcess[str]:
    """Run the first command without the installation before it."""
    return clone.run(pages.block("run", "first").split(" && ")[-1])


def messages(log: str) -> list[str]:
    """Return the lines of a log without time, level and name."""
    return [line.split(" | ", 3)[-1].removesuffix("\n") for line in log.splitlines()]


def normalised(text: str) -> list[str]:
    """Blank out what differs between runs: times, their ids, time-dependent counts."""
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", "TIME", text)
    text = re.sub(r'"run":"[0-9a-f]{32}"', '"run":"ID"', text)
    return [
        re.sub(r"[\d,.]*\d", "N", line)
        if re.match(r"[\d,]+ (events|requests)", line)
        else line.rstrip()
        for line in text.splitlines()
    ]


def test_the_first_command_ends_with_the_summary_shown(first: Any, pages: Any) -> None:
    shown = normalised(pages.block("output", "first"))

    printed = normalised("\n".join(messages(first.stderr)))

    assert printed[-len(shown) :] == shown


def test_the_plan_is_as_shown(clone: Any, pages: Any, root: Path) -> None:
    done = clone.run(pages.block("run", "plan"))

    for page in ("README.md", "docs/snapshot.md"):
        shown = Page.of(root / page).block("output", "plan").splitlines()
        assert messages(done.stderr)[-len(shown) :] == shown


def test_the_environment_can_be_activated(clone: Any, pages: Any) -> None:
    clone.run(pages.block("run", "activate"))


@pytest.mark.usefixtures("first")
@pytest.mark.parametrize("name", ["look", "person", "rejected"])
def test_the_documented_files_match_those_of_the_first_command(
    name: str, clone: Any, pages: Any
) -> None:
    done = clone.run(pages.block("run", name))

    assert normalised(done.stdout) == normalised(pages.block("output", name))


def test_check_with_three_settings(clone: Any, pages: Any, api_url: str) -> None:
    done = clone.run(pages.block("run", "check"), TARGET_CUSTOMERIO_API_URL=api_url)

    assert messages(done.stderr)[-1] == pages.block("output", "check").strip()


def test_a_pipe_from_a_tap_saves_the_last_state(clone: Any, pages: Any) -> None:
    clone.write("tap-shop", TAP, executable=True)
    config = pages.block("file", "target.json")
    (clone.folder / "target.json").write_text(
        config.replace("rejected.singer", "piped.singer")
    )

    clone.run(
        pages.block("run", "pipe_state"), code=3, TARGET_CUSTOMERIO_SANDBOX="piped.db"
    )

    state = (clone.folder / "state.json").read_text()
    assert state == '{"calls_sent":1429}\n'


def test_a_failed_run_does_not_change_the_saved_state(clone: Any, pages: Any) -> None:
    (clone.folder / "state.json").write_text('{"calls_sent":7}\n')
    clone.write("tap-shop", "#!/bin/sh\necho no Singer\n", executable=True)
    (clone.folder / "target.json").write_text(pages.block("file", "target.json"))

    clone.run(
        pages.block("run", "pipe_state"), code=1, TARGET_CUSTOMERIO_SANDBOX="failed.db"
    )

    assert (clone.folder / "state.json").read_text() == '{"calls_sent":7}\n'


HALF_A_LINE = """#!/bin/sh
cat > /dev/null
printf '{"line":1}\\n{"line":2}\\n{"li'
exit 1
"""


def test_an_incomplete_state_line_is_not_saved(clone: Any, pages: Any) -> None:
    clone.write("target-customerio", HALF_A_LINE, executable=True)
    clone.write("tap-shop", "#!/bin/sh\n", executable=True)
    command = f'PATH="$PWD:$PATH"\n{pages.block("run", "pipe_state")}'

    clone.run(command, code=1)

    assert (clone.folder / "state.json").read_text() == '{"line":2}\n'
    (clone.folder / "target-customerio").unlink()


@pytest.mark.parametrize(("rejected", "code"), [("", 0), ("of an earlier run\n", 3)])
def test_runs_fail_while_the_rejected_records_file_exists(
    root: Path, pages: Any, tmp_path: Path, rejected: str, code: int
) -> None:
    clone = Clone(tmp_path, root)
    clone.write("tap-shop", "#!/bin/sh\n", executable=True)
    clone.write("target.json", pages.block("file", "target.json"))
    clone.write("rejected.singer.jsonl", rejected)

    clone.run(
        pages.block("run", "pipe_state"), code=code, TARGET_CUSTOMERIO_SANDBOX="w.db"
    )
