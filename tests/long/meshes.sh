#!/usr/bin/env bash
# The same losses and weights, bit for bit, on every mesh: data x tensor ranks, optimizer state whole
# or shared (ZeRO-1), the stream whole or split (sequence parallelism), and over a kill and resumes on other meshes; every pair of meshes saves and
# loads; predictions are the same too.   HEDDLE=build/release/bin/heddle tests/long/meshes.sh
. "$(dirname "$0")/common.sh"

write_config "$scratch/config.yaml" 960
common=(--set numerics.tensor=4 --set training.steps=20 --set checkpoint.every=10)
compared=0

# on DxTxZ[s] ARGUMENTS…: heddle train on data D, tensor T, zero Z; s: the stream is split.
on() {
  local data tensor zero sequence=false
  IFS=x read -r data tensor zero <<< "${1%s}"
  [ "$1" = "${1%s}" ] || sequence=true
  shift
  ranks $((data * tensor)) 1 train "$scratch/config.yaml" "${common[@]}" \
    --set parallel.tensor="$tensor" --set parallel.zero="$zero" \
    --set parallel.sequence=$sequence "$@"
}

equal() {
  "$heddle" diff "$1" "$2" > "$scratch/diff" || fail "$3: $(cat "$scratch/diff")"
  compared=$((compared + 1))
}

on 1x1x0 --set output="$scratch/one"

# The matrix: every D x T of up to 8 ranks.
for mesh in 1x1x1 1x2x0 1x4x0 2x1x1 2x2x0 2x2x1 2x4x1 4x1x0 4x2x1 8x1x1 \
  1x1x0s 1x2x0s 1x4x0s 2x2x1s 2x4x0s 4x2x1s; do
  on "$mesh" --set output="$scratch/$mesh"
  equal "$scratch/one" "$scratch/$mesh" "mesh $mesh"
  rm -rf "${scratch:?}/$mesh"
done
for recompute in attention layer; do
  on 2x2x1s --set output="$scratch/again" --set memory.recompute=$recompute
  equal "$scratch/one" "$scratch/again" "mesh 2x2x1s, recompute $recompute"
  rm -rf "$scratch/again"
done
echo "matrix: equal" >&2

# The flagship: 10 steps on 2 x 2, kill -9, on 1 x 2, kill, to the end on one rank.
run=$scratch/flagship
for leg in 2x2x1s:11 1x2x0:16; do
  on "${leg%:*}" --set output="$run" --set checkpoint.every=5 2> /dev/null &
  job=$!
  until logged "$run" "${leg#*:}"; do
    kill -0 $job 2> /dev/null || break
    sleep 0.02
  done
  pkill -9 -f "output=$run" 2> /dev/null || true
  wait $job 2> /dev/null || true
done
on 1x1x0 --set output="$run" --set checkpoint.every=5
equal "$scratch/one" "$run" "2 x 2, killed, 1 x 2, killed, 1 x 1"
echo "flagship: equal" >&2

# Every pair: saved at step 10 on one mesh, from there to the end on another.
meshes=(1x1x0 1x2x0 1x4x0 1x4x0s 2x1x1 2x2x0 2x2x1 2x2x1s 4x1x1 2x1x0 4x1x0 4x2x1)
[ "${1:-}" = full ] || meshes=(1x1x0 1x4x0s 2x2x1 4x1x1)
for first in "${meshes[@]}"; do
  on "$first" --set output="$scratch/first" --set checkpoint.keep=3
  for second in "${meshes[@]}"; do
    on "$second" --set output="$scratch/second" --resume "$scratch/first/checkpoints/step-000000010"
    equal "$scratch/first" "$scratch/second" "saved on $first, ended on $second"
    rm -rf "$scratch/second"
  done
  equal "$scratch/one" "$scratch/first" "mesh $first"
  rm -rf "$scratch/first"
done
echo "pairs: equal" >&2

# Logits of batch jobs.
head -n 200 "$root/datasets/samples/definitions/test.tsv" > "$scratch/rows.tsv"
for mesh in 1x1 2x1 1x2 2x2 1x4; do
  ranks $((${mesh%x*} * ${mesh#*x})) 1 predict "$scratch/one" "$scratch/rows.tsv" \
    -o "$scratch/$mesh.tsv" --logits --tensor "${mesh#*x}"
  cmp "$scratch/1x1.tsv" "$scratch/$mesh.tsv" || fail "predictions on $mesh differ"
done

echo "meshes: $compared runs equal to that of one rank; the same logits on 5 meshes"
