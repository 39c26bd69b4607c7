"""What the documents say to type works, and prints what they say."""

import subprocess

import pytest
from support.documents import FILES, MAKE_SERVE, ROOT, Session, blocks

DOCUMENTS = (
    "README.md",
    "docs/guest-programs.md",
    "docs/configuration.md",
    "docs/moving-from-varnish.md",
)


@pytest.fixture(scope="module", autouse=True)
def examples():
    """The examples are built, as every make target that needs them sees to."""
    subprocess.run(["make", "-s", "-C", str(ROOT / "guest/examples")], check=True)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_block_does_what_the_document_says(name, tmp_path):
    with Session(tmp_path) as session:
        for block in blocks(ROOT / name):
            session.run(block)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_command_hides_in_a_block_that_is_not_run(name):
    for block in blocks(ROOT / name):
        assert block.kind in FILES | {"sh", "console", "text"}, block
        assert bool(block.name) == (block.kind in FILES), block
        assert block.kind != "text" or "$ " not in block.text, block
        assert block.kind != "console" or block.text.startswith("$ "), block


def test_make_serve_serves_the_examples():
    recipe = MAKE_SERVE.replace(".venv", "$(VENV)")
    assert recipe in (ROOT / "Makefile").read_text()
