"""A map of sites with what may be split into heads."""

from __future__ import annotations

from collections.abc import Mapping

from causal_scrubbing._display import html_table

Splits = dict[str, tuple[int, dict[str, int]]]


class SiteMap(dict[str, str]):
    """Node name -> place, with what may be split into heads.

    Attributes:
        splits: pattern of node names -> (axis, {piece name: number of pieces}), to be given to
            `Graph.split`: ``for nodes, (axis, into) in sites.splits.items(): graph =
            graph.split(nodes, axis=axis, into=into)``.
    """

    def __init__(self, places: Mapping[str, str], splits: Splits | None = None) -> None:
        super().__init__(places)
        self.splits: Splits = dict(splits or {})

    def _repr_html_(self) -> str:
        title = f"SiteMap: {len(self)} sites, splits of {', '.join(self.splits) or 'none'}"
        return html_table(title, ["node", "place"], [list(pair) for pair in self.items()])
