#!/bin/bash
# Renders the report of a sample run in a real browser and counts what the browser made of it.
# Usage: report_renders.sh SAMPLE_REPORT_PROGRAM. Exits with 77 (skipped) where there is no Chromium.
set -euo pipefail

sample_report=$1
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [[ -z $browser ]]; then
  echo "skipped: no chromium (Debian: apt-get install chromium)"
  exit 77
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$sample_report" "$folder"

browse() {
  "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$folder/profile" \
    "$@" "file://$folder/report.html" 2> "$folder/browser.log"
}
browse --dump-dom > "$folder/dom.html"

failures=0
expect() {  # expect COUNT PART: the document as the browser holds it has PART so often
  local found
  found=$({ grep -o -- "$2" "$folder/dom.html" || true; } | wc -l)
  if [[ $found -ne $1 ]]; then
    echo "FAILED: $found times $2, expected $1"
    failures=$((failures + 1))
  fi
}
expect 14 '<svg class="plot'              # loss, 3 curves, 9 metrics, the reliability diagram
expect 9 '<circle class="best"'
expect 9 'rgba(var(--heat)'               # cells of the confusion matrix
expect 50 '<td class="text">'             # the examples most wrong
expect 5 '<section id='
expect 0 '<script'
expect 1 '<h1>reviews<span class="badge">finished</span></h1>'

# Drawn and not only parsed: a page of one colour makes a far smaller picture.
browse --window-size=1200,2400 --screenshot="$folder/report.png" > /dev/null
size=$(stat -c %s "$folder/report.png")
if [[ $size -lt 100000 ]]; then
  echo "FAILED: the picture of the page has only $size bytes"
  failures=$((failures + 1))
fi
[[ $failures -eq 0 ]] && echo "rendered: 14 plots, a picture of $size bytes"
exit $((failures > 0))
