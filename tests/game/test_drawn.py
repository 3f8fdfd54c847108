"""`modescope play --file`: what a person won on the page becomes a run."""

import base64
import json
import socket
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.request import urlopen

import pytest
import yaml

from modescope.config import profile_values
from modescope.errors import UserError
from modescope.files import read_json
from modescope.mlflow.record import read_record
from modescope.runs.listing import finished_runs
from modescope.scoring import drawn
from modescope.scoring.play import play
from small_runs import CLASSES

STANDARD = profile_values("standard")
ODDS = (
    (3.0, 1.0, 7),
    (-2.0, 4.0, 1),
    (5.0, 4.5, 7),
)  # of the person, of the generator, and what the person's is read as


def drawing(odds: float, read: int, level: int) -> dict:
    return {"log_odds": odds, "read": read, "pixels": base64.b64encode(bytes([level]) * 784).decode()}


@pytest.fixture
def result() -> dict:
    rounds = [
        {"digit": 7, "yours": drawing(yours, read, 10), "theirs": drawing(theirs, 7, 200)}
        for yours, theirs, read in ODDS
    ]
    return {
        "format": "modescope-game",
        "version": 1,
        "started": "2026-11-27T13:00:00.000Z",
        "seconds": 2,
        "against": "generator",
        "data": "digits",
        "classes": CLASSES,
        "side": 28,
        "runs": {"judge": {"run": "grey-judge", "key": "00000000000000bb"}},
        "rounds": rounds,
    }


@pytest.fixture(autouse=True)
def pushed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(yaml.safe_dump(STANDARD), encoding="utf-8")
    calls = []
    monkeypatch.setattr(drawn, "push", lambda folder, *given, **_: calls.append((folder, *given)))
    return calls


def file(result: object, name: str | None = None) -> None:
    Path("me.json").write_text(result if isinstance(result, str) else json.dumps(result), encoding="utf-8")
    play(file=Path("me.json"), name=name)


def test_a_result_is_filed_as_a_run_of_study_3(result, pushed, capsys):
    file(result)
    assert "me: 2 of 3 rounds won, mean margin -1.17" in capsys.readouterr().out
    out, metrics = Path("data/scored/cgan/me"), read_json(Path("metrics/cgan/me.json"))
    assert pushed[-1] == (out, metrics) and out in finished_runs(Path())
    assert (metrics["won"], metrics["rounds"], metrics["human_accuracy"], metrics["opponent_accuracy"]) == (
        2,
        3,
        2 / 3,
        1,
    )
    assert metrics["margin"] == pytest.approx((2 - 6 + 0.5) / 3) and metrics["human_log_odds"] == pytest.approx(2)
    record = read_record(out, metrics)
    assert (record.study, record.run, record.status) == ("cgan", "me", "FINISHED")
    assert record.curves["margin"] == [(1, 2.0), (2, -6.0), (3, 0.5)] and ("drawings", 0) in record.images
    assert record.params["runs.judge.key"] == "00000000000000bb" and record.finals["final/won"] == 2
    assert "modescope sample" not in record.tags["mlflow.note.content"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "`version` = 2"),
        ({"rounds": []}, "`rounds`"),
        ({"side": 27}, "pixels of another number than 27 x 27"),
        ({"classes": ["zero", "one"]}, "a digit other than those of 2 classes"),
        ({"seconds": float("nan")}, "`seconds`"),
        ({"more": 1}, "unknown key `more`"),
    ],
)
def test_what_is_no_result_is_refused_and_leaves_nothing(result, change, message):
    with pytest.raises(UserError, match="me.json is no result of the game") as refused:
        file(result | change)
    assert message in str(refused.value) and "\n" not in str(refused.value)
    assert sorted(path.name for path in Path().iterdir()) == ["me.json", "params.yaml"]


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000, '{"format": "modescope-game"'])
def test_another_file_is_refused(text):
    with pytest.raises(UserError, match="me.json is no result of the game"):
        file(text)


def test_a_name_of_the_pipelines_own_and_a_missing_file_are_refused(result):
    with pytest.raises(UserError, match="cgan-ours is a run of the pipeline's own"):
        file(result, "cgan-ours")
    with pytest.raises(UserError, match="none.json cannot be read"):
        play(file=Path("none.json"))


def test_a_page_that_is_not_there_says_what_makes_it():
    with pytest.raises(UserError, match="reports/game.html is missing: `dvc repro game` makes it"):
        play(port=8080, host="127.0.0.1")


def test_the_page_is_served_at_the_address_that_is_printed(monkeypatch, capsys):
    Path("reports").mkdir()
    Path("reports/game.html").write_text("the page", encoding="utf-8")

    def answer_once(server: ThreadingHTTPServer) -> None:
        Thread(target=server.handle_request).start()
        address = capsys.readouterr().out.split()[4]
        with urlopen(address) as answer:
            print(answer.read().decode())

    monkeypatch.setattr(ThreadingHTTPServer, "serve_forever", answer_once)
    play(port=0)
    assert capsys.readouterr().out == "the page\n"


def test_a_port_that_is_taken_is_refused():
    Path("reports").mkdir()
    Path("reports/game.html").touch()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(UserError, match="is refused .*: choose another port"):
            play(port=other.getsockname()[1])
