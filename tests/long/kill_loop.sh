#!/usr/bin/env bash
# Kills a training job on two ranks with kill -9 at random moments; every start goes on from a valid
# checkpoint, and the weights at the end are those of a run that nobody disturbed.
#   HEDDLE=build/release/bin/heddle tests/long/kill_loop.sh [KILLS]     default 30
. "$(dirname "$0")/common.sh"
kills=${1:-30}
RANDOM=${SEED:-1}

write_config "$scratch/config.yaml" 960
steps=$((kills * 40))
settings=(--set training.steps=$steps --set checkpoint.every=3 --set log.hash_every=$steps)
ranks 2 1 train "$scratch/config.yaml" --set output="$scratch/one" "${settings[@]}"

run=$scratch/killed resumed=0
for ((kill = 1; kill <= kills; ++kill)); do
  mpirun -n 2 "$heddle" train "$scratch/config.yaml" --threads 1 --set output="$run" \
    "${settings[@]}" > "$scratch/said" 2>&1 &
  job=$!
  sleep "$((RANDOM % 2)).$((RANDOM % 900 + 100))"
  victims=($(cat "/proc/$job/task/$job/children" 2>/dev/null))
  # One rank, or both.
  if [ ${#victims[@]} -gt 0 ]; then kill -9 "${victims[@]:0:$((RANDOM % 2 + 1))}" 2>/dev/null || true; fi
  status=0
  wait $job 2>/dev/null || status=$?
  [ "$status" != 65 ] || fail "no valid checkpoint after kill $kill: $(cat "$scratch/said")"
  [ ! -d "$run/checkpoints" ] || "$heddle" verify "$run/checkpoints/last" > /dev/null || \
    fail "the last checkpoint is damaged after kill $kill"
  [ -d "$run/checkpoints" ] && resumed=$((resumed + 1))
done
ranks 2 1 train "$scratch/config.yaml" --set output="$run" "${settings[@]}" 2> "$scratch/said" ||
  fail "$(cat "$scratch/said")"
"$heddle" diff "$scratch/one" "$run" > "$scratch/diff" || fail "$(cat "$scratch/diff")"
left=$(find /dev/shm -name 'heddle*' | wc -l)
[ "$left" = 0 ] || fail "$left files of ours are left in /dev/shm"

echo "kill_loop: $kills kills, $resumed starts from a checkpoint, after $steps steps $(cat "$scratch/diff")"
