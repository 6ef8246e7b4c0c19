# Makes the calling process, already alone in new mount and network namespaces, a node of the lab: sh node.sh DIRECTORY
# Says "ready" and then only holds the namespaces.
set -e
dir=$1

# A sysfs shows the network namespace it was mounted from: the inherited one would show the machine's interfaces.
mkdir -p "$dir/sys" "$dir/run"
mount -t sysfs sysfs "$dir/sys"
if [ -d /sys/fs/cgroup ]; then mount --rbind /sys/fs/cgroup "$dir/sys/fs/cgroup"; fi
mount --rbind "$dir/sys" /sys

# A /run of its own: pods' namespaces, the product's runtimeDir and the iptables lock of one node are nothing to another.
# What all share, under the lab's directory, keeps its path.
mount -t tmpfs -o mode=755 tmpfs "$dir/run"
mkdir -p "$dir/run/netns" "$dir/run/kube-nwplcy-lab" "$dir/run/varlib/upper" "$dir/run/varlib/work"
mount --bind /run/kube-nwplcy-lab "$dir/run/kube-nwplcy-lab"
mount --rbind "$dir/run" /run

# libcni keeps its cache in /var/lib/cni, which the machine need not have.
mount -t overlay -o lowerdir=/var/lib,upperdir=/run/varlib/upper,workdir=/run/varlib/work overlay /var/lib
mkdir -p /var/lib/cni

cd /proc/sys/net
echo 1 >ipv4/ip_forward
echo 0 >ipv4/conf/all/rp_filter
echo 0 >ipv4/conf/default/rp_filter
echo 1 >bridge/bridge-nf-call-iptables
if [ -d ipv6 ]; then
  echo 1 >ipv6/conf/all/forwarding
  # Duplicate address detection keeps an address unusable for a second.
  echo 0 >ipv6/conf/all/accept_dad
  echo 0 >ipv6/conf/default/accept_dad
  echo 1 >bridge/bridge-nf-call-ip6tables
  echo 0 >ipv6/icmp/ratelimit
fi
# A refusal is an ICMP error, and of these the kernel sends six and then one a second: a matrix would wait for timeouts instead.
echo 0 >ipv4/icmp_ratelimit
{ echo 1000000 >ipv4/icmp_msgs_per_sec; } 2>/dev/null || true
ip link set lo up

echo ready
exec sleep infinity >/dev/null 2>&1
