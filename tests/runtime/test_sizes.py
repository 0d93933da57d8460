from pathlib import Path

from gatelet.runtime.bundle.opening import open_bundle
from gatelet.runtime.bundle.sizes import layers_of, sizes_of


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
