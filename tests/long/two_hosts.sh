#!/usr/bin/env bash
# Two hosts on one machine: network namespaces with a cable between them, each with a name of its
# own, and a run folder that both see. Trains on two ranks each, pulls the cable, and resumes: the
# job ends within seconds with a message, and the weights are those of one rank that nobody
# disturbed.   HEDDLE=build/release/bin/heddle tests/long/two_hosts.sh
. "$(dirname "$0")/common.sh"
watch=${WATCH:-5}        # seconds until a step takes too long
limit=$((watch + 25))  # seconds from the cable to the end of the job

one=heddle$$a two=heddle$$b
cleanup() {
  local space pids
  for space in $one $two; do
    pids=$(ip netns pids "$space" 2>/dev/null) || continue
    [ -z "$pids" ] || kill -9 $pids 2>/dev/null || true
    ip netns delete "$space" 2>/dev/null || true
  done
  rm -rf "$scratch"
}
trap cleanup EXIT
if ! reason=$(ip netns add "$one" 2>&1 && ip netns add "$two" 2>&1); then
  echo "two_hosts: skipped: no network namespaces here: $reason" >&2
  exit 77
fi
ip link add "v$$a" netns "$one" type veth peer name "v$$b" netns "$two"
for side in a b; do
  space=heddle$$$side
  address=10.211.0.$([ $side = a ] && echo 1 || echo 2)
  ip -n "$space" link set lo up
  ip -n "$space" address add "$address/24" dev "v$$$side"
  ip -n "$space" link set "v$$$side" up
  # As hosts.example says for a watchdog that is quicker than keep-alive.
  [ "$watch" -ge 15 ] || ip netns exec "$space" sysctl -q -w net.ipv4.tcp_retries2=5
done

# on SPACE COMMAND…: runs it there, on a machine of that name.
cat > "$scratch/on" <<'END'
#!/usr/bin/env bash
space=$1
shift
exec ip netns exec "$space" unshare --uts bash -c 'hostname "$0"; exec "$@"' "$space" "$@"
END
# What mpirun starts other hosts with, in place of ssh: HOST COMMAND…, the command being for a shell.
cat > "$scratch/rsh" <<END
#!/usr/bin/env bash
host=\$1
shift
exec "$scratch/on" "\$host" bash -c "\$*"
END
chmod +x "$scratch/on" "$scratch/rsh"

export OMPI_MCA_plm_rsh_agent=$scratch/rsh
export OMPI_MCA_oob_tcp_if_include=10.211.0.0/24 OMPI_MCA_btl_tcp_if_include=10.211.0.0/24
export OMPI_MCA_oob_tcp_keepalive_time=5 OMPI_MCA_oob_tcp_keepalive_intvl=2 \
  OMPI_MCA_oob_tcp_keepalive_probes=3

steps=${STEPS:-400}
write_config "$scratch/config.yaml" 960
settings=(--threads 1 --set training.steps=$steps --set checkpoint.every=20 --set log.hash_every=20
  --set "watchdog={start: 60 s, step: $watch s}")
"$heddle" train "$scratch/config.yaml" "${settings[@]}" --set output="$scratch/one"

job() {
  "$scratch/on" "$one" mpirun --host "$one:2,$two:2" -n 4 -x PATH "$heddle" train \
    "$scratch/config.yaml" "${settings[@]}" --set output="$scratch/run" "$@"
}
job --set log.console=lines > "$scratch/said" 2>&1 &
pid=$!
until logged "$scratch/run" $((steps / 4)); do
  kill -0 $pid 2>/dev/null || fail "it ended before the cable was pulled: $(tail -20 "$scratch/said")"
  sleep 0.05
done
ip -n "$two" link set "v$$b" down
begin=$(date +%s.%N)
until ! kill -0 $pid 2>/dev/null && [ -z "$(ip netns pids "$one"; ip netns pids "$two")" ]; do
  took=$(echo "$begin $(date +%s.%N)" | awk '{ printf "%.1f", $2 - $1 }')
  [ "${took%.*}" -lt $limit ] ||
    fail "the job goes on $took s after the cable was pulled: $(tail -30 "$scratch/said")"
  sleep 0.1
done
status=0
wait $pid || status=$?
# The watchdogs speak first if a step may take less time than mpirun needs to miss a host.
if [ $status = 124 ]; then
  said=("no progress for" "2 ranks on other nodes speak for themselves")
else
  said=("ORTE has lost communication with a remote daemon")
fi
[ $status != 0 ] || fail "it ended well without the cable"
for message in "${said[@]}"; do
  grep -q "$message" "$scratch/said" || fail "'$message' is not said: $(tail -40 "$scratch/said")"
done

ip -n "$two" link set "v$$b" up
job || fail "it does not go on"
"$heddle" verify "$scratch/run/checkpoints/last" > /dev/null
"$heddle" diff "$scratch/one" "$scratch/run" > "$scratch/diff" || fail "$(cat "$scratch/diff")"
echo "two_hosts: 2 hosts x 2 ranks ended $took s after the cable was pulled with code $status, and" \
  "went on; $(cat "$scratch/diff")"
