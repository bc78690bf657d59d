"""The curve-detector entry: its curves, its networks, and which claims hold."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import matplotlib.image
import pytest
import torch

from causal_scrubbing import gallery
from causal_scrubbing._systems import curve_detector as entry
from causal_scrubbing.gallery import Options

PAGE = Path(__file__).parents[2] / "docs" / "gallery" / "curve-detector.md"
PACKAGE = entry.inception.find_package()
claims, curves = entry.claims, entry.curves


@cache
def outcome() -> gallery.Outcome:
    """The entry on the small network."""
    return entry.run(Options(samples=400, weights=entry.HERE))


def one_curve(theta: float, radius: float) -> curves.Curves:
    zero = torch.zeros(1)
    return curves.Curves(torch.tensor([theta]), torch.tensor([radius]), zero, zero, zero + 1)


def test_a_curve_bends_towards_its_angle() -> None:
    image = curves.draw(one_curve(0.0, 1.5), 41, 8)[0]
    assert image[20, 20] > 0.9  # through the middle
    rows, columns = torch.nonzero(image > 0.9, as_tuple=True)
    assert columns.min() == 20
    assert (columns[rows < 12] > 22).all()  # its ends lie to the right
    turned = curves.draw(one_curve(90.0, 1.5), 41, 8)[0]
    torch.testing.assert_close(turned, image.T)
    dark = curves.draw(entry.curves.Curves(*(side for side in (
        torch.tensor([0.0]), torch.tensor([1.5]), torch.zeros(1), torch.zeros(1), -torch.ones(1)
    ))), 41, 8)[0]  # fmt: skip
    torch.testing.assert_close(dark, 1 - image)


def test_edges_lie_along_the_curve() -> None:
    edge, side = (found.view(5, 5) for found in curves.edges(one_curve(0.0, 100.0)))
    # A nearly straight line down the middle: upright, as far from the places beside it as can be.
    assert edge[:, 2].tolist() == [4] * 5
    assert side[:, 2].tolist() == [0] * 5
    assert (edge[:, [0, 4]] == curves.ABSENT).all()
    small, _ = (found.view(5, 5) for found in curves.edges(one_curve(0.0, 1.0)))
    assert small[1, 3] == small[3, 3] == 0  # level above and below the centre, right of the middle
    assert small[2, 2] == 4


def test_near_is_a_function_of_the_classes_of_angles() -> None:
    data = curves.make_data(400, 0, 21, 4, 1)
    near, part = claims.near(data, 223.4), data.classes(claims.angle(223.4))
    assert part.count == 12
    for one in range(part.count):
        assert len(near[torch.as_tensor(part.ids) == one].unique()) == 1


def test_the_graph_is_the_network() -> None:
    network = entry.load_small()
    data = curves.make_data(20, 3, network.size, network.cell, network.channels)
    with torch.no_grad():
        own = entry.read(network.maps(data["image"]), network.weight, network.bias)
    for channels in (None, [1, 4, 5]):
        graph = claims.make_graph(network, 20, data, channels)
        torch.testing.assert_close(graph(data), own[:, 20])
        assert {"maps.p0", "maps.p24"} <= set(graph.parents("unit"))


def test_shares_of_variance_are_those_of_the_formula() -> None:
    values = torch.tensor([[1.0, 5.0, 2.0], [1.0, 7.0, 2.0], [3.0, 5.0, 2.0], [3.0, 7.0, 2.0]])
    classes = torch.tensor([0, 0, 1, 1])
    assert entry.units.share_between(values, classes).tolist() == [1.0, 0.0, 0.0]


def test_edges_at_places_make_the_unit_and_radius_does_not() -> None:
    results = outcome().results
    for name in (claims.PLACED, claims.ON, claims.EDGES, claims.ON_EDGES, claims.CHANNELS):
        assert results[name].recovered.mean > 80
        assert results[name]["activation"].recovered.mean > 60
    for name in (claims.OFF, claims.FALSE, claims.FALSE_PLACES):
        assert abs(results[name].recovered.mean) < 25
    # A correlation with a function of the claimed feature is kept whatever the unit does.
    assert results[claims.OTHER].recovered.interval[1] > 90
    assert results[claims.OTHER]["activation"].recovered.mean < 60


def test_what_is_missing_is_said_with_the_command_that_gets_it(tmp_path: Path) -> None:
    assert entry.inception.COMMAND in outcome().text
    with pytest.raises(gallery.GalleryError, match="neither the npm package nsfwjs nor weights"):
        entry.run(Options(weights=tmp_path))


def test_bytes_are_read_with_their_scale(tmp_path: Path) -> None:
    folder = tmp_path / "dist" / "models" / "inception_v3"
    folder.mkdir(parents=True)
    listed = '{name:"a/kernel",shape:[1,3],dtype:"float32",quantization:'
    (folder / "model.min.js").write_text(
        f'x=[{listed}{{min:-1,scale:.5,dtype:"uint8"}}}},'
        '{name:"b/beta",shape:[747],dtype:"float32",quantization:{min:0,scale:1,dtype:"uint8"}}]'
    )
    (folder / "group1-shard1of1.min.js").write_text(f'y="AAEC{"AQEB" * 249}"')
    assert entry.inception.find_package(tmp_path) == tmp_path
    weights = entry.inception.read_weights(tmp_path)
    assert weights["a/kernel"].tolist() == [[-1.0, -0.5, 0.0]]
    assert weights["b/beta"].tolist() == [1.0] * 747
    (folder / "group1-shard1of1.min.js").write_text(f'y="AAEC{"AQEB" * 250}"')
    with pytest.raises(gallery.GalleryError, match="lists 750 bytes of weights and holds 753"):
        entry.inception.read_weights(tmp_path)


@pytest.mark.skipif(PACKAGE is None, reason="the npm package nsfwjs is not installed here")
def test_inception_has_curve_detectors() -> None:
    assert PACKAGE is not None
    choice = entry.units.choose(entry.inception.load(PACKAGE), 150, 0)
    table = choice.table.set_index("unit")
    assert (table.loc[[79, 82, 95, 104, 105, 109, 110], "selectivity"] > 0.85).all()
    assert choice.channels
    assert 12 in choice.places


def test_the_page_shows_every_claim_and_its_picture() -> None:
    page = PAGE.read_text()
    for name in claims.NAMES:
        assert f"| {name} " in page
    assert entry.inception.COMMAND in page
    assert gallery.load("curve-detector").page == "gallery/curve-detector.md"
    assert matplotlib.image.imread(PAGE.with_suffix(".png")).ndim == 3
    assert math.isclose(claims.NEAR / claims.WIDTH, 1.5)
