"""A prompt on the last line of a terminal, by prompt_toolkit: it comes with IPython, not with Python."""

import asyncio
import contextlib
from collections.abc import Iterator

from prompt_toolkit import PromptSession
from prompt_toolkit.patch_stdout import StdoutProxy


class Prompt:
    """Asks for line after line. What is shown meanwhile appears above, and a half-typed line stays whole.

    Args:
        name: The name of the client, shown before each line.
    """

    def __init__(self, name: str) -> None:
        self._session: PromptSession[str] = PromptSession(f"{name}> ")
        self._above = StdoutProxy()
        self._stopped = False

    def __iter__(self) -> Iterator[str]:
        # One loop for all lines: what another thread shows between two of them is then shown in the next.
        with asyncio.Runner() as runner, contextlib.suppress(EOFError):
            while not self._stopped:
                yield runner.run(self._session.prompt_async(pre_run=self._wake))

    def show(self, line: str) -> None:
        """Shows a line above the prompt."""
        print(line, file=self._above, flush=True)

    def stop(self) -> None:
        """Ends the waiting for a line, when all that was to be shown is shown. Any thread may call it."""
        self._above.close()
        self._stopped = True
        self._wake()

    def _wake(self) -> None:
        """Lets a prompt see that it is over. Also called as one begins: `stop` may just have missed it."""
        loop = self._session.app.loop
        if self._stopped and loop:
            with contextlib.suppress(RuntimeError):  # it has been closed since
                loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        app = self._session.app
        if app.is_running and not app.is_done:
            app.exit(exception=EOFError())
