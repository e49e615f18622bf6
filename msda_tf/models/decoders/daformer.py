"""DAFormer's context-aware decoder."""

from msda_tf.models.decoders import atrous
from msda_tf.models.decoders.fused import ContextTrunk, FusedDecoder


def make(*, level: str, branches: tuple[str, ...], num_classes: int, rates: tuple[int, ...]):
    """The decoder of one level; "feature" has the paper's atrous classifiers on the third map."""
    if level == "feature":
        return atrous.make(level=level, branches=branches, num_classes=num_classes, rates=rates)
    return FusedDecoder(ContextTrunk(), branches=branches, num_classes=num_classes)
