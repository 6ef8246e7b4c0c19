# Makes the calling process's new network namespace that of a host outside the cluster: sh host.sh
set -e
cd "$(dirname "$0")"
sh pod.sh
echo ready
exec sleep infinity >/dev/null 2>&1
