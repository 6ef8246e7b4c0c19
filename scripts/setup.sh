#!/bin/sh
# setup.sh COMMAND=PACKAGE ...: installs the Debian packages of those commands that are absent. A command is a name or an absolute path.
set -eu
PATH=$PATH:/usr/sbin:/sbin
missing=
for pair in "$@"; do
  command -v "${pair%%=*}" >/dev/null || missing="$missing ${pair#*=}"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
  echo "Not root, so nothing is installed. Missing packages:$missing" >&2
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# shellcheck disable=SC2086 # one word a package
exec apt-get install -q -y --no-install-recommends $missing
