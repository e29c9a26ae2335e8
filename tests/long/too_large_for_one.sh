#!/usr/bin/env bash
# A model that no rank can hold: imported, trained, saved, resumed and served by four ranks that
# share each matrix. Its weights alone have 406 MiB; a rank's tensors may have 360 MiB, and its
# process 600 MiB of writable addresses, which includes what the alignment of blocks leaves unused.
# One rank alone is refused by each verb, with the numbers.
#   HEDDLE=build/release/bin/heddle tests/long/too_large_for_one.sh
. "$(dirname "$0")/common.sh"
limit='360 MiB'
data_kib=$((600 * 1024))
sample=$root/datasets/samples/definitions
folder=$scratch/folder checkpoint=$scratch/checkpoint run=$scratch/run
head -n 17 "$sample/train.tsv" > "$scratch/train.tsv"
head -n 50 "$sample/test.tsv" > "$scratch/rows.tsv"

# config FILE OUTPUT MODEL: four steps, of one sequence a rank and pass.
config() {
  cat > "$1" <<END
output: $2
model:
  head:
    labels: [act, animal, artifact, body, communication, food, location, person, plant, state]
$3
data: {train: {path: $scratch/train.tsv, text: definition, label: kind}, max_length: 32}
batch: {size: 4}
numerics: {data: 1, tensor: 4}
parallel: {zero: 1}
optimizer: {name: sgd, lr: 0.01, momentum: 0.9}
training: {steps: 4, log_every: 1, evaluate_every: never}
checkpoint: {every: 2, keep: 2}
log: {tensorboard: false, console: none, hash_every: 2}
END
}

# limited N ARGUMENTS…: heddle on N ranks, each under both limits.
limited() {
  local count=$1
  shift
  (ulimit -d $data_kib && ranks "$count" 1 "$@" --memory-limit "$limit")
}

# refused ARGUMENTS…: on one rank, which says why.
refused() {
  local status=0
  limited 1 "$@" 2> "$scratch/said" || status=$?
  [ $status = 64 ] || fail "one rank: $1 ended with $status: $(cat "$scratch/said")"
  grep -q 'out of memory: .* MiB more were asked for with .* [KM]iB in use. The limit is 360.0 MiB' \
    "$scratch/said" || fail "one rank: $1 said: $(cat "$scratch/said")"
  sed -n "s/^.*heddle: /one rank: $1: /p" "$scratch/said" >&2
}

equal() {
  "$heddle" diff "$1" "$2" > "$scratch/diff" || fail "$3: $(cat "$scratch/diff")"
}

# A folder of such a model, made without limits.
config "$scratch/make.yaml" "$scratch/made" "  tokenizer: $sample/tokenizer.json
  architecture:
    {family: bert, hidden_size: 1024, layers: 8, heads: 16, intermediate_size: 4096}"
ranks 4 1 train "$scratch/make.yaml" --set parallel.tensor=4 --set training.steps=1 \
  --set optimizer.momentum=0
"$heddle" export "$scratch/made" -o "$folder" --memory-limit "$limit" --quiet
rm -rf "$scratch/made"

config "$scratch/from_folder.yaml" "$scratch/from_folder" "  from: $folder"
config "$scratch/from_checkpoint.yaml" "$run" "  from: $checkpoint"
refused import "$folder" -o "$checkpoint"
refused train "$scratch/from_folder.yaml"
refused predict "$folder" "$scratch/rows.tsv" -o "$scratch/x.tsv"
[ ! -e "$checkpoint" ] || fail "a refused import left a checkpoint behind"

limited 4 import "$folder" -o "$checkpoint" --tensor 4 --quiet
"$heddle" verify "$checkpoint" > /dev/null
"$heddle" import "$folder" -o "$scratch/by_one" --quiet
equal "$checkpoint" "$scratch/by_one" "imported by four ranks and by one"
rm -rf "$scratch/by_one"

four=(--set parallel.tensor=4)
limited 4 train "$scratch/from_checkpoint.yaml" "${four[@]}"
limited 4 train "$scratch/from_checkpoint.yaml" "${four[@]}" --set output="$scratch/resumed" \
  --resume "$run/checkpoints/step-000000002"
equal "$run" "$scratch/resumed" "resumed at step 2"
rm -rf "$scratch/resumed"
limited 4 train "$scratch/from_folder.yaml" "${four[@]}"
equal "$run" "$scratch/from_folder" "from the folder and from its checkpoint"

refused predict "$run" "$scratch/rows.tsv" -o "$scratch/x.tsv"
limited 4 predict "$folder" "$scratch/rows.tsv" -o "$scratch/x.tsv" --text definition --tensor 4 \
  --quiet
limited 4 predict "$run" "$scratch/rows.tsv" -o "$scratch/four.tsv" --logits --tensor 4 --quiet
"$heddle" predict "$run" "$scratch/rows.tsv" -o "$scratch/one.tsv" --logits --quiet
cmp "$scratch/one.tsv" "$scratch/four.tsv" || fail "predictions of four ranks and of one differ"

mark=$(grep -o '"memory_high_water": *"\?[0-9]*' "$run/run.json" | grep -o '[0-9]*$')
echo "too_large_for_one: $((mark / 1048576)) MiB of a rank in training, of $limit;" \
  "one rank was refused by import, train and predict"
