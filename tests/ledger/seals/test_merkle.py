"""The Merkle tree: roots as RFC 6962 has them, paths that lead to the root, and no two lists with one root."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.seals import merkle

# The roots over the first n of these leaves, as published with the reference implementation of RFC 6962.
CONTENTS = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657",
                                             "606162636465666768696a6b6c6d6e6f")]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@pytest.mark.parametrize("count", range(1, 9))
def test_roots_are_those_of_the_standard(count: int) -> None:
    assert merkle.root([merkle.leaf_hash(content) for content in CONTENTS[:count]]).hex() == ROOTS[count - 1]


def by_definition(leaves: list[bytes]) -> bytes:
    """Return the root by the recursive definition of RFC 6962, section 2.1."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return sha256(b"\x01" + by_definition(leaves[:half]) + by_definition(leaves[half:])).digest()


LEAVES = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=70)


@given(LEAVES)
def test_roots_follow_the_definition(leaves: list[bytes]) -> None:
    assert merkle.root(leaves) == by_definition(leaves)


@given(LEAVES, st.data())
def test_a_path_leads_to_the_root_from_its_place_only(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    root, path = merkle.root(leaves), merkle.path(leaves, index)
    assert merkle.climb(leaves[index], index, len(leaves), path) == root
    assert merkle.climb(merkle.leaf_hash(leaves[index]), index, len(leaves), path) != root
    assert merkle.climb(leaves[index], index, len(leaves), [*path, root]) is None
    assert merkle.climb(leaves[index], len(leaves), len(leaves), path) is None
    assert merkle.climb(leaves[index], -1, len(leaves), path) is None
    if path:
        assert merkle.climb(leaves[index], index, len(leaves), path[:-1]) is None


@given(LEAVES, st.data())
def test_lists_that_differ_have_other_roots(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    root = merkle.root(leaves)
    assert merkle.root([*leaves, leaves[-1]]) != root  # the hole of trees that double the last leaf
    assert merkle.root([*leaves, *leaves]) != root
    assert merkle.root([*leaves[:index], bytes(32), *leaves[index + 1 :]]) != root or leaves[index] == bytes(32)
    if len(leaves) > 1:
        assert merkle.root(leaves[:-1]) != root


def test_a_node_is_no_leaf() -> None:
    left, right = (merkle.leaf_hash(content) for content in (b"a", b"b"))
    assert merkle.leaf_hash(left + right) != merkle.node_hash(left, right)
