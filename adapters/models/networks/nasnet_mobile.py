"""NASNet-A (4 @ 1056), the mobile network of Zoph et al., *Learning Transferable Architectures*, 2018.

timm has the cells but only the large layout (6 @ 4032) of them; this is the small one: four normal cells a stage,
1,056 channels at the end.
"""

from __future__ import annotations

from timm.models.nasnet import CellStem0, CellStem1, FirstCell, NormalCell, ReductionCell0
from torch import Tensor, nn

#: "same" pads as TensorFlow does, so that odd sides halve upwards: 96 pixels end as a 3×3 map.
_PAD = "same"


class _Stage(nn.Module):
    """Normal cells, each fed by the two outputs before it."""

    def __init__(self, before_last: int, last: int, filters: int, first_filters: int, cells: int) -> None:
        super().__init__()
        self.cells = nn.ModuleList([FirstCell(before_last, first_filters, last, filters, _PAD)])
        channels = [last, 6 * filters]
        for _ in range(cells - 1):
            self.cells.append(NormalCell(channels[-2], filters, channels[-1], filters, _PAD))
            channels.append(6 * filters)

    def forward(self, last: Tensor, before_last: Tensor) -> tuple[Tensor, Tensor]:
        for cell in self.cells:
            last, before_last = cell(last, before_last), last
        return last, before_last


class NASNetMobile(nn.Module):
    """N×3×H×W to N×classes logits. The map before the pooling has a cell for 32 pixels."""

    def __init__(
        self, num_classes: int, *, stem: int = 32, filters: int = 44, cells: int = 4, dropout: float = 0.2
    ) -> None:
        super().__init__()
        f = filters
        self.conv0 = nn.Conv2d(3, stem, 3, stride=2, bias=False)
        self.bn0 = nn.BatchNorm2d(stem, eps=0.001)
        self.cell_stem_0 = CellStem0(stem, num_channels=f // 4, pad_type=_PAD)
        self.cell_stem_1 = CellStem1(stem, num_channels=f // 2, pad_type=_PAD)
        self.stage_0 = _Stage(f, 2 * f, f, f // 2, cells)
        self.reduction_0 = ReductionCell0(6 * f, 2 * f, 6 * f, 2 * f, _PAD)
        self.stage_1 = _Stage(6 * f, 8 * f, 2 * f, f, cells)
        self.reduction_1 = ReductionCell0(12 * f, 4 * f, 12 * f, 4 * f, _PAD)
        self.stage_2 = _Stage(12 * f, 16 * f, 4 * f, 2 * f, cells)
        self.act = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(24 * f, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        stem = self.bn0(self.conv0(images))
        before_last = self.cell_stem_0(stem)
        last, before_last = self.stage_0(self.cell_stem_1(stem, before_last), before_last)
        # The cell after a reduction takes as its second input what the reduction took, as in the paper's code.
        last, before_last = self.stage_1(self.reduction_0(last, before_last), before_last)
        last, before_last = self.stage_2(self.reduction_1(last, before_last), before_last)
        logits: Tensor = self.classifier(self.dropout(self.pool(self.act(last)).flatten(1)))
        return logits
