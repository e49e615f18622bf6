"""Which networks a configuration's layout trains, their branches, and what these are called in tables."""

from dataclasses import dataclass

from msda_tf.config.train_config import TrainConfig


@dataclass(frozen=True)
class NetworkPlan:
    """One network of a run.

    Attributes:
      name: of its folder.
      branches: the classifiers at each level.
      feeds: for each source image of a step, the branches that it trains.
      pooled: whether a step sees one batch from the pool of all sources, instead of one batch from each.
    """

    name: str
    branches: tuple[str, ...]
    feeds: tuple[tuple[str, ...], ...]
    pooled: bool


def plan(config: TrainConfig) -> list[NetworkPlan]:
    """The networks that a configuration's layout trains, in order.

    With one source S1 and S-All are the same branch: `separate` then trains S-All alone.
    """
    own = tuple(f"S{number + 1}" for number in range(len(config.sources)))
    sources = NetworkPlan("sources", own, tuple((branch,) for branch in own), pooled=False)
    s_all = NetworkPlan("s-all", ("S-All",), (("S-All",),), pooled=True)
    joint = NetworkPlan("joint", (*own, "S-All"), tuple((branch, "S-All") for branch in own), pooled=False)
    both = [sources, s_all] if len(own) > 1 else [s_all]
    return {"separate": both, "joint": [joint], "sources": [sources], "s-all": [s_all]}[config.layout]
