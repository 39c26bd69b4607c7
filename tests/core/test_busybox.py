"""Programs that nobody has written for skerry do in a guest what they do natively:
busybox, with one of its applets after the other."""

import shutil
import subprocess

import pytest
from support.plain import outcome, outcome_in_guest

pytestmark = pytest.mark.core

BUSYBOX = shutil.which("busybox")

# What comes behind "busybox"; DIR is a directory with the files of (fill).
APPLETS = [
    "echo -e several\\twords\\x00\\n",
    "cat DIR/words DIR/binary",
    "cat DIR/words DIR/missing",
    "wc DIR/words DIR/binary",
    "sort -u DIR/words",
    "sort -rn DIR/numbers",
    "sed -n s/o/0/gp DIR/words",
    "awk {n+=$1}END{print(n,NR)} DIR/numbers",
    "grep -n o DIR/words",
    "grep absent DIR/words",
    "sha256sum DIR/words DIR/binary",
    "tar -c -f - -C DIR words sub",
    "tar -t -f DIR/old.tar",
    "gzip -c DIR/binary",
    "gzip -d -c DIR/old.gz",
    "find DIR -name w*",
    "head -n 3 DIR/words",
    "od -t x1 DIR/binary",
    "false",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with files."""
    place = tmp_path_factory.mktemp("busybox")
    (place / "sub").mkdir()
    (place / "words").write_text("one\ntwo\ntwo\nfour\nfifteen\none\n" * 40)
    (place / "numbers").write_text("\n".join(map(str, range(0, 900, 7))) + "\n")
    (place / "binary").write_bytes(bytes(range(256)) * 300)
    (place / "sub" / "within").write_text("deep")
    for name, *command in (
        ("old.gz", "gzip", "-c", "words"),
        ("old.tar", "tar", "-c", "words", "sub"),
    ):
        made = subprocess.run([BUSYBOX, *command], cwd=place, capture_output=True)
        (place / name).write_bytes(made.stdout)
    return place


@pytest.mark.parametrize("applet", APPLETS, ids=lambda line: line.split()[0])
def test_an_applet_of_busybox_does_in_a_guest_what_it_does_natively(place, applet):
    arguments = [each.replace("DIR", str(place)) for each in applet.split(" ")]
    natively = outcome(BUSYBOX, *arguments)
    paths = [place, "/etc/passwd", "/etc/group"]
    assert outcome_in_guest(BUSYBOX, *arguments, paths=paths) == natively
