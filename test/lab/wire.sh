# Makes the calling process's new network namespace the wire that joins the lab's nodes and hosts: a bridge without rules.
set -e
ip link set lo up
# Without a querier, snooping would in the end stop IPv6 neighbour discovery.
ip link add wire type bridge mcast_snooping 0
ip link set wire up
echo ready
exec sleep infinity >/dev/null 2>&1
