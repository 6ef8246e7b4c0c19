# Makes the calling process's new network namespace that of a pod: sh pod.sh
set -e
cd /proc/sys/net
if [ -d ipv6 ]; then
  echo 0 >ipv6/conf/all/accept_dad
  echo 0 >ipv6/conf/default/accept_dad
  echo 0 >ipv6/icmp/ratelimit
fi
echo 0 >ipv4/icmp_ratelimit
ip link set lo up
