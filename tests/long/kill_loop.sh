#!/usr/bin/env bash
# Kills a training job on two ranks with kill -9 at random moments; every start goes on from a valid
# checkpoint, and the weights at the end are those of a run that nobody disturbed.
#   HEDDLE=build/release/bin/heddle tests/long/kill_loop.sh [KILLS]     default 30
. "$(dirname "$0")/common.sh"
kills=${1:-30}
RANDOM=${SEED:-1}

write_config "$scratch/config.yaml" 960
steps=$((kills * 60))
settings=(--set training.steps=$steps --set checkpoint.every=3 --set log.hash_every=$steps)
ranks 2 1 train "$scratch/config.yaml" --set output="$scratch/one" "${settings[@]}"

run=$scratch/killed hits=0 hung=0

# alive JOB: whether mpirun has a rank that is no zombie.
alive() {
  local child
  for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do
    grep -qs '^State:.[^Z]' "/proc/$child/status" && return 0
  done
  return 1
}

# Waits for the job to end. mpirun itself can hang when a rank dies while it says hello to it (a race
# in OpenMPI's PMIx): with no rank left it is killed. A rank that is still there after 20 s is ours.
await() {
  local tenths
  for ((tenths = 0; tenths < 200; ++tenths)); do
    kill -0 "$1" 2>/dev/null || break
    sleep 0.1
  done
  if kill -0 "$1" 2>/dev/null; then
    ! alive "$1" || fail "a rank goes on 20 s after another was killed"
    kill -9 "$1"
    hung=$((hung + 1))
  fi
  wait "$1" 2>/dev/null
}

for ((kill = 1; kill <= kills; ++kill)); do
  mpirun -n 2 "$heddle" train "$scratch/config.yaml" --threads 1 --set output="$run" \
    "${settings[@]}" > "$scratch/said" 2>&1 &
  job=$!
  # At any moment from the start of the ranks on, or, every other time, from the next step on.
  until victims=($(cat "/proc/$job/task/$job/children" 2>/dev/null)) && [ ${#victims[@]} -gt 1 ]; do
    kill -0 $job 2>/dev/null || break
    sleep 0.01
  done
  before=$(stat -c %s "$run/log.jsonl" 2>/dev/null || echo 0)
  if ((kill % 2 == 0)); then
    until [ "$(stat -c %s "$run/log.jsonl" 2>/dev/null || echo 0)" -gt $((before + 500)) ]; do
      kill -0 $job 2>/dev/null || break
      sleep 0.01
    done
  fi
  sleep "0.$((RANDOM % 900 + 100))"
  mapped=$(for victim in "${victims[@]}"; do
    sed -n 's|.* \(/dev/shm/.*\)|\1|p' "/proc/$victim/maps" 2>/dev/null | grep -v ' (deleted)$'
  done | sort -u || true)
  # One rank, or both.
  kill -9 "${victims[@]:0:$((RANDOM % 2 + 1))}" 2>/dev/null || true
  status=0 hung_before=$hung
  await $job || status=$?
  # What MPI and the gradients share has gone with the job; an mpirun that was killed leaves it.
  for file in $mapped; do
    [ -e "$file" ] || continue
    [ $hung -gt $hung_before ] || fail "$file is left after kill $kill"
    rm -f "$file"
  done
  [ "$status" != 65 ] || fail "no valid checkpoint after kill $kill: $(cat "$scratch/said")"
  [ "$status" = 0 ] || hits=$((hits + 1))  # else it was at its end already
  [ ! -e "$run/checkpoints/last" ] || "$heddle" verify "$run/checkpoints/last" > "$scratch/said" ||
    fail "after kill $kill: $(head -3 "$scratch/said")"
done
ranks 2 1 train "$scratch/config.yaml" --set output="$run" "${settings[@]}" 2> "$scratch/said" ||
  fail "$(cat "$scratch/said")"
"$heddle" diff "$scratch/one" "$run" > "$scratch/diff" || fail "$(cat "$scratch/diff")"

resumed=$(grep -c '"event":"resume"' "$run/log.jsonl")
echo "kill_loop: $hits of $kills kills hit, $resumed resumes in the log, mpirun hung $hung times;" \
  "after $steps steps $(cat "$scratch/diff")"
