"""A run's files, whatever happens to it, and MLflow filled from them."""

import csv
import getpass
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from modescope.config import profile_values
from modescope.files import read_json, sha256
from modescope.mlflow import filing
from modescope.mlflow.filing import push
from modescope.mlflow.store import Store, open_store
from modescope.runs import git_facts
from modescope.runs.folder import read_rows, write_lines, write_table
from modescope.runs.locks import lock, lock_file
from modescope.runs.log import RunLog
from tracked_runs import INFO, artifacts_of, run_info, start_python, steps_of, stored_run, train_run, work_folder

OUT = Path("models/imbalance/gan-split1")


def test_finish_moves_everything_but_the_checkpoint_and_completes_run_json(project):
    OUT.mkdir(parents=True)
    (OUT / "of an earlier run").touch()
    train_run(OUT)
    assert sorted(str(file.relative_to(OUT)) for file in OUT.rglob("*.*")) == [
        "curves.csv",
        "model.safetensors",
        "run.json",
        "samples/step-000002.png",
        "samples/step-000004.png",
    ]
    assert not work_folder().exists()
    info = read_json(OUT / "run.json")
    assert INFO.items() <= info.items()
    assert (info["status"], info["steps"], info["resumed_from_step"]) == ("finished", 4, 0)
    assert info["weights_sha256"] == sha256(OUT / "model.safetensors")
    assert 0 < info["seconds"] < 60


def test_a_finished_run_is_in_mlflow(project):
    train_run(OUT)
    run = stored_run()
    assert (run.info.run_name, run.info.status) == ("gan-split1", "FINISHED")
    assert run.data.params == {
        "seed": "0",
        "imbalance.gan.lr": "0.0002",
        "imbalance.gan.betas": "[0.5, 0.999]",
        "imbalance.gan.ema_decay": "null",
        "imbalance.gan.loss": "bce",
    }
    expected = {"stage": "imbalance@gan-split1", "dataset": "digits-rgb", "split": "split1", "source": "executed"}
    expected |= {"version.torch": "2.13", "device": "cpu", "data_digest": "ab" * 32, "model": "gan", "key": INFO["key"]}
    assert expected.items() <= run.data.tags.items()
    dataset = run.inputs.dataset_inputs[0]
    assert (dataset.dataset.name, {tag.key: tag.value for tag in dataset.tags}) == (
        "digits-rgb split1",
        {"mlflow.data.context": "training"},
    )
    assert steps_of("train/d_loss") == steps_of("train/g_loss") == [1, 2, 3, 4]
    assert [name.split("+")[:3] for name in artifacts_of("images") if name.endswith(".png")] == [
        ["samples", "step", "2"],
        ["samples", "step", "4"],
    ]


def test_curves_keep_every_bit_and_leave_blanks(tmp_path):
    rows = {1: {"train/loss": 0.1 + 0.2}, 2: {"train/loss": 1e-300, "eval/loss": float("nan")}, 5: {"eval/loss": 2.0}}
    write_table(tmp_path / "curves.csv", rows)
    assert list(csv.reader(open(tmp_path / "curves.csv", encoding="utf-8")))[0] == ["step", "train/loss", "eval/loss"]
    read = read_rows(tmp_path)
    assert list(read) == [1, 2, 5] and read[1] == rows[1] and read[5] == rows[5]
    assert read[2]["train/loss"] == 1e-300 and np.isnan(read[2]["eval/loss"])


def test_a_line_cut_off_by_a_kill_does_not_count(tmp_path):
    write_lines(tmp_path / "curves.jsonl", {1: {"a": 1.0}, 2: {"a": 2.0}})
    with open(tmp_path / "curves.jsonl", "a", encoding="utf-8") as file:
        file.write('{"step": 3, "a"')
    assert read_rows(tmp_path) == {1: {"a": 1.0}, 2: {"a": 2.0}}


@pytest.mark.parametrize(
    "image", [np.zeros((4, 5), np.uint8), np.zeros((4, 5, 1), np.uint8), torch.zeros(4, 5, 3, dtype=torch.uint8)]
)
def test_images_are_written_as_they_are(project, image):
    with RunLog(INFO, work_folder(), push) as log:
        log.image("samples", image, 7)
    with open(work_folder() / "samples" / "step-000007.png", "rb") as file:
        assert file.read(4) == b"\x89PNG"


@pytest.mark.parametrize("image", [np.zeros((4, 5)), np.zeros((3, 4, 5), np.uint8), np.zeros(4, np.uint8)])
def test_other_images_are_refused(project, image):
    with RunLog(INFO, work_folder(), push) as log, pytest.raises(ValueError, match="expected uint8"):
        log.image("samples", image, 7)


def test_a_killed_run_goes_on_in_the_same_mlflow_run_without_doubled_points(project, monkeypatch, capsys):
    monkeypatch.setenv("MODESCOPE_PUSH_SECONDS", "0")
    with pytest.raises(KeyboardInterrupt), RunLog(INFO, work_folder(), push) as log:
        log.log({"train/loss": 1.0}, 10)
        log.log({"train/loss": 2.0}, 20)
        log.image("samples", np.zeros((4, 4), np.uint8), 20)
        log.log({"train/loss": 3.0}, 25)
        log.image("samples", np.zeros((4, 4), np.uint8), 25)
        raise KeyboardInterrupt
    killed = stored_run()
    assert killed.info.status == "KILLED"
    with RunLog(INFO, work_folder(), push) as log:
        log.rewind(20)
        assert (log.folder / "samples" / "step-000020.png").exists() and not (
            log.folder / "samples" / "step-000025.png"
        ).exists()
        assert stored_run().info.status == "RUNNING"
        log.log({"train/loss": 3.0}, 25)
        log.log({"train/loss": 4.0}, 30)
        log.finish(OUT)
    assert stored_run().info.run_id == killed.info.run_id and stored_run().info.status == "FINISHED"
    assert steps_of("train/loss") == [10, 20, 25, 30]
    assert len(artifacts_of("images")) == 4
    assert (OUT / "curves.csv").read_text() == "step,train/loss\n10,1.0\n20,2.0\n25,3.0\n30,4.0\n"
    info = read_json(OUT / "run.json")
    assert info["resumed_from_step"] == 20 and info["started"] <= info["ended"]
    assert "goes on from step 20" in capsys.readouterr().out


def test_an_exception_makes_the_run_failed_and_keeps_the_traceback(project):
    with pytest.raises(ZeroDivisionError), RunLog(INFO, work_folder(), push) as log:
        log.log({"train/loss": 1.0}, 7)
        1 / 0
    assert read_json(work_folder() / "run.json")["status"] == "failed"
    assert "ZeroDivisionError" in (work_folder() / "traceback.txt").read_text()
    failed, error = stored_run(), "ZeroDivisionError: division by zero (last logged step 7)"
    assert failed.info.status == "FAILED" and artifacts_of() == ["traceback.txt"]
    assert failed.data.tags["error"] == error and f"| failed | {error} |" in failed.data.tags["mlflow.note.content"]
    train_run(OUT)
    assert stored_run().info.status == "FINISHED" and not (OUT / "traceback.txt").exists()
    assert "error" not in stored_run().data.tags and "failed" not in stored_run().data.tags["mlflow.note.content"]


@pytest.mark.parametrize("reason", [SystemExit(3), KeyboardInterrupt()])
def test_leaving_early_makes_the_run_killed(project, reason):
    with pytest.raises(type(reason)), RunLog(INFO, work_folder(), push):
        raise reason
    assert read_json(work_folder() / "run.json")["status"] == "killed" and stored_run().info.status == "KILLED"


def test_a_full_disk_at_the_end_does_not_hide_what_happened(project, monkeypatch):
    with pytest.raises(ZeroDivisionError), RunLog(INFO, work_folder(), push):
        monkeypatch.setattr("modescope.runs.log.write_json", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
        1 / 0


def quiet(*_, **__):
    """A tracker that does nothing."""


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\x00", b"[]", b'{"status": "running", "seconds": "long"}'])
def test_a_run_json_that_a_power_cut_damaged_is_put_aside_and_the_run_goes_on(bare_project, capsys, content):
    work_folder().mkdir(parents=True)
    (work_folder() / "run.json").write_bytes(content)
    with RunLog(INFO, work_folder(), quiet) as log:
        log.finish(OUT)
    assert read_json(OUT / "run.json")["status"] == "finished"
    (aside,) = Path(".dvc/tmp/aside").glob("*/run.json")
    assert aside.read_bytes() == content and capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "line", [b"{", b"\xff\x00\x00", b"[1]", b"5", b'{"loss": 1}', b'{"step": "2"}', b'{"step": 2, "a": []}']
)
def test_what_follows_a_damaged_line_of_the_curves_does_not_count(tmp_path, line):
    good = b'{"step": 1, "train/loss": 0.5}\n'
    (tmp_path / "curves.jsonl").write_bytes(good + line + b"\n" + good)
    assert read_rows(tmp_path) == {1: {"train/loss": 0.5}}


def test_a_curve_that_cannot_be_written_names_its_file(bare_project):
    with pytest.raises(OSError, match="curves.jsonl"), RunLog(INFO, work_folder(), quiet) as log:
        (log.folder / "curves.jsonl").unlink()
        (log.folder / "curves.jsonl").symlink_to("/dev/full")
        log.log({"train/loss": 1.0}, 1)
    info = read_json(work_folder() / "run.json")
    assert info["status"] == "failed" and "No space left on device" in info["error"]


STAGE = """
import time
from pathlib import Path
from tracked_runs import INFO, work_folder
from modescope.process import run_stage
from modescope.mlflow import filing
from modescope.mlflow.filing import push
from modescope.runs import git_facts
from modescope.runs.log import RunLog

def main():
    with RunLog(INFO, work_folder(), push) as log:
        log.log({"train/loss": 1.0}, 1)
        print("training", flush=True)
        time.sleep(60)

import sys
sys.argv = ["stage"]
run_stage(main)
"""


@pytest.mark.parametrize(
    "number, at_once, code",
    [(signal.SIGTERM, "KILLED", 143), (signal.SIGINT, "KILLED", 130), (signal.SIGKILL, "RUNNING", -9)],
)
def test_a_signal_to_the_stage_is_told_truthfully(project, number, at_once, code):
    stage = start_python(STAGE)
    while "training" not in stage.stdout.readline():
        assert stage.poll() is None
    stage.send_signal(number)
    assert stage.wait(20) == code
    stage.communicate()
    assert stored_run().info.status == at_once
    filing.sync()
    assert stored_run().info.status == "KILLED" and read_json(work_folder() / "run.json")["status"] == "killed"


def test_filing_is_rare_and_in_batches(project, monkeypatch):
    calls = Counter()
    for name in ("log_metric", "log_param", "set_tag", "create_run", "log_inputs", "search_runs"):
        monkeypatch.setattr(MlflowClient, name, counted(calls, name, getattr(MlflowClient, name)))
    monkeypatch.setattr(SqlAlchemyStore, "log_batch", counted(calls, "log_batch", SqlAlchemyStore.log_batch))
    with RunLog(INFO, work_folder(), push) as log:
        for step in range(1, 1001):
            log.log({"train/d_loss": 0.5, "train/g_loss": 0.5}, step)
        log.finish(OUT)
    # twice searched (start, end); parameters once, the closing tags once, 2000 points in two batches
    assert calls == {"create_run": 1, "log_inputs": 1, "search_runs": 2, "log_batch": 3}
    assert steps_of("train/g_loss") == list(range(1, 1001))


def counted(calls, name, method):
    def call(*arguments, **options):
        calls[name] += 1
        return method(*arguments, **options)

    return call


def test_a_slow_store_is_filled_less_often(project, monkeypatch):
    monkeypatch.setenv("MODESCOPE_PUSH_SECONDS", "0")
    with RunLog(INFO, work_folder(), lambda *_, **__: time.sleep(0.05)) as log:
        log.log({"train/loss": 1.0}, 1)
        assert log._next_push - time.monotonic() == pytest.approx(5, rel=0.5)


@pytest.mark.parametrize("listens", [False, True], ids=["dead", "silent"])
def test_an_unreachable_store_costs_one_warning_and_sync_files_the_run_later(project, monkeypatch, capsys, listens):
    timeout, retries = (int(os.environ[f"MLFLOW_HTTP_REQUEST_{name}"]) for name in ("TIMEOUT", "MAX_RETRIES"))
    assert timeout * (1 + retries) < 10
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if listens:
            server.listen(50)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("MODESCOPE_PUSH_SECONDS", "0")
        began = time.monotonic()
        train_run(OUT)
        assert time.monotonic() - began < 4
    assert capsys.readouterr().err.count("modescope: warning: tracking is off") == 1
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert filing.sync() == [("gan-split1", "created")]
    assert steps_of("train/d_loss") == [1, 2, 3, 4] and stored_run().data.tags["source"] == "restored"


def test_the_passwords_of_urls_reach_neither_terminal_nor_files(project, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    subprocess.run("git init -q && touch new && git add new && git commit -qm new", shell=True, check=True)
    Path("new").write_text("url = https://me:secret@host/x\n", encoding="utf-8")
    with pytest.raises(RuntimeError, match="secret"), RunLog(INFO, work_folder(), push):
        raise RuntimeError("no answer from ftp://me:secret@host")
    texts = [file.read_text(encoding="utf-8") for file in work_folder().iterdir()]
    assert len(texts) == 4 and sum("me:***@host" in text for text in texts) == 3
    printed = capsys.readouterr()
    assert "http://me:***@127.0.0.1:9 cannot be used" in printed.err
    assert "secret" not in "".join([*texts, *printed])


def test_the_link_to_a_run_holds_no_password(project):
    assert Store("https://me:secret@host:5000", project).address() == "https://host:5000"


def test_a_store_that_breaks_under_way_does_not_end_the_training(project, monkeypatch, capsys):
    monkeypatch.setenv("MODESCOPE_PUSH_SECONDS", "0")
    with RunLog(INFO, work_folder(), push) as log:
        log.log({"train/loss": 1.0}, 1)
        monkeypatch.setattr(MlflowClient, "log_batch", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("gone")))
        for step in (2, 3, 4):
            log.log({"train/loss": 1.0}, step)
        log.finish(OUT)
    assert capsys.readouterr().err.count("tracking is off") == 1
    assert list(read_rows(OUT)) == [1, 2, 3, 4]


def test_a_second_process_waits_for_the_run(project):
    entered = threading.Event()

    def train():
        with RunLog(INFO, work_folder(), push):
            entered.set()

    with lock(lock_file(work_folder())):
        thread = threading.Thread(target=train)
        thread.start()
        assert not entered.wait(0.3)
    assert entered.wait(10)
    thread.join()


@pytest.fixture
def repository(project):
    """The project as a git repository with one commit."""
    Path("code.py").write_text("a = 1\n", encoding="utf-8")
    Path("metrics").mkdir()
    Path("metrics/a.json").write_text("{}", encoding="utf-8")
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "code.py", "metrics"], [*author, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *command], check=True)
    return subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


def test_the_commit_and_what_is_not_committed_are_kept(repository, monkeypatch):
    monkeypatch.setenv("DVC_EXP_NAME", "bold-try")
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", repository)
    Path("metrics/a.json").write_text("{1}", encoding="utf-8")
    train_run(OUT, run="clean", key="00000000000000bb")
    clean = stored_run("00000000000000bb")
    assert {
        "git.commit": repository,
        "dvc.exp": "bold-try",
        "dvc.baseline": repository,
    }.items() <= clean.data.tags.items()
    assert "code.diff" not in artifacts_of(key="00000000000000bb"), (
        "the pipeline's own outputs are no change of the code"
    )
    Path("code.py").write_text("a = 2\n", encoding="utf-8")
    train_run(OUT)
    assert "code.diff" in artifacts_of() and "+a = 2" in (OUT / "code.diff").read_text()


@pytest.mark.parametrize("name", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_EXTERNAL_DIFF"])
def test_gits_variables_of_another_repository_change_nothing(repository, monkeypatch, tmp_path_factory, name):
    """As git's hooks set them for what they call."""
    other = tmp_path_factory.mktemp("other")
    subprocess.run(["git", "init", "-q"], cwd=other, check=True)
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", *author, "commit", "-q", "--allow-empty", "-m", "other"], cwd=other, check=True)
    Path("code.py").write_text("a = 2\n", encoding="utf-8")
    expected = git_facts.uncommitted()
    monkeypatch.setenv(name, str(other / ".git"))
    assert git_facts.origin()["git.commit"] == repository
    assert git_facts.uncommitted() == expected and "+a = 2" in expected


def test_a_run_of_an_experiment_is_named_after_both_and_says_what_was_changed(repository, monkeypatch):
    Path("params.yaml").write_text("seed: 1\nimbalance: {gan: {lr: 0.1}}\nold: 3\n", encoding="utf-8")
    subprocess.run(["git", "add", "params.yaml"], check=True)
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "params"], check=True)
    Path("params.yaml").write_text("seed: 1\nimbalance: {gan: {lr: 1.0e-05}}\nnew: [1, 2]\n", encoding="utf-8")
    monkeypatch.setattr("modescope.runs.git_facts.load_params", lambda: None)
    monkeypatch.setattr("modescope.runs.git_facts.profile_name", lambda _: "demo")
    monkeypatch.setenv("DVC_EXP_NAME", "puffy-ibex")
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "HEAD")
    train_run(OUT)
    run = stored_run()
    assert (run.info.run_name, run.data.tags["run"]) == ("gan-split1 (puffy-ibex)", "gan-split1")
    assert run.data.tags["changes"] == "imbalance.gan.lr=1.0e-05, new=[1, 2], old=(none)"
    assert "code.diff" not in artifacts_of(), "parameters are no change of the code"
    monkeypatch.delenv("DVC_EXP_NAME")
    monkeypatch.delenv("DVC_EXP_BASELINE_REV")
    assert filing.sync() == [("gan-split1", "unchanged")], "a restored run keeps the origin of its training"
    train_run(OUT)  # anew, outside
    assert stored_run().info.run_name == "gan-split1" and not {"dvc.exp", "dvc.baseline", "changes"} & set(
        stored_run().data.tags
    )


def test_a_profile_that_was_not_committed_is_no_change(monkeypatch):
    profile = profile_values("demo")
    monkeypatch.setattr(git_facts, "_git", lambda *_: Path("profiles/standard.yaml").read_text(encoding="utf-8"))
    monkeypatch.setattr(git_facts, "read_yaml", lambda _: profile | {"ce_loss_weight": 7.0})
    assert git_facts._changes("HEAD") == "ce_loss_weight=7.0"
    monkeypatch.setattr(git_facts, "profile_names", list)
    assert git_facts._changes("HEAD").endswith(" more")


def test_outside_git_and_dvc_nothing_is_claimed(project):
    train_run(OUT)
    assert read_json(OUT / "run.json")["origin"] == {"user": getpass.getuser()}
    assert not {"git.commit", "dvc.exp", "dvc.baseline", "profile"} & set(stored_run().data.tags)


def test_lines_are_json_and_numbers_plain(project):
    with RunLog(run_info(), work_folder(), push) as log:
        log.log({"train/loss": torch.tensor(0.5)}, 3)
        assert json.loads((log.folder / "curves.jsonl").read_text()) == {"step": 3, "train/loss": 0.5}


def test_the_store_is_opened_once(project):
    assert open_store() is open_store()
