#!/usr/bin/env bash
# What docs/performance.md has to say of a GPU, measured on one in about ten minutes:
#
#     bash benchmarks/gpu.sh OUT
#
# Each part has a limit of its own and leaves OUT/NAME.txt; one that fails says so and the others go on. Where there is no
# GPU, small sizes show that the script runs:
#
#     HEIGHT=64 STEPS=4 ROUNDS=1 NETWORK="--preset tiny" bash benchmarks/gpu.sh OUT
set -uo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${1:?usage: bash benchmarks/gpu.sh OUT}")
height=${HEIGHT:-720} steps=${STEPS:-60} rounds=${ROUNDS:-20} python=${PYTHON:-python}
network=${NETWORK:---preset paper --precision mixed_bfloat16}
size="$((2 * height))x$height"
mkdir -p "$out"

part() { # NAME SECONDS COMMAND...
    local name=$1 seconds=$2
    shift 2
    echo "== $name: $*"
    timeout "$seconds" "$@" >"$out/$name.txt" 2>&1 || echo "$name ended with $?: see $out/$name.txt"
    tail -n 4 "$out/$name.txt"
}

step() { # NAME SECONDS OPTIONS...
    local name=$1 seconds=$2
    shift 2
    part "$name" "$seconds" "$python" benchmarks/train_step.py --rounds "$rounds" --limit "$((seconds - 10))" "$@"
}

train() { # NAME DATA OPTIONS...
    local name=$1 data=$2
    shift 2
    # shellcheck disable=SC2086 # words of their own
    part "$name" 120 "$python" -m msda_tf train --data "$out/$data" --target cityscapes --run "$out/runs/$name" \
        --restart --yes $network --layout joint --init none --steps "$steps" --set evaluate_every=0 --set held_out=0 \
        --set merge=max-logit --set norm=group "$@"
}

# The step beside PyTorch's at AdaptSegNet's sizes; domains of one size, apart and together.
if [ "$height" -ge 512 ]; then
    step step-bfloat16 180 --arithmetic bfloat16 --channels-last
    step step-tf32 180 --arithmetic tf32
fi
for passes in apart together; do
    step "passes-$passes" 90 --arithmetic bfloat16 --alone --source "$size" --target "$size" --passes "$passes"
done

# Whole trainings from shards: images a second and what was waited for; the memory that was foretold, and that was used.
for format in png jpeg; do
    part "prepare-$format" 120 "$python" -m msda_tf prepare --dataset miniature --height "$height" --train-frames 60 \
        --test-frames 10 --image-format "$format" --raw "$out/raw" --output "$out/$format"
    train "train-$format" "$format"
done
train dry-run png --dry-run

# The same training twice.
for twice in 1 2; do
    train "deterministic-$twice" png --set deterministic=true --seed 7
done
part same-weights 60 "$python" - "$out"/runs/deterministic-{1,2} <<'PYTHON'
import sys

import numpy as np

from msda_tf.runs import trained

first, second = (trained.load([folder]).inference.members[0].segmenter.variables for folder in sys.argv[1:])
different = [a.path for a, b in zip(first, second, strict=True) if not np.array_equal(a.numpy(), b.numpy())]
print(f"{len(first)} variables, {len(different)} of them different", *different[:3])
PYTHON
