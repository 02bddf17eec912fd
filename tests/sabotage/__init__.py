"""Sabotage: break a good image in many ways; the check meant for each way must catch it.

    python -m tests.sabotage --combo pytorch-2.10.0-n1-acl              # every sabotage that can break this combo
    python -m tests.sabotage --combo pytorch-2.10.0-n1-acl --only '*weight*'
    python -m tests.sabotage --combo pytorch-2.10.0-n1-acl --repeat 20  # the reverse: prove the good image 20 times

There are two kinds. `model`: an image derived from the good one, or the document about it, edited. `tampering`:
something done to what the project reads besides, such as a cache, a registry or an issue; it needs no engine.

`catalog` lists the sabotages as data: of images in `settings`, `variables`, `contents`, `plants` and `leavings`; of
evidence in `documents` and `forgeries`; of the rest in `caches`, `programs`, `records`, `numbers`, `strangers`,
`trees`, `containers`, `links`, `servers`, `registry`, `requests` and `headers`. `changes`, `edits` and `shelf` make
what they need; `bench` tries them with the project's own code; `ledger` judges the outcome. The project's files are not
changed: the bench works on a copy of them, and on images derived from the good one without running anything in it. All
of these are removed at the end.
"""
