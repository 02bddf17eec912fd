"""Which Dockerfiles are the same to the linter, so that it reads only one of them."""

from __future__ import annotations

import pytest

from armwright.cli.test import linted_text
from armwright.matrix.matrix import Matrix
from armwright.plan.plan import make_plan

DOCKERFILE = b"""\
# a: PyTorch for N1
FROM scratch
# hadolint ignore=DL3003
RUN --network=none cd /x && tool # a comment of the shell
LABEL org.armwright.combo="a" \\
      org.opencontainers.image.title="PyTorch \\"for\\" N1"
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"# a: PyTorch for N1", b"# b: PyTorch for V1"), (b'combo="a"', b'combo="b"'), (b'\\"for\\"', b'\\"of\\" x=')],
)
def test_comments_and_label_values_do_not_count(old: bytes, new: bytes) -> None:
    assert old in DOCKERFILE
    assert linted_text(DOCKERFILE.replace(old, new)) == linted_text(DOCKERFILE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"ignore=DL3003", b"ignore=DL3008"),
        (b"cd /x", b"cd $x"),
        (b"FROM scratch", b"FROM scratch AS one"),
        (b"LABEL org", b"LABEL other=1 org"),
        (b"org.armwright.combo=", b"org.armwright.target="),
        (b"RUN", b"ENV A=1\nRUN"),
    ],
)
def test_instructions_and_directives_count(old: bytes, new: bytes) -> None:
    assert old in DOCKERFILE
    assert linted_text(DOCKERFILE.replace(old, new)) != linted_text(DOCKERFILE)


def test_dockerfiles_of_one_version_are_the_same(matrix: Matrix) -> None:
    combos = [matrix.by_id[f"pytorch-2.10.0-{target}-acl"] for target in ("n1", "v1", "a64fx")]
    assert len({linted_text(make_plan(matrix, combo).files["Dockerfile"]) for combo in combos}) == 1
    other = matrix.by_id["pytorch-2.5.1-n1-acl"]
    assert linted_text(make_plan(matrix, other).files["Dockerfile"]) != linted_text(
        make_plan(matrix, combos[0]).files["Dockerfile"]
    )
