"""Take the pictures of the README: pages of the sample shop, in Chromium.

    python docs/pictures.py

It runs the commands of the README and of the page on snapshots, each in a folder of its
own, and writes ``docs/report-sandbox.png`` and ``docs/report-plan.png``.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT: Final = Path(__file__).resolve().parents[1]
SHOP: Final = Path("docs/examples/shop")
REPORT: Final = "report.html"
WIDTH: Final = 1100


class Picture(NamedTuple):
    """A picture, and the command whose report it shows.

    Attributes:
        name: Name of the file without its ending.
        page: The page with the command.
        command: The command's name in that page.
        config: The configuration file that the command uses.
        height: Height of the picture in pixels.
    """

    name: str
    page: str
    command: str
    config: str
    height: int


PICTURES: Final = (
    Picture("report-sandbox", "README.md", "first", "sandbox.json", 1000),
    Picture("report-plan", "docs/snapshot.md", "plan", "table.json", 1180),
)


def command_of(page: str, name: str) -> str:
    """Return a command of a page, without the installation before it."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.search(rf"<!-- run: {name} -->\n```bash\n(.*?)```", text, re.DOTALL)
    if found is None:
        raise ValueError(f"{page} has no command {name}")
    return found[1].split(" && ")[-1]


def take(picture: Picture, folder: Path, browser: Browser) -> None:
    """Run a command in a folder that looks like a clone, and show its report."""
    shutil.copytree(ROOT / SHOP, folder / SHOP)
    (folder / ".venv").symlink_to(sys.prefix)
    config = folder / SHOP / picture.config
    settings = json.loads(config.read_text(encoding="utf-8"))
    config.write_text(json.dumps(settings | {"report_path": REPORT}), encoding="utf-8")
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command_of(picture.page, picture.command)],  # noqa: S607 - found by PATH
        check=True,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    context = browser.new_context(
        viewport={"width": WIDTH, "height": picture.height}, device_scale_factor=1.5
    )
    page = context.new_page()
    page.goto((folder / REPORT).as_uri())
    page.screenshot(path=ROOT / "docs" / f"{picture.name}.png")
    context.close()


def main() -> None:
    """Take all pictures."""
    sys.path.insert(0, str(ROOT / "tests"))
    from support.browser import program, started  # noqa: PLC0415 - after the path

    path = program()
    if path is None:
        sys.exit("No Chromium is installed; Debian's package chromium has it")
    with started(path) as browser:
        for picture in PICTURES:
            with TemporaryDirectory() as folder:
                take(picture, Path(folder), browser)


if __name__ == "__main__":
    main()
