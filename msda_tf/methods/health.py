"""Whether the two sides of adversarial training balance, judged from what was logged (metrics.jsonl)."""

from collections.abc import Sequence

from msda_tf.training.log import Row

HEALTHY = (0.55, 0.97)
"""Share of the pixels of its maps on which a discriminator is right: below, it is near chance (0.5); above, there is
nothing left to learn from it. Runs that gained from adaptation lay at 0.6 to 0.9."""

LEAST_ROWS = 20
"""Lines of the log, ten steps each, before anything is said: discriminators begin at chance."""

_ACCURACY = "disc_accuracy/"


def warnings(rows: Sequence[Row]) -> list[str]:
    """What is wrong with discriminators in the last fifth of a training, one sentence for each that is out of balance.

    Args:
      rows: of `msda_tf.training.log.read`, all of them.
    """
    logged = [row for row in rows if any(name.startswith(_ACCURACY) for name in row.values)]
    if len(logged) < LEAST_ROWS:
        return []
    last = logged[-(len(logged) // 5) :]
    found = []
    for name in (name for name in last[-1].values if name.startswith(_ACCURACY)):
        values = [row.values[name] for row in last if row.values.get(name) is not None]
        mean, which = sum(values) / len(values), f"the discriminator {name.removeprefix(_ACCURACY)}"
        said = f"is right on {100 * mean:.0f} % of the pixels since step {last[0].step}"
        if mean < HEALTHY[0]:
            found.append(f"{which} {said}, and 50 are chance: it teaches nothing; raise discriminator_lr")
        elif mean > HEALTHY[1]:
            found.append(f"{which} {said}: it has won, and teaches little; lower discriminator_lr")
    return found
