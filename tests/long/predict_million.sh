#!/usr/bin/env bash
# Predicts a million rows on 1, 2, 3 and 4 ranks and after kill -9: the same file, in memory that
# does not grow with the rows.   HEDDLE=… tests/long/predict_million.sh [ROWS]     default 1000000
. "$(dirname "$0")/common.sh"
rows=${1:-1000000}
limit_kb=$((256 * 1024))  # of each rank

write_config "$scratch/config.yaml" 960
"$heddle" train "$scratch/config.yaml" --set training.steps=3
awk -F'\t' -v rows="$rows" 'NR > 1 { text[NR - 2] = $1 } END {
  print "definition\tnumber"
  for (i = 0; i < rows; ++i) print text[i % (NR - 1)] "\t" i
}' "$scratch/train.tsv" > "$scratch/rows.tsv"

# The largest VmHWM of the processes of a job, in kB, until the job ends.
watch() {
  local most=0 now child
  while kill -0 "$1" 2>/dev/null; do
    for child in $1 $(cat "/proc/$1/task/$1/children" 2>/dev/null); do
      grep -qs '^Name:.heddle' "/proc/$child/status" || continue
      now=$(awk '/VmHWM/ { print $2 }' "/proc/$child/status" 2>/dev/null || true)
      if [ "${now:-0}" -gt "$most" ]; then most=$now; fi
    done
    sleep 0.2
  done
  echo "$most" >> "$scratch/peaks"
}

seconds=()
for count in 1 2 3 4; do
  start=$(date +%s.%N)
  mpirun -n "$count" "$heddle" predict "$scratch/run" "$scratch/rows.tsv" --quiet --threads 1 \
    --logits -o "$scratch/$count.tsv" &
  job=$!
  watch "$job"
  wait "$job" || fail "$count ranks: exit code $?"
  seconds+=("$(echo "$start $(date +%s.%N)" | awk '{ printf "%.0f", $2 - $1 }')")
  cmp "$scratch/1.tsv" "$scratch/$count.tsv" || fail "$count ranks: another file"
  [ "$count" = 1 ] || rm "$scratch/$count.tsv"
done

mpirun -n 2 "$heddle" predict "$scratch/run" "$scratch/rows.tsv" --quiet --threads 1 --logits \
  -o "$scratch/killed.tsv" 2>/dev/null &
job=$!
third=$(($(stat -c %s "$scratch/1.tsv") / 3))
until [ "$(stat -c %s "$scratch/killed.tsv.part" 2>/dev/null || echo 0)" -gt $third ]; do
  kill -0 "$job" 2>/dev/null || fail "it ended before it could be killed"
  sleep 0.01
done
kill -9 $(cat "/proc/$job/task/$job/children") || true
wait "$job" 2>/dev/null || true
part=$(wc -l < "$scratch/killed.tsv.part")
mpirun -n 2 "$heddle" predict "$scratch/run" "$scratch/rows.tsv" --quiet --threads 1 --logits \
  -o "$scratch/killed.tsv" --resume
cmp "$scratch/1.tsv" "$scratch/killed.tsv" || fail "after kill -9: another file"
lines=$(wc -l < "$scratch/1.tsv")
[ "$lines" = $((rows + 1)) ] || fail "$lines lines for $rows rows"

peak=$(sort -n "$scratch/peaks" | tail -1)
[ "$peak" -lt "$limit_kb" ] || fail "a rank took $peak kB"
echo "predict_million: $rows rows on 1, 2, 3, 4 ranks in ${seconds[*]} s, and killed after $part" \
  "lines and resumed: identical; at most $((peak / 1024)) MiB a rank"
