"""What the store holds after push, sync and read_final."""

import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from modescope.cli import sync
from modescope.dotted import numbers
from modescope.errors import UserError
from modescope.files import read_json, sha256, write_json
from modescope.mlflow import filing
from modescope.mlflow.store import open_store
from modescope.runs.locks import lock, lock_file
from tracked_runs import (
    INFO,
    METRICS,
    artifacts_of,
    run_info,
    start_python,
    steps_of,
    stored_run,
    train_run,
    work_folder,
    write_metrics,
)

OUT = Path("models/imbalance/gan-split1")


def everything(key=INFO["key"]):
    """All that the store holds of a run, to compare."""
    run, client = stored_run(key), open_store().client
    points = {
        name: [(p.step, p.value, p.timestamp) for p in client.get_metric_history(run.info.run_id, name)]
        for name in run.data.metrics
    }
    return (
        run.info.run_id,
        run.info.status,
        run.info.end_time,
        run.data.params,
        run.data.tags,
        points,
        artifacts_of(),
        artifacts_of("images"),
    )


def test_pushing_twice_adds_nothing(project):
    train_run(OUT)
    filing.push(OUT, METRICS)
    before = everything()
    assert filing.push(OUT, METRICS) == "`modescope ui` shows it"  # and no link to a server that does not run
    with open_store().shown_at("http://127.0.0.1:5001"):
        link = filing.push(OUT, METRICS)
    assert everything() == before
    assert f"/runs/{stored_run().info.run_id}?workflowType=machine_learning" in link


def test_a_class_of_any_name_is_filed(project):
    """MLflow takes no combining marks, of which "ki" and "kī" consist but for one letter, and no name of dots."""
    classes = ["\u0915\u093f", "\u0915\u0940", ".."]
    train_run(OUT, data=INFO["data"] | {"classes": classes})
    assert filing.push(OUT, METRICS) is not None
    wanted = numbers(METRICS, classes)
    assert list(wanted)[1:4] == ["class_share/0: \u0915", "class_share/1: \u0915", "class_share/2: .."]
    assert filing.read_final("imbalance", [INFO["key"]]) == {INFO["key"]: wanted}


WITHOUT_MLFLOW = """
import sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("mlflow", "dvc"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Without())
import json
from pathlib import Path
from modescope.mlflow.filing import push, sync
from modescope.process import exit_readably
from modescope.runs.log import RunLog
info, out = json.loads(sys.argv[1]), Path(sys.argv[2])
with RunLog(info, Path(".ckpt") / info["key"], push) as log:
    log.log({"train/loss": 1.0}, 1)
    log.finish(out)
print(push(out, {"fid_classifier": 1.0}))
exit_readably(sync)
"""


def test_without_mlflow_a_run_is_plain_files(project):
    """Training and evaluation go on with one warning; a command that needs MLflow is refused in one line."""
    process = start_python(WITHOUT_MLFLOW, json.dumps(INFO), OUT, MODESCOPE_PUSH_SECONDS="0")
    output, errors = process.communicate()
    warning, refusal = errors.splitlines()
    assert warning == (
        "modescope: warning: runs are not filed because MLflow is not installed; `modescope sync` files them later"
    )
    assert (
        refusal.startswith("modescope: the package mlflow is not installed: `pip install") and process.returncode == 2
    )
    assert output.splitlines()[-1] == "None" and (OUT / "curves.csv").exists()
    assert filing.sync() == [("gan-split1", "created")]


def test_final_values_are_exact_and_lists_go_by_class(project):
    train_run(OUT)
    filing.push(OUT, METRICS)
    expected = {"fid_classifier": METRICS["fid_classifier"], "num_samples": 100.0}
    expected |= {"class_share/zero": 0.1, "class_share/one": 0.2, "class_share/two": 0.7}
    assert filing.read_final("imbalance", [INFO["key"], "00000000000000ff"]) == {INFO["key"]: expected}


def test_a_new_final_value_replaces_the_old_one(project):
    train_run(OUT)
    filing.push(OUT, METRICS)
    filing.push(OUT, METRICS | {"fid_classifier": 3.0})
    assert filing.read_final("imbalance", [INFO["key"]])[INFO["key"]]["fid_classifier"] == 3.0


def test_reading_a_study_without_runs_gives_nothing(project):
    assert filing.read_final("two-stage", ["00000000000000aa"]) == {}


def test_reading_an_unreachable_store_is_the_users_error(project, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    with pytest.raises(UserError, match="127.0.0.1:1 cannot be used"):
        filing.read_final("imbalance", [])
    with pytest.raises(UserError, match="127.0.0.1:1 cannot be used"):
        filing.sync()


def test_sync_fills_an_empty_store_once(project, template, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project / 'elsewhere' / 'first.db'}")
    Path("elsewhere").mkdir()
    shutil.copy(template, "elsewhere/first.db")
    train_run(OUT)
    write_metrics()
    real = run_info(key="00000000000000cc", run="real-split1", model="real")
    train_run(Path("data/reference/split1"), **real)
    train_run(
        Path("models/classifiers/rgb-judge"), **run_info(key="00000000000000dd", run="rgb-judge", study="classifiers")
    )
    executed = stored_run()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")

    assert filing.sync() == [("real-split1", "created"), ("rgb-judge", "created"), ("gan-split1", "created")]
    restored = stored_run()
    assert restored.data.params == executed.data.params
    assert {**executed.data.tags, "source": "restored"} == restored.data.tags
    assert restored.info.status == "FINISHED" and restored.info.start_time == executed.info.start_time
    assert steps_of("train/d_loss") == [1, 2, 3, 4] and len(artifacts_of("images")) == 4
    assert filing.read_final("imbalance", [INFO["key"]])[INFO["key"]]["class_share/two"] == 0.7
    assert {name for _, name in filing.sync()} == {"unchanged"}
    write_metrics(METRICS | {"kid": 1.0})
    assert ("gan-split1", "completed") in filing.sync(Path.cwd())


def test_sync_leaves_half_written_and_living_runs_alone(project):
    train_run(OUT)
    shutil.copytree(OUT, OUT.parent / ".gan-split1-x" / "gan-split1")
    living = Path(".ckpt/00000000000000ee")
    shutil.copytree(OUT, living)
    write_json(living / "run.json", {**read_json(OUT / "run.json"), "key": living.name, "status": "running"})
    with lock(lock_file(living)):
        assert filing.sync() == [("gan-split1", "unchanged")]
    assert filing.sync() == [("gan-split1", "unchanged"), ("gan-split1", "created")]
    assert stored_run(living.name).info.status == "KILLED"


def test_a_finished_run_is_not_closed_by_its_own_leftovers(project):
    train_run(OUT)
    shutil.copytree(OUT, work_folder())
    write_json(work_folder() / "run.json", {**read_json(OUT / "run.json"), "status": "killed"})
    assert filing.sync() == [("gan-split1", "unchanged")]
    assert stored_run().info.status == "FINISHED"


@pytest.fixture
def finished(project, monkeypatch):
    """A run's folder, which is not filed so far."""
    monkeypatch.setattr("tracked_runs.push", lambda *_, **__: None)
    return train_run(OUT)


def broken(name, content):
    """Overwrite a file of the run, or a value of its record."""
    if isinstance(content, bytes):
        (OUT / name).parent.mkdir(exist_ok=True)
        (OUT / name).write_bytes(content)
    else:
        write_json(OUT / "run.json", {**read_json(OUT / "run.json"), **content})


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("run.json", b"\x89PNG\xff", "run.json is not valid JSON"),
        ("run.json", b"[1]", "it is a list"),
        ("run.json", b"[" * 10_000, "run.json is not valid JSON"),
        ("run.json", b"{}", "it has no `key`"),
        ("run.json", {"model": None}, "it has no `model`"),
        ("run.json", {"params": [1]}, "it has no `params`"),
        ("run.json", {"status": "paused"}, "unknown status 'paused'"),
        ("run.json", {"study": "../../evil"}, "'../../evil' is no name"),
        ("run.json", {"key": "a' or 1"}, "is no name"),
        ("run.json", {"started": "yesterday"}, "run.json is not what the pipeline wrote"),
        ("run.json", {"data": {}}, "run.json is not what the pipeline wrote"),
        ("run.json", {"params": {"x" * 300: 1}}, "MLflow refuses it"),
        ("curves.csv", b"step,loss\nx,y\n", "curves.csv is not what the pipeline wrote"),
        ("curves.csv", b"\xff\xfe\x00", "curves.csv is not what the pipeline wrote"),
        ("samples/step-000002.png", b"no picture", "step-000002.png is no picture"),
        ("../../../metrics/imbalance/gan-split1.json", b"{", "gan-split1.json is not valid JSON"),
    ],
)
def test_a_damaged_run_is_left_out_of_sync_and_named_and_the_others_are_filed(finished, name, content, words):
    Path("metrics/imbalance").mkdir(parents=True)
    shutil.copytree(finished, "models/two-stage/stage1")
    write_json(
        Path("models/two-stage/stage1/run.json"),
        {**read_json(OUT / "run.json"), "key": "00000000000000bb", "study": "two-stage", "run": "stage1"},
    )
    broken(name, content)
    (bad, action), good = filing.sync()
    assert bad == str(OUT) and action.startswith("left out: ") and words in action and "\n" not in action
    assert good == ("stage1", "created")


def test_sync_ends_with_code_2_when_a_run_was_left_out(project, capsys):
    OUT.mkdir(parents=True)
    broken("run.json", b"[]")
    with pytest.raises(UserError, match="1 of 1 runs were left out: mend or delete the files that are named above"):
        sync()
    assert "left out: models/imbalance/gan-split1/run.json" in capsys.readouterr().out


def test_a_damaged_work_folder_does_not_stop_sync(finished):
    (Path(".ckpt") / "00000000000000bb").mkdir(parents=True)
    (Path(".ckpt") / "00000000000000bb" / "run.json").write_bytes(b"\xff")
    good, (bad, action) = filing.sync()
    assert good == ("gan-split1", "created") and bad.endswith("bb") and action.startswith("left out: ")


def test_a_damaged_picture_does_not_stop_the_training_that_goes_on_beside_it(finished, capsys):
    broken("samples/step-000002.png", b"no picture")
    assert filing.push(OUT) is None and "warning: the run is not filed: " in capsys.readouterr().err
    (OUT / "samples/step-000002.png").unlink()
    assert filing.push(OUT) is not None


@pytest.mark.slow
def test_four_processes_at_once_on_a_fresh_store(bare_project):
    """Four times 500 values, sent as often as may be."""
    code = "import sys; from pathlib import Path; from tracked_runs import train_run; "
    code += "train_run(Path(sys.argv[1]), range(1, 251), run=sys.argv[1], key=sys.argv[2])"
    writers = [start_python(code, f"gan-{number}", f"{number:016x}", MODESCOPE_PUSH_SECONDS="0") for number in range(4)]
    ends = [(writer.communicate(), writer.returncode) for writer in writers]
    assert [code for _, code in ends] == [0] * 4 and not any("warning" in errors for (_, errors), _ in ends), ends
    store = open_store()
    assert list(store.experiments()) == ["imbalance"]
    runs = store.client.search_runs(list(store.experiments().values()))
    assert sorted(run.info.run_name for run in runs) == [f"gan-{n}" for n in range(4)]
    ids = [run.info.run_id for run in runs]
    points = [
        (number, name, point.step)
        for number in ids
        for name in ("train/d_loss", "train/g_loss")
        for point in store.client.get_metric_history(number, name)
    ]
    assert len(points) == len(set(points)) == 2000


def test_store_and_artifacts_stand_in_the_repository_wherever_the_stage_runs(bare_project, template, monkeypatch):
    home, workspace = bare_project / "home", bare_project / "home" / ".dvc" / "tmp" / "exps" / "tmp1"
    workspace.mkdir(parents=True)
    shutil.copy(template, home / "mlflow.db")
    monkeypatch.setenv("DVC_ROOT", str(home))
    monkeypatch.chdir(workspace)
    train_run(OUT)
    assert stored_run().info.artifact_uri.startswith(str(home / "mlartifacts"))
    assert not (workspace / "mlflow.db").exists() and not (workspace / "mlruns").exists()


def test_a_database_of_another_schema_is_refused_and_left_alone(project):
    with sqlite3.connect("mlflow.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '0123456789ab'")
    database.close()
    before = sha256(Path("mlflow.db"))
    for attempt in (lambda: train_run(OUT), filing.sync, lambda: filing.read_final("imbalance", [])):
        with pytest.raises(UserError, match="has schema 0123456789ab, but mlflow .* needs .*: install"):
            attempt()
    assert sha256(Path("mlflow.db")) == before


def test_a_file_that_is_no_database_costs_a_warning(project, capsys):
    Path("mlflow.db").write_text("no database " * 100, encoding="utf-8")
    train_run(OUT)
    assert "tracking is off" in capsys.readouterr().err and (OUT / "curves.csv").exists()


def test_losing_the_database_breaks_nothing(project, template):
    train_run(OUT)
    shutil.copy(template, "other.db")
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{project / 'other.db'}"
    try:
        assert filing.push(OUT, METRICS)
        assert steps_of("train/d_loss") == [1, 2, 3, 4] and stored_run().data.tags["source"] == "restored"
    finally:
        del os.environ["MLFLOW_TRACKING_URI"]


QUIET = """
import socket, sys
def deny(*arguments, **options):
    tried.append(arguments)
    raise OSError("no network")
tried = []
socket.getaddrinfo = socket.create_connection = socket.socket.connect = socket.socket.connect_ex = deny
import time
from pathlib import Path
from tracked_runs import train_run
train_run(Path("out"))
from mlflow.telemetry.utils import is_telemetry_disabled
time.sleep(1.0)
print(is_telemetry_disabled(), tried)
"""


def test_nothing_is_sent_to_anybody(project, monkeypatch):
    for name in ("CI", "GITHUB_ACTIONS", "PYTEST_CURRENT_TEST", "MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        monkeypatch.delenv(name, raising=False)
    output, errors = start_python(QUIET).communicate()
    assert output.splitlines()[-1] == "True []", errors
