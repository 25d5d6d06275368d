"""A real JupyterLab and a real browser, for the tests of what a learner sees."""

import contextlib
import json
import os
import random
import secrets
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import nbformat
import psutil
from faults import SOON, environment, jupyter_of
from playwright.sync_api import Browser, Page, sync_playwright
from ports import OURS

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
ARGUMENTS = [
    "--no-sandbox",  # which a container does not let it have
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]

READY = """path => {
    const tab = window.jupyterapp?.shell.currentWidget;
    const kernel = tab?.sessionContext?.session?.kernel;
    return tab?.context.path === path && kernel?.connectionStatus === 'connected' && kernel.status === 'idle';
}"""
"""Whether a notebook is the one in front, with a kernel that has nothing to do."""


class Lab(NamedTuple):
    """A running JupyterLab."""

    address: str
    token: str
    folder: Path

    def page_of(self, notebook: str) -> str:
        """Where a browser finds a notebook: each in a workspace of its own, with no other open."""
        workspace = notebook.removesuffix(".ipynb").replace("/", "-")
        return f"{self.address}lab/workspaces/{workspace}/tree/{notebook}?token={self.token}"


def executable() -> str | None:
    """Returns the browser of this machine, if it has one that can be driven."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def write_notebook(path: Path, cells: Sequence[str]) -> None:
    """Makes a notebook of these code cells."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)


@contextlib.contextmanager
def lab(folder: Path) -> Iterator[Lab]:
    """Runs JupyterLab with settings of its own in a folder; ends it, and its kernels, afterwards."""
    token = secrets.token_hex(16)
    own = {name: str(folder / ".jupyter" / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    variables = environment() | {f"JUPYTER_{name}_DIR": path for name, path in own.items()}
    variables["IPYTHONDIR"] = str(folder / ".ipython")
    here = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]
    variables["PYTHONPATH"] = os.pathsep.join([*here, *filter(None, [variables.get("PYTHONPATH")])])
    options = ["--no-browser", "--ip=127.0.0.1", f"--port={random.choice(OURS)}"]
    options += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}", "--allow-root"]
    options += ["--LabApp.expose_app_in_browser=True"]  # for `open_notebook`
    _write_settings(folder / ".jupyter" / "CONFIG")
    command = [sys.executable, "-m", "jupyterlab", *options]
    with (folder / "lab.log").open("w") as log:
        process = subprocess.Popen(command, env=variables, cwd=folder, stdout=log, stderr=log)
    try:
        running = Lab(jupyter_of(process, Path(own["RUNTIME"]))["url"], token, folder)
        yield running
        _shut_down(running, process)
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def chromium(program: str) -> Iterator[Browser]:
    """Runs a browser without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def open_notebook(page: Page, lab: Lab, notebook: str) -> None:
    """Opens a notebook, with no other beside it, and waits until its kernel is ready.

    JupyterLab is loaded once for a page: that takes a processor seven seconds, another notebook in it one.
    """
    if page.url.startswith(lab.address):
        close_all(page)
        page.evaluate("path => void jupyterapp.commands.execute('docmanager:open', { path })", notebook)
    else:
        page.goto(lab.page_of(notebook))
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    page.wait_for_function(READY, arg=notebook)  # before that, "Run All Cells" runs none


def close_all(page: Page) -> None:
    """Closes all notebooks, without a question whether to save them; what runs goes on."""
    page.evaluate("""async () => {
        await jupyterapp.restored;  // or a page that was just loaded would open them again
        for (const tab of [...jupyterapp.shell.widgets('main')].filter(tab => tab.context)) {
            tab.context.model.dirty = false;
            tab.close();
        }
    }""")
    page.locator(".jp-Notebook").first.wait_for(state="detached")
    page.get_by_text("| Idle").wait_for(state="detached")


def choose(page: Page, menu: str, *entries: str) -> None:
    """Chooses an entry of JupyterLab's menu bar, or one of a menu in that."""
    page.locator(".lm-MenuBar-itemLabel", has_text=menu).first.click()
    for entry in entries:
        page.locator(".lm-Menu-itemLabel").get_by_text(entry, exact=True).click()


def restart_kernel(page: Page) -> None:
    """Gives the open notebook a new kernel."""
    choose(page, "Kernel", "Restart Kernel…")
    with page.expect_response(lambda response: response.url.split("?")[0].endswith("/restart")):
        page.locator(".jp-Dialog-button.jp-mod-warn").click()
    page.get_by_text("| Idle").wait_for()


def _write_settings(config: Path) -> None:
    """No news, which JupyterLab asks its user about; all cells, not only those in sight; ports of ours."""
    folder = config / "labconfig"
    folder.mkdir(parents=True)
    (config / "jupyter_server_config.py").write_text("import ports\n\nports.choose_ours()\n")
    disabled = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
    (folder / "page_config.json").write_text(json.dumps(disabled))
    settings = {"@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"}}
    (folder / "default_setting_overrides.json").write_text(json.dumps(settings))


def _shut_down(running: Lab, process: "subprocess.Popen[bytes]") -> None:
    """Asks it to end, so that it ends its kernels, too.

    If it does not, they are killed with it: how JupyterLab ends is not what is tried here, and with a dozen
    kernels on a busy computer it was seen to take more than half a minute.
    """
    address = f"{running.address}api/shutdown?token={running.token}"
    kernels = psutil.Process(process.pid).children(recursive=True)
    urllib.request.urlopen(urllib.request.Request(address, method="POST"), timeout=10 * SOON).close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(2 * SOON)  # a dozen kernels end, one after the other
    for kernel in kernels:
        with contextlib.suppress(psutil.NoSuchProcess):
            kernel.kill()
