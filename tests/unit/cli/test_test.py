"""The linter reads one Dockerfile of each kind: which ones are of one kind."""

from __future__ import annotations

import pytest

from armwright.cli import test
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
def test_what_no_linter_reads_makes_no_other_kind(old: bytes, new: bytes) -> None:
    assert old in DOCKERFILE
    assert test.kind(DOCKERFILE.replace(old, new)) == test.kind(DOCKERFILE)


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
def test_what_a_linter_reads_makes_another_kind(old: bytes, new: bytes) -> None:
    assert old in DOCKERFILE
    assert test.kind(DOCKERFILE.replace(old, new)) != test.kind(DOCKERFILE)


def test_the_combos_of_one_version_that_differ_in_their_labels_are_of_one_kind(matrix: Matrix) -> None:
    combos = [matrix.by_id[f"pytorch-2.10.0-{target}-acl"] for target in ("n1", "v1", "a64fx")]
    assert len({test.kind(make_plan(matrix, combo).files["Dockerfile"]) for combo in combos}) == 1
    other = matrix.by_id["pytorch-2.5.1-n1-acl"]
    assert test.kind(make_plan(matrix, other).files["Dockerfile"]) != test.kind(
        make_plan(matrix, combos[0]).files["Dockerfile"]
    )
