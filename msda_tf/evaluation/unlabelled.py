"""Scores without labels: what a branch or a merge is worth on images that nobody has labelled.

All of them go by probabilities that were calibrated on the held-out images of other sources
(`msda_tf.evaluation.cross_source`). The first gives a mean IoU; of the others docs/studies/unequal_sources.md says what
they were worth.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from msda_tf.evaluation.calibration import expected_matrix, expected_miou, probabilities
from msda_tf.evaluation.cross_source import Calibration, Cells, at

_NEIGHBOURS = 256
"""Pixels of an image whose likeness is looked at: all pairs are."""


@dataclass(frozen=True)
class Estimate:
    """What is to be expected of one map, fractions 0-1 but for the last two.

    Attributes:
      miou: estimated mean IoU over all classes, an absent one counting 0: a branch's `own`; a merge's `consensus`, with
        what the branches have beyond theirs, on average.
      error: its standard error: over images, and as wrong as such estimates are on sources that branches have not seen.
      own: mean IoU as the map's own probabilities expect it; None for a merge.
      consensus: mean IoU as the branches' weighted mean probabilities expect it.
      threshold_accuracy: share of right pixels by ATC (Garg et al. 2022); None for a merge.
      confidence_accuracy: by the difference of confidences, DoC (Guillory et al. 2021); None for a merge.
      agreement: share of pixels on which another branch says the same, mean over the other branches; 1 without any.
      entropy: of the probabilities, mean over pixels, nats: the lower, the surer.
      density: of soft neighbourhoods, SND (Saito et al. 2021), nats: the higher, the better are pixels grouped.
    """

    miou: float
    error: float
    own: float | None
    consensus: float
    threshold_accuracy: float | None
    confidence_accuracy: float | None
    agreement: float
    entropy: float
    density: float


def entropy(probability: np.ndarray) -> float:
    """Mean entropy of probabilities `[P, C]`, nats."""
    return float(-(probability * np.log(np.maximum(probability, 1e-12))).sum(axis=1).mean())


def neighbourhood_density(probability: np.ndarray, temperature: float = 0.05) -> float:
    """Entropy of each pixel's likeness to the others, mean over pixels, nats (SND: Saito et al. 2021, eqs. 1-3).

    Args:
      probability: float `[P, C]`, P > 1; every pair of pixels is compared.
      temperature: of the softmax over likenesses; the paper's.
    """
    unit = probability / np.linalg.norm(probability, axis=1, keepdims=True)
    # einsum, not BLAS: see `expected_matrix`.
    likeness = np.einsum("pc,qc->pq", unit, unit) / temperature
    np.fill_diagonal(likeness, -np.inf)
    return entropy(probabilities(likeness))


class Collector:
    """Takes image after image.

    Args:
      calibrations: of every branch.
      cells: of the same branches: how confidence and truth went together where there were labels.
      merged: the branches whose weighted mean is the consensus.
    """

    def __init__(self, calibrations: Mapping[str, Calibration], cells: Cells, merged: Sequence[str]):
        self._calibrations, self._cells, self._merged = calibrations, cells, merged
        self._images: dict[str, list[dict]] = {}

    def add(self, logits: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray]) -> None:
        """One image's pixels.

        Args:
          logits: branch -> float `[P, C]`.
          labels: branch or merge -> predicted trainIds `[P]`.
        """
        soft = {name: probabilities(each, self._calibrations[name].temperature) for name, each in logits.items()}
        weights = {name: self._calibrations[name].weight for name in self._merged}
        consensus = sum(weight * soft[name] for name, weight in weights.items()) / sum(weights.values())
        spread = slice(None, None, -(-len(consensus) // _NEIGHBOURS))
        for name, predicted in labels.items():
            own = soft.get(name, consensus)
            others = [labels[other] for other in self._merged if other != name]
            top = own.max(axis=1)
            self._images.setdefault(name, []).append(
                {
                    "own": expected_matrix(predicted, own),
                    "consensus": expected_matrix(predicted, consensus),
                    "confidence": float(top.mean()),
                    "reached": float((top >= self._threshold(name)).mean()),
                    "agreement": float(np.mean([(predicted == other).mean() for other in others])) if others else 1.0,
                    "entropy": entropy(own),
                    "density": neighbourhood_density(own[spread]),
                }
            )

    def estimates(self) -> dict[str, Estimate]:
        """Of all images so far, in the order of the maps."""
        return {name: self._estimate(name, images) for name, images in self._images.items()}

    def _estimate(self, name: str, images: list[dict]) -> Estimate:
        def mean(key):
            return float(np.mean([image[key] for image in images]))

        branch = name in self._calibrations
        own, consensus = (np.array([image[key] for image in images]) for key in ("own", "consensus"))
        used = own if branch else consensus
        miou = expected_miou(used.sum(axis=0)) + (0.0 if branch else self._consensus_gap())
        gap = self._confidence_gap(name) if branch else None
        return Estimate(
            miou=miou,
            error=float(np.hypot(_sampling_error(used), self._model_error())),
            own=expected_miou(own.sum(axis=0)) if branch else None,
            consensus=expected_miou(consensus.sum(axis=0)),
            threshold_accuracy=mean("reached") if branch else None,
            confidence_accuracy=float(np.clip(mean("confidence") + gap, 0, 1)) if branch else None,
            agreement=mean("agreement"),
            entropy=mean("entropy"),
            density=mean("density"),
        )

    def _consensus_gap(self) -> float:
        """What the branches' own probabilities expect of them beyond the consensus, mean over the merged ones.

        A mean of probabilities is less sure than its parts, and than it should be.
        """
        sums = [
            [np.sum([image[key] for image in self._images[name]], axis=0) for key in ("own", "consensus")]
            for name in self._merged
            if name in self._images
        ]
        return float(np.mean([expected_miou(own) - expected_miou(consensus) for own, consensus in sums]))

    def _threshold(self, name: str) -> float:
        """Of a branch: the confidence that as many pixels reached as were right."""
        if name not in self._calibrations:
            return 0.0
        temperature = self._calibrations[name].temperature
        return float(np.mean([at(cell.threshold, temperature) for cell in self._used(name)]))

    def _confidence_gap(self, name: str) -> float:
        """Accuracy less mean confidence on the cells that a branch's calibration rests on."""
        temperature = self._calibrations[name].temperature
        return float(np.mean([cell.accuracy - at(cell.confidence, temperature) for cell in self._used(name)]))

    def _used(self, name: str):
        return [self._cells[name][source] for source in self._calibrations[name].sources]

    def _model_error(self) -> float:
        """Root mean square of expected less true mean IoU on unseen cells; on all of them if there is none."""
        of = self._calibrations
        known = [(name, cell) for name in of for cell in self._used(name)]
        chosen = [pair for pair in known if not pair[1].seen] or known
        gaps = [at(cell.expected_miou, of[name].temperature) - cell.miou for name, cell in chosen]
        return float(np.sqrt(np.mean(np.square(gaps))))


def _sampling_error(matrices: np.ndarray, draws: int = 200) -> float:
    """Standard deviation of the expected mean IoU over other draws of as many images; matrices `[N, C, C]`."""
    generator = np.random.default_rng(0)
    chosen = generator.integers(0, len(matrices), (draws, len(matrices)))
    return float(np.std([expected_miou(matrices[rows].sum(axis=0)) for rows in chosen]))
