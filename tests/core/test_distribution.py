"""Programs of a distribution, dynamically linked and just as they come, do in a guest
what they do natively."""

import bz2
import gzip
import json
import lzma
import shlex
import shutil
import tarfile

import pytest
from support.packages import need_package
from support.plain import outcome, outcome_in_guest

pytestmark = pytest.mark.core

WORDS = "one\ntwo\ntwo\nfour\nfifteen\none\n" * 40

# Every line is a command; DIR is a directory with the files of (place).
TOOLS = r"""
grep -nP 'o(?=$)' DIR/words
grep absent DIR/words
sed -E 's/(o)(.)/\2\1/g' DIR/words
sort --parallel=4 -u DIR/words
sort -S 1M -rn DIR/numbers
comm -3 DIR/numbers DIR/numbers.gz
diff -u --label=a --label=b DIR/words DIR/numbers
sha256sum DIR/words DIR/binary DIR/missing
tac DIR/numbers
ls -lan DIR/sub/within
ls -R DIR
find DIR -name 'w*' -size +1k -printf '%f %s %Tc\n'
stat -c '%n %s %F %U' DIR/words
tar -xOf DIR/words.tar words
gzip -c DIR/binary
gzip -dc DIR/numbers.gz
date -d '2024-02-29 12:00 + 1 year'
bash -c 'for i in 1 2 3; do ((s += i)); done; [[ ab =~ a(.) ]]; echo $s $BASH_REMATCH'
"""

# The same for what a distribution has in a package of its own.
PACKAGED = {
    "bc": "bc -ql DIR/sum.bc",
    "bzip2": "bzip2 -dc DIR/numbers.bz2",
    "gawk": "gawk '{ n[$1 % 9] += $1 } END { for (i in n) print i, strftime(n[i]) }' "
    "DIR/numbers",
    "jq": "jq -S '[.[] | select(.n > 1) | {(.name): .n}] | add' DIR/records.json",
    "mawk": "mawk '{ n += length($0) } END { printf \"%.3f\", n / NR }' DIR/words",
    "xz-utils": "xz -dc --threads=2 DIR/numbers.xz",
    "zstd": "zstd -qc -T2 DIR/binary",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with files."""
    place = tmp_path_factory.mktemp("distribution")
    numbers = "".join(f"{each}\n" for each in range(0, 900, 7))
    (place / "sub").mkdir()
    (place / "sub" / "within").write_text("deep")
    (place / "words").write_text(WORDS)
    (place / "numbers").write_text(numbers)
    (place / "binary").write_bytes(bytes(range(256)) * 300)
    (place / "sum.bc").write_text("scale = 30; 4 * a(1); 2 ^ 100\nquit\n")
    records = [{"name": f"n{each}", "n": each, "more": [each]} for each in range(5)]
    (place / "records.json").write_text(json.dumps(records))
    for suffix, module in (("gz", gzip), ("bz2", bz2), ("xz", lzma)):
        (place / f"numbers.{suffix}").write_bytes(module.compress(numbers.encode()))
    with tarfile.open(place / "words.tar", "w") as archive:
        archive.add(place / "words", "words")
    return place


def check(line, place):
    name, *arguments = shlex.split(line.replace("DIR", str(place)))
    command = [shutil.which(name), *arguments]
    natively = outcome(*command)
    assert natively[0] < 2  # it has done what the test is about
    assert outcome_in_guest(*command, paths=[place, "/etc/passwd"]) == natively


@pytest.mark.parametrize("line", TOOLS.split("\n")[1:-1])
def test_a_tool_does_in_a_guest_what_it_does_natively(place, line):
    check(line, place)


@pytest.mark.parametrize("package", PACKAGED)
def test_a_program_of_a_package_does_in_a_guest_what_it_does_natively(place, package):
    need_package(package)
    check(PACKAGED[package], place)
