"""The graph network, which training and serving share."""

from __future__ import annotations

import torch
from torch import nn
from torch_geometric.nn import SAGEConv
from torch_geometric.utils import to_undirected


class Readers(nn.Module):
    """Two rounds in which each node hears of its neighbours; it takes graphs that it has never seen.

    Takes features of shape (nodes, features) and edges of shape (2, edges), places of nodes, and gives the
    logits of the kinds, shape (nodes, kinds).
    """

    def __init__(self, features: int, kinds: int, width: int = 32) -> None:
        super().__init__()
        self.first = SAGEConv(features, width)
        self.second = SAGEConv(width, kinds)

    def forward(self, features: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        """The logits."""
        both_ways = to_undirected(edges, num_nodes=len(features))
        hidden = self.first(features, both_ways).relu()
        hidden = nn.functional.dropout(hidden, 0.5, self.training)
        logits: torch.Tensor = self.second(hidden, both_ways)
        return logits
