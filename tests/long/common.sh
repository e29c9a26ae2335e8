# To be sourced: the program, MPI's environment, a scratch folder that is removed at the end, and a
# small training job on the embedded sample.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
heddle=${HEDDLE:-$root/build/release/bin/heddle}
[ -x "$heddle" ] || { echo "$heddle is not there: build it, or set HEDDLE" >&2; exit 64; }
. "$root/launcher/mpi_environment"
export OMP_NUM_THREADS=1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# write_config FILE ROWS: a two-layer encoder from scratch, dropout 0.1, the first ROWS rows; in
# PRECISION, f32 by default.
write_config() {
  local sample=$root/datasets/samples/definitions
  head -n $(($2 + 1)) "$sample/train.tsv" > "$scratch/train.tsv"
  cat > "$1" <<END
output: $scratch/run
model:
  architecture:
    {family: bert, hidden_size: 32, layers: 2, heads: 4, intermediate_size: 64, max_positions: 64}
  tokenizer: $sample/tokenizer.json
  head:
    labels: [act, animal, artifact, body, communication, food, location, person, plant, state]
  dropout: {hidden: 0.1, attention: 0.1, head: 0.1}
data: {train: {path: $scratch/train.tsv, text: definition, label: kind}, max_length: 64}
batch: {size: 32}
precision: ${PRECISION:-f32}
training: {steps: 30, log_every: 1, evaluate_every: never}
checkpoint: {every: 5}
log: {tensorboard: false, console: none, hash_every: 5}
END
}

# ranks N THREADS ARGUMENTS…: heddle on N ranks.
ranks() {
  local count=$1 threads=$2
  shift 2
  mpirun -n "$count" "$heddle" "$@" --threads "$threads"
}

fail() {
  echo "$(basename "$0"): $*" >&2
  exit 1
}

# logged RUN STEP: whether the run has done the step.
logged() { grep -qs "^{\"step\":$2," "$1/log.jsonl"; }
