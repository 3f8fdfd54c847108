"""Bad params.yaml files, names and numbers, for tests/test_fuzz.py."""

import json
import re
from pathlib import Path
from random import Random

import fuzz
from modescope.config import load_params, profile_values, read_yaml
from modescope.config.profiles import use_profile

PROFILES = Path("profiles").resolve()
STANDARD, TEXT = profile_values("standard"), (PROFILES / "standard.yaml").read_text(encoding="utf-8")
LINES, JSON = TEXT.splitlines(), json.dumps(STANDARD)  # JSON is YAML, and written in no time
BOMB = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
WHOLE = (  # files that are wrong as a whole
    b"", b"\n", b"# nothing\n", b"just text", b"- 1\n- 2\n", b"5", b"null", b"\xff\xfe" + TEXT.encode("utf-16-le"),
    TEXT.encode("utf-16"), TEXT.encode("utf-32"), TEXT.encode() + b"# \xe9", b"\x00" * 100, bytes(range(256)),
    b"\x89PNG\r\n\x1a\n" + bytes(1000), b"x" * 1_100_000, BOMB.encode(), b"a: &a [*a]", b"a: &a {b: *a}", b"a: *b",
    b"a: " + b"[" * 3000 + b"]" * 3000, b"{a: " * 3000, b"a:\n" + b"".join(b" " * n + b"- \n" for n in range(500)),
    b"? [1]\n: 2\n", b"? {a: b}\n: 2\n", b"!!python/object/apply:os.system ['touch x']", b"%YAML 9.9\n---\na: 1",
    b"---\na: 1\n---\nb: 2\n", b"a: !!timestamp x", b"a: !!binary x", b"a: !!bool maybe", b"<<: 5", b"<<: [1]",
    b"a: \"\\ud800\"", b"a: |\n  text", b"\t", b"a: b: c", b"a:\n\t- b", b"@", b"%", b"&", b"*", b"&a", b"a: &",
    b"!", b"{",
)  # fmt: skip


def bad_yaml(random: Random) -> bytes:
    """A file that is wrong as a whole, or the standard one with damage."""
    choice = random.random()
    if choice < 0.3:
        return random.choice(WHOLE)
    if choice < 0.6:
        return fuzz.mutated(TEXT.encode(), random)
    lines, at = list(LINES), random.randrange(len(LINES))
    change = random.choice(["drop", "double", "indent", "key", "value", "anchor"])
    lines[at : at + 1] = {
        "drop": [],
        "double": [lines[at]] * 2,
        "indent": [" " * random.randrange(1, 5) + lines[at]],
        "key": [lines[at], f"{random.choice(['5', 'null', '.nan', '1.5', 'true', '2001-01-01', '? [1]'])}: 3"],
        "value": [re.sub(r": .*", lambda _: f": {random.choice(fuzz.NUMBERS)}", lines[at])],
        "anchor": [re.sub(r": .*", lambda _: f": &x [{random.choice(['*x', '*y', '1'])}]", lines[at])],
    }[change]
    return "\n".join(lines).encode()


def load(content: bytes, folder: Path, patched) -> None:
    with_profiles(folder)
    (folder / "params.yaml").write_bytes(content)
    load_params()


def restore(content: bytes, folder: Path, patched) -> None:
    """`modescope use` mends whatever params.yaml was, and a bad profile changes nothing."""
    with_profiles(folder)
    (folder / "params.yaml").write_bytes(content)
    use_profile("standard")
    assert read_yaml(folder / "params.yaml") == STANDARD
    (folder / "profiles" / "mine.yaml").write_bytes(content)
    use_profile("mine")


def with_profiles(folder: Path) -> None:
    (folder / "profiles").mkdir()
    for file in PROFILES.glob("*.yaml"):
        (folder / "profiles" / file.name).symlink_to(file)


def places(values, path=()):
    """Every name and value of nested parameters, as its path."""
    pairs = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in pairs:
        yield (*path, key)
        yield from places(value, (*path, key))


NAMED = [path for path in places(STANDARD) if isinstance(path[-1], str)]
VALUES = list(places(STANDARD))


def bad_names(random: Random) -> str:
    """The standard values with a name of somebody's in place of one, or beside it."""
    text, values = random.choice(fuzz.TEXTS), json.loads(JSON)
    *parents, last = random.choice([path for path in NAMED if path[0] in ("split", "two_stage", "cgan", "classifiers")])
    place = at(values, parents)
    if random.random() < 0.5:
        place[text] = place[last] if random.random() < 0.5 else place.pop(last)
    else:
        lists = [path for path in VALUES if isinstance(at(STANDARD, path), str)]
        *parents, last = random.choice(lists)
        at(values, parents)[last] = text
    return json.dumps(values)


def at(values, path):
    for key in path:
        values = values[key]
    return values


def bad_numbers(random: Random) -> str:
    """The standard values with something else in place of a number."""
    values = json.loads(JSON)
    *parents, last = random.choice([path for path in VALUES if isinstance(at(STANDARD, path), int | float)])
    at(values, parents)[last] = "PLACE"
    return json.dumps(values).replace('"PLACE"', random.choice(fuzz.NUMBERS))


def load_text(text: str, folder: Path, patched) -> None:
    (folder / "params.yaml").write_text(text, encoding="utf-8", errors="surrogatepass")
    load_params()
    values = read_yaml(folder / "params.yaml")
    names = [*values["split"]["counts"], *values["two_stage"]["rows"], *values["cgan"]["ours"], *values["classifiers"]]
    assert all(re.fullmatch(r"[a-zA-Z][a-zA-Z0-9._-]{0,63}", name) for name in names)


KINDS = {
    "yaml": fuzz.Kind(bad_yaml, load, 250),
    "yaml that `modescope use` mends": fuzz.Kind(bad_yaml, restore, 30, refused=0.3),
    "names": fuzz.Kind(bad_names, load_text, 200),
    "numbers": fuzz.Kind(bad_numbers, load_text, 200),
}
