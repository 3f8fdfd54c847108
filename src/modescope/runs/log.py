"""The log of one run: plain files first, MLflow filled from them."""

import json
import shutil
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
import PIL.Image

from modescope.errors import UserError, masked, say, seconds_of
from modescope.files import atomic_path, put_aside, read_json, sha256, write_json, writing
from modescope.inputs import refuse_changes
from modescope.runs.folder import (
    CHECKPOINT_FILE,
    CURVES_FILE,
    DIFF_FILE,
    LINES_FILE,
    RUN_FILE,
    TRACEBACK_FILE,
    WEIGHTS_FILE,
    image_files,
    read_rows,
    write_lines,
    write_table,
)
from modescope.runs.git_facts import origin, uncommitted
from modescope.runs.locks import holder, lock, lock_file, try_lock

LEFT_BEHIND = (CHECKPOINT_FILE, LINES_FILE, ".*")  # what stays in the work folder, and dies with it
LONGEST_MESSAGE = 500  # characters of an error's text that are kept beside its traceback
SECONDS_FOR_ANOTHER = 86_400  # that trains the same run
SHARE_OF_TIME = 0.01  # of a run, at most, spent on filing

Push = Callable[..., str | None]  # (folder, source="executed") -> a link to the run, None where it was not filed


class RunLog:
    """A `with` block around training, or any other work that makes a run.

    Inside, `folder` is the run's work folder: it is held against other processes, continued if it exists, and becomes
    the run's result with `finish`. A block left by an exception makes the run `failed` (with its traceback), by
    SystemExit or KeyboardInterrupt `killed`; either can be continued.

    Args:
        info: the fields of run.json that are known at the start (`key.describe_run`).
        folder: the work folder, `.ckpt/KEY`.
        push: files the run's folder elsewhere, now and then and when the run ends (`modescope.mlflow.filing.push`).

    `$MODESCOPE_PUSH_SECONDS` (10) is the least time between two calls of `push`.
    """

    def __init__(self, info: dict[str, Any], folder: Path, push: Push):
        self.info = dict(info)
        self.folder = Path(folder)
        self._push = push
        self._last_step: int | None = None
        self._seconds_between_pushes = seconds_of("MODESCOPE_PUSH_SECONDS", 10)

    def __enter__(self) -> Self:
        self._lock = self._hold()
        try:
            self._begin()
        except BaseException:
            self._lock.close()
            raise
        return self

    def _begin(self) -> None:
        """Continue what lies in the work folder, write down what is known, and file the run."""
        self.folder.mkdir(parents=True, exist_ok=True)
        earlier = self._earlier()
        self._seconds_before, self._began = earlier.get("seconds", 0.0), time.monotonic()
        self.info["started"] = earlier.get("started") or self.info.get("started") or _now()
        self.info |= {"resumed_from_step": 0, "origin": origin()}
        write_lines(self.folder / LINES_FILE, read_rows(self.folder))
        (self.folder / TRACEBACK_FILE).unlink(missing_ok=True)
        self._write_difference()
        self._write_info("running")
        link = self._file(self.folder)
        # The first filing may have created a database: how long it took says nothing of those to come.
        self._next_push = time.monotonic() + self._seconds_between_pushes
        page = f", {link}" if link else ""
        print(f"run {self.info['run']}, key {self.info['key']}, on {self.info['device']}{page}", flush=True)

    def _earlier(self) -> dict[str, Any]:
        """run.json as it lies there; empty where there is none, or none that can be read: that is put aside."""
        file = self.folder / RUN_FILE
        try:
            return read_json(file, status=str, started=str, seconds=float) if file.exists() else {}
        except UserError as error:
            say(f"warning: {error}; put aside as {put_aside(file)}")
            return {}

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: Any) -> None:
        with self._lock:
            if self.info["status"] == "finished":
                return
            failed = isinstance(error, Exception)
            try:
                if failed:
                    self.info["error"] = self._one_line(error)
                    whole = masked("".join(traceback.format_exception(error)))
                    (self.folder / TRACEBACK_FILE).write_text(whole, encoding="utf-8")
                self._write_info("failed" if failed else "killed")
                self._file(self.folder)
            except (
                OSError,
                UserError,
            ) as trouble:  # a full disk, say; it must not replace the error that ended the block
                say(f"warning: cannot write down how the run ended: {trouble}")

    def log(self, metrics: dict[str, float], step: int) -> None:
        """Append values to the curves; a later value for the same metric and step replaces the earlier."""
        self._last_step = step
        lines = self.folder / LINES_FILE
        with writing(lines), open(lines, "a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **{name: float(value) for name, value in metrics.items()}}) + "\n")
        if time.monotonic() >= self._next_push:
            self._write_info("running")
            self._file(self.folder)

    def image(self, name: str, image: Any, step: int) -> None:
        """Keep a picture as `NAME/step-000500.png`.

        Args:
            image: (H, W) or (H, W, 1 or 3) uint8, array or tensor. Others raise ValueError.
        """
        pixels = np.asarray(image.cpu() if hasattr(image, "cpu") else image)
        if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (1,), (3,)):
            raise ValueError(f"expected uint8 (H, W) or (H, W, 1 or 3), got {pixels.dtype} {pixels.shape}")
        with atomic_path(self.folder / name / f"step-{step:06d}.png") as temporary:
            PIL.Image.fromarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels).save(temporary, format="PNG")

    def rewind(self, step: int) -> None:
        """Drop what was logged after `step`, from which training goes on."""
        rows = {at: values for at, values in read_rows(self.folder).items() if at <= step}
        write_lines(self.folder / LINES_FILE, rows)
        for file in image_files(self.folder):
            if int(file.stem.removeprefix("step-")) > step:
                file.unlink()
        self.info["resumed_from_step"] = step
        self._write_info("running")
        if step:
            print(f"goes on from step {step}", flush=True)

    def finish(self, out: Path, **summary: Any) -> None:
        """Complete run.json with `summary` and let the work folder, without its checkpoint, replace `out`."""
        refuse_changes()
        if (self.folder / WEIGHTS_FILE).exists():
            self.info["weights_sha256"] = sha256(self.folder / WEIGHTS_FILE)
        rows = read_rows(self.folder)
        with atomic_path(out, durable=True) as temporary:
            shutil.copytree(self.folder, temporary, ignore=shutil.ignore_patterns(*LEFT_BEHIND))
            if rows:
                write_table(temporary / CURVES_FILE, rows)
            write_json(temporary / RUN_FILE, {**self._info("finished"), **summary})
        self.info["status"] = "finished"
        shutil.rmtree(self.folder)
        self._file(out)

    def _one_line(self, error: Exception) -> str:
        """What ended the run, and the last step that was logged."""
        message = masked(" ".join(str(error).split()))[:LONGEST_MESSAGE]
        kind = "" if isinstance(error, UserError) else type(error).__name__ + (": " if message else "")
        return f"{kind}{message}" + (f" (last logged step {self._last_step})" if self._last_step is not None else "")

    def _hold(self) -> IO[str]:
        """Keep other processes out of the work folder; wait for one that trains the same run."""
        path = lock_file(self.folder)
        held = try_lock(path)
        if held is None:
            print(f"run {self.info['run']} is being trained by {holder(path)}: waiting for it", flush=True)
        try:
            return held or lock(path, SECONDS_FOR_ANOTHER)
        except TimeoutError as error:
            raise UserError(f"run {self.info['run']}: {error}: end that process, or delete the file") from None

    def _write_difference(self) -> None:
        difference = masked(uncommitted())
        if difference:
            (self.folder / DIFF_FILE).write_text(difference, encoding="utf-8")
        else:
            (self.folder / DIFF_FILE).unlink(missing_ok=True)

    def _info(self, status: str) -> dict[str, Any]:
        """run.json as of now. `seconds` also counts the time before an interruption."""
        seconds = self._seconds_before + time.monotonic() - self._began
        return {**self.info, "status": status, "ended": _now(), "seconds": round(seconds, 3)}

    def _write_info(self, status: str) -> None:
        self.info["status"] = status
        write_json(self.folder / RUN_FILE, self._info(status))

    def _file(self, folder: Path) -> str | None:
        """File the run, and set when to do so next: later if the store is slow."""
        began = time.monotonic()
        link = self._push(folder, source="executed")
        ended = time.monotonic()
        self._next_push = ended + max(self._seconds_between_pushes, (ended - began) / SHARE_OF_TIME)
        return link


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
