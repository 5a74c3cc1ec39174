"""Tests of `pix2pix_tf.data.registry`. Every server is local, every archive tiny."""

from __future__ import annotations

import gzip
import http.server
import io
import os
import pathlib
import tarfile
import threading
import zlib

import pytest
from refusals import refused

from pix2pix_tf import errors
from pix2pix_tf.data import registry


def make_archive(members) -> bytes:
    """Returns a tar.gz of (name, content) pairs and ready-made TarInfo objects."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return buffer.getvalue()


def special(name: str, kind: bytes, linkname: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = linkname
    return info


# Random, hence incompressible: cutting the archive cuts the picture, not padding. Larger
# than the read-ahead of gzip (128 KiB), so that damage shows while copying, too.
PICTURE = os.urandom(300_000)
GOOD = [
    special("facades", tarfile.DIRTYPE),
    ("facades/train/1.jpg", PICTURE),
    ("facades/val/1.jpg", b"val"),
    ("facades/test/1.jpg", b"test"),
]


class Server:
    """What the local server answers, and what it was asked."""

    def __init__(self):
        self.body = make_archive(GOOD)
        self.status = 200
        self.missing_bytes = 0  # Promised in the header, never sent.
        self.requests = []


@pytest.fixture
def server(monkeypatch):
    """Serves `facades` from 127.0.0.1 in place of the authors' server."""
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            state.requests.append(self.path)
            self.send_response(state.status)
            self.send_header("Content-Length", str(len(state.body) + state.missing_bytes))
            self.end_headers()
            self.wfile.write(state.body)

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        state.host = f"http://127.0.0.1:{httpd.server_port}"
        monkeypatch.setattr(registry, "_HOST", state.host)
        # A proxy of the environment would be asked for 127.0.0.1 too.
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield state
        httpd.shutdown()
        thread.join()


def everything_in(folder: pathlib.Path) -> set[str]:
    """Returns what is in `folder`, at any depth, but for the lock."""
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    return found - {".facades.lock"}


def test_a_folder_is_returned_as_given_and_tilde_is_home(tmp_path, monkeypatch):
    assert registry.locate(str(tmp_path)) == tmp_path
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "mine").mkdir()
    assert registry.locate("~/mine") == tmp_path / "mine"
    with refused("~no_such_user_here", kind=errors.MissingInputError):
        registry.locate("~no_such_user_here/mine")


@pytest.mark.parametrize(
    "inside", ["train/", "A/train/", "B/val/", "trainA/", "test/A/", "records.json"]
)
def test_bare_name_is_found_in_every_layout_and_first_in_the_data_folder(
    tmp_path, monkeypatch, server, inside
):
    monkeypatch.chdir(tmp_path)
    for folder in ("facades", "data/facades"):
        path = tmp_path / folder / inside
        (path if inside.endswith("/") else path.parent).mkdir(parents=True)
        if not inside.endswith("/"):
            path.write_text("damaged")  # Which reading says better than other data would.
    assert registry.locate("facades", "elsewhere") == pathlib.Path("facades")
    assert registry.locate("./facades", "data") == pathlib.Path("facades")
    assert registry.locate("facades", "data") == pathlib.Path("data/facades")
    assert server.requests == []


@pytest.mark.parametrize("keras_home", [True, False])
def test_empty_data_dir_is_the_keras_cache(tmp_path, monkeypatch, server, keras_home):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.delenv("KERAS_HOME", raising=False)
    expected = tmp_path / ".keras" / "datasets" / "facades"
    if keras_home:
        monkeypatch.setenv("KERAS_HOME", str(tmp_path / "cache"))
        expected = tmp_path / "cache" / "datasets" / "facades"
    monkeypatch.chdir(tmp_path)
    assert registry.locate("facades") == expected
    assert (expected / "train" / "1.jpg").is_file()


@pytest.mark.parametrize(
    "given, meant",
    [
        ("facade", "facades"),
        ("MAPS", "maps"),
        ("edges2shoe", "edges2shoes"),
        ("some/other/data/facades/", "facades"),
        ("", None),
        ("zebra/crossing", None),
    ],
)
def test_what_is_not_there_gets_the_list_and_near_misses_a_suggestion(
    tmp_path, monkeypatch, given, meant
):
    monkeypatch.chdir(tmp_path)
    hint = [f"'{meant}'?"] if meant else []
    with refused(f"'{given}'", *hint, *registry.PUBLISHED, "demo", kind=errors.MissingInputError):
        registry.locate(given)


def test_a_file_is_not_a_folder(tmp_path, server):
    path = tmp_path / "data"
    path.write_bytes(b"")
    with refused(path, kind=errors.MissingInputError):
        registry.locate(str(path))
    with refused(path):
        registry.locate("facades", str(path))
    assert server.requests == []


def test_download_leaves_the_set_and_nothing_else(tmp_path, server):
    folder = registry.locate("facades", str(tmp_path / "new" / "data"))
    assert registry.locate("facades", folder.parent) == folder
    assert len(server.requests) == 1
    assert folder == tmp_path / "new" / "data" / "facades"
    assert (folder / "train" / "1.jpg").read_bytes() == PICTURE
    splits = {f"facades/{split}" for split in ("train", "val", "test")}
    assert everything_in(folder.parent) == {"facades", *splits, *(f"{x}/1.jpg" for x in splits)}


def test_concurrent_downloads_share_one(tmp_path, server):
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(registry.locate("facades", tmp_path)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [tmp_path / "facades"] * 4
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [404, None])
def test_server_error_says_how_to_do_it_by_hand(tmp_path, monkeypatch, server, status):
    server.status = status
    if status is None:  # Port 1: nobody listens.
        monkeypatch.setattr(registry, "_HOST", "http://127.0.0.1:1")
    url = registry.PUBLISHED["facades"].url
    with refused("'facades'", url, status or "", tmp_path / "facades" / "train" / "*.jpg"):
        registry.locate("facades", tmp_path)
    assert everything_in(tmp_path) == set()


def test_truncated_or_damaged_archive(tmp_path, server):
    whole = server.body
    flipped = bytearray(whole)
    flipped[10_000] ^= 0xFF
    # A sound beginning, then a block type that does not exist.
    stream = zlib.compressobj(wbits=31)
    start = stream.compress(gzip.decompress(whole)[:200_000]) + stream.flush(zlib.Z_FULL_FLUSH)
    damaged = {
        "cut in a picture": whole[:5000],
        "cut before its checksum": whole[:-8],
        "one byte changed": bytes(flipped),
        "nonsense in the middle": start + b"\xff" * 100,
        "not compressed, so nothing would show a cut": gzip.decompress(whole),
        "a web page": b"<html>Welcome to the conference network</html>",
        "wrong checksum": whole[:-8] + bytes(4) + whole[-4:],
        "another set": make_archive([("horses/trainA/1.jpg", b"x")]),
    }
    for label, server.body in damaged.items():
        with refused("facades", server.host):
            registry.locate("facades", tmp_path)
        assert everything_in(tmp_path) == set(), label
    server.body = whole
    assert (registry.locate("facades", tmp_path) / "train" / "1.jpg").is_file()


def test_a_python_that_cannot_unpack_safely_is_told_before_the_download(
    tmp_path, server, monkeypatch
):
    monkeypatch.delattr(tarfile, "data_filter")
    with refused("Python 3.", server.host, "facades"):
        registry.locate("facades", tmp_path)
    assert everything_in(tmp_path) == set()


@pytest.mark.parametrize(
    "member",
    [
        ("../evil", b"x"),
        ("facades/train/../../../evil", b"x"),
        special("facades/evil", tarfile.SYMTYPE, "../../../evil"),
        special("facades/evil", tarfile.SYMTYPE, "/etc/hostname"),
        special("facades/evil", tarfile.LNKTYPE, "/etc/hostname"),
        special("facades/evil", tarfile.FIFOTYPE),
    ],
    ids=lambda member: getattr(member, "linkname", "") or getattr(member, "name", member),
)
def test_unsafe_member_is_refused(tmp_path, server, member):
    (tmp_path / "evil").write_bytes(b"untouched")
    server.body = make_archive([*GOOD, member])
    name = member.name if isinstance(member, tarfile.TarInfo) else member[0]
    with refused("facades", server.host, name):
        registry.locate("facades", tmp_path / "data")
    assert everything_in(tmp_path) == {"evil", "data", "data/.facades.lock"}
    assert (tmp_path / "evil").read_bytes() == b"untouched"


def test_foreign_folder_is_not_touched(tmp_path, server):
    (tmp_path / "facades").mkdir()
    (tmp_path / "facades" / "notes.txt").write_text("mine")
    with refused(tmp_path / "facades", "train, val, test"):
        registry.locate("facades", str(tmp_path))
    assert server.requests == []  # Refused before the gigabytes.
    assert everything_in(tmp_path) == {"facades", "facades/notes.txt"}
