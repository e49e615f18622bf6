#!/usr/bin/env bash
# What docs/performance.md has to say of a GPU, measured on one in ten to fifteen minutes, what matters most first:
#
#     bash benchmarks/gpu.sh OUT [PART...]
#
# Parts: step, prepare, train, tf32, passes, inference, alike (all of them without names). Each leaves OUT/NAME.txt files
# and has a limit of its own; one that fails says so and the others go on. Where there is no GPU, small sizes show that the
# script runs:
#
#     HEIGHT=64 STEPS=4 ROUNDS=1 NETWORK="--preset tiny" bash benchmarks/gpu.sh OUT
set -uo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${1:?usage: bash benchmarks/gpu.sh OUT [PART...]}")
shift
parts=${*:-step prepare train tf32 passes inference alike}
height=${HEIGHT:-720} steps=${STEPS:-60} rounds=${ROUNDS:-20} python=${PYTHON:-python}
network=${NETWORK:---preset paper --precision mixed_bfloat16}
size="$((2 * height))x$height"
mkdir -p "$out"
export TF_FORCE_GPU_ALLOW_GROWTH=true # some of what follows runs side by side

run() { # NAME SECONDS COMMAND...
    local name=$1 seconds=$2
    shift 2
    timeout "$seconds" "$@" >"$out/$name.txt" 2>&1 || echo "$name ended with $?: see $out/$name.txt"
    printf '== %s, after %s s: %s\n%s\n' "$name" "$SECONDS" "$*" "$(tail -n 4 "$out/$name.txt")"
}

step() { # NAME SECONDS OPTIONS...
    local name=$1 seconds=$2
    shift 2
    if [ "$height" -lt 512 ]; then set -- --source "$size" --target "$size" "$@"; fi
    run "$name" "$seconds" "$python" benchmarks/train_step.py --rounds "$rounds" --limit "$((seconds - 20))" "$@"
}

train() { # NAME SECONDS DATA OPTIONS...
    local name=$1 seconds=$2 data=$3
    shift 3
    # shellcheck disable=SC2086 # words of their own
    run "$name" "$seconds" "$python" -m msda_tf train --data "$out/$data" --target cityscapes --run "$out/runs/$name" \
        --restart --yes $network --layout joint --init none --steps "$steps" --set evaluate_every=0 --set held_out=0 \
        --set merge=max-logit --set norm=group "$@"
}

# The step beside PyTorch's at AdaptSegNet's sizes.
part_step() { step step-bfloat16 260 --arithmetic bfloat16 --channels-last; }
part_tf32() { step step-tf32 150 --arithmetic tf32 --leave-out torch.compile; }

# Domains of one size, one after the other and together.
part_passes() {
    for passes in apart together; do
        step "passes-$passes" 90 --arithmetic bfloat16 --alone --leave-out XLA --source "$size" --target "$size" \
            --passes "$passes"
    done
}

part_prepare() {
    for format in png jpeg; do
        run "prepare-$format" 150 "$python" -m msda_tf prepare --dataset miniature --height "$height" \
            --train-frames 60 --test-frames 10 --image-format "$format" --output "$out/$format" &
    done
    wait
}

# Whole trainings from shards: images a second, what was waited for, the memory that was used.
part_train() {
    train train-png 150 png
    train train-jpeg 150 jpeg
    train train-jit 150 jpeg --jit
}

# evaluate and predict beside the network alone.
part_inference() {
    local preset=paper
    if [ "$height" -lt 512 ]; then preset=tiny; fi
    run inference 120 "$python" benchmarks/inference.py --preset "$preset" --images 16 --rounds 3 --size "$size" --format jpeg
}

# The same training twice, with and without XLA, and with a dynamic loss scale; the memory that is foretold. None is timed.
part_alike() {
    for twice in 1 2; do
        train "deterministic-$twice" 240 png --set deterministic=true --seed 7 &
        train "deterministic-jit-$twice" 240 png --set deterministic=true --seed 7 --jit &
    done
    train float16-jit 240 png --precision mixed_float16 --jit &
    train dry-run 240 png --dry-run &
    wait
    for kind in deterministic deterministic-jit; do
        run "same-weights-$kind" 60 "$python" - "$out/runs/$kind"-{1,2} <<'PYTHON'
import sys

import numpy as np

from msda_tf.runs import trained

first, second = (trained.load([folder]).inference.members[0].segmenter.variables for folder in sys.argv[1:])
different = [a.path for a, b in zip(first, second, strict=True) if not np.array_equal(a.numpy(), b.numpy())]
print(f"{len(first)} variables, {len(different)} of them different", *different[:3])
PYTHON
    done
}

for part in $parts; do
    declare -F "part_$part" >/dev/null || { echo "no part is named $part"; exit 2; }
done
for part in $parts; do
    "part_$part"
done
