# Makes the calling process, already alone in new mount and network namespaces, the place of a control plane: sh controlPlane.sh DIRECTORY
# What is in the directory is in memory and goes with the namespaces.
set -e
mount -t tmpfs -o mode=700 tmpfs "$1"
ip link set lo up
echo ready
exec sleep infinity >/dev/null 2>&1
