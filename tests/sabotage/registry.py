"""Tamperings with what a registry has, serves or says, before and after an image is staged."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from armwright.assembly import record
from armwright.publish import arrival, lookup
from armwright.system.errors import FailedError
from tests.registries import Reply
from tests.sabotage.ledger import Outcome
from tests.sabotage.shelf import INDEX, MANIFEST, REPOSITORY, Shelf, connect, destination, plan_image
from tests.sabotage.tampering import Tampering, Workplace, expect_error, expect_true

OTHER = f"sha256:{'2' * 64}"
PAGE = b"<html><body>Please log in to this network</body></html>"
Change = Callable[[Shelf, str, Workplace], object]  # gets the registry and the digest of the proven image


def immutable(place: Workplace) -> str:
    """Return the immutable tag of the plan's image."""
    return place.plan.reference.partition(":")[2]


def moving(place: Workplace) -> str:
    """Return the tag of the plan's image that people pull."""
    return place.plan.tag.partition(":")[2]


def arrived(change: Change) -> Callable[[Workplace], Outcome]:
    """Change what the registry has of an image that was pushed, and check its arrival as `stage` does."""

    def attempt(place: Workplace) -> Outcome:
        shelf = Shelf()
        digest = shelf.put_image(plan_image(place.plan), immutable(place))
        with shelf.serve() as address:
            client = connect(address)
            arrival.require_arrival(client, REPOSITORY, immutable(place), digest, set())
            change(shelf, digest, place)
            return expect_error(
                "arrival", FailedError,
                lambda: arrival.require_arrival(client, REPOSITORY, immutable(place), digest, set()),
            )  # fmt: skip

    return attempt


def moved(change: Change) -> Callable[[Workplace], Outcome]:
    """Change how the registry moves the name that people pull."""

    def attempt(place: Workplace) -> Outcome:
        shelf = Shelf()
        digest = shelf.put_image(plan_image(place.plan), immutable(place))
        with shelf.serve() as address:
            client = connect(address)
            assert arrival.move_name(client, REPOSITORY, "2.10.0-other", digest)
            change(shelf, digest, place)
            return expect_error(
                "moved name", FailedError, lambda: arrival.move_name(client, REPOSITORY, moving(place), digest)
            )

    return attempt


def offered(change: Change) -> Callable[[Workplace], Outcome]:
    """Change what is under the immutable name, and look it up as the answer to a request does."""

    def attempt(place: Workplace) -> Outcome:
        shelf = Shelf()
        digest = shelf.put_image(plan_image(place.plan), immutable(place), moving(place))
        with shelf.serve() as address:
            to = destination(address)
            record.write_record(place.folder, place.plan, digest)
            assert lookup.find_staged(place.folder, to, place.plan) == (to.name(place.plan.tag), "")
            change(shelf, digest, place)
            found = lookup.find_staged(place.folder, to, place.plan)
        right = found == (to.name(place.plan.tag), "")
        return expect_true("lookup", found.note or found.name or "nothing is offered", noticed=not right)

    return attempt


def layer(shelf: Shelf, digest: str) -> str:
    """Return the digest of the first layer."""
    return str(shelf.find(digest)["layers"][0]["digest"])


def config(shelf: Shelf, digest: str) -> str:
    """Return the digest of the configuration."""
    return str(shelf.find(digest)["config"]["digest"])


def take_other(shelf: Shelf, _: str, place: Workplace) -> None:
    """Give the immutable name to an image without labels."""
    shelf.put_image(plan_image(place.plan, Labels={}), immutable(place), text="other")


def take_index(shelf: Shelf, digest: str, place: Workplace) -> None:
    """Give the immutable name to an index of the image and another one."""
    other = shelf.put_image({}, text="other")
    sizes = {name: len(shelf.manifests[name]) for name in (digest, other)}
    entries = [{"mediaType": MANIFEST, "digest": name, "size": size} for name, size in sizes.items()]
    shelf.put_manifest({"mediaType": INDEX, "manifests": entries}, immutable(place))


def offer(take: Change) -> Change:
    """Change what the immutable name is, and let the name that people pull be the same."""

    def change(shelf: Shelf, digest: str, place: Workplace) -> None:
        take(shelf, digest, place)
        if immutable(place) in shelf.manifests:
            shelf.manifests[moving(place)] = shelf.manifests[immutable(place)]

    return change


def take_inputs(shelf: Shelf, _: str, place: Workplace) -> None:
    """Give the immutable name to an image that was labelled with other inputs."""
    labels = {**plan_image(place.plan)["config"]["Labels"], "org.armwright.inputs": OTHER}
    shelf.put_image(plan_image(place.plan, Labels=labels), immutable(place), text="other")


def take_layers(shelf: Shelf, _: str, place: Workplace) -> None:
    """Give the immutable name to an image with the settings of the plan and other layers."""
    shelf.put_image(plan_image(place.plan), immutable(place), text="other")


def take_variable(shelf: Shelf, _: str, place: Workplace) -> None:
    """Give the immutable name to an image with one more variable."""
    variables = [*plan_image(place.plan)["config"]["Env"], "DNNL_DEFAULT_FPMATH_MODE=BF16"]
    shelf.put_image(plan_image(place.plan, Env=variables), immutable(place))


def take_platform(shelf: Shelf, _: str, place: Workplace) -> None:
    """Give the immutable name to an image for another platform."""
    shelf.put_image({**plan_image(place.plan), "architecture": "amd64"}, immutable(place))


def forget(change: Change) -> Change:
    """Make a change where no build of the image is recorded, as on another machine."""

    def change_there(shelf: Shelf, digest: str, place: Workplace) -> None:
        (place.folder / "build" / "made" / f"{place.plan.combo.id}.json").unlink()
        change(shelf, digest, place)

    return change_there


def take_page(shelf: Shelf, _: str, place: Workplace) -> None:
    """Answer with the page of a network that wants a login, as a proxy does."""
    for tag in (immutable(place), moving(place)):
        for method in ("GET", "HEAD"):
            shelf.fixed[method, f"/v2/{REPOSITORY}/manifests/{tag}"] = Reply(200, PAGE, {"Content-Type": "text/html"})


def lose_layers(shelf: Shelf, digest: str, _: Workplace) -> None:
    for entry in shelf.find(digest)["layers"]:
        del shelf.blobs[entry["digest"]]


def lie(shelf: Shelf, digest: str, place: Workplace) -> None:
    """State the proven digest for the name, and serve another image to who pulls it."""
    shelf.put_image({}, immutable(place), text="other")
    shelf.stated[immutable(place)] = digest


def serve_other(shelf: Shelf, digest: str, _: Workplace) -> None:
    """Serve another manifest for the digest."""
    shelf.manifests[digest] = shelf.manifests[shelf.put_image({}, text="other")]
    shelf.stated[digest] = digest


def redirect(shelf: Shelf, digest: str, _: Workplace) -> None:
    """Send who asks for a layer to a store that does not have it."""
    path = f"/v2/{REPOSITORY}/blobs/{layer(shelf, digest)}"
    shelf.fixed["HEAD", path] = Reply(307, headers={"Location": "http://127.0.0.1:9/gone"})
    del shelf.blobs[layer(shelf, digest)]


def swap_config(shelf: Shelf, digest: str, _: Workplace) -> None:
    """Put another configuration of the same size under the digest of the right one."""
    name = config(shelf, digest)
    shelf.blobs[name] = shelf.blobs[name].replace(b"arm64", b"amd64")


def put_other(shelf: Shelf, _: str, place: Workplace) -> None:
    """Let another process take the name at the moment at which it moves; it had an image before."""
    before = shelf.put_image({}, moving(place), text="before")
    assert before
    shelf.put = shelf.manifests[shelf.put_image({}, text="other")]


def keep_name(shelf: Shelf, _: str, place: Workplace) -> None:
    """Say that the name has moved, and leave it as it was."""
    shelf.put_image({}, moving(place), text="before")
    shelf.fixed["PUT", f"/v2/{REPOSITORY}/manifests/{moving(place)}"] = Reply(201)


def _arrived(pattern: str, change: Change) -> Tampering:
    return Tampering("registry", "arrival", pattern, arrived(change))


def _moved(pattern: str, change: Change) -> Tampering:
    return Tampering("registry", "moved name", pattern, moved(change))


def _offered(pattern: str, change: Change) -> Tampering:
    return Tampering("registry", "lookup", pattern, offered(change))


REGISTRY: Mapping[str, Tampering] = {
    "a layer that the registry has lost": _arrived(
        "is absent", lambda shelf, digest, _: shelf.blobs.pop(layer(shelf, digest))
    ),
    "a layer that is empty in the registry": _arrived(
        "has 0 bytes instead of", lambda shelf, digest, _: shelf.blobs.update({layer(shelf, digest): b""})
    ),
    "a layer that is cut off in the registry": _arrived(
        "bytes instead of",
        lambda shelf, digest, _: shelf.blobs.update({layer(shelf, digest): shelf.blobs[layer(shelf, digest)][:-1]}),
    ),
    "a layer with a byte at its end in the registry": _arrived(
        "bytes instead of",
        lambda shelf, digest, _: shelf.blobs.update({layer(shelf, digest): shelf.blobs[layer(shelf, digest)] + b"."}),
    ),
    "a configuration that the registry has lost": _arrived(
        "is absent", lambda shelf, digest, _: shelf.blobs.pop(config(shelf, digest))
    ),
    "another configuration of the same size": _arrived(".", swap_config),
    "a layer in a store that does not have it": _arrived(".", redirect),
    "a manifest that is another's": _arrived("returns a manifest of", serve_other),
    "an immutable name that became another image": _arrived("but sha256:[0-9a-f]+ was proven", take_other),
    "an immutable name that became an index": _arrived("but sha256:[0-9a-f]+ was proven", take_index),
    "an immutable name that is gone": _arrived(
        "does not have it", lambda shelf, _, place: shelf.manifests.pop(immutable(place))
    ),
    "a registry that states the digest and serves another image": _arrived(".", lie),
    "a name that another process takes while it moves": _moved("was moved back to", put_other),
    "a name that does not move": _moved("but the registry has", keep_name),
    "a manifest that is gone when the name moves": _moved(
        ".", lambda shelf, digest, _: shelf.manifests.pop(digest)
    ),
    "offered: a name for people that is another image": _offered(
        "-n1-acl-[0-9a-f]{12}$", lambda shelf, _, place: shelf.put_image({}, moving(place), text="other")
    ),
    "offered: any image under the immutable name": _offered("image labels", forget(offer(take_other))),
    "offered: an image of other inputs": _offered("image labels", forget(offer(take_inputs))),
    "offered: an image with a variable": _offered("DNNL_DEFAULT_FPMATH_MODE", forget(offer(take_variable))),
    "offered: an image for another platform": _offered("it is for linux/amd64", forget(offer(take_platform))),
    "offered: an index in place of a manifest": _offered("is not an image", forget(offer(take_index))),
    "offered: the page of a proxy": _offered(".", forget(take_page)),
    "offered: an image whose layers are gone": _offered("is absent", forget(lose_layers)),
    "offered: other layers where the build is recorded": _offered("it has the digest", offer(take_layers)),
    "offered: other layers where no build is recorded": _offered("no build of it is recorded", forget(take_layers)),
    "offered: an image whose layers are gone where the build is recorded": _offered("is absent", lose_layers),
}  # fmt: skip
