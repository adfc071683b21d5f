"""What has to be known of a detector's network to use it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class DetectorSpec:
    """What a detector's network takes and gives."""

    names: dict[int, str]  # of its classes
    stride: int  # the sides of its input are multiples
    nms_free: bool  # its boxes need no non-maximum suppression: one for each object (YOLOv10, YOLO26, RT-DETR)
    stretches: bool  # it takes pictures stretched to a square, and boxes are centre, size, in shares of it (RT-DETR)
    masks: bool  # it gives masks, too
    side: int = 0  # of the only pictures that it takes, squares; 0 if it takes all sizes

    def scores_in(self, boxes: Any) -> Any:
        """The scores in its first output, whose axis 1 is that of the classes, or of the boxes if it is NMS-free.

        boxes: (N, 4 + classes + mask coefficients, anchors), or (N, boxes, 6 + mask coefficients) if NMS-free.
        """
        if self.nms_free:
            return boxes[:, :, 4]
        return boxes[:, 4 : 4 + self.classes_in(boxes)]

    def classes_in(self, boxes: Any) -> int:
        """The number of classes in its first output, which may have more than it has names for."""
        return len(self.names) if self.masks else int(boxes.shape[-2]) - 4
