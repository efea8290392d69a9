#!/bin/bash
# A study on Slurm: Ray starts on every node of the job, the study runs on the first, Ray stops.
#   sbatch clusters/slurm.sh difficulty                      as `lrray study difficulty`
#   sbatch --nodes=4 clusters/slurm.sh studies/mine.yaml seeds=12
# Needs lrray's environment and the results folder on a file system that all nodes share. Resuming is
# always on: a job that ran out of time or was preempted goes on when it is submitted again. An array,
# or any two such jobs at once, needs `sbatch --exclusive`: a job's end ends every Ray of yours there.
#SBATCH --job-name=lrray
#SBATCH --output=lrray-%j.log
#SBATCH --nodes=2
# One Ray per node, which gets all of the job's cores and GPUs there.
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-node=1
#SBATCH --time=24:00:00
# Back into the queue after a preemption.
#SBATCH --requeue
set -euo pipefail

# Where `make install VENV=…` put lrray, and where results go.
source "${LRRAY_ENV:-$HOME/lrray-env}/bin/activate"
results=${LRRAY_RESULTS:-$HOME/lrray-results}

# Only holders of the token may use this Ray: other users reach these nodes as well.
export RAY_AUTH_MODE=token
test -s ~/.ray/auth_token || ray get-auth-token --generate > /dev/null

# The first node's address; a port of its own, for nodes that jobs share.
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$(getent ahostsv4 "$first" | awk '{print $1; exit}'):$((20000 + SLURM_JOB_ID % 10000))

# Seconds that nodes wait for each other; Ray's own 30 are few for a busy file system.
export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=300 RAY_USAGE_STATS_ENABLED=0
# Ends with `ray stop`, which ends every Ray of yours on these nodes: one such job per node.
srun ray symmetric-run --address "$address" --min-nodes "$SLURM_JOB_NUM_NODES" \
  --num-cpus "$SLURM_CPUS_PER_TASK" --num-gpus "${SLURM_GPUS_ON_NODE:-0}" \
  -- python -m lrray.study "$@" --address auto --out "$results" --resume
