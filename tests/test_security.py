"""What strangers' files, lists and words may not do. Archives: test_prepare; cells: test_merge; Ray's doors: test_ray;
damaged files: test_fuzzed."""

from __future__ import annotations

import ast
import hashlib
import http.server
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import requests

from harness.campaign import ray_executor
from harness.campaign.ray_executor import Cluster
from harness.campaign.tracking import server as mlflow_server
from harness.cli.boards import board_text
from harness.cli.main import main
from harness.data import load_dataset
from harness.dataset import Archive
from harness.discovery import dataset_names, load_dataset_source
from harness.download import download
from harness.errors import MissingError, RequestError
from harness.publish import draw
from harness.record import Part, write_record
from harness.submission import Submission, write_submission
from tests.made_images import fake
from tests.made_records import made, shown_by
from tests.test_discovery import PLUGIN

ROOT = Path(__file__).parents[1]
SOURCES = [
    *(
        file
        for folder in ("harness", "methods", "protocols")
        for file in sorted((ROOT / folder).rglob("*.py"))
    ),
    ROOT / "run_benchmark.py",
]


# -- what our own code never does --------------------------------------------------------------------------------------
def calls(name: str) -> Iterator[tuple[str, ast.Call]]:
    """Every call of `name` in our code, with the file that it stands in."""
    for file in SOURCES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == name:
                yield str(file.relative_to(ROOT)), node


@pytest.mark.parametrize(
    ("name", "word", "value"), [("torch.load", "weights_only", True), ("np.load", "allow_pickle", False)]
)
def test_nothing_is_unpickled(name: str, word: str, value: bool) -> None:
    found = list(calls(name))
    assert found
    for file, call in found:
        said = {
            keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords if keyword.arg == word
        }
        assert said == {word: value}, f"{file}:{call.lineno}"


@pytest.mark.parametrize("name", [
    "pickle.load", "pickle.loads", "yaml.load", "yaml.unsafe_load", "os.system", "os.popen", "exec", "joblib.load",
    "np.lib.format.read_array", "shutil.unpack_archive", "tarfile.TarFile.extractall",
])  # fmt: skip
def test_what_is_never_called(name: str) -> None:
    assert [f"{file}:{call.lineno}" for file, call in calls(name)] == []


def test_the_only_expressions_that_are_evaluated_are_our_own() -> None:
    # The other library's losses for `speed`, as they are written in harness.publish.pml.
    assert {file for file, _ in calls("eval")} <= {"harness/speed/steps.py"}


def test_no_shell_is_started() -> None:
    for file in SOURCES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.keyword) and node.arg == "shell"), file


# -- places ------------------------------------------------------------------------------------------------------------
@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Four classes of two images, and one image that lies elsewhere."""
    for label in "abcd":
        for number in range(2):
            fake(tmp_path / "mine" / label / f"{number}.png", number)
    fake(tmp_path / "secret" / "private.png", 9)
    return tmp_path / "mine"


OUTSIDE = "lies outside .*mine, or is a link that leads out of it"


def test_a_link_out_of_a_folder_is_not_followed(images: Path) -> None:
    (images / "a" / "inside.png").symlink_to(images / "b" / "0.png")
    load_dataset(f"folder:{images}", None, False)
    link = images / "a" / "out.png"
    link.symlink_to(images.parent / "secret" / "private.png")
    with pytest.raises(RequestError, match=f"a/out.png {OUTSIDE}"):
        load_dataset(f"folder:{images}", None, False)
    link.unlink()
    (images / "e").symlink_to(images.parent / "secret")
    with pytest.raises(RequestError, match=f"e/private.png {OUTSIDE}"):
        load_dataset(f"folder:{images}", None, False)


def test_a_folder_that_is_a_link_itself_is_what_was_asked_for(images: Path) -> None:
    (images.parent / "link").symlink_to(images)
    assert len(load_dataset(f"folder:{images.parent / 'link'}", None, False).test) == 4


def test_a_pipe_is_not_waited_for(images: Path) -> None:
    os.mkfifo(images / "a" / "pipe.png")
    with pytest.raises(RequestError, match=r"pipe\.png is a pipe or a device"):
        load_dataset(f"folder:{images}", None, False)


@pytest.mark.parametrize(
    "place", ["../secret/private.png", "a/../../secret/private.png", "{outside}", "a/out.png", ".."]
)
def test_a_table_names_images_inside_its_folder(images: Path, place: str) -> None:
    outside = images.parent / "secret" / "private.png"
    (images / "a" / "out.png").symlink_to(outside)
    good = [f"{images}/a/0.png,a", "b/../a/1.png,a", "b/0.png,b", "b/1.png,b", "c/0.png,c", "c/1.png,c"]

    def table(*more: str) -> str:
        (images / "t.csv").write_text("\n".join(["path,label", *good, *more]) + "\n")
        return f"table:{images / 't.csv'}"

    assert len(load_dataset(table(), None, False).development) == 2
    with pytest.raises(RequestError, match=OUTSIDE):
        load_dataset(table(f"{place.format(outside=outside)},b"), None, False)


def _sop(root: Path, place: str) -> str:
    for name, label in (("Ebay_train.txt", 1), ("Ebay_test.txt", 2)):
        fake(root / f"{label}.png", label)
        (root / name).write_text(
            f"image_id class_id super_class_id path\n1 {label} 1 {label}.png\n2 {label} 1 {place}\n"
        )
    return "sop"


def _inshop(root: Path, place: str) -> str:
    rows = []
    for number, part in enumerate(("train", "query", "gallery")):
        fake(root / f"{number}.png", number)
        rows.append(f"{number}.png id_{part == 'train'} {part}")
    (root / "list_eval_partition.txt").write_text(
        "\n".join(["4", "a b c", *rows, f"{place} id_1 train"]) + "\n"
    )
    return "inshop"


def _cub(root: Path, place: str) -> str:
    for number, label in enumerate((1, 150), start=1):
        fake(root / "images" / f"{label}.png", number)
    (root / "classes.txt").write_text("".join(f"{n} bird{n}\n" for n in range(1, 201)))
    (root / "images.txt").write_text(f"1 1.png\n2 150.png\n3 {place}\n")
    (root / "image_class_labels.txt").write_text("1 1\n2 150\n3 150\n")
    return "cub"


@pytest.mark.parametrize("make", [_sop, _inshop, _cub])
@pytest.mark.parametrize("place", ["../../secret/private.png", "{outside}", "out.png"])
def test_an_official_list_names_images_inside_its_copy(
    tmp_path: Path, make: Callable[[Path, str], str], place: str
) -> None:
    root, outside = tmp_path / "copy", tmp_path / "secret" / "private.png"
    fake(outside, 9)
    for folder in (root, root / "images"):  # CUB's images lie in a folder of their own
        folder.mkdir(exist_ok=True)
        (folder / "out.png").symlink_to(outside)
    place = place.format(outside=outside)
    name = make(root, place if make is _cub else place.removeprefix("../"))
    with pytest.raises(RequestError, match=r"lies outside .*copy"):
        load_dataset(name, root, True)


def test_a_backbone_in_a_record_names_no_folder(tmp_path: Path) -> None:
    results = tmp_path / "a" / "b" / "results"
    for method, backbone in (("ms", "convnet"), ("nca", "../../../../../out")):
        record, arrays = made(method, 0.4, backbone=backbone)
        write_record(results, record, arrays)
    assert all(file.is_relative_to(results) and ".." not in file.parts for file in draw(results))


def test_a_linked_folder_in_the_site_is_not_written_through(tmp_path: Path) -> None:
    results, elsewhere = tmp_path / "results", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious.html").write_text("mine")
    (results / "site").mkdir(parents=True)
    (results / "site" / "quick").symlink_to(elsewhere)
    write_record(results, *made("ms", 0.4))
    draw(results)
    assert [file.name for file in elsewhere.iterdir()] == ["precious.html"]
    assert not (results / "site" / "quick").is_symlink() and (results / "site" / "quick" / "glyphs").is_dir()


# -- words -------------------------------------------------------------------------------------------------------------
SCRIPT = """<script>alert("x")</script>"><img src=x onerror=alert(1)>'\x1b[2J{{ 7*7 }}"""


def hostile(value: Any, name: str = "") -> Any:
    """A part of a record with SCRIPT in front of every text that the schema lets be any text."""
    if isinstance(value, Part):
        fields = type(value).model_fields
        fixed = {n for n, f in fields.items() if f.metadata or "Literal" in str(f.annotation) or n in KEPT}
        return value.model_copy(update={n: hostile(getattr(value, n), n) for n in fields if n not in fixed})
    if isinstance(value, dict) and name not in ("space", "settings"):
        return {key: hostile(held, str(key)) for key, held in value.items()}
    if isinstance(value, list):
        return [hostile(held, name) for held in value]
    return f"{SCRIPT}{value}" if isinstance(value, str) else value


class Harmless(HTMLParser):
    """Fails at markup that runs something: a script that stands in the page, an attribute that is one, their image."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        assert tag != "script" or "src" in said
        assert tag != "img" or said.get("src") != "x"
        assert not [name for name in said if name.startswith("on")]


#: Text that numbers are found by: another text would be another record.
KEPT = ("key", "backbone", "dataset_name")


def test_script_in_any_words_of_strangers_harms_no_page(tmp_path: Path) -> None:
    record, arrays = made("ms", 0.4)
    trial = (
        record.searches[0]
        .trials[1]
        .model_copy(update={"status": "failed", "error": "e", "scores": [], "score": None})
    )
    search = record.searches[0].model_copy(
        update={"trials": [*record.searches[0].trials[:1], trial, *record.searches[0].trials[2:]]}
    )
    shown = shown_by(record)
    shown["shown_query_id"] = np.full(len(shown["shown_query"]), SCRIPT)
    shown["shown_id"] = np.full(shown["shown_neighbours"].shape, SCRIPT)
    record = hostile(record.model_copy(update={"searches": [search]}))
    assert record.method_title.startswith(SCRIPT) and record.test_classes[0].startswith(SCRIPT)
    write_record(tmp_path, record, {**arrays, **shown})
    failed, _ = made("nca", 0.3)
    write_record(tmp_path, hostile(failed.model_copy(update={"status": "failed", "why": "w"})), arrays)
    submission = Submission(
        name="mine", title=SCRIPT, dataset="glyphs", dataset_title=SCRIPT, split=record.split, dimension=4,
        file_sha256="ab" * 32, metrics={"map_at_r": 0.5}, queries=10, excluded=0,
    )  # fmt: skip
    write_submission(tmp_path, submission)
    pages = [file for file in draw(tmp_path) if file.suffix in (".html", ".md", ".svg")]
    assert any("&lt;script&gt;" in page.read_text(encoding="utf-8") for page in pages)
    for page in pages:
        text = page.read_text(encoding="utf-8")
        Harmless().feed(text)
        assert "\x1b" not in text or page.suffix == ".html"
    # Data for scripts are a file of their own, made into text nodes and never into markup.
    script = (ROOT / "harness" / "publish" / "templates" / "page.js").read_text(encoding="utf-8")
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", script
    )
    assert "\x1b" not in board_text(tmp_path, "quick", "glyphs")


# -- doors -------------------------------------------------------------------------------------------------------------
def test_the_mlflow_server_listens_on_the_loopback_address_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []

    def start(command: list[str], **_: Any) -> Any:
        started.append(command)
        raise OSError("far enough")

    monkeypatch.setattr(mlflow_server.subprocess, "Popen", start)
    with pytest.raises(OSError, match="far enough"), mlflow_server.running_server("sqlite://", 59_999):
        pass
    (command,) = started
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert "--no-serve-artifacts" in command


def test_rays_dashboard_is_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Any] = {}
    monkeypatch.setattr(ray_executor.ray, "init", lambda **settings: told.update(settings))
    ray_executor._connect(Cluster(Path.cwd(), workers=1), 1)
    assert told["address"] == "local" and told["include_dashboard"] is False


@pytest.mark.parametrize(
    "command", [["plan", "--methods", "spread", "--dataset", "glyphs"], ["list", "methods"]]
)
def test_a_plugin_is_announced_before_it_runs(
    command: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    plugin = tmp_path / "spread.py"
    plugin.write_text(f"{PLUGIN}\nimport sys\nprint('its code runs', file=sys.stderr, flush=True)\n")
    places = ["--results", str(tmp_path / "results"), "--cache", str(tmp_path / "cache")]
    assert main([*command, "--plugin", str(plugin), *places]) == 0
    said = capfd.readouterr().err
    assert 0 <= said.find(f"running the code in {plugin}") < said.find("its code runs")


# -- downloads ---------------------------------------------------------------------------------------------------------
@contextmanager
def endless() -> Iterator[tuple[str, list[int]]]:
    """A server that never says how much it sends, and never stops sending; and how much it has sent."""
    sent = [0]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            with suppress(ConnectionError):
                while True:
                    sent[0] += self.wfile.write(bytes(1 << 16))

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,)).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/a.tgz", sent
        finally:
            server.shutdown()


@pytest.mark.parametrize("size", [200_000, None])
def test_a_server_that_sends_too_much_is_cut_off(
    size: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.download.LARGEST", 300_000)
    with endless() as (address, sent):
        wanted = Archive("a.tgz", (address,), ("sha256:" + "0" * 64,), size)
        with pytest.raises(MissingError, match=f"it sends more than {size or 300_000:,} bytes"):
            download(wanted, tmp_path / "here")
        assert sent[0] < 50_000_000
    assert list((tmp_path / "here").iterdir()) == []


def test_a_secure_address_does_not_lead_to_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"anything"

    @contextmanager
    def get(address: str, **_: Any) -> Iterator[Any]:
        yield SimpleNamespace(
            status_code=200, url="http://elsewhere.org/a.tgz", headers={"Content-Length": str(len(content))},
            raise_for_status=lambda: None, iter_content=lambda _: [content],
        )  # fmt: skip

    monkeypatch.setattr(requests, "get", get)
    checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
    with pytest.raises(MissingError, match=r"leads on to http://elsewhere\.org/a\.tgz, which is not https"):
        download(Archive("a.tgz", ("https://good.org/a.tgz",), (checksum,)), tmp_path)


def test_every_archive_has_a_checksum_and_is_asked_for_over_https_first() -> None:
    archives = [archive for name in dataset_names() for archive in load_dataset_source(name).archives]
    assert len(archives) >= 5
    for archive in archives:
        assert archive.checksums and archive.addresses[0].startswith("https://"), archive.file
