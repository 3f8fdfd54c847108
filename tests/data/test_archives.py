import hashlib
import itertools
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from modescope.data import archives
from modescope.data.archives import Archive, download, find, has_md5
from modescope.errors import UserError

NAME = "mnist/some.gz"
CONTENT = b"the official bytes" * 100
MD5 = hashlib.md5(CONTENT).hexdigest()
CLOSED = "http://127.0.0.1:9"
FILE = Archive(NAME, len(CONTENT), has_md5(MD5))


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """Where the cache keeps the file; there is no mirror yet."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("MODESCOPE_MIRROR", raising=False)
    return tmp_path / "data" / "raw" / NAME


@pytest.fixture
def running():
    """Run a class of servers with a class of handlers until the test ends; returns its URL."""
    servers = []

    def start(kind, handler):
        server = kind(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def serve(running):
    """Start a mirror that answers with the given bodies, one after the other (None: 404; the last one stays); returns
    its URL.
    """

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

        return running(ThreadingHTTPServer, Handler)

    return start


def _put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_nothing_is_found_without_mirror_and_cache(cached):
    assert find(FILE) is None


@pytest.mark.parametrize("is_relative", [True, False])
def test_a_folder_mirror_is_read_in_place(cached, tmp_path, monkeypatch, is_relative):
    monkeypatch.setenv("MODESCOPE_MIRROR", "mirror" if is_relative else str(tmp_path / "mirror"))
    path = _put(tmp_path / "mirror" / NAME, CONTENT)
    assert find(FILE) == path
    assert not cached.exists()


def test_an_altered_file_of_a_folder_mirror_is_named_and_left_alone(cached, tmp_path, monkeypatch):
    monkeypatch.setenv("MODESCOPE_MIRROR", str(tmp_path))
    path = _put(tmp_path / NAME, CONTENT[:-1])
    with pytest.raises(UserError, match=f"{path} is truncated or altered .*expected {MD5}"):
        find(FILE)
    assert path.read_bytes() == CONTENT[:-1]


def test_a_mirror_folder_that_does_not_exist_is_refused(cached, monkeypatch):
    monkeypatch.setenv("MODESCOPE_MIRROR", "nowhere")
    with pytest.raises(UserError, match="MODESCOPE_MIRROR=nowhere: .* is no folder.*`modescope use demo`"):
        find(FILE)


def test_a_url_mirror_fills_the_cache(cached, monkeypatch, serve):
    monkeypatch.setenv("MODESCOPE_MIRROR", serve(CONTENT) + "/")
    assert find(FILE) == cached
    assert cached.read_bytes() == CONTENT
    monkeypatch.setenv("MODESCOPE_MIRROR", CLOSED)
    assert find(FILE) == cached


def test_what_need_not_be_kept_is_fetched_again(cached, monkeypatch, serve):
    monkeypatch.setenv("MODESCOPE_MIRROR", serve(CONTENT))
    _put(cached, b"older")
    assert find(FILE._replace(fault=lambda path: None), keep=False).read_bytes() == CONTENT


@pytest.mark.parametrize(("url", "is_said"), [("missing", False), (CLOSED, True)])
def test_a_url_mirror_without_the_file_is_passed_over(cached, monkeypatch, serve, capsys, url, is_said):
    monkeypatch.setenv("MODESCOPE_MIRROR", serve(None) if url == "missing" else url)
    assert find(FILE) is None
    assert ("out of reach" in capsys.readouterr().err) is is_said


def test_a_damaged_cached_file_is_deleted_said_and_fetched_again(cached, monkeypatch, serve, capsys):
    monkeypatch.setenv("MODESCOPE_MIRROR", serve(CONTENT))
    _put(cached, CONTENT[:100])
    assert find(FILE).read_bytes() == CONTENT
    said = capsys.readouterr().err
    assert f"{cached} was truncated or altered" in said and "deleted, fetching it again" in said


@pytest.mark.parametrize("damaged", [CONTENT[:500], CONTENT.replace(b"official", b"0fficial")])
def test_a_damaged_download_is_fetched_once_more(cached, serve, capsys, damaged):
    url = f"{serve(damaged, CONTENT)}/{NAME}"
    assert download(FILE, [url]) == cached
    assert cached.read_bytes() == CONTENT
    assert f"{url} arrived truncated or altered" in capsys.readouterr().err


def test_a_download_damaged_twice_is_an_error_and_leaves_nothing(cached, serve):
    with pytest.raises(UserError, match=f"arrived truncated or altered twice .*expected {MD5}"):
        download(FILE, [f"{serve(CONTENT[:500])}/{NAME}"])
    assert list(cached.parent.iterdir()) == []


def test_the_next_url_is_tried_when_one_is_out_of_reach(cached, serve):
    assert download(FILE, [f"{CLOSED}/{NAME}", f"{serve(CONTENT)}/{NAME}"]) == cached


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
        download(FILE, [f"{CLOSED}/{NAME}"])
    assert "\n" not in str(error.value)
    assert not cached.exists()


@pytest.fixture
def answering(running):
    """Start a server that gives every request the parts of `answer(request)`, a pause after each; returns its URL."""

    def start(answer, pause=0.0):
        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                request = b"".join(iter(self.rfile.readline, b"\r\n")).decode()
                try:
                    for part in answer(request):
                        self.wfile.write(part)
                        time.sleep(pause)
                except OSError:  # the client has gone
                    pass

        return running(socketserver.ThreadingTCPServer, Handler)

    return start


OK = b"HTTP/1.1 200 OK\r\n"
ENDLESS = {
    "body": lambda _: itertools.chain([OK + b"\r\n"], itertools.repeat(b"x")),
    "sized body": lambda _: itertools.chain([OK + b"Content-Length: 1800\r\n\r\n"], itertools.repeat(b"x")),
    "chunk": lambda _: itertools.chain([OK + b"Transfer-Encoding: chunked\r\n\r\n"], itertools.repeat(b"0")),
    "headers": lambda _: itertools.chain([OK], itertools.repeat(b"x")),
    "promises": lambda _: itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.parametrize("answer", ENDLESS.values(), ids=ENDLESS)
def test_a_mirror_that_trickles_is_given_up(cached, monkeypatch, answering, capsys, answer):
    monkeypatch.setattr(archives, "GRACE_SECONDS", 0.2)
    monkeypatch.setenv("MODESCOPE_MIRROR", answering(answer, pause=0.02))
    began = time.monotonic()
    assert find(FILE) is None and time.monotonic() - began < 2
    assert "out of reach (less than 20,000 bytes a second come), trying the next source" in capsys.readouterr().err
    assert list(cached.parent.iterdir()) == []


def test_a_mirror_that_never_ends_is_cut_off_at_the_size_of_the_file(cached, answering):
    url = answering(lambda _: itertools.chain([OK + b"\r\n"], itertools.repeat(b"x" * 10_000)))
    with pytest.raises(UserError, match=r"arrived truncated or altered twice \(it has more than 1,800 bytes\)"):
        download(FILE, [f"{url}/{NAME}"])
    assert list(cached.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "HTTP Error 403: Forbidden"),
        (b"HTTP/1.1 503 Busy\r\n\r\n", "HTTP Error 503: Busy"),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", "HTTP Error 302: .*infinite loop"),
        (b"garbage\r\n", "garbage"),
        (b"", "Remote end closed connection without response"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "IncompleteRead"),
    ],
)
def test_a_mirror_that_fails_is_not_said_to_lack_the_file(cached, monkeypatch, answering, capsys, answer, reason):
    monkeypatch.setenv("MODESCOPE_MIRROR", answering(lambda _: [answer]))
    assert find(FILE) is None
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(UserError, match=rf"the mirror .* is out of reach \(.*{reason}.*\) and the network") as error:
        download(FILE, [f"{CLOSED}/{NAME}"])
    assert "\n" not in str(error.value) and "does not hold" not in str(error.value)


@pytest.mark.parametrize(
    "mirror",
    ["http://[::1", "http://", "https:///x", "http://h:99999", "http://h:x", "http://a\u2100b", f"http://{'a' * 70}.b"]
    + ["http://u:secret@\u2100", "HTTP://h\x7f", "ftp://h/x", "file:///x", "~nouser/x", "a" * 300, "a/" * 3000],
)
def test_a_mirror_of_an_odd_form_is_one_line(cached, monkeypatch, mirror):
    monkeypatch.setenv("MODESCOPE_MIRROR", mirror)
    with pytest.raises(UserError, match="MODESCOPE_MIRROR=.* is no (folder|URL).*`modescope use demo`") as error:
        find(FILE)
    assert "\n" not in str(error.value) and "secret" not in str(error.value)


def test_a_mirrors_password_is_sent_to_it_and_to_no_other_server(cached, monkeypatch, answering, capsys):
    requests = []

    def content(request):
        requests.append(request)
        return [OK + b"\r\n", CONTENT]

    other = answering(content)
    first = answering(
        lambda request: requests.append(request) or [f"HTTP/1.1 302 Found\r\nLocation: {other}\r\n\r\n".encode()]
    )
    monkeypatch.setenv("MODESCOPE_MIRROR", first.replace("//", "//me:p%40ss@") + "/a folder?sig=x")
    assert find(FILE) == cached
    assert (
        requests[0].startswith(f"GET /a%20folder/{NAME}?sig=x ") and "Authorization: Basic bWU6cEBzcw==" in requests[0]
    )
    assert len(requests) == 2 and "Authorization" not in requests[1]


def test_the_password_of_a_mirror_that_fails_is_masked(cached, monkeypatch, capsys):
    monkeypatch.setenv("MODESCOPE_MIRROR", CLOSED.replace("//", "//me:secret@"))
    assert find(FILE) is None
    with pytest.raises(UserError) as error:
        download(FILE, [f"{CLOSED}/{NAME}"])
    said = capsys.readouterr().err + str(error.value)
    assert said.count("http://me:***@127.0.0.1:9") == 2 and "secret" not in said
