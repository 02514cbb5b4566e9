"""What the mapping remembers between records is bounded in bytes."""

from __future__ import annotations

import gc
import tracemalloc
from sys import getsizeof
from typing import TYPE_CHECKING, Any

import pytest

from target_customerio.mapping import identity
from target_customerio.mapping.fields import CALL_KINDS
from target_customerio.mapping.record import RecordReader, ShapeMemory
from target_customerio.track_api import endpoints
from target_customerio.track_api.endpoints import segment_endpoint
from target_customerio.track_api.operations import SegmentAdd

if TYPE_CHECKING:
    from collections.abc import Callable

    Convert = Callable[..., Any]


def reader(memory: ShapeMemory) -> RecordReader:
    return RecordReader(CALL_KINDS["identify"], {}, memory=memory)


def held(*readers: RecordReader) -> list[tuple[str, ...]]:
    return [names for each in readers for names in each._shapes]  # noqa: SLF001


def wide(number: int, columns: int = 500) -> dict[str, Any]:
    return {f"column_{number}_{index}": 1 for index in range(columns)}


def test_shapes_of_all_streams_together_are_bounded_in_bytes() -> None:
    limit = 200_000
    memory = ShapeMemory(limit)
    readers = [reader(memory) for _ in range(3)]
    most = 0
    for number in range(100):
        readers[number % 3].read({"userId": "ann", **wide(number, 100)})
        names = held(*readers)
        size = sum(sum(map(getsizeof, each)) for each in names)
        assert size <= limit
        most = max(most, len(names))
    assert most > 10


def test_the_count_of_shapes_is_close_to_what_is_allocated() -> None:
    memory = ShapeMemory(1 << 40)
    one = reader(memory)
    gc.collect()
    tracemalloc.start()
    for number in range(20):
        one.read({"userId": "ann", **wide(number, 100), f"traits__{number}": 1})
    allocated, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.5 * memory._bytes < allocated < 1.5 * memory._bytes  # noqa: SLF001


def test_a_shape_larger_than_the_limit_is_not_kept() -> None:
    memory = ShapeMemory(10_000)
    one = reader(memory)
    one.read({"userId": "ann"})
    call = one.read({"userId": "ann", **wide(0)})
    assert call is not None
    assert len(call.body) == 500
    assert held(one) == [("userId",)]


def test_forgotten_shapes_do_not_change_what_is_read() -> None:
    memory = ShapeMemory(2_000)
    one = reader(memory)
    for number in range(50):
        for more in ({"plan": "b"}, wide(number, 5)):
            call = one.read({"userId": "a", **more})
            assert call is not None
            assert call.fields == {"userId": "a"}
            assert call.body == more


def test_a_reader_that_is_gone_is_not_kept_by_the_memory() -> None:
    memory = ShapeMemory(1 << 20)
    reader(memory).read({"userId": "ann"})
    gc.collect()
    assert len(memory._readers) == 0  # noqa: SLF001


@pytest.mark.parametrize("length", [255, 30_000])
def test_long_user_ids_with_an_at_sign_are_not_remembered(length: int) -> None:
    identity._is_email.cache_clear()  # noqa: SLF001
    for number in range(20):
        text = f"{number}@".rjust(length - 12, "a") + "example.test"
        assert identity.resolve_user_id(text, "userId") == {"id": text}
    assert identity._is_email.cache_info().currsize == 0  # noqa: SLF001


def test_the_longest_address_is_one() -> None:
    local = "a" * 64
    domain = ".".join(["b" * 60] * 3) + ".museum"
    address = f"{local}@{domain}"
    assert len(address) == identity.MAX_ADDRESS_CHARACTERS
    assert identity.resolve_user_id(address, "userId") == {"email": address}


def test_endpoints_of_long_segment_ids_are_not_remembered() -> None:
    endpoints._segment_endpoint.cache_clear()  # noqa: SLF001
    for number in range(20):
        segment = f"{number}" * 5_000
        found = segment_endpoint(SegmentAdd, segment, "id")
        assert found.path == f"/api/v1/segments/{segment}/add_customers?id_type=id"
        assert found == segment_endpoint(SegmentAdd, segment, "id")
    assert endpoints._segment_endpoint.cache_info().currsize == 0  # noqa: SLF001
    assert segment_endpoint(SegmentAdd, "7", "id").has_segment
    assert endpoints._segment_endpoint.cache_info().currsize == 1  # noqa: SLF001


def test_names_of_attributes_are_not_remembered_for_preferences(
    convert: Convert,
) -> None:
    def record(number: int) -> dict[str, Any]:
        name = f"cio_subscription_preferences__topics__topic_{number}"
        return {"userId": "ann", "traits": {**wide(number, 300), name: True}}

    convert("identify", record(0))
    gc.collect()
    tracemalloc.start()
    for number in range(1, 12):
        attributes = convert("identify", record(number))["attributes"]
        preferences = attributes["cio_subscription_preferences"]
        assert preferences == {"topics": {f"topic_{number}": True}}
    del attributes, preferences
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 100_000
