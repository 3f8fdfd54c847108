import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from modescope.data import archives
from modescope.errors import UserError

NAME = "mnist/some.gz"
CONTENT = b"the official bytes" * 100
MD5 = hashlib.md5(CONTENT).hexdigest()
CLOSED = "http://127.0.0.1:9"
check = archives.has_md5(MD5)


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """Where the cache keeps the file; there is no mirror yet."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("MODESCOPE_MIRROR", raising=False)
    return tmp_path / "data" / "raw" / NAME


@pytest.fixture
def serve():
    """Start a mirror that answers with the given bodies, one after the other (None: 404; the last one stays); returns
    its URL.
    """
    servers = []

    def start(*bodies):
        answers = list(bodies)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                body = answers.pop(0) if len(answers) > 1 else answers[0]
                found = body is not None and self.path == f"/{NAME}"
                self.send_response(200 if found else 404)
                self.send_header("Content-Length", str(len(CONTENT)) if found else "0")
                self.end_headers()
                self.wfile.write(body if found else b"")

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def _put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_nothing_is_found_without_mirror_and_cache(cached):
    assert archives.find(NAME, check) is None


@pytest.mark.parametrize("is_relative", [True, False])
def test_a_folder_mirror_is_read_in_place(cached, tmp_path, monkeypatch, is_relative):
    monkeypatch.setenv("MODESCOPE_MIRROR", "mirror" if is_relative else str(tmp_path / "mirror"))
    path = _put(tmp_path / "mirror" / NAME, CONTENT)
    assert archives.find(NAME, check) == path
    assert not cached.exists()


def test_an_altered_file_of_a_folder_mirror_is_named_and_left_alone(cached, tmp_path, monkeypatch):
    monkeypatch.setenv("MODESCOPE_MIRROR", str(tmp_path))
    path = _put(tmp_path / NAME, CONTENT[:-1])
    with pytest.raises(UserError, match=f"{path} is truncated or altered .*expected {MD5}"):
        archives.find(NAME, check)
    assert path.read_bytes() == CONTENT[:-1]


def test_a_mirror_folder_that_does_not_exist_is_refused(cached, monkeypatch):
    monkeypatch.setenv("MODESCOPE_MIRROR", "nowhere")
    with pytest.raises(UserError, match="MODESCOPE_MIRROR=nowhere: .* is no folder.*`modescope use demo`"):
        archives.find(NAME, check)


def test_a_url_mirror_fills_the_cache(cached, monkeypatch, serve):
    monkeypatch.setenv("MODESCOPE_MIRROR", serve(CONTENT) + "/")
    assert archives.find(NAME, check) == cached
    assert cached.read_bytes() == CONTENT
    monkeypatch.setenv("MODESCOPE_MIRROR", CLOSED)
    assert archives.find(NAME, check) == cached


def test_what_need_not_be_kept_is_fetched_again(cached, monkeypatch, serve):
    monkeypatch.setenv("MODESCOPE_MIRROR", serve(CONTENT))
    _put(cached, b"older")
    assert archives.find(NAME, lambda path: None, keep=False).read_bytes() == CONTENT


@pytest.mark.parametrize(("url", "is_said"), [("missing", False), (CLOSED, True)])
def test_a_url_mirror_without_the_file_is_passed_over(cached, monkeypatch, serve, capsys, url, is_said):
    monkeypatch.setenv("MODESCOPE_MIRROR", serve(None) if url == "missing" else url)
    assert archives.find(NAME, check) is None
    assert ("out of reach" in capsys.readouterr().err) is is_said


def test_a_damaged_cached_file_is_deleted_said_and_fetched_again(cached, monkeypatch, serve, capsys):
    monkeypatch.setenv("MODESCOPE_MIRROR", serve(CONTENT))
    _put(cached, CONTENT[:100])
    assert archives.find(NAME, check).read_bytes() == CONTENT
    said = capsys.readouterr().err
    assert f"{cached} was truncated or altered" in said and "deleted, fetching it again" in said


@pytest.mark.parametrize("damaged", [CONTENT[:500], CONTENT.replace(b"official", b"0fficial")])
def test_a_damaged_download_is_fetched_once_more(cached, serve, capsys, damaged):
    url = f"{serve(damaged, CONTENT)}/{NAME}"
    assert archives.download(NAME, check, [url]) == cached
    assert cached.read_bytes() == CONTENT
    assert f"{url} arrived truncated or altered" in capsys.readouterr().err


def test_a_download_damaged_twice_is_an_error_and_leaves_nothing(cached, serve):
    with pytest.raises(UserError, match=f"arrived truncated or altered twice .*expected {MD5}"):
        archives.download(NAME, check, [f"{serve(CONTENT[:500])}/{NAME}"])
    assert list(cached.parent.iterdir()) == []


def test_the_next_url_is_tried_when_one_is_out_of_reach(cached, serve):
    assert archives.download(NAME, check, [f"{CLOSED}/{NAME}", f"{serve(CONTENT)}/{NAME}"]) == cached


@pytest.mark.parametrize(
    ("mirror", "searched"), [(None, "no mirror is set"), ("mirror", "the mirror .* does not hold it")]
)
def test_no_mirror_and_no_network_names_both_ways_out(cached, tmp_path, monkeypatch, mirror, searched):
    if mirror:
        (tmp_path / mirror).mkdir()
        monkeypatch.setenv("MODESCOPE_MIRROR", mirror)
    with pytest.raises(
        UserError, match=f"cannot fetch {NAME}: {searched}.*MODESCOPE_MIRROR.*`modescope use demo`"
    ) as error:
        archives.download(NAME, check, [f"{CLOSED}/{NAME}"])
    assert "\n" not in str(error.value)
    assert not cached.exists()
