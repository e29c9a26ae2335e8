#!/usr/bin/env bash
# Injects random faults into a training job on four ranks with `watchdog: {step: 5 s}` (WATCH=…).
# Each ends within its deadline with its exit code and message, or the job goes on; the weights at
# the end of every run are those of one that nobody disturbed, and nothing is left in /dev/shm.
#   HEDDLE=build/release/bin/heddle tests/long/faults.sh [FAULTS] [KIND]     default 40, of all kinds
# In a mount namespace, where there may be one, with a /dev/shm of its own.
if [ -z "${HEDDLE_FAULTS_INSIDE:-}" ] && unshare --mount true 2>/dev/null; then
  HEDDLE_FAULTS_INSIDE=yes exec unshare --mount "$0" "$@"
fi
. "$(dirname "$0")/common.sh"
faults=${1:-40}
RANDOM=${SEED:-1}
kinds=(${2:-kill stop stop_start enospc one_disk corrupt usr1 term config})
count=4
steps=${STEPS:-600}
# In memory: many small saves.
if [ -n "${HEDDLE_FAULTS_INSIDE:-}" ]; then
  mount -t tmpfs heddle-scratch "$scratch"
  trap 'cd / && umount -l "$scratch"; rm -rf "$scratch"' EXIT
fi

write_config "$scratch/config.yaml" 960
settings=(--threads 1 --set training.steps=$steps --set checkpoint.every=5 --set log.hash_every=20
  --set "watchdog={start: 15 s, step: ${WATCH:-5} s}" --set log.console=lines)
run=$scratch/run said=$scratch/said
"$heddle" train "$scratch/config.yaml" "${settings[@]}" --set output="$scratch/one" \
  --set checkpoint.every=never --quiet \
  > "$said" 2>&1 || fail "$(cat "$said")"

# The checkpoints of the disturbed run lie on a small disk of their own: room for the two that are
# kept, the one that was loaded, and the next.
mkdir -p "$run/checkpoints"
small_disk=no
if [ -n "${HEDDLE_FAULTS_INSIDE:-}" ]; then
  mount -t tmpfs -o size=1g heddle-shm /dev/shm
  mount -t tmpfs -o size=16m heddle-disk "$run/checkpoints"
  small_disk=yes
fi

ours() { find /dev/shm -newer "$scratch/config.yaml" \( -name '*heddle*' -o -name 'osc_sm*' -o -name 'vader_segment*' \); }

train=("$heddle" train "$scratch/config.yaml" --set output="$run" "${settings[@]}")
start() {
  : > "$said"
  size_before=$(stat -c %s "$run/log.jsonl" 2>/dev/null || echo 0)
  mpirun -n $count "${train[@]}" > "$said" 2>&1 &
  job=$!
}

# Ends the job's wait: exit code into `status`, seconds since `begin` into `took`.
await() {  # SECONDS
  local tenths
  for ((tenths = 0; tenths < $1 * 10; ++tenths)); do
    kill -0 $job 2>/dev/null || break
    sleep 0.1
  done
  if kill -0 $job 2>/dev/null; then
    hung=$(pgrep -P $job | wc -l)
    if [ "$hung" -gt 0 ]; then
      kill -9 $(pgrep -P $job) $job 2>/dev/null || true
      fail "$kind: the job goes on after $1 s: $(tail -20 "$said")"
    fi
    kill -9 $job  # mpirun itself, without ranks: a race in OpenMPI's PMIx
    stuck=$((stuck + 1))
    sleep 0.5
    rm -f $(ours)  # which it would have removed
  fi
  status=0
  wait $job 2>/dev/null || status=$?
  took=$(echo "$begin $(date +%s.%N)" | awk '{ printf "%.1f", $2 - $1 }')
}

# Until the run has logged some steps more than at its start; false if it ended.
until_steps() {
  until [ "$(stat -c %s "$run/log.jsonl" 2>/dev/null || echo 0)" -gt $((size_before + $1)) ]; do
    kill -0 $job 2>/dev/null || return 1
    sleep 0.02
  done
}

# The processes of the ranks, once all are there.
victims() {
  until mapfile -t ranks < <(pgrep -P $job -x "$(basename "$heddle" | cut -c1-15)") && [ ${#ranks[@]} -eq $count ]; do
    kill -0 $job 2>/dev/null || return 1
    sleep 0.02
  done
}

told() { grep -v '/4\]     in ' "$said" | tail -40; }  # without stacks
said_it() { grep -qF -- "$1" "$said"; }
expect() {  # CODE MESSAGE…
  local code=$1
  shift
  [ "$status" = "$code" ] || fail "$kind: exit code $status, not $code: $(told)"
  local message
  for message in "$@"; do
    said_it "$message" || fail "$kind: '$message' is not said: $(told)"
  done
}

random_steps() { until_steps $((RANDOM % 4000 + 400)); }

# Each returns 1 if the job had come to its end before the fault.
fault_kill() {
  start
  victims || return 1
  if ((RANDOM % 2)); then random_steps || return 1; else sleep "0.$((RANDOM % 900 + 100))"; fi
  begin=$(date +%s.%N)
  kill -9 "${ranks[RANDOM % count]}" 2>/dev/null || return 1
  await 20
  [ "$status" != 0 ] || return 1
  # mpirun says 137; where the rank had not told it of itself yet, 1.
  [ "$status" = 137 ] || [ "$status" = 1 ] || expect 137
}
fault_stop() {
  start
  victims && random_steps || return 1
  begin=$(date +%s.%N)
  kill -STOP "${ranks[RANDOM % count]}" 2>/dev/null || return 1
  await 30
  [ "$status" != 0 ] || return 1
  expect 124 "no progress for" "; its process " " is stopped"
}
fault_stop_start() {  # before the first step, which has the limit of the start
  start
  victims || return 1
  until said_it "heddle train"; do kill -0 $job 2>/dev/null || return 1; sleep 0.005; done
  begin=$(date +%s.%N)
  kill -STOP "${ranks[RANDOM % count]}" 2>/dev/null || return 1
  await 45
  [ "$status" != 0 ] || return 1
  expect 124 "no progress for" " is stopped"
}
fault_enospc() {  # the disk is full for some saves, and then no longer
  [ $small_disk = yes ] || return 1
  start
  victims && random_steps || return 1
  begin=$(date +%s.%N)
  dd if=/dev/zero of="$run/checkpoints/full" bs=64k status=none 2>/dev/null || true
  until said_it "training goes on"; do kill -0 $job 2>/dev/null || break; sleep 0.01; done
  rm -f "$run/checkpoints/full"
  took=$(echo "$begin $(date +%s.%N)" | awk '{ printf "%.1f", $2 - $1 }')
  sleep 0.5
  kill -USR1 $job 2>/dev/null || true
  local until_said=$took
  await 30
  took=$until_said
  said_it "training goes on" || [ "$status" != 0 ] || return 1
  [ "$status" = 0 ] || [ "$status" = 75 ] || expect 74  # after three in a row
  expect "$status" "not saved: rank" "training goes on"
}
fault_one_disk() {  # one rank, and no other, can write 8 KiB a file from now on
  start
  victims && random_steps || return 1
  begin=$(date +%s.%N)
  local last
  last=$(grep -lz "^OMPI_COMM_WORLD_RANK=$((count - 1))$" $(printf '/proc/%s/environ ' "${ranks[@]}"))
  prlimit --pid "$(echo "$last" | cut -d/ -f3)" --fsize=8192 || return 1
  await 60
  [ "$status" != 0 ] || return 1
  expect 74 "not saved: rank $((count - 1))" "File too large" "training goes on"
}
fault_corrupt() {  # the newest checkpoint has a wrong byte
  start
  victims && random_steps || return 1
  kill -9 "${ranks[RANDOM % count]}" 2>/dev/null || return 1
  begin=$(date +%s.%N)
  await 20
  [ "$status" != 0 ] || return 1
  local newest file at
  newest=$(ls -d "$run"/checkpoints/step-*[0-9] 2>/dev/null | tail -1)
  [ -n "$newest" ] && [ "$(ls -d "$run"/checkpoints/step-*[0-9] | wc -l)" -gt 1 ] || return 1
  mapfile -t files < <(find "$newest" -type f -size +0)
  file=${files[RANDOM % ${#files[@]}]}
  at=$(((RANDOM * 32768 + RANDOM) % $(stat -c %s "$file")))
  printf '%b' "\\x$(printf '%02x' $((255 - $(od -An -tu1 -j$at -N1 "$file"))))" |
    dd of="$file" bs=1 seek=$at conv=notrunc status=none
  begin=$(date +%s.%N)
  start
  victims || true
  until_steps 400 || true
  kill -USR1 $job 2>/dev/null || true
  await 30
  [ "$status" = 0 ] || expect 75
  said_it "is passed over" || fail "corrupt: $file at $at: $(tail -20 "$said")"
}
fault_usr1() {
  start
  victims && random_steps || return 1
  begin=$(date +%s.%N)
  kill -USR1 $job 2>/dev/null || return 1
  await 20
  [ "$status" != 0 ] || return 1
  expect 75 "stopped on a signal after step"
}
fault_term() {  # to one rank: all stop
  start
  victims && random_steps || return 1
  begin=$(date +%s.%N)
  kill -TERM "${ranks[RANDOM % count]}" 2>/dev/null || return 1
  await 20
  [ "$status" != 0 ] || return 1
  expect 75 "stopped on a signal after step"
}
fault_config() {
  : > "$said"
  begin=$(date +%s.%N)
  mpirun -n $((count - 1)) "${train[@]}" : -n 1 "${train[@]}" --set optimizer.lr=3e-3 > "$said" 2>&1 &
  job=$!
  await 30
  expect 64 "rank $((count - 1)) was started with something else than rank 0" "optimizer.lr: "
}

declare -A done_of most_of
compared=0
finish_run() {
  mpirun -n $count "${train[@]}" > "$said" 2>&1 || fail "to the end: $(tail -20 "$said")"
  "$heddle" diff "$scratch/one" "$run" > "$scratch/diff" || fail "$(cat "$scratch/diff")"
  compared=$((compared + 1))
  rm -rf "$run"/checkpoints/* && find "$run" -mindepth 1 -maxdepth 1 ! -name checkpoints -exec rm -rf {} +
}

injected=0 missed=0 stuck=0
while [ $injected -lt "$faults" ]; do
  kind=${kinds[RANDOM % ${#kinds[@]}]}
  if "fault_$kind"; then
    injected=$((injected + 1))
    done_of[$kind]=$((${done_of[$kind]:-0} + 1))
    most_of[$kind]=$(printf '%s\n' "${most_of[$kind]:-0}" "$took" | sort -g | tail -1)
    echo "$injected: $kind: code $status after $took s" >&2
    [ ! -e "$run/checkpoints/last" ] || [ "$kind" = corrupt ] ||
      "$heddle" verify "$run/checkpoints/last" > "$said" || fail "after $kind: $(head -3 "$said")"
  else
    missed=$((missed + 1))
    kill -0 $job 2>/dev/null && { begin=$(date +%s.%N); await 120; }
    [ $missed -lt $((faults * 3 + 20)) ] || fail "$missed faults came too late"
  fi
  grep -qsE '"ended": ?"(finished|early_stop)"' "$run/run.json" && finish_run
done
[ ! -e "$run/run.json" ] || finish_run
sleep 1
left=$(ours | wc -l)
[ "$left" = 0 ] || fail "$left files are left in /dev/shm: $(ours | head)"

summary=
for kind in "${kinds[@]}"; do
  [ -z "${done_of[$kind]:-}" ] || summary+="${summary:+, }${done_of[$kind]} $kind (at most ${most_of[$kind]} s)"
done
echo "faults: $injected on $count ranks: $summary; $compared runs of $steps steps equal to the" \
  "undisturbed; mpirun hung $stuck times; nothing left in /dev/shm"
