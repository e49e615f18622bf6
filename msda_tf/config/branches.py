"""Which networks a configuration's layout trains, their branches, and what these are called in tables."""

from dataclasses import dataclass

from msda_tf.config.train_config import TrainConfig
from msda_tf.methods import METHODS

S_ALL = "S-All"
"""The branch that sees every source."""

NO_ADAPT = "No Adapt"
"""The shown name of S-All in a run that does not adapt (the paper's column)."""

MAX_MERGE = "Max Merge"
"""The name of the merged map in every table and file."""

EQUATION_6 = "Max Logit"
"""The name of the paper's merge beside a Max Merge of another rule."""


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
    s_all = NetworkPlan("s-all", (S_ALL,), ((S_ALL,),), pooled=True)
    joint = NetworkPlan("joint", (*own, S_ALL), tuple((branch, S_ALL) for branch in own), pooled=False)
    both = [sources, s_all] if len(own) > 1 else [s_all]
    return {"separate": both, "joint": [joint], "sources": [sources], "s-all": [s_all]}[config.layout]


def adapts(config: TrainConfig) -> bool:
    """Whether the configuration's method learns from the target's images."""
    return METHODS[config.method].adapts


def trained_on(config: TrainConfig, branch: str) -> tuple[str, ...]:
    """The sources whose labels a branch learns from: S2 from the second, S-All from all."""
    return config.sources if branch == S_ALL else (config.sources[int(branch.removeprefix("S")) - 1],)


def shown_name(config: TrainConfig, branch: str) -> str:
    """What tables call a run's branch: its own name, or that of the paper's column if the run does not adapt."""
    if adapts(config):
        return branch
    return NO_ADAPT if branch == S_ALL else f"{NO_ADAPT} {branch}"


def images_per_step(config: TrainConfig, network: NetworkPlan) -> int:
    """Images of all domains that a step of a network sees."""
    return config.batch_size * (len(network.feeds) + adapts(config))
