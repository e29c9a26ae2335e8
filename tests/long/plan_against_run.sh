#!/bin/bash
# What heddle plan says against what a run takes: bytes of a rank and seconds of a step, for several
# shapes at random and numbers of ranks. Fails if bytes differ by more than 2 %, or seconds by more
# than SLACK (25) %. Takes the median step. A machine that does other things meanwhile is slower
# than planned: SLACK=1000 looks at bytes alone. The machine is measured anew.
#   [PRECISION=bf16] tests/long/plan_against_run.sh [STEPS]     bf16: data-parallel ranks alone
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
steps=${1:-6}
slack=${SLACK:-25}
precision=${PRECISION:-f32}
export XDG_CACHE_HOME=$scratch/cache
sample=$root/datasets/samples/definitions
cores=$(env -u OMP_NUM_THREADS nproc)  # which would say what OpenMP may have
awk 'BEGIN { print "text\tlabel"
  for (i = 0; i < 200; ++i) {
    line = ""
    for (w = 0; w < 160; ++w) line = line (w % 2 ? "the sea " : "a small animal ")
    print line "\t" (i % 2 ? "a" : "b") } }' > "$scratch/rows.tsv"

# case NAME HIDDEN LAYERS HEADS INTERMEDIATE BATCH MICRO RANKS TENSOR ZERO
failed=0
printf '%-12s %5s %6s %4s %14s %14s %7s %9s %9s %7s\n' \
  model ranks tensor zero 'planned bytes' 'high water' '' 'planned s' 'median s' ''
compare() {
  local name=$1 ranks=$8 tensor=$9 zero=${10} threads=$((cores / $8))
  [ "$threads" -ge 1 ] || threads=1
  local run=$scratch/$name-$ranks-$tensor-$zero
  cat > "$run.yaml" <<END
output: $run
model:
  architecture: {family: bert, hidden_size: $2, layers: $3, heads: $4, intermediate_size: $5}
  tokenizer: $sample/tokenizer.json
data: {train: {path: $scratch/rows.tsv, text: text, label: label}, max_length: 128}
batch: {size: $6, micro_tokens: $7}
precision: $precision
training: {steps: $steps, log_every: 1, evaluate_every: never}
checkpoint: {every: never}
parallel: {tensor: $tensor, zero: $zero}
log: {tensorboard: false, console: none, hash_every: 0}
END
  "$heddle" plan "$run.yaml" --ranks "$ranks" --json "$run.json" > /dev/null
  ranks "$ranks" "$threads" train "$run.yaml"
  python3 - "$run" "$ranks" "$tensor" "$zero" "$name" "$slack" <<'END' || failed=1
import json, statistics, sys
run, ranks, tensor, zero, name, slack = sys.argv[1:]
plan = next(m for m in json.load(open(run + ".json"))["meshes"]
            if m["tensor"] == int(tensor) and m["zero"] == int(zero))
lines = [json.loads(line) for line in open(run + "/log.jsonl")]
memory = next(l for l in lines if l.get("event") == "memory")
# A line's rate is over all steps so far: seconds of each step are differences.
tokens = json.load(open(run + ".json"))["batch_tokens"]
totals = [l["step"] * tokens / l["tokens_per_s"] for l in lines if "loss" in l]
seconds = statistics.median(b - a for a, b in zip(totals, totals[1:]))
bytes_, mark = plan["bytes"]["allocator"], memory["high_water"]
planned = plan["seconds"]["step"]
by = 100 * (mark / bytes_ - 1)
bs = 100 * (seconds / planned - 1)
print(f"{name:<12} {ranks:>5} {tensor:>6} {zero:>4} {bytes_:>14,} {mark:>14,} {by:>+6.1f}% "
      f"{planned:>9.3f} {seconds:>9.3f} {bs:>+6.0f}%")
sys.exit(abs(by) > 2 or abs(bs) > float(slack))
END
}
compare small 128 2 4 512 32 8192 1 1 0
compare small 128 2 4 512 32 8192 2 1 0
compare minilm 384 6 12 1536 16 8192 1 1 0
compare minilm 384 6 12 1536 16 8192 2 1 0
compare minilm-2 384 6 12 1536 16 1024 1 1 0
compare bert-base 768 12 12 3072 16 8192 1 1 0
compare minilm-256 384 6 12 1536 2 8192 1 1 0
compare minilm-256 384 6 12 1536 2 8192 2 1 0
compare bert-base 768 12 12 3072 16 8192 2 1 0
if [ "$precision" = f32 ]; then  # which alone is shared by tensor groups
  compare minilm 384 6 12 1536 16 8192 2 2 0
  compare minilm 384 6 12 1536 16 8192 4 2 1
  compare bert-base 768 12 12 3072 16 8192 2 2 0
  compare bert-base 768 12 12 3072 16 8192 4 4 0
  compare bert-base 768 12 12 3072 16 8192 4 2 1
fi
[ "$failed" = 0 ] || fail "a run was not as planned"
