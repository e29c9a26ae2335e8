#!/usr/bin/env bash
# The same losses and weights, bit for bit, on every number of ranks and threads, and after kill -9
# on another number of ranks; with whole batches, a last batch of 3 rows, accumulation, an odd batch
# and a frozen encoder.   [PRECISION=bf16] HEDDLE=build/release/bin/heddle tests/long/same_bits.sh
. "$(dirname "$0")/common.sh"

compared=0
equal() {
  "$heddle" diff "$scratch/one" "$1" > "$scratch/diff" || fail "$2: $(cat "$scratch/diff")"
  compared=$((compared + 1))
}

# kill_and_go_on SETTINGS…: 4 ranks until step 15, kill -9, 1 rank until step 22, kill, then 2 ranks.
kill_and_go_on() {
  local run=$scratch/killed settings=("$@")
  local from=1 step count
  for leg in 4:15 1:22; do
    count=${leg%:*} step=${leg#*:}
    mpirun -n "$count" "$heddle" train "$scratch/config.yaml" --threads 1 --set output="$run" \
      "${settings[@]}" 2> /dev/null &
    local job=$!
    until logged "$run" "$step"; do
      kill -0 $job 2>/dev/null || break
      sleep 0.02
    done
    # The ranks die with mpirun's children first, so that nothing is left over.
    kill -9 $(cat "/proc/$job/task/$job/children" 2>/dev/null) 2>/dev/null || true
    wait $job 2>/dev/null || true
  done
  ranks 2 1 train "$scratch/config.yaml" --set output="$run" "${settings[@]}"
  equal "$run" "killed on 4 and 1, ended on 2 ranks: ${settings[*]}"
  rm -rf "$run"
}

# case NAME ROWS LAYOUTS SETTINGS…
case_of() {
  local name=$1 rows=$2 layouts=$3
  shift 3
  write_config "$scratch/config.yaml" "$rows"
  rm -rf "$scratch/one"
  ranks 1 1 train "$scratch/config.yaml" --set output="$scratch/one" "$@"
  local layout
  for layout in $layouts; do
    ranks "${layout%x*}" "${layout#*x}" train "$scratch/config.yaml" \
      --set output="$scratch/$layout" "$@"
    equal "$scratch/$layout" "$name on $layout ranks x threads"
    rm -rf "${scratch:?}/$layout"
  done
  kill_and_go_on "$@"
  echo "$name: equal" >&2
}

case_of "batches of 32" 960 "1x2 2x1 2x2 4x1 4x2 8x1 8x2"
case_of "a last batch of 3" 99 "1x2 2x1 4x1 8x1"
case_of "accumulation" 960 "2x1 4x2 8x1" --set batch.micro_tokens=128
case_of "batches of 13" 500 "1x2 2x1 4x1 8x1" --set batch.size=13
case_of "train: head" 960 "1x2 2x1 4x1 8x1" --set model.train=head

# One weight of the starting folder changed: diff names the step and the parameter.
write_config "$scratch/config.yaml" 960
"$heddle" export "$scratch/one" -o "$scratch/a"
cp -r "$scratch/a" "$scratch/b"
bytes=$(stat -c %s "$scratch/b/model.safetensors")
printf '\x01' | dd of="$scratch/b/model.safetensors" bs=1 seek=$((bytes - 4)) conv=notrunc status=none
for start in a b; do
  "$heddle" train "$scratch/config.yaml" --set model.architecture=~ --set model.tokenizer=~ \
    --set model.from="$scratch/$start" --set output="$scratch/from_$start" --set training.steps=5
done
"$heddle" diff "$scratch/from_a" "$scratch/from_b" > "$scratch/diff" && fail "a changed weight is not seen"
grep -q "different: step 0: parameter " "$scratch/diff" || fail "$(cat "$scratch/diff")"

echo "same_bits: $compared runs of 30 steps equal to that of one rank and one thread; a changed" \
  "weight: $(cat "$scratch/diff")"
