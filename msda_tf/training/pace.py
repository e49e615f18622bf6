"""How fast training is, in a few words for the progress line."""

from collections.abc import Mapping


def described(metrics: Mapping[str, float | None]) -> str:
    """As in "12.3 images/s, 2 % waiting, GPU 8.1 GiB", of what the trainer logs; the GPU only where there is one.

    Waiting is the share of the time in which the networks had no batch: much of it means that reading, decoding or the
    disk is slower than they are. The memory is the most that one GPU has handed out so far.
    """
    parts = [f"{metrics['images_per_second']:.3g} images/s", f"{100 * metrics['waiting_for_data']:.0f} % waiting"]
    gpus = [value for name, value in metrics.items() if name.startswith("memory/gpu")]
    if gpus:
        parts.append(f"GPU {max(gpus):.1f} GiB")
    return ", ".join(parts)
