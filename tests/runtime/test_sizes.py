from collections.abc import Callable
from pathlib import Path

from gatelet.convert.schemes import SCHEMES
from gatelet.runtime.bundle.opening import open_bundle
from gatelet.runtime.bundle.sizes import layers_of, sizes_of
from gatelet.runtime.bundle.storage import OLD_SCHEMES, storage_of


def test_the_parts_add_up_to_the_files(litert_bundle: Path) -> None:
    bundle = open_bundle(litert_bundle)
    found = {one.name: one for one in sizes_of(bundle)}
    assert next(iter(found)) == "weights"
    for artifact in bundle.artifacts:
        one = found[f"{artifact.target} {artifact.scheme}"]
        assert one.bytes == artifact.bytes == sum(part.bytes for part in one.parts)
        assert [part.bytes for part in one.parts] == sorted(
            (part.bytes for part in one.parts), reverse=True
        )
    before = layers_of(found["weights"])
    assert sum(before.values()) == 4 * bundle.graph().parameters
    assert {"embedding", "kernel", "recurrent kernel"} <= {kind for _, kind in before}


def test_an_artifact_says_of_what_types_it_is_and_an_old_one_by_its_scheme(
    bundle: Path, edit_manifest: Callable[..., None]
) -> None:
    opened = open_bundle(bundle)
    told = [one.to_dict() for one in sizes_of(opened)]
    entries = [dict(one.entry) for one in opened.artifacts]
    assert all(entry.pop("stores")["activations"] == "float32" for entry in entries)
    edit_manifest(bundle, artifacts=entries)
    assert [one.to_dict() for one in sizes_of(open_bundle(bundle))] == told


def test_a_scheme_of_a_newer_gatelet_is_divided_by_its_types(
    bundle: Path, edit_manifest: Callable[..., None]
) -> None:
    opened = open_bundle(bundle)
    first = dict(opened.artifacts[0].entry)
    types = {"weights": "int8", "embeddings": "int4", "activations": "float32", "outside": False}
    cases: tuple[tuple[object, bool], ...] = (
        (types, True),
        ({**types, "weights": "int3"}, False),
        ([], False),
        ({**types, "recurrent": "int16"}, True),
        ({**types, "recurrent": "int3"}, False),
        ({**types, "recurrent": []}, False),
    )
    for stores, known in cases:
        edit_manifest(bundle, artifacts=[{**first, "scheme": "newer", "stores": stores}])
        divided = sizes_of(open_bundle(bundle))[1]
        assert (len(divided.parts) > 1) == known, stores


def test_the_names_of_old_bundles_mean_what_the_schemes_do() -> None:
    for name, storage in OLD_SCHEMES.items():
        assert (
            storage_of({"scheme": name}) == storage == storage_of({"stores": SCHEMES[name].stores})
        )


def test_recurrent_kernels_of_another_type_are_counted_as_they_are_stored() -> None:
    types = {"weights": "int8", "embeddings": "int8", "activations": "float32"}
    stored = storage_of({"stores": {**types, "recurrent": "int16"}})
    assert stored is not None
    assert (stored.bytes_of("kernel", 4096), stored.bytes_of("recurrent_kernel", 4096)) == (
        4096,
        8192,
    )
    assert not stored.is_exact
