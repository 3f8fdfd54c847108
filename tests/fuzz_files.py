"""Bad files of a run, of data and of a mirror, for tests/test_fuzz.py."""

import io
import itertools
import json
import socketserver
import threading
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
import pyarrow
import pyarrow.parquet
import torch
from PIL import Image
from safetensors.torch import save

import fuzz
import small_cgans
from modescope.config import Gan, profile_values
from modescope.data import archives, sources
from modescope.data.archives import Archive, download, find, has_md5
from modescope.data.prepared import Dataset, load_prepared, save_prepared
from modescope.data.splits import BALANCED, Split, draw_split
from modescope.evaluation.loaders import load_sampler
from modescope.files import as_written, read_json, sha256
from modescope.mlflow.record import read_record
from modescope.models.upsampling_gan import build_generator
from modescope.pictures import read_picture
from modescope.runs.folder import read_rows
from modescope.runs.key import work_folder
from modescope.runs.listing import refuse_unfinished
from modescope.runs.log import RunLog
from modescope.training.checkpoints import Checkpoint, load_start
from modescope.training.meter import Meter

GAN = profile_values("demo")["imbalance"]["gan"] | {"latent_dim": 4, "width": 4}
INFO = {
    "key": "00000000000000aa", "study": "imbalance", "run": "gan-split1", "stage": "imbalance@gan-split1",
    "model": "gan", "params": {"seed": 0, "imbalance": {"gan": GAN}}, "code": "cd" * 32, "device": "cpu",
    "data": {"name": "digits-rgb", "digest": "ab" * 32, "classes": ["zero", "one"], "split": "split1", "images": 9},
    "precision": "fp32", "versions": {"python": "3.11", "torch": "2.13"}, "origin": {"user": "me", "profile": "demo"},
    "started": "2026-11-27T04:00:00.000+00:00", "ended": "2026-11-27T04:01:00.000+00:00", "seconds": 60.0,
    "status": "finished",
}  # fmt: skip
METRICS = {"fid_classifier": 12.3, "class_share": [0.1, 0.9], "warnings": ["few"], "confusion": [[1, 0], [0, 1]]}
ODD = (
    None, True, False, 0, -1, 5, 1.5, 1e308, 2**70, "", "text", "../../evil", "a\nb", "\ud800", "\x1b[2J", "x" * 5000,
    [], [None], [[]], [1, "a"], {}, {"a": None}, {"": {}}, {"a": {"b": [1]}}, "2026-99-99", "nan", "-1", "$(touch x)",
)  # fmt: skip
NO_JSON = (
    b"", b"{", b"[]", b"null", b"3", b"NaN", b'{"a": NaN}', b'"text"', b"\xff\xfe{}", b"{}" * 2, b"[" * 5000, b"\x00",
    b'{"a": ' * 990 + b"1" + b"}" * 990, b"9" * 5000, b'{"key": 1, "key": 2}', b"\x89PNG\r\n\x1a\n", b"{'a': 1}",
)  # fmt: skip


def places(value, path=()):
    """The path of every value inside nested objects and lists."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield (*path, key)
        yield from places(inner, (*path, key))


def bad_json(content: dict, random: Random) -> bytes:
    """No JSON, JSON with damaged bytes, or an object in which a value is missing or another."""
    choice, changed = random.random(), json.loads(json.dumps(content))
    if choice < 0.2:
        return random.choice(NO_JSON)
    if choice < 0.4:
        return fuzz.mutated(json.dumps(content).encode(), random)
    for *parents, last in random.choices(list(places(content)), k=random.choice([1, 1, 3])):
        place = changed
        try:
            for key in parents:
                place = place[key]
            if random.random() < 0.3:
                del place[last]
            else:
                place[last] = random.choice(ODD)
        except (LookupError, TypeError):  # an earlier change has taken it away
            pass
    return json.dumps(changed).encode()


@cache
def weights() -> bytes:
    """Of an untrained GAN as INFO describes it."""
    torch.manual_seed(0)
    state = build_generator(Gan(**GAN), channels=3).state_dict()
    return save({f"generator.{name}": value for name, value in state.items()})


def a_run(folder: Path, record: bytes) -> Path:
    """A run's folder with this run.json and good weights."""
    place = folder / "models" / "imbalance" / "gan-split1"
    place.mkdir(parents=True)
    (place / "run.json").write_bytes(record)
    (place / "model.safetensors").write_bytes(weights())
    return place


def use_run(content: bytes, folder: Path, patched) -> None:
    """It is sampled and read for MLflow; as the record of a run that is under way it is listed and gone on with."""
    place = a_run(folder, content)
    (folder / ".ckpt" / "aa").mkdir(parents=True)
    (folder / ".ckpt" / "aa" / "run.json").write_bytes(content)
    reader = len(content) % 3
    if reader == 0:
        read_record(place, METRICS)
    elif reader == 1:
        load_sampler(place).sample(1, 0)
    else:
        refuse_unfinished("none")


def use_metrics(content: bytes, folder: Path, patched) -> None:
    (folder / "metrics.json").write_bytes(content)
    read_record(a_run(folder, json.dumps(INFO).encode()), read_json(folder / "metrics.json"))


def bad_curves(random: Random) -> tuple[str, bytes]:
    """A table of a finished run, or the lines of one under way."""
    if random.random() < 0.5:
        return "curves.csv", fuzz.mutated(b"step,train/loss,eval/loss\n10,0.5,\n20,0.25,1e-3\n30,nan,inf\n", random)
    lines = [{"step": step, "train/loss": step / 7} for step in range(1, 9)]
    at = random.randrange(len(lines))
    text = [json.dumps(line).encode() for line in lines]
    text[at] = random.choice([bad_json(lines[at], random), fuzz.mutated(text[at], random)])
    return "curves.jsonl", b"\n".join(text)


def use_curves(given: tuple[str, bytes], folder: Path, patched) -> None:
    """They are read for MLflow, and gone on with."""
    name, content = given
    place = a_run(folder, json.dumps(INFO).encode())
    (place / name).write_bytes(content)
    read_record(place)
    patched.chdir(folder)
    work = work_folder(INFO)
    work.mkdir(parents=True)
    (work / name).write_bytes(content)
    with RunLog(INFO, work, lambda *_, **__: None) as log:
        log.rewind(4)
        log.finish(folder / "models" / "done")
    assert all(isinstance(step, int) for step in read_rows(folder / "models" / "done"))


def bad_weights(random: Random) -> tuple[bytes, bool]:
    """Damaged bytes, or tensors of other names, shapes, types and values; and whether run.json names the good ones."""
    if random.random() < 0.4:
        return fuzz.mutated(weights(), random), random.random() < 0.5
    state = build_generator(Gan(**GAN), channels=3).state_dict()
    tensors = {f"generator.{name}": value for name, value in state.items()}
    name = random.choice(list(tensors))
    other = [torch.zeros(3), torch.zeros(0), tensors[name] * torch.nan, tensors[name].double(), torch.tensor(2**40)]
    other += [tensors[name].flatten(), torch.full_like(tensors[name].float(), 3e38), torch.zeros(1, dtype=torch.bool)]
    change = random.choice(["drop", "other", "extra", "none", "prior"])
    if change == "drop":
        del tensors[name]
    elif change == "prior":
        tensors[f"prior.{random.choice(['num_classes', 'means', 'variance', 'class_share'])}"] = random.choice(
            other
        ).clone()
    elif change != "none":
        tensors[name if change == "other" else "extra"] = random.choice(other).clone()
    return save({} if change == "none" else tensors), random.random() < 0.3


def use_weights(given: tuple[bytes, bool], folder: Path, patched) -> None:
    content, is_named = given
    place = a_run(folder, b"{}")
    named = {"weights_sha256": sha256(place / "model.safetensors")} if is_named else {}
    (place / "run.json").write_text(json.dumps(INFO | named), encoding="utf-8")
    (place / "model.safetensors").write_bytes(content)
    load_sampler(place).sample(2, 0)


@cache
def checkpoint() -> bytes:
    """What a training of study 3 leaves."""
    objective, file = small_cgans.training().objective, io.BytesIO()
    for phase in objective.phases:
        for weight in phase.module.parameters():
            weight.grad = torch.zeros_like(weight)
        phase.optimizer.step()
    with_state = Checkpoint(Path("unused"), hyperparameters={"loss": "bce"})
    torch.save(with_state.state(objective, 3, Meter()), file)
    return file.getvalue()


def bad_checkpoint(random: Random) -> bytes:
    """Damaged bytes, or a state that lacks something or has another thing in its place."""
    if random.random() < 0.6:
        return fuzz.mutated(checkpoint(), random)
    state = torch.load(io.BytesIO(checkpoint()), weights_only=True)
    *parents, last = random.choice([path for path in places(state) if len(path) < 4])
    place = state
    for key in parents:
        place = place[key]
    if random.random() < 0.4:
        del place[last]
    else:
        place[last] = random.choice(
            [None, -5, "three", 1e300, [], {}, torch.zeros(2), torch.zeros(0), [1, 2], {"a": 1}]
        )
    torch.save(state, file := io.BytesIO())
    return file.getvalue()


def begin_with(content: bytes, folder: Path, patched) -> None:
    (folder / "some.pt").write_bytes(content)
    load_start(folder / "some.pt", {"loss": "bce"}, 9)


def go_on(content: bytes, folder: Path, patched) -> None:
    """A damaged checkpoint of a run's own is put aside, never lost; training starts over, or does so the next time."""
    (folder / "work").mkdir()
    (folder / "work" / "checkpoint.pt").write_bytes(content)
    try:
        Checkpoint(folder / "work").restore(small_cgans.training().objective, Meter())
    finally:
        kept = [*(folder / "work").iterdir(), *folder.glob(".dvc/tmp/aside/*/*")]
        assert [file.read_bytes() for file in kept] == [content]


DATA = Dataset("digits-rgb", "digits", torch.zeros(12, 1, 4, 4, dtype=torch.uint8), torch.arange(12) % 3, tuple("abc"))


def bad_data(random: Random) -> bytes:
    """Prepared data with damaged bytes, or with other tensors."""
    if random.random() < 0.5:
        save_prepared(DATA, path := Path("data.safetensors"), "train")
        return fuzz.mutated(path.read_bytes(), random)
    others = [torch.zeros(12), torch.zeros(0), torch.full((12,), 3), torch.full((12,), -1), torch.zeros(12, 1, 4, 4)]
    tensors = {"images": DATA.images, "labels": DATA.labels, random.choice(["images", "labels"]): random.choice(others)}
    about = {"name": "x", "source": "y", "classes": random.choice(['["a", "b", "c"]', "[]", "{", "3", '"abc"'])}
    return save(tensors, about)


def use_data(content: bytes, folder: Path, patched) -> None:
    (folder / "train.safetensors").write_bytes(content)
    found = load_prepared(folder / "train.safetensors")
    draw_split(found.labels, found.classes, None, 0).select(found)


SPLIT = {
    "name": BALANCED,
    "classes": list("abc"),
    "counts": [4, 4, 4],
    "seed": 0,
    "indices": list(range(12)),
    "rho": 2.0,
}


def use_split(content: bytes, folder: Path, patched) -> None:
    (folder / "split.json").write_bytes(content)
    Split.load(folder / "split.json").select(DATA)


@cache
def picture(kind: str = "PNG", pixels: int = 32) -> bytes:
    Image.fromarray(np.arange(pixels**2 * 3, dtype=np.uint8).reshape(pixels, pixels, 3)).save(
        file := io.BytesIO(), kind
    )
    return file.getvalue()


def bad_picture(random: Random) -> bytes:
    """A damaged picture, one of another kind, or a header that promises too much."""
    whole = picture(random.choice(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]), random.choice([1, 31, 32]))
    if random.random() < 0.3:
        sizes = [random.choice([0, 1, 32, 10_000, 60_000, 2**31 - 1]).to_bytes(4, "big") for _ in range(2)]
        return picture()[:16] + b"".join(sizes) + picture()[24:]
    return random.choice([b"", b"text", fuzz.mutated(whole, random)])


def use_picture(content: bytes, folder: Path, patched) -> None:
    (folder / "step-000500.png").write_bytes(content)
    with as_written(folder / "step-000500.png"):
        assert np.asarray(read_picture(folder / "step-000500.png")).size <= 3 * 32 * 32


def bad_parquet(random: Random) -> bytes:
    """CIFAR-10's layout with damaged bytes, a bad picture, or columns of other types."""
    pictures, labels = [{"bytes": picture(), "path": None} for _ in range(10)], list(range(10))
    change = random.choice(["bytes", "picture", "picture", "column", "label"])
    if change == "picture":
        pictures[random.randrange(10)]["bytes"] = bad_picture(random)
    columns = {"img": pictures, "label": labels}
    if change in ("column", "label"):
        others = [["a"] * 10, [None] * 10, [[1]] * 10, [0.5] * 10, [{"bytes": "text"}] * 10, [{"bytes": None}] * 10]
        columns["img" if change == "column" else "label"] = random.choice([*others, [2**40] * 10, [b"bare"] * 10])
    pyarrow.parquet.write_table(pyarrow.table(columns), file := io.BytesIO())
    return fuzz.mutated(file.getvalue(), random) if change == "bytes" else file.getvalue()


def use_parquet(content: bytes, folder: Path, patched) -> None:
    patched.setenv("MODESCOPE_MIRROR", "mirror")
    patched.setattr(sources, "CIFAR10_ROWS", {"train": 10})
    (folder / "mirror" / "cifar10").mkdir(parents=True)
    (folder / "mirror" / "cifar10" / "train.parquet").write_bytes(content)
    assert sources.fetch("cifar10")["train"].images.shape == (10, 3, 32, 32)


CONTENT = b"the official bytes" * 10
WANTED = Archive("mnist/some.gz", len(CONTENT), has_md5("3" * 32))
NOWHERE = "http://127.0.0.1:9/"


def bad_mirror(random: Random) -> str:
    """No name is ever looked up: a test needs no network."""
    schemes = ["http://", "https://", "HTTP://", "http:/", "http:", "ftp://", "file://", "s3://", "//", "", "http:///"]
    hosts = [
        "127.0.0.1:9",
        "[::1]:9",
        "[::1",
        "::1]",
        "127.0.0.1:99999",
        "127.0.0.1:x",
        "127.0.0.1:-1",
        "127.0.0.1:0",
        "",
    ]
    hosts += ["me:pass@127.0.0.1:9", "me:p@ss@127.0.0.1:9", "@127.0.0.1:9", ":@127.0.0.1:9", "a" * 70, "\u2100", "a b"]
    paths = ["", "/", "/a b", "/ü", "/%", "/%zz", "/a?b#c", "/..", "/../..", "\\", "\x7f", "//x", "~nouser"]
    return random.choice(schemes) + random.choice(hosts) + random.choice([*paths, *fuzz.TEXTS]).replace("\0", "")


def use_mirror(value: str, folder: Path, patched) -> None:
    patched.setattr(archives, "say", lambda line: None)  # that one source fails, before the last does
    patched.setattr(archives, "TIMEOUT_SECONDS", 0.5)
    patched.setenv(
        "MODESCOPE_MIRROR", value.encode("utf-8", "surrogateescape" if value.isascii() else "replace").decode()
    )
    find(WANTED)
    download(WANTED, [NOWHERE])


@cache
def server() -> socketserver.ThreadingTCPServer:
    """Answers every request with its `answer` and closes the connection."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            for _ in itertools.takewhile(lambda line: line not in (b"\r\n", b""), iter(self.rfile.readline, None)):
                pass
            self.wfile.write(self.server.answer)

    made = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    made.daemon_threads = True
    threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
    return made


def bad_answer(random: Random) -> bytes:
    """What a broken server says."""
    status = random.choice([b"200 OK", b"200", b"301 Moved", b"302 Found", b"403 No", b"404 No", b"500 \xff", b"999 X"])
    fields = [b"Content-Length: 180", b"Content-Length: 9", b"Content-Length: -1", b"Content-Length: x", b"Location: /"]
    fields += [
        b"Transfer-Encoding: chunked",
        b"Location: ftp://127.0.0.1:9/x",
        b"Location: file:///etc/passwd",
        b"A" * 70_000,
    ]
    fields += [
        b"Location: http://[::1",
        b"Content-Encoding: gzip",
        b"WWW-Authenticate: Basic realm=x",
        b": x",
        b"\xff: \xff",
    ]
    head = b"\r\n".join([b"HTTP/1.1 " + status, *random.sample(fields, random.randrange(3)), b"Connection: close"])
    whole = head + b"\r\n\r\n" + random.choice([CONTENT, CONTENT * 2, b"", b"zz\r\n", b"5\r\nhello\r\n0\r\n\r\n"])
    return fuzz.mutated(whole, random) if random.random() < 0.4 else whole


def use_answer(answer: bytes, folder: Path, patched) -> None:
    server().answer = answer
    use_mirror(f"http://127.0.0.1:{server().server_address[1]}", folder, patched)


KINDS = {
    "run.json": fuzz.Kind(lambda random: bad_json(INFO, random), use_run, 240, refused=0.3),
    "metrics": fuzz.Kind(lambda random: bad_json(METRICS, random), use_metrics, 100, refused=0.3),
    "curves": fuzz.Kind(bad_curves, use_curves, 100, refused=0.1),
    "weights": fuzz.Kind(bad_weights, use_weights, 150),
    "checkpoints": fuzz.Kind(bad_checkpoint, begin_with, 80),
    "a run's own checkpoint": fuzz.Kind(bad_checkpoint, go_on, 40, refused=0.05),
    "prepared data": fuzz.Kind(bad_data, use_data, 100),
    "splits": fuzz.Kind(lambda random: bad_json(SPLIT, random), use_split, 100),
    "pictures": fuzz.Kind(bad_picture, use_picture, 100),
    "parquet": fuzz.Kind(bad_parquet, use_parquet, 100),
    "mirrors": fuzz.Kind(bad_mirror, use_mirror, 150, refused=1.0),
    "answers of a mirror": fuzz.Kind(bad_answer, use_answer, 100, refused=0.9),
}
