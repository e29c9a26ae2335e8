#!/usr/bin/env bash
# Trains under Slurm, for as many time slots as it takes: two minutes before a slot ends the run saves
# and leaves with exit code 75, and the job goes back into the queue and on where it stopped.
#
#   sbatch launcher/slurm.sh configs/sst2.yaml                    # any `heddle train` arguments
#   sbatch --nodes=1 --ntasks-per-node=2 launcher/slurm.sh configs/sst2.yaml --set seed=1
#
# Submit from the root of the repository; change the lines below to what your cluster has.
#SBATCH --job-name=heddle
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4        # ranks; in canonical numerics a power of two in all, at most numerics.data
#SBATCH --cpus-per-task=4          # threads of each rank
#SBATCH --mem-per-cpu=2G
#SBATCH --time=04:00:00
#SBATCH --signal=USR1@120          # to the ranks, 120 s before the end: save and leave
#SBATCH --requeue                  # the job may go back into the queue, also after a node failed
#SBATCH --open-mode=append         # one log for all slots
#SBATCH --output=heddle-%j.log
set -uo pipefail

heddle=${HEDDLE:-build/release/bin/heddle}
if [ $# -eq 0 ]; then
  echo "usage: sbatch launcher/slurm.sh CONFIG.yaml [heddle train options]" >&2
  exit 64
fi

srun --mpi=pmix "$heddle" train "$@" --threads "${SLURM_CPUS_PER_TASK:-1}"
code=$?

if [ "$code" -eq 75 ]; then
  echo "saved; back into the queue" >&2
  scontrol requeue "$SLURM_JOB_ID"
  exit 0
fi
exit "$code"
