"""Sabotage: a good image, broken in many ways; each must be caught by the check that is meant for it.

    python -m tests.sabotage --combo pytorch-2.10.0-n1-acl              # all that break this combo
    python -m tests.sabotage --combo pytorch-2.10.0-n1-acl --only '*weight*'
    python -m tests.sabotage --combo pytorch-2.10.0-n1-acl --repeat 20  # and the reverse: the good image, many times

`ways` has the sabotages, as data (`settings`, `contents`, `documents`); `changes` and `edits` make what they need;
`bench` tries them through the project's own doors; `ledger` judges what came of it. Nothing of the project is written:
it works on a copy of its data, and on images of its own, made from the good one without running anything in it. They
are gone at the end.
"""
