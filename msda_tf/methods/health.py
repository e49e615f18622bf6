"""Whether a training went well, judged from what was logged (metrics.jsonl): whether the two sides of adversarial
training balance, whether a teacher gave up classes, and whether the network had to wait for images."""

from collections.abc import Sequence

from msda_tf.training.log import Row

HEALTHY = (0.55, 0.97)
"""Share of the pixels of its maps on which a discriminator is right: below, it is near chance (0.5); above, there is
nothing left to learn from it. Runs that gained from adaptation lay at 0.6 to 0.9."""

LEAST_ROWS = 20
"""Lines of the log, ten steps each, before anything is said: discriminators begin at chance."""

MOST_WAITING = 0.1
"""Share of the time that steps may wait for images; with shards on a fast disk it is 0.01."""

LEAST_SHARE = 1e-4
"""Share of the pseudo-labels' pixels: a class with less than one in ten thousand has collapsed, its IoU is near 0."""

_ACCURACY, _WAITING, _GIVEN = "disc_accuracy/", "waiting_for_data", "pseudo_label_share/"


def warnings(rows: Sequence[Row]) -> list[str]:
    """What was wrong in the last fifth of a training, a sentence each.

    Args:
      rows: of `msda_tf.training.log.read`, all of them.
    """
    return [*_out_of_balance(rows), *collapsed(rows), *_input_bound(rows)]


def collapsed(rows: Sequence[Row]) -> list[str]:
    """A sentence on the classes that a teacher no longer gives, if there are any: no label of the target is needed.

    Args:
      rows: of `msda_tf.training.log.read`; shares are logged of those classes alone that the sources show.
    """
    step, shares = _last_fifth(rows, _GIVEN)
    gone = [name for name, share in shares.items() if share < LEAST_SHARE]
    if not gone:
        return []
    return [
        f"the teacher labels no pixel of the target as {', '.join(gone)} since step {step}, which the sources "
        "show: if the target does, try pseudo_floor=0.5, pseudo_weight=class or source_images=rare-classes"
    ]


def _input_bound(rows: Sequence[Row]) -> list[str]:
    return [
        f"input-bound: {100 * share:.0f} % of the time went into waiting for images; prepare --image-format jpeg or "
        "--scale 0.5, or a faster disk, would help"
        for share in _last_fifth(rows, _WAITING)[1].values()
        if share > MOST_WAITING
    ]


def _out_of_balance(rows: Sequence[Row]) -> list[str]:
    step, accuracies = _last_fifth(rows, _ACCURACY)
    found = []
    for name, mean in accuracies.items():
        which = f"the discriminator {name}"
        said = f"is right on {100 * mean:.0f} % of the pixels since step {step}"
        if mean < HEALTHY[0]:
            found.append(f"{which} {said}, and 50 are chance: it teaches nothing; raise discriminator_lr")
        elif mean > HEALTHY[1]:
            found.append(f"{which} {said}: it has won, and teaches little; lower discriminator_lr")
    return found


def _last_fifth(rows: Sequence[Row], prefix: str) -> tuple[int, dict[str, float]]:
    """(step, mean by the rest of the name) of the metrics whose names begin so, over the last fifth of the lines that
    have any, which begins at this step; nothing as long as there are too few lines."""
    logged = [row for row in rows if any(name.startswith(prefix) for name in row.values)]
    if len(logged) < LEAST_ROWS:
        return 0, {}
    last = logged[-(len(logged) // 5) :]
    means = {}
    for name in (name for name in last[-1].values if name.startswith(prefix)):
        values = [row.values[name] for row in last if row.values.get(name) is not None]
        if values:
            means[name.removeprefix(prefix)] = sum(values) / len(values)
    return last[0].step, means
